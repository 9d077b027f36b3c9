"""The raw items of a trace or recording, link by link, on the file's own clock."""

from collections.abc import Iterator
from pathlib import Path

import typer
from attrs import evolve

from lies.errors import TraceFormatError
from lies.events import Link, RawItem
from lies.trace import FileKind, item_of, open_trace, sniff
from lies.trace.recording import DAMAGED, HEADER, TORN, header_of, read_recording


def links_of(path: Path) -> Iterator[tuple[Link, Iterator[RawItem]]]:
    """(link, its items in order); a trace has one link. TraceFormatError for a file without raw items.

    What cannot be read of a torn or damaged recording is left out, which is said on stderr.

    A trace keeps its clock, also in a recording made of it; another recording's begins with its first item.
    """
    if sniff(path) is not FileKind.RECORDING:
        trace = open_trace(path)
        yield (
            Link(Path(trace.path).name.partition(".")[0], trace.technology),
            (item for _, item in trace.items()),
        )
        return
    items: dict[Link, list[RawItem]] = {}
    t0_ns: int | None = None
    unread: dict[str, int] = {}
    for record in read_recording(path):
        if record.type == HEADER:
            t0_ns = header_of(record.data).t0_ns
        elif record.type in {TORN, DAMAGED}:
            unread[record.type] = unread.get(record.type, 0) + record.data["octets"]
        item = item_of(record.event)
        if item is not None and record.event is not None:
            items.setdefault(record.event.header.link, []).append(item)
    if not items:
        raise TraceFormatError("has no raw samples", file=str(path))
    if unread:
        octets, kinds = sum(unread.values()), " and ".join(sorted(unread))
        typer.echo(f"lies: {path}: {kinds}: {octets} octets could not be read and are left out", err=True)
    begin_ns = min(found[0].t_ns for found in items.values()) if t0_ns is None else t0_ns
    for link, found in items.items():
        yield link, (evolve(item, t_ns=item.t_ns - begin_ns) for item in found)
