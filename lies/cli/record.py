"""`lies record -o FILE`: everything that the daemon says, in a file."""

from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import RuntimeDir, new_app

app = new_app()
ENDINGS = (".ndjson", ".ndjson.gz")


@app.command()
def record(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", readable=False, help="The recording, .ndjson or .ndjson.gz."
        ),
    ],
    *,
    append: Annotated[
        bool, typer.Option("--append", help="Go on at the end of an earlier recording.")
    ] = False,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Record raw measurements, events and reports of every link, until Ctrl-C; begins with a snapshot."""
    del runtime_dir  # its callback did it
    if not output.name.endswith(ENDINGS):
        raise typer.BadParameter(f"{output.name}: recordings are {' or '.join(ENDINGS)}", param_hint="-o")
    from lies.cli._client import run
    from lies.cli._record import record_all

    run(record_all(output, append=append))
