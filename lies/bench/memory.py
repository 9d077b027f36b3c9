"""Resident memory of the daemon, and what an event costs of a processor, over many events."""

from collections.abc import Mapping

from lies.bench._figures import Row
from lies.bench._lanes import Lane, Lanes
from lies.bench._pace import WINDOW
from lies.bench._proc import cpu_s, rss_kb
from lies.bench._processes import Processes
from lies.bench._rooms import Losses, Room, Value

GOAL_GROWTH_MB = 5.0  # after a million events


class Memory(Room):
    """events: from a driver in the daemon to one blocking client; before anything else has gone through it."""

    name = "memory"

    def __init__(self, processes: Processes, lanes: Lanes, losses: Losses, *, events: int) -> None:
        self._processes = processes
        self._lanes = lanes
        self._losses = losses
        self._events = events
        self._growth_mb: float | None = None
        self._cpu_us: dict[str, tuple[float, float]] = {}

    def round(self) -> None:
        """The floor, then the daemon from its first event on."""
        contest, daemon = self._lanes.blocking, self._processes.daemon.pid
        self._cpu_us["floor"] = self._cost(
            contest.floor, self._processes.floor("sender").pid, self._processes.floor("receiver").pid
        )
        before_mb = rss_kb(daemon) / 1024
        self._cpu_us["ours"] = self._cost(contest.ours, daemon, self._processes.client("client").pid)
        self._growth_mb = rss_kb(daemon) / 1024 - before_mb

    def _cost(self, lane: Lane, sender: int, receiver: int) -> tuple[float, float]:
        before = cpu_s(sender), cpu_s(receiver)
        segment = self._losses.note(lane, lane.run(self._events, window=WINDOW))
        after = cpu_s(sender), cpu_s(receiver)
        events = max(1, segment.received.received)
        return (after[0] - before[0]) / events * 1e6, (after[1] - before[1]) / events * 1e6

    def rows(self) -> list[Row]:
        """Growth of the daemon; CPU of sending and of receiving process."""
        rows = [
            Row(
                "rss_growth_mb",
                f"daemon's memory, growth over {self._events} events",
                "MB",
                self._growth_mb,
                goal=GOAL_GROWTH_MB,
            )
        ]
        ours, floor = self._cpu_us.get("ours"), self._cpu_us.get("floor")
        if ours is not None and floor is not None:
            for k, (name, shown) in enumerate(
                (("daemon", "daemon with driver / sender"), ("consumer", "blocking client / receiver"))
            ):
                ratio = ours[k] / floor[k] if floor[k] > 0 else None
                rows.append(Row(f"cpu_{name}_us", f"CPU per event: {shown}", "us", ours[k], floor[k], ratio))
        return rows

    def figures(self) -> Mapping[str, Value]:
        """Over how many events."""
        return {"rss_growth_events": self._events}
