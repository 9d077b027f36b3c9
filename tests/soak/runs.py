"""The table of runs."""

from collections.abc import Callable
from pathlib import Path

from soak.rig import Bed, Figures, bed
from soak.run_doors import connections, rights, wrong_keys
from soak.run_frames import big_frame, mutated_frames
from soak.run_hosts import clock_jumps, full_disk, suspended
from soak.run_kills import kills
from soak.run_stopped import crowd, stopped_consumer

RUNS: dict[str, Callable[[Bed], None]] = {
    run.__name__: run
    for run in (
        stopped_consumer,
        crowd,
        kills,
        full_disk,
        mutated_frames,
        rights,
        wrong_keys,
        big_frame,
        connections,
        clock_jumps,
        suspended,
    )
}


def run(name: str, scale: float, directory: Path) -> Figures:
    """One run at a scale (1.0: in full), in an empty directory."""
    with bed(name, scale, directory) as one:
        RUNS[name](one)
        return one.figures
