"""The daemon as a process: signals and the service manager."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from polling import wait_until

from lies._orders import State, decode_report
from lies._stopping import SAME_ORDER_S
from lies._systemd import notify
from lies.runtime import now_s

WAITER = """
import asyncio, sys
from lies._stopping import StopSignals
async def main():
    stop = asyncio.Event()
    with StopSignals(asyncio.get_running_loop(), stop, limit_s=float(sys.argv[1])) as signals:
        print("ready", flush=True)
        if sys.argv[2] == "busy":
            while True:
                pass
        await stop.wait()
        print(signals.received.name, flush=True)
asyncio.run(main())
"""


def waiter(limit_s: float, how: str) -> "subprocess.Popen[str]":
    """A process that waits for a signal, in the loop or blocking it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITER, str(limit_s), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_asks(number: signal.Signals) -> None:
    """The first SIGTERM or SIGINT sets the event."""
    process = waiter(10.0, "idle")
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert out == f"{number.name}\n"
    assert process.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_blocked_process_ends_all_the_same(number: signal.Signals, code: int) -> None:
    """A plugin that blocks the event loop cannot keep the daemon beyond the limit."""
    process = waiter(0.1, "busy")
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == code
    assert "stopped hard: no end after 0.1 s" in err


def test_second_signal_ends_at_once() -> None:
    """Who asks twice does not want to wait."""
    process = waiter(60.0, "busy")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert process.stderr.readline() == "stopping on SIGTERM\n"
    began_s = now_s()
    wait_until(lambda: now_s() - began_s > SAME_ORDER_S, 10)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert err == "stopped hard: a second signal\n"
    assert process.returncode == 1


def test_an_echo_of_the_signal_is_no_second_one() -> None:
    """Who signals the process and its group at once, as timeout(1) does, asks once."""
    process = waiter(2.0, "busy")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert process.stderr.readline() == "stopping on SIGTERM\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert err == "stopped hard: no end after 2 s\n"


@pytest.mark.parametrize("abstract", [False, True])
def test_service_manager_is_told(abstract: bool, tmp_path: Path) -> None:
    """The state goes as one datagram to the path or the abstract name in NOTIFY_SOCKET."""
    name = f"@lies-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(5)
        assert notify("READY=1", {"NOTIFY_SOCKET": name})
        assert manager.recv(100) == b"READY=1"


def test_no_service_manager(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a service manager nothing is sent; a manager that is gone is logged."""
    assert not notify("READY=1", {})
    assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "none")})
    (untold,) = caplog.records
    assert (untold.getMessage(), vars(untold)["state"]) == ("systemd is not told", "READY=1")


@pytest.mark.parametrize("order", [b"", b"junk\n", b'{"kind": "driver"}\n'])
def test_worker_refuses_what_is_no_order(order: bytes) -> None:
    """A child process without a good order says so on its channel and ends with 1."""
    done = subprocess.run(
        [sys.executable, "-m", "lies._isolated"], input=order, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 1
    report = decode_report(done.stdout)
    assert report.state is State.FAILED
    assert report.detail.startswith("not an order: ")
