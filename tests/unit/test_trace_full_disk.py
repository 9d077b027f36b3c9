"""Recordings on a disk that fills up: what is there stays, whole, and the failure is one sentence."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from recording_kit import LINK, drive, events_of, write

from lies.errors import LiesError, TraceFormatError
from lies.trace import RecordingWriter, convert

EVENTS = drive(60)
ENDINGS = [".lies", ".ndjson", ".ndjson.gz"]


@contextmanager
def largest_file(octets: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many octets: the kernel refuses the write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.integers(0, 9000))
@example(octets=0)
@example(octets=7)
@example(octets=400)
def test_what_fits_is_read(tmp_path: Path, ending: str, octets: int) -> None:
    """Wherever the disk ends, the file holds the events up to there, and the writer says so and is closed."""
    path = tmp_path / f"r{ending}"
    path.unlink(missing_ok=True)
    written = 0
    with largest_file(octets):
        try:
            with RecordingWriter(path, links=[LINK]) as writer:
                for event in EVENTS:
                    writer.write(event)
                    writer.flush()
                    written += 1
        except LiesError as error:
            failure = str(error)
        else:
            failure = ""
    assert path.stat().st_size <= octets
    if failure:
        assert "cannot be written: File too large" in failure
    try:
        found = events_of(path)
    except TraceFormatError:
        assert written == 0
        return
    assert found == EVENTS[:written]
    with suppress(TraceFormatError):  # compressed lines without their end cannot be continued
        with RecordingWriter(path, links=[LINK]) as writer:
            writer.write(EVENTS[0])
        assert events_of(path) == [*EVENTS[:written], EVENTS[0]]


@pytest.mark.parametrize("ending", [".lies", ".ndjson"])
def test_a_writer_that_failed_stays_closed(tmp_path: Path, ending: str) -> None:
    """After a full disk every further event is refused; closing again does nothing."""
    path = tmp_path / f"r{ending}"
    writer = RecordingWriter(path, links=[LINK])
    with (
        largest_file(path.stat().st_size),
        suppress(LiesError),
    ):  # it fails when it writes, or when it flushes
        writer.write(EVENTS[1])
        writer.flush()
    before = path.read_bytes()
    with pytest.raises(LiesError, match="it is closed"):
        writer.write(EVENTS[1])
    writer.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", [".lies", ".ndjson", ".csv", ".pcapng", ".parquet"])
def test_a_conversion_that_does_not_fit_leaves_nothing(tmp_path: Path, ending: str) -> None:
    """A conversion is there whole or not at all: an older file of that name stays."""
    source = write(tmp_path / "in.ndjson", [EVENTS])
    target = tmp_path / f"out{ending}"
    target.write_text("older")
    with largest_file(300), pytest.raises(LiesError) as info:
        convert(source, target)
    assert f"out{ending}: cannot be written" in str(info.value)
    assert str(info.value).count("\n") == 0
    assert target.read_text() == "older"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.ndjson", target.name])
