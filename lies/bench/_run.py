"""One run of the bench: rooms, a round at a time, as many rounds as fit in the time."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from lies.bench._figures import Row
from lies.bench._lanes import Lanes
from lies.bench._names import DRIVER
from lies.bench._plan import Plan
from lies.bench._processes import Processes
from lies.bench._rooms import Losses, Room, Value
from lies.bench.abstract import Abstract
from lies.bench.fanout import FanOut
from lies.bench.latency import Latency
from lies.bench.memory import Memory
from lies.bench.requests import Requests
from lies.bench.start import StartMemory, StartTime
from lies.bench.throughput import Throughput
from lies.runtime import now_s

Say = Callable[[str], None]


@frozen
class Result:
    """What a run measured: rows of a table, and all figures by name."""

    rows: tuple[Row, ...]
    figures: dict[str, Value]

    def line(self) -> dict[str, Any]:
        """All figures as one flat object, type `bench`."""
        return {"type": "bench", **self.figures}


def run_bench(plan: Plan, *, say: Say = lambda _: None, driver: str = DRIVER) -> Result:
    """Run it; say: told what is being measured; driver: entry point of the driver class, for tests."""
    begun_s = now_s()
    with (
        tempfile.TemporaryDirectory(prefix="lies-bench-") as path,
        Processes(Path(path), driver=driver) as processes,
    ):
        losses = Losses()
        lanes = Lanes(processes)
        once: Sequence[Room] = (
            Memory(processes, lanes, losses, events=plan.memory_events, limit_s=plan.limit_s / 4),
            StartMemory(Path(path) / "start"),
            Abstract(processes, samples=plan.samples, traces=plan.traces, seed=plan.seed),
        )
        every: Sequence[Room] = (
            Latency(lanes, losses, events=plan.latency_events, interval_ns=plan.interval_ns),
            Throughput(lanes, losses, events=plan.throughput_events),
            Requests(lanes, count=plan.requests),
            StartTime(processes.runtime_dir),
        )
        fan_out = FanOut(lanes, losses, deliveries=plan.deliveries)
        for room in once:
            say(room.name)
            room.round()
        longest_s, done = 0.0, 0
        while done < plan.rounds and (done == 0 or now_s() - begun_s + longest_s < plan.limit_s):
            round_s = now_s()
            for room in (*every, fan_out) if done % plan.fan_out_every == 0 else every:
                say(f"round {done + 1} of {plan.rounds}: {room.name}")
                room.round()
            longest_s = max(longest_s, now_s() - round_s)
            done += 1
        order = (every[0], every[1], every[2], fan_out, once[0], once[1], every[3], once[2])
        rows = (*(row for room in order for row in room.rows()), losses.row())
        extra = {name: value for room in order for name, value in room.figures().items()}
    figures: dict[str, Value] = {"style": "blocking", "rounds": done}
    for row in rows:
        figures |= row.figures()
    figures |= extra
    figures |= {
        "events": losses.events,
        "events_lost": losses.lost,
        "events_doubled": losses.doubled,
        "gaps": losses.gaps,
        "floor_lost": losses.floor_lost,
        "duration_s": round(now_s() - begun_s, 1),
    }
    return Result(rows, figures)
