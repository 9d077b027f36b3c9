"""Router discovery and RtSolPr/PrRtAdv in the mobile node's engine of FMIPv6."""

from ipaddress import IPv6Address

import pytest
from attrs import evolve
from fmipv6_kit import (
    CONFIG,
    HEADER,
    PAR,
    PAR_LOCAL,
    advertisement,
    attached,
    leaving,
    messages,
    poas,
    proxy,
    until,
)
from net_nodes import MN_LLA, coa_of, poa_of, prefix_of

from lies.errors import ProtocolViolation
from lies.events import (
    DownReason,
    LinkDown,
    LinkUp,
    Quality,
)
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.messages import (
    AccessPointInfo,
    FastBindingUpdate,
    PrefixInformation,
    PrRtAdv,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
)
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import ALL_NODES, ALL_ROUTERS
from lies_fmipv6.states import DiscoveryState, MobileNodeState


def test_first_attachment() -> None:
    """RS at LinkUp from the link-local address, address from the RA's prefix, report, PoA list."""
    mn = MobileNode(CONFIG)
    (rs,) = mn.receive(LinkUp(HEADER, poa_of(1)), 0.0)
    assert rs == fa.SendMessage(RouterSolicitation(MN_LLA), IPv6Address("fe80::ff:fe00:9900"), ALL_ROUTERS)
    use, publish, ask = mn.receive(advertisement(), 0.01)
    assert use == fa.UseRouter(coa_of(1), 64, PAR_LOCAL, b"\2\0\0\0\2\1")
    assert (publish.report.coa, publish.report.previous) == (str(coa_of(1)), None)
    assert ask == fa.RequestPoAList("wlan0")
    assert mn.state is MobileNodeState.ATTACHED


def test_solicitations_are_repeated_with_doubled_waits() -> None:
    """RS after 0.1 s, 0.2 s, ... up to 4 s, for as long as the link is up."""
    mn = MobileNode(CONFIG)
    mn.receive(LinkUp(HEADER, poa_of(1)), 0.0)
    times = [round(t, 3) for t, _ in until(mn, 15.0)]
    assert times == [0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 10.3, 14.3]
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 15.0)
    assert mn.next_timeout() is None
    assert mn.state is MobileNodeState.DETACHED


@pytest.mark.parametrize(
    "ra",
    [
        fi.Received(RouterAdvertisement(), PAR_LOCAL, ALL_NODES),
        evolve(advertisement(), source=PAR),
        evolve(
            advertisement(),
            message=RouterAdvertisement(
                lifetime_s=0, prefixes=(PrefixInformation(prefix_of(1), 9, 9, router=PAR),)
            ),
        ),
        fi.Received(
            RouterAdvertisement(prefixes=(PrefixInformation(prefix_of(1), 9, 9, autonomous=False),)),
            PAR_LOCAL,
            ALL_NODES,
        ),
    ],
)
def test_advertisements_that_give_no_address(ra: fi.Received) -> None:
    """No autonomous prefix, no link-local source, or no router lifetime: no address."""
    mn = MobileNode(CONFIG)
    mn.receive(LinkUp(HEADER, poa_of(1)), 0.0)
    assert mn.receive(ra, 0.01) == []
    assert mn.coa is None


def test_rtsolpr_names_the_heard_poas() -> None:
    """RtSolPr asks for every PoA heard of but the present one, with the node's own LLA (F02, F03)."""
    mn = attached()
    (rtsolpr,) = messages(mn.receive(poas(p1=Quality.GOOD, p2=Quality.GOOD, p3=Quality.BAD), 0.02), RtSolPr)
    assert rtsolpr.access_points == (fi.access_point_id(poa_of(2)), fi.access_point_id(poa_of(3)))
    assert rtsolpr.source_lla == MN_LLA
    assert not rtsolpr.wildcard


def test_rtsolpr_retransmission_and_rate() -> None:
    """RtSolPr is repeated three times, waits doubled, never more than three in a second (F06, F07)."""
    mn = attached()
    mn.receive(poas(p2=Quality.GOOD), 1.0)
    times = [round(t, 3) for t, a in until(mn, 30.0) if messages([a], RtSolPr)]
    assert times == [1.1, 1.3, 2.0]  # the third would be due at 1.7, the fourth message of that second
    assert mn.discovery_state is DiscoveryState.UNSUPPORTED
    assert messages(mn.receive(poas(p3=Quality.GOOD), 31.0), RtSolPr) == []
    assert messages(leaving(mn, 32.0), FastBindingUpdate) == []


def test_rate_holds_over_separate_questions() -> None:
    """Three new PoAs in quick succession are three messages; the fourth has to wait (F06)."""
    mn = attached()
    for k in range(2, 7):
        asked = messages(mn.receive(poas(**{f"p{k}": Quality.GOOD}), 1.0 + k / 100), RtSolPr)
        for rtsolpr in asked:
            answer = PrRtAdv(2, rtsolpr.identifier, None, (AccessPointInfo(rtsolpr.access_points[0], 6),))
            mn.receive(fi.Received(answer, PAR_LOCAL, coa_of(1)), 1.0 + k / 100)
        assert len(asked) == (1 if k < 5 else 0)
    (first, *_) = [(t, a) for t, a in until(mn, 3.0) if messages([a], RtSolPr)]
    assert first[0] == pytest.approx(2.02)
    assert len(messages([first[1]], RtSolPr)[0].access_points) == 2


def test_a_wrong_prrtadv_teaches_nothing() -> None:
    """A PrRtAdv with another identifier, from another router, or from a global address is ignored (F04)."""
    for wrong in (
        proxy(77),
        evolve(proxy(1), source=IPv6Address("fe80::bad")),
        evolve(proxy(1), source=PAR),
    ):
        mn = attached()
        mn.receive(poas(p2=Quality.GOOD), 0.02)
        mn.receive(wrong, 0.03)
        assert messages(leaving(mn), FastBindingUpdate) == []


@pytest.mark.parametrize("router", [None, prefix_of(1)[1]])
def test_the_routers_own_address_travels_in_the_r_flag(router: IPv6Address | None) -> None:
    """A prefix option with the R flag carries the router's address; without it the prefix alone."""
    ra = RouterAdvertisement(prefixes=(PrefixInformation(prefix_of(1), 3600, 3600, router=router),))
    packet = encode(ra, PAR_LOCAL, ALL_NODES)
    assert decode(packet).message == ra
    assert packet[40 + 16 + 3] == (0xE0 if router else 0xC0)
    assert packet[40 + 16 + 16 : 40 + 16 + 32] == (router or prefix_of(1).network_address).packed


def test_a_routers_address_outside_its_prefix_is_not_sent() -> None:
    """The R flag's address lies in the prefix (RFC 6275 section 7.2)."""
    ra = RouterAdvertisement(prefixes=(PrefixInformation(prefix_of(1), 3600, 3600, router=prefix_of(2)[1]),))
    with pytest.raises(ProtocolViolation, match="does not lie in the prefix"):
        encode(ra, PAR_LOCAL, ALL_NODES)
