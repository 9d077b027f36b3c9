"""The examples in other languages, and the blocking one, beside a running daemon."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocking_rig import threaded_daemon
from daemon_kit import Daemon, daemon
from losses import lose
from polling import wait_until
from tools import need, need_library

from lies.bus.messages import Action, ActionKind

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CAR = '[drivers.car]\ndriver = "simwifi"\nlink = "wlan0"\nrate = 20.0\n'
# A node that stands 14 m from ap1 and 22 m from ap2: it joins ap1, and can be moved to ap2.
STANDING = """
[drivers.car]
driver = "simwifi"
link = "wlan0"
path = [[0.0, 0.0]]
poas = ["ap1", "ap2"]
aps = 2
spacing_m = 20.0
"""


@pytest.fixture(scope="session")
def move(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/c/move.c, compiled by its own Makefile, with the compiler's checks at run time."""
    for tool in ("make", "cc"):
        need(tool)
    need_library("libzmq")
    need_library("msgpack-c", "msgpack")
    folder = tmp_path_factory.mktemp("c")
    subprocess.run(
        ["make", "-C", str(EXAMPLES / "c"), f"BUILD={folder}", "CFLAGS=-O1 -g -fsanitize=address,undefined"],
        check=True,
        capture_output=True,
    )
    return folder / "move"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose link wlan0 hears ap1 and ap2."""
    with daemon(tmp_path, STANDING) as one:
        one.wait_up()
        yield one


def began(move: Path, directory: Path, *words: str) -> "subprocess.Popen[str]":
    """The C consumer, begun."""
    environ = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # it may not trace itself in every sandbox
    return subprocess.Popen(
        [str(move), str(directory), *words], stdout=subprocess.PIPE, text=True, env=environ
    )


def test_c_consumer_moves_a_simulated_link(move: Path, running: Daemon) -> None:
    """The C consumer registers, learns that wlan0 is up at ap1, sends LinkConnect, and gets LinkUp at ap2."""
    process = began(move, running.run_dir, "wlan0", "ap2")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.splitlines() == ["registered", "up wlan0 ap1", "asked for ap2", "up wlan0 ap2"]
    assert running.links()[0]["poa"] == "ap2"


def test_c_consumer_is_refused(move: Path, running: Daemon) -> None:
    """A link that nobody announced is refused with the daemon's sentence, and 1."""
    process = began(move, running.run_dir, "wlan9", "ap2")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out.startswith("refused: unknown_link: no link is named 'wlan9'")


def test_c_consumer_repairs_holes(move: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indications lost on the way to the C consumer, in the middle and at the end, reach it all the same."""
    lose(monkeypatch, 1, 3, 5)
    with threaded_daemon(tmp_path / "run") as d:
        process = began(move, d.directory, "wlan0", "ap6")
        wait_until(lambda: any(s.registrations for s in tuple(d.core.sessions)), 10)
        d.ups(1, 1)
        wait_until(lambda: d.driver.port.actions == [Action(ActionKind.CONNECT, "wlan0", "ap6")], 10)
        d.ups(2, 5)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(7)]
        d.ups(6, 6)
        assert process.wait(20) == 0
        lines += process.stdout.readlines()
        process.stdout.close()
        assert d.core.counters.repaired >= 3
    assert [line for line in lines if line.startswith("up")] == [f"up wlan0 ap{i}\n" for i in range(1, 7)]


def test_c_consumer_is_told_of_a_gap(move: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the daemon's history has forgotten is a gap for the C consumer, and the state behind it right."""
    lose(monkeypatch, *range(1, 301))
    with threaded_daemon(tmp_path / "run") as d:
        process = began(move, d.directory, "wlan0", "ap300")
        wait_until(lambda: any(s.registrations for s in tuple(d.core.sessions)), 10)
        d.ups(1, 300)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "lost 1..44\n" in out
    assert out.endswith("up wlan0 ap300\n")


def test_c_consumer_survives_a_restart(move: Path, tmp_path: Path) -> None:
    """After a restart of the daemon the C consumer registers with the new one and goes on."""
    with threaded_daemon(tmp_path / "run") as first:
        process = began(move, first.directory, "wlan0", "ap2")
        wait_until(lambda: any(s.registrations for s in tuple(first.core.sessions)), 10)
    with threaded_daemon(tmp_path / "run", epoch=2) as second:
        wait_until(lambda: any(s.registrations for s in tuple(second.core.sessions)), 10)
        second.ups(1, 1)
        wait_until(lambda: bool(second.driver.port.actions), 10)
        second.ups(2, 2)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.count("registered\n") == 2


def test_shell_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipe of `lies trace -j` and jq says where links come up and which will break, and ends with -n."""
    need("jq")
    program = tmp_path / "bin" / "lies"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lies "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(ROOT)
    with daemon(tmp_path / "daemon", CAR) as running:
        done = subprocess.run(
            ["sh", str(EXAMPLES / "watch.sh"), "-n", "4"],
            capture_output=True,
            text=True,
            env=running.env,
            timeout=60,
            check=True,
        )
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert re.fullmatch(r"wlan0 (is up at \S+|leaves \S+ in \d+ ms)", line), line
    assert any("leaves" in line for line in lines)


def test_blocking_example(tmp_path: Path) -> None:
    """The blocking consumer moves a link that is about to break to the best other PoA."""
    with daemon(tmp_path, CAR) as running:
        keeper = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "blocking.py"), "wlan0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**running.env, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            assert keeper.stdout is not None
            said = re.fullmatch(r"wlan0 moves from (\S+) to (\S+)\n", keeper.stdout.readline())
            assert said is not None
            assert said[1] != said[2]
            wait_until(lambda: running.links()[0]["poa"] not in {None, said[1]}, 20)
        finally:
            keeper.kill()
            keeper.wait()
            assert keeper.stdout is not None
            keeper.stdout.close()
