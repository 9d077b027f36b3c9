"""A clock that jumps from one thing to do to the next; times are s from 0.0."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any

from lies.timers import Slots

_SLOTS_PER_S = 64
_ENOUGH = 64  # things that are worth a heap
_MANY = 256  # things in a heap that is worth dividing

_Due = tuple[float, float, Callable[..., None], tuple[Any, ...]]


class _Over(Exception):
    """The time of a run is over."""


class VirtualClock:
    """Does what is due in order of time, and what is due at one time in the order in which it was asked.

    As long as that is little, it lies in a heap. Of much only that is there which is due before `_edge`; the
    rest lies in slots, unsorted, until the edge gets there: the heap stays small, and quick, with the timers
    of however many nodes.
    """

    __slots__ = ("_edge", "_later", "_many", "_number", "_runs", "_soon", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._number = count().__next__
        self._runs = 0
        self._edge = inf
        self._many = _MANY  # in the heap without an edge
        self._soon: list[_Due] = []
        self._later: Slots[_Due] = Slots(_SLOTS_PER_S)

    def at(self, when: float, act: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - act's own
        """Call act(*args) at a time; at once if that is past."""
        self._put((max(self.now, when), self._number(), act, args))

    def after(self, delay_s: float, act: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - act's own
        """Call act(*args) later."""
        when = self.now + delay_s
        if when < self._edge:
            heappush(self._soon, (when, self._number(), act, args))
        else:
            self._later.put(when, (when, self._number(), act, args))

    def run(self, until: float) -> None:
        """Let time pass."""
        soon = self._soon
        self._runs += 1
        self._put((max(self.now, until), inf, self._stop, (self._runs,)))
        try:
            while True:
                if not soon:
                    self._advance()
                self.now, _, act, args = heappop(soon)
                act(*args)
        except _Over:
            return

    def _stop(self, run: int) -> None:
        """It is time, unless that run failed; raised rather than asked for after everything that is done."""
        if run == self._runs:
            raise _Over

    def _put(self, due: _Due) -> None:
        """Into the heap, or into its slot."""
        if due[0] >= self._edge:
            self._later.put(due[0], due)
            return
        heappush(self._soon, due)
        if self._edge == inf and len(self._soon) > self._many:
            self._spread()

    def _spread(self) -> None:
        """All into slots; again only when there is twice as much, for much may be due at one time."""
        self._edge = -inf
        self._many = 2 * len(self._soon) + _MANY
        for due in self._soon:
            self._later.put(due[0], due)
        self._soon.clear()

    def _advance(self) -> None:
        """The next slots become the heap, as many as it is worth having."""
        soon = self._soon
        while self._later and len(soon) < _ENOUGH:
            slot, self._edge = self._later.take()
            soon += slot
        heapify(soon)
        if not self._later:
            self._edge = inf

    def forget(self) -> None:
        """Nothing is due any more."""
        self._soon.clear()
        self._later.clear()
