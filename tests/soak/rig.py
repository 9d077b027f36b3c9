"""The bed of one run: a daemon, consumers and figures; what it started has ended when the run has."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from daemon_kit import Daemon
from polling import wait_until
from tools import die_with_parent

from soak import metronome

PATIENCE_S = 60.0
Value = float | int | str | None


@define
class Figures:
    """What one run measured, and what of it is a fault."""

    name: str
    scale: float
    values: dict[str, Value] = field(factory=dict)
    faults: list[str] = field(factory=list)

    def check(self, holds: object, otherwise: str) -> None:
        """Note a fault unless it holds."""
        if not holds:
            self.faults.append(otherwise)

    @property
    def line(self) -> str:
        """All in one line."""
        values = ", ".join(f"{name} {_short(value)}" for name, value in self.values.items())
        return f"{self.name}: {'; '.join(('FAULT', *self.faults)) if self.faults else 'ok'}: {values}"


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Watched:
    """What the kernel says of a process."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    @property
    def descriptors(self) -> int:
        """How many it has open."""
        return len(list((self._proc / "fd").iterdir()))

    @property
    def rss_mb(self) -> float:
        """Resident memory."""
        return self._status("VmRSS")

    @property
    def peak_mb(self) -> float:
        """The most that was resident, since `forget_peak` or the start."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let `peak_mb` begin anew, proc_pid_clear_refs(5)."""
        (self._proc / "clear_refs").write_text("5")

    def _status(self, key: str) -> float:
        text = (self._proc / "status").read_text()
        return int(text.partition(f"{key}:")[2].split()[0]) / 1024


class Consumer:
    """`soak.consumer` as a process."""

    def __init__(self, name: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "soak.consumer", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
        )

    def report(self) -> dict[str, Any]:
        """Its book as it stands."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def link(self, name: str = "tick0") -> dict[str, Any]:
        """Its account of a link; empty before the first word of it."""
        account: dict[str, Any] = self.report()["links"].get(name, {})
        return account

    def wait_beyond(self, number: int, link: str = "tick0") -> None:
        """Wait until it has heard a later number."""
        wait_until(lambda: (self.link(link).get("last") or 0) > number, PATIENCE_S)

    def wait_events(self, count: int, link: str = "tick0") -> None:
        """Wait until it has heard so many more events."""
        begun = self.link(link).get("events", 0)
        wait_until(lambda: self.link(link).get("events", 0) >= begun + count, PATIENCE_S)

    def end(self) -> int:
        """Let it end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)


class Bed:
    """One run: its directory, its daemon, its consumers and its figures."""

    def __init__(self, directory: Path, figures: Figures, stack: ExitStack) -> None:
        self.directory = directory
        self.figures = figures
        self.scale = figures.scale
        self._stack = stack
        self._env = metronome.install(directory / "plugins")
        self._starts = 0

    def part(self, full: int, least: int = 1) -> int:
        """So many of a run in full, at this scale."""
        return max(least, round(full * self.scale))

    def daemon(self, config: str) -> Daemon:
        """A running daemon; the same directories when it is called again."""
        self._starts += 1
        one = Daemon(self.directory, config, env=self._env)
        self._stack.callback(_kill, one.process)
        wait_until(lambda: (one.run_dir / "publish").exists() or one.process.poll() is not None, PATIENCE_S)
        assert one.process.poll() is None, one.log.read_text()
        return one

    def consumer(self, name: str, **env: str) -> Consumer:
        """A consumer of that daemon, or of the one that `env` names."""
        places = {"LIES_RUNTIME_DIR": str(self.directory / "run"), **env}
        one = Consumer(name, {**os.environ, **self._env, **places})
        self._stack.callback(_kill, one.process)
        return one

    def end_with(self, process: "subprocess.Popen[Any]") -> None:
        """Kill it when the run ends, also when it fails."""
        self._stack.callback(_kill, process)

    def witness(self, **env: str) -> Consumer:
        """A consumer that has begun to hear numbers."""
        one = self.consumer("witness", **env)
        wait_until(lambda: one.report()["ready"], PATIENCE_S)
        one.wait_events(1)
        return one

    def nothing_missed(self, who: Consumer, *, told: bool = False, link: str = "tick0") -> dict[str, Any]:
        """Check a consumer's account; told: gaps and resets that were told are no fault."""
        report = who.report()
        account: dict[str, Any] = report["links"][link]
        check = self.figures.check
        for fault in ("holes", "doubles", "early", "backwards"):
            check(not account[fault], f"{link}: {account[fault]} {fault}")
        check(report["gaps"] == report["snapshots_after_gaps"], f"a gap without its snapshot in {report}")
        if not told:
            lost = account["told"], account["resets"], report["sessions_lost"], report["others"]
            check(lost == (0, 0, 0, 0), f"{link}: (told, resets, sessions lost, other downs) is {lost}")
        return account

    def end(self, daemon: Daemon, *consumers: Consumer) -> None:
        """Stop everything in order and check that nothing is left of it."""
        check = self.figures.check
        for consumer in consumers:
            code = consumer.end()
            check(code == 0, f"a consumer ended with {code}")
        code = daemon.stop()
        check(code == 0, f"the daemon ended with {code}")
        log = daemon.log.read_text()
        check("Traceback" not in log, "there is a traceback in the daemon's log")
        left = sorted(str(path) for path in daemon.run_dir.glob("*") if path.name != "lock")
        check(not left, f"left in the runtime directory: {left}")


def _kill(process: "subprocess.Popen[Any]") -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None and not pipe.closed:
            pipe.close()
    if process.poll() is None:
        process.kill()
        process.wait()


@contextmanager
def bed(name: str, scale: float, directory: Path) -> Iterator[Bed]:
    """A bed for one run; what it started is killed if the run did not end it."""
    with ExitStack() as stack:
        yield Bed(directory, Figures(name, scale), stack)
