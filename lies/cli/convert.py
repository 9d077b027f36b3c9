"""`lies convert IN OUT`: a recording or trace in another form."""

from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import new_app

app = new_app()


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A recording in any form, a CSV trace or a G-NetTrack file.")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="What to write: .lies .ndjson .csv .pcapng .parquet.")
    ],
    *,
    packets: Annotated[
        Path | None,
        typer.Option("--packets", metavar="FILE", help="Put the events into this pcapng capture, by time."),
    ] = None,
    link: Annotated[
        str | None,
        typer.Option("--link", metavar="NAME", help="To CSV: whose samples. From a trace: the link's name."),
    ] = None,
) -> None:
    """Turn a recording or trace into another form, told by the ending of OUT.

    .lies, .ndjson, .pcapng and .parquet hold every record; .csv holds the raw samples of one link.
    """
    from lies.cli._output import clean
    from lies.trace import convert as run

    done = run(source, target, link=link, packets=packets)
    typer.echo(clean(f"{target}: {done.kept} of {done.records} records"), err=True)
    if done.torn_octets:
        typer.echo(f"{source}: torn: its last {done.torn_octets} octets are no whole record", err=True)
    if done.damaged_octets:
        typer.echo(f"{source}: damaged: {done.damaged_octets} octets could not be read", err=True)
    if done.packets_torn_octets:
        typer.echo(
            f"{packets}: torn: its last {done.packets_torn_octets} octets are no whole block", err=True
        )
