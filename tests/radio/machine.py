"""A virtual machine on this machine's own files: a command goes in, its exit code and files come out.

It is emulated (QEMU's TCG, never KVM: not every machine that has /dev/kvm can use it). Its clock counts
instructions, one a nanosecond, while it computes, and follows real time while it waits: on a loaded host it
takes longer, but what it measures stays the same. Its root is this machine's, read over 9p; what it writes
there lands in its memory and is gone with it. One folder, the share, is written through. QEMU dies with its
starter.
"""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from polling import wait_until
from tools import die_with_parent, need

from lies.runtime import now_s
from radio.initramfs import initramfs
from radio.kernel import Kernel

_INIT = Path(__file__).with_name("init.sh")
_ROOT = Path(__file__).resolve().parents[2]
_KEPT = ("VIRTUAL_ENV", "PYTHONHASHSEED")
_LAST = 40  # lines of what was said, in an error


class MachineFailed(Exception):
    """It ended without an exit code: what it said last."""


class Machine:
    """One that runs; `share` is its folder /run/share."""

    def __init__(self, process: "subprocess.Popen[bytes]", share: Path, limit_s: float) -> None:
        self.share = share
        self._process = process
        self._limit_s = limit_s
        self._end_s = now_s() + limit_s

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._process.pid

    @property
    def done(self) -> bool:
        """Whether it has ended, or its time has."""
        return self._process.poll() is not None or now_s() >= self._end_s

    def wait(self) -> int:
        """As `code`, when it is done."""
        wait_until(lambda: self.done, 2 * self._limit_s)
        return self.code()

    def code(self) -> int:
        """The exit code of its command, once it is done; MachineFailed if there is none."""
        ended = self._process.poll()
        self.kill()
        try:
            return int((self.share / "code").read_text(encoding="ascii"))
        except (OSError, ValueError):
            why = f"QEMU ended with {ended}" if ended is not None else f"not done after {self._limit_s:.0f} s"
            raise MachineFailed(f"{why}\n{self.said()}") from None

    def said(self) -> str:
        """The last lines of its console and of its command."""
        parts = []
        for name in ("qemu", "console", "output"):
            file = self.share / name
            lines = file.read_text(errors="replace").splitlines() if file.exists() else []
            parts += [f"--- {name}", *lines[-_LAST:]]
        return "\n".join(parts)

    def kill(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def machine(
    kernel: Kernel,
    share: Path,
    command: Sequence[str],
    *,
    limit_s: float,
    env: Mapping[str, str] | None = None,
    memory_mb: int = 1024,
    cpus: int = 1,
) -> Iterator[Machine]:
    """Boot one with an empty folder as its share, and run a command there as root; it ends with the block.

    env: for the command, beside a PYTHONPATH with this tree and its tests.
    """
    qemu, busybox = need("qemu-system-x86_64"), need("busybox")
    archive = share / "initramfs"
    archive.write_bytes(initramfs(Path(busybox), kernel.modules))
    (share / "command").write_text(_script(command, env or {}), encoding="utf-8")
    with (share / "qemu").open("wb") as errors:
        process = subprocess.Popen(
            [qemu, *_options(kernel, archive, share, memory_mb, cpus)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
        )
    one = Machine(process, share, limit_s)
    try:
        yield one
    finally:
        one.kill()
        archive.unlink()


def _script(command: Sequence[str], env: Mapping[str, str]) -> str:
    paths = (_ROOT, _ROOT / "drivers", _ROOT / "consumers", _ROOT / "tests")
    known = {key: os.environ[key] for key in _KEPT if key in os.environ}
    values = {**known, "PYTHONPATH": ":".join(map(str, paths)), **env}
    lines = [f"export {key}={shlex.quote(value)}" for key, value in values.items()]
    return "\n".join([*lines, f"exec {shlex.join(command)}", ""])


def _options(kernel: Kernel, archive: Path, share: Path, memory_mb: int, cpus: int) -> list[str]:
    words = "console=ttyS0 quiet panic=-1 oops=panic mitigations=off"
    words += f" lies.init={_INIT} lies.modules={kernel.modules}"
    nine = "local,security_model=none,multidevs=remap"
    return [
        *(
            "-accel",
            "tcg",
            "-icount",
            "shift=0,sleep=on",
            "-cpu",
            "max",
            "-machine",
            "q35,usb=off",
            "-nodefaults",
            "-no-user-config",
        ),
        *(
            "-m",
            str(memory_mb),
            "-smp",
            str(cpus),
            "-display",
            "none",
            "-vga",
            "none",
            "-nic",
            "none",
            "-no-reboot",
        ),
        *("-serial", f"file:{share / 'console'}", "-device", "virtio-rng-pci"),
        *(
            "-fsdev",
            f"{nine},id=root,path=/,readonly=on",
            "-device",
            "virtio-9p-pci,fsdev=root,mount_tag=root",
        ),
        *("-fsdev", f"{nine},id=share,path={share}", "-device", "virtio-9p-pci,fsdev=share,mount_tag=share"),
        *("-kernel", str(kernel.image), "-initrd", str(archive), "-append", words),
    ]
