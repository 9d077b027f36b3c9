"""What a conversion writes: one class for each form, all fed with the same records."""

import csv
import gzip
import io
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from lies.errors import ConfigError
from lies.events import Link, RawSample
from lies.events.json import to_json_object
from lies.trace._append import AppendFile
from lies.trace._capture import CaptureWriter
from lies.trace._record import HEADER, Record, Timeline, header_of, item_of
from lies.trace.recording import RecordingWriter

CSV_COLUMNS = (
    "t_s",
    "link_type",
    "poa",
    "rssi_dbm",
    "rsrp_dbm",
    "rsrq_db",
    "snr_db",
    "speed_mps",
    "state",
    "nbr_rsrp_dbm",
)


def json_of(record: Record) -> dict[str, Any]:
    """The object that a record is on a line of NDJSON."""
    if record.event is not None:
        return to_json_object(record.event)
    return {**record.data, "type": record.type}


class Target(Protocol):
    """A file that is being written."""

    def put(self, record: Record) -> bool:
        """Take a record; False if this form does not hold such records."""
        ...

    def close(self) -> None:
        """Write what waits and end the file."""
        ...


class RecordingTarget:
    """A recording; every record is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: RecordingWriter | None = None

    def put(self, record: Record) -> bool:
        """Take a record."""
        if record.type == HEADER:
            header = header_of(record.data)
            if self._writer is None:
                self._writer = RecordingWriter(self._path, header=header, overwrite=True)
            else:
                self._writer.session(header)
            return True
        assert self._writer is not None  # every reader gives a header first
        if record.event is not None:
            self._writer.write(record.event)
        else:
            self._writer.snapshot(record.data)
        return True

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()


class CsvTarget:
    """A CSV trace: the raw samples of one link; t_s counts from the first raw item, or as the trace did."""

    def __init__(self, path: Path, link: str | None) -> None:
        self._path = path
        self._wanted = link
        self._link: Link | None = None
        self._timeline = Timeline()
        self._t0_ns: int | None = None
        self._begin_ns = 0  # t_s of the first raw item
        self._file = AppendFile(path, overwrite=True)
        self._text = io.StringIO()
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow(CSV_COLUMNS)

    def put(self, record: Record) -> bool:
        """Take a record; only samples are held."""
        if record.type == HEADER:
            self._timeline.begin_session()
            self._t0_ns = header_of(record.data).t0_ns
        item = item_of(record.event)
        if item is None or record.event is None:
            return False
        if self._timeline.first_ns is None and self._t0_ns is not None:
            self._begin_ns = item.t_ns - self._t0_ns
        t_ns = self._begin_ns + self._timeline.offset_ns(item.t_ns)
        link = record.event.header.link
        if not isinstance(record.event, RawSample) or self._wanted not in {None, link.name}:
            return False
        if self._link is None:
            self._link = link
        if self._link != link:
            raise ConfigError(f"{self._link.name}, {link.name}: a CSV trace has one link", key="--link")
        self._row(t_ns, record.event, link)
        return True

    def close(self) -> None:
        """End the file."""
        self._flush()
        self._file.close()

    def _row(self, t_ns: int, event: RawSample, link: Link) -> None:
        sample = event.sample
        heard = [n.rsrp_dbm for n in sample.neighbours or () if n.rsrp_dbm is not None]
        values = (sample.rssi_dbm, sample.rsrp_dbm, sample.rsrq_db, sample.snr_db, sample.speed_mps)
        self._csv.writerow(
            (
                _seconds(t_ns),
                sample.technology or link.technology.value,
                sample.poa or "",
                *map(_number, values),
                "",
                _number(max(heard, default=None)),
            )
        )
        if self._text.tell() > 1 << 16:
            self._flush()

    def _flush(self) -> None:
        data = self._text.getvalue().encode("utf-8")
        self._text.seek(0)
        self._text.truncate()
        if data:
            self._file.append(gzip.compress(data) if self._path.suffix == ".gz" else data)


def _seconds(t_ns: int) -> str:
    """Exactly, without digits that say nothing."""
    whole, part = divmod(abs(t_ns), 10**9)
    text = f"{'-' if t_ns < 0 else ''}{whole}.{part:09}"
    return text.rstrip("0").rstrip(".")


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(value)


class PcapngTarget:
    """A capture; every record is held, in a comment at its wall time."""

    def __init__(self, path: Path, packets: Path | None) -> None:
        self._capture = CaptureWriter(path, packets)
        self._wall_ns: int | None = None  # of the last event
        self._untimed: list[Record] = []

    @property
    def torn_octets(self) -> int:
        """At the end of the capture that was copied."""
        return self._capture.torn_octets

    def put(self, record: Record) -> bool:
        """Take a record; one without a time of its own stands right before the next event."""
        if record.event is None:
            self._untimed.append(record)
            return True
        self._wall_ns = record.event.header.wall_ns
        self._comment(self._wall_ns, record)
        return True

    def _comment(self, wall_ns: int, *records: Record) -> None:
        untimed, self._untimed = self._untimed, []
        for record in (*untimed, *records):
            self._capture.comment(wall_ns, msgspec.json.encode(json_of(record)))

    def close(self) -> None:
        """Copy what is left of the packets and end the file."""
        if self._untimed:
            begun_ns = _created_ns(self._untimed[0].data)
            self._comment(begun_ns if self._wall_ns is None else self._wall_ns)
        self._capture.close()


def _created_ns(data: Mapping[str, Any]) -> int:
    """When a session began, by its header; 0 if that cannot be read."""
    try:
        return round(datetime.fromisoformat(str(data.get("created"))).timestamp() * 1e6) * 1000
    except (ValueError, OverflowError):
        return 0


class ParquetTarget:
    """A Parquet file; every record is held."""

    def __init__(self, path: Path) -> None:
        from lies.trace._parquet import ParquetWriter  # noqa: PLC0415 - an optional library, large to load

        self._file = ParquetWriter(path)

    def put(self, record: Record) -> bool:
        """Take a record."""
        self._file.put(json_of(record))
        return True

    def close(self) -> None:
        """End the file."""
        self._file.close()
