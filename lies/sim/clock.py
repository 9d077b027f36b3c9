"""A clock that jumps from one thing to do to the next; times are s from 0.0."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any


class VirtualClock:
    """Does what is due in order of time, and what is due at one time in the order in which it was asked."""

    __slots__ = ("_due", "_number", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
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
        while due and due[0][0] <= until:
            self.now, _, act, args = heappop(due)
            act(*args)
        self.now = max(self.now, until)

    def forget(self) -> None:
        """Nothing is due any more."""
        self._due.clear()
