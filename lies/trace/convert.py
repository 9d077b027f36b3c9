"""One form of a recording or trace into another: .lies, .ndjson, .csv, .pcapng, .parquet."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import define

from lies.errors import ConfigError, LiesError, TraceFormatError
from lies.events import (
    INDICATION_NAMES,
    Header,
    Link,
    raw_of,
)
from lies.trace._append import cannot_write
from lies.trace._open import FileKind, open_trace, sniff
from lies.trace._pcapng import read_pcapng
from lies.trace._record import DAMAGED, HEADER, TORN, Record, header_data, new_header
from lies.trace._rows import Trace
from lies.trace._targets import CsvTarget, ParquetTarget, PcapngTarget, RecordingTarget, Target
from lies.trace.recording import ENDINGS, ending_of, read_recording

OTHER_ENDINGS = (".csv", ".csv.gz", ".pcapng", ".parquet")


@define
class Converted:
    """What a conversion did; records: of the source, kept: of them in the target.

    torn_octets, damaged_octets: of the source, which could not be read; packets_torn_octets: of the capture
    whose packets were copied.
    """

    records: int = 0
    kept: int = 0
    torn_octets: int = 0
    damaged_octets: int = 0
    packets_torn_octets: int = 0


def convert(source: Path, target: Path, *, link: str | None = None, packets: Path | None = None) -> Converted:
    """Write what is in `source` to `target`, whose name tells the form; it is there whole or not at all.

    link: of a CSV trace, its name in a recording; to CSV, the one whose samples are written. packets: a
    pcapng capture that the events are put into. Raises TraceFormatError, ConfigError, LiesError.
    """
    ending = ending_of(target) or next((e for e in OTHER_ENDINGS if target.name.endswith(e)), "")
    if not ending:
        known = ", ".join((*ENDINGS, *OTHER_ENDINGS))
        raise ConfigError(f"{target.name}: the ending says the form, one of {known}")
    if packets is not None and ending != ".pcapng":
        raise ConfigError("packets go into a .pcapng only", key="--packets")
    done = Converted()
    part = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        with contextlib.closing(_open(part, ending, link=link, packets=packets)) as opened:
            for record in records_of(source, link=link):
                if record.type == TORN:
                    done.torn_octets += record.data["octets"]
                elif record.type == DAMAGED:
                    done.damaged_octets += record.data["octets"]
                else:
                    done.records += 1
                    done.kept += opened.put(record)
        if isinstance(opened, PcapngTarget):
            done.packets_torn_octets = opened.torn_octets
        if not done.kept:
            whose = "" if link is None else f" of {link}"
            raise TraceFormatError(f"has no raw sample{whose}", file=str(source))
        part.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    except LiesError as error:
        if type(error) is not LiesError:
            raise
        raise LiesError(str(error).replace(str(part), str(target))) from error  # the name that was given
    finally:
        with contextlib.suppress(OSError):  # the folder may be one that nobody can write to
            part.unlink(missing_ok=True)
    return done


def _open(path: Path, ending: str, *, link: str | None, packets: Path | None) -> Target:
    match ending:
        case ".csv" | ".csv.gz":
            return CsvTarget(path, link)
        case ".pcapng":
            return PcapngTarget(path, packets)
        case ".parquet":
            return ParquetTarget(path)
    return RecordingTarget(path)


def records_of(path: Path, *, link: str | None = None) -> Iterator[Record]:
    """The records of a file of any form; those of a trace are what the replay of it feeds."""
    match sniff(path):
        case FileKind.RECORDING:
            return read_recording(path)
        case FileKind.PCAPNG:
            return read_pcapng(path)
        case FileKind.PARQUET:
            from lies.trace._parquet import read_parquet  # noqa: PLC0415 - an optional library, large to load

            return read_parquet(path)
    return _of_trace(open_trace(path), link)


def _of_trace(trace: Trace, name: str | None) -> Iterator[Record]:
    """A trace as a recording of a publisher `trace`; both its clocks are the trace's."""
    link = Link(name or Path(trace.path).name.partition(".")[0], trace.technology)
    yield Record(1, HEADER, header_data(new_header([link], t0_ns=0)))
    for sequence, (t_ns, item) in enumerate(trace.items(), 1):
        event = raw_of(Header("trace", 1, sequence, t_ns, t_ns, link), item)
        yield Record(sequence + 1, INDICATION_NAMES[type(event)], {}, event)
