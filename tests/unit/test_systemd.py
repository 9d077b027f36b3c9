"""What systemd hears of a daemon: readiness, status, reloads, and a watchdog that means something."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bus_rig import on_loop, until
from daemon_kit import daemon
from fake_plugins import install
from polling import wait_until

from lies._systemd import Pulse, reloading, watchdog_s
from lies.runtime import monotonic_ns, now_s


class Manager:
    """A service manager: what was said to it, datagram by datagram."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def hear(self) -> list[str]:
        """All that was said so far."""
        while True:
            try:
                self.said.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.said

    def heard(self, *words: str) -> bool:
        """Whether one datagram has all of these."""
        return any(all(word in datagram for word in words) for datagram in self.hear())

    def pings(self) -> int:
        """How often the watchdog was told that all is well."""
        return self.hear().count("WATCHDOG=1")

    def close(self) -> None:
        """No more."""
        self._socket.close()


@contextmanager
def managed(directory: Path) -> Iterator[Manager]:
    """A service manager with its socket there."""
    manager = Manager(directory / "notify")
    try:
        yield manager
    finally:
        manager.close()


@pytest.mark.parametrize(
    ("environ", "limit_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_time(environ: dict[str, str], limit_s: float | None) -> None:
    """WATCHDOG_USEC counts where WATCHDOG_PID is this process or not given."""
    assert watchdog_s(environ) == limit_s


@on_loop
async def test_pings_come_while_the_bus_works(tmp_path: Path) -> None:
    """WATCHDOG=1 comes from the loop while the bus was seen to lately, stops when not, and comes again."""
    with managed(tmp_path) as manager:
        beat_s, looks = now_s(), 0

        def seen_to_s() -> float:
            nonlocal looks
            looks += 1
            return beat_s

        environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "60000"}
        pulse = Pulse(lambda: "fine", seen_to_s, stale_s=1e9, environ=environ)
        pulse.start()
        await until(lambda: manager.pings() >= 3)
        beat_s = -2e9  # nobody has seen to the bus for ages
        before, since = manager.pings(), looks
        await until(lambda: looks > since + 6)
        assert manager.pings() == before
        beat_s = now_s()
        await until(lambda: manager.pings() > before)
        pulse.stop()
        assert manager.said[0] in {"WATCHDOG=1", "STATUS=fine"}
        assert manager.said.count("STATUS=fine") == 1


@on_loop
async def test_status_is_told_when_it_changes(tmp_path: Path) -> None:
    """STATUS goes out once for each change, and with each state; without a manager nothing does."""
    with managed(tmp_path) as manager:
        status = "one"
        pulse = Pulse(lambda: status, lambda: 0.0, stale_s=1.0, environ={"NOTIFY_SOCKET": str(manager.path)})
        pulse.say("READY=1")
        pulse.start()
        assert manager.hear() == ["READY=1\nSTATUS=one"]
        status = "two"
        await until(lambda: manager.heard("STATUS=two"))
        pulse.stop()
        assert manager.hear() == ["READY=1\nSTATUS=one", "STATUS=two"]
        silent = Pulse(lambda: status, lambda: 0.0, stale_s=1.0, environ={})
        silent.say("READY=1")
        silent.start()
        assert silent._timer is None
        assert len(manager.hear()) == 2


def test_reloading_names_its_time() -> None:
    """RELOADING=1 comes with CLOCK_MONOTONIC in us, as Type=notify-reload wants it."""
    before = monotonic_ns() // 1000
    first, second = reloading().splitlines()
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= monotonic_ns() // 1000


def test_ready_comes_after_the_first_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When READY=1 comes, every driver has announced its links, also in a child, or has failed once."""
    install(tmp_path / "site", monkeypatch)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    broken = tmp_path / "broken"
    broken.touch()
    config = (
        "[daemon]\nrestart_min_s = 30.0\n"
        '[drivers.child]\ndriver = "fake"\nlink = "fake0"\nisolate = true\n'
        '[drivers.here]\ndriver = "fake"\nlink = "fake1"\n'
        f'[drivers.bad]\ndriver = "fake"\nlink = "fake2"\nfail_while = "{broken}"\n'
        f'[drivers.worse]\ndriver = "fake"\nlink = "fake3"\nisolate = true\nfail_while = "{broken}"\n'
    )
    with managed(tmp_path) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
        with daemon(tmp_path, config) as one:
            wait_until(lambda: manager.heard("READY=1"), 30)
            (ready,) = (said for said in manager.said if "READY=1" in said)
            # that a link is up comes right behind its announcement
            assert re.match(r"READY=1\nSTATUS=[12] of 2 links up; driver bad failed: did not start: ", ready)
            assert "driver worse failed: did not start: OSError: the radio is switched off" in ready
            wait_until(lambda: manager.pings() >= 2, 30)
            pids = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text().split()
            assert pids
            for pid in pids:  # only the daemon speaks to systemd
                assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
            broken.unlink()
            manager.said.clear()
            one.process.send_signal(signal.SIGHUP)
            wait_until(lambda: manager.heard("READY=1"), 30)
            first = next(said for said in manager.said if said != "WATCHDOG=1")
            assert first.startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert one.stop() == 0
        assert manager.hear()[-1] == "STOPPING=1"


def test_a_blocked_loop_is_not_vouched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a plugin blocks the daemon's loop no ping comes: systemd ends and restarts such a daemon."""
    install(tmp_path / "site", monkeypatch)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    with managed(tmp_path) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
        with daemon(tmp_path, "[drivers.fake]\n") as one:
            one.wait_up()
            wait_until(lambda: manager.pings() >= 2, 30)
            assert one.lies("connect", "fake0", "block").exit_code == 0
            quiet_since_s, count = now_s(), manager.pings()

            def quiet() -> bool:
                nonlocal quiet_since_s, count
                if manager.pings() != count:
                    quiet_since_s, count = now_s(), manager.pings()
                return now_s() - quiet_since_s > 1.5

            wait_until(quiet, 60)
