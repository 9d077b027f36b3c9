"""Timers of sans-I/O engines: retransmission with doubled waits, and many deadlines by key.

Times are s on the engine's clock; nothing here reads a clock.
"""

import math
from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar, cast

K = TypeVar("K", bound=Hashable)
_MIN_STALE = 64  # a heap smaller than this is not worth rebuilding
_Deadline = list[Any]  # when, a number that no other one has, the key: None when it is void
_KEY = 2


def earliest(*dues: float | None) -> float | None:
    """The earliest of some deadlines; None for none."""
    return min([due for due in dues if due is not None], default=None)


def sooner(first: float | None, due: float | None) -> float | None:
    """The earlier one of two deadlines."""
    return due if first is None or (due is not None and due < first) else first


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

    __slots__ = ("_heap", "_of", "_serial")

    def __init__(self) -> None:
        self._of: dict[K, _Deadline] = {}
        self._heap: list[_Deadline] = []  # what is cancelled stays, without its key
        self._serial = 0

    def __len__(self) -> int:
        return len(self._of)

    def set(self, key: K, due: float) -> None:
        """Set or move the deadline of a key."""
        self._serial += 1
        deadline = [due, self._serial, key]
        before = self._of.setdefault(key, deadline)
        heap = self._heap
        if before is not deadline:
            before[_KEY] = None
            self._of[key] = deadline
        heappush(heap, deadline)
        if len(heap) > _MIN_STALE and len(heap) > 2 * len(self._of) + _MIN_STALE:
            self._heap = list(self._of.values())
            heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Forget a key's deadline; no deadline is no error."""
        deadline = self._of.pop(key, None)
        if deadline is not None:
            deadline[_KEY] = None

    def next(self) -> float | None:
        """The earliest deadline."""
        heap = self._heap
        while heap:
            due, _, key = heap[0]
            if key is not None:
                return cast("float", due)
            heappop(heap)
        return None

    def pop_due(self, now: float) -> K | None:
        """A key whose deadline has come, earliest first; its deadline is forgotten. None for no more."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            key: K | None = heappop(heap)[_KEY]
            if key is not None:
                del self._of[key]
                return key
        return None
