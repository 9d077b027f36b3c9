"""`lies record -o FILE`: everything that the daemon says, in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lies.cli._options import RuntimeDir, new_app

if TYPE_CHECKING:
    from lies.trace.series import Rotation

app = new_app()


@app.command()
def record(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            readable=False,
            help="The recording: .lies, .ndjson or .ndjson.gz.",
        ),
    ],
    *,
    append: Annotated[
        bool, typer.Option("--append", help="Go on at the end of an earlier recording.")
    ] = False,
    rotate: Annotated[
        str | None,
        typer.Option("--rotate", metavar="SIZE", help="Go on in a new FILE at a size such as 500K or 10M."),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, metavar="N", help="With --rotate: keep N files; without it all."),
    ] = None,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Record raw measurements, events and reports of every link, until Ctrl-C; begins with a snapshot.

    With --rotate, FILE is the newest; those before it are numbered (drive.0001.lies). Each can be replayed.
    """
    del runtime_dir  # its callback did it
    from lies.cli._client import run
    from lies.cli._record import record_all
    from lies.trace.recording import ENDINGS, ending_of

    if not ending_of(output):
        raise typer.BadParameter(f"{output.name}: recordings are {', '.join(ENDINGS)}", param_hint="-o")
    if rotate is None and keep is not None:
        raise typer.BadParameter("--keep goes with --rotate SIZE")
    run(record_all(output, append=append, rotation=None if rotate is None else _rotation(rotate, keep)))


def _rotation(text: str, keep: int | None) -> "Rotation":
    from lies.errors import ConfigError
    from lies.trace.series import LEAST_SIZE, Rotation, octets

    try:
        size = octets(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--rotate") from error
    if size < LEAST_SIZE:
        raise typer.BadParameter(f"{size} octets; {LEAST_SIZE} is the least", param_hint="--rotate")
    return Rotation(size, keep)
