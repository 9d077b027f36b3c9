"""Timers of sans-I/O engines: retransmission with doubled waits, and many deadlines by key.

Times are s on the engine's clock; nothing here reads a clock.
"""

import math
from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
_MIN_STALE = 64  # a heap smaller than this is not worth rebuilding


def earliest(*dues: float | None) -> float | None:
    """The earliest of some deadlines; None for none."""
    first = None
    for due in dues:
        if due is not None and (first is None or due < first):
            first = due
    return first


class Backoff:
    """When to send something again: after first_s, then after twice that, and so on.

    retries: how many retransmissions, None for no end; max_s: the longest wait. `due` is None when stopped.
    """

    __slots__ = ("_left", "_max_s", "_wait_s", "due")

    def __init__(self, now: float, first_s: float, *, retries: int | None, max_s: float = math.inf) -> None:
        self._wait_s = first_s
        self._max_s = max_s
        self._left = retries
        self.due: float | None = now + first_s

    def again(self, now: float) -> bool:
        """At `due`: True when it is to be sent again, False when the retries are used up."""
        if self._left == 0:
            self.due = None
            return False
        if self._left is not None:
            self._left -= 1
        self._wait_s = min(2 * self._wait_s, self._max_s)
        self.due = now + self._wait_s
        return True

    def stop(self) -> None:
        """There was an answer."""
        self.due = None


class Timers(Generic[K]):
    """Deadlines by key, one a key; every operation costs O(log n)."""

    __slots__ = ("_due", "_heap", "_serial")

    def __init__(self) -> None:
        self._due: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: K, due: float) -> None:
        """Set or move the deadline of a key."""
        self._serial += 1
        self._due[key] = (due, self._serial)
        heappush(self._heap, (due, self._serial, key))
        if len(self._heap) > 2 * len(self._due) + _MIN_STALE:
            self._heap = [(d, s, k) for k, (d, s) in self._due.items()]
            heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Forget a key's deadline; no deadline is no error."""
        self._due.pop(key, None)

    def next(self) -> float | None:
        """The earliest deadline."""
        while self._heap:
            due, serial, key = self._heap[0]
            if self._due.get(key) == (due, serial):
                return due
            heappop(self._heap)
        return None

    def pop_due(self, now: float) -> K | None:
        """A key whose deadline has come, earliest first; its deadline is forgotten. None for no more."""
        due = self.next()
        if due is None or due > now:
            return None
        key = heappop(self._heap)[2]
        del self._due[key]
        return key
