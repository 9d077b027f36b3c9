"""Fast handovers between two links of a mobile node, on the virtual clock, with packets counted."""

from ipaddress import IPv6Address

import pytest
from net_nodes import MN_LLA, coa_of, poa_of, prefix_of
from net_vertical import CELL_LINK, CELL_LLA, VerticalNet
from vertical_kit import cell_coa, modes, on_cell, on_wifi, over, sent, settled, settled_but_for_the_air

from lies.events import CareOfAddressChanged, DownReason, Quality
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    HandoverInitiate,
    OptionCode,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.neighbourhood import Neighbourhood
from lies_fmipv6.parameters import (
    AccessRouterConfig,
    MobileNodeConfig,
    Mode,
    Neighbour,
    NodeLink,
    form_address,
)


def test_predictive() -> None:
    """FBU and FBack on the Wi-Fi, UNA on the cellular link; a break at once after that loses nothing."""
    net = on_wifi()
    packets = net.stream(0.1)
    net.going_down()
    assert [r.link for r in net.mobile.raised] == ["wwan0"]
    packets += net.stream(0.1)
    net.cell.attach(net.cell_poa)
    while net.mobile.here == "wlan0":
        packets += net.stream(0.0005, 0.0005)
    net.radio.detach()
    packets += net.stream(3.0)
    assert net.mobile.engine.coa == cell_coa()
    assert {cause for cause, lost in net.lost.items() if lost} <= {"in the air"}
    settled_but_for_the_air(net, packets)
    assert modes(net) == ["predictive"]


def test_make_before_break_loses_nothing() -> None:
    """There and back while both links work: not one packet, twice over, and each comes once."""
    net = on_wifi(routers=3)
    packets = net.stream(0.1)
    net.cell.attach(net.cell_poa)
    for n in (2, 1):
        net.radio.set_quality(poa_of(n), Quality.BAD)  # the one that is not in use
        net.radio.list_poas()
        net.run(0.1)
        net.going_down()
        packets += net.stream(1.5)
        assert net.mobile.here == "wwan0"
        net.radio.detach()
        packets += net.stream(3.0)
        net.radio.attach(poa_of(n))
        net.radio.set_quality(poa_of(n), Quality.GOOD)
        packets += net.stream(4.0)
        assert net.mobile.here == "wlan0"
        assert net.mobile.engine.coa == coa_of(n)
    settled(net, packets)
    assert modes(net) == ["predictive"] * 4


def test_the_new_router_is_told_the_address_that_it_will_see() -> None:
    """FBU and HI carry the other link's link-layer address; the FBack comes on the link that is left."""
    net = on_wifi()
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    net.going_down()
    net.run(0.1)
    (fbu,) = sent(net, FastBindingUpdate)[:1]
    assert fbu.source == coa_of(1)
    assert fbu.message.lla == CELL_LLA
    assert fbu.message.alternate_coa == cell_coa()
    hi = next(
        a.message
        for _, a in net.routers[0].runner.log
        if isinstance(a, fa.SendMessage) and isinstance(a.message, HandoverInitiate)
    )
    assert hi.mn_lla == CELL_LLA
    fback = next(
        a
        for _, a in net.routers[0].runner.log
        if isinstance(a, fa.SendMessage) and isinstance(a.message, FastBindingAck)
    )
    assert (fback.destination, fback.link_layer) == (coa_of(1), MN_LLA)
    una = sent(net, UnsolicitedNeighbourAdvertisement)[-1].message
    assert una == UnsolicitedNeighbourAdvertisement(cell_coa(), CELL_LLA)


def test_a_router_may_stand_for_all_cells_that_begin_alike() -> None:
    """An access point that ends in "*": the longest beginning counts, and a whole name before all."""
    names = ("24001-7", "24001-*", "*", "ap*")
    neighbours = tuple(
        Neighbour(prefix_of(n)[1], bytes((2, 0, 0, 0, 2, n)), prefix_of(n), (fi.access_point_id(name),))
        for n, name in enumerate(names, 2)
    )
    own = prefix_of(1)
    ids = [fi.access_point_id(n) for n in ("24001-7", "24001-8", "26201-8", "ap5", "02:00:00:00:01:09")]
    link_local = IPv6Address("fe80::1")
    config = AccessRouterConfig(own[1], link_local, MN_LLA, own, neighbours=neighbours, insecure=True)
    answers = Neighbourhood(config).answers(RtSolPr(7, MN_LLA, tuple(ids)))
    found = {i.access_point: i for a in answers for i in a.access_points}
    assert [found[i].prefix for i in ids] == [prefix_of(2), prefix_of(3), prefix_of(4), prefix_of(5), None]
    assert found[ids[-1]].option_code == OptionCode.UNKNOWN
    order = Neighbourhood(config).order(ids[1], None)
    assert order is not None
    assert [i.access_point for i in order.access_points] == [ids[1]]
    everything = Neighbourhood(config).answers(RtSolPr(8, MN_LLA, (), wildcard=True))
    assert [i.access_point for a in everything for i in a.access_points] == [ids[0]], "of the others, none"


def test_a_report_names_the_link() -> None:
    """Mobile IPv6 hears of the care-of address with its link, and that the previous router tunnels."""
    net = on_cell()
    told = [r for r in net.mobile.reports if isinstance(r, CareOfAddressChanged)][-1]
    assert (told.header.link.name, told.coa) == ("wwan0", str(cell_coa()))
    assert (told.previous, told.tunnel_from) == (str(coa_of(1)), str(prefix_of(1)[1]))


@pytest.mark.parametrize("warned", [True, False])
def test_handover_keys(warned: bool) -> None:
    """A node has a key with each router; the one that it leaves proves the FBU on either link."""
    net = on_wifi(keys={MN_LLA: b"k" * 20, CELL_LLA: b"k" * 20})
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    if warned:
        net.going_down()
        net.run(0.5)
    net.radio.detach()
    net.run(5.0)
    assert modes(net) == ["predictive" if warned else "reactive"]
    net.radio.attach(poa_of(1))
    net.radio.set_quality(poa_of(1), Quality.EXCELLENT)
    net.run(8.0)
    assert modes(net)[1:] == ["predictive"]
    over(net)


@pytest.mark.parametrize("kind", ["told", "unknown"])
def test_a_router_without_fmipv6(kind: str) -> None:
    """No FBU; the link's own address is used, make before break, and Mobile IPv6 loses nothing either way."""
    net = on_wifi(fast=False) if kind == "told" else on_wifi(fast=False, unknown=True)
    net.cell.attach(net.cell_poa)
    address = net.find_address()
    packets = net.stream(0.5)
    net.going_down()
    packets += net.stream(1.0)
    assert net.mobile.engine.coa == address
    assert sent(net, FastBindingUpdate) == []
    (why,) = net.mobile.whys
    assert why == (
        "the router there does no FMIPv6" if kind == "told" else "this router does not know the router there"
    )
    net.run(1.0)
    net.radio.detach()
    packets += net.stream(3.0)
    net.radio.attach(poa_of(1))
    net.radio.set_quality(poa_of(1), Quality.EXCELLENT)
    packets += net.stream(4.0)
    assert net.mobile.engine.coa == coa_of(1)
    assert sent(net, FastBindingUpdate) == []
    settled(net, packets)
    assert modes(net) == ["none", "none"]


@pytest.mark.parametrize("mode", [Mode.REACTIVE, Mode.NONE])
def test_other_modes(mode: Mode) -> None:
    """Reactive: the FBU goes out from the other link; none: there is none. Neither loses a packet."""
    net = on_wifi(mode=mode)
    net.cell.attach(net.cell_poa)
    packets = net.stream(0.5)
    net.going_down()
    packets += net.stream(1.0)
    assert net.mobile.engine.coa == cell_coa()
    assert [m.source for m in sent(net, FastBindingUpdate)][:1] == (
        [cell_coa()] if mode is Mode.REACTIVE else []
    )
    net.radio.detach()
    packets += net.stream(3.0)
    settled(net, packets)
    assert modes(net) == [str(mode)]


def test_a_change_of_cells_keeps_the_address() -> None:
    """A cellular link moved to another cell is at the same router, and nothing is held for long."""
    net = on_cell()
    packets = net.stream(0.1)
    net.cell.detach(DownReason.MOVED)
    net.cell.attach(net.cell_poa)
    packets += net.stream(2.0)
    assert net.mobile.engine.coa == cell_coa()
    settled_but_for_the_air(net, packets)


def test_the_network_orders_a_change_of_links() -> None:
    """A PrRtAdv with code 1 names the cell, and the node goes there, if its link is up (3.3)."""
    net = on_wifi()
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    order = fi.OrderHandover(coa_of(1), fi.access_point_id(net.cell_poa))
    net.routers[0].runner.feed(order)
    net.run(0.2)
    assert net.mobile.engine.coa == cell_coa()
    net.cell.detach()
    net.run(5.0)
    assert net.mobile.engine.coa == coa_of(1)


def test_the_first_link_may_be_the_other_one() -> None:
    """The node begins where a link is up, and goes over to the one it prefers."""
    net = VerticalNet()
    net.cell.attach(net.cell_poa)
    net.run(2.0)
    assert net.mobile.engine.coa == cell_coa()
    net.radio.attach(poa_of(1))
    net.radio.set_quality(poa_of(1), Quality.EXCELLENT)
    net.run(1.0)
    packets = net.stream(3.0)
    assert net.mobile.engine.coa == coa_of(1)
    settled(net, packets)
    assert modes(net) == ["predictive"]


def test_a_link_without_a_link_layer_address() -> None:
    """There is no fast handover to it, for no HI could say who comes; Mobile IPv6 does it."""
    bare = NodeLink("wwan0", b"", 7)
    net = on_wifi(cell=bare)
    net.cell.attach(net.cell_poa)
    address = net.find_address()
    packets = net.stream(0.5)
    net.going_down()
    packets += net.stream(2.0)
    assert net.mobile.engine.coa in {address, form_address(prefix_of(2), bare.interface_id)}
    assert sent(net, FastBindingUpdate) == []
    assert net.mobile.whys == ["the link has no link-layer addresses"]
    settled(net, packets)


def test_the_configuration_names_its_links() -> None:
    """The first one is the one of the single fields."""
    config = MobileNodeConfig("wlan0", b"\2\0\0\0\0\1", 5, others=(CELL_LINK,))
    assert (config.first.name, config.first.lla, config.first.interface_id) == ("wlan0", b"\2\0\0\0\0\1", 5)
