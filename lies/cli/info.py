"""`lies info FILE`: what is in a recording or trace."""

from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import Json, new_app

app = new_app()


@app.command()
def info(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", readable=False, help="A recording, a CSV trace or a G-NetTrack file."),
    ],
    *,
    json: Json = False,
) -> None:
    """Say what is in a recording or trace; exit 3 with one sentence if it is neither."""
    import attrs
    import msgspec

    from lies.cli._output import clean, print_json
    from lies.trace import read_info

    summary = read_info(file)
    found = {a.name: msgspec.to_builtins(getattr(summary, a.name)) for a in attrs.fields(type(summary))}
    if json:
        print_json({"type": "info", **found})
        return
    for key, value in found.items():
        if value is not None:
            print(f"{key + ':':15}{clean(_shown(value))}")


def _shown(value: object) -> str:
    match value:
        case {"name": name, "technology": technology}:
            return f"{name} {technology}"
        case dict():
            return ", ".join(f"{name} {number}" for name, number in value.items()) or "none"
        case list() | tuple():
            return ", ".join(_shown(v) for v in value) or "none"
        case bool():
            return "yes" if value else "no"
    return str(value)
