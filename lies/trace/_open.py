"""Which kind of file it is, by its content."""

from enum import StrEnum
from pathlib import Path

from lies.errors import TraceFormatError
from lies.trace import csv_trace, gnettrack
from lies.trace._chunks import MAGIC, begins_with
from lies.trace._pcapng import SHB_MAGIC
from lies.trace._rows import Trace
from lies.trace._text import first_line


class FileKind(StrEnum):
    """Kinds of input files."""

    RECORDING = "lies-recording"
    CSV = csv_trace.FORMAT
    GNETTRACK = gnettrack.FORMAT
    PCAPNG = "pcapng"
    PARQUET = "parquet"


_MAGICS = {MAGIC: FileKind.RECORDING, SHB_MAGIC: FileKind.PCAPNG, b"PAR1": FileKind.PARQUET}


def sniff(path: Path | str) -> FileKind:
    """The kind of a file; TraceFormatError if it is none."""
    path = Path(path)
    for magic, kind in _MAGICS.items():
        if begins_with(path, magic):
            return kind
    line = first_line(path).removeprefix(b"\xef\xbb\xbf").strip()
    if line.startswith(b"{"):
        return FileKind.RECORDING
    columns = [c.strip() for c in line.split(b",")]
    if b"Timestamp" in columns and b"NetworkMode" in columns:
        return FileKind.GNETTRACK
    if {b"t_s", b"link_type", b"poa"}.intersection(columns):
        return FileKind.CSV
    raise TraceFormatError("is neither a recording nor a trace", file=str(path))


def open_trace(path: Path | str) -> Trace:
    """The trace in a CSV or G-NetTrack file, which may be gzip; TraceFormatError names file and record."""
    path = Path(path)
    match sniff(path):
        case FileKind.CSV:
            return csv_trace.read_csv(path)
        case FileKind.GNETTRACK:
            return gnettrack.read_gnettrack(path)
        case FileKind.RECORDING:
            raise TraceFormatError("is a recording, where a trace is asked for", file=str(path))
        case FileKind.PCAPNG | FileKind.PARQUET as kind:
            raise TraceFormatError(f"is {kind}; `lies convert` makes a recording of it", file=str(path))
