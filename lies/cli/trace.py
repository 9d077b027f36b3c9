"""`lies trace`: events as they happen."""

from typing import Annotated

import typer

from lies.cli._complete import complete_kinds
from lies.cli._options import Json, OnlyLink, RuntimeDir, new_app

app = new_app()


@app.command()
def trace(
    kind: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KIND",
            help="link_up, link_going_down, report, raw, ... (default: all but raw)",
            autocompletion=complete_kinds,
        ),
    ] = None,
    *,
    link: OnlyLink = "*",
    json: Json = False,
    time: Annotated[
        str,
        typer.Option("-t", "--time", metavar="STYLE", help="How a line begins: wall, mono, delta or none."),
    ] = "wall",
    count: Annotated[
        int | None, typer.Option("-n", "--count", metavar="N", min=1, help="End after N events.")
    ] = None,
    wait_s: Annotated[
        float | None, typer.Option("-W", "--wait", min=0.0, metavar="S", help="End with 27 after S seconds.")
    ] = None,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Print events as they happen, until Ctrl-C, -n events (exit 0) or -W seconds (exit 27)."""
    del runtime_dir  # its callback did it
    from lies.cli._events import TimeStyle, kinds
    from lies.cli._trace import follow

    if time not in {s.value for s in TimeStyle}:
        raise typer.BadParameter(f"{time!r} is none of wall, mono, delta, none", param_hint="-t")
    primitives, names = kinds(kind or [])
    follow(
        primitives,
        names,
        link=link,
        style=None if json else TimeStyle(time),
        count=count,
        wait_s=wait_s,
    )
