"""Simulations: the same from the same seed, of any size, and not deaf to what is wrong."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from sim_kit import Hand, come_to_rest, parts

from lies.errors import LiesError
from lies.runtime import cpu_s
from lies.sim import Faults, Network, SimOptions, Simulation, summary
from lies.sim.capacity import measure, memory
from lies.sim.router import RouterHost
from lies_fmipv6 import actions as fa
from lies_fmipv6.simulation import MobileProgram, RouterProgram

SMALL = {"nodes": 6, "routers": 5, "hours": 0.03, "spacing_m": 60.0}
ROUGH = {
    "loss": 0.1,
    "duplicate": 0.1,
    "reorder": 0.1,
    "jitter_ms": 3.0,
    "restart_every_s": 20.0,
    "abrupt": 0.2,
    "turn": 0.2,
}


def run(**options: Any) -> dict[str, Any]:
    """The summary of a simulation that has to end well."""
    simulation = Simulation(SimOptions(**{**SMALL, **options}), parts())
    verdict = simulation.run()
    assert verdict.good, verdict
    return summary(simulation, verdict)


def test_same_seed_same_result() -> None:
    """Options and seed decide everything, also what is lost and when; another seed is another drive."""
    first = run(**ROUGH)
    assert run(**ROUGH) == first
    assert run(**ROUGH, seed=2)["packets_lost"] != first["packets_lost"]


def test_a_smooth_drive_is_predictive_and_loses_nothing() -> None:
    """With every break announced and no message lost, no packet is lost, and L3 adds next to nothing."""
    line = run(abrupt=0.0, turn=0.0)
    assert line["handovers"] == line["predictive"] > 20
    assert line["packets_lost"] == line["duplicated"] == 0
    assert line["packets_sent"] == pytest.approx(2 * 6 * 100 * 105, rel=0.05)
    assert line["l3_gap_median_ms"] < 10.0, "one interval of the flow"
    assert line["fbu_fback_median_ms"] == 6.0, "four links of the way"
    assert 11 <= line["messages_per_handover"] <= 16


@pytest.mark.parametrize("mode", ["predictive", "reactive", "none"])
def test_rough_drives_end_well(mode: str) -> None:
    """With losses, repetitions, delays, failing routers and sudden breaks everything is whole at the end."""
    line = run(mode=mode, **ROUGH)
    assert line["router_restarts"] >= 2
    assert line["signalling_lost"] > 0
    assert line["predictive"] + line["reactive"] + line["none"] == line["handovers"] > 10
    assert line["predictive"] == 0 or mode == "predictive"
    assert line["reactive"] == 0 or mode != "none"
    assert 0 < line["packets_lost"] < line["packets_sent"]


def test_modes_differ_as_they_should() -> None:
    """Reactive handovers pause longer than predictive ones; without FMIPv6 there is none of its messages."""
    by_mode = {mode: run(mode=mode, abrupt=0.3) for mode in ("predictive", "reactive", "none")}
    assert by_mode["predictive"]["total_gap_median_ms"] < by_mode["reactive"]["total_gap_median_ms"]
    assert "FastBindingUpdate" not in by_mode["none"]["messages_by_kind"]
    assert by_mode["none"]["fbu_fback_median_ms"] is None


def test_without_data_nothing_of_it_is_reported() -> None:
    """What was not measured is null."""
    line = run(packets_per_s=0.0, abrupt=0.0)
    assert line["packets_sent"] is line["packets_lost"] is line["total_gap_median_ms"] is None
    assert line["handovers"] > 20


def test_two_routers_and_wide_gaps() -> None:
    """Two access points on a ring, and ones so far apart that the node is without a link between them."""
    assert run(routers=2)["handovers"] > 10
    line = run(spacing_m=400.0, speed_kmh=120.0, hours=0.1)
    assert line["predictive"] == 0
    assert line["handovers"] > 10
    assert line["packets_lost"] > 0


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"mode": "fast"}, "mode"),
        ({"nodes": 0}, "nodes"),
        ({"loss": 1.5}, "loss"),
        ({"jitter_ms": float("nan")}, "jitter_ms"),
        ({"hours": 0.0}, "hours"),
    ],
)
def test_options_that_make_no_sense(wrong: dict[str, Any], what: str) -> None:
    """They are refused with their name."""
    with pytest.raises(ValueError, match=what):
        SimOptions(**wrong)


def crossed(program: Any, change: Callable[[Any], Any | None]) -> Callable[[Any, Any], None]:
    """A program's _perform that carries out other actions than it was told, or none."""
    honest = program._perform

    def perform(self: Any, action: Any) -> None:
        other = change(action)
        if other is not None:
            honest(self, other)

    return perform


def two_nodes() -> tuple[Network, list[Hand]]:
    """Two nodes that change places."""
    net = Network(parts(), 2, rng=Random(1), interval_s=0.01)
    hands = [Hand(net), Hand(net)]
    hands[0].start(1)
    hands[1].start(2)
    hands[0].fade(2)
    hands[0].wait(1.5)
    return net, hands


def test_packets_to_a_wrong_node_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that takes one node for another delivers wrongly, which is counted, whatever the node does."""
    other = bytes((2, 0, 0, 0, 0, 2))

    def swap(action: Any) -> Any:
        return fa.AdmitNode(action.ncoa, other) if isinstance(action, fa.AdmitNode) else action

    monkeypatch.setattr(RouterProgram, "_perform", crossed(RouterProgram, swap))
    net, hands = two_nodes()
    assert any("misdelivered=" in text and "misdelivered=0" not in text for text in come_to_rest(net, hands))


@pytest.mark.parametrize(
    ("program", "skipped", "told"),
    [
        (RouterProgram, fa.RemoveTunnel, "tunnel of"),
        (RouterProgram, fa.AdmitNode, "is awaited"),
        (MobileProgram, fa.EndTunnel, "reverse tunnel of"),
        (MobileProgram, fa.CompleteHandover, "a handover is prepared"),
    ],
)
def test_leftovers_are_seen(monkeypatch: pytest.MonkeyPatch, program: type, skipped: type, told: str) -> None:
    """An end that is not carried out is found at the end, by name."""
    monkeypatch.setattr(
        program, "_perform", crossed(program, lambda a: None if isinstance(a, skipped) else a)
    )
    net, hands = two_nodes()
    assert any(told in text for text in come_to_rest(net, hands))


def test_a_node_that_is_cut_off_is_seen() -> None:
    """If a node's new address never comes into use, it is not connected."""
    net, hands = two_nodes()
    hands[0].host.uplink = hands[1].host.uplink
    assert any("is not connected" in text for text in come_to_rest(net, hands))


def test_rules_of_hosts_are_kept() -> None:
    """What no sequence of actions may do is counted and told, and ends nothing."""
    net = Network(parts(), 2, rng=Random(1))
    router: RouterHost = net.routers[0]
    address = router.facts.prefix[9]
    router.expect(address)
    router.expect(address)
    router.remove_tunnel(address, address)
    router.forget(address)
    router.forget(address)
    assert net.tally.broken_rules == 3
    assert all(str(address) in text for text in net.tally.what)


def test_circles_of_tunnels_are_seen() -> None:
    """Two routers that tunnel to each other lose the packet, and that is a broken rule."""
    net, hands = two_nodes()
    first, second = net.routers
    host = hands[0].host
    there, here = (r.facts.prefix.network_address + host.facts.interface_id for r in (second, first))
    second.add_tunnel(there, here)
    first.add_tunnel(here, there)
    hands[0].wait(0.5)
    net.touch_all()
    assert net.tally.lost["a circle of tunnels"] == pytest.approx(50, abs=6)
    assert net.tally.what[0].endswith("packets of data in a circle of tunnels")


def test_faults_do_what_they_say() -> None:
    """Shares of lost and repeated messages are those asked for; jitter stays within its bound."""
    rng, faults = Random(7), Faults(loss=0.2, duplicate=0.3, jitter_s=0.01)
    fates = [faults.fate(rng) for _ in range(10_000)]
    assert sum(not fate for fate in fates) == pytest.approx(2000, rel=0.1)
    assert sum(len(fate) == 2 for fate in fates) == pytest.approx(2400, rel=0.1)
    assert all(0.0 <= fate[0] <= 0.01 for fate in fates if fate)
    assert Faults().none
    assert not faults.none


def test_capacity_counts_whole_handovers() -> None:
    """As many handovers are made as were asked for, and their time is that of the clock that was given."""
    ticks = iter((10.0, 12.0))
    (got,) = measure(parts(), 8, 80, lambda: next(ticks))
    assert got.handovers == pytest.approx(80, abs=8)
    assert got.handovers_per_s == got.handovers / 2.0
    assert [round_.cpu_s > 0.0 for round_ in measure(parts(), 4, 8, cpu_s, rounds=2)] == [True, True]


def test_a_bound_node_takes_little_memory() -> None:
    """A mobile node between two routers costs them and the home agent less than 10 kB, and itself as much."""
    got = memory(parts(), 160)
    assert 200 < got.routers < 10_000
    assert 200 < got.home_agent < 10_000
    assert 1000 < got.mobile < 10_000


def test_capacity_needs_a_protocol() -> None:
    """Without consumers that hand over there is nothing to measure, and it says so."""
    with pytest.raises(LiesError, match="predictive handover"):
        memory([], 8)


@pytest.mark.parametrize("mode", ["predictive", "reactive"])
@pytest.mark.parametrize("backbone_ms", [0.0, 2.0, 20.0])
def test_only_the_home_agents_switch_lets_packets_be_overtaken(mode: str, backbone_ms: float) -> None:
    """Those that are: as many as are sent while the longer way, by the previous router, still delivers."""
    line = run(mode=mode, packets_per_s=500.0, abrupt=0.1, backbone_ms=backbone_ms)
    assert line["path_difference_ms"] == (backbone_ms or None), "home agent - PAR - NAR, not home agent - NAR"
    switches = 2 * line["handovers"]  # one in each direction
    assert line["reordered"] <= switches * 0.5 * backbone_ms
    assert bool(line["reordered"]) is bool(backbone_ms)
