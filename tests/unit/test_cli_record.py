"""Recording what a daemon says, and replaying it."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import LIES, Daemon, daemon, playing_daemon, text_of, walk
from polling import wait_until

from lies.errors import TraceFormatError
from lies.events import Indication, Raw
from lies.events.json import to_json_object
from lies.trace import read_recording


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that plays a walk five times as fast, for ever."""
    with playing_daemon(tmp_path_factory) as one:
        yield one


@pytest.mark.parametrize("ending", [".lies", ".ndjson"])
def test_record_replay_record(tmp_path: Path, ending: str) -> None:
    """A replayed recording gives the same primitives, links, parameters and time offsets as were recorded."""
    a, b = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    walk(tmp_path / "walk.csv", 60)
    tape = '[drivers.tape]\ndriver = "replay"\nfile = "walk.csv"\nlink = "wlan0"\nrate = 20.0\nloop = 0\n'
    with daemon(tmp_path / "a", tape.replace("walk.csv", str(tmp_path / "walk.csv"))) as one:
        one.wait_up()
        record(one, a, lambda types: types.count("link_up") >= 3)
    with daemon(tmp_path / "b", "") as two:
        recording = two.begin("record", "-o", str(b))
        wait_until(lambda: "snapshot" in types_so_far(b), 20)
        replay = two.lies("replay", str(a), "--rate", "50")
        assert replay.exit_code == 0, replay.stderr
        wait_until(lambda: any(getattr(e, "reason", "") == "driver_lost" for e in events_so_far(b)), 20)
        recording.send_signal(signal.SIGINT)
        recording.communicate(timeout=20)
        assert recording.returncode == 130
    first, second = indications(a), indications(b)
    assert len(first) > 10
    assert first == second


def types_so_far(file: Path) -> list[str]:
    """The types of the records that can be read by now."""
    try:
        return [r.type for r in read_recording(file)]
    except TraceFormatError:
        return []


def events_so_far(file: Path) -> list[Indication | Raw]:
    """The events that can be read by now."""
    return [r.event for r in read_recording(file) if r.event is not None]


def record(one: Daemon, file: Path, enough: Callable[[list[str]], bool]) -> None:
    """Record until there is enough, then Ctrl-C."""
    recording = one.begin("record", "-o", str(file))
    wait_until(lambda: enough(types_so_far(file)), 30)
    recording.send_signal(signal.SIGINT)
    recording.communicate(timeout=20)
    assert recording.returncode == 130


def indications(file: Path) -> list[dict[str, Any]]:
    """Indications with their time since the first one; the driver's end and what follows is left out."""
    lines: list[dict[str, Any]] = [
        to_json_object(r.event) if r.event is not None else {"type": r.type} for r in read_recording(file)
    ]
    assert [line["type"] for line in lines[:3]] == ["header", "snapshot", "raw_state"]
    found: list[dict[str, Any]] = []
    begin_ns = 0
    for line in lines:
        if line["type"] in {"header", "snapshot"} or line["type"].startswith("raw_"):
            continue
        if line.get("reason") == "driver_lost":
            break
        begin_ns = begin_ns or line["mono_ns"]
        line["offset_ns"] = line.pop("mono_ns") - begin_ns
        for key in ("publisher", "epoch", "sequence", "wall_ns"):
            del line[key]
        found.append(line)
    return found


def test_recording_ends_whole_on_sigterm(playing: Daemon, tmp_path: Path) -> None:
    """SIGTERM ends a recording with 0; every line is whole and the first event is the state."""
    recording = playing.begin("record", "-o", str(tmp_path / "x.ndjson"))
    wait_until(lambda: text_of(tmp_path / "x.ndjson").count("raw_sample") > 20, 20)
    recording.send_signal(signal.SIGTERM)
    _, err = recording.communicate(timeout=20)
    assert recording.returncode == 0
    assert re.fullmatch(r".*x\.ndjson: \d+ events\n", err)
    lines = [json.loads(line) for line in text_of(tmp_path / "x.ndjson").splitlines()]
    assert [line["type"] for line in lines[:3]] == ["header", "snapshot", "raw_state"]
    found = json.loads(playing.lies("info", "-j", str(tmp_path / "x.ndjson")).stdout)
    assert found["torn"] is False
    assert sum(found["counts"].values()) == len(lines) - 1


def test_bad_replays(playing: Daemon, tmp_path: Path) -> None:
    """A file that is no trace ends with 3, a driver name that is taken with 1; nothing comes onto the bus."""
    (tmp_path / "bad.csv").write_text("hello\n")
    walk(tmp_path / "walk.csv", 5)
    bad = playing.lies("replay", str(tmp_path / "bad.csv"))
    assert (bad.exit_code, bad.stderr.count("\n")) == (3, 1)
    alone = playing.lies("replay", str(tmp_path / "bad.csv"), "--standalone")
    assert (alone.exit_code, alone.stderr.count("\n")) == (3, 1)
    taken = playing.lies("replay", str(tmp_path / "walk.csv"), "--name", "tape")
    assert taken.exit_code == 1
    assert "a driver 'tape' is on the bus already" in taken.stderr
    assert [s["publisher"] for s in playing.links()] == ["tape"]


def test_paused_replay_waits_for_the_signal(tmp_path: Path) -> None:
    """`lies replay --paused` feeds nothing before SIGUSR1."""
    walk(tmp_path / "walk.csv", 20)
    with daemon(tmp_path, "") as one:
        replay = one.begin("replay", str(tmp_path / "walk.csv"), "--paused", "--rate", "20")
        assert replay.stderr is not None
        assert "kill -USR1" in replay.stderr.readline()
        wait_until(lambda: bool(one.links()), 20)
        assert one.lies("trace", "-n", "1", "-W", "0.3").exit_code == 27
        assert not one.links()[0]["up"]
        replay.send_signal(signal.SIGUSR1)
        wait_until(lambda: one.links()[0]["up"], 20)
        replay.communicate(timeout=20)
        assert replay.returncode == 0


def test_full_disk_ends_a_recording(playing: Daemon) -> None:
    """A recording that cannot be written ends with one sentence and 1."""
    link = playing.run_dir.parent / "full.ndjson"
    link.symlink_to("/dev/full")
    done = playing.lies("record", "-o", str(link))
    assert done.exit_code == 1
    assert "No space left" in done.stderr


def test_replay_as_a_driver_of_the_daemon(tmp_path: Path) -> None:
    """`lies replay` brings a link onto the daemon's bus; when it ends the link is lost."""
    walk(tmp_path / "walk.csv", 30)
    file = tmp_path / "x.ndjson"
    words = ["--rate", "30", "--link", "tape0", "--map", "ap1=x", "--start", "5"]
    with daemon(tmp_path, "") as one:
        recording = one.begin("record", "-o", str(file))
        wait_until(lambda: '"snapshot"' in text_of(file), 20)
        replay = one.lies("replay", str(tmp_path / "walk.csv"), *words)
        assert replay.exit_code == 0, replay.stderr
        wait_until(lambda: '"driver_lost"' in text_of(file), 20)
        assert one.links()[0]["lost"] == "driver_lost"
        recording.send_signal(signal.SIGINT)
        recording.communicate(timeout=20)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    moves = [(e["link"], e["type"], e["poa"]) for e in lines if e["type"] in {"link_up", "link_down"}]
    assert moves == [
        ("tape0", "link_up", "x"),
        ("tape0", "link_down", "x"),
        ("tape0", "link_up", "ap2"),
        ("tape0", "link_down", "ap2"),
    ]


def test_standalone_replay_prints_the_events(tmp_path: Path) -> None:
    """Without a daemon --standalone prints what the file gives; the same each time but for the clock."""
    file = str(walk(tmp_path / "walk.csv", 30))
    env = {**os.environ, "LIES_RUNTIME_DIR": str(tmp_path / "none")}
    runs = [
        subprocess.run(
            [*LIES, "replay", file, "--standalone", "--asap", "-j"],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        ).stdout
        for _ in range(2)
    ]
    first, second = ([json.loads(line)["type"] for line in run.splitlines()] for run in runs)
    assert first == second
    assert first.count("link_up") == 2
    assert "link_going_down" in first
    assert not (tmp_path / "none").exists()
