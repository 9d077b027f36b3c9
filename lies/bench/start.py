"""What it costs to begin: memory of `lies run` with a simulated radio, and the time that commands take."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from lies.bench._figures import Row, compare
from lies.bench._proc import rss_kb
from lies.bench._rooms import Room, Value
from lies.errors import NoDaemon, TimedOut
from lies.paths import CONNECT_VARIABLE, RUNTIME_DIR_VARIABLE
from lies.registry import Kind, Registry
from lies.runtime import now_s

GOAL_START_MB = 60.0
GOALS = {"help": 12.0, "trace": 14.0}  # times a bare interpreter
HEAVY = ("scapy", "pyroute2", "dbus", "dbus_next", "structlog", "prometheus_client")
_DRIVER = "simwifi"
_LIMIT_S = 20.0


class StartMemory(Room):
    """A real `lies run`, measured when its link is up; null where the driver is not installed."""

    name = "memory at the start"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._start_mb: float | None = None

    def round(self) -> None:
        """Start it, wait for the link, stop it."""
        if _DRIVER not in Registry().names(Kind.DRIVER):
            return
        self._directory.mkdir()
        config, run_dir = self._directory / "lies.toml", self._directory / "run"
        config.write_text(f'[daemon]\nlog_level = "warning"\n\n[drivers.{_DRIVER}]\n', encoding="utf-8")
        command = [sys.executable, "-m", "lies", "run", "-c", str(config)]
        with (self._directory / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, env=_environment(run_dir), stderr=log, process_group=0
            )
        try:
            if _link_up(run_dir, process):
                self._start_mb = rss_kb(process.pid) / 1024
        finally:
            process.terminate()
            try:
                process.wait(_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def rows(self) -> list[Row]:
        """Resident memory."""
        return [
            Row(
                "rss_start_mb",
                f"daemon's memory at the start, with {_DRIVER}",
                "MB",
                self._start_mb,
                goal=GOAL_START_MB,
            )
        ]

    def figures(self) -> Mapping[str, Value]:
        """Nothing beyond the row."""
        return {}


class StartTime(Room):
    """`lies --help`, and `lies trace` on a running daemon, beside an interpreter that does nothing."""

    name = "start of commands"

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        lies = ["-m", "lies"]
        self._commands = {
            "python": ["-c", "pass"],
            "help": [*lies, "--help"],
            "trace": [*lies, "trace", "-W", "0"],
        }
        self._took_ms: dict[str, list[float]] = defaultdict(list)

    def round(self) -> None:
        """Each once."""
        for name, words in self._commands.items():
            begun_s = now_s()
            self._run(words)
            self._took_ms[name].append((now_s() - begun_s) * 1e3)

    def rows(self) -> list[Row]:
        """Times of both commands, and what they load that they need not."""
        rows = [
            compare(
                f"start_{name}",
                f"`lies {' '.join(self._commands[name][2:])}` from start to end",
                "ms",
                self._took_ms[name],
                self._took_ms["python"],
                goal=goal,
            )
            for name, goal in GOALS.items()
        ]
        heavy = {name: self._heavy(self._commands[name]) for name in GOALS}
        found = sorted({module for modules in heavy.values() for module in modules})
        shown = f"heavy modules that they load{': ' if found else ''}{', '.join(found)}"
        return [*rows, Row("start_heavy_modules", shown, "modules", float(len(found)), goal=0.0)]

    def figures(self) -> Mapping[str, Value]:
        """Nothing beyond the rows."""
        return {}

    def _run(self, words: Sequence[str]) -> str:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, *words],
            env=_environment(self._run_dir),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        return done.stderr

    def _heavy(self, words: Sequence[str]) -> set[str]:
        loaded = {
            line.rpartition("|")[2].strip() for line in self._run(["-X", "importtime", *words]).splitlines()
        }
        return {name.partition(".")[0] for name in loaded} & set(HEAVY)


def _environment(run_dir: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != CONNECT_VARIABLE}
    return kept | {RUNTIME_DIR_VARIABLE: str(run_dir)}


def _link_up(run_dir: Path, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a link of the daemon is up; False if none comes up in time, or the daemon ends."""
    from lies.bus import BlockingClient  # noqa: PLC0415 - ZeroMQ is loaded where it is used

    end_s = now_s() + _LIMIT_S
    while now_s() < end_s and process.poll() is None:
        try:
            with BlockingClient.connect(run_dir, name="bench-start", timeout_s=1.0) as client:
                while now_s() < end_s:
                    if any(state.up for state in client.links()):
                        return True
                    client.serve(0.05)
        except (NoDaemon, TimedOut):
            time.sleep(0.05)
    return False
