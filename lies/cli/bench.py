"""`lies bench`: the event path beside its floor."""

from typing import TYPE_CHECKING, Annotated

import typer

from lies.cli._options import Json, new_app

if TYPE_CHECKING:
    from lies.bench import Result

app = new_app()


@app.command()
def bench(
    *,
    json: Json = False,
    full: Annotated[bool, typer.Option("--full", help="More rounds.")] = False,
) -> None:
    """Measure latency and throughput from driver to consumer beside raw ZeroMQ with the same frames."""
    from lies.bench import Plan, run_bench
    from lies.cli._output import print_json

    result = run_bench(Plan(rounds=15) if full else Plan())
    if json:
        print_json(result.line())
        return
    _print(result)


def _print(result: "Result") -> None:
    from lies.cli._output import print_table

    def cell(value: float | None) -> str:
        return "-" if value is None else f"{value:.4g}" if value < 1000 else f"{value:.0f}"

    rows = []
    for row in result.rows:
        goal = "-" if row.goal is None else f"{'>=' if row.at_least else '<='} {row.goal:g}"
        met = {None: "-", True: "yes", False: "no"}[row.met]
        figure = f"{row.figure} ({row.unit})"
        rows.append([figure, cell(row.ours), cell(row.floor), cell(row.ratio), goal, met])
    print_table(["figure", "ours", "floor", "ratio", "goal", "met"], rows)
    figures = result.figures
    print(f"{figures['events']} events, {figures['events_lost']} lost, in {figures['duration_s']} s")
