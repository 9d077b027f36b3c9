"""`lies exec`: a command per event, its variables, its exit code and its end."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_kit import LIES, Daemon, daemon, text_of
from fake_plugins import install
from polling import wait_until

from lies.cli import _exec
from lies.cli._exec import LONGEST_VARIABLE, environment, variables
from lies.events import (
    CareOfAddressChanged,
    Condition,
    Header,
    Link,
    LinkStatusChanged,
    LinkUp,
    Neighbour,
    PoACondition,
    PoAFound,
    Quality,
    RawSample,
    Sample,
    Technology,
)
from lies.events.json import from_json_object

HEADER = Header("car", 1, 7, 5, 6, Link("wlan0", Technology.WIFI))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with one fake driver, whose link fake0 can be controlled."""
    directory = tmp_path_factory.mktemp("exec")
    with pytest.MonkeyPatch.context() as patch:
        install(directory / "site", patch)
        with daemon(directory, "[drivers.fake]\n") as running:
            running.wait_up()
            yield running


def begin(one: Daemon, *words: str) -> "subprocess.Popen[str]":
    """A `lies exec` in a process group of its own, as a shell would make it."""
    return subprocess.Popen(
        [*LIES, "exec", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=one.env,
        start_new_session=True,
    )


class Mover:
    """Moves the link between two PoAs, so that it comes up at one after the other."""

    def __init__(self, one: Daemon) -> None:
        self._one = one
        self._moves = 0

    def until(self, file: Path) -> None:
        """Move until the file has something in it."""
        wait_until(lambda: self.move() and bool(text_of(file)), 20)

    def move(self) -> bool:
        """One move."""
        self._moves += 1
        return self._one.lies("connect", "fake0", f"ap{2 + self._moves % 2}").exit_code == 0


def test_variables_are_the_fields() -> None:
    """Each field that has a value is a variable by its name; a condition is its quality and bandwidth."""
    changed = LinkStatusChanged(HEADER, "ap 1", Condition(Quality.FAIR, 12.5), Condition(Quality.GOOD))
    assert variables(changed) == {
        "LIES_EVENT": "link_status_changed",
        "LIES_LINK": "wlan0",
        "LIES_TECHNOLOGY": "wifi",
        "LIES_PUBLISHER": "car",
        "LIES_EPOCH": "1",
        "LIES_SEQUENCE": "7",
        "LIES_MONO_NS": "5",
        "LIES_WALL_NS": "6",
        "LIES_POA": "ap 1",
        "LIES_QUALITY": "fair",
        "LIES_BANDWIDTH_MBPS": "12.5",
        "LIES_PREVIOUS_QUALITY": "good",
        "LIES_REASON": "level",
    }
    moved = CareOfAddressChanged(HEADER, "2001:db8::1", None, "fe80::1", None)
    assert {k for k in variables(moved) if k not in variables(changed)} == {"LIES_COA", "LIES_ROUTER"}


def test_variables_of_lists_and_samples() -> None:
    """PoAs are one a line; a sample's values have their names behind SAMPLE, its neighbours are left out."""
    poas = tuple(PoACondition(name, Condition(Quality.GOOD, 1.0)) for name in ("ap1", "ap2"))
    assert variables(PoAFound(HEADER, poas))["LIES_POAS"] == "ap1\nap2"
    sample = variables(RawSample(HEADER, Sample(5, poa="ap1", rssi_dbm=-60.0, neighbours=(Neighbour("x"),))))
    assert (sample["LIES_SAMPLE_RSSI_DBM"], sample["LIES_SAMPLE_POA"]) == ("-60", "ap1")
    assert not any("NEIGHBOURS" in name for name in sample)


def test_environment_takes_any_name() -> None:
    """A PoA's name with a NUL, or too long for a variable, does not keep the command from running."""
    poa = environment(LinkUp(HEADER, "a\0b\ud800\u0142"), {})["LIES_POA"]
    assert os.fsencode(poa) == b"a\\x00b?\xc5\x82"
    assert "LIES_POA" not in environment(LinkUp(HEADER, "x" * (LONGEST_VARIABLE + 1)), {})


def test_environment_within_another() -> None:
    """The outer event's variables are gone in an inner `lies exec`; the daemon's place stays."""
    outer = {"LIES_EVENT": "x", "LIES_REASON": "y", "LIES_RUNTIME_DIR": "/r", "HOME": "/h"}
    inner = environment(LinkUp(HEADER, "ap1"), outer)
    assert (inner["LIES_RUNTIME_DIR"], inner["HOME"], inner["LIES_EVENT"]) == ("/r", "/h", "link_up")
    assert "LIES_REASON" not in inner
    assert environment(LinkUp(HEADER, "ap1"), {"LIES_TRACES": "t"})["LIES_TRACES"] == "t"


def test_one_at_a_time_in_order(one: Daemon, tmp_path: Path) -> None:
    """Commands never overlap, get the event in variables and as JSON, and -n ends with 0 after so many."""
    log, lines = tmp_path / "log", tmp_path / "json"
    script = f'echo begin "$LIES_POA" >>{log}; cat >>{lines}; sleep 0.05; echo end "$LIES_POA" >>{log}'
    process = begin(one, "--on", "link_up", "--link", "fake0", "-n", "5", "--", "sh", "-c", script)
    mover = Mover(one)
    wait_until(lambda: mover.move() and process.poll() is not None, 30)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "", "")
    events = [from_json_object(json.loads(line)) for line in lines.read_text().splitlines()]
    assert len(events) == 5
    assert all(isinstance(event, LinkUp) for event in events)
    assert [e.header.sequence for e in events] == sorted({e.header.sequence for e in events})
    words = [f"{word} {e.poa}" for e in events for word in ("begin", "end") if isinstance(e, LinkUp)]
    assert log.read_text().splitlines() == words


def test_failing_commands(one: Daemon) -> None:
    """Commands that fail are named, the next event is taken all the same, and the end is 1."""
    process = begin(one, "--on", "link_up", "-n", "2", "--", "sh", "-c", "exit 3")
    mover = Mover(one)
    wait_until(lambda: mover.move() and process.poll() is not None, 30)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err == "lies: sh ended with 3 (link_up of fake0)\n" * 2


def test_errexit(one: Daemon) -> None:
    """With -e the first command that fails is the last."""
    process = begin(one, "--on", "link_up", "-e", "--", "sh", "-c", "kill -9 $$")
    mover = Mover(one)
    wait_until(lambda: mover.move() and process.poll() is not None, 30)
    _, err = process.communicate()
    assert (process.returncode, err) == (1, "lies: sh was ended by SIGKILL (link_up of fake0)\n")


def test_times_out_with_27(one: Daemon) -> None:
    """Without events -W ends with 27, and no command was run."""
    done = one.lies("exec", "--on", "link_down", "-W", "0.1", "--", "false")
    assert done.exit_code == 27
    assert done.stderr == "lies: timed out after 0.1 s and 0 events\n"


@pytest.mark.parametrize(
    "words",
    [
        ("--on", "link_up", "--", "no-such-command"),
        ("--on", "link_upp", "--", "true"),
        ("--on", "link_up"),
        ("--", "true"),
        ("--on", "link_up", "--link", "wlan9", "--", "true"),
    ],
)
def test_usage(words: tuple[str, ...], one: Daemon) -> None:
    """An unknown command, kind or link, and a missing one, end with 2."""
    assert one.lies("exec", *words).exit_code == 2


def test_options_of_the_command_are_its_own(one: Daemon, tmp_path: Path) -> None:
    """What follows the command belongs to it, also without `--`."""
    file = tmp_path / "out"
    process = begin(
        one, "--on", "link_up", "-n", "1", "sh", "-c", f'printf "%s %s" "$0" "$1" >{file}', "-n", "-e"
    )
    mover = Mover(one)
    wait_until(lambda: mover.move() and process.poll() is not None, 30)
    process.communicate()
    assert file.read_text() == "-n -e"


def test_interrupt_lets_the_command_end(one: Daemon, tmp_path: Path) -> None:
    """Ctrl-C reaches the command too; `lies exec` waits until it has cleared up, and ends with 130."""
    begun, cleared = tmp_path / "begun", tmp_path / "cleared"
    script = (
        f"trap 'sleep 0.2; echo yes >{cleared}; exit 0' INT; echo yes >{begun}; while :; do sleep 0.02; done"
    )
    process = begin(one, "--on", "link_up", "--", "sh", "-c", script)
    Mover(one).until(begun)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert cleared.read_text() == "yes\n"


def test_interrupt_while_nothing_runs(one: Daemon, tmp_path: Path) -> None:
    """Ctrl-C while it waits for events ends with 130, at once and without a word."""
    file = tmp_path / "out"
    process = begin(one, "--on", "link_up", "--", "sh", "-c", f"echo yes >{file}")
    Mover(one).until(file)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")


def test_deaf_command_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ignores Ctrl-C and SIGTERM is killed after its time."""
    monkeypatch.setattr(_exec, "GRACE_S", 0.05)
    command = ["sh", "-c", "trap '' INT TERM; echo deaf; while :; do sleep 0.02; done"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"deaf\n"
    _exec._end(child, gently=True)
    assert child.returncode == -signal.SIGKILL
    child.stdout.close()


def test_sigterm_ends_the_command_too(one: Daemon, tmp_path: Path) -> None:
    """SIGTERM is passed on to the command that runs, and then obeyed."""
    begun, told = tmp_path / "begun", tmp_path / "told"
    script = f"trap 'echo yes >{told}; exit 0' TERM; echo yes >{begun}; while :; do sleep 0.02; done"
    process = begin(one, "--on", "link_up", "--", "sh", "-c", script)
    Mover(one).until(begun)
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (-signal.SIGTERM, "")
    assert told.read_text() == "yes\n"


def test_goes_on_after_a_restart_of_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the daemon ends it is said, and with the next daemon commands are run again."""
    install(tmp_path / "site", monkeypatch)
    file = tmp_path / "out"
    with daemon(tmp_path, "[drivers.fake]\n") as first:
        first.wait_up()
        process = begin(first, "--on", "link_up", "--", "sh", "-c", f"echo yes >{file}")
        Mover(first).until(file)
        assert first.stop() == 0
    file.unlink()
    with daemon(tmp_path, "[drivers.fake]\n") as second:
        second.wait_up()
        Mover(second).until(file)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "went away (the daemon ends); it is tried again" in err
    assert "some of link_up lost on *" in err
    assert err.endswith("is back\n")
