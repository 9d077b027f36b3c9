"""Handover keys, replays, neighbours and limits in the engines of FMIPv6 (RFC 5568 sections 6.4.5 and 10)."""

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from fmipv6_kit import CONFIG as NODE
from fmipv6_kit import NAR, PAR, attached, fback, leaving, messages, poas, resolved, until
from hypothesis import given
from hypothesis import strategies as st
from net import Net
from net_drives import drive, leftovers, lost, sent_by
from net_nodes import MN_LLA, Faults, coa_of, prefix_of

from lies.events import Quality
from lies.packet import address_of
from lies_fmipv6 import actions as fa
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.exchange import Sequencer
from lies_fmipv6.items import Barred, Received
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    FBackStatus,
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
    OptionCode,
    RtSolPr,
)
from lies_fmipv6.parameters import AccessRouterConfig, Neighbour, eui64, form_address, newer

OWN, NEXT = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
ROGUE_LLA = b"\2\0\0\0\x66\0"
KEY, ROGUE_KEY = b"the node's key, 32 octets of it.", b"another node's key"
PCOA, NCOA = (form_address(prefix, eui64(MN_LLA)) for prefix in (OWN, NEXT))
ROGUE = form_address(OWN, eui64(ROGUE_LLA))
NEIGHBOUR = Neighbour(NEXT[1], b"\2\0\0\0\2\2", NEXT, (b"\2\0\0\0\1\2",))
CONFIG = AccessRouterConfig(
    OWN[1],
    IPv6Address("fe80::2:1"),
    b"\2\0\0\0\2\1",
    OWN,
    neighbours=(NEIGHBOUR,),
    insecure=True,
    keys={MN_LLA: KEY, ROGUE_LLA: ROGUE_KEY},
)


def over_the_wire(
    router: AccessRouter, fbu: FastBindingUpdate, source: IPv6Address, key: bytes | None
) -> Received:
    """An FBU as it arrives, judged by the codec with the router's keys."""
    got = decode(encode(fbu, source, OWN[1], key=key), key_for=router.key_for)
    return Received(got.message, got.source, got.destination, None, got.authenticated)


def fbu(sequence: int = 1, pcoa: IPv6Address = PCOA, **more: Any) -> FastBindingUpdate:
    """An FBU for an address."""
    fields = {"lifetime_s": 20, "alternate_coa": NCOA, "lla": MN_LLA, **more}
    return FastBindingUpdate(sequence=sequence, home_address=pcoa, **fields)


def ack_to(actions: list[Any], code: int = 0) -> Received:
    """The neighbour's HAck to the HI among actions."""
    (hi,) = messages(actions, HandoverInitiate)
    return Received(HandoverAcknowledge(hi.sequence, code), NEXT[1], OWN[1])


def statuses(actions: list[Any]) -> list[int]:
    """What the FBacks among actions say."""
    return [m.status for m in messages(actions, FastBindingAck)]


@pytest.mark.parametrize("key", [None, ROGUE_KEY, b"guessed"], ids=["none", "another node's", "guessed"])
@pytest.mark.parametrize("insecure", [False, True])
def test_where_keys_are_no_fbu_goes_without(key: bytes | None, insecure: bool) -> None:
    """With keys configured, an FBU without its own node's BADF does nothing, `insecure` or not (F20)."""
    router = AccessRouter(evolve(CONFIG, insecure=insecure))
    assert router.receive(over_the_wire(router, fbu(), PCOA, key), 0.0) == []
    assert router.dropped == {"FBU without a valid BADF": 1}
    assert router.bindings == 0


def test_an_fbu_for_another_nodes_address_is_refused() -> None:
    """A node with a key of its own cannot bind another's PCoA: the key goes by whose the address is (F20)."""
    router = AccessRouter(CONFIG)
    assert router.receive(over_the_wire(router, fbu(pcoa=PCOA), PCOA, ROGUE_KEY), 0.0) == []
    own = fbu(1, ROGUE, alternate_coa=form_address(NEXT, eui64(ROGUE_LLA)), lla=ROGUE_LLA)
    assert messages(router.receive(over_the_wire(router, own, ROGUE, ROGUE_KEY), 0.0), HandoverInitiate)
    nobodys = OWN[0x1234]
    assert router.key_for(nobodys) is None
    assert router.receive(over_the_wire(router, fbu(pcoa=nobodys), nobodys, ROGUE_KEY), 0.0) == []


def test_every_fback_says_whose_key_authenticates_it() -> None:
    """Each FBack, accepting, refusing or ending, names the PCoA whose key its BADF is made with (F33)."""
    router = AccessRouter(CONFIG)
    asked = router.receive(over_the_wire(router, fbu(1), PCOA, KEY), 0.0)
    said = router.receive(ack_to(asked), 0.1)
    said += router.receive(over_the_wire(router, fbu(2, alternate_coa=OWN[7]), PCOA, KEY), 0.2)
    said += router.receive(over_the_wire(router, fbu(3, lifetime_s=0), NCOA, KEY), 0.3)
    said += router.receive(over_the_wire(router, fbu(2), PCOA, KEY), 0.4)
    fbacks = [a for a in said if messages([a], FastBindingAck)]
    assert [a.message.status for a in fbacks] == [0, 0, 129, 0, FBackStatus.SEQUENCE_OUT_OF_WINDOW]
    assert {a.pcoa for a in fbacks} == {PCOA}
    key = router.key_for(PCOA)
    for action in fbacks:
        packet = encode(action.message, action.source, action.destination, key=key)
        assert decode(packet, key_for={OWN[1]: KEY}.get).authenticated


def test_a_replayed_fbu_is_refused_for_good() -> None:
    """A node with a key: its old FBUs do nothing, also long after the binding; the last number is told."""
    router = AccessRouter(CONFIG)
    recorded = over_the_wire(router, fbu(5), PCOA, KEY)
    router.receive(ack_to(router.receive(recorded, 0.0)), 0.1)
    router.receive(over_the_wire(router, fbu(6, lifetime_s=0), NCOA, KEY), 1.0)
    for later in (1.1, 60.0, 86400.0):
        while (due := router.next_timeout()) is not None and due <= later:
            router.handle_timeout(due)
        (answer,) = router.receive(recorded, later)
        assert isinstance(answer, fa.SendMessage)
        assert answer.message == FastBindingAck(FBackStatus.SEQUENCE_OUT_OF_WINDOW, 6, 0)
        assert router.bindings == 0


def test_a_node_started_anew_catches_up() -> None:
    """Told that its number is old, a node sends the FBU again at once behind the PAR's, and only then."""
    mn = resolved()
    (first,) = messages(leaving(mn, 5.0), FastBindingUpdate)
    assert first.sequence == 0xFFFF
    behind = fback(FBackStatus.SEQUENCE_OUT_OF_WINDOW, 0x1234)
    assert mn.receive(behind, 5.01) == []
    (again,) = [m for _, a in until(mn, 5.02) for m in messages([a], FastBindingUpdate)]
    assert again.sequence == 0x1235
    assert mn.receive(behind, 5.03) == [], "a second copy changes nothing"
    assert mn.receive(fback(FBackStatus.SEQUENCE_OUT_OF_WINDOW, 0x1235), 5.03) == [], "a late one neither"
    assert until(mn, 5.04) == []
    assert mn.receive(fback(0, 0x1235), 5.05), "its FBack counts"


def test_a_lie_about_sequence_numbers_ends_with_the_retries() -> None:
    """Numbers that always run ahead make a node repeat its FBU no more than FBU_RETRIES times."""
    mn = resolved()
    sent = messages(leaving(mn, 5.0), FastBindingUpdate)
    now = 5.0
    while (due := mn.next_timeout()) is not None and due < 6.4:
        now = max(due, now)
        sent += messages(mn.handle_timeout(now), FastBindingUpdate)
        mn.receive(fback(FBackStatus.SEQUENCE_OUT_OF_WINDOW, (sent[-1].sequence + 9) & 0xFFFF), now)
    assert len([f for f in sent if f.lifetime_s]) == 4


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_whatever_a_par_remembers_two_numbers_are_enough(mine: int, theirs: int) -> None:
    """From any first number, the first or second one after the PAR's answer is greater than what it has."""
    numbers = Sequencer(mine)
    first = numbers()
    if newer(first, theirs):
        return
    numbers.skip(theirs)
    candidates = [numbers()]
    numbers.skip(theirs)
    candidates.append(numbers())
    assert any(newer(n, theirs) for n in candidates)


def test_an_fback_without_badf_is_no_fback_where_keys_are() -> None:
    """With a key for the PAR, an FBack that is not authenticated does nothing, `insecure` or not (F20)."""
    mn = resolved(evolve(NODE, keys={PAR: KEY}))
    leaving(mn)
    assert mn.receive(fback(0, 0xFFFF), 5.1) == []
    assert mn.receive(evolve(fback(0, 0xFFFF), authenticated=True), 5.1) != []


def test_no_fast_handover_from_a_router_without_a_key() -> None:
    """With keys for other routers only, nothing is asked and no FBU sent at this one (section 10)."""
    mn = attached(evolve(NODE, keys={NAR: KEY}))
    assert messages(mn.receive(poas(p2=Quality.GOOD), 0.02), RtSolPr) == []


def test_secrets_are_in_no_repr() -> None:
    """What a log or an error could show of the configurations has no key in it."""
    for shown in (repr(CONFIG), repr(evolve(NODE, keys={PAR: KEY}))):
        assert "32 octets" not in shown
        assert "another node" not in shown


def hi(sequence: int, ncoa: IPv6Address, source: IPv6Address = NEXT[1], **more: Any) -> Received:
    """An HI about an address of this link."""
    lla = b"\2\1" + ncoa.packed[-4:]
    message = HandoverInitiate(sequence, 0, False, True, lla, NEXT[int(ncoa) & 0xFFFF], ncoa)
    return Received(message, source, OWN[1], None, **more)


def code_of(actions: list[Any]) -> int:
    """The code of the HAck among actions."""
    (ack,) = messages(actions, HandoverAcknowledge)
    assert isinstance(ack, HandoverAcknowledge)
    return ack.code


def test_a_protected_neighbour_is_believed_through_esp_only() -> None:
    """HI and HAck in the name of a neighbour with ESP count only out of ESP, `insecure` or not (F48)."""
    router = AccessRouter(evolve(CONFIG, neighbours=(evolve(NEIGHBOUR, protected=True),)))
    assert router.receive(hi(1, OWN[9]), 0.0) == []
    assert code_of(router.receive(hi(1, OWN[9], authenticated=True), 0.0)) == HAckCode.NCOA_VALID
    asked = router.receive(over_the_wire(router, fbu(), PCOA, KEY), 0.0)
    assert router.receive(ack_to(asked), 0.1) == []
    assert router.receive(evolve(ack_to(asked), authenticated=True), 0.1) != []


def test_a_neighbour_without_esp_has_no_fast_handover() -> None:
    """Without ESP and without `insecure`: option-code 7, FBack 129, and no HI goes out (F48)."""
    router = AccessRouter(evolve(CONFIG, insecure=False))
    rtsolpr = RtSolPr(7, MN_LLA, NEIGHBOUR.access_points)
    (answer,) = router.receive(Received(rtsolpr, PCOA, CONFIG.link_local, MN_LLA), 0.0)
    assert isinstance(answer, fa.SendMessage)
    assert [i.option_code for i in answer.message.access_points] == [OptionCode.NO_FAST_HANDOVER]
    assert statuses(router.receive(over_the_wire(router, fbu(), PCOA, KEY), 0.0)) == [129]


def test_a_node_is_refused_at_once_where_no_hi_can_leave() -> None:
    """Barred (no association with the NAR): FBack 128, no HI again; the next FBU is tried anew (F48)."""
    third = Neighbour(IPv6Address("2001:db8:3::1"), ROGUE_LLA, IPv6Network("2001:db8:3::/64"), protected=True)
    protected = evolve(NEIGHBOUR, protected=True)
    router = AccessRouter(evolve(CONFIG, insecure=False, neighbours=(protected, third)))
    first = router.receive(over_the_wire(router, fbu(), PCOA, KEY), 0.0)
    assert len(messages(first, HandoverInitiate)) == 1
    assert router.receive(Barred(third.address), 0.0) == []
    assert statuses(router.receive(Barred(NEIGHBOUR.address), 0.0)) == [128]
    assert router.receive(Barred(NEIGHBOUR.address), 0.0) == []
    assert router.bindings == 0
    timeout = router.next_timeout()
    assert timeout is not None
    assert messages(router.handle_timeout(timeout), HandoverInitiate) == []
    again = router.receive(over_the_wire(router, fbu(2), PCOA, KEY), timeout)
    assert statuses(router.receive(evolve(ack_to(again), authenticated=True), timeout)) == [0, 0]


def test_one_neighbour_cannot_take_all_the_room() -> None:
    """A neighbour that announces too many nodes gets 130; another one's are still expected (section 10)."""
    third = Neighbour(IPv6Address("2001:db8:3::1"), ROGUE_LLA, IPv6Network("2001:db8:3::/64"))
    router = AccessRouter(
        evolve(CONFIG, neighbours=(NEIGHBOUR, third), max_expected=10, max_expected_per_neighbour=4)
    )
    codes = [code_of(router.receive(hi(n, OWN[0x100 + n]), 0.0)) for n in range(6)]
    assert codes == [0, 0, 0, 0, 130, 130]
    other = [code_of(router.receive(hi(n, OWN[0x200 + n], third.address), 0.0)) for n in range(5)]
    assert other == [0, 0, 0, 0, 130]
    assert router.expected == 8
    while (due := router.next_timeout()) is not None and due <= 2.0:
        router.handle_timeout(due)
    assert router.expected == 0
    assert code_of(router.receive(hi(20, OWN[0x105]), 3.0)) == 0, "and there is room again"


def test_memory_of_a_neighbours_his_is_its_own() -> None:
    """Ten thousand HIs of one neighbour leave no more than the limit, and push no other's answer out."""
    third = Neighbour(IPv6Address("2001:db8:3::1"), ROGUE_LLA, IPv6Network("2001:db8:3::/64"))
    router = AccessRouter(evolve(CONFIG, neighbours=(NEIGHBOUR, third), max_known_nodes=50))
    first = router.receive(hi(7, OWN[0x300], third.address), 0.0)
    for n in range(10_000):
        router.receive(hi(n & 0xFFFF, OWN[0x1000 + n]), 0.0)
    heard = router._new._guests._heard
    sizes = {par: len(of_par) for par, of_par in heard.items()}
    assert sizes == {NEXT[1].packed: 50, third.address.packed: 1}
    assert router.receive(hi(7, OWN[0x300], third.address), 0.1) == first[1:2]


def test_answers_to_his_are_forgotten_when_their_time_is_over() -> None:
    """A router keeps no answer beyond its time once the same neighbour announces another node."""
    router = AccessRouter(CONFIG)
    for n in range(20):
        router.receive(hi(n, OWN[0x1000 + n]), 0.0)
    router.receive(hi(20, OWN[0x2000]), 5.0)
    heard = router._new._guests._heard[NEXT[1].packed]
    assert len(heard) == 21
    router.receive(hi(21, OWN[0x2001]), 11.0)
    assert [address_of(octets) for octets in heard] == [OWN[0x2000], OWN[0x2001]]


def test_a_drive_with_keys() -> None:
    """Five routers, BADF on every FBU and FBack: all predictive, nothing lost, nothing left (F20, F33)."""
    net = Net(5, keys={MN_LLA: KEY})
    sent = drive(net)
    assert [d.mode for d in net.done()] == ["predictive"] * 4
    assert lost(net, sent) == []
    assert leftovers(net) == []
    assert not any(r.engine.dropped for r in net.routers)


def test_a_drive_with_the_wrong_key() -> None:
    """A node with another key gets no tunnel anywhere, and ends connected by its own means."""
    net = Net(2, keys={MN_LLA: KEY})
    for router in net.routers:
        net.mobile.config.keys[router.config.address] = b"wrong"  # type: ignore[index]  # a dict
    net.start()
    net.fade(1, 2)
    net.run(3.0)
    net.radio.move(coa_poa(2))
    net.run(20.0)
    assert not [a for r in net.routers for _, a in r.runner.log if isinstance(a, fa.AddTunnel)]
    assert net.routers[0].engine.dropped["FBU without a valid BADF"] >= 4
    assert net.mobile.engine.coa == coa_of(2)
    assert net.connected()


def coa_poa(n: int) -> str:
    """The PoA of router n."""
    return f"02:00:00:00:01:{n:02x}"


def test_a_restarted_node_binds_with_keys() -> None:
    """A node whose numbers begin anew below the PAR's is told, and its handover is still predictive."""
    net = Net(2, keys={MN_LLA: KEY}, first_sequence=100)
    par = net.routers[0]
    net.start()
    for sequence in (300, 301):
        par.engine.receive(
            Received(fbu(sequence, coa_of(1), lifetime_s=0), coa_of(2), prefix_of(1)[1], None, True), net.now
        )
    sent = net.stream(1.0)
    net.fade(1, 2)
    sent += net.stream(3.0)
    net.run(5.0)
    assert [d.mode for d in net.done()] == ["predictive"]
    numbers = [a.message.sequence for _, a in sent_by(net.mobile.fmip.log, FastBindingUpdate)]
    assert numbers[:2] == [100, 302]
    assert lost(net, sent) == []


def test_lost_messages_with_keys() -> None:
    """With loss and repetition, replays that the network makes by itself harm no node that has a key."""
    for seed in range(6):
        net = Net(3, seed=seed, keys={MN_LLA: KEY}, faults=Faults(loss=0.2, duplicate=0.3, reorder=0.2))
        drive(net)
        net.faults = Faults()
        net.run(60.0)
        assert net.connected(), seed
        assert leftovers(net) == [], seed


def test_nodes_that_say_goodbye_by_the_hundred_are_not_all_remembered() -> None:
    """FBUs with lifetime 0 for addresses without a binding, more than there is room for: each is answered."""
    router = AccessRouter(evolve(Net(3).routers[0].config, max_bindings=1))
    for n in range(5):
        pcoa = prefix_of(1)[0x1000 + n]
        fbu = FastBindingUpdate(1, 0, pcoa, None, MN_LLA)
        actions = router.receive(Received(fbu, pcoa, prefix_of(1)[1], MN_LLA), 0.0)
        assert [ack.status for ack in messages(actions, FastBindingAck)] == [0]
    while (due := router.next_timeout()) is not None and due < 100.0:
        assert list(router.handle_timeout(due)) == []
    assert router.bindings == 0
