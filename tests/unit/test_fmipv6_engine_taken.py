"""Drives over the virtual network to links where the mobile node's address is another node's, or probed."""

import pytest
from net import Net
from net_drives import drive, impostor, leftovers, let_impostors_in, lost, sent_by
from net_nodes import MN_LLA, Faults, coa_of, poa_of, prefix_of

from lies.events import DownReason, Quality
from lies_fmipv6.messages import FastBindingUpdate
from lies_fmipv6.parameters import Duplicates, other_address


def test_a_drive_with_probes() -> None:
    """DupAddrDetectTransmits 1: FBU to FBack takes a second; while the link lives on, nothing is lost."""
    net = Net(3, router={"dad_transmits": 1})
    sent = drive(net)
    assert [d.mode for d in net.done()] == ["predictive"] * 2
    assert [round((d.fback_ns - d.fbu_ns) / 1e9, 1) for d in net.done()] == [1.0, 1.0]
    assert lost(net, sent) == []
    assert leftovers(net) == []


@pytest.fixture
def only_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's routers may admit somebody else."""
    let_impostors_in(monkeypatch)


@pytest.mark.usefixtures("only_the_node")
@pytest.mark.parametrize("home_s", [0.0001, 0.02])
@pytest.mark.parametrize("keys", [None, {MN_LLA: b"k" * 32}], ids=["open", "keyed"])
def test_a_predictive_handover_with_an_assigned_address(home_s: float, keys: dict[bytes, bytes]) -> None:
    """HAck 2, FBack 1, the node uses what it was given, and moves on with it; nothing is lost (F30)."""
    net = Net(3, home_s=home_s, keys=keys)
    net.start()
    impostor(net, 2)
    sent = net.stream(0.2)
    net.fade(1, 2)
    sent += net.stream(3.0)
    assert net.mobile.engine.coa == other_address(prefix_of(2), MN_LLA, 0)
    net.fade(2, 3)
    sent += net.stream(3.0)
    assert net.routers[1].tunnels == {}, "the FBU with the grace was believed"
    net.run(5.0)
    assert [d.mode for d in net.done()] == ["predictive"] * 2
    assert net.mobile.engine.coa == coa_of(3)
    assert not any(r.engine.dropped for r in net.routers)
    assert lost(net, sent) == []
    assert leftovers(net) == []


@pytest.mark.usefixtures("only_the_node")
def test_a_reactive_handover_to_a_taken_address() -> None:
    """UNA, NAACK 2, and a new FBU with the supplied address: the PAR's tunnel ends there (F40, F41)."""
    net = Net(2)
    net.start()
    impostor(net, 2)
    net.radio.set_quality(poa_of(2), Quality.EXCELLENT)
    net.radio.move(poa_of(2))
    net.run(0.5)
    given = other_address(prefix_of(2), MN_LLA, 0)
    assert net.mobile.engine.coa == given
    assert net.routers[0].tunnels == {coa_of(1): given}
    sent = net.stream(2.0)
    net.run(5.0)
    assert lost(net, sent) == []
    assert leftovers(net) == []
    assert [d.mode for d in net.done()] == ["reactive"]
    coas = [a.message.alternate_coa for _, a in sent_by(net.mobile.fmip.log, FastBindingUpdate)]
    assert coas[0] == coa_of(2)
    assert set(coas[1:]) == {given}


@pytest.mark.usefixtures("only_the_node")
@pytest.mark.parametrize("home_s", [0.0001, 0.02])
def test_a_predictive_handover_that_keeps_pcoa(home_s: float) -> None:
    """HAck 3: PAR tunnels to the NAR, PCoA stays in use; before it ends the node has an own one (F31)."""
    net = Net(2, home_s=home_s, router={"duplicates": Duplicates.HOST_ROUTE})
    net.start()
    impostor(net, 2)
    sent = net.stream(0.2)
    net.fade(1, 2)
    sent += net.stream(3.0)
    par, nar = net.routers
    assert net.mobile.engine.coa == coa_of(1)
    assert net.mobile.addresses == {coa_of(1)}
    assert par.tunnels == {coa_of(1): nar.config.address}
    assert nar.host_routes == {coa_of(1): par.config.address}
    assert [d.mode for d in net.done()] == ["predictive"]
    sent += net.stream(20.0, 0.05)
    own = net.mobile.engine.coa
    assert own == other_address(prefix_of(2), MN_LLA, 1)
    net.run(60.0)
    assert net.mobile.addresses == {own}
    assert lost(net, sent) == []
    assert leftovers(net) == []
    assert net.connected()


@pytest.mark.usefixtures("only_the_node")
@pytest.mark.parametrize("wait_s", [1.0, 15.0])
def test_back_home_with_a_kept_pcoa(wait_s: float) -> None:
    """A to B to A, PCoA kept at B or followed by an address of B: the tunnel ends, nothing is left (F44)."""
    net = Net(2, home_s=0.01, router={"duplicates": Duplicates.HOST_ROUTE})
    net.start()
    impostor(net, 2)
    net.fade(1, 2)
    net.run(wait_s)
    net.fade(2, 1)
    net.run(3.0)
    assert net.radio.poa == poa_of(1)
    assert net.mobile.engine.coa == coa_of(1)
    assert net.routers[0].tunnels == {}
    sent = net.stream(1.0)
    net.run(90.0)
    assert lost(net, sent) == []
    assert leftovers(net) == []


@pytest.mark.usefixtures("only_the_node")
def test_a_third_router_after_a_kept_pcoa() -> None:
    """From B, with A's PCoA, to C: the FBU goes to A, whose tunnel moves from B to C (F45)."""
    net = Net(3, home_s=0.01, router={"duplicates": Duplicates.HOST_ROUTE})
    net.start()
    impostor(net, 2)
    net.fade(1, 2)
    net.run(2.0)
    sent = net.stream(0.1)
    net.fade(2, 3)
    sent += net.stream(1.0)
    assert net.routers[0].tunnels == {coa_of(1): coa_of(3)}
    assert net.mobile.engine.coa == coa_of(3)
    sent += net.stream(2.0)
    net.run(90.0)
    assert [d for d in lost(net, sent) if not d.up] == []
    late = net.lost.get("reverse tunnel without a binding", [])
    assert {*lost(net, sent)} == {*late}, "only what was still on its way from B when A's tunnel moved"
    assert len(late) < 5
    assert leftovers(net) == []
    assert [d.mode for d in net.done()] == ["predictive"] * 2


@pytest.mark.usefixtures("only_the_node")
@pytest.mark.parametrize("policy", list(Duplicates))
def test_whatever_is_lost_a_node_with_a_taken_address_ends_connected(policy: Duplicates) -> None:
    """Loss and repetition of any message: the node ends connected, and nothing is left."""
    for seed in range(8):
        faults = Faults(loss=0.25, duplicate=0.2, reorder=0.2)
        net = Net(2, seed=seed, faults=faults, router={"duplicates": policy})
        net.start()
        impostor(net, 2)
        net.fade(1, 2)
        net.run(3.0)
        if net.radio.poa != poa_of(2):
            net.radio.move(poa_of(2), DownReason.SIGNAL_LOST)
        net.run(30.0)
        net.faults = Faults()
        net.run(150.0)
        assert net.connected(), seed
        assert leftovers(net) == [], seed
