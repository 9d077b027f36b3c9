"""The raw items of a trace or recording, link by link, on the file's own clock."""

from collections.abc import Iterator
from pathlib import Path

from attrs import evolve

from lies.errors import TraceFormatError
from lies.events import Link, RawItem
from lies.trace import FileKind, item_of, open_trace, sniff
from lies.trace.recording import HEADER, header_of, read_recording


def links_of(path: Path) -> Iterator[tuple[Link, Iterator[RawItem]]]:
    """(link, its items in order); a trace has one link. TraceFormatError for a file without raw items.

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
    for record in read_recording(path):
        if record.type == HEADER:
            t0_ns = header_of(record.data).t0_ns
        item = item_of(record.event)
        if item is not None and record.event is not None:
            items.setdefault(record.event.header.link, []).append(item)
    if not items:
        raise TraceFormatError("has no raw samples", file=str(path))
    begin_ns = min(found[0].t_ns for found in items.values()) if t0_ns is None else t0_ns
    for link, found in items.items():
        yield link, (evolve(item, t_ns=item.t_ns - begin_ns) for item in found)
