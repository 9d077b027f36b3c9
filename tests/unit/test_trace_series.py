"""Rotated recordings: sizes, names, and which files stay."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_kit import S, drive, events_of, header, types_of

from lies.bus.messages import LinkState, Snapshot
from lies.cli._recorder import Recorder
from lies.errors import ConfigError, LiesError
from lies.events import Link, Raw, RawSample, RawState, Sample, Technology
from lies.trace import read_info
from lies.trace.series import Rotation, Series, octets


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65536),
        ("500k", 512_000),
        ("10M", 10 << 20),
        ("1GiB", 1 << 30),
        ("2MB", 2 << 20),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """A size is a number of octets, with K, M or G for powers of 1024."""
    assert octets(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1.5M", "10X", "1e6"])
def test_what_is_no_size(text: str) -> None:
    """Anything else is an error with the text."""
    with pytest.raises(ConfigError, match="is no size"):
        octets(text)


@pytest.mark.parametrize("ending", [".lies", ".ndjson", ".ndjson.gz"])
def test_names_are_given_once(tmp_path: Path, ending: str) -> None:
    """The newest file is FILE; each gets the next number, and the oldest are removed."""
    path = tmp_path / f"a.b{ending}"
    others = [tmp_path / f"a.b.1{ending}", tmp_path / f"xa.b.0001{ending}", tmp_path / "a.b.0001.csv"]
    for other in others:
        other.write_text("other")
    series = Series(path, keep=3)
    for n in range(1, 6):
        path.write_text(str(n))
        series.put_away()
        assert not path.exists()
    assert [(p.name, p.read_text()) for p in series.older()] == [
        (f"a.b.0004{ending}", "4"),
        (f"a.b.0005{ending}", "5"),
    ]
    assert all(other.read_text() == "other" for other in others)


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    """A folder that cannot be read raises LiesError with the system's reason."""
    with pytest.raises(LiesError, match="cannot be written: No such file"):
        Series(tmp_path / "no" / "a.lies", keep=None).put_away()


LINKS = [Link("wlan0", Technology.WIFI), Link("lte0", Technology.LTE)]


def snapshot() -> Snapshot:
    """The snapshot that answers a registration."""
    return Snapshot(tuple(LinkState(link, "sim") for link in LINKS), registration=1)


STEPS = ["sample 0", "sample 1", "rotate", "state 0", "state 1", "release"]


def state(link: Link) -> RawState:
    """A link's memory."""
    return RawState(header(0, 0, link), b"\x80")


def sample(n: int, link: Link) -> RawSample:
    """The n-th sample."""
    return RawSample(header(n, n * S, link), Sample(n * S, rssi_dbm=-50.0))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=60))
def test_nothing_is_lost_or_doubled_between_files(tmp_path: Path, steps: list[str]) -> None:
    """However rotations, memories and samples fall together, the files hold every sample once, in order."""
    for old in tmp_path.iterdir():
        old.unlink()
    path = tmp_path / "r.lies"
    sent: list[Raw] = []
    with Recorder(path, LINKS, append=False, rotation=Rotation(4096)) as recorder:
        recorder.expect()
        recorder.snapshot(snapshot())
        for link in LINKS:
            recorder.event(state(link))
        for n, step in enumerate(steps, 1):
            word, _, which = step.partition(" ")
            if word == "sample":
                sent.append(sample(n, LINKS[int(which)]))
                recorder.event(sent[-1])
            elif word == "state":
                recorder.event(state(LINKS[int(which)]))
            elif word == "release":
                recorder.release(recorder.files)
            else:
                if recorder._before is not None:  # the next rotation begins when the last has ended
                    recorder.release()
                recorder.expect()
                recorder.snapshot(snapshot())
        assert recorder.failure is None
    files = [*Series(path, keep=None).older(), path]
    assert len(files) == recorder.files == 1 + steps.count("rotate")
    found = [e for file in files for e in events_of(file) if not isinstance(e, RawState)]
    for link in LINKS:
        assert [e for e in found if e.header.link == link] == [e for e in sent if e.header.link == link]
    assert all(types_of(file)[:2] == ["header", "snapshot"] for file in files)
    assert all(read_info(file).links == tuple(LINKS) for file in files)


def test_a_recorder_that_cannot_write_says_so_once(tmp_path: Path) -> None:
    """The first failure is kept; events after it are left out, and nothing is raised."""
    path = tmp_path / "r.lies"
    with Recorder(path, LINKS, append=False, rotation=Rotation(4096)) as recorder:
        recorder.expect()
        recorder.snapshot(snapshot())
        recorder.release()
        recorder._series.path = tmp_path / "gone" / "r.lies"
        recorder.expect()
        recorder.snapshot(snapshot())
        assert recorder.ended.is_set()
        for event in drive(3):
            recorder.event(event)
        recorder.flush()
        assert not recorder.full
    assert "gone" in str(recorder.failure)
    assert recorder.events == 0
