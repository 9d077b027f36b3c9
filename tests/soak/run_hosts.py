"""What the host does to a daemon and its recorder: full disks, clocks that are set, and a sleep."""

import ctypes
import os
import re
import resource
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from daemon_kit import LIES
from polling import wait_until
from tools import die_with_parent

from lies.runtime import monotonic_ns, wall_ns
from soak.metronome_config import metronome, quick_restarts
from soak.recorded import Recorded
from soak.rig import PATIENCE_S, Bed, Consumer, Watched

DISK_OCTETS = {".lies": 1 << 15, ".ndjson": 1 << 20, ".ndjson.gz": 1 << 17}  # what fills in some seconds
DAY_NS = 86_400 * 10**9
_CLONE_NEWNS = 0x20000  # linux/sched.h
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000  # linux/mount.h
_libc = ctypes.CDLL(None, use_errno=True)


def _own_disk(directory: Path, octets: int) -> Callable[[], None]:
    """As `preexec_fn`: a mount namespace of its own, in which a small tmpfs is mounted on the directory."""
    target, options = bytes(directory), f"size={octets}".encode()

    def enter() -> None:
        die_with_parent()
        if (
            _libc.unshare(_CLONE_NEWNS)
            or _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
            or _libc.mount(b"tmpfs", target, b"tmpfs", 0, options)
        ):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    return enter


def _limited_files(octets: int) -> Callable[[], None]:
    """As `preexec_fn`, where nothing may be mounted: the kernel refuses files to grow."""

    def enter() -> None:
        die_with_parent()
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))

    return enter


def _mounted(pid: int, directory: Path) -> int:
    """A descriptor of a directory as a process sees it; what is mounted there stays as long as it is open."""
    its_root = Path("/proc", str(pid), "root")
    return os.open(its_root / directory.relative_to("/"), os.O_PATH | os.O_DIRECTORY)


def _recorder(file: Path, env: dict[str, str], enter: Callable[[], None]) -> "subprocess.Popen[str]":
    command = [*LIES, "record", "-o", str(file)]
    return subprocess.Popen(
        command,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=enter,  # noqa: PLW1509 - system calls, no lock
    )


def full_disk(bed: Bed) -> None:
    """A disk that fills up while recording: the recorder says so, and all but the last second is read."""
    one = bed.daemon(metronome("a", rate_hz=500.0, link="tick0"))
    witness = bed.witness()
    endings = list(DISK_OCTETS)[: bed.part(len(DISK_OCTETS))]
    check, values = bed.figures.check, bed.figures.values
    disk = bed.directory / "disk"
    disk.mkdir()
    tails_ms, events = [], 0
    for ending in endings:
        file = disk / f"x{ending}"
        values["disk"] = "tmpfs in a mount namespace"
        try:
            recorder = _recorder(file, one.env, _own_disk(disk, DISK_OCTETS[ending]))
        except subprocess.SubprocessError:
            values["disk"] = "RLIMIT_FSIZE"
            recorder = _recorder(file, one.env, _limited_files(DISK_OCTETS[ending]))
        bed.end_with(recorder)
        there = _mounted(recorder.pid, disk)
        try:
            code = recorder.wait(PATIENCE_S)
            ended_ns = monotonic_ns()
            _, said = recorder.communicate()
            recorded = Recorded().read(Path(f"/proc/self/fd/{there}/x{ending}"))
        finally:
            os.close(there)
        check(code == 1, f"{ending}: the recorder ended with {code}")
        check(re.search(r"cannot be written: (No space|File too)", said), f"{ending}: it said {said!r}")
        check(said.count("\n") == 2, f"{ending}: it said {said!r}")
        check(recorded.events > 100, f"{ending}: {recorded.events} events are in the file")
        check(not recorded.holes, f"{ending}: {recorded.holes} holes in the recording")
        check(not recorded.damaged, f"{ending}: the recording is damaged")
        tails_ms.append((ended_ns - recorded.last_ns) / 1e6)
        events += recorded.events
        witness.wait_events(1)
    seen = bed.nothing_missed(witness)
    limit_ms = 1500 if bed.scale >= 1 else 10_000  # a second, and what a process takes to end
    check(max(tails_ms) < limit_ms, f"the recorder ended {max(tails_ms):.0f} ms after what it kept last")
    values.update(
        files=len(endings),
        recorded_events=events,
        longest_tail_ms=max(tails_ms),
        witness_events=seen["events"],
        witness_missed=seen["told"],
    )
    bed.end(one, witness)


def clock_jumps(bed: Bed) -> None:
    """The wall clock is set to tomorrow, yesterday, 1970 and 50 years ahead: nobody loses anything by it.

    The clock of the test's host is left alone: in the daemon's process the Python functions that read
    CLOCK_REALTIME are replaced by ones that add to it.
    """
    clock = bed.directory / "clock"
    one = bed.daemon(
        metronome("a", rate_hz=200.0, link="tick0", clock_file=clock)
        + metronome("b", rate_hz=200.0, link="tick1", isolate=True)
    )
    witness = bed.witness()
    witness.wait_events(1, "tick1")
    jumps = (DAY_NS, -DAY_NS, -wall_ns() + DAY_NS, 50 * 365 * DAY_NS) * bed.part(10)
    joined = 0
    for by_ns in jumps:
        (bed.directory / "clock.new").write_text(str(by_ns))
        (bed.directory / "clock.new").rename(clock)
        wanted_ns = wall_ns() - monotonic_ns() + by_ns

        def told(wanted_ns: int = wanted_ns) -> bool:
            account = witness.link()
            return bool(abs(account["wall_ns"] - account["mono_ns"] - wanted_ns) < 10**9)

        wait_until(told, PATIENCE_S)
        late = bed.consumer("late")
        late.wait_events(5)
        bed.nothing_missed(late)
        joined += late.end() == 0
        witness.wait_events(1, "tick1")
    seen = bed.nothing_missed(witness)
    bed.nothing_missed(witness, link="tick1")
    bed.figures.values.update(
        jumps=len(jumps),
        joined_meanwhile=joined,
        witness_events=seen["events"],
        witness_missed=seen["told"],
    )
    bed.end(one, witness)


def suspended(bed: Bed) -> None:
    """The daemon, or everything, sleeps for many heartbeats: who lost something is told, all comes back."""
    pid_file = bed.directory / "driver.pid"
    one = bed.daemon(
        quick_restarts()
        + metronome("a", rate_hz=100.0, link="tick0")
        + metronome("b", rate_hz=100.0, link="tick1", isolate=True, pid_file=pid_file)
    )
    witness = bed.witness()
    witness.wait_events(1, "tick1")
    watched = Watched(one.process.pid)
    descriptors = watched.descriptors
    pids = [one.process.pid, int(pid_file.read_text()), witness.process.pid]
    sleeps = [(0.75, 1), (4.0, 1), (4.0, 3), (10.0, 1), (10.0, 3)] * 2
    slept_s = 0.0
    for length_s, who in sleeps[: bed.part(len(sleeps), 2)]:
        _sleep(pids[:who], length_s)
        slept_s += length_s
        for link in ("tick0", "tick1"):
            _wait_live(witness, link)
    wait_until(lambda: watched.descriptors <= descriptors, PATIENCE_S)
    first = bed.nothing_missed(witness, told=True)
    second = bed.nothing_missed(witness, told=True, link="tick1")
    check, report = bed.figures.check, witness.report()
    if bed.scale >= 1:  # a witness with little time on a processor counts little of the silence
        check(report["sessions_lost"], "ten seconds of silence were no loss of the session")
    bed.figures.values.update(
        slept_s=slept_s,
        sessions_lost=report["sessions_lost"],
        resets_told=first["resets"] + second["resets"],
        witness_events=first["events"] + second["events"],
    )
    bed.end(one, witness)


def _sleep(pids: list[int], length_s: float) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    threading.Event().wait(length_s)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def _wait_live(consumer: Consumer, link: str) -> None:
    """Wait until a consumer is connected and hears of a link."""
    wait_until(lambda: consumer.report()["connected"], PATIENCE_S)
    consumer.wait_events(10, link)
