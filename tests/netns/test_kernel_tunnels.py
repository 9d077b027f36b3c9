"""Tunnels as routes: who may tunnel to us, and that nothing is left."""

from ipaddress import IPv6Address

import pytest
from netns_kit import (
    ip,
    ipv6,
    kernel_state,
    netlink,
    udp,
)
from polling import wait_until
from tunnel_kit import (
    BEYOND,
    ENDPOINT,
    INNER,
    MINE,
    OTHER_INNER,
    PEER,
    STRANGER,
    YOURS,
    Pair,
    beyond,
    to_us,
)

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import KernelError
from lies.kernel.netns import entered
from lies.kernel.precedence import claim, claimants, release
from lies.kernel.tunnels import (
    Decapsulator,
    Hold,
    host,
)

netns = pytest.mark.netns


@netns
def test_tunnels_are_opened_from_the_named_peer_only(pair: Pair) -> None:
    """What the named peer tunnels to the named end point gets through; a stranger's does not."""
    decapsulator = Decapsulator(pair.kernel, only_known_inner=False)
    pair.kernel.execute([decapsulator.accept(ENDPOINT, PEER)])
    pair.send(STRANGER, to_us(b"strange"))
    pair.send(PEER, to_us(b"first"))
    assert pair.until_heard(b"first") == [b"first"]
    pair.kernel.execute(
        [decapsulator.accept(ENDPOINT, STRANGER), decapsulator.accept(ENDPOINT, PEER, add=False)]
    )
    pair.send(PEER, to_us(b"closed"))
    pair.send(STRANGER, to_us(b"second"))
    assert pair.until_heard(b"second") == [b"second"]
    decapsulator.close()


@netns
def test_without_any_peer_nothing_is_opened(pair: Pair) -> None:
    """A decapsulator alone opens nothing, and after its close neither does anybody."""
    decapsulator = Decapsulator(pair.kernel, only_known_inner=False)
    pair.send(PEER, to_us(b"early"))
    pair.kernel.execute([decapsulator.accept(ENDPOINT, PEER)])
    pair.send(PEER, to_us(b"marker"))
    assert pair.until_heard(b"marker") == [b"marker"]
    decapsulator.close()


@netns
def test_nested_tunnels_are_opened_level_by_level(pair: Pair) -> None:
    """A tunnel in a tunnel is opened if both levels are named: FMIPv6 in Mobile IPv6."""
    decapsulator = Decapsulator(pair.kernel, only_known_inner=False)
    home_agent, pcoa = IPv6Address("2001:db8:7::1"), IPv6Address("2001:db8:6::1")
    pair.kernel.execute([m.address(1, pcoa), decapsulator.accept(ENDPOINT, PEER)])
    nested = ipv6(home_agent, pcoa, 41, to_us(b"nested"))
    pair.send(PEER, nested)
    pair.send(PEER, to_us(b"marker"))
    assert pair.until_heard(b"marker") == [b"marker"]
    pair.kernel.execute([decapsulator.accept(pcoa, home_agent)])
    pair.send(PEER, nested)
    assert pair.until_heard(b"nested") == [b"nested"]
    decapsulator.close()


@netns
def test_a_router_forwards_only_the_named_inner_source(pair: Pair) -> None:
    """only_known_inner: what is opened passes on only with a named inner source, and goes nowhere else."""
    decapsulator = Decapsulator(pair.kernel, only_known_inner=True)
    pair.kernel.execute([decapsulator.accept(ENDPOINT, PEER), decapsulator.forward_inner(INNER)])
    seen: list[bytes] = []

    def forwarded(data: bytes) -> bool:
        seen.extend(beyond(pair))
        return data in seen

    pair.send(PEER, udp(OTHER_INNER, BEYOND, b"spoofed"))
    pair.send(PEER, to_us(b"spoofed", OTHER_INNER))
    pair.send(PEER, udp(INNER, BEYOND, b"named"))
    wait_until(lambda: forwarded(b"named"), 10)
    assert seen == [b"named"]
    pair.kernel.execute([decapsulator.forward_inner(INNER, add=False)])
    pair.kernel.execute([decapsulator.forward_inner(OTHER_INNER)])
    pair.send(PEER, udp(INNER, BEYOND, b"unnamed"))
    pair.send(PEER, udp(OTHER_INNER, BEYOND, b"other"))
    wait_until(lambda: forwarded(b"other"), 10)
    assert seen == [b"named", b"other"]
    assert pair.heard() == []
    decapsulator.close()


@netns
def test_what_is_forwarded_untunnelled_is_not_judged(pair: Pair) -> None:
    """The inner rules concern only what came out of a tunnel."""
    decapsulator = Decapsulator(pair.kernel, only_known_inner=True)
    seen: list[bytes] = []
    with entered(pair.far), netlink() as there:
        there.execute([m.route(host(BEYOND), oif=index_of("v1"), via=ENDPOINT)])
    pair.sender.send(udp(OTHER_INNER, BEYOND, b"plain"), BEYOND)

    def forwarded() -> bool:
        seen.extend(beyond(pair))
        return seen == [b"plain"]

    wait_until(forwarded, 10)
    decapsulator.close()


@netns
@pytest.mark.parametrize("only_known_inner", [False, True])
def test_closing_restores_the_rules_as_they_were(pair: Pair, only_known_inner: bool) -> None:
    """After close rules, routes, addresses, entries and devices are what they were before."""
    decapsulator = Decapsulator(pair.kernel, only_known_inner=only_known_inner)
    assert pair.more() != {}
    assert [line for line in ip("-6", "rule") if "lookup local" in line] == [
        "3:\tfrom all lookup local proto 51"
    ]
    decapsulator.close()
    assert pair.more() == {}
    decapsulator.close()
    assert pair.more() == {}


@netns
@pytest.mark.parametrize("accepts", [False, True])
def test_another_owners_decapsulator_keeps_it_alive(pair: Pair, accepts: bool) -> None:
    """Two owners share the veth pair; whoever closes first harms neither the other's tunnels to be."""
    first = Decapsulator(pair.kernel, only_known_inner=False, owner=MINE)
    second = Decapsulator(pair.kernel, only_known_inner=False, owner=YOURS)
    if accepts:
        pair.kernel.execute([second.accept(ENDPOINT, PEER)])
    first.close()
    if not accepts:
        pair.kernel.execute([second.accept(ENDPOINT, PEER)])
    pair.send(PEER, to_us(b"alive"))
    pair.until_heard(b"alive")
    pair.kernel.execute([second.accept(ENDPOINT, PEER, add=False)])
    second.close()
    assert pair.more() == {}


@netns
def test_one_owners_sweep_leaves_the_others_tunnels(pair: Pair) -> None:
    """A consumer that is started again removes its own leftovers while the other's tunnel goes on working."""
    dead = Decapsulator(pair.kernel, only_known_inner=True, owner=MINE)
    pair.kernel.execute([dead.accept(ENDPOINT, STRANGER), dead.forward_inner(INNER)])
    alive = Decapsulator(pair.kernel, only_known_inner=False, owner=YOURS)
    pair.kernel.execute([alive.accept(ENDPOINT, PEER)])
    sweep(pair.kernel, MINE)
    pair.send(STRANGER, to_us(b"dead"))
    pair.send(PEER, to_us(b"alive"))
    assert pair.until_heard(b"alive") == [b"alive"]
    assert not [line for line in kernel_state()["rules"] if "proto 51" in line]
    sweep(pair.kernel, YOURS)
    alive.close()
    assert pair.more() == {}


@netns
def test_there_is_always_a_rule_of_the_local_table(pair: Pair) -> None:
    """Each owner's claim is a rule at 3, while there is none at 0; the last release brings that back."""

    def local() -> list[str]:
        return [line for line in ip("-6", "-d", "rule") if "lookup local" in line]

    begin = local()
    assert claim(pair.kernel, MINE)
    assert not claim(pair.kernel, MINE)
    assert claim(pair.kernel, YOURS)
    assert claimants(pair.kernel) == {MINE, YOURS}
    assert all(line.startswith("3:") for line in local())
    assert len(local()) == 2
    release(pair.kernel, MINE)
    assert local() == ["3:\tfrom all lookup local proto 62"]
    release(pair.kernel, MINE)
    assert len(local()) == 1
    release(pair.kernel, YOURS)
    assert local() == begin


@netns
def test_a_decapsulator_that_cannot_be_made_leaves_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error half way removes what was made so far."""

    def fails(*_: object) -> bytes:
        raise KernelError(1, "a test", "")

    monkeypatch.setattr("lies.kernel.tunnels.link_address", fails)
    with pytest.raises(KernelError, match="a test"):
        Decapsulator(pair.kernel, only_known_inner=True)
    assert pair.more() == {}


@netns
def test_a_veth_pair_that_is_there_is_taken_over(pair: Pair) -> None:
    """What a killed process left is used again: no error, one pair, and it works."""
    Decapsulator(pair.kernel, only_known_inner=False)
    Hold(pair.kernel, octets=1000)
    decapsulator = Decapsulator(pair.kernel, only_known_inner=False)
    hold = Hold(pair.kernel, octets=1000)
    assert len([line for line in ip("-o", "link") if "lies-" in line]) == 4
    pair.kernel.execute([decapsulator.accept(ENDPOINT, PEER)])
    pair.send(PEER, to_us(b"again"))
    pair.until_heard(b"again")
    pair.kernel.execute([decapsulator.accept(ENDPOINT, PEER, add=False)])
    hold.close()
    decapsulator.close()
    assert pair.more() == {}
