"""Timers of sans-I/O engines: retransmission with doubled waits, and many deadlines by key.

Times are s on the engine's clock; nothing here reads a clock.
"""

import math
from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
_MIN_STALE = 64  # fewer void deadlines are not worth rebuilding for
_ENOUGH = 64  # deadlines that are worth a heap
_MANY = 256  # deadlines in a heap that is worth dividing
_FAR_S = 1e12  # beyond which nothing has a slot of its own
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


class Slots(Generic[T]):
    """What is due later, unsorted, in slots of time: one more costs the same however much there is."""

    __slots__ = ("_per_s", "_slots", "_times")

    def __init__(self, per_s: int) -> None:
        self._per_s = float(per_s)  # a power of two, so that no rounding puts anything into a wrong slot
        self._slots: dict[int, list[T]] = {}
        self._times: list[int] = []  # a heap of the slots' numbers

    def __bool__(self) -> bool:
        return bool(self._times)

    def put(self, when: float, thing: T) -> None:
        """Into its slot; what is beyond all bounds shares one."""
        if 0.0 <= when < _FAR_S:
            number = int(when * self._per_s)
        else:
            number = int(min(max(when, -_FAR_S), _FAR_S) * self._per_s // 1)
        slot = self._slots.get(number)
        if slot is not None:
            slot.append(thing)
        else:
            self._slots[number] = [thing]
            heappush(self._times, number)

    def take(self) -> tuple[list[T], float]:
        """What is in the first slot, which is gone then; and its end, before which nothing else is due."""
        number = heappop(self._times)
        end = (number + 1) / self._per_s if number < _FAR_S * self._per_s else math.inf
        return self._slots.pop(number), end

    def clear(self) -> None:
        """Nothing is left."""
        self._slots.clear()
        self._times.clear()


class Timers(Generic[K]):
    """Deadlines by key, one a key; times are any that a clock in s has.

    As long as they are few, they lie in a heap. Of many only those are there that are due before `_edge`; the
    others lie in slots, unsorted, until the edge gets there. As most deadlines are cancelled before they
    come, that costs least: the heap stays small, and what is void by then is never sorted.
    """

    __slots__ = ("_edge", "_held", "_later", "_many", "_of", "_serial", "_soon")

    def __init__(self) -> None:
        self._of: dict[K, _Deadline] = {}
        self._serial = 0
        self._held = 0  # deadlines in heap and slots; what is cancelled stays, without its key
        self._edge = math.inf
        self._many = _MANY  # in the heap without an edge
        self._soon: list[_Deadline] = []
        self._later: Slots[_Deadline] = Slots(16)

    def __len__(self) -> int:
        return len(self._of)

    def set(self, key: K, due: float) -> None:
        """Set or move the deadline of a key."""
        self._serial += 1
        deadline = [due, self._serial, key]
        before = self._of.get(key)
        if before is not None:
            before[_KEY] = None
        self._of[key] = deadline
        self._held += 1
        if due < self._edge:
            heappush(self._soon, deadline)
        else:
            self._later.put(due, deadline)
        if self._held > _MIN_STALE and (
            self._held > 2 * len(self._of) + _MIN_STALE
            or (self._edge == math.inf and len(self._soon) > self._many)
        ):
            self._rebuild()

    def cancel(self, key: K) -> None:
        """Forget a key's deadline; no deadline is no error."""
        deadline = self._of.pop(key, None)
        if deadline is not None:
            deadline[_KEY] = None

    def next(self) -> float | None:
        """The earliest deadline."""
        while True:
            soon = self._soon
            while soon:
                deadline = soon[0]
                if deadline[_KEY] is not None:
                    due: float = deadline[0]
                    return due
                heappop(soon)
                self._held -= 1
            if not self._later:
                return None
            self._advance()

    def pop_due(self, now: float) -> K | None:
        """A key whose deadline has come, earliest first; its deadline is forgotten. None for no more."""
        while True:
            soon = self._soon
            while soon and soon[0][0] <= now:
                key: K | None = heappop(soon)[_KEY]
                self._held -= 1
                if key is not None:
                    del self._of[key]
                    return key
            if soon or now < self._edge or not self._later:
                return None
            self._advance()

    def _advance(self) -> None:
        """The next slots become the heap, as many as it is worth having; the heap is empty."""
        soon = self._soon
        while self._later and len(soon) < _ENOUGH:
            slot, self._edge = self._later.take()
            live = [deadline for deadline in slot if deadline[_KEY] is not None]
            self._held -= len(slot) - len(live)
            soon += live
        heapify(soon)
        if not self._later:
            self._edge = math.inf

    def _rebuild(self) -> None:
        """Without what is void, and into slots."""
        self._edge = -math.inf
        self._soon = []
        self._later.clear()
        self._held = len(self._of)
        self._many = 2 * self._held + _MANY  # many in one slot are not spread again and again
        for deadline in self._of.values():
            self._later.put(deadline[0], deadline)
