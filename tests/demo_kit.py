"""`lies demo` as a user runs it, and every process of it."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define
from drives import until

MARK = "LIES_TEST_MARK"


@define
class Demo:
    """Runs `lies demo` with a mark in its environment, by which every process of it can be found."""

    folder: Path
    mark: str
    path: str = os.environ["PATH"]

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """Run it in the background."""
        environment = {**os.environ, MARK: self.mark, "TMPDIR": str(self.folder), "PATH": self.path}
        return subprocess.Popen(
            [sys.executable, "-m", "lies", "demo", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def failed(self, *options: str) -> tuple[int, str]:
        """Exit status and the one line that it said, of a run that leaves nothing."""
        process = self.start(*options)
        _, errors = process.communicate(timeout=120)
        assert len(errors.strip().splitlines()) == 1, errors
        self.is_gone()
        return process.returncode, errors

    def is_gone(self) -> None:
        """No process and no file is left."""
        until(lambda: not self.processes(), within_s=20, what="every process ended")
        assert list(self.folder.iterdir()) == []

    def processes(self) -> set[int]:
        """Every process that carries the mark."""
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    environment = (entry / "environ").read_bytes()
                    alive = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
                except OSError:
                    continue
                if f"{MARK}={self.mark}".encode() in environment and alive:
                    found.add(int(entry.name))
        return found


@contextmanager
def marked(folder: Path) -> Iterator[Demo]:
    """A demo whose processes are ended after the block, and whose files are in the folder."""
    demo = Demo(folder, uuid.uuid4().hex)
    try:
        yield demo
    finally:
        for pid in demo.processes():
            os.kill(pid, signal.SIGKILL)
