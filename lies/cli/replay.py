"""`lies replay FILE`: a recording or trace as a driver of the running daemon."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lies.cli._options import Json, RuntimeDir, new_app

app = new_app()


@app.command()
def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", readable=False, help="A recording, or one or several traces of one clock."
        ),
    ],
    *,
    rate: Annotated[float, typer.Option("--rate", min=0.0, metavar="X", help="How many times faster.")] = 1.0,
    asap: Annotated[bool, typer.Option("--asap", help="As fast as possible.")] = False,
    loop: Annotated[int, typer.Option("--loop", min=0, metavar="N", help="How often; 0 for ever.")] = 1,
    start: Annotated[
        float, typer.Option("--start", min=0.0, metavar="S", help="Skip the first S seconds.")
    ] = 0.0,
    paused: Annotated[
        bool, typer.Option("--paused", help="Wait for SIGUSR1 (or Enter) before playing.")
    ] = False,
    renames: Annotated[
        list[str] | None, typer.Option("--map", metavar="A=B", help="Call the recorded PoA A by the name B.")
    ] = None,
    link: Annotated[str | None, typer.Option("--link", metavar="NAME", help="Name of the link.")] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the driver on the bus.")
    ] = "replay",
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Without a daemon: print the events as `lies trace` does.")
    ] = False,
    json: Json = False,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Play a recording or a CSV trace as a driver of the running daemon.

    Raw samples and driver inputs are fed; indications come out of the abstract entity anew.
    """
    del runtime_dir  # its callback did it
    if asap and rate != 1.0:
        raise typer.BadParameter("--asap and --rate contradict each other")
    if json and not standalone:
        raise typer.BadParameter(
            "-j prints events, which --standalone does; use `lies trace -j` beside a daemon"
        )
    from lies.cli._client import run
    from lies.cli._replay import play, play_alone

    options: dict[str, Any] = {
        "files": [str(file.absolute()) for file in files],
        "rate": rate,
        "asap": asap,
        "loop": loop,
        "start_s": start,
        "paused": paused,
        "map": dict(_pair(text) for text in renames or []),
    }
    if link is not None:
        options["link"] = link
    run(play_alone(name, options, json=json) if standalone else play(name, options))


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise typer.BadParameter(f"{text!r} is not of the form A=B", param_hint="--map")
    return old, new
