"""`lies run` as a process, and commands that speak to it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from polling import wait_until
from tools import die_with_parent
from typer.testing import CliRunner, Result

from lies.cli._app import app

HEAD = "t_s,link_type,operator,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm\n"
LIES = [sys.executable, "-m", "lies"]


def walk(path: Path, seconds: int = 60) -> Path:
    """A trace of a walk from ap1 to ap2 and back: levels rise and fall, ten samples a second."""
    rows = []
    for tick in range(seconds * 10):
        t_s = tick / 10
        leg, within = divmod(t_s, 15.0)
        rssi = -45 - 3.0 * within if within > 2 else -60 + 7.5 * within
        rows.append(f"{t_s},wifi,,ap{1 + int(leg) % 2},{rssi:.1f},,,,,,\n")
    path.write_text(HEAD + "".join(rows))
    return path


class Daemon:
    """`lies run` as a process, and commands that speak to it."""

    def __init__(self, directory: Path, config: str, *, env: Mapping[str, str] | None = None) -> None:
        self.run_dir = directory / "run"
        self.file = directory / "lies.toml"
        self.file.write_text(config)
        self.log = directory / "log"
        places = {"LIES_RUNTIME_DIR": str(self.run_dir), "NO_COLOR": "1"}
        self.env = {**os.environ, **(env or {}), **places}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*LIES, "run", "-c", str(self.file)],
                stderr=log,
                env=self.env,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )

    def lies(self, *words: str) -> Result:
        """Run a command to its end, in this process: not `run`, which gives up capabilities for good."""
        assert "run" not in words
        return CliRunner(env={"LIES_RUNTIME_DIR": str(self.run_dir)}).invoke(app, words)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Begin a command."""
        return subprocess.Popen(
            [*LIES, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
        )

    def links(self) -> list[dict[str, Any]]:
        """What `lies links -j` says; nothing while the daemon begins or after it has ended."""
        return [json.loads(line) for line in self.lies("links", "-j").stdout.splitlines()]

    def wait_up(self) -> None:
        """Wait until a link is up."""
        wait_until(lambda: any(s["up"] for s in self.links()), 20)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def daemon(directory: Path, config: str) -> Iterator[Daemon]:
    """A running daemon."""
    directory.mkdir(exist_ok=True)
    one = Daemon(directory, config)
    try:
        wait_until(lambda: (one.run_dir / "publish").exists() or one.process.poll() is not None, 20)
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def text_of(file: Path) -> str:
    """The file's text so far."""
    return file.read_text() if file.exists() else ""


@contextmanager
def playing_daemon(factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that plays a walk five times as fast, for ever."""
    directory = factory.mktemp("playing")
    walk(directory / "walk.csv")
    config = '[drivers.tape]\ndriver = "replay"\nfile = "walk.csv"\nlink = "wlan0"\nrate = 5.0\nloop = 0\n'
    with daemon(directory, config) as one:
        one.wait_up()
        yield one
