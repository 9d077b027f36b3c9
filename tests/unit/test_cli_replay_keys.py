"""Pausing a replay from the terminal."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon_kit import LIES, walk
from polling import wait_until


def _take_terminal() -> None:
    """Make stdin the terminal that the new session's job is in front of, as a shell does."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A command on a terminal of its own, with its output in a file."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.main, self.side = pty.openpty()
        self.out, self.err = directory / "out", directory / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*LIES, *words],
                stdin=self.side,
                stdout=out,
                stderr=err,
                env={**os.environ, "LIES_RUNTIME_DIR": str(directory / "none")},
                start_new_session=True,
                preexec_fn=_take_terminal,  # noqa: PLW1509 - one system call in a child of one thread
            )

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.main, keys)

    def count(self) -> int:
        """Events printed so far."""
        return self.out.read_bytes().count(b"\n")

    def canonical(self) -> bool:
        """Whether the terminal waits for whole lines, as a shell leaves it."""
        return bool(termios.tcgetattr(self.side)[3] & termios.ICANON)


@contextmanager
def terminal(directory: Path, *words: str) -> Iterator[Terminal]:
    """A command on a terminal, ended at the end."""
    one = Terminal(directory, *words)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        os.close(one.main)
        os.close(one.side)


def test_space_pauses_and_plays(tmp_path: Path) -> None:
    """Space stops a replay and lets it go on; other keys do nothing, and the terminal is given back."""
    file = walk(tmp_path / "walk.csv", 600)
    with terminal(tmp_path, "replay", str(file), "--standalone", "--rate", "20", "-j", "--paused") as one:
        wait_until(lambda: b"paused; space" in one.err.read_bytes(), 20)
        assert one.count() == 0
        one.press(b" ")
        wait_until(lambda: one.count() > 2, 20)
        one.press(b"x \n \n ")  # five presses that count
        wait_until(lambda: one.err.read_bytes().count(b"paused") == 4, 20)
        standing = one.count()
        one.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: one.err.read_bytes().count(b"playing") == 4, 20)
        wait_until(lambda: one.count() > standing, 20)
        assert not one.canonical()
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(20) == 130
        assert one.canonical()
    assert all(json.loads(line)["type"] for line in one.out.read_text().splitlines())


def test_without_a_terminal_it_plays(tmp_path: Path) -> None:
    """With stdin from nowhere a replay plays to its end."""
    done = subprocess.run(
        [*LIES, "replay", str(walk(tmp_path / "walk.csv", 20)), "--standalone", "--rate", "50", "-j"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "LIES_RUNTIME_DIR": str(tmp_path / "none")},
    )
    assert "link_up" in done.stdout
    assert done.stderr == ""
