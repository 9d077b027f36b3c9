"""A clock that jumps from one thing to do to the next; times are s from 0.0."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any


class _Over(Exception):
    """The time of a run is over."""


class VirtualClock:
    """Does what is due in order of time, and what is due at one time in the order in which it was asked."""

    __slots__ = ("_due", "_number", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, float, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count().__next__

    def at(self, when: float, act: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - act's own
        """Call act(*args) at a time; at once if that is past."""
        heappush(self._due, (max(self.now, when), self._number(), act, args))

    def after(self, delay_s: float, act: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - act's own
        """Call act(*args) later."""
        heappush(self._due, (self.now + delay_s, self._number(), act, args))

    def run(self, until: float) -> None:
        """Let time pass."""
        due = self._due
        last = (max(self.now, until), inf, self._stop, ())
        heappush(due, last)
        try:
            while True:
                self.now, _, act, args = heappop(due)
                act(*args)
        except _Over:
            return
        except BaseException:
            due.remove(last)
            heapify(due)
            raise

    def _stop(self) -> None:
        """It is time; raised rather than asked for after everything that is done."""
        raise _Over

    def forget(self) -> None:
        """Nothing is due any more."""
        self._due.clear()
