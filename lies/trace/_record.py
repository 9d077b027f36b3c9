"""What every form of a recording holds: sessions, each begun by a header, and records."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from attrs import define, field, frozen

from lies.errors import MalformedMessage
from lies.events import (
    Attached,
    Detached,
    Indication,
    Link,
    Raw,
    RawAttached,
    RawDetached,
    RawItem,
    RawSample,
    RawServed,
    RawWarned,
    Sample,
    Technology,
)
from lies.runtime import wall_ns

FORMAT = "lies-recording"
VERSION = 1
HEADER, SNAPSHOT = "header", "snapshot"
TORN, DAMAGED, SKIPPED = "torn", "damaged", "skipped"  # said by readers; never written
ABOUT_THE_FILE = frozenset({TORN, DAMAGED, SKIPPED})
MAX_LINE = 1 << 22  # octets of one record; a body on the wire has at most a quarter of it


@frozen
class RecordingHeader:
    """Begin of a session; created: wall time in ISO 8601; ae: parameters of the abstract entities.

    t0_ns: the mono_ns that was 0 on the clock of the trace that was converted; None of a live recording.
    """

    format: str
    version: int
    created: str
    links: tuple[Link, ...] = ()
    ae: dict[str, Any] | None = None
    t0_ns: int | None = None


@frozen
class Record:
    """One record; number counts from 1, headers included.

    type: an indication's or raw message's name, with its `event`; or, with its `data`, `header`, `snapshot`,
    or what the reader says: `torn` ({"octets"} at the end that are no whole record), `damaged` ({"octets"} in
    the middle that cannot be read), `skipped` (a Position; only where a reader was told to begin later).
    """

    number: int
    type: str
    data: Mapping[str, Any]
    event: Indication | Raw | None = None


def new_header(
    links: Iterable[Link] = (), *, ae: Mapping[str, Any] | None = None, t0_ns: int | None = None
) -> RecordingHeader:
    """The header of a session that begins now."""
    created = datetime.fromtimestamp(wall_ns() // 1_000_000 / 1000, UTC).isoformat()
    return RecordingHeader(
        FORMAT, VERSION, created, tuple(links), dict(ae) if ae is not None else None, t0_ns
    )


def header_data(header: RecordingHeader) -> dict[str, Any]:
    """The data of a header's record."""
    data = msgspec.to_builtins(header)
    return {"type": HEADER, **data, "links": list(data["links"])}


def header_of(data: Mapping[str, Any]) -> RecordingHeader:
    """The header in a header record's data; MalformedMessage if it is none."""
    if data.get("format") != FORMAT:
        raise MalformedMessage(f"not a recording: format {str(data.get('format'))[:40]!r}")
    if data.get("version") != VERSION:
        raise MalformedMessage(f"version {str(data.get('version'))[:20]} is not known, {VERSION} is")
    try:
        return msgspec.convert({k: v for k, v in data.items() if k != "type"}, RecordingHeader)
    except (msgspec.ValidationError, ValueError) as error:
        raise MalformedMessage(f"header: {error}") from error


def item_of(event: object) -> RawItem | None:
    """The raw item in a raw message; None of a raw_state and of indications."""
    match event:
        case RawSample(sample=sample):
            return sample
        case RawAttached(attached=attached):
            return attached
        case RawDetached(detached=detached):
            return detached
        case RawWarned(warned=warned):
            return warned
        case RawServed(served=served):
            return served
    return None


@define
class Timeline:
    """The raw items of all sessions on one time line that begins with the first; times in ns.

    Sessions of one host follow on its clock; where a session's clock is behind, another boot's, it is put
    right after the session before.
    """

    first_ns: int | None = None
    base_ns: int = 0
    last_ns: int = 0
    fresh: bool = False  # a session began and had no item yet

    def begin_session(self) -> None:
        """A header was read."""
        self.fresh = True

    def offset_ns(self, t_ns: int) -> int:
        """Where an item lies; to be asked once for each, in order."""
        if self.first_ns is None:
            self.first_ns = t_ns
        elif self.fresh and t_ns < self.last_ns:
            self.base_ns += self.last_ns - self.first_ns
            self.first_ns = t_ns
        self.fresh, self.last_ns = False, t_ns
        return self.base_ns + t_ns - self.first_ns


@frozen
class Serving:
    """The PoA that a link was attached to, as of its last raw item; None: to none."""

    link: str
    technology: Technology
    poa: str | None


@define
class Position:
    """Where in a recording one is: what a reader that begins there must know of what was before.

    number: of the next record; session: counts headers from 1; header_number: of the session's header;
    reached_ns: the greatest offset of a raw item on the time line.
    """

    header: RecordingHeader
    number: int = 1
    session: int = 0
    header_number: int = 1
    reached_ns: int = 0
    timeline: Timeline = field(factory=Timeline)
    serving: dict[Link, str | None] = field(factory=dict)

    def begin_session(self, header: RecordingHeader) -> None:
        """A header is the next record."""
        self.header, self.header_number = header, self.number
        self.session += 1
        self.number += 1
        self.timeline.begin_session()

    def take(self, event: Indication | Raw | None) -> None:
        """The next record is this event, or something else."""
        self.number += 1
        item = item_of(event)
        if item is None or event is None:
            return
        self.reached_ns = max(self.reached_ns, self.timeline.offset_ns(item.t_ns))
        link = event.header.link
        self.serving[link] = attached_after(item, self.serving.get(link))


def attached_after(item: RawItem, before: str | None) -> str | None:
    """The PoA that a link is attached to once an item has happened, as far as raw items tell."""
    match item:
        case Detached():
            return None
        case Attached(poa=poa):
            return poa
        case Sample(poa=poa):
            return poa or before
    return before
