"""What is in a recording or trace, for `lies info`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from attrs import define, frozen

from lies.events import Attached, Link, LinkUp, RawAttached, RawSample, Sample
from lies.trace._open import FileKind, open_trace, sniff
from lies.trace._record import SNAPSHOT
from lies.trace._rows import Trace
from lies.trace.convert import records_of
from lies.trace.recording import DAMAGED, HEADER, TORN, has_index, header_of

RECORDED = frozenset({FileKind.RECORDING, FileKind.PCAPNG, FileKind.PARQUET})
GAP_S = 15.0  # a longer silence is a gap in the recording


@frozen
class FileInfo:
    """Summary of a file.

    start_s: first time on a trace's clock, None of a recording; duration_s: of all sessions; counts:
    type -> records (recording) or link_type -> rows (trace); links: of a recording; signal: a trace's column
    that tells it, None of a recording; poas: in order of appearance; attachments: how often a PoA was
    joined; gaps, longest_gap_s: silences of more than GAP_S; lost: how often the recorder was told that it
    missed events; backwards: how often the clock went back; torn: the last record is incomplete;
    damaged_octets: those in the middle that cannot be read; indexed: it is packed and was closed; created:
    wall time of a recording's first session.
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
    lost: int
    backwards: int
    torn: bool
    damaged_octets: int
    indexed: bool
    created: str | None
    sessions: int


def read_info(path: Path | str) -> FileInfo:
    """The summary of a file; TraceFormatError as the readers raise it."""
    path = Path(path)
    kind = sniff(path)
    if kind in RECORDED:
        return _recording(path, kind)
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
        lost=0,
        backwards=trace.backwards,
        torn=False,
        damaged_octets=0,
        indexed=False,
        created=None,
        sessions=1,
    )


@define
class _Session:
    """The times of one session's events, in s."""

    first_s: float | None = None
    last_s: float = 0.0
    greatest_s: float = 0.0
    gaps: int = 0
    longest_s: float = 0.0
    backwards: int = 0

    def take(self, t_s: float) -> None:
        """The next event."""
        if self.first_s is None:
            self.first_s = self.last_s = self.greatest_s = t_s
        silence_s, self.last_s = t_s - self.last_s, t_s
        self.first_s = min(self.first_s, t_s)
        self.greatest_s = max(self.greatest_s, t_s)
        self.backwards += silence_s < 0
        if silence_s > GAP_S:
            self.gaps += 1
            self.longest_s = max(self.longest_s, silence_s)

    @property
    def duration_s(self) -> float:
        """From the earliest event to the latest."""
        return 0.0 if self.first_s is None else self.greatest_s - self.first_s


def _recording(path: Path, kind: FileKind) -> FileInfo:
    records: Counter[str] = Counter()
    links: dict[Link, None] = {}
    poas: dict[str, None] = {}
    sessions: list[_Session] = []
    torn, damaged_octets, lost = False, 0, 0
    created: str | None = None
    for record in records_of(path):
        if record.type == HEADER:
            header = header_of(record.data)
            created = created or header.created
            links.update((link, None) for link in header.links)
            sessions.append(_Session())
        elif record.type == TORN:
            torn = True
        elif record.type == DAMAGED:
            damaged_octets += record.data["octets"]
        else:
            records[record.type] += 1
            lost += record.type == SNAPSHOT and record.data.get("gap") is not None
        event = record.event
        if event is None:
            continue
        sessions[-1].take(event.header.mono_ns / 1e9)
        links[event.header.link] = None
        poas.update((p, None) for p in _poas(event))
    return FileInfo(
        file=str(path),
        format=kind.value,
        start_s=None,
        duration_s=round(sum(s.duration_s for s in sessions), 3),
        counts=dict(sorted(records.items())),
        links=tuple(links),
        signal=None,
        poas=tuple(poas),
        attachments=records["link_up"],
        gaps=sum(s.gaps for s in sessions),
        longest_gap_s=round(max((s.longest_s for s in sessions), default=0.0), 3),
        lost=lost,
        backwards=sum(s.backwards for s in sessions),
        torn=torn,
        damaged_octets=damaged_octets,
        indexed=has_index(path),
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
