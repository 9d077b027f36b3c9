"""SIGTERM and SIGINT: ask once, in order; leave at once when asked twice or when it takes too long.

A driver that blocks the event loop must not keep the process: the handlers run between two bytecodes even
then, and the limit is a thread's.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self

from lies.runtime import now_s

SAME_ORDER_S = 0.3  # who signals the process and its group (timeout(1) does) or taps twice asks once


def has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


class StopSignals:
    """Sets `event` at the first SIGTERM or SIGINT; use as a context manager in the main thread.

    limit_s: after so long, or at another signal that is not the echo of the first (SAME_ORDER_S), the process
    ends hard with exit code 1 (130 after SIGINT). `received` is the first signal; line: makes the line on
    stderr that says so.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        event: asyncio.Event,
        *,
        limit_s: float,
        line: Callable[[str], str] = "{}\n".format,
    ) -> None:
        self.received: signal.Signals | None = None
        self._received_s = 0.0
        self._loop = loop
        self._event = event
        self._limit_s = limit_s
        self._line = line
        self._timer: threading.Timer | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned, it takes

    def ask(self) -> None:
        """Set the event and start the time limit, as the first signal does."""
        self._arm()
        self._loop.call_soon_threadsafe(self._event.set)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            if now_s() - self._received_s > SAME_ORDER_S:
                self._leave("a second signal")
            return
        self.received = signal.Signals(number)
        self._received_s = now_s()
        # Not logged: the interrupted code may hold the lock of a log handler.
        os.write(2, self._line(f"stopping on {self.received.name}").encode())
        self.ask()

    def _arm(self) -> None:
        if self._timer is not None:
            return
        self._timer = threading.Timer(self._limit_s, self._leave, [f"no end after {self._limit_s:g} s"])
        self._timer.daemon = True
        self._timer.start()

    def _leave(self, why: str) -> None:
        os.write(2, self._line(f"stopped hard: {why}").encode())
        os._exit(130 if self.received is signal.SIGINT else 1)
