"""Handovers between two links in which something goes wrong: a link, a router, an address, a message."""

from random import Random

import pytest
from net_nodes import Faults, coa_of, poa_of, prefix_of
from net_vertical import Silent, VerticalNet
from vertical_kit import cell_coa, modes, on_wifi, over, sent, settled, settled_but_for_the_air_and_gap

from lies.events import Condition, DownReason, PoACondition, PoAFound, Quality
from lies.links import Raise
from lies_fmipv6 import items as fi
from lies_fmipv6.messages import FastBindingUpdate, UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES, Duplicates
from lies_fmipv6.states import MobileNodeState as S


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("warned", [True, False])
def test_an_address_that_another_node_has(kept: bool, warned: bool) -> None:
    """The new router assigns another one; or PCoA is to stay, which a node that can still choose refuses."""
    duplicates = Duplicates.HOST_ROUTE if kept else Duplicates.ASSIGN
    net = on_wifi(router={"duplicates": duplicates})
    stranger = UnsolicitedNeighbourAdvertisement(cell_coa(), bytes.fromhex("0200000000aa"))
    net.llas |= {stranger.lla}
    net.routers[1].runner.feed(fi.Received(stranger, cell_coa(), ALL_NODES, stranger.lla))
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    if warned:
        net.going_down()
        net.run(1.0)
    net.radio.detach()
    net.run(6.0)
    there = net.mobile.engine.coa
    assert there in prefix_of(2)
    refused = kept and warned
    assert (there == cell_coa(), net.mobile.whys) == ((True, ["it was refused"]) if refused else (False, []))
    assert modes(net) == ["none" if refused else "predictive" if warned else "reactive"]
    net.radio.attach(poa_of(1))
    net.radio.set_quality(poa_of(1), Quality.EXCELLENT)
    net.run(60.0)
    assert net.mobile.engine.coa == coa_of(1)
    assert net.connected()
    over(net)


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


def test_a_break_without_warning() -> None:
    """The other link is up: UNA and FBU from there at once; what the node sends waits for the tunnel."""
    net = on_wifi()
    net.cell.attach(net.cell_poa)
    packets = net.stream(0.5)
    net.radio.detach()
    packets += net.stream(3.0)
    assert len([d for cause in net.lost.values() for d in cause if d.up]) <= 1, "in the air"
    settled_but_for_the_air_and_gap(net, packets)
    assert modes(net) == ["reactive"]


@pytest.mark.parametrize("heard", [True, False])
def test_a_break_while_the_other_link_is_not_up(heard: bool) -> None:
    """It is connected, and the FBU goes out from there; a cell that was heard is resolved by then."""
    net = on_wifi()
    if heard:
        net.cell.indicate(PoAFound, (PoACondition(net.cell_poa, Condition(Quality.GOOD)),))
        net.run(0.5)
    net.radio.detach()
    assert net.mobile.raised == [Raise("wwan0", (net.cell_poa,) if heard else ())]
    net.run(0.5)
    net.cell.attach(net.cell_poa)
    net.run(0.1)
    assert net.mobile.engine.coa == cell_coa()
    assert bool(sent(net, UnsolicitedNeighbourAdvertisement)) is heard
    assert [m.source for m in sent(net, FastBindingUpdate)][:1] == [cell_coa()]
    net.run(6.0)
    assert modes(net) == ["reactive"]
    over(net)


def test_a_link_is_given_the_time_to_answer() -> None:
    """Both links come up at once: the node keeps to one until that answers, and does not turn to and fro."""
    net = VerticalNet()
    net.cell.attach(net.cell_poa)
    net.radio.attach(poa_of(1))
    net.run(0.1)
    assert net.mobile.engine.coa in {coa_of(1), cell_coa()}
    net.run(5.0)
    assert net.mobile.engine.coa == coa_of(1)


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


@pytest.mark.parametrize("seed", range(30))
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
