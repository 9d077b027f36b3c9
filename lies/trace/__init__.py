"""Traces and recordings of links."""

from lies.trace._open import FileKind, open_trace, sniff
from lies.trace._record import Timeline, attached_after, item_of
from lies.trace._rows import UNNAMED, Row, Trace
from lies.trace._state import rebase_state
from lies.trace.convert import Converted, convert, records_of
from lies.trace.info import FileInfo, read_info
from lies.trace.merge import Hearing, Radio, merge
from lies.trace.recording import Record, RecordingHeader, RecordingWriter, read_recording

__all__ = [
    "UNNAMED",
    "Converted",
    "FileInfo",
    "FileKind",
    "Hearing",
    "Radio",
    "Record",
    "RecordingHeader",
    "RecordingWriter",
    "Row",
    "Timeline",
    "Trace",
    "attached_after",
    "convert",
    "item_of",
    "merge",
    "open_trace",
    "read_info",
    "read_recording",
    "rebase_state",
    "records_of",
    "sniff",
]
