"""One-way latency from driver to consumer at a steady rate, beside the floor's."""

from collections import defaultdict
from collections.abc import Mapping

from lies.bench._figures import Row, compare, percentile
from lies.bench._lanes import Lanes, in_turn
from lies.bench._rooms import Losses, Room, Value

GOAL_MEDIAN, GOAL_P99 = 1.5, 2.0  # times the floor


class Latency(Room):
    """events: in each segment of a round; interval_ns: between two of them."""

    name = "latency"

    def __init__(self, lanes: Lanes, losses: Losses, *, events: int, interval_ns: int) -> None:
        self._contests = lanes.contests
        self._losses = losses
        self._events = events
        self._interval_ns = interval_ns
        self._median_us: dict[str, list[float]] = defaultdict(list)
        self._p99_us: dict[str, list[float]] = defaultdict(list)

    def round(self) -> None:
        """Floor and ours in both styles, then the other places where driver and consumer can be."""
        for lane in in_turn(self._contests):
            segment = lane.run(self._events, every_ns=self._interval_ns, keep=True)
            self._losses.note(lane, segment)
            times_us = [ns / 1e3 for ns in segment.received.latencies_ns]
            self._median_us[lane.name].append(percentile(times_us, 0.5))
            self._p99_us[lane.name].append(percentile(times_us, 0.99))

    def rows(self) -> list[Row]:
        """Median and 99th percentile, each beside the floor of its style."""
        parts = ("median", self._median_us, GOAL_MEDIAN), ("p99", self._p99_us, GOAL_P99)
        return [
            compare(
                f"{contest.prefix}latency_{what}",
                f"one-way latency, {what}: {contest.shown}",
                "us",
                values[contest.ours.name],
                values[contest.floor.name],
                goal=goal if contest.judged else None,
            )
            for what, values, goal in parts
            for contest in self._contests
        ]

    def figures(self) -> Mapping[str, Value]:
        """Nothing beyond the rows."""
        return {"latency_events_per_s": round(1e9 / self._interval_ns)}
