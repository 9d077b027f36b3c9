"""Recordings made by tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lies.events import (
    Attached,
    Detached,
    DownReason,
    Header,
    Indication,
    Link,
    LinkUp,
    Raw,
    RawAttached,
    RawDetached,
    RawSample,
    RawState,
    Sample,
    Technology,
)
from lies.trace import RecordingWriter, read_recording

S = 1_000_000_000
LINK = Link("wlan0", Technology.WIFI)
Event = Indication | Raw


def header(n: int, t_ns: int | None = None, link: Link = LINK) -> Header:
    """The n-th header, at n tenths of a second."""
    mono_ns = n * S // 10 if t_ns is None else t_ns
    wall_ns = min(1_700_000_000 * S + mono_ns, 2**63 - 1)
    return Header("sim", 7, n, mono_ns, wall_ns, link)


def drive(count: int, *, begin_ns: int = 0, link: Link = LINK) -> list[Event]:
    """A drive of so many samples, attached to one access point after another."""
    found: list[Event] = [RawState(header(0, begin_ns, link), b"\x81\xa3poa\xc0")]
    for n in range(count):
        t_ns = begin_ns + n * S // 10
        head, poa = header(n + 1, t_ns, link), f"ap{n // 20}"
        if n % 20 == 0:
            found += [RawAttached(head, Attached(t_ns, poa)), LinkUp(head, poa)]
        found.append(RawSample(head, Sample(t_ns, poa=poa, rssi_dbm=-50.0 - n % 20, snr_db=30.5)))
        if n % 20 == 19:
            found.append(RawDetached(head, Detached(t_ns, poa, DownReason.SIGNAL_LOST)))
    return found


def write(path: Path, sessions: Sequence[Iterable[Event]], *, flush_every: int = 0) -> Path:
    """A recording of sessions, flushed after every so many events (0: when the writer likes)."""
    path.unlink(missing_ok=True)
    for events in sessions:
        with RecordingWriter(path, links=[LINK]) as writer:
            for n, event in enumerate(events, 1):
                writer.write(event)
                if flush_every and n % flush_every == 0:
                    writer.flush()
    return path


def events_of(path: Path) -> list[Event]:
    """The events that can be read."""
    return [r.event for r in read_recording(path) if r.event is not None]


def types_of(path: Path) -> list[str]:
    """The types of the records that are no events."""
    return [r.type for r in read_recording(path) if r.event is None]
