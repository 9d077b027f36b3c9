"""`lies info FILE`: what is in a recording or trace."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lies.cli._options import Json, new_app

app = new_app()


@app.command()
def info(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recording, a CSV trace or a G-NetTrack file.")
    ],
    *,
    json: Json = False,
) -> None:
    """Say what is in a recording or trace; exit 3 with one sentence if it is neither."""
    from lies.cli._output import clean, print_json
    from lies.trace import sniff
    from lies.trace.info import RECORDED

    found = _recording(file) if sniff(file) in RECORDED else _trace(file)
    if json:
        print_json(found)
        return
    for key, value in found.items():
        if key != "type":
            print(f"{key + ':':14}{clean(_shown(value))}")


def _trace(file: Path) -> dict[str, Any]:
    from lies.events import Attached
    from lies.trace import open_trace

    trace = open_trace(file)
    attachments = sum(isinstance(item, Attached) for _, item in trace.items())
    return {
        "type": "info",
        "file": str(file),
        "format": trace.format,
        "rows": len(trace.rows),
        "start_s": trace.rows[0].t_s,
        "duration_s": round(trace.duration_s, 3),
        "technologies": list(dict.fromkeys(r.technology.value for r in trace.rows)),
        "signal": trace.signal,
        "poas": list(trace.poas),
        "attachments": attachments,
        "backwards": trace.backwards,
    }


def _recording(file: Path) -> dict[str, Any]:
    from lies.trace import read_info

    found = read_info(file)
    return {
        "type": "info",
        "file": str(file),
        "format": found.format,
        "octets": file.stat().st_size,
        "created": found.created,
        "sessions": found.sessions,
        "torn": found.torn,
        "damaged_octets": found.damaged_octets,
        "indexed": found.indexed,
        "duration_s": round(found.duration_s, 3),
        "links": [{"link": link.name, "technology": link.technology.value} for link in found.links],
        "poas": list(found.poas),
        "gaps": found.gaps,
        "longest_gap_s": found.longest_gap_s,
        "backwards": found.backwards,
        "counts": dict(sorted(found.records.items())),
    }


def _shown(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
        case list():
            return (
                ", ".join(_shown(v).replace(", technology ", " ").removeprefix("link ") for v in value)
                or "none"
            )
        case None:
            return "unknown"
    return str(value)
