"""Opening trace files: plain or gzip by content, never more than fits, every failure one sentence."""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from lies.errors import TraceFormatError

GZIP_MAGIC = b"\x1f\x8b"
MAX_FIRST_LINE = 1 << 20  # octets
MAX_BYTES = 1 << 28  # of a trace, unpacked; an hour at 10 Hz is 4 MB


def open_bytes(path: Path) -> BinaryIO:
    """The file's content, unpacked if it is gzip; TraceFormatError if it cannot be opened or is empty."""
    try:
        with path.open("rb") as file:
            magic = file.read(2)
        if not magic:
            raise TraceFormatError("is empty", file=str(path))
        return cast(BinaryIO, gzip.open(path, "rb")) if magic == GZIP_MAGIC else path.open("rb")
    except OSError as error:
        raise TraceFormatError(f"cannot be read: {error.strerror or error}", file=str(path)) from error


def first_line(path: Path) -> bytes:
    """The first line of the file's content, or its beginning; later damage does not matter."""
    try:
        with open_bytes(path) as file:
            return file.readline(MAX_FIRST_LINE)
    except (OSError, EOFError, zlib.error) as error:
        raise TraceFormatError(_broken(error), file=str(path)) from error


def read_text(path: Path) -> str:
    """The whole content as UTF-8 text."""
    try:
        with open_bytes(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TraceFormatError(_broken(error), file=str(path)) from error
    if len(data) > MAX_BYTES:
        raise TraceFormatError(f"is longer than {MAX_BYTES >> 20} MiB", file=str(path))
    if not data:
        raise TraceFormatError("is empty", file=str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TraceFormatError("is neither a recording nor a trace: not text", file=str(path)) from error
    if "\0" in text:
        raise TraceFormatError("is neither a recording nor a trace: not text", file=str(path))
    return text


def _broken(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "is truncated: the compressed data ends too early"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be read: {error.strerror or error}"
    return "is damaged: the compressed data does not unpack"


def table(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(record, column -> value) of a CSV text with a header line; records count from 1, blanks are skipped.

    Raises TraceFormatError for a row of another length than the header, unless the last line is cut short
    (a recorder that was killed); a cut last line is left out.
    """
    lines = text.splitlines()
    reader = csv.reader(lines)
    record = 0
    try:
        columns = [c.strip() for c in next(reader, [])]
        for cells in reader:
            if not cells:
                continue
            record += 1
            if len(cells) == len(columns):
                yield record, dict(zip(columns, cells, strict=True))
            elif reader.line_num < len(lines) or text.endswith("\n"):
                problem = f"has {len(cells)} values, the header has {len(columns)}"
                raise TraceFormatError(problem, file=str(path), record=record)
    except csv.Error as error:
        raise TraceFormatError(f"not CSV: {error}", file=str(path), record=record + 1) from error


def number(cells: dict[str, str], column: str, path: Path, record: int, *, missing: str = "") -> float | None:
    """The number in a cell, None where the column is absent or the cell empty or `missing`."""
    text = cells.get(column, "").strip()
    if text in {"", missing}:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TraceFormatError(f"{column} is not a number: {text[:40]!r}", file=str(path), record=record)
    return value
