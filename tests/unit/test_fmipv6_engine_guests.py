"""Addresses at the new router's engine of FMIPv6: probed, taken, assigned, kept (RFC 5568 section 4)."""

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from engine_kit import until
from fmipv6_kit import kinds, messages

from lies_fmipv6 import actions as fa
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
    Naack,
    NaackStatus,
    NeighbourAdvertisement,
    NeighbourSolicitation,
    RouterAdvertisement,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.parameters import (
    ALL_NODES,
    UNSPECIFIED,
    AccessRouterConfig,
    Duplicates,
    Neighbour,
    Parameters,
    other_address,
    solicited_node,
)

OWN, NEXT = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
MN, OTHER = b"\2\0\0\0\x99\0", b"\2\0\0\0\x66\0"
NCOA, PCOA = OWN[0x99], NEXT[0x99]
LOCAL = IPv6Address("fe80::2:1")
NEIGHBOUR = Neighbour(NEXT[1], b"\2\0\0\0\2\2", NEXT)
CONFIG = AccessRouterConfig(OWN[1], LOCAL, b"\2\0\0\0\2\1", OWN, neighbours=(NEIGHBOUR,), insecure=True)
ASSIGNED = other_address(OWN, MN, 0)


def a_router(**more: Any) -> AccessRouter:
    """A router where the node OTHER has NCOA, unless told otherwise."""
    taken = more.pop("taken", True)
    router = AccessRouter(evolve(CONFIG, **more))
    if taken:
        router.receive(una(OTHER), 0.0)
    return router


def hi(sequence: int = 1, code: int = 0, **more: Any) -> Received:
    """An HI about NCOA."""
    fields = {"mn_lla": MN, "pcoa": PCOA, "ncoa": NCOA, "buffer": code == 0, **more}
    message = HandoverInitiate(sequence=sequence, code=code, assigned_address=False, **fields)
    return Received(message, NEXT[1], OWN[1])


def una(lla: bytes = MN, target: IPv6Address = NCOA) -> Received:
    """A UNA on the access link."""
    return Received(UnsolicitedNeighbourAdvertisement(target, lla), target, ALL_NODES, lla)


def objection(lla: bytes = OTHER, target: IPv6Address = NCOA) -> Received:
    """The answer to a probe by who has the address."""
    return Received(NeighbourAdvertisement(target, lla, override=True), target, ALL_NODES, lla)


def hack_of(actions: list[Any]) -> HandoverAcknowledge:
    """The HAck among actions."""
    (ack,) = messages(actions, HandoverAcknowledge)
    assert isinstance(ack, HandoverAcknowledge)
    return ack


def naack_of(actions: list[Any]) -> tuple[Naack | None, fa.SendMessage]:
    """The NAACK among actions, and how it is sent."""
    (action,) = [a for a in actions if messages([a], RouterAdvertisement)]
    return action.message.naack, action


# duplicate address detection (F28)


@pytest.mark.parametrize("probes", [1, 3])
def test_an_ncoa_is_probed_before_it_is_defended(probes: int) -> None:
    """DupAddrDetectTransmits probes from ::, a second each; then the proxy entry, then the HAck (F28)."""
    router = a_router(taken=False, dad_transmits=probes)
    probe = fa.SendMessage(NeighbourSolicitation(NCOA), UNSPECIFIED, solicited_node(NCOA))
    assert router.receive(hi(), 0.0) == [probe]
    log = until(router, probes + 0.001)
    assert log[: probes - 1] == [(float(n), probe) for n in range(1, probes)]
    assert log[probes - 1 :] == [
        (float(probes), fa.ExpectNode(NCOA, MN, buffer=True)),
        (float(probes), fa.SendMessage(HandoverAcknowledge(1, 0), OWN[1], NEXT[1])),
        (float(probes), fa.DefendNode(NCOA, MN)),
    ]
    assert router.receive(una(), probes + 1.0) == [fa.AdmitNode(NCOA, MN)]


def test_without_probes_nothing_waits() -> None:
    """DupAddrDetectTransmits 0: proxy entry and HAck at once (section 5.5)."""
    assert kinds(a_router(taken=False).receive(hi(), 0.0)) == [
        "ExpectNode",
        "HandoverAcknowledge",
        "DefendNode",
    ]


def test_an_ncoa_whose_probe_is_answered_is_taken() -> None:
    """Who has the address objects: it is not defended, and the node gets another one (F28, F29)."""
    router = a_router(taken=False, dad_transmits=1)
    router.receive(hi(), 0.0)
    assert router.receive(objection(target=OWN[0x77]), 0.1) == [], "about another address"
    assert router.receive(objection(MN), 0.1) == [], "the node itself"
    actions = router.receive(objection(), 0.2)
    assert actions[0] == fa.ExpectNode(ASSIGNED, MN, buffer=True)
    assert hack_of(actions) == HandoverAcknowledge(1, HAckCode.NCOA_ASSIGNED, ASSIGNED)
    assert router.receive(objection(), 0.3) == []
    assert until(router, 3.0) == [(1.7, fa.ForgetNode(ASSIGNED))]


def test_a_repeated_hi_does_not_probe_again() -> None:
    """Repetitions while the probe waits get one HAck, to the newest of them; a PAR's retries last longer."""
    router = a_router(taken=False, dad_transmits=1)
    router.receive(hi(1), 0.0)
    for time, sequence in ((0.1, 1), (0.3, 1), (0.7, 2)):
        assert router.receive(hi(sequence), time) == []
    assert [a.message.sequence for _, a in until(router, 1.5) if isinstance(a, fa.SendMessage)] == [2]
    p = Parameters()
    assert p.first_wait_s * (2 ** (p.hi_retries + 1) - 1) > p.dad_retrans_s


@pytest.mark.parametrize("how", ["UNA", "HI code 1"])
def test_a_node_that_comes_while_it_is_probed(how: str) -> None:
    """Its UNA, or the PAR's word that it is there, ends the probe: it is admitted."""
    router = a_router(taken=False, dad_transmits=1)
    router.receive(hi(1), 0.0)
    actions = router.receive(una() if how == "UNA" else hi(2, 1), 0.2)
    assert actions[0] == fa.AdmitNode(NCOA, MN)
    assert {m.code for m in messages(actions, HandoverAcknowledge)} == {0}
    assert until(router, 5.0) == []
    assert router.expected == 0


# taken addresses (F29, F30, F31)


def test_a_taken_ncoa_is_replaced() -> None:
    """By default the node is given a free address: HAck 2 with it, which is expected and defended (F29)."""
    router = a_router()
    expect, answer, _ = router.receive(hi(), 0.1)
    assert expect == fa.ExpectNode(ASSIGNED, MN, buffer=True)
    assert answer.message == HandoverAcknowledge(1, HAckCode.NCOA_ASSIGNED, ASSIGNED)
    assert router.receive(hi(), 0.2) == [answer], "the same to a repetition"
    assert router.receive(una(target=ASSIGNED), 0.3) == [fa.AdmitNode(ASSIGNED, MN)]
    router.receive(una(OTHER, other_address(OWN, OTHER, 0)), 0.4)
    assert hack_of(router.receive(hi(9), 20.0)).ncoa == ASSIGNED, "its own again the next time"


def test_an_assigned_address_is_never_another_nodes() -> None:
    """Where the first free address is taken too, the next one is given; the router's own never is."""
    router = a_router()
    router.receive(una(OTHER, ASSIGNED), 0.1)
    given = hack_of(router.receive(hi(), 0.2)).ncoa
    assert given == other_address(OWN, MN, 1)
    router = AccessRouter(evolve(CONFIG, address=ASSIGNED))
    router.receive(una(OTHER), 0.0)
    answer = router.receive(hi(), 0.1)
    assert messages(answer, HandoverAcknowledge)[0].ncoa == other_address(OWN, MN, 1)


def test_a_taken_ncoa_is_refused() -> None:
    """Duplicates = refuse: HAck 1 without an address, nothing is expected (F29)."""
    router = a_router(duplicates=Duplicates.REFUSE)
    assert router.receive(hi(), 0.1) == [
        fa.SendMessage(HandoverAcknowledge(1, HAckCode.NCOA_INVALID), OWN[1], NEXT[1])
    ]


@pytest.mark.parametrize("why", [{"duplicates": Duplicates.HOST_ROUTE}, {"dhcp": True, "taken": False}])
def test_pcoa_is_kept_by_a_host_route(why: dict[str, Any]) -> None:
    """Host route and reverse tunnel, packets wait until the node shows, HAck 3; it ends in time (F31)."""
    router = a_router(**why)
    route, expect, answer, _ = router.receive(hi(), 0.1)
    assert route == fa.AddHostRoute(PCOA, NEXT[1])
    assert expect == fa.ExpectNode(PCOA, MN, buffer=True)
    assert answer.message == HandoverAcknowledge(1, HAckCode.USE_PCOA)
    assert router.receive(una(target=PCOA), 0.2) == [fa.AdmitNode(PCOA, MN)]
    assert until(router, 60.1) == []
    assert until(router, 60.3) == [(60.2, fa.RemoveHostRoute(PCOA, NEXT[1]))]
    assert router.receive(una(target=PCOA), 61.0) == [], "an address of another link again"


def test_a_host_route_whose_node_does_not_come() -> None:
    """After PROXY_ND_LIFETIME both the wait and the route are over (F31)."""
    router = a_router(duplicates=Duplicates.HOST_ROUTE)
    router.receive(hi(), 0.1)
    assert until(router, 2.0) == [(1.6, fa.ForgetNode(PCOA)), (1.6, fa.RemoveHostRoute(PCOA, NEXT[1]))]


@pytest.mark.parametrize("pcoa", [None, IPv6Address("2001:db8:9::99"), OWN[0x55]])
def test_no_host_route_for_what_is_not_the_pars(pcoa: IPv6Address | None) -> None:
    """A PAR has host routes for addresses of its own link only, and steals nobody else's (s. 10)."""
    router = a_router(duplicates=Duplicates.HOST_ROUTE)
    assert hack_of(router.receive(hi(pcoa=pcoa), 0.1)).code == HAckCode.NCOA_INVALID
    assert router.expected == 0


def test_hi_code_1_makes_no_host_route() -> None:
    """HI code 1 has none of the steps of code 0, with DHCP or a taken NCoA either (F32)."""
    for router in (a_router(dhcp=True, taken=False), a_router(duplicates=Duplicates.HOST_ROUTE)):
        assert kinds(router.receive(hi(1, 1), 0.1)) == ["HandoverAcknowledge"]


# answers to UNA (F40)


def test_a_una_for_a_taken_address_is_answered_with_another() -> None:
    """RA with NAACK 2 to the UNA's source address and link-layer address; what was there stays (F40)."""
    router = a_router()
    actions = router.receive(una(), 1.0)
    naack, how = naack_of(actions)
    assert naack == Naack(NaackStatus.USE_SUPPLIED, ASSIGNED)
    assert (how.source, how.destination, how.link_layer) == (LOCAL, NCOA, MN)
    assert len(actions) == 1
    assert router.receive(una(target=ASSIGNED), 1.1) == [fa.AdmitNode(ASSIGNED, MN)]
    assert router.receive(una(OTHER), 1.2) == [fa.AdmitNode(NCOA, OTHER)]


def test_a_una_for_a_taken_address_without_another() -> None:
    """Where the router assigns none: NAACK 1, configure an address anew (F40)."""
    router = a_router(duplicates=Duplicates.REFUSE)
    assert naack_of(router.receive(una(), 1.0))[0] == Naack(NaackStatus.CONFIGURE)


def test_a_una_of_a_node_whose_pcoa_is_kept() -> None:
    """It missed its FBack: NAACK 4 with PCoA, whose packets go to it; no proxy for NCoA is left (F40)."""
    router = a_router(duplicates=Duplicates.HOST_ROUTE)
    router.receive(hi(), 0.1)
    actions = router.receive(una(), 0.2)
    assert actions[0] == fa.AdmitNode(PCOA, MN)
    assert naack_of(actions)[0] == Naack(NaackStatus.PCOA_SUPPLIED, PCOA)
    assert router.expected == 0


def test_a_node_with_a_kept_pcoa_that_gets_an_address_here() -> None:
    """Announced anew with an address that is free, it is admitted with that, and not told to keep PCoA."""
    router = a_router(duplicates=Duplicates.HOST_ROUTE)
    router.receive(hi(), 0.1)
    router.receive(una(target=PCOA), 0.2)
    free = OWN[0x55]
    assert router.receive(hi(2, ncoa=free), 5.0)[0] == fa.ExpectNode(free, MN, buffer=True)
    assert router.receive(una(target=free), 5.1) == [fa.AdmitNode(free, MN)]


def test_an_assigned_address_belongs_to_who_it_was_given() -> None:
    """The next handover's key is found by whose the address is, though it tells no link-layer address."""
    router = a_router(keys={MN: b"k" * 32})
    assert router.key_for(ASSIGNED) is None
    router.receive(hi(), 0.1)
    assert router.key_for(ASSIGNED) == b"k" * 32
    router.receive(una(OTHER, OWN[0x1234]), 0.2)
    assert router.key_for(OWN[0x1234]) is None
