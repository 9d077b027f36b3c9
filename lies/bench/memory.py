"""Resident memory of the daemon, and what an event costs of a processor, over many events."""

from collections.abc import Mapping

from lies.bench._figures import Row, compare
from lies.bench._lanes import Lane, Lanes, Load
from lies.bench._pace import WINDOW
from lies.bench._proc import cpu_s, rss_kb
from lies.bench._processes import Processes
from lies.bench._rooms import Losses, Room, Value
from lies.runtime import now_s

GOAL_GROWTH_MB = 5.0  # after a million events
_CHUNK = 25_000  # events in one segment; each has a session of its own
_SHARES = {
    "daemon": "daemon with driver / sender",
    "consumer": "blocking client / receiver",
}


class Memory(Room):
    """events: from a driver in the daemon to one blocking client, before anything else goes through it.

    limit_s: fewer events where they would take longer.
    """

    name = "memory"

    def __init__(
        self, processes: Processes, lanes: Lanes, losses: Losses, *, events: int, limit_s: float
    ) -> None:
        self._processes = processes
        self._lanes = lanes
        self._losses = losses
        self._events = events
        self._limit_s = limit_s
        self._came = 0
        self._growth_mb: float | None = None
        self._floor_us: list[float] = []
        self._ours_us: list[float] = []

    def round(self) -> None:
        """The floor, then the daemon from its first event on."""
        contest, processes = self._lanes.blocking, self._processes
        floor = processes.floor("sender").pid, processes.floor("receiver").pid
        ours = processes.daemon.pid, processes.client("client").pid
        self._floor_us, _ = self._cost(contest.floor, floor)
        before_kb = rss_kb(ours[0])
        self._ours_us, self._came = self._cost(contest.ours, ours)
        self._growth_mb = (rss_kb(ours[0]) - before_kb) / 1024

    def _cost(self, lane: Lane, processes: tuple[int, int]) -> tuple[list[float], int]:
        """CPU per event of both processes, in us; how many came."""
        before, end_s, sent, came = [cpu_s(pid) for pid in processes], now_s() + self._limit_s, 0, 0
        while sent < self._events and (sent == 0 or now_s() < end_s):
            segment = self._losses.note(lane, lane.run(Load(min(_CHUNK, self._events - sent), window=WINDOW)))
            sent += segment.sent.sent
            came += segment.received.received
            if segment.sent.stalled:
                break
        used = [cpu_s(pid) - was for pid, was in zip(processes, before, strict=True)]
        return [seconds / max(1, came) * 1e6 for seconds in used], came

    def rows(self) -> list[Row]:
        """Growth of the daemon; CPU of sending and of receiving process."""
        shown = f"daemon's memory, growth over {self._came} events"
        growth = Row("rss_growth_mb", shown, "MB", self._growth_mb, goal=GOAL_GROWTH_MB)
        cpu = [
            compare(f"cpu_{name}", f"CPU per event: {shown}", "us", [ours], [floor])
            for (name, shown), ours, floor in zip(_SHARES.items(), self._ours_us, self._floor_us, strict=True)
        ]
        return [growth, *cpu]

    def figures(self) -> Mapping[str, Value]:
        """Over how many events."""
        return {"rss_growth_events": self._came}
