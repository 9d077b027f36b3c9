"""Writing `.lies` files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zstandard

from lies.errors import LiesError, TraceFormatError
from lies.events import INDICATION_NAMES, Indication, Raw
from lies.runtime import monotonic_ns
from lies.trace._append import AppendFile, cannot_write
from lies.trace._chunks import MAGIC, Chunk, Kind, chunk_bytes, walk
from lies.trace._record import MAX_LINE, SNAPSHOT, Position, RecordingHeader
from lies.trace._segments import (
    SEGMENT,
    IndexEntry,
    Segment,
    SegmentReader,
    index_bytes,
    pair_bytes,
    rebuilt_index,
)

HOLD_NS = 500_000_000  # a record waits no longer for others: half of the second that a crash may cost
CHUNK_SIZE = 1 << 16  # octets, unpacked, that wait at most
SEGMENT_SIZE = 1 << 20  # octets, unpacked: what one damage may cost, and how much a jump reads too much
SEGMENT_NS = 30_000_000_000  # likewise, of a quiet link
LEVEL = 3  # zstandard's own default
_ARRAY32 = b"\xdd"


class PackedSink:
    """Writes a `.lies` file, or goes on with one, whose torn end is cut.

    Records wait up to HOLD_NS for others; who writes seldom calls `flush` meanwhile.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        self._position: Position | None = None
        self._index: list[IndexEntry] = []
        self._waiting: list[bytes] = []
        self._octets = 0  # of what waits
        self._since_ns = 0
        self._stream: zstandard.ZstdCompressionObj | None = None
        self._segment_octets = 0
        self._segment_ns = 0
        if not overwrite:
            self._go_on(path)
        self._file = AppendFile(path, overwrite=overwrite)
        self._lead = MAGIC if self._position is None else b""  # goes with the first chunk, in one write

    @property
    def size(self) -> int:
        """Octets in the file."""
        return self._file.size

    def header(self, header: RecordingHeader) -> None:
        """Begin a session; it is in the file at once."""
        self.flush()
        if self._position is None:
            self._position = Position(header)
        self._position.begin_session(header)
        self._begin_segment(self._position)
        self.flush()

    def event(self, event: Indication | Raw) -> None:
        """Append an event."""
        self._put(INDICATION_NAMES[type(event)], event, event)

    def snapshot(self, data: Mapping[str, Any]) -> None:
        """Append a snapshot."""
        self._put(SNAPSHOT, {k: v for k, v in data.items() if k != "type"}, None)

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        data = b"".join((_ARRAY32, len(self._waiting).to_bytes(4, "big"), *self._waiting))
        kind, records = Kind.MORE, len(self._waiting)
        if self._stream is None:
            kind, records = Kind.BEGIN, records - 1  # the segment's own is none
            self._stream = zstandard.ZstdCompressor(level=LEVEL).compressobj()
        packed = self._stream.compress(data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        self._waiting.clear()
        self._octets = 0
        self._file.append(self._lead + chunk_bytes(kind, packed, len(data), records))
        self._lead = b""
        self._segment_octets += len(data)

    def close(self) -> None:
        """Write what waits and the index, and close the file."""
        if not self._file.closed:
            self.flush()
            payload, entries = index_bytes(self._index, self._file.size)
            self._file.append(chunk_bytes(Kind.INDEX, payload, len(payload), entries))
        self._file.close()

    def _put(self, name: str, body: object, event: Indication | Raw | None) -> None:
        if self._file.closed:
            raise LiesError(f"{self._path}: cannot be written: it is closed")
        assert self._position is not None  # a header came first
        try:
            pair = pair_bytes(name, body)
        except OverflowError as error:
            raise LiesError(f"{self._path}: a number of more than 64 bits cannot be kept") from error
        if len(pair) > MAX_LINE:
            raise LiesError(f"{self._path}: a record of {len(pair)} octets cannot be kept, {MAX_LINE} can")
        now_ns = monotonic_ns()
        if self._segment_octets >= SEGMENT_SIZE or now_ns - self._segment_ns >= SEGMENT_NS:
            self.flush()
            self._begin_segment(self._position)
        if not self._waiting:
            self._since_ns = now_ns
        self._waiting.append(pair)
        self._octets += len(pair)
        self._position.take(event)
        if self._octets >= CHUNK_SIZE or now_ns - self._since_ns >= HOLD_NS:
            self.flush()

    def _begin_segment(self, position: Position) -> None:
        """Let a segment begin with the next record; nothing may be waiting."""
        self._index.append(IndexEntry.of(self._file.size + len(self._lead), position))
        self._waiting.append(pair_bytes(SEGMENT, Segment.of(position)))
        self._stream = None
        self._segment_octets = 0
        self._segment_ns = self._since_ns = monotonic_ns()

    def _go_on(self, path: Path) -> None:
        """Cut an existing recording behind its last whole chunk of records, and learn how it stands there."""
        try:
            if not path.is_file() or not path.stat().st_size:
                return
            with path.open("r+b") as file:
                self._index, end = rebuilt_index(file)
                if not self._index:
                    raise TraceFormatError("is damaged: it has no whole segment", file=str(path))
                reader = SegmentReader(path)
                for chunk in walk(file, self._index[-1].offset):
                    if isinstance(chunk, Chunk):
                        for _ in reader.records(chunk):
                            pass
                self._position = reader.position
                file.truncate(end)
        except OSError as error:
            raise cannot_write(path, error) from error
