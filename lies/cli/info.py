"""`lies info FILE`: what is in a recording or trace."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

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
    from lies.cli._output import clean, print_json
    from lies.trace import FileKind, sniff

    found = _recording(file) if sniff(file) is FileKind.RECORDING else _trace(file)
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
    from lies.events import LinkUp, RawAttached, RawSample
    from lies.trace.recording import HEADER, TORN, read_recording

    counts: Counter[str] = Counter()
    created: str | None = None
    links: dict[str, str] = {}
    poas: dict[str, None] = {}
    times_ns: list[int] = []
    for record in read_recording(file):
        counts[record.type] += 1
        if record.type == HEADER and created is None:
            created = record.data["created"]
        if record.event is None:
            continue
        header = record.event.header
        links[header.link.name] = header.link.technology.value
        times_ns = [min([*times_ns[:1], header.mono_ns]), max([*times_ns[1:], header.mono_ns])]
        match record.event:
            case LinkUp(poa=poa):
                poas[poa] = None
            case RawAttached(attached=attached):
                poas[attached.poa] = None
            case RawSample(sample=sample) if sample.poa is not None:
                poas[sample.poa] = None
    return {
        "type": "info",
        "file": str(file),
        "format": "lies-recording",
        "created": created,
        "sessions": counts.pop(HEADER, 0),
        "torn": bool(counts.pop(TORN, 0)),
        "duration_s": round((times_ns[1] - times_ns[0]) / 1e9, 3) if times_ns else 0.0,
        "links": [{"link": name, "technology": technology} for name, technology in links.items()],
        "poas": list(poas),
        "counts": dict(sorted(counts.items())),
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
