"""What an access router says unasked, and links that want DHCP (RFC 5568 sections 3.3, 5.2 and 6.1.2)."""

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from fmipv6_kit import (
    CONFIG as NODE,
)
from fmipv6_kit import (
    HEADER,
    PAR_LOCAL,
    attached,
    fback,
    kinds,
    leaving,
    messages,
    poas,
    until,
)
from net import Net
from net_drives import leftovers, lost, sent_by
from net_nodes import MN_LLA, coa_of, poa_of, prefix_of

from lies.events import DownReason, LinkDown, LinkUp, PoAFound, Quality
from lies_fmipv6 import actions as fa
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.items import AddressConfigured, OrderHandover, Received, access_point_id
from lies_fmipv6.messages import (
    AccessPointInfo,
    FastBindingUpdate,
    HandoverInitiate,
    OptionCode,
    PrefixInformation,
    PrRtAdv,
    PrRtAdvCode,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
)
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import ALL_NODES, ALL_ROUTERS, UNSPECIFIED, AccessRouterConfig, Neighbour
from lies_fmipv6.states import MobileNodeState

OWN, NEXT, THIRD = (IPv6Network(f"2001:db8:{n}::/64") for n in (1, 2, 3))
LOCAL, LLA = IPv6Address("fe80::2:1"), b"\2\0\0\0\2\1"
HERE, THERE, LEASED, PLAIN = (access_point_id(poa_of(n)) for n in (1, 2, 3, 4))
PCOA = OWN[0x99]
NEIGHBOURS = (
    Neighbour(NEXT[1], b"\2\0\0\0\2\2", NEXT, (THERE,)),
    Neighbour(THIRD[1], b"\2\0\0\0\2\3", THIRD, (LEASED,), dhcp=True),
    Neighbour(IPv6Address("2001:db8:4::1"), b"\2\0\0\0\2\4", IPv6Network("2001:db8:4::/64"), (PLAIN,), False),
)
CONFIG = AccessRouterConfig(OWN[1], LOCAL, LLA, OWN, (HERE,), NEIGHBOURS, insecure=True)


def prrtadvs(actions: list[Any]) -> list[PrRtAdv]:
    """The PrRtAdvs among actions."""
    return messages(actions, PrRtAdv)


def log_until(router: AccessRouter, end: float) -> list[tuple[float, Any]]:
    """Let time pass; what happened, with times."""
    log: list[tuple[float, Any]] = []
    while (due := router.next_timeout()) is not None and due <= end:
        log += [(round(due, 3), a) for a in router.handle_timeout(due)]
    return log


# network-initiated handover (F13, F14)


@pytest.mark.parametrize("ncoa", [None, NEXT[0x77]])
def test_an_order_is_a_prrtadv_with_code_1(ncoa: IPv6Address | None) -> None:
    """Code 1, identifier 0, the router's tuple and the NCoA if there is one, to the node (F13, 6.1.2)."""
    router = AccessRouter(CONFIG)
    (sent,) = router.receive(OrderHandover(PCOA, THERE, ncoa), 0.0)
    info = AccessPointInfo(THERE, OptionCode.TUPLE_FOLLOWS, b"\2\0\0\0\2\2", NEXT[1], NEXT, ncoa)
    assert sent == fa.SendMessage(PrRtAdv(PrRtAdvCode.HANDOVER, 0, LLA, (info,)), LOCAL, PCOA)


def test_an_order_is_repeated_until_the_fbu() -> None:
    """Three repetitions with doubled waits; an FBU of the node ends them, and nobody else's does."""
    router = AccessRouter(CONFIG)
    router.receive(OrderHandover(PCOA, THERE), 0.0)
    assert [t for t, _ in log_until(router, 5.0)] == [0.1, 0.3, 0.7]
    router.receive(OrderHandover(PCOA, THERE), 10.0)
    other = FastBindingUpdate(1, 20, OWN[5], NEXT[5], b"\2\0\0\0\0\5")
    router.receive(Received(other, OWN[5], OWN[1], b"\2\0\0\0\0\5"), 10.05)
    assert prrtadvs([a for _, a in log_until(router, 10.2)])
    router.receive(Received(FastBindingUpdate(1, 20, PCOA, NEXT[0x99], MN_LLA), PCOA, OWN[1], MN_LLA), 10.25)
    assert not prrtadvs([a for _, a in log_until(router, 20.0)])


def test_packets_go_to_the_old_link_until_the_fbu() -> None:
    """An order alone makes no HI, no tunnel and no binding, however long no FBU comes (F14)."""
    router = AccessRouter(CONFIG)
    actions = router.receive(OrderHandover(PCOA, THERE), 0.0) + [a for _, a in log_until(router, 60.0)]
    assert set(kinds(actions)) == {"PrRtAdv"}
    assert router.bindings == 0


@pytest.mark.parametrize(
    "order",
    [
        OrderHandover(PCOA, b"\2\0\0\0\1\x63"),
        OrderHandover(PCOA, HERE),
        OrderHandover(PCOA, PLAIN),
        OrderHandover(PCOA, LEASED),
        OrderHandover(PCOA, THERE, THIRD[9]),
        OrderHandover(NEXT[9], THERE),
    ],
    ids=["unknown", "this router's", "no FMIPv6", "DHCP", "NCoA elsewhere", "another link's node"],
)
def test_orders_that_cannot_be_followed(order: OrderHandover) -> None:
    """Where there is no fast handover nothing is ordered, and the order is counted."""
    router = AccessRouter(CONFIG)
    assert router.receive(order, 0.0) == []
    assert sum(router.dropped.values()) == 1


def test_orders_are_bounded() -> None:
    """No more orders wait for their FBU than bindings are allowed."""
    router = AccessRouter(evolve(CONFIG, max_bindings=3))
    sent = [len(router.receive(OrderHandover(OWN[n], THERE), 0.0)) for n in range(9, 15)]
    assert sent == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("supplied", [False, True])
def test_an_ordered_handover_from_end_to_end(supplied: bool) -> None:
    """The order is followed though nothing fades: FBU from the old link, nothing lost, NCoA as told (F13)."""
    net = Net(2)
    net.start()
    net.radio.set_quality(poa_of(2), Quality.GOOD)
    par = net.routers[0]
    ncoa = prefix_of(2)[0x4321] if supplied else None
    sent = net.stream(0.5)
    par.runner.feed(OrderHandover(coa_of(1), access_point_id(poa_of(2)), ncoa))
    sent += net.stream(2.0)
    net.run(5.0)
    assert net.mobile.engine.coa == (ncoa or coa_of(2))
    assert [d.mode for d in net.done()] == ["predictive"]
    assert lost(net, sent) == []
    assert leftovers(net) == []
    order = next(t for t, a in par.runner.log if prrtadvs([a]) and a.message.code == PrRtAdvCode.HANDOVER)
    assert order < sent_by(net.mobile.fmip.log, FastBindingUpdate)[0][0]
    assert order < sent_by(par.runner.log, HandoverInitiate)[0][0]


# the neighbourhood, unasked (code 4)


def test_the_neighbourhood_is_announced() -> None:
    """With `announce`, a solicited RA is followed by code 4, identifier 0, with every tuple (F15, 6.1.2)."""
    router = AccessRouter(evolve(CONFIG, announce=True))
    asker = IPv6Address("fe80::99")
    rs = Received(RouterSolicitation(MN_LLA), asker, ALL_ROUTERS, MN_LLA)
    ra, adv = router.receive(rs, 0.0)
    assert isinstance(ra, fa.SendMessage)
    assert isinstance(ra.message, RouterAdvertisement)
    info = AccessPointInfo(THERE, OptionCode.TUPLE_FOLLOWS, b"\2\0\0\0\2\2", NEXT[1], NEXT)
    assert adv == fa.SendMessage(PrRtAdv(PrRtAdvCode.NEIGHBOURHOOD, 0, LLA, (info,)), LOCAL, asker, MN_LLA)
    assert len(router.receive(evolve(rs, source=UNSPECIFIED, message=RouterSolicitation()), 0.0)) == 1
    assert len(AccessRouter(CONFIG).receive(rs, 0.0)) == 1


def test_an_announced_neighbourhood_needs_no_question() -> None:
    """A node that was told asks for nothing before its handover, and code 4 alone moves nobody (F15)."""
    net = Net(3, router={"announce": True})
    net.start()
    net.run(5.0)
    assert sent_by(net.mobile.fmip.log, RtSolPr) == []
    assert net.radio.poa == poa_of(1)
    sent = net.stream(0.1)
    net.fade(1, 2)
    sent += net.stream(2.0)
    assert [a.message.code for _, a in sent_by(net.routers[0].runner.log, PrRtAdv)] == [4]
    net.run(5.0)
    assert [d.mode for d in net.done()] == ["predictive"]
    assert lost(net, sent) == []


# links that want DHCP (code 5)


def test_tuples_of_links_that_want_dhcp_travel_apart() -> None:
    """Code 5 is said of a whole message, so there are two to one question, with one identifier (6.1.2)."""
    router = AccessRouter(CONFIG)
    asked = Received(RtSolPr(7, MN_LLA, (THERE, LEASED, PLAIN)), PCOA, LOCAL, MN_LLA)
    first, second = prrtadvs(router.receive(asked, 0.0))
    assert (first.code, first.identifier) == (PrRtAdvCode.PARTIAL, 7)
    assert [i.access_point for i in first.access_points] == [THERE, PLAIN]
    assert (second.code, second.identifier) == (PrRtAdvCode.USE_DHCP, 7)
    assert [(i.access_point, i.prefix) for i in second.access_points] == [(LEASED, THIRD)]
    (only,) = prrtadvs(router.receive(evolve(asked, message=RtSolPr(8, MN_LLA, (LEASED,))), 0.0))
    assert only.code == PrRtAdvCode.USE_DHCP
    everything = prrtadvs(router.receive(evolve(asked, message=RtSolPr(9, MN_LLA, (), True)), 0.0))
    assert [a.code for a in everything] == [PrRtAdvCode.TUPLES, PrRtAdvCode.USE_DHCP]


def test_a_link_with_dhcp_advertises_no_prefix_for_addresses() -> None:
    """The RA of a router whose link wants DHCP has no A flag: nobody forms an address of its prefix."""
    rs = Received(RouterSolicitation(), UNSPECIFIED, ALL_ROUTERS)
    (ra,) = messages(AccessRouter(evolve(CONFIG, dhcp=True)).receive(rs, 0.0), RouterAdvertisement)
    assert [p.autonomous for p in ra.prefixes] == [False]


def leased(*, client: bool) -> MobileNode:
    """A node at router 1 that was told that the link of router 2 wants DHCP; client: it has one."""
    mn = attached(evolve(NODE, dhcp=client))
    (asked,) = messages(mn.receive(poas(p1=Quality.GOOD, p2=Quality.GOOD), 0.02), RtSolPr)
    info = AccessPointInfo(access_point_id(poa_of(2)), 1, b"\2\0\0\0\2\2", prefix_of(2)[1], prefix_of(2))
    adv = PrRtAdv(PrRtAdvCode.USE_DHCP, asked.identifier, None, (info,))
    mn.receive(Received(adv, PAR_LOCAL, coa_of(1)), 0.03)
    return mn


def test_without_a_client_a_link_that_wants_dhcp_is_no_candidate() -> None:
    """A node that cannot do DHCP does not move there by itself."""
    mn = leased(client=False)
    assert messages(leaving(mn), FastBindingUpdate) == []


@pytest.mark.parametrize("ack", [fback(0, 0xFFFF), fback(1, 0xFFFF, alternate_coa=coa_of(1))])
def test_an_ncoa_is_formed_for_the_fbu_only(ack: Received) -> None:
    """Code 5: NCoA in the FBU, no data from it; PCoA at the new link until DHCP has an address (F15, 5.2)."""
    mn = leased(client=True)
    (fbu,) = messages(leaving(mn), FastBindingUpdate)
    assert (fbu.home_address, fbu.alternate_coa) == (coa_of(1), coa_of(2))
    mn.receive(ack, 5.1)
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    actions = mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    assert not [a for a in actions if isinstance(a, fa.CompleteHandover)]
    assert fa.ConfigureAddress("wlan0") in actions
    assert mn.coa == coa_of(1)
    assert not [a for _, a in until(mn, 20.0) if isinstance(a, fa.UseRouter)], "it forms none by itself"
    assert mn.receive(AddressConfigured(prefix_of(7)[5]), 20.1) == [], "an address of another link"
    lease = prefix_of(2)[0x5555]
    use, changed = mn.receive(AddressConfigured(lease), 20.2)
    assert use.coa == lease
    assert (changed.report.coa, changed.report.previous) == (str(lease), str(coa_of(1)))
    assert mn.coa == lease


def test_a_broken_link_to_one_that_wants_dhcp() -> None:
    """Reactive: no UNA and no FBU with a formed NCoA; with the leased address the FBU goes out (F15, F16)."""
    mn = leased(client=True)
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
    actions = mn.receive(LinkUp(HEADER, poa_of(2)), 5.1)
    assert kinds(actions) == ["ConfigureAddress", "RouterSolicitation"]
    ra = RouterAdvertisement(
        source_lla=b"\2\0\0\0\2\2", prefixes=(PrefixInformation(prefix_of(2), 60, 60, True, False),)
    )
    assert mn.receive(Received(ra, IPv6Address("fe80::2:2"), ALL_NODES), 5.2) == []
    lease = prefix_of(2)[0x5555]
    actions = mn.receive(AddressConfigured(lease), 6.0)
    (fbu,) = messages(actions, FastBindingUpdate)
    assert (fbu.home_address, fbu.alternate_coa) == (coa_of(1), lease)
    assert (mn.state, mn.coa) == (MobileNodeState.REBINDING, lease)


def test_addresses_that_nobody_asked_for() -> None:
    """An address that turns up where DHCP was not wanted changes nothing."""
    mn = attached()
    mn.receive(PoAFound(HEADER, ()), 1.0)
    assert mn.receive(AddressConfigured(prefix_of(1)[0x5555]), 1.0) == []
    assert mn.coa == coa_of(1)


def test_a_predictive_handover_to_a_link_that_wants_dhcp() -> None:
    """From end to end: HAck 3, PCoA at the new link, then the leased address; nothing lost, nothing left."""
    net = Net(2, dhcp=True, home_s=0.01)
    for n, router in enumerate(net.routers):
        neighbours = tuple(evolve(o, dhcp=o.prefix == prefix_of(2)) for o in router.config.neighbours)
        router.config = evolve(router.config, neighbours=neighbours, dhcp=n == 1)
        router.runner.engine = AccessRouter(router.config, net.parameters)
    net.start()
    sent = net.stream(0.2)
    net.fade(1, 2)
    sent += net.stream(1.0)
    assert net.mobile.wants_address
    assert (net.mobile.engine.coa, net.mobile.addresses) == (coa_of(1), {coa_of(1)})
    lease = prefix_of(2)[0x5555]
    net.mobile.fmip.feed(AddressConfigured(lease))
    sent += net.stream(2.0)
    net.run(70.0)
    assert net.mobile.engine.coa == lease
    assert net.mobile.addresses == {lease}
    assert lost(net, sent) == []
    assert leftovers(net) == []
