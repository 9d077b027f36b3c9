"""`daemon.realtime`: before the ordinary work of the host, and back when a plugin does not wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from daemon_kit import daemon
from fake_plugins import install
from polling import wait_until
from scheduling_kit import may_go_first, run_program

from lies import _scheduling
from lies.config import load

BEGIN = "from lies import _scheduling as s\nimport os, logging, resource, threading, time\n"


def run(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that knows the room as `s`."""
    return run_program(BEGIN + program)


@pytest.fixture
def allowed() -> None:
    """Skip where a process may not go first."""
    if not may_go_first():
        pytest.skip("SCHED_RR is not allowed here: it takes CAP_SYS_NICE")


def test_does_not_go_first_by_itself(tmp_path: Path) -> None:
    """The default is to be among the others; so is a process that is gone."""
    path = tmp_path / "lies.toml"
    for text, realtime in (("[daemon]\n", False), ("[daemon]\nrealtime = true\n", True)):
        path.write_text(text, "utf-8")
        assert load(path).daemon.realtime is realtime
    done = run("s.try_to_go_first(wanted=False)\nprint(s.goes_first())")
    assert done.stdout == "False\n"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(timeout=60)
    assert not _scheduling.goes_first(child.pid)


@pytest.mark.usefixtures("allowed")
def test_goes_first_alone() -> None:
    """The process goes first, its children and later threads do not."""
    done = run(
        "s.try_to_go_first(wanted=True)\n"
        "print(s.goes_first(), os.sched_getparam(0).sched_priority, flush=True)\n"
        "t = threading.Thread(target=lambda: print(s.goes_first(), flush=True)); t.start(); t.join()\n"
        "if not os.fork(): print(s.goes_first(), flush=True); os._exit(0)\n"
        "os.wait()\n"
    )
    assert done.stdout.split() == ["True", "1", "False", "False"], done.stderr


@pytest.mark.usefixtures("allowed")
def test_goes_back_when_it_does_not_wait() -> None:
    """What computes without a wait is put among the others again, and says so."""
    done = run(
        "s.LIMIT_S = 0.05\ns.go_first()\nend = time.monotonic() + 20\n"
        "while s.goes_first() and time.monotonic() < end: pass\nprint(s.goes_first())"
    )
    assert done.stdout == "False\n"
    assert "without a wait" in done.stderr


def test_goes_on_where_it_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names what it takes."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(_scheduling, "go_first", refuse)
    _scheduling.try_to_go_first(wanted=True)
    assert "LimitRTPRIO=1" in caplog.text
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_unit_says_how() -> None:
    """The unit names what has to be changed in it."""
    unit = Path(__file__).resolve().parents[2] / "packaging" / "lies.service"
    assert "RestrictRealtime=no and LimitRTPRIO=1" in unit.read_text("utf-8")


@pytest.mark.usefixtures("allowed")
def test_daemon_and_child_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`realtime = true` holds for the daemon and for a driver in a process of its own."""
    install(tmp_path / "site", monkeypatch)
    pid_file = tmp_path / "pid"
    config = f'[daemon]\nrealtime = true\n[drivers.fake]\nisolate = true\npid_file = "{pid_file}"\n'
    with daemon(tmp_path, config) as one:
        one.wait_up()
        child = int(pid_file.read_text("ascii"))
        assert child != one.process.pid
        wait_until(lambda: _scheduling.goes_first(one.process.pid), 10)
        assert _scheduling.goes_first(child)
        assert one.stop() == 0
