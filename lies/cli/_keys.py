"""Single keys on the terminal, while a command runs on the asyncio loop."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable
from typing import Any

TOGGLES = b" \n\r"


class Keys:
    """Calls back for each space or Enter typed at stdin; nothing where that is no terminal.

    The terminal gives single keys without echo meanwhile; Ctrl-C and Ctrl-Z do what they always do.
    """

    def __init__(self, pressed: Callable[[], None]) -> None:
        self.watched = False
        self._pressed = pressed
        self._loop = asyncio.get_running_loop()
        self._terminal = 0
        self._before: list[Any] | None = None

    def watch(self) -> None:
        """Begin."""
        if sys.stdin is None or not sys.stdin.isatty():
            return
        self._terminal = sys.stdin.fileno()
        self._loop.add_reader(self._terminal, self._read)
        self._loop.add_signal_handler(signal.SIGCONT, self._take_over)
        self.watched = True
        self._take_over()

    def leave(self) -> None:
        """Give the terminal back as it was."""
        if not self.watched:
            return
        self.watched = False
        self._loop.remove_reader(self._terminal)
        self._loop.remove_signal_handler(signal.SIGCONT)
        if self._before is not None and self._in_front():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)

    def _in_front(self) -> bool:
        """Whether the terminal is ours to set: a job in the background would be stopped for it."""
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return True  # not the terminal of our session: nobody is stopped for it

    def _take_over(self) -> None:
        """Now, and when the shell has let us go on."""
        if not self._in_front():
            return
        with contextlib.suppress(termios.error):
            before = termios.tcgetattr(self._terminal)
            if self._before is None:
                self._before = before
            tty.setcbreak(self._terminal, termios.TCSANOW)

    def _read(self) -> None:
        try:
            typed = os.read(self._terminal, 64) if self._in_front() else None
        except OSError:
            typed = b""  # the terminal was closed
        if typed == b"":
            self.leave()
        for key in typed or b"":
            if key in TOGGLES:
                self._pressed()
