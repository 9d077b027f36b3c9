"""The access router's engine of FMIPv6: what it answers, sets up, refuses and ends."""

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from engine_kit import until
from router_kit import HERE, MN, NEXT, OWN, THERE, hi

from lies.errors import ConfigError
from lies_fmipv6 import actions as fa
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.items import Barred, OrderHandover, Received
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
    OptionCode,
    PrRtAdv,
    PrRtAdvCode,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
)
from lies_fmipv6.parameters import ALL_NODES, UNSPECIFIED, AccessRouterConfig, Neighbour

PLAIN = IPv6Network("2001:db8:3::/64")
LOCAL = IPv6Address("fe80::2:1")
LLA = b"\2\0\0\0\2\1"
AP = [bytes((2, 0, 0, 0, 1, n)) for n in range(9)]
PCOA, NCOA = HERE, THERE
NEIGHBOURS = (
    Neighbour(NEXT[1], b"\2\0\0\0\2\2", NEXT, (AP[2],)),
    Neighbour(PLAIN[1], b"\2\0\0\0\2\3", PLAIN, (AP[3],), fast_handover=False),
)
CONFIG = AccessRouterConfig(OWN[1], LOCAL, LLA, OWN, (AP[0], AP[1]), NEIGHBOURS, insecure=True)


def fbu(sequence: int = 1, source: IPv6Address = PCOA, **more: Any) -> Received:
    """An FBU for PCOA."""
    fields = {"lifetime_s": 20, "home_address": PCOA, "alternate_coa": NCOA, "lla": MN, **more}
    link_layer = MN if source == PCOA else None
    return Received(FastBindingUpdate(sequence=sequence, **fields), source, CONFIG.address, link_layer)


def hack(actions: list[Any], code: int = 0, ncoa: IPv6Address | None = None) -> Received:
    """The HAck to the HI among actions."""
    (hi,) = sent(actions, HandoverInitiate)
    ack = HandoverAcknowledge(hi.message.sequence, code, ncoa)
    return Received(ack, hi.destination, CONFIG.address)


def sent(actions: list[Any], kind: type) -> list[Any]:
    """SendMessage actions of a kind of message."""
    return [a for a in actions if isinstance(a, fa.SendMessage) and isinstance(a.message, kind)]


def bound() -> AccessRouter:
    """A router that tunnels PCOA to NCOA since 0.1."""
    router = AccessRouter(CONFIG)
    actions = router.receive(fbu(), 0.0)
    router.receive(hack(actions), 0.1)
    assert router.bindings == 1
    return router


def test_router_advertisement() -> None:
    """An RS is answered to its source with prefix, own address (R flag) and LLA; :: is answered to all."""
    router = AccessRouter(CONFIG)
    rs = Received(RouterSolicitation(MN), IPv6Address("fe80::99"), IPv6Address("ff02::2"), MN)
    (answer,) = router.receive(rs, 0.0)
    assert (answer.source, answer.destination, answer.link_layer) == (LOCAL, IPv6Address("fe80::99"), MN)
    assert isinstance(answer.message, RouterAdvertisement)
    assert [(p.prefix, p.router) for p in answer.message.prefixes] == [(OWN, OWN[1])]
    (everybody,) = router.receive(Received(RouterSolicitation(), UNSPECIFIED, IPv6Address("ff02::2")), 0.0)
    assert (everybody.destination, everybody.link_layer) == (ALL_NODES, None)


def test_address_outside_the_prefix_is_advertised_by_itself() -> None:
    """A global address that is not of the access prefix travels in a /128 of its own with the R flag."""
    address = IPv6Address("2001:db8:ffff::1")
    router = AccessRouter(evolve(CONFIG, address=address))
    rs = Received(RouterSolicitation(MN), IPv6Address("fe80::99"), IPv6Address("ff02::2"), MN)
    prefixes = router.receive(rs, 0.0)[0].message.prefixes
    assert [(p.prefix, p.router, p.autonomous) for p in prefixes] == [
        (OWN, None, True),
        (IPv6Network(address), address, False),
    ]


def test_periodic_advertisements() -> None:
    """With an interval, Router Advertisements also go out unasked."""
    router = AccessRouter(evolve(CONFIG, advertise_interval_s=3.0))
    assert [(t, a.destination) for t, a in until(router, 7.0)] == [(t, ALL_NODES) for t in (0.0, 3.0, 6.0)]


def ask(router: AccessRouter, *aps: bytes, wildcard: bool = False) -> Any:
    """The answer to an RtSolPr."""
    rtsolpr = RtSolPr(7, MN, aps, wildcard)
    answers = router.receive(Received(rtsolpr, PCOA, LOCAL, MN), 0.0)
    assert len(answers) == 1
    return answers[0]


def test_proxy_router_advertisement() -> None:
    """PrRtAdv: link-local source, identifier echoed, one option-code per access point (F04, F08-F11)."""
    answer = ask(AccessRouter(CONFIG), AP[2], AP[0], AP[5], AP[3])
    adv = answer.message
    assert isinstance(adv, PrRtAdv)
    assert (answer.source, answer.destination, adv.identifier, adv.source_lla) == (LOCAL, PCOA, 7, LLA)
    assert adv.code == PrRtAdvCode.PARTIAL
    known, same, unknown, plain = adv.access_points
    assert (known.router_lla, known.router_address, known.prefix) == (b"\2\0\0\0\2\2", NEXT[1], NEXT)
    codes = [i.option_code for i in (known, same, unknown, plain)]
    assert codes == [
        OptionCode.TUPLE_FOLLOWS,
        OptionCode.SAME_INTERFACE,
        OptionCode.UNKNOWN,
        OptionCode.NO_FAST_HANDOVER,
    ]
    assert {i.router_address for i in (same, unknown, plain)} == {None}


@pytest.mark.parametrize(
    ("aps", "code"),
    [
        ((AP[2],), PrRtAdvCode.TUPLES),
        ((AP[0],), PrRtAdvCode.NO_ROUTER_INFORMATION),
        ((AP[5], AP[3]), PrRtAdvCode.NO_ROUTER_INFORMATION),
        ((AP[5], AP[2]), PrRtAdvCode.PARTIAL),
    ],
)
def test_prrtadv_code(aps: tuple[bytes, ...], code: int) -> None:
    """Code 0 if all are resolved, 2 if none is, 3 for some (6.1.2)."""
    assert ask(AccessRouter(CONFIG), *aps).message.code == code


def test_wildcard_answer_fits_the_mtu() -> None:
    """A wildcard is answered with as many tuples as the link's MTU lets through (F12)."""
    aps = tuple(bytes((2, 0, 0, 1, n // 256, n % 256)) for n in range(40))
    many = (evolve(NEIGHBOURS[0], access_points=aps),)
    for mtu in (1280, 1500):
        adv = ask(AccessRouter(evolve(CONFIG, neighbours=many, mtu=mtu)), wildcard=True).message
        assert len(adv.access_points) == (mtu - 64) // 80
        assert adv.code == PrRtAdvCode.TUPLES


def test_predictive_binding() -> None:
    """FBU from PCoA: HI code 0 with U, LLA, PCoA, NCoA; HAck; tunnel, then FBacks (F22-F24, F33, F34)."""
    router = AccessRouter(CONFIG)
    asked = router.receive(fbu(), 0.0)
    (send,) = sent(asked, HandoverInitiate)
    message = send.message
    assert (send.source, send.destination) == (OWN[1], NEXT[1])
    assert (message.code, message.buffer, message.assigned_address) == (0, True, False)
    assert (message.mn_lla, message.pcoa, message.ncoa) == (MN, PCOA, NCOA)
    tunnel, old, new = router.receive(hack(asked), 0.1)
    assert tunnel == fa.AddTunnel(PCOA, NCOA, MN)
    assert old == fa.SendMessage(FastBindingAck(0, 1, 20), OWN[1], PCOA, MN, PCOA)
    assert new == fa.SendMessage(FastBindingAck(0, 1, 20), OWN[1], NCOA, None, PCOA)
    assert until(router, 20.2) == [(20.1, fa.RemoveTunnel(PCOA, NCOA))]


def test_reactive_binding() -> None:
    """FBU from NCoA: HI code 1 without U, one FBack to NCoA."""
    router = AccessRouter(CONFIG)
    asked = router.receive(fbu(source=NCOA), 0.0)
    message = sent(asked, HandoverInitiate)[0].message
    assert (message.code, message.buffer) == (1, False)
    tunnel, back = router.receive(hack(asked), 0.1)
    assert tunnel == fa.AddTunnel(PCOA, NCOA, MN)
    assert (back.destination, back.link_layer) == (NCOA, None)


def test_hi_retransmission() -> None:
    """HI is repeated three times with doubled waits; then the FBU is refused (F25)."""
    router = AccessRouter(CONFIG)
    router.receive(fbu(), 0.0)
    log = until(router, 1.6)
    assert [round(t, 3) for t, a in log if sent([a], HandoverInitiate)] == [0.1, 0.3, 0.7]
    time, refusal = log[-1]
    assert time == pytest.approx(1.5)
    assert refusal == fa.SendMessage(FastBindingAck(128, 1, 0), OWN[1], PCOA, MN, PCOA)
    assert router.bindings == 0


@pytest.mark.parametrize(
    ("code", "ncoa", "status", "endpoint"),
    [
        (HAckCode.NCOA_ASSIGNED, NEXT[7], 1, NEXT[7]),
        (HAckCode.NCOA_INVALID, NEXT[7], 1, NEXT[7]),
        (HAckCode.NCOA_ASSIGNED, NCOA, 0, NCOA),
        (HAckCode.NCOA_INVALID, None, 128, None),
        (HAckCode.NCOA_ASSIGNED, PLAIN[7], 128, None),
        (HAckCode.USE_PCOA, None, 1, NEXT[1]),
        (HAckCode.UNSPECIFIED, None, 128, None),
        (HAckCode.PROHIBITED, None, 129, None),
        (HAckCode.INSUFFICIENT_RESOURCES, None, 130, None),
        (200, None, 128, None),
    ],
)
def test_hack_codes(code: int, ncoa: IPv6Address | None, status: int, endpoint: IPv6Address | None) -> None:
    """What a HAck says becomes the FBack's status; an assigned NCoA, or PCoA, travels in it (F30, F31)."""
    router = AccessRouter(CONFIG)
    actions = router.receive(hack(router.receive(fbu(), 0.0), code, ncoa), 0.1)
    ack = sent(actions, FastBindingAck)[0].message
    assert ack.status == status
    supplied = PCOA if code == HAckCode.USE_PCOA else endpoint
    assert ack.alternate_coa == (supplied if status == 1 else None)
    tunnels = [a for a in actions if isinstance(a, fa.AddTunnel)]
    assert [t.endpoint for t in tunnels] == ([endpoint] if endpoint else [])


@pytest.mark.parametrize(
    ("code", "ncoa", "status"),
    [(HAckCode.USE_PCOA, None, 1), (HAckCode.NCOA_VALID, None, 128), (HAckCode.NCOA_ASSIGNED, NEXT[7], 128)],
)
def test_no_tunnel_to_an_ncoa_where_nodes_use_dhcp(code: int, ncoa: IPv6Address | None, status: int) -> None:
    """An NAR whose link wants DHCP must forward to PCoA; one that takes an NCoA is refused (F15, 6.1.2)."""
    neighbours = tuple(evolve(n, dhcp=True) for n in NEIGHBOURS)
    router = AccessRouter(evolve(CONFIG, neighbours=neighbours))
    begun = router.receive(fbu(), 0.0)
    assert router.foresee() is None
    actions = router.receive(hack(begun, code, ncoa), 0.1)
    assert sent(actions, FastBindingAck)[0].message.status == status
    assert [a.endpoint for a in actions if isinstance(a, fa.AddTunnel)] == ([NEXT[1]] if status == 1 else [])


def test_what_follows_a_hack_is_foreseen() -> None:
    """Tunnel and FBacks as the HAck will bring them; not twice, and not once something else came between."""
    router = AccessRouter(CONFIG)
    begun = router.receive(fbu(), 0.0)
    foreseen = router.foresee()
    assert foreseen is not None
    assert router.foresee() is None
    came = hack(begun)
    assert (came.source, came.message) == (foreseen.neighbour, foreseen.ack)
    assert router.receive(came, 0.1) == [foreseen.tunnel, *foreseen.answers]
    for between in (OrderHandover(PCOA, b"nowhere"), Barred(NEXT[1])):
        other = AccessRouter(CONFIG)
        other.receive(fbu(), 0.0)
        other.receive(between, 0.0)
        assert other.foresee() is None


def test_unsolicited_and_stray_hacks_are_no_answers() -> None:
    """A HAck with code 4, with another sequence number, or from elsewhere changes nothing."""
    router = AccessRouter(CONFIG)
    right = hack(router.receive(fbu(), 0.0))
    assert router.receive(evolve(right, source=PLAIN[1]), 0.1) == []
    assert router.receive(evolve(right, message=HandoverAcknowledge(99, 0)), 0.1) == []
    stray = HandoverAcknowledge(right.message.sequence, HAckCode.UNSOLICITED)
    assert router.receive(evolve(right, message=stray), 0.1) == []
    assert len(router.receive(right, 0.1)) == 3
    assert router.receive(right, 0.1) == [], "and it is an answer only once"


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (fbu(alternate_coa=PLAIN[9]), 129),
        (fbu(alternate_coa=IPv6Address("2001:db8:9::9")), 129),
        (fbu(alternate_coa=OWN[9]), 129),
    ],
)
def test_ncoa_must_be_of_a_fast_neighbour(message: Received, status: int) -> None:
    """An NCoA outside the neighbours' prefixes, or behind one without FMIPv6, is refused (F21)."""
    router = AccessRouter(CONFIG)
    (refusal,) = router.receive(message, 0.0)
    assert refusal.message == FastBindingAck(status, 1, 0)
    assert router.bindings == 0


@pytest.mark.parametrize(
    "message",
    [fbu(home_address=NEXT[5]), fbu(source=IPv6Address("2001:db8:7::7"))],
)
def test_fbu_of_nobody_here_is_dropped(message: Received) -> None:
    """An FBU for another link's PCoA, or from neither PCoA nor NCoA, is not even answered."""
    router = AccessRouter(CONFIG)
    assert router.receive(message, 0.0) == []
    assert sum(router.dropped.values()) == 1


def test_unauthenticated_messages() -> None:
    """Without `insecure`, FBU, HI and HAck that are not authenticated do nothing at all (F20, F48)."""
    protected = (evolve(NEIGHBOURS[0], protected=True),)
    router = AccessRouter(evolve(CONFIG, insecure=False, neighbours=protected))
    assert router.receive(fbu(), 0.0) == []
    assert router.receive(hi(), 0.0) == []
    asked = router.receive(evolve(fbu(), authenticated=True), 0.0)
    assert router.receive(hack(asked), 0.1) == []
    assert len(router.receive(evolve(hack(asked), authenticated=True), 0.1)) == 3
    assert sum(router.dropped.values()) == 3


def test_prefixes_are_64_bits_long() -> None:
    """A prefix of another length is a configuration error, because an NCoA is formed from 64 bits (F21)."""
    with pytest.raises(ConfigError, match="is no /64"):
        Neighbour(NEXT[1], LLA, IPv6Network("2001:db8::/32"))


def test_repeated_fbu_without_hack() -> None:
    """A second FBU while HI waits starts no second HI, and it is the one that the FBack answers."""
    router = AccessRouter(CONFIG)
    asked = router.receive(fbu(1), 0.0)
    assert router.receive(fbu(2), 0.05) == []
    assert sent(router.receive(hack(asked), 0.1), FastBindingAck)[0].message.sequence == 2


def test_second_fbu_refreshes() -> None:
    """Another FBU for the same binding is acknowledged at once, without HI, and moves the lifetime."""
    router = bound()
    actions = router.receive(fbu(2, NCOA, lifetime_s=2), 5.0)
    assert [a.message for a in actions] == [FastBindingAck(0, 2, 2)]
    assert until(router, 8.0) == [(7.0, fa.RemoveTunnel(PCOA, NCOA))]


def test_lifetime_is_bounded() -> None:
    """The PAR grants tens of seconds at most (F46)."""
    router = AccessRouter(CONFIG)
    actions = router.receive(hack(router.receive(fbu(lifetime_s=65535), 0.0)), 0.0)
    assert sent(actions, FastBindingAck)[0].message.lifetime_s == 60


def test_replayed_fbu() -> None:
    """A repeated, late or older FBU does nothing, also after the binding has ended."""
    router = bound()
    assert router.receive(fbu(1), 1.0) == []
    assert router.receive(fbu(0), 1.0) == []
    router.receive(fbu(5, NCOA, lifetime_s=0), 2.0)
    assert router.receive(fbu(4, NCOA), 2.1) == []
    assert router.bindings == 0
    until(router, 12.1)
    assert sent(router.receive(fbu(4, NCOA), 12.2), HandoverInitiate), "the memory is short"


@pytest.mark.parametrize("source", [PCOA, NCOA])
def test_fbu_with_lifetime_zero(source: IPv6Address) -> None:
    """Lifetime 0 ends the tunnel at once; from PCoA the node is on this link again (F44)."""
    router = bound()
    actions = router.receive(fbu(2, source, lifetime_s=0), 1.0)
    assert actions[0] == fa.RemoveTunnel(PCOA, NCOA, returned=source == PCOA)
    assert actions[-1].message == FastBindingAck(0, 2, 0)
    assert (fa.AdmitNode(PCOA, MN) in actions) is (source == PCOA)
    assert sent(router.receive(fbu(3, source, lifetime_s=0), 1.1), FastBindingAck), "and is always answered"


def test_fbu_to_another_router_replaces() -> None:
    """A new FBU to another NCoA gets a new HI, and its HAck moves the tunnel (F45)."""
    third = Neighbour(IPv6Address("2001:db8:4::1"), LLA, IPv6Network("2001:db8:4::/64"))
    router = AccessRouter(evolve(CONFIG, neighbours=(*NEIGHBOURS, third)))
    router.receive(hack(router.receive(fbu(), 0.0)), 0.1)
    other = IPv6Address("2001:db8:4::99")
    asked = router.receive(fbu(2, other, alternate_coa=other), 1.0)
    assert sent(asked, HandoverInitiate)[0].destination == third.address
    assert fa.AddTunnel(PCOA, other, MN) in router.receive(hack(asked), 1.1)
    assert (21.1, fa.RemoveTunnel(PCOA, other)) in until(router, 22.0)


def test_refused_replacement_keeps_the_tunnel() -> None:
    """Where the other router refuses, the earlier tunnel stays until its own end."""
    third = Neighbour(IPv6Address("2001:db8:4::1"), LLA, IPv6Network("2001:db8:4::/64"))
    router = AccessRouter(evolve(CONFIG, neighbours=(*NEIGHBOURS, third)))
    router.receive(hack(router.receive(fbu(), 0.0)), 0.1)
    other = IPv6Address("2001:db8:4::99")
    asked = router.receive(fbu(2, other, alternate_coa=other), 1.0)
    released, refusal = router.receive(hack(asked, 130), 1.1)
    assert released == fa.ReleaseNode(PCOA)
    assert (refusal.message.status, refusal.destination) == (130, other)
    assert (20.1, fa.RemoveTunnel(PCOA, NCOA)) in until(router, 22.0)


def test_limits() -> None:
    """One binding or expected node too many is refused for lack of resources (section 10)."""
    router = AccessRouter(evolve(CONFIG, max_bindings=1, max_expected=1))
    router.receive(fbu(), 0.0)
    second = fbu(home_address=OWN[5], source=OWN[5], alternate_coa=NEXT[5])
    (refusal,) = router.receive(second, 0.0)
    assert refusal.message.status == 130
    router.receive(hi(1), 0.0)
    (nack,) = router.receive(hi(2, ncoa=OWN[5]), 0.0)
    assert nack.message.code == HAckCode.INSUFFICIENT_RESOURCES


def test_state_of_refused_nodes_is_bounded() -> None:
    """Ten thousand refused FBUs leave no more memory than the limit allows."""
    router = AccessRouter(evolve(CONFIG, max_bindings=10))
    for n in range(10_000):
        router.receive(fbu(home_address=OWN[n + 9], source=OWN[n + 9], alternate_coa=PLAIN[9]), 0.0)
    assert len(router._previous._bindings) == 20
    until(router, 11.0)
    assert len(router._previous._bindings) == 0
