"""One-way latency from driver to consumer at a steady rate, beside the floor's."""

from collections import defaultdict
from collections.abc import Mapping

from lies.bench._figures import Row, compare, percentile
from lies.bench._lanes import Lanes, Load, Segment, by_turns
from lies.bench._rooms import Losses, Room, Value

GOALS = {"median": 1.5, "p99": 2.0}  # times the floor
_SHARES = {"median": 0.5, "p99": 0.99}
_TURN = 25  # events of the floor, as many of ours, and so on


class Latency(Room):
    """events: in a round on each side, half as many where there is no goal; interval_ns: between two."""

    name = "latency"

    def __init__(self, lanes: Lanes, losses: Losses, *, events: int, interval_ns: int) -> None:
        self._lanes = lanes
        self._losses = losses
        self._events = events
        self._interval_ns = interval_ns
        self._ours_us: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._floor_us: dict[tuple[str, str], list[float]] = defaultdict(list)

    def round(self) -> None:
        """Every lane, by turns with its floor."""
        for contest in self._lanes.contests:
            count = self._events if contest.judged else max(1, self._events // 2)
            load = Load(count, every_ns=self._interval_ns, keep=True)
            floor, ours = by_turns(contest, load, self._lanes.board, events=_TURN)
            self._losses.note(contest.floor, floor)
            self._losses.note(contest.ours, ours)
            for what, share in _SHARES.items():
                self._floor_us[contest.prefix, what].append(_percentile_us(floor, share))
                self._ours_us[contest.prefix, what].append(_percentile_us(ours, share))

    def rows(self) -> list[Row]:
        """Median and 99th percentile, each beside the floor of its style."""
        return [
            compare(
                f"{contest.prefix}latency_{what}",
                f"one-way latency, {what}: {contest.shown}",
                "us",
                self._ours_us[contest.prefix, what],
                self._floor_us[contest.prefix, what],
                goal=goal if contest.judged else None,
            )
            for what, goal in GOALS.items()
            for contest in self._lanes.contests
        ]

    def figures(self) -> Mapping[str, Value]:
        """The rate."""
        return {"latency_events_per_s": round(1e9 / self._interval_ns)}


def _percentile_us(segment: Segment, share: float) -> float:
    return percentile(segment.received.latencies_ns, share) / 1e3
