"""Recordings: everything a daemon said, in order of arrival (spec/trace-format.md).

Two forms hold the same records: `.lies`, packed, and NDJSON, one JSON object a line. A file may hold several
sessions, each begun by a header. The end may be torn: the recorder was killed, or the disk was full.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from lies.errors import LiesError, TraceFormatError
from lies.events import Indication, Link, Raw
from lies.trace._chunks import is_chunked
from lies.trace._lines import LineSink, read_lines
from lies.trace._packed import PackedSink
from lies.trace._record import (
    ABOUT_THE_FILE,
    DAMAGED,
    HEADER,
    SKIPPED,
    SNAPSHOT,
    TORN,
    Position,
    Record,
    RecordingHeader,
    header_of,
    new_header,
)
from lies.trace._segments import read_index, read_segments

__all__ = [
    "ABOUT_THE_FILE",
    "DAMAGED",
    "ENDINGS",
    "HEADER",
    "SKIPPED",
    "SNAPSHOT",
    "TORN",
    "Position",
    "Record",
    "RecordingHeader",
    "RecordingWriter",
    "ending_of",
    "has_index",
    "header_of",
    "new_header",
    "read_recording",
]
PACKED = ".lies"
ENDINGS = (PACKED, ".ndjson", ".ndjson.gz")


def ending_of(path: Path) -> str:
    """Which of ENDINGS a name ends in, or ""."""
    return next((ending for ending in ENDINGS if path.name.endswith(ending)), "")


class _Sink(Protocol):
    @property
    def size(self) -> int:
        """Octets in the file."""
        ...

    def header(self, header: RecordingHeader) -> None:
        """Begin a session."""
        ...

    def event(self, event: Indication | Raw) -> None:
        """Append an event."""
        ...

    def snapshot(self, data: Mapping[str, Any]) -> None:
        """Append a snapshot."""
        ...

    def flush(self) -> None:
        """Write what waits."""
        ...

    def close(self) -> None:
        """Write what waits, and what ends the file."""
        ...


class RecordingWriter:
    """Appends a session to a recording, or begins one; a name that ends in .lies is packed, others NDJSON.

    NDJSON is written line by line; packed records wait up to half a second for others, so that who writes
    seldom calls `flush` twice a second. A torn end of an earlier session is cut. Raises TraceFormatError,
    also with `overwrite`, if the file is something else, LiesError if it cannot be written, which ends it:
    after a full disk the file ends with a whole record.
    overwrite: begin anew in the place of an earlier recording; header: of the first session, made of `links`
    and `ae` unless given.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        links: Iterable[Link] = (),
        ae: Mapping[str, Any] | None = None,
        header: RecordingHeader | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        packed = self.path.suffix == PACKED
        try:
            _check_recording(self.path, packed=None if overwrite else packed)
        except OSError as error:
            raise LiesError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        self._sink: _Sink = (PackedSink if packed else LineSink)(self.path, overwrite=overwrite)
        self.session(header or new_header(links, ae=ae))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Octets in the file so far."""
        return self._sink.size

    def session(self, header: RecordingHeader) -> None:
        """Begin a further session."""
        self._sink.header(header)

    def write(self, event: Indication | Raw) -> None:
        """Append an indication or a raw message."""
        self._sink.event(event)

    def snapshot(self, data: Mapping[str, Any]) -> None:
        """Append a snapshot: any JSON object."""
        self._sink.snapshot(data)

    def flush(self) -> None:
        """Write what waits for others."""
        self._sink.flush()

    def close(self) -> None:
        """Write what waits and close the file; more than once is the same as once."""
        self._sink.close()


def _check_recording(path: Path, *, packed: bool | None) -> None:
    """Refuse a file that is no recording, or (packed is not None) one of the other form."""
    if not path.is_file() or not path.stat().st_size:
        return
    if packed is not None and packed != is_chunked(path):
        form = "packed" if packed else "NDJSON"
        raise TraceFormatError(f"is not a recording in {form} and is left as it is", file=str(path))
    try:
        first = next((r.type for r in read_recording(path)), "")
    except TraceFormatError as error:
        raise TraceFormatError("is not a recording and is left as it is", file=str(path)) from error
    if first != HEADER:
        raise TraceFormatError("is not a recording and is left as it is", file=str(path))


def read_recording(path: Path | str, *, start_ns: int = 0) -> Iterator[Record]:
    """The records of a recording, in order; the file is read as it is asked for.

    The first record is a header. What cannot be read of a torn or damaged file comes as a record of type
    `torn` or `damaged` (see Record). start_ns: the reader needs no raw item before this offset from the first
    one, and gets a record `skipped` if some were left out. Raises TraceFormatError for anything else that is
    not a recording.
    """
    path = Path(path)
    return read_segments(path, start_ns) if is_chunked(path) else read_lines(path)


def has_index(path: Path | str) -> bool:
    """Whether the file is packed and was closed, not killed."""
    path = Path(path)
    if not is_chunked(path):
        return False
    with path.open("rb") as file:
        return read_index(file) is not None
