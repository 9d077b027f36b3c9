"""A simulation from its options to its verdict."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from attrs import frozen

from lies.sim.drive import Drive
from lies.sim.faults import Faults
from lies.sim.mobile import MobileHost
from lies.sim.network import Network
from lies.sim.options import SimOptions
from lies.sim.program import Part
from lies.sim.radio import Radio
from lies.sim.road import Road
from lies.sim.router import RouterHost

_START_S = 5.0  # the nodes come to their first access points within this time
_SLICE_S = 10.0  # of virtual time, between two words about progress
_PROBE_S = 1.0
_MAX_TOLD = 20


@frozen
class Verdict:
    """What is wrong at the end; nothing of it is there after a good run.

    misdelivered: packets of data that reached a mobile node or the correspondent in another node's name;
    unconnected: nodes that a packet each way does not reach once the network is whole; leftovers: state that
    should have ended; broken_rules: things that no program may do; uncounted: packets of data that neither
    arrived nor were lost; told: the first of these in words.
    """

    misdelivered: int
    unconnected: int
    leftovers: int
    broken_rules: int
    uncounted: int
    told: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all of it is 0."""
        return not (
            self.misdelivered or self.unconnected or self.leftovers or self.broken_rules or self.uncounted
        )


def _stream(options: SimOptions, purpose: str) -> Random:
    return Random(f"{options.seed}/{purpose}")  # noqa: S311 - no secret: it must be repeatable


class Simulation:
    """Mobile nodes on a road, with a network and the programs of `parts`. The same options, the same run."""

    def __init__(self, options: SimOptions, parts: Sequence[Part]) -> None:
        self.options = o = options
        self.net = Network(
            parts,
            o.routers,
            rng=_stream(o, "network"),
            access_s=o.access_ms / 1e3,
            backbone_s=o.backbone_ms / 1e3,
            home_s=o.backbone_ms / 1e3,
            interval_s=1.0 / o.packets_per_s if o.packets_per_s else None,
        )
        self.net.faults = Faults(o.loss, o.duplicate, o.reorder, o.jitter_ms / 1e3)
        self._chance = _stream(o, "restarts")
        self._calm = False
        road = Road(routers=o.routers, spacing_m=o.spacing_m, abrupt=o.abrupt, turn=o.turn)
        self._drives = [self._new_drive(road, number) for number in range(1, o.nodes + 1)]

    def _new_drive(self, road: Road, number: int) -> Drive:
        rng = _stream(self.options, f"node {number}")
        speed = self.options.speed_kmh / 3.6 * rng.uniform(0.8, 1.2)
        radio = Radio(self.net.add_mobile(self.options.mode))
        drive = Drive(self.net.clock, radio, road, rng, speed_mps=speed, gap_s=self.options.l2_gap_ms / 1e3)
        self.net.clock.at(rng.random() * _START_S, drive.start)
        return drive

    @property
    def duration_s(self) -> float:
        """How long the nodes drive."""
        return self.options.hours * 3600.0

    def run(self, progress: Callable[[float], None] = lambda _: None) -> Verdict:
        """Drive, make the network whole, let everything come to its end, and look; progress: 0.0..1.0."""
        self.drive(progress)
        return self.settle()

    def drive(self, progress: Callable[[float], None] = lambda _: None) -> None:
        """The hours on the road."""
        if self.options.restart_every_s:
            self._plan_failure()
        clock = self.net.clock
        while clock.now < self.duration_s:
            clock.run(min(clock.now + _SLICE_S, self.duration_s))
            progress(clock.now / self.duration_s)

    def settle(self) -> Verdict:
        """Stop all data and all faults, park the nodes, wait, and look for what is wrong."""
        net = self.net
        for host in net.mobiles:
            for flow in host.flows:
                flow.stop()
            host.radio.finish()
        self._calm = True
        net.faults = Faults()
        for drive in self._drives:
            drive.park()
        net.clock.run(net.clock.now + self.options.settle_s)
        return judge(net)

    def _plan_failure(self) -> None:
        self.net.clock.after(self._chance.expovariate(1.0 / self.options.restart_every_s), self._fail)

    def _fail(self) -> None:
        if self._calm:
            return
        router: RouterHost = self._chance.choice(self.net.routers)
        if not router.down:
            self.net.tally.restarts += 1
            router.stop()
            self.net.clock.after(self.options.down_s, router.start)
        self._plan_failure()


def judge(net: Network) -> Verdict:
    """What is wrong with a network on which everything has come to its end."""
    told: list[str] = []
    left = [text for host in net.mobiles for text in host.leftovers()]
    left += [text for router in net.routers for text in router.leftovers()]
    for host in net.mobiles:
        here = net.home.sources.get(host.facts.home_address.packed, {})
        left += [f"node {host.facts.number}: {len(here)} addresses may send for it"] * (len(here) != 1)
    left += [f"home agent: {text}" for text in net.home.crew.leftovers()]
    flows = [flow for host in net.mobiles for flow in host.flows]
    uncounted = sum(flow.sent - flow.arrived - flow.lost for flow in flows)
    lost = [host for host in net.mobiles if not _connected(net, host)]
    misdelivered = sum(flow.misdelivered for flow in flows)
    told += [f"node {host.facts.number} is not connected" for host in lost]
    told += [*left, *net.tally.what]
    return Verdict(
        misdelivered, len(lost), len(left), net.tally.broken_rules, uncounted, tuple(told[:_MAX_TOLD])
    )


def _connected(net: Network, host: MobileHost) -> bool:
    """Whether a packet each way would arrive now."""
    return net.reaches(host)


def summary(simulation: Simulation, verdict: Verdict) -> dict[str, Any]:
    """The summary line of a run: the same for the same options."""
    o, net, tally = simulation.options, simulation.net, simulation.net.tally
    flows = [flow for host in net.mobiles for flow in host.flows]
    handovers = sum(tally.modes.values())
    messages = sum(count for count, _ in tally.signalling.values())
    octets = sum(octets for _, octets in tally.signalling.values())
    l3 = [total - l2 for total, l2 in zip(tally.total_gaps_ms, tally.l2_gaps_ms, strict=True)]
    with_data = bool(o.packets_per_s)

    def counted(name: str) -> int | None:
        return sum(getattr(flow, name) for flow in flows) if with_data else None

    return {
        "type": "summary",
        "mode": o.mode,
        "handovers": handovers,
        "predictive": tally.modes["predictive"],
        "reactive": tally.modes["reactive"],
        "none": tally.modes["none"],
        "packets_sent": counted("sent"),
        "packets_lost": counted("lost"),
        "duplicated": counted("duplicated"),
        "reordered": counted("reordered"),
        "path_difference_ms": _longest_ms([flow.path_difference_s for flow in flows]),
        "misdelivered": verdict.misdelivered,
        "lost_by_cause": dict(sorted(tally.lost.items())) if with_data else None,
        "l2_gap_median_ms": _quantile(tally.l2_gaps_ms, 0.5),
        "total_gap_median_ms": _quantile(tally.total_gaps_ms, 0.5),
        "total_gap_p99_ms": _quantile(tally.total_gaps_ms, 0.99),
        "total_gap_max_ms": _quantile(tally.total_gaps_ms, 1.0),
        "l3_gap_median_ms": _quantile(l3, 0.5),
        "l3_gap_p99_ms": _quantile(l3, 0.99),
        "fbu_fback_median_ms": _quantile(tally.fbu_fback_ms, 0.5),
        "messages": messages,
        "messages_per_handover": _share(messages, handovers),
        "octets_per_handover": _share(octets, handovers),
        "messages_by_kind": {kind: count for kind, (count, _) in sorted(tally.signalling.items())},
        "signalling_lost": tally.signalling_lost,
        "malformed": sum(tally.malformed.values()),
        "router_restarts": tally.restarts,
        "nodes": o.nodes,
        "access_routers": o.routers,
        "hours": o.hours,
        "seed": o.seed,
        "unconnected": verdict.unconnected,
        "leftovers": verdict.leftovers,
        "broken_rules": verdict.broken_rules,
        "uncounted": verdict.uncounted,
    }


def _longest_ms(differences_s: Sequence[float | None]) -> float | None:
    known = [difference_s for difference_s in differences_s if difference_s is not None]
    return round(max(known) * 1e3, 3) if known else None


def _quantile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, int(share * len(ranked)))], 3)


def _share(amount: int, of: int) -> float | None:
    return round(amount / of, 2) if of else None
