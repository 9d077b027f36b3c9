"""A clock that jumps from one thing to do to the next; times are s from 0.0."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any

_SLOTS = 64.0  # a second; a power of two, so that no rounding puts anything into a wrong one
_ENOUGH = 64  # things in a heap that is not worth dividing

_Due = tuple[float, float, Callable[..., None], tuple[Any, ...]]


class _Over(Exception):
    """The time of a run is over."""


class VirtualClock:
    """Does what is due in order of time, and what is due at one time in the order in which it was asked.

    In a heap is only what is due before `_edge`; what is due later lies in slots of time, unsorted, until the
    edge gets there. So the heap stays small, and quick, with the timers of however many nodes.
    """

    __slots__ = ("_edge", "_number", "_slots", "_soon", "_times", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._number = count().__next__
        self._edge = 0.0
        self._soon: list[_Due] = []
        self._slots: dict[int, list[_Due]] = {}
        self._times: list[int] = []  # a heap of the slots' numbers

    def at(self, when: float, act: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - act's own
        """Call act(*args) at a time; at once if that is past."""
        self._put((max(self.now, when), self._number(), act, args))

    def after(self, delay_s: float, act: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - act's own
        """Call act(*args) later."""
        when = self.now + delay_s
        if when < self._edge:
            heappush(self._soon, (when, self._number(), act, args))
        else:
            self._put((when, self._number(), act, args))

    def run(self, until: float) -> None:
        """Let time pass."""
        soon = self._soon
        last = (max(self.now, until), inf, self._stop, ())
        self._put(last)
        try:
            while True:
                if not soon:
                    self._advance()
                self.now, _, act, args = heappop(soon)
                act(*args)
        except _Over:
            return
        except BaseException:
            self._take_back(last)
            raise

    def _stop(self) -> None:
        """It is time; raised rather than asked for after everything that is done."""
        raise _Over

    def _put(self, due: _Due) -> None:
        """Into the heap, or into its slot."""
        if due[0] < self._edge:
            heappush(self._soon, due)
            return
        number = int(due[0] * _SLOTS)
        slot = self._slots.get(number)
        if slot is not None:
            slot.append(due)
        else:
            self._slots[number] = [due]
            heappush(self._times, number)

    def _advance(self) -> None:
        """The next slots become the heap, as many as it is worth having."""
        soon, times = self._soon, self._times
        number = 0
        while times and len(soon) < _ENOUGH:
            number = heappop(times)
            soon += self._slots.pop(number)
        heapify(soon)
        self._edge = (number + 1) / _SLOTS

    def _take_back(self, due: _Due) -> None:
        for heap in (self._soon, *self._slots.values()):
            if due in heap:
                heap.remove(due)
                heapify(heap)

    def forget(self) -> None:
        """Nothing is due any more."""
        self._soon.clear()
        self._slots.clear()
        self._times.clear()
