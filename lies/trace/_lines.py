"""Recordings as NDJSON: one JSON object a line, each written at once; `.gz` files are compressed."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lies.errors import MalformedMessage, TraceFormatError
from lies.events import Indication, Raw
from lies.events.json import from_json_object, to_json_object
from lies.trace._append import AppendFile, cannot_write
from lies.trace._record import (
    HEADER,
    MAX_LINE,
    SNAPSHOT,
    TORN,
    Record,
    RecordingHeader,
    header_data,
    header_of,
)
from lies.trace._text import open_bytes


class LineSink:
    """Writes an NDJSON file; a torn last line of an earlier session is cut."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._zip = zlib.compressobj(wbits=31) if path.suffix == ".gz" else None
        if not overwrite:
            _make_whole(path)
        self._file = AppendFile(path, overwrite=overwrite)

    @property
    def size(self) -> int:
        """Octets in the file."""
        return self._file.size

    def header(self, header: RecordingHeader) -> None:
        """Begin a session."""
        self.put(header_data(header))

    def event(self, event: Indication | Raw) -> None:
        """Append an event."""
        self.put(to_json_object(event))

    def snapshot(self, data: Mapping[str, Any]) -> None:
        """Append a snapshot."""
        self.put({**data, "type": SNAPSHOT})

    def flush(self) -> None:
        """Nothing waits: every line is written at once."""

    def close(self) -> None:
        """End the compressed data and close the file."""
        if self._zip is not None and not self._file.closed:
            self._file.append(self._zip.flush())
        self._file.close()

    def put(self, data: Mapping[str, Any]) -> None:
        """Append one object."""
        line = msgspec.json.encode(data) + b"\n"
        if self._zip is not None:
            line = self._zip.compress(line) + self._zip.flush(zlib.Z_SYNC_FLUSH)
        self._file.append(line)


def _make_whole(path: Path) -> None:
    """Make an existing file end with a whole line, or refuse it."""
    try:
        size = path.stat().st_size if path.is_file() else 0
        if not size:
            return
        if path.suffix == ".gz":
            _check_whole_gzip(path)
        else:
            _cut_torn_line(path, size)
    except OSError as error:
        raise cannot_write(path, error) from error


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


def read_lines(path: Path) -> Iterator[Record]:
    """The lines of a recording, in order; the file is read as it is asked for."""
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
        return record_of(line, number)
    except (msgspec.DecodeError, MalformedMessage, RecursionError, UnicodeDecodeError) as error:
        raise TraceFormatError(str(error), file=str(path), record=number) from error


def record_of(line: bytes | str, number: int) -> Record:
    """The record in a line; MalformedMessage or msgspec.DecodeError if it is none."""
    data = msgspec.json.decode(line)
    if not isinstance(data, dict):
        raise MalformedMessage("not an object")
    kind = data.get("type")
    if number == 1 and kind != HEADER:
        raise MalformedMessage("not a recording: the first line is no header")
    if kind == HEADER:
        header_of(data)
    if kind in {HEADER, SNAPSHOT}:
        return Record(number, str(kind), data)
    return Record(number, str(kind), {}, from_json_object(data))
