"""One run of the bench: rooms, a round at a time, as many rounds as fit in the time."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from lies.bench._figures import Row
from lies.bench._hosts import DRIVER
from lies.bench._lanes import Lanes
from lies.bench._plan import Plan
from lies.bench._processes import Processes
from lies.bench._rooms import Losses, Room, Value
from lies.bench.latency import Latency
from lies.bench.throughput import Throughput
from lies.runtime import now_s

Say = Callable[[str], None]


@frozen
class Result:
    """What a run measured."""

    rows: tuple[Row, ...]
    figures: dict[str, Value]

    def line(self) -> dict[str, Any]:
        """All of it as one flat object, type `bench`."""
        out: dict[str, Any] = {"type": "bench"}
        for row in self.rows:
            if row.floor is not None:
                out[f"{row.name}_ratio"] = rounded(row.ratio)
                out[f"{row.name}_floor"] = rounded(row.floor)
            out[row.name] = rounded(row.ours)
        return out | self.figures


def rounded(value: float | None) -> float | None:
    """To four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def run_bench(plan: Plan, *, say: Say = lambda _: None, driver: str = DRIVER) -> Result:
    """Run it; say: told what is being measured; driver: entry point of the driver class, for tests."""
    begun_s = now_s()
    with tempfile.TemporaryDirectory(prefix="lies-bench-") as path, Processes(Path(path), driver=driver) as p:
        losses = Losses()
        lanes = Lanes(p)
        rooms: Sequence[Room] = (
            Latency(lanes, losses, events=plan.latency_events, interval_ns=plan.interval_ns),
            Throughput(lanes, losses, events=plan.throughput_events),
        )
        for number in range(plan.rounds):
            for room in rooms:
                say(f"round {number + 1} of {plan.rounds}: {room.name}")
                room.round()
    figures: dict[str, Value] = {
        "events": losses.events,
        "events_lost": losses.lost,
        "gaps": losses.gaps,
        "duration_s": round(now_s() - begun_s, 1),
    }
    for room in rooms:
        figures |= room.figures()
    return Result(tuple(row for room in rooms for row in room.rows()), figures)
