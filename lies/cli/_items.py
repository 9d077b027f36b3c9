"""The raw items of a trace or recording, link by link, on the file's own clock."""

from collections.abc import Iterator
from pathlib import Path

from attrs import evolve

from lies.errors import TraceFormatError
from lies.events import Link, RawAttached, RawDetached, RawItem, RawSample
from lies.trace import FileKind, open_trace, sniff
from lies.trace.recording import read_recording


def links_of(path: Path) -> Iterator[tuple[Link, Iterator[RawItem]]]:
    """(link, its items in order); a trace has one link. TraceFormatError for a file without raw items.

    A trace keeps its clock; a recording's clock begins with its first raw item.
    """
    if sniff(path) is not FileKind.RECORDING:
        trace = open_trace(path)
        yield (
            Link(Path(trace.path).name.partition(".")[0], trace.technology),
            (item for _, item in trace.items()),
        )
        return
    items: dict[Link, list[RawItem]] = {}
    for record in read_recording(path):
        match record.event:
            case RawSample(header=header, sample=item):
                items.setdefault(header.link, []).append(item)
            case RawAttached(header=header, attached=item):
                items.setdefault(header.link, []).append(item)
            case RawDetached(header=header, detached=item):
                items.setdefault(header.link, []).append(item)
    if not items:
        raise TraceFormatError("has no raw samples", file=str(path))
    begin_ns = min(found[0].t_ns for found in items.values())
    for link, found in items.items():
        yield link, (evolve(item, t_ns=item.t_ns - begin_ns) for item in found)
