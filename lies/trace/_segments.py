"""What the chunks of a `.lies` file hold: segments of records, each readable without those before.

A chunk of records unpacks to one msgpack array of [name, body] pairs. The first pair of a segment has the
name `segment`; its body says where in the recording the segment begins.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from attrs import frozen

from lies.errors import MalformedMessage, TraceFormatError
from lies.events import INDICATION_CLASSES, Link
from lies.trace._chunks import MAGIC, Chunk, Damage, Kind, Unpacker, chunk_at, walk
from lies.trace._record import (
    DAMAGED,
    HEADER,
    SKIPPED,
    SNAPSHOT,
    TORN,
    Position,
    Record,
    RecordingHeader,
    Serving,
    Timeline,
    header_data,
    header_of,
)

SEGMENT = "segment"
INDEX_END = b"LIESIDX\n"
INDEX_TAIL = struct.Struct(">Q8s")  # the last octets of a file that was closed: where the index is


@frozen
class Segment:
    """Body of a segment's first record; its fields are those of Position, where the segment begins."""

    header: RecordingHeader
    number: int
    session: int
    header_number: int
    reached_ns: int
    first_ns: int | None
    base_ns: int
    last_ns: int
    fresh: bool
    serving: tuple[Serving, ...]

    @classmethod
    def of(cls, position: Position) -> "Segment":
        """A segment that begins here."""
        line = position.timeline
        return cls(
            position.header,
            position.number,
            position.session,
            position.header_number,
            _within_64_bits(position.reached_ns),
            line.first_ns,
            _within_64_bits(line.base_ns),
            line.last_ns,
            line.fresh,
            tuple(Serving(link.name, link.technology, poa) for link, poa in position.serving.items()),
        )

    def position(self) -> Position:
        """Where the segment begins."""
        return Position(
            self.header,
            self.number,
            self.session,
            self.header_number,
            self.reached_ns,
            Timeline(self.first_ns, self.base_ns, self.last_ns, self.fresh),
            {Link(s.link, s.technology): s.poa for s in self.serving},
        )


@frozen
class IndexEntry:
    """One segment in the index; offset: of its first chunk; the others: as its Segment has them."""

    offset: int
    number: int
    session: int
    reached_ns: int

    @classmethod
    def of(cls, offset: int, position: Position) -> "IndexEntry":
        """The entry of a segment that begins here."""
        return cls(offset, position.number, position.session, _within_64_bits(position.reached_ns))


def _within_64_bits(value: int) -> int:
    """What msgpack can hold: sums of times that no clock ever shows may be more."""
    return max(-(2**63), min(value, 2**63 - 1))


_bodies: dict[str, msgspec.msgpack.Decoder[Any]] = {
    name: msgspec.msgpack.Decoder(cls) for name, cls in INDICATION_CLASSES.items()
}
_snapshot = msgspec.msgpack.Decoder(dict[str, Any])
_pairs = msgspec.msgpack.Decoder(list[tuple[str, msgspec.Raw]])
_segment = msgspec.msgpack.Decoder(Segment)
_entries = msgspec.msgpack.Decoder(tuple[IndexEntry, ...])
_names = {name: b"\x92" + msgspec.msgpack.encode(name) for name in (*INDICATION_CLASSES, SEGMENT, SNAPSHOT)}


def pair_bytes(name: str, body: object) -> bytes:
    """A [name, body] pair; OverflowError for an integer of more than 64 bits."""
    return _names[name] + msgspec.msgpack.encode(body)


class SegmentReader:
    """Records out of chunks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unpacker: Unpacker | None = None
        self.position: Position | None = None  # None before the first segment

    def records(self, chunk: Chunk) -> Iterator[Record]:
        """The records in a chunk; a chunk that cannot be read gives one of type DAMAGED."""
        if chunk.kind is Kind.INDEX:
            return
        if chunk.kind is Kind.BEGIN:
            self._unpacker = Unpacker()
        data = self._unpacker.unpack(chunk) if self._unpacker is not None else None
        if data is None:  # and what follows in this segment builds on it
            self._unpacker = None
            yield self.damaged(chunk.size)
            if self.position is not None:
                self.position.number += chunk.records
            return
        try:
            pairs = _pairs.decode(data)
            if chunk.kind is Kind.BEGIN:
                yield from self._begin(pairs)
                del pairs[0]
        except (msgspec.DecodeError, MalformedMessage, ValueError, RecursionError) as error:
            raise self._error(str(error)) from error
        assert self.position is not None
        for name, body in pairs:
            record = self._record(name, body)
            self.position.take(record.event)
            yield record

    def damaged(self, octets: int) -> Record:
        """The record that says so; the rest of the segment cannot be read either."""
        self._unpacker = None
        return Record(1 if self.position is None else self.position.number, DAMAGED, {"octets": octets})

    def _begin(self, pairs: list[tuple[str, msgspec.Raw]]) -> Iterator[Record]:
        if not pairs or pairs[0][0] != SEGMENT:
            raise MalformedMessage("a segment without its beginning")
        segment = _segment.decode(pairs[0][1])
        header_of(header_data(segment.header))
        before, self.position = self.position, segment.position()
        if before is None or before.session != segment.session:
            yield Record(segment.header_number, HEADER, header_data(segment.header))

    def _record(self, name: str, body: msgspec.Raw) -> Record:
        assert self.position is not None
        number = self.position.number
        try:
            if name == SNAPSHOT:
                return Record(number, SNAPSHOT, {**_snapshot.decode(body), "type": SNAPSHOT})
            return Record(number, name, {}, _bodies[name].decode(body))
        except KeyError as error:
            raise self._error(f"not an event: type {name[:40]!r}") from error
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise self._error(f"{name}: {error}") from error

    def _error(self, problem: str) -> TraceFormatError:
        number = 1 if self.position is None else self.position.number
        return TraceFormatError(problem, file=str(self._path), record=number)


def read_segments(path: Path, start_ns: int = 0) -> Iterator[Record]:
    """The records of a `.lies` file, from the segment on in which the raw item at offset `start_ns` is.

    Where that is not the first one, a record of type SKIPPED with the Position comes after the header.
    """
    try:
        with path.open("rb") as file:
            offset = _offset_before(file, start_ns) if start_ns > 0 else len(MAGIC)
            yield from _read(path, file, offset)
    except OSError as error:
        raise TraceFormatError(f"cannot be read: {error.strerror or error}", file=str(path)) from error


def _read(path: Path, file: BinaryIO, offset: int) -> Iterator[Record]:
    reader = SegmentReader(path)
    early: list[Record] = []  # damage before the first header
    skipped = offset > len(MAGIC)
    for found in walk(file, offset):
        match found:
            case Damage(octets=octets, last=True):
                number = 1 if reader.position is None else reader.position.number
                records = iter([Record(number, TORN, {"octets": octets})])
            case Damage(octets=octets):
                records = iter([reader.damaged(octets)])
            case Chunk():
                records = reader.records(found)
        for record in records:
            if reader.position is None:
                early.append(record)
                continue
            yield record
            if record.type == HEADER:
                if skipped:
                    skipped = False
                    begin = Segment.of(reader.position).position()  # the reader's own goes on
                    yield Record(begin.number, SKIPPED, {"position": begin})
                yield from early
                early.clear()
    if reader.position is None:
        raise TraceFormatError("is damaged: it has no whole segment", file=str(path))


def _offset_before(file: BinaryIO, start_ns: int) -> int:
    """Where the last segment begins that has nothing later than start_ns before it."""
    offset = len(MAGIC)
    for entry in read_index(file) or rebuilt_index(file)[0]:
        if entry.reached_ns >= start_ns:
            break
        offset = entry.offset
    return offset


def read_index(file: BinaryIO) -> tuple[IndexEntry, ...] | None:
    """The index of a file that was closed, else None."""
    size = file.seek(0, 2)
    if size < len(MAGIC) + INDEX_TAIL.size:
        return None
    file.seek(size - INDEX_TAIL.size)
    offset, end = INDEX_TAIL.unpack(file.read(INDEX_TAIL.size))
    chunk = chunk_at(file, offset) if end == INDEX_END and offset < size else None
    if chunk is None or chunk.kind is not Kind.INDEX or chunk.end != size:
        return None
    try:
        return _entries.decode(chunk.payload[: -INDEX_TAIL.size])
    except (msgspec.DecodeError, ValueError):
        return None


def index_bytes(entries: list[IndexEntry], offset: int) -> tuple[bytes, int]:
    """(payload of an index chunk that will stand at `offset`, how many entries)."""
    return msgspec.msgpack.encode(entries) + INDEX_TAIL.pack(offset, INDEX_END), len(entries)


def rebuilt_index(file: BinaryIO) -> tuple[list[IndexEntry], int]:
    """(the index as the segments themselves tell it, where the last whole chunk of records ends)."""
    entries: list[IndexEntry] = []
    end = len(MAGIC)
    for chunk in walk(file):
        if not isinstance(chunk, Chunk) or chunk.kind is Kind.INDEX:
            continue
        end = chunk.end
        if chunk.kind is Kind.BEGIN and (segment := _segment_of(chunk)) is not None:
            entries.append(IndexEntry.of(chunk.offset, segment.position()))
    return entries, end


def _segment_of(chunk: Chunk) -> Segment | None:
    data = Unpacker().unpack(chunk)
    if data is None:
        return None
    try:
        pairs = _pairs.decode(data)
        return _segment.decode(pairs[0][1]) if pairs and pairs[0][0] == SEGMENT else None
    except (msgspec.DecodeError, ValueError):
        return None
