"""Drives over the virtual network: engines of mobile node, routers and home agent together."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net import Net
from net_drives import FAULTS, STEP, act, come_to_rest, drive, leftovers, lost, sent_by
from net_nodes import HOME_ADDRESS, Data, Faults, coa_of, poa_of

from lies.events import (
    CareOfAddressChanged,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    Quality,
)
from lies_fmipv6 import actions as fa
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.parameters import Mode
from lies_fmipv6.policy import LevelPolicy


@pytest.mark.parametrize("home_s", [0.0001, 0.01, 0.05])
@pytest.mark.parametrize("gap_s", [0.001, 0.05, 0.3])
def test_predictive_drive_loses_nothing(home_s: float, gap_s: float) -> None:
    """A drive past five routers is predictive throughout, loses no packet either way, and leaves nothing."""
    net = Net(5, home_s=home_s)
    net.radio.gap_s = gap_s
    sent = drive(net)
    assert [d.mode for d in net.done()] == ["predictive"] * 4
    assert lost(net, sent) == []
    assert set(net.received.values()) == {1}
    assert leftovers(net) == []
    assert net.connected()


def test_predictive_order_of_messages() -> None:
    """FBU, HI, HAck, tunnel, FBack, hold, connect, UNA first at the new link (RFC 5184 appendix B.1)."""
    net = Net(2)
    net.start()
    net.fade(1, 2)
    net.run(1.0)
    par, nar, mobile = net.routers[0], net.routers[1], net.mobile.fmip.log
    fbu = sent_by(mobile, FastBindingUpdate)[0]
    hi, hack = sent_by(par.runner.log, HandoverInitiate)[0], sent_by(nar.runner.log, HandoverAcknowledge)[0]
    fbacks = sent_by(par.runner.log, FastBindingAck)
    assert fbu[0] < hi[0] < hack[0] < fbacks[0][0]
    actions = [a for _, a in par.runner.log]
    tunnel = actions.index(fa.AddTunnel(coa_of(1), coa_of(2), net.mobile.config.lla))
    assert tunnel < actions.index(fbacks[0][1]), "the tunnel is there before the FBack says so"
    assert [(a.destination, a.link_layer) for _, a in fbacks[:2]] == [
        (coa_of(1), net.mobile.config.lla),  # on the old link, past the tunnel
        (coa_of(2), None),
    ]
    expect = [a for _, a in nar.runner.log]
    assert isinstance(expect[expect.index(hack[1]) - 1], fa.ExpectNode)
    order = [type(a) for t, a in mobile if t >= fbu[0]]
    hold = order.index(fa.HoldUplink)
    assert order[hold + 1] is fa.RequestConnect
    up = [a for t, a in mobile if t > fbu[0]]
    una = next(i for i, a in enumerate(up) if isinstance(a, fa.CompleteHandover))
    first = up[una - 1]
    assert isinstance(first, fa.SendMessage)
    assert isinstance(first.message, UnsolicitedNeighbourAdvertisement)
    assert isinstance(up[una + 1], fa.Publish)
    report = up[una + 1].report
    assert isinstance(report, CareOfAddressChanged)
    assert (report.coa, report.previous) == (str(coa_of(2)), str(coa_of(1)))
    assert report.tunnel_from == str(par.config.address)


def test_times_of_a_predictive_handover() -> None:
    """HandoverDone carries the time of each step in order; the link's own times are those of its events."""
    net = Net(2)
    net.radio.gap_s = 0.02
    drive(net)
    (done,) = net.done()
    steps = [done.fbu_ns, done.fback_ns, done.connect_ns, done.link_down_ns, done.link_up_ns, done.una_ns]
    assert None not in steps
    assert steps == sorted(steps, key=lambda s: s or 0)
    assert done.link_up_ns is not None
    assert done.link_down_ns is not None
    assert done.link_up_ns - done.link_down_ns == 20_000_000
    assert (done.from_poa, done.to_poa) == (poa_of(1), poa_of(2))
    assert done.header.wall_ns - done.header.mono_ns == 1_700_000_000_000_000_000


def test_without_indications_nothing_is_predictive() -> None:
    """Without LinkGoingDown and LinkStatusChanged no handover is predictive: nothing moves by timetable."""
    net = Net(4)
    net.radio.silent = frozenset({LinkGoingDown, LinkGoingDownCancelled, LinkStatusChanged})
    net.start()
    for n in range(1, 4):
        net.fade(n, n + 1)
        net.run(2.0)
        assert net.radio.poa == poa_of(n), "nothing but an indication makes the node leave"
        net.radio.move(poa_of(n + 1))
        net.run(3.0)
    net.run(3.0)
    assert Counter(d.mode for d in net.done()) == {"reactive": 3}
    assert leftovers(net) == []
    assert net.connected()


@pytest.mark.parametrize("mode", [Mode.REACTIVE, Mode.NONE])
def test_modes_that_do_not_anticipate(mode: Mode) -> None:
    """Mode reactive sends no FBU from the old link; mode none sends no message of FMIPv6 at all."""
    net = Net(2, mode=mode)
    net.start()
    net.fade(1, 2)
    net.run(1.0)
    assert sent_by(net.mobile.fmip.log, FastBindingUpdate) == []
    net.radio.move(poa_of(2))
    net.run(6.0)
    assert [d.mode for d in net.done()] == [mode.value]
    fmip = [t for t in (net.routers[0].engine.bindings, len(net.mobile.reverse)) if t]
    assert fmip == []
    assert leftovers(net) == []
    assert net.connected()
    if mode is Mode.NONE:
        kinds = {type(a.message).__name__ for _, a in net.mobile.fmip.log if isinstance(a, fa.SendMessage)}
        assert kinds == {"RouterSolicitation"}


@pytest.mark.parametrize(("grace_s", "loses"), [(0.0, True), (2.0, False)])
def test_the_grace_between_bu_and_ba(grace_s: float, loses: bool) -> None:
    """With delay on the backbone, no grace loses what is under way between BU and BA; two seconds do not."""
    net = Net(3, home_s=0.01, grace_s=grace_s)
    net.detours_s = {1: 0.02}  # what is on its way to the PAR comes after the BA
    sent = drive(net)
    assert [d.mode for d in net.done()] == ["predictive"] * 2
    gone = lost(net, sent)
    assert bool(gone) is loses
    if loses:
        assert {d.up for d in gone} == {True, False}, "both directions need it"
        assert "RFC 6275 10.4.5" in net.lost


def test_par_tunnel_outlives_the_acknowledgement_by_the_grace() -> None:
    """The PAR's tunnel ends a grace after the BA, not at it and not when the first FBU's lifetime ends."""
    net = Net(2, grace_s=2.0)
    net.start()
    net.fade(1, 2)
    par = net.routers[0]
    net.run(1.0)
    assert par.tunnels == {coa_of(1): coa_of(2)}
    assert net.home.bindings == {HOME_ADDRESS: coa_of(2)}
    net.run(0.9)
    assert par.tunnels == {coa_of(1): coa_of(2)}
    net.run(0.5)
    assert par.tunnels == {}
    assert net.mobile.addresses == {coa_of(2)}


def test_a_drive_faster_than_the_graces() -> None:
    """Tunnels of several earlier addresses nest: handovers every 1.1 s lose nothing and leave nothing."""
    net = Net(5, home_s=0.02)
    net.start()
    sent: list[Data] = []
    tunnels = []
    for n in range(1, 5):
        net.fade(n, n + 1)
        sent += net.stream(0.5)
        tunnels.append(net.mobile.engine.tunnels)
        sent += net.stream(0.6)
    assert tunnels == [1, 2, 2, 2]
    sent += net.stream(1.0)
    net.run(5.0)
    assert [d.mode for d in net.done()] == ["predictive"] * 4
    assert lost(net, sent) == []
    assert leftovers(net) == []


@pytest.mark.parametrize("moment", [k / 2000 for k in range(16)])
def test_return_to_the_previous_router(moment: float) -> None:
    """A to B to A at any moment of the first handover: nothing is left, and nothing loops (F44)."""
    net = Net(2, home_s=0.02)
    net.start()
    net.fade(1, 2)
    net.run(moment)
    net.radio.set_quality(poa_of(1), Quality.EXCELLENT)
    net.radio.move(poa_of(1))
    sent = net.stream(5.0)
    net.run(1.0)
    here = net.router_at(net.radio.poa)
    assert here is not None
    assert net.mobile.engine.coa == coa_of(here.number)
    assert leftovers(net) == []
    assert lost(net, sent[1000:]) == []


def test_predictive_return_to_the_previous_router() -> None:
    """A to B to A by FBU each time, the second while PAR tunnels for the first: nothing is lost (F44)."""
    net = Net(2, home_s=0.05, policy=LevelPolicy(minimum_stay_s=0.1, return_margin=0))
    net.start()
    net.fade(1, 2)
    sent = net.stream(0.3)
    net.fade(2, 1)
    sent += net.stream(5.0)
    net.run(1.0)
    assert [d.mode for d in net.done()] == ["predictive"] * 2
    assert net.mobile.engine.coa == coa_of(1)
    assert lost(net, sent) == []
    assert leftovers(net) == []


def test_lost_messages_are_made_good() -> None:
    """With a third of all control messages lost, a drive still ends connected at its last router."""
    for seed in range(10):
        net = Net(3, seed=seed, faults=Faults(loss=0.3))
        net.start()
        net.fade(1, 2)
        net.run(5.0)
        net.radio.move(poa_of(3))
        net.run(60.0)
        net.faults = Faults()
        net.run(60.0)
        assert net.connected(), seed


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32), faults=FAULTS, gap_s=st.sampled_from([0.001, 0.05, 0.3]), steps=st.lists(STEP)
)
def test_whatever_happens_the_node_ends_connected(
    seed: int, faults: Faults, gap_s: float, steps: list[tuple[str, int, Quality, float]]
) -> None:
    """Loss, repetition, reordering, refusals and broken links leave a connected node and nothing else."""
    net = Net(3, seed=seed, faults=faults)
    net.radio.gap_s = gap_s
    net.start()
    for what, n, quality, duration_s in steps:
        act(net, what, n, quality)
        net.stream(duration_s, 0.02)
    come_to_rest(net, 150.0)
