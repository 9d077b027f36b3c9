"""kill -9 of everything: all of it comes back, and nobody is left in the dark about what is lost."""

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from daemon_kit import LIES, Daemon
from polling import wait_until
from tools import die_with_parent

from lies.runtime import monotonic_ns
from soak.metronome_config import metronome, quick_restarts
from soak.recorded import Recorded
from soak.rig import PATIENCE_S, Bed, Consumer

RATE_HZ = 100.0
VICTIMS = ("daemon", "driver", "consumer", "recorder")
LINKS = ("tick0", "tick1")


class Town:
    """Everything that is killed, and whoever starts it again: what a service manager does."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.pid_file = bed.directory / "driver.pid"
        self.recording = bed.directory / "x.lies"
        self.config = (
            quick_restarts()
            + metronome("a", rate_hz=RATE_HZ, link="tick0")
            + metronome("b", rate_hz=RATE_HZ, link="tick1", isolate=True, pid_file=self.pid_file)
        )
        self.daemon: Daemon = bed.daemon(self.config)
        self.witness: Consumer = bed.witness()
        self.consumer: Consumer = bed.consumer("victim")
        self.recorder = self._record()
        self.tails_ms: list[float] = []

    def _record(self) -> "subprocess.Popen[bytes]":
        command = [*LIES, "record", "-o", str(self.recording), "--append"]
        log = (self.bed.directory / "recorder.log").open("ab")
        with log:
            recorder = subprocess.Popen(
                command,
                env=self.daemon.env,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )
        self.bed.end_with(recorder)
        return recorder

    def driver_pid(self) -> int:
        """The process of the isolated driver; 0 while there is none."""
        try:
            pid = int(self.pid_file.read_text() or 0)
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return pid if b"lies" in command else 0

    def kill(self, victim: str, *, settled: bool) -> None:
        """Kill one of them, and start again what no daemon starts; settled: nothing else has just died."""
        match victim:
            case "daemon":
                _end(self.daemon.process)
                self.daemon = self.bed.daemon(self.config)
            case "driver":
                if pid := self.driver_pid():
                    os.kill(pid, signal.SIGKILL)
            case "consumer":
                _end(self.consumer.process)
                self.consumer = self.bed.consumer("victim")
            case "recorder":
                killed_ns = monotonic_ns()
                _end(self.recorder)
                if settled:
                    self.tails_ms.append((killed_ns - Recorded().read(self.recording).last_ns) / 1e6)
                self.recorder = self._record()

    def wait_well(self) -> None:
        """Wait until everybody hears every link again, and the recording grows."""
        for consumer in (self.witness, self.consumer):
            for link in LINKS:
                consumer.wait_events(2, link)
        for _ in range(2):  # the first to come may be the header: records of events follow
            size = self._recorded()
            wait_until(lambda before=size: self._recorded() > before, PATIENCE_S)  # type: ignore[misc]  # mypy knows no default of a lambda

    def _recorded(self) -> int:
        if (
            self.recorder.poll() is not None
        ):  # started while there was no daemon, which ends it with exit code 4
            self.recorder = self._record()
        return self.recording.stat().st_size if self.recording.exists() else 0


def _end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def _rounds(kills: int, rng: random.Random) -> Iterator[list[str]]:
    """The victims of each round: each in turn is the first one, the others follow in any order."""
    for n in range(kills // len(VICTIMS)):
        first = VICTIMS[n % len(VICTIMS)]
        others = [victim for victim in VICTIMS if victim != first]
        rng.shuffle(others)
        yield [first, *others]


def kills(bed: Bed) -> None:
    """200 times kill -9 of daemon, driver, consumer or recorder at random points."""
    rng = random.Random(5184)
    wanted = bed.part(200, len(VICTIMS) ** 2)
    town = Town(bed)
    town.wait_well()
    killed = dict.fromkeys(VICTIMS, 0)
    descriptors = town.witness.report()["fds"]
    pause = threading.Event()
    for victims in _rounds(wanted, rng):
        for n, victim in enumerate(victims):
            pause.wait(rng.uniform(0.0, 0.3))
            town.kill(victim, settled=n == 0)
            killed[victim] += 1
        town.wait_well()
    report = town.witness.report()
    told = 0
    for link in LINKS:
        told += bed.nothing_missed(town.witness, told=True, link=link)["resets"]
        bed.nothing_missed(town.consumer, told=True, link=link)
    town.recorder.send_signal(signal.SIGTERM)
    check = bed.figures.check
    check(town.recorder.wait(PATIENCE_S) == 0, "the recorder did not end well")
    recorded = Recorded().read(town.recording)
    check(recorded.holes == 0, f"{recorded.holes} holes in the recording without a word")
    check(recorded.damaged == 0, f"the recording is damaged in {recorded.damaged} places")
    check(recorded.sessions > killed["recorder"], "sessions of the recording are missing")
    check(report["sessions_lost"] >= killed["daemon"], "the witness was not told of every restart")
    wait_until(lambda: town.witness.report()["fds"] <= descriptors, PATIENCE_S)
    longest_ms = max(town.tails_ms)
    check(longest_ms < (1000 if bed.scale >= 1 else 10_000), f"{longest_ms:.0f} ms were lost with a recorder")
    bed.figures.values.update(
        kills=sum(killed.values()),
        told_resets=told,
        witness_events=sum(account["events"] for account in report["links"].values()),
        recorded_events=recorded.events,
        recorded_sessions=recorded.sessions,
        longest_tail_ms=longest_ms,
        witness_peak_mb=report["peak_mb"],
    )
    bed.end(town.daemon, town.consumer, town.witness)
