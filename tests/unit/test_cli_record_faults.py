"""Recorders that are killed, disks that fill up and files that are rotated, with real processes."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from daemon_kit import LIES, Daemon, daemon, walk
from hypothesis import given, settings
from hypothesis import strategies as st
from polling import wait_until
from recording_kit import events_of, types_of
from tools import need

from lies.errors import TraceFormatError
from lies.events import LinkUp, RawSample, RawState
from lies.runtime import monotonic_ns
from lies.trace import read_info, read_recording
from lies.trace.series import Series

KILLS = 3


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that plays a walk 25 times as fast, for ever."""
    directory = tmp_path_factory.mktemp("playing")
    walk(directory / "walk.csv")
    config = '[drivers.tape]\ndriver = "replay"\nfile = "walk.csv"\nlink = "wlan0"\nrate = 25.0\nloop = 0\n'
    with daemon(directory, config) as one:
        one.wait_up()
        yield one


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that plays a walk at its own pace: what it measures now has the time of now."""
    directory = tmp_path_factory.mktemp("live")
    walk(directory / "walk.csv", 600)
    with daemon(directory, '[drivers.tape]\ndriver = "replay"\nfile = "walk.csv"\nlink = "wlan0"\n') as one:
        one.wait_up()
        yield one


def samples_of(file: Path) -> list[RawSample]:
    """The samples that can be read so far."""
    try:
        return [e for e in events_of(file) if isinstance(e, RawSample)]
    except (TraceFormatError, FileNotFoundError):
        return []


@pytest.mark.parametrize("ending", [".lies", ".ndjson", ".ndjson.gz"])
def test_a_killed_recorder_costs_less_than_a_second(
    live: Daemon, tmp_path_factory: pytest.TempPathFactory, ending: str
) -> None:
    """After kill -9 at any moment the file is read, and what was measured a second before is there."""

    @settings(max_examples=KILLS, deadline=None, database=None)
    @given(st.integers(1, 25))
    def kill_after(count: int) -> None:
        file = tmp_path_factory.mktemp("killed") / f"x{ending}"
        recording = live.begin("record", "-o", str(file))
        wait_until(lambda: len(samples_of(file)) >= count, 20)
        killed_ns = monotonic_ns()
        recording.kill()
        recording.communicate(timeout=20)
        samples = samples_of(file)
        assert killed_ns - samples[-1].header.mono_ns < 1_000_000_000
        gaps_ns = {b.header.mono_ns - a.header.mono_ns for a, b in pairwise(samples)}
        assert gaps_ns == {100_000_000} or len(samples) == 1
        assert types_of(file)[:2] == ["header", "snapshot"]
        info = read_info(file)
        assert (info.indexed, info.damaged_octets) == (False, 0)

    kill_after()


def test_a_killed_recording_goes_on(playing: Daemon, tmp_path: Path) -> None:
    """Killed and continued with --append again and again, the file keeps every session."""
    file = tmp_path / "x.lies"
    counts = [0]
    for n in range(1, KILLS + 1):
        recording = playing.begin("record", "-o", str(file), "--append")
        wait_until(lambda: len(samples_of(file)) >= counts[-1] + 5, 20)
        recording.kill()
        recording.communicate(timeout=20)
        counts.append(len(samples_of(file)))
        assert types_of(file).count("header") == n
        if n % 2:
            file.write_bytes(file.read_bytes()[:-3])
            counts[-1] = len(samples_of(file))
    assert counts == sorted(counts)
    assert read_info(file).sessions == KILLS


def test_a_disk_that_fills_up(playing: Daemon, tmp_path: Path) -> None:
    """On a real file system of 64 KiB a recording ends with one sentence and 1, and what fitted is read."""
    disk = tmp_path / "disk"
    disk.mkdir()
    for ending in (".lies", ".ndjson"):
        file, copy = disk / f"x{ending}", tmp_path / f"x{ending}"
        fill = f"head -c {56 if ending == '.lies' else 8}K /dev/zero > {disk}/ballast"
        words = shlex.join([*LIES, "record", "-o", str(file)])
        script = (
            f"mount -t tmpfs -o size=64k none {disk} && {fill} || exit 99; "
            f"{words}; code=$?; cp {file} {copy}; exit $code"
        )
        done = subprocess.run(
            [need("unshare"), "-rm", "sh", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=playing.env,
        )
        if done.returncode == 99:
            pytest.skip(f"no file system can be mounted here: {done.stderr}")
        assert done.returncode == 1, done.stderr
        assert re.search(r"^lies: .*: cannot be written: No space left on device$", done.stderr, re.MULTILINE)
        assert len(samples_of(copy)) > 20
        assert "damaged" not in types_of(copy)


@pytest.mark.parametrize("ending", [".lies", ".ndjson"])
def test_rotation_loses_nothing_and_every_file_replays(playing: Daemon, tmp_path: Path, ending: str) -> None:
    """Files of one size follow each other without hole or double, N stay, and each begins with the memory."""
    file = tmp_path / f"x{ending}"
    size = 4096 if ending == ".lies" else 60_000
    recording = playing.begin("record", "-o", str(file), "--rotate", str(size), "--keep", "3")
    series = Series(file, keep=3)
    wait_until(lambda: any(p.name > "x.0003" for p in series.older()) and len(samples_of(file)) > 3, 60)
    recording.send_signal(signal.SIGINT)
    _, err = recording.communicate(timeout=20)
    assert recording.returncode == 130
    assert re.search(r"events in \d+ files$", err.strip())
    files = [*series.older(), file]
    assert len(files) == 3
    samples = [s for one in files for s in samples_of(one)]
    numbers = [s.header.sequence for s in samples]
    assert numbers == sorted(set(numbers))
    gaps_ns = {b.header.mono_ns - a.header.mono_ns for a, b in pairwise(samples)}
    assert max(gaps_ns) <= 1_000_000_000  # the pause between two passes of the tape
    for one in files:
        records = list(read_recording(one))
        assert [r.type for r in records[:3]] == ["header", "snapshot", "raw_state"]
        assert isinstance(records[2].event, RawState)
        assert one is file or size <= one.stat().st_size < 4 * size
        replay = subprocess.run(
            [*LIES, "replay", str(one), "--standalone", "--asap", "-j"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LIES_RUNTIME_DIR": str(tmp_path / "none")},
        )
        told = [json.loads(line) for line in replay.stdout.splitlines()]
        recorded = [e for e in events_of(one) if isinstance(e, LinkUp)]
        ups = [(e["link"], e["poa"]) for e in told if e["type"] == "link_up"]
        assert ups == [(e.header.link.name, e.poa) for e in recorded]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "x.txt"], "recordings are .lies, .ndjson, .ndjson.gz"),
        (["-o", "x.lies", "--keep", "3"], "--keep goes with --rotate"),
        (["-o", "x.lies", "--rotate", "many"], "is no size"),
        (["-o", "x.lies", "--rotate", "100"], "4096 is the least"),
        (["-o", "x.lies", "--rotate", "1M", "--keep", "0"], "Invalid value for '--keep'"),
    ],
)
def test_wrong_words(playing: Daemon, words: list[str], said: str) -> None:
    """Options that mean nothing end with 2 and one reason."""
    done = playing.lies("record", *words)
    assert done.exit_code == 2
    assert said in done.stderr
