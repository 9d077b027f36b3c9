"""Each message against what iproute2 prints of it, and what the kernel says of wrong ones."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import frozen
from netns_kit import ip, kernel_state, left, namespace, netlink, settle, wire

from lies.errors import LiesError
from lies.kernel import messages as m
from lies.kernel.interfaces import NoInterface, index_of
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import KernelError, Netlink
from lies.kernel.template import Template

pytestmark = pytest.mark.netns

A = IPv6Address("2001:db8:a::a")
B = IPv6Address("2001:db8:b::b")
GATE = IPv6Address("fe80::1")
NET = IPv6Network("2001:db8:77::/48")
HOST = IPv6Network("2001:db8:77::1/128")
MAC = bytes.fromhex("020000abcdef")


@frozen
class Here:
    """A namespace with one pair of interfaces, v0 and v1."""

    kernel: Netlink
    index: int
    before: dict[str, list[str]]

    def shows(self, *words: str) -> list[str]:
        """What a command prints now that the namespace's beginning did not have."""
        return ip(*words)

    def more(self) -> dict[str, list[str]]:
        """What is there now and was not before, and the other way round."""
        return left(self.before, kernel_state())


@pytest.fixture
def here() -> Iterator[Here]:
    """A namespace of the test's own."""
    with namespace(), netlink() as kernel:
        index, _ = wire(kernel, "v0", "v1")
        yield Here(kernel, index, kernel_state())


ROUTES: dict[str, tuple[dict[str, Any], str]] = {
    "plain": (
        {"destination": NET},
        "unicast 2001:db8:77::/48 dev v0 table main proto 51 scope global",
    ),
    "default": ({"destination": IPv6Network("::/0")}, "unicast default dev v0 table main proto 51 "),
    "gateway": (
        {"destination": NET, "via": GATE},
        "unicast 2001:db8:77::/48 via fe80::1 dev v0 table main proto 51 scope global metric 1024 onlink",
    ),
    "table, metric": (
        {"destination": NET, "table": 52000, "metric": 7},
        "unicast 2001:db8:77::/48 dev v0 table 52000 proto 51 scope global metric 7",
    ),
    "mtu": ({"destination": NET, "mtu": 1420}, "metric 1024 mtu 1420"),
    "encapsulation": (
        {"destination": HOST, "encap": B},
        "unicast 2001:db8:77::1 encap seg6 mode encap.red segs 1 [ 2001:db8:b::b ] dev v0 table main",
    ),
    "decapsulation": (
        {"destination": IPv6Network("::/0"), "table": 51840, "decap_to": GATE},
        "unicast default encap seg6local action End.DX6 nh6 fe80::1 dev v0 table 51840 proto 51",
    ),
    "unreachable": (
        {"destination": NET, "kind": "unreachable"},
        "unreachable 2001:db8:77::/48 dev lo table main proto 51",
    ),
    "somebody's": ({"destination": NET, "owner": 62}, "2001:db8:77::/48 dev v0 table main proto 62"),
}


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_is_what_iproute2_shows(here: Here, name: str) -> None:
    """The route appears once, as asked for; adding it again replaces it; its removal leaves nothing."""
    wanted, shown = ROUTES[name]
    oif = 1 if wanted.get("kind") == "unreachable" else here.index
    add, remove = (m.route(**wanted, oif=oif, add=add) for add in (True, False))
    here.kernel.execute([add])
    here.kernel.execute([add])
    (line,) = here.more()["routes"]
    assert shown in " ".join(line.split())
    here.kernel.execute([remove])
    assert here.more() == {}


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "table": (
        {"preference": 90, "table": 52000, "source": A},
        "90: from 2001:db8:a::a lookup 52000 proto 51",
    ),
    "all": ({"preference": 1, "table": 255}, "1: from all lookup local proto 51"),
    "tunnel": (
        {"preference": 0, "table": 51840, "source": B, "destination": A, "ip_protocol": 41},
        "0: from 2001:db8:b::b to 2001:db8:a::a ipproto ipv6 lookup 51840 proto 51",
    ),
    "interface": (
        {"preference": 2, "table": 254, "source": A, "iif": "v0"},
        "2: from 2001:db8:a::a iif v0 lookup main proto 51",
    ),
    "goto": (
        {"preference": 1, "goto": 3, "source": A, "iif": "v0"},
        "1: from 2001:db8:a::a iif v0 goto 3 [unresolved] proto 51",
    ),
    "drop": ({"preference": 3, "table": None, "iif": "v0"}, "3: from all iif v0 blackhole proto 51"),
    "somebody's": ({"preference": 3, "table": 254, "owner": 62}, "3: from all lookup main proto 62"),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_what_iproute2_shows(here: Here, name: str) -> None:
    """The rule appears as asked for, a second one is refused with EEXIST, and its removal leaves nothing."""
    wanted, shown = RULES[name]
    add, remove = (m.rule(**wanted, add=add) for add in (True, False))
    here.kernel.execute([add])
    assert [" ".join(line.split()) for line in here.more()["rules"]] == [shown]
    with pytest.raises(KernelError) as caught:
        here.kernel.execute([add])
    assert caught.value.errno == errno.EEXIST
    here.kernel.execute([remove])
    assert here.more() == {}


def test_equal_rules_of_two_owners_are_two_rules(here: Here) -> None:
    """The kernel keeps them apart: removing one owner's leaves the other's."""
    mine, yours = (m.rule(5, table=100, source=A, owner=owner) for owner in (51, 62))
    here.kernel.execute([mine, yours])
    assert len(here.more()["rules"]) == 2
    here.kernel.execute([m.rule(5, table=100, source=A, owner=51, add=False)])
    assert here.more()["rules"] == ["5:\tfrom 2001:db8:a::a lookup 100 proto 62"]
    here.kernel.execute([m.rule(5, table=100, source=A, owner=None, add=False)])
    assert here.more() == {}


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "inet6 2001:db8:a::a/128 scope global nodad noprefixroute"),
        ({"home": True}, "inet6 2001:db8:a::a/128 scope global nodad home noprefixroute"),
        ({"prefix_length": 64, "prefix_route": True}, "inet6 2001:db8:a::a/64 scope global nodad"),
    ],
    ids=["address", "home", "prefix"],
)
def test_an_address_is_usable_at_once_and_goes_without_trace(
    here: Here, options: dict[str, Any], shown: str
) -> None:
    """No duplicate address detection, no prefix route unless asked for, nothing left after removal."""
    here.kernel.execute([m.address(here.index, A, **options)])
    (line,) = ip("-6", "-o", "addr", "show", "dev", "v0", "scope", "global")
    assert shown in " ".join(line.split())
    assert "tentative" not in line
    routes = [r for r in here.more().get("routes", []) if "table local" not in r]
    assert len(routes) == (1 if options.get("prefix_route") else 0)
    length = options.get("prefix_length", 128)
    here.kernel.execute([m.address(here.index, A, prefix_length=length, add=False)])
    assert here.more() == {}


def test_neighbours_are_what_iproute2_shows(here: Here) -> None:
    """Permanent, stale and proxy entries appear as asked for; removed, none is left."""
    here.kernel.execute([m.neighbour(here.index, A, MAC)])
    assert here.shows("-6", "neigh", "show", "nud", "permanent") == [
        "2001:db8:a::a dev v0 lladdr 02:00:00:ab:cd:ef PERMANENT proto 51"
    ]
    here.kernel.execute([m.neighbour(here.index, A, MAC, state=m.NUD_STALE)])
    (line,) = here.shows("-6", "neigh", "show", "nud", "stale")
    assert line.startswith("2001:db8:a::a dev v0 lladdr 02:00:00:ab:cd:ef STALE")
    here.kernel.execute([m.neighbour(here.index, B, proxy=True)])
    assert here.shows("-6", "neigh", "show", "proxy") == ["2001:db8:b::b dev v0 proxy proto 51"]
    gone = [m.neighbour(here.index, A, add=False), m.neighbour(here.index, B, proxy=True, add=False)]
    here.kernel.execute(gone)
    assert here.more() == {}
    with pytest.raises(KernelError) as caught:
        here.kernel.execute([gone[0]])
    assert caught.value.errno in m.GONE


def test_labels_are_what_iproute2_shows(here: Here) -> None:
    """A label of the source address policy appears and goes."""
    here.kernel.execute([m.address_label(HOST, 77)])
    assert here.more() == {"labels": ["prefix 2001:db8:77::1/128 label 77"]}
    here.kernel.execute([m.address_label(HOST, 0, add=False)])
    assert here.more() == {}


def test_links_are_made_set_and_removed(here: Here) -> None:
    """A bridge without spanning tree, a port in it, MTU and MAC as asked for; deleted, nothing is left."""
    here.kernel.execute([m.new_bridge("b0", mtu=1700)])
    here.kernel.execute(
        [m.new_veth("w0", "w1", mac="02:00:00:00:00:10", peer_mac="02:00:00:00:00:11", mtu=1600)]
    )
    bridge, port = index_of("b0"), index_of("w0")
    here.kernel.execute([m.set_link(port, master=bridge, up=True, mtu=1650)])
    (line,) = ip("-d", "-o", "link", "show", "dev", "w0")
    assert " master b0 " in line
    assert " mtu 1650 " in line
    assert "link/ether 02:00:00:00:00:10 " in line
    assert "link/ether 02:00:00:00:00:11 " in ip("-o", "link", "show", "dev", "w1")[0]
    (line,) = ip("-d", "-o", "link", "show", "dev", "b0")
    assert " stp_state 0 " in line
    assert " mcast_snooping 0 " in line
    here.kernel.execute([m.set_link(port, master=0, mac="02:00:00:00:00:12")])
    (line,) = ip("-d", "-o", "link", "show", "dev", "w0")
    assert " master " not in line
    assert "link/ether 02:00:00:00:00:12 " in line
    here.kernel.execute([m.delete_link(port), m.delete_link(bridge)])
    assert here.more() == {}


def test_the_kernels_own_words_are_in_the_error(here: Here) -> None:
    """What the kernel says in its extended acknowledgement is in the sentence, and errno with it."""
    with pytest.raises(
        KernelError, match="the kernel refused a route: Gateway can not be a local address"
    ) as caught:
        here.kernel.execute([m.route(NET, oif=here.index, via=IPv6Address("::1"))])
    assert caught.value.errno == errno.EINVAL
    assert caught.value.exit_code == 1
    assert isinstance(caught.value, LiesError)
    assert isinstance(caught.value, OSError)


def test_without_words_the_error_has_the_errors_name(here: Here) -> None:
    """Where the kernel sends no sentence the error number's own is taken."""
    with pytest.raises(KernelError, match="the kernel refused removing a route: No such process") as caught:
        here.kernel.execute([m.route(NET, oif=here.index, add=False)])
    assert caught.value.errno == errno.ESRCH


def test_all_messages_are_carried_out_and_the_first_refusal_is_told(here: Here) -> None:
    """One refused message stops neither those before it nor those after; ignored errors are not told."""
    bad = m.rule(5, table=100, source=B, add=False)
    worse = m.set_link(4711, up=True)
    good = [m.rule(6, table=100), m.rule(7, table=100)]
    with pytest.raises(KernelError, match="removing a rule") as caught:
        here.kernel.execute([good[0], bad, good[1], worse])
    assert caught.value.errno == errno.ENOENT
    assert len(here.more()["rules"]) == 2
    with pytest.raises(KernelError, match="a link's setting"):
        here.kernel.execute([bad, worse], ignore=(errno.ENOENT,))
    here.kernel.execute([bad, worse], ignore=m.GONE)


def test_what_is_posted_is_carried_out_at_once_and_refusals_are_told_later(here: Here) -> None:
    """Nobody waits for an answer: `confirm` tells what the kernel refused, once, unless it is ignored."""
    bad, worse = m.rule(5, table=100, source=B, add=False), m.set_link(4711, up=True)
    here.kernel.post([m.rule(6, table=100), bad, m.rule(7, table=100)])
    assert len(here.more()["rules"]) == 2
    with pytest.raises(KernelError, match="removing a rule"):
        here.kernel.confirm()
    here.kernel.confirm()
    here.kernel.post([bad], ignore=m.GONE)
    here.kernel.confirm()
    here.kernel.post([bad, worse], ignore=(errno.ENOENT,))
    here.kernel.execute([m.rule(8, table=100)])  # it has no part in that
    assert len(here.more()["rules"]) == 3
    with pytest.raises(KernelError, match="a link's setting"):
        here.kernel.confirm()
    here.kernel.confirm()


def test_a_thousand_messages_in_one_call_are_answered(here: Here) -> None:
    """A batch larger than any handover's is carried out whole."""
    rules = [m.rule(100 + n, table=100) for n in range(1000)]
    here.kernel.execute(rules)
    assert len(here.more()["rules"]) == 1000
    here.kernel.execute([m.rule(100 + n, table=100, add=False) for n in range(1000)])
    assert here.more() == {}


_UNPRIVILEGED = """
import os
from ipaddress import IPv6Network
from lies.kernel import messages as m
from lies.kernel.netlink import KernelError, Netlink
route = m.route(IPv6Network("2001:db8::/32"), oif=1)
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
try:
    Netlink().execute([route])
except KernelError as error:
    print(error.errno, error.exit_code, error)
"""


def test_without_privilege_the_exit_code_is_5(here: Here) -> None:
    """EPERM is a KernelError with exit code 5."""
    done = subprocess.run(
        [sys.executable, "-c", _UNPRIVILEGED], capture_output=True, text=True, check=False, timeout=30
    )
    if "PermissionError" in done.stderr and "setres" in done.stderr:
        pytest.skip("this user cannot become another one")
    assert done.stdout.startswith(f"{errno.EPERM} 5 the kernel refused a route: "), done.stderr
    assert here.more() == {}


def test_a_missing_interface_is_named() -> None:
    """NoInterface says which one, with errno and exit code of an unknown link."""
    with pytest.raises(NoInterface, match="there is no interface 'wlan7' here") as caught:
        index_of("wlan7")
    assert (caught.value.errno, caught.value.exit_code) == (errno.ENODEV, 2)
    assert index_of("lo") == 1


def test_a_sweep_removes_one_owners_entries_and_no_others(here: Here) -> None:
    """Rules, routes, addresses, neighbours and proxies of the owner go, all others stay."""

    def everything(owner: int, last: int) -> list[bytes]:
        address = A + last
        return [
            m.rule(90, table=52000, source=address, owner=owner),
            m.route(NET, table=52000 + last, oif=here.index, via=GATE, owner=owner),
            m.route(IPv6Network((address, 128)), oif=here.index, encap=B, owner=owner),
            m.route(IPv6Network("::/0"), table=51840 + last, oif=here.index, decap_to=GATE, owner=owner),
            m.route(NET, table=100 + last, kind="unreachable", oif=1, owner=owner),
            m.address(here.index, address, owner=owner),
            m.address(1, B + last, home=True, owner=owner),
            m.neighbour(here.index, GATE + last, MAC, owner=owner),
            m.neighbour(here.index, address + 100, MAC, state=m.NUD_STALE, owner=owner),
            m.neighbour(here.index, address + 200, proxy=True, owner=owner),
        ]

    here.kernel.execute(everything(62, 1))
    settle()
    others = kernel_state()
    here.kernel.execute(everything(51, 2))
    settle()
    assert {k: len(v) for k, v in left(others, kernel_state()).items()}["rules"] == 1
    sweep(here.kernel, 51)
    assert left(others, kernel_state()) == {}
    sweep(here.kernel, 51)
    sweep(here.kernel, 62)
    assert here.more() == {}
    assert ip("-6", "neigh", "show", "nud", "stale") == []


def test_a_sweep_of_many_entries_is_whole(here: Here) -> None:
    """1,000 rules and 2,000 routes are swept too, although their answers fit into no socket at once."""
    here.kernel.execute([m.rule(2, table=254, source=A + n) for n in range(1000)])
    for begin in (0, 1000):
        # no tunnels: a kernel that is asked for a thousand at once may say that it has no memory left
        many = [m.route(IPv6Network((B + begin + n, 128)), oif=here.index) for n in range(1000)]
        here.kernel.execute(many)
    sweep(here.kernel)
    assert here.more() == {}


def test_a_filled_template_is_the_message_itself(here: Here) -> None:
    """A template filled in has the same octets as the message built; wrong values are refused."""
    route = Template(
        lambda p, e: m.route(IPv6Network((p, 128)), oif=here.index, encap=e), IPv6Address, IPv6Address
    )
    assert route(A, B) == m.route(IPv6Network((A, 128)), oif=here.index, encap=B)
    stale = Template(lambda n, lla: m.neighbour(here.index, n, lla, state=m.NUD_STALE), IPv6Address, 6)
    assert stale(A, MAC) == m.neighbour(here.index, A, MAC, state=m.NUD_STALE)
    with pytest.raises(ValueError, match="value 1 has 5 octets, not 6"):
        stale(A, MAC[:5])
    with pytest.raises(ValueError, match="value 0 does not stand in the message"):
        Template(lambda _: m.rule(0, table=None), IPv6Address)
