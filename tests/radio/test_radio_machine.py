"""The machine that experiments run in: what comes back from it, and what is left after it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from polling import wait_until

from radio.kernel import Kernel
from radio.laboratory import kernel
from radio.machine import MachineFailed, machine

pytestmark = pytest.mark.radio

LIMIT_S = 300.0
# what Ctrl-C meets: a machine that would run for ever, in a folder that is removed with the block
FOREVER = """
import sys, tempfile
from pathlib import Path
from radio.kernel import cached
from radio.machine import machine
with tempfile.TemporaryDirectory(dir=sys.argv[1]) as share:
    with machine(cached(), Path(share), ["sleep", "9999"], limit_s=9999) as one:
        print(one.pid, flush=True)
        one.wait()
"""


@pytest.fixture
def there() -> Kernel:
    """The kernel; without it the test is skipped."""
    return kernel()


@pytest.fixture
def share() -> Iterator[Path]:
    """An empty folder, removed after the test."""
    with tempfile.TemporaryDirectory(prefix="lies-radio-") as folder:
        yield Path(folder)


def gone(pid: int) -> bool:
    """Whether a process has ended; it may still be a zombie of somebody else's."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_exit_code_and_files_come_back(there: Kernel, share: Path) -> None:
    """A command runs as root on this machine's files; its exit code and what it writes come back."""
    outside = Path(tempfile.gettempdir()) / f"lies-radio-written-{os.getpid()}"
    script = f"uname -r > kernel; id -u > user; echo here > {outside} && cat {outside} > elsewhere; exit 7"
    with machine(there, share, ("sh", "-c", script), limit_s=LIMIT_S) as one:
        assert one.wait() == 7
    assert (share / "kernel").read_text().strip() == there.release
    assert (share / "user").read_text().strip() == "0"
    assert (share / "elsewhere").read_text() == "here\n"
    assert not outside.exists()
    assert gone(one.pid)


def test_machine_without_an_end_is_ended(there: Kernel, share: Path) -> None:
    """After its time the machine is gone, and its console is what is said of it."""
    with (
        machine(there, share, ("sleep", "9999"), limit_s=1) as one,
        pytest.raises(MachineFailed, match="not done after 1 s"),
    ):
        one.wait()
    assert gone(one.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_run_leaves_nothing(there: Kernel, share: Path, number: signal.Signals) -> None:
    """After Ctrl-C no QEMU is left, and no file; a starter that is killed takes QEMU along all the same."""
    assert there.image.exists()
    words = [sys.executable, "-c", FOREVER, str(share)]
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    ) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        wait_until(lambda: any(share.glob("*/console")), LIMIT_S)
        run.send_signal(number)
    assert run.returncode == -number
    wait_until(lambda: gone(pid), 60)
    assert number == signal.SIGKILL or not any(share.iterdir())
