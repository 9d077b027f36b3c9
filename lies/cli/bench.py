"""`lies bench`: the event path beside its floor."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from lies.cli._mode import MODES, ModeChoice
from lies.cli._options import Json, new_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lies.bench import Result, Row

app = new_app()


@app.command()
def bench(
    *,
    json: Json = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="A million events, more and longer rounds; with -j also a line per figure."
        ),
    ] = False,
    handover: Annotated[
        bool, typer.Option("--handover", help="Handovers back to back between two access routers instead.")
    ] = False,
    mode: Annotated[ModeChoice, typer.Option(help="How these are made.")] = ModeChoice.PREDICTIVE,
    count: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Handovers for each backbone delay; else for 14 s."
        ),
    ] = None,
    l2_gap_ms: Annotated[
        float, typer.Option(min=0, max=2000, metavar="MS", help="Least time without a link in a handover.")
    ] = 2.0,
) -> None:
    """Measure the event path beside raw ZeroMQ with the same frames, floor and ours by turns, in 50 s.

    Latency and throughput from driver to consumer, requests, fan-out, memory, and the abstract entity, which
    is fed the recorded traces in the folder that LIES_TRACES names, else a made one. -j prints one object of
    the type `bench`.

    --handover: every packet of 15 Mbit/s each way is counted, with 0 and with 10 ms between home agent and
    access routers; -j prints an object of the type `summary` for each mode and delay.
    """
    if handover:
        from lies.cli._bench_handover import measure

        measure(MODES if mode is ModeChoice.ALL else (mode.value,), count, l2_gap_ms=l2_gap_ms, json=json)
        return
    from attrs import evolve

    from lies.bench import FULL, Plan, run_bench
    from lies.cli._output import print_json

    signal.signal(signal.SIGTERM, _leave)
    traces = os.environ.get("LIES_TRACES")
    plan = evolve(FULL if full else Plan(), traces=Path(traces) if traces else None)
    watched = sys.stderr.isatty()
    try:
        result = run_bench(plan, say=_say if watched else lambda _: None)
    finally:
        if watched:
            _say("")
    if not json:
        _print(result)
        return
    for row in result.rows if full else ():
        print_json(_fields(row))
    print_json(result.line())


def _leave(number: int, _frame: FrameType | None) -> None:
    """Clear up, and end as a signal would."""
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()


def _fields(row: "Row") -> dict[str, object]:
    return {
        "type": "bench_figure",
        "name": row.name,
        "figure": row.figure,
        "unit": row.unit,
        "ours": row.ours,
        "floor": row.floor,
        "ratio": row.ratio,
        "goal": row.goal,
        "at_least": row.at_least,
        "met": row.met,
        "ratios": row.ratios,
    }


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _spread(ratios: "Sequence[float]") -> str:
    return f"{_cell(min(ratios))}..{_cell(max(ratios))}" if len(ratios) > 1 else "-"


def _print(result: "Result") -> None:
    from lies.cli._output import print_table

    rows = []
    for row in result.rows:
        goal = "-" if row.goal is None else f"{'>=' if row.at_least else '<='} {row.goal:g}"
        met = {None: "-", True: "yes", False: "no"}[row.met]
        cells = [_cell(row.ours), _cell(row.floor), _cell(row.ratio), _spread(row.ratios)]
        rows.append([row.figure, row.unit, *cells, goal, met])
    print_table(["figure", "unit", "ours", "floor", "ratio", "of rounds", "goal", "met"], rows)
    figures = result.figures
    print(f"rounds: {figures['rounds']}, {figures['duration_s']} s; gaps told: {figures['gaps']}")
