"""The I/O shell around sans-I/O engines, and the only place that reads a clock.

An engine gets items, time and nothing else; it returns actions, which are plain values. The runtime feeds
it, performs what it returns and keeps one timer armed. Engines thus run unchanged on a virtual clock.
"""

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from lies.engine import Engine


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in ns: the clock of every mono_ns; the same for all processes of a host."""
    return time.monotonic_ns()  # noqa: TID251 - the one place


def wall_ns() -> int:
    """Unix time in ns."""
    return time.time_ns()  # noqa: TID251 - the one place


def now_s() -> float:
    """CLOCK_MONOTONIC in s: the clock that engines are given as `now`."""
    return time.monotonic()  # noqa: TID251 - the one place


def cpu_s() -> float:
    """CPU time of this process in s."""
    return time.process_time()


class WallOffset:
    """Unix time less CLOCK_MONOTONIC in ns; follows the wall clock when somebody sets it.

    It stays the same to the ns while the two run alike, so that events keep their distances, and is looked at
    again every LOOK_NS. mono, wall: read the clocks.
    """

    LOOK_NS = 100_000_000
    SLACK_NS = 1_000_000  # what a clock that is only slewed may be away

    def __init__(self, mono: Callable[[], int] = monotonic_ns, wall: Callable[[], int] = wall_ns) -> None:
        self._mono = mono
        self._wall = wall
        self._looked_ns = mono()
        self._offset_ns = wall() - self._looked_ns

    def ns(self) -> int:
        """The offset now."""
        before_ns = self._mono()
        if before_ns - self._looked_ns >= self.LOOK_NS:
            offset_ns = self._wall() - before_ns
            after_ns = self._mono()
            if after_ns - before_ns < self.SLACK_NS:  # else this process was not running between the two
                self._looked_ns = before_ns
                if abs(offset_ns - self._offset_ns) > self.SLACK_NS:
                    self._offset_ns = offset_ns
        return self._offset_ns


ItemT = TypeVar("ItemT")
ActionT = TypeVar("ActionT")


class Timer(Protocol):
    """A timer that is set, such as asyncio's."""

    def cancel(self) -> None:
        """It is not to come."""
        ...


def _call_later(delay_s: float, callback: Callable[[], None]) -> Timer:
    import asyncio  # noqa: PLC0415 - who wants the clock alone, such as a command, starts faster

    return asyncio.get_running_loop().call_later(delay_s, callback)


class Runtime(Generic[ItemT, ActionT]):
    """Runs one engine on the running asyncio loop: `feed` items in, `perform` is called with each action.

    A perform that learns something at once (a confirm, an error) feeds it back; such items are queued
    until the current batch of actions is done, so that the engine is never re-entered. clock, call_later:
    where time is another than the running loop's.
    """

    def __init__(
        self,
        engine: Engine[ItemT, ActionT],
        perform: Callable[[ActionT], None],
        *,
        clock: Callable[[], float] = now_s,
        call_later: Callable[[float, Callable[[], None]], Timer] = _call_later,
    ) -> None:
        self._engine = engine
        self._perform = perform
        self._clock = clock
        self._call_later = call_later
        self._timer: Timer | None = None
        self._pending: list[tuple[ItemT, float | None]] = []
        self._busy = False
        self._closed = False

    def feed(self, item: ItemT, at: float | None = None) -> None:
        """Give the engine an item and perform what it answers; at: when it happened, if not just now."""
        self._pending.append((item, at))
        self._run(timeout=False)

    def close(self) -> None:
        """Stop the timer; items are ignored from now on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def start(self) -> None:
        """Arm the timer before the first item."""
        self._arm()

    def _run(self, *, timeout: bool) -> None:
        if self._busy or self._closed:
            return
        self._busy = True
        try:
            if timeout:
                for action in self._engine.handle_timeout(self._clock()):
                    self._perform(action)
            while self._pending:
                item, at = self._pending.pop(0)
                for action in self._engine.receive(item, self._clock() if at is None else at):
                    self._perform(action)
        finally:
            self._busy = False
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._engine.next_timeout()
        if due is not None and not self._closed:
            self._timer = self._call_later(max(0.0, due - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._run(timeout=True)
