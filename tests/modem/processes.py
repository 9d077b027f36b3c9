"""The processes of a rig: started with a log each, gone with it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from polling import wait_until
from tools import die_with_parent

TESTS = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0


class Process:
    """One process; what it prints is in the log."""

    def __init__(self, words: Sequence[str | Path], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as out:
            self._running = subprocess.Popen(
                list(map(str, words)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(env),
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._running.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._running.poll() is None

    def kill(self) -> None:
        """End it at once."""
        if self.alive:
            self._running.kill()
        self._running.wait(PATIENCE_S)

    def end(self) -> None:
        """Ask it to end."""
        if self.alive:
            self._running.terminate()
        self._running.wait(PATIENCE_S)


def module(name: str, *options: str | Path, log: Path, env: Mapping[str, str]) -> Process:
    """A module of the tests as a process."""
    return Process([sys.executable, "-m", name, *options], log, seeing_tests(env))


def seeing_tests(env: Mapping[str, str]) -> dict[str, str]:
    """The environment, such that Python finds the modules of the tests."""
    path = os.pathsep.join((str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])))
    return {**env, "PYTHONPATH": path}


_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class Bus:
    """A dbus-daemon of its own, always at the same address."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._socket = directory / "bus"
        self._config = directory / "bus.conf"
        self._config.write_text(_BUS.format(socket=self._socket))
        self._log, self._env = directory / "bus.log", env
        self.address = f"unix:path={self._socket}"
        self._process: Process | None = None

    def start(self) -> None:
        """Start it; it takes connections when this returns."""
        words = ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile", "--nosyslog"]
        self._process = Process(words, self._log, self._env)
        wait_until(self._socket.exists, PATIENCE_S)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.alive

    def kill(self) -> None:
        """Kill it: every connection is gone."""
        if self._process is not None:
            self._process.kill()
        self._socket.unlink(missing_ok=True)
