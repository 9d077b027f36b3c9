"""Fast handovers between two links of a mobile node, on the virtual clock, with packets counted."""

from ipaddress import IPv6Address
from random import Random
from typing import Any

import pytest
from net_nodes import Data, Faults, coa_of, poa_of, prefix_of
from net_vertical import CELL_LINK, CELL_LLA, Silent, VerticalNet

from lies.events import CareOfAddressChanged, DownReason, Quality
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.messages import FastBindingUpdate, HandoverInitiate, UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import MobileNodeConfig, Mode, NodeLink, form_address
from lies_fmipv6.states import MobileNodeState as S


def cell_coa(number: int = 2) -> IPv6Address:
    """The node's address behind the cellular router."""
    return form_address(prefix_of(number), CELL_LINK.interface_id)


def on_wifi(**more: Any) -> VerticalNet:
    """Attached to the Wi-Fi, and registered."""
    net = VerticalNet(**more)
    net.start()
    assert net.mobile.engine.coa == coa_of(1)
    return net


def on_cell(**more: Any) -> VerticalNet:
    """Gone over to the cellular link, and registered there; the Wi-Fi is away."""
    net = on_wifi(**more)
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    net.going_down(200.0)
    net.run(0.5)
    net.radio.detach()
    net.run(5.0)
    assert net.mobile.here == "wwan0"
    return net


def sent(net: VerticalNet, kind: type) -> list[fa.SendMessage]:
    """What the node sent, of a kind."""
    found = [x for _, x in net.mobile.fmip.log if isinstance(x, fa.SendMessage)]
    return [x for x in found if isinstance(x.message, kind)]


def settled(net: VerticalNet, packets: list[Data]) -> None:
    """Every packet came once, and nothing is left of a handover."""
    net.run(5.0)
    assert net.lost == {}
    assert [net.received.get(d) for d in packets] == [1] * len(packets)
    over(net)


def over(net: VerticalNet) -> None:
    """The node has one care-of address, one tunnel, and nothing prepared or held."""
    engine = net.mobile.engine
    assert engine.state is S.ATTACHED
    assert engine.tunnels == 0
    assert net.mobile.uplink == engine.coa
    assert not net.mobile.prepared
    assert not net.mobile.held
    assert not net.mobile.reverse
    assert all(not r.tunnels and not r.waiting for r in net.routers)


def modes(net: VerticalNet) -> list[str]:
    """Of the handovers that were reported."""
    return [done.mode for done in net.done()]


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


def settled_but_for_the_air(net: VerticalNet, packets: list[Data]) -> None:
    """As settled, but for what was on its way over a link that broke."""
    net.run(5.0)
    air = {d for cause in ("in the air", "fault") for d in net.lost.pop(cause, [])}
    assert net.lost == {}
    assert [net.received.get(d) for d in packets if d not in air] == [1] * (len(packets) - len(air))
    over(net)


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
    una = sent(net, UnsolicitedNeighbourAdvertisement)[-1].message
    assert una == UnsolicitedNeighbourAdvertisement(cell_coa(), CELL_LLA)


def test_a_report_names_the_link() -> None:
    """Mobile IPv6 hears of the care-of address with its link, and that the previous router tunnels."""
    net = on_cell()
    told = [r for r in net.mobile.reports if isinstance(r, CareOfAddressChanged)][-1]
    assert (told.header.link.name, told.coa) == ("wwan0", str(cell_coa()))
    assert (told.previous, told.tunnel_from) == (str(coa_of(1)), str(prefix_of(1)[1]))


@pytest.mark.parametrize("ahead_s", [0.0002, 0.001, 0.002])
def test_the_old_link_breaks_in_mid_handover(ahead_s: float) -> None:
    """The FBU goes out again from the other link, which is up already, and the tunnel is the same."""
    net = on_wifi()
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    packets = net.stream(0.1)
    net.going_down()
    assert net.mobile.engine.state is S.FBU_SENT
    net.run(ahead_s)
    net.radio.detach()
    packets += net.stream(3.0)
    assert net.mobile.engine.coa == cell_coa()
    settled_but_for_the_air_and_gap(net, packets)
    assert modes(net) == ["reactive"]


def settled_but_for_the_air_and_gap(net: VerticalNet, packets: list[Data]) -> None:
    """As settled, but for what went to a link that had broken until the tunnel stood: less than 20 ms."""
    net.run(5.0)
    lost = [d for gone in net.lost.values() for d in gone]
    assert set(net.lost) <= {"in the air", "the mobile node is not there"}
    assert len([d for d in lost if not d.up]) <= 10
    assert [net.received.get(d) for d in packets if d not in lost] == [1] * (len(packets) - len(lost))
    over(net)


def test_a_break_without_warning() -> None:
    """The other link is up: UNA and FBU from there at once; what the node sends waits for the tunnel."""
    net = on_wifi()
    net.cell.attach(net.cell_poa)
    packets = net.stream(0.5)
    net.radio.detach()
    packets += net.stream(3.0)
    assert not [d for cause in net.lost.values() for d in cause if d.up and d.number > packets[-1].number]
    settled_but_for_the_air_and_gap(net, packets)
    assert modes(net) == ["reactive"]


def test_a_break_while_the_other_link_is_not_up() -> None:
    """It is connected, and the FBU goes out from there as soon as it is up."""
    net = on_wifi()
    net.radio.detach()
    assert [(r.link, r.poas) for r in net.mobile.raised] == [("wwan0", ())]
    net.run(0.5)
    net.cell.attach(net.cell_poa)
    net.run(0.1)
    assert net.mobile.engine.coa == cell_coa()
    net.run(6.0)
    assert modes(net) == ["reactive" if net.mobile.engine.coa == cell_coa() and knew(net) else "none"]
    over(net)


def knew(net: VerticalNet) -> bool:
    """Whether the node had asked its router about the cell before the link broke."""
    return bool(sent(net, FastBindingUpdate))


def test_a_link_that_cannot_be_connected() -> None:
    """It is asked for every five seconds; the node stays on the Wi-Fi, and on it again when it comes back."""
    net = on_wifi()
    net.going_down()
    net.run(1.0)
    assert net.mobile.engine.coa == coa_of(1)
    net.radio.detach()
    net.run(12.0)
    assert len(net.mobile.raised) == 3
    assert net.mobile.engine.state is S.DOWN
    net.radio.attach(poa_of(1))
    net.run(5.0)
    assert net.mobile.engine.coa == coa_of(1)
    assert net.connected()
    assert net.mobile.here == "wlan0"


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


def test_a_refused_fbu() -> None:
    """Then Mobile IPv6 changes the links, and no packet is lost."""
    net = on_wifi(router={"max_expected": 0})
    net.cell.attach(net.cell_poa)
    packets = net.stream(0.5)
    net.going_down()
    packets += net.stream(2.0)
    assert net.mobile.engine.coa == cell_coa()
    net.radio.detach()
    packets += net.stream(2.0)
    settled(net, packets)
    assert modes(net) == ["none"]


def test_an_fbu_without_answer() -> None:
    """The retries are used up; the same."""
    net = on_wifi()
    net.cell.attach(net.cell_poa)
    packets = net.stream(0.5)
    cell = net.routers[1]
    cell.runner = Silent(net, cell.engine, cell.perform)
    address = net.find_address()
    net.going_down(5000.0)
    packets += net.stream(7.0)
    assert net.mobile.engine.coa == address
    net.radio.detach()
    packets += net.stream(2.0)
    net.run(5.0)
    assert net.lost == {}
    assert net.mobile.engine.state is S.ATTACHED


def test_the_other_link_breaks_before_the_fback() -> None:
    """The node stays, its router is told so, and nothing is tunnelled away from it."""
    net = on_wifi()
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    packets = net.stream(0.1)
    net.going_down()
    assert net.mobile.engine.state is S.FBU_SENT
    net.cell.detach()
    net.run(0.2)
    assert net.mobile.engine.coa == coa_of(1)
    assert [m.message.lifetime_s for m in sent(net, FastBindingUpdate)][-1] == 0
    packets += net.stream(1.0)
    assert net.mobile.here == "wlan0"
    net.radio.cancel()
    settled(net, packets)


def test_a_link_without_an_address() -> None:
    """After two seconds the node is back, and leaves that link alone for a while; no packet is lost."""
    net = on_wifi(fast=False)
    net.cell.attach(net.cell_poa)
    packets = net.stream(0.5)
    net.going_down()
    packets += net.stream(1.0)
    assert (net.mobile.here, net.mobile.engine.state) == ("wwan0", S.SOLICITING)
    packets += net.stream(2.0)
    assert (net.mobile.here, net.mobile.engine.state) == ("wlan0", S.ATTACHED)
    packets += net.stream(3.0)
    assert net.mobile.here == "wlan0"
    net.radio.cancel()
    settled(net, packets)
    assert net.mobile.engine.coa == coa_of(1)


@pytest.mark.parametrize("first", ["cell", "wifi", "withdrawn"])
def test_what_ends_the_search_for_an_address(first: str) -> None:
    """The other link breaks, or the prediction is withdrawn: back. The old one breaks: the search goes on."""
    net = on_wifi(fast=False)
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    net.going_down()
    net.run(0.5)
    assert (net.mobile.here, net.mobile.engine.state) == ("wwan0", S.SOLICITING)
    if first == "cell":
        net.cell.detach()
    elif first == "wifi":
        net.radio.detach()
    else:
        net.radio.cancel()
    net.run(0.3)
    assert net.mobile.here == ("wwan0" if first == "wifi" else "wlan0")
    if first == "wifi":
        net.run(10.0)
        address = net.find_address()
        net.run(1.0)
        assert net.mobile.engine.coa == address
    assert net.connected()
    net.run(5.0)
    over(net)


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


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_links_do(seed: int) -> None:
    """Both come and go, predictions are said and withdrawn, messages are lost: the node ends connected."""
    rng = Random(seed)
    faults = Faults(*(rng.choice((0.0, 0.2)) for _ in range(3)))
    net = VerticalNet(3, seed=seed, faults=faults, fast=rng.random() < 0.7, unknown=rng.random() < 0.2)
    net.start()
    for _ in range(40):
        radio = rng.choice((net.radio, net.cell))
        poas = (poa_of(1), poa_of(2)) if radio is net.radio else (net.cell_poa,)
        match rng.choice(("attach", "detach", "down", "cancel", "moved", "find", "level")):
            case "attach" if radio.poa is None:
                radio.attach(rng.choice(poas))
            case "detach":
                radio.detach()
            case "down" if radio.poa is not None and radio is net.radio:
                net.going_down(rng.choice((100.0, 900.0, 3000.0)))
            case "cancel" if radio.poa is not None:
                radio.cancel()
            case "moved" if radio.poa is not None:
                radio.move(rng.choice(poas), DownReason.MOVED)
            case "find" if net.cell.poa is not None:
                net.find_address()
            case "level":
                radio.set_quality(rng.choice(poas), rng.choice(list(Quality)))
            case _:
                pass
        net.run(rng.choice((0.001, 0.01, 0.1, 1.0)))
    net.faults = Faults()
    net.run(2.0)
    net.radio.set_quality(poa_of(1), Quality.EXCELLENT)
    if net.radio.poa is not None:
        net.radio.cancel()
        net.radio.detach()
    net.radio.attach(poa_of(1))
    net.run(150.0)  # a tunnel that no binding ever ends lasts for tunnel_max_s
    assert net.mobile.here == "wlan0"
    assert net.mobile.engine.coa == coa_of(1)
    assert net.connected()
    over(net)


def test_the_configuration_names_its_links() -> None:
    """The first one is the one of the single fields."""
    config = MobileNodeConfig("wlan0", b"\2\0\0\0\0\1", 5, others=(CELL_LINK,))
    assert (config.first.name, config.first.lla, config.first.interface_id) == ("wlan0", b"\2\0\0\0\0\1", 5)
