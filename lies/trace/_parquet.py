"""Recordings as Parquet: a column for each parameter that analyses ask for, and one with the whole record.

The only room that touches pyarrow; importing it raises PluginUnavailable where that is not installed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lies.errors import LiesError, MalformedMessage, PluginUnavailable, TraceFormatError
from lies.trace._append import cannot_write
from lies.trace._lines import record_of
from lies.trace._record import Record

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as missing:
    raise PluginUnavailable("Parquet", 'pip install "lies[parquet]"') from missing

GROUP = 16_384  # records of one row group, all that is held in memory
_TEXT, _INTEGER, _NUMBER = pa.string(), pa.int64(), pa.float64()
COLUMNS = {
    "type": _TEXT,
    "link": _TEXT,
    "technology": _TEXT,
    "publisher": _TEXT,
    "epoch": _INTEGER,
    "sequence": _INTEGER,
    "mono_ns": _INTEGER,
    "wall_ns": _INTEGER,
    "poa": _TEXT,
    "reason": _TEXT,
    "reason_code": _INTEGER,
    "network": _TEXT,
    "frequency_mhz": _NUMBER,
    "quality": _TEXT,
    "previous_quality": _TEXT,
    "bandwidth_mbps": _NUMBER,
    "time_to_down_ms": _NUMBER,
    "confidence": _NUMBER,
    "rssi_dbm": _NUMBER,
    "rsrp_dbm": _NUMBER,
    "rsrq_db": _NUMBER,
    "snr_db": _NUMBER,
    "bitrate_mbps": _NUMBER,
    "retries": _INTEGER,
    "speed_mps": _NUMBER,
    "data": _TEXT,  # the record as an NDJSON line has it
}
_NESTED = ("sample", "attached", "detached", "condition")


class ParquetWriter:
    """Writes a Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema = pa.schema(list(COLUMNS.items()))
        self._rows: list[dict[str, Any]] = []
        try:
            self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        except OSError as error:
            raise cannot_write(path, error) from error

    def put(self, data: Mapping[str, Any]) -> None:
        """Append the JSON object of a record."""
        self._rows.append(_row(data))
        if len(self._rows) >= GROUP:
            self._write()

    def close(self) -> None:
        """Write what waits and the file's end."""
        self._write()
        try:
            self._file.close()
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        try:
            if rows:
                self._file.write_table(pa.Table.from_pylist(rows, schema=self._schema))
        except OSError as error:
            raise cannot_write(self._path, error) from error
        except (pa.ArrowException, OverflowError) as error:
            raise LiesError(f"{self._path}: a value cannot be kept: {error}") from error


def _row(data: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"data": msgspec.json.encode(data).decode("utf-8"), "type": data["type"]}
    if "mono_ns" not in data:  # a header or snapshot
        return row
    nested = [data[key] for key in _NESTED if isinstance(data.get(key), Mapping)]
    for source in (*nested, data):
        row.update((key, value) for key, value in source.items() if key in COLUMNS and key != "data")
    if isinstance(previous := data.get("previous"), Mapping):  # of a report it is an address
        row["previous_quality"] = previous["quality"]
    return row


def read_parquet(path: Path) -> Iterator[Record]:
    """The records in a Parquet file of ours; TraceFormatError for another one."""
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            if "data" not in file.schema_arrow.names:
                raise TraceFormatError("is Parquet, but not of a recording", file=str(path))
            for batch in file.iter_batches(GROUP, columns=["data"]):
                for line in batch.column(0).to_pylist():
                    number += 1
                    yield record_of(line if isinstance(line, str) else "", number)
    except (msgspec.DecodeError, MalformedMessage, RecursionError) as error:
        raise TraceFormatError(str(error), file=str(path), record=number) from error
    except (OSError, pa.ArrowException) as error:
        raise TraceFormatError(f"cannot be read: {error}", file=str(path)) from error
    if not number:
        raise TraceFormatError("has no record", file=str(path))
