"""What is in a recording or trace, for `lies info`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from attrs import frozen

from lies.events import Attached, Link, LinkUp, RawAttached, RawSample, Sample
from lies.trace._open import FileKind, open_trace, sniff
from lies.trace._rows import Trace
from lies.trace.recording import HEADER, SNAPSHOT, TORN, header_of, read_recording

GAP_S = 15.0  # a longer silence is a gap in the recording


@frozen
class FileInfo:
    """Summary of a file.

    start_s: first time on a trace's clock, None of a recording; duration_s: of all sessions; counts:
    type -> lines (recording) or link_type -> rows (trace); links: of a recording; signal: a trace's column
    that tells it, None of a recording; poas: in order of appearance; attachments: how often a PoA was
    joined; gaps, longest_gap_s: silences of more than GAP_S; backwards: how often the clock went back; torn:
    the last line is incomplete; created: wall time of a recording's first session.
    """

    file: str
    format: str
    start_s: float | None
    duration_s: float
    counts: Mapping[str, int]
    links: tuple[Link, ...]
    signal: str | None
    poas: tuple[str, ...]
    attachments: int
    gaps: int
    longest_gap_s: float
    backwards: int
    torn: bool
    created: str | None
    sessions: int


def read_info(path: Path | str) -> FileInfo:
    """The summary of a file; TraceFormatError as the readers raise it."""
    if sniff(path) is FileKind.RECORDING:
        return _recording(Path(path))
    return _trace(open_trace(path))


def _gaps(times_s: Iterable[float]) -> tuple[int, float]:
    long = [b - a for a, b in pairwise(times_s) if b - a > GAP_S]
    return len(long), round(max(long, default=0.0), 3)


def _trace(trace: Trace) -> FileInfo:
    gaps, longest = _gaps(r.t_s for r in trace.rows)
    return FileInfo(
        file=trace.path,
        format=trace.format,
        start_s=trace.rows[0].t_s,
        duration_s=round(trace.duration_s, 3),
        counts=dict(Counter(str(r.technology) for r in trace.rows)),
        links=(),
        signal=trace.signal,
        poas=trace.poas,
        attachments=sum(isinstance(item, Attached) for _, item in trace.items()),
        gaps=gaps,
        longest_gap_s=longest,
        backwards=trace.backwards,
        torn=False,
        created=None,
        sessions=1,
    )


def _recording(path: Path) -> FileInfo:
    counts: Counter[str] = Counter()
    links: dict[Link, None] = {}
    poas: dict[str, None] = {}
    sessions: list[list[int]] = []
    torn, created = False, None
    for record in read_recording(path):
        if record.type == HEADER:
            header = header_of(record.data)
            created = created or header.created
            links.update(dict.fromkeys(header.links))
            sessions.append([])
        elif record.type == TORN:
            torn = True
        else:
            counts[record.type] += 1
        event = record.event
        if record.type in {HEADER, SNAPSHOT, TORN} or event is None:
            continue
        sessions[-1].append(event.header.mono_ns)
        links[event.header.link] = None
        poas.update(dict.fromkeys(_poas(event)))
    gaps = [_gaps(t / 1e9 for t in times) for times in sessions]
    return FileInfo(
        file=str(path),
        format=FileKind.RECORDING.value,
        start_s=None,
        duration_s=round(sum((max(t) - min(t)) / 1e9 for t in sessions if t), 3),
        counts=dict(sorted(counts.items())),
        links=tuple(links),
        signal=None,
        poas=tuple(poas),
        attachments=counts["link_up"],
        gaps=sum(n for n, _ in gaps),
        longest_gap_s=max((s for _, s in gaps), default=0.0),
        backwards=sum(b < a for times in sessions for a, b in pairwise(times)),
        torn=torn,
        created=created,
        sessions=len(sessions),
    )


def _poas(event: object) -> Iterable[str]:
    """The PoAs that an event says the link is or was attached to, or hears."""
    match event:
        case LinkUp(poa=poa):
            yield poa
        case RawAttached(attached=attached):
            yield attached.poa
        case RawSample(sample=Sample(poa=poa, neighbours=heard)):
            if poa is not None:
                yield poa
            yield from (n.poa for n in heard or ())
