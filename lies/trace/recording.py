"""Recordings: NDJSON files of everything a daemon said, in order of arrival (spec/trace-format.md).

A header line, then one object a line: indications, raw messages and snapshots. A file may hold several
sessions, each begun by a header. The last line may be torn: the recorder was killed, or the disk was full.
"""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from attrs import frozen

from lies.errors import LiesError, MalformedMessage, TraceFormatError
from lies.events import Indication, Link, Raw
from lies.events.json import from_json_object, to_json_object
from lies.runtime import wall_ns
from lies.trace._text import open_bytes

FORMAT = "lies-recording"
VERSION = 1
HEADER, SNAPSHOT, TORN = "header", "snapshot", "torn"
MAX_LINE = 1 << 22  # octets; a body on the wire has at most a quarter of it


@frozen
class RecordingHeader:
    """First line of a session; created: wall time in ISO 8601; ae: parameters of the abstract entities."""

    format: str
    version: int
    created: str
    links: tuple[Link, ...] = ()
    ae: dict[str, Any] | None = None


@frozen
class Record:
    """One line; number counts from 1, the header included.

    type: an indication's or raw message's name with its `event`, or `header`, `snapshot` or `torn`; data:
    the whole object, of a torn line {"octets": how many are there}.
    """

    number: int
    type: str
    data: Mapping[str, Any]
    event: Indication | Raw | None = None


class RecordingWriter:
    """Appends a session to a recording, or begins one; `.gz` files are compressed.

    overwrite: begin anew in the place of an earlier recording. Every line is flushed, so that a reader sees
    whole lines. A torn last line of an earlier session is cut. Raises TraceFormatError, also with
    `overwrite`, if the file is something else, LiesError if it cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        links: Iterable[Link] = (),
        ae: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.lines = 0
        self._closed = False
        self._zip = zlib.compressobj(wbits=31) if self.path.suffix == ".gz" else None
        self._look(append=not overwrite)
        try:
            self._file = self.path.open("wb" if overwrite else "ab", buffering=0)
        except OSError as error:
            raise self._failed(error) from error
        created = datetime.fromtimestamp(wall_ns() // 1_000_000 / 1000, UTC).isoformat()
        header = RecordingHeader(FORMAT, VERSION, created, tuple(links), dict(ae) if ae is not None else None)
        self._line({"type": HEADER, **msgspec.to_builtins(header)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, event: Indication | Raw) -> None:
        """Append an indication or a raw message."""
        self._line(to_json_object(event))

    def snapshot(self, data: Mapping[str, Any]) -> None:
        """Append a snapshot: any JSON object."""
        self._line({**data, "type": SNAPSHOT})

    def close(self) -> None:
        """Close the file; more than once is the same as once."""
        if self._closed:
            return
        if self._zip is not None:
            self._append(self._zip.flush())
        self._closed = True
        self._file.close()

    def _line(self, data: Mapping[str, Any]) -> None:
        if self._closed:
            raise LiesError(f"{self.path}: cannot be written: it is closed")
        line = msgspec.json.encode(data) + b"\n"
        if self._zip is not None:
            line = self._zip.compress(line) + self._zip.flush(zlib.Z_SYNC_FLUSH)
        self._append(line)
        self.lines += 1

    def _append(self, data: bytes) -> None:
        """Write all of it, or none and raise LiesError: a disk that is full keeps whole lines."""
        good = 0
        try:
            good = self._file.seek(0, os.SEEK_END) if self._file.seekable() else 0
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._closed = True
            with contextlib.suppress(OSError):  # a device or pipe cannot be cut, and need not be
                self._file.truncate(good)
            with contextlib.suppress(OSError):
                self._file.close()
            raise self._failed(error) from error

    def _look(self, *, append: bool) -> None:
        """Refuse an existing file that is no recording; make one to append to end with a whole line."""
        try:
            size = self.path.stat().st_size if self.path.is_file() else 0
            if not size:
                return
            _check_recording(self.path)
            if not append:
                return
            if self.path.suffix == ".gz":
                _check_whole_gzip(self.path)
            else:
                _cut_torn_line(self.path, size)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> LiesError:
        return LiesError(f"{self.path}: cannot be written: {error.strerror or error}")


def _check_recording(path: Path) -> None:
    try:
        if next(read_recording(path)).type == HEADER:
            return
    except TraceFormatError as error:
        raise TraceFormatError("is not a recording and is left as it is", file=str(path)) from error
    raise TraceFormatError("is not a recording and is left as it is", file=str(path))


def _check_whole_gzip(path: Path) -> None:
    try:
        with open_bytes(path) as file:
            while file.read(1 << 20):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = "ends inside compressed data and cannot be continued; record to another file"
        raise TraceFormatError(problem, file=str(path)) from error


def _cut_torn_line(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                file.truncate(start + at + 1)
                return
            end = start
        file.truncate(0)


def read_recording(path: Path | str) -> Iterator[Record]:
    """The lines of a recording, in order; the file is read as it is asked for.

    The first record is the header. A torn last line, or compressed data that ends too early, comes as a
    last record of type `torn`. Raises TraceFormatError for anything else that is not a recording.
    """
    path = Path(path)
    number = 0
    tail = b""
    with open_bytes(path) as file:
        while True:
            try:
                line = file.readline(MAX_LINE)
            except EOFError:
                if number == 0:
                    break
                yield Record(number + 1, TORN, {"octets": 0})
                return
            except (OSError, zlib.error) as error:
                raise TraceFormatError(
                    "is damaged: it cannot be read on", file=str(path), record=number + 1
                ) from error
            if not line.endswith(b"\n"):
                tail = line
                break
            number += 1
            yield _record(line, number, path)
    if len(tail) >= MAX_LINE:
        raise TraceFormatError(f"a line of more than {MAX_LINE} octets", file=str(path), record=number + 1)
    if number == 0:
        raise TraceFormatError("is not a recording: there is no whole line", file=str(path))
    if tail:
        yield Record(number + 1, TORN, {"octets": len(tail)})


def _record(line: bytes, number: int, path: Path) -> Record:
    try:
        data = _object(line)
        kind = data.get("type")
        if number == 1 and kind != HEADER:
            raise MalformedMessage("not a recording: the first line is no header")  # noqa: TRY301 - beside its check
        if kind == HEADER:
            _check_header(data)
        event = None if kind in {HEADER, SNAPSHOT} else from_json_object(data)
    except (msgspec.DecodeError, MalformedMessage, RecursionError, UnicodeDecodeError) as error:
        raise TraceFormatError(str(error), file=str(path), record=number) from error
    return Record(number, str(kind), data, event)


def _object(line: bytes) -> dict[str, Any]:
    data = msgspec.json.decode(line)
    if not isinstance(data, dict):
        raise MalformedMessage("not an object")
    return data


def _check_header(data: Mapping[str, Any]) -> None:
    if data.get("format") != FORMAT:
        raise MalformedMessage(f"not a recording: format {str(data.get('format'))[:40]!r}")
    if data.get("version") != VERSION:
        raise MalformedMessage(f"version {str(data.get('version'))[:20]} is not known, {VERSION} is")
    header_of(data)


def header_of(data: Mapping[str, Any]) -> RecordingHeader:
    """The header in a header record's data; MalformedMessage if it is none."""
    try:
        return msgspec.convert({k: v for k, v in data.items() if k != "type"}, RecordingHeader)
    except (msgspec.ValidationError, ValueError) as error:
        raise MalformedMessage(f"header: {error}") from error
