"""Statements of RFC 5568 that span several parts of the engines, or engine and codec."""

from ipaddress import IPv6Address, IPv6Network
from typing import Any

from attrs import evolve
from fmipv6_kit import (
    CONFIG,
    HEADER,
    PAR,
    advertisement,
    attached,
    leaving,
    messages,
    poas,
    proxy,
    switching,
    until,
)
from net_nodes import coa_of, poa_of, prefix_of

from lies.events import DownReason, LinkDown, LinkUp, Quality
from lies_fmipv6 import actions as fa
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.codec import encode
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    FastBindingUpdate,
    OptionCode,
    PrRtAdv,
    PrRtAdvCode,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import AccessRouterConfig, Neighbour, Parameters

OWN, NEXT = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
LOCAL, ASKER = IPv6Address("fe80::2:1"), OWN[0x99]
HERE = bytes((2, 0, 0, 0, 1, 1))


def answer(router: AccessRouter, rtsolpr: RtSolPr) -> fa.SendMessage:
    """The PrRtAdv to an RtSolPr."""
    (action,) = router.receive(Received(rtsolpr, ASKER, LOCAL, rtsolpr.source_lla), 0.0)
    assert isinstance(action, fa.SendMessage)
    return action


def test_no_prefix_for_the_same_interface() -> None:
    """An access point on the same interface gets option-code 5 and nothing about a router (F09)."""
    config = AccessRouterConfig(OWN[1], LOCAL, b"\2\0\0\0\2\1", OWN, (HERE,), insecure=True)
    adv = answer(AccessRouter(config), RtSolPr(7, None, (HERE,))).message
    assert isinstance(adv, PrRtAdv)
    (info,) = adv.access_points
    assert info.option_code == OptionCode.SAME_INTERFACE
    assert (info.prefix, info.router_address, info.router_lla, info.ncoa) == (None, None, None, None)


def test_wildcard_answer_is_as_long_as_the_link_allows() -> None:
    """The answer to a wildcard, as sent, fits the MTU, and would not with one tuple more (F12)."""
    aps = tuple(bytes((2, 0, 0, 1, 0, n)) for n in range(60))
    neighbour = Neighbour(NEXT[1], b"\2\0\0\0\2\2", NEXT, aps)
    for mtu in (1280, 1400, 1500):
        config = AccessRouterConfig(
            OWN[1], LOCAL, b"\2\0\0\0\2\1", OWN, neighbours=(neighbour,), insecure=True, mtu=mtu
        )
        sent = answer(AccessRouter(config), RtSolPr(7, b"\2\0\0\0\x99\0", wildcard=True))
        adv = sent.message
        assert isinstance(adv, PrRtAdv)
        assert len(encode(adv, sent.source, sent.destination)) <= mtu
        assert len(adv.access_points) < len(aps)
        more = evolve(adv, access_points=(*adv.access_points, adv.access_points[0]))
        assert len(encode(more, sent.source, sent.destination)) > mtu


def test_supplied_ncoa_of_an_ordered_handover() -> None:
    """A care-of address in an unsolicited PrRtAdv with code 1 is the NCoA of the FBU (F13)."""
    ordered = proxy(0, code=PrRtAdvCode.HANDOVER)
    adv = ordered.message
    assert isinstance(adv, PrRtAdv)
    supplied = prefix_of(2)[0x777]
    adv = evolve(adv, access_points=(evolve(adv.access_points[0], ncoa=supplied),))
    (fbu,) = messages(attached().receive(evolve(ordered, message=adv), 1.0), FastBindingUpdate)
    assert fbu.alternate_coa == supplied


def test_unexpected_router() -> None:
    """A node that was bound for one router and meets another sends the PAR an FBU from there (F45)."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    arrived = mn.receive(LinkUp(HEADER, poa_of(3)), 5.3)
    assert messages(arrived, UnsolicitedNeighbourAdvertisement) == []
    actions: list[Any] = list(mn.receive(advertisement(3), 5.35))
    (send,) = [a for a in actions if messages([a], FastBindingUpdate)]
    assert (send.source, send.destination) == (coa_of(3), PAR)
    assert send.message.home_address == coa_of(1)
    assert send.message.alternate_coa in {None, coa_of(3)}
    assert mn.coa == coa_of(3)


def test_timers_are_configurable() -> None:
    """FBU_RETRIES, RTSOLPR_RETRIES and MAX_RTSOLPR_RATE are the node's own parameters (section 9)."""
    mn = MobileNode(CONFIG, Parameters(fbu_retries=1, rtsolpr_retries=1, max_rtsolpr_rate=1))
    mn.receive(LinkUp(HEADER, poa_of(1)), 0.0)
    mn.receive(advertisement(), 0.01)
    (asked,) = messages(mn.receive(poas(p2=Quality.GOOD), 1.0), RtSolPr)
    assert [round(t, 3) for t, a in until(mn, 2.05) if messages([a], RtSolPr)] == [2.0]
    mn.receive(proxy(asked.identifier), 2.06)
    assert len(messages(leaving(mn, 5.0), FastBindingUpdate)) == 1
    repeated = [m for _, a in until(mn, 9.0) for m in messages([a], FastBindingUpdate) if m.lifetime_s]
    assert len(repeated) == 1
