"""The clock of a driver whose radio is simulated or recorded: live, faster, or as fast as possible.

A driver's t_ns are on CLOCK_MONOTONIC at rate 1. At another rate they start there and run faster; at
rate 0 the clock stands still between two waits and jumps to what is waited for.
"""

import asyncio
from collections.abc import Callable

from lies.runtime import monotonic_ns


class Pace:
    """A clock that runs `rate` times as fast as the host's; 0: it jumps from wait to wait."""

    def __init__(self, rate: float = 1.0, *, clock: Callable[[], int] = monotonic_ns) -> None:
        if rate < 0:
            raise ValueError("rate must not be negative")
        self.rate = rate
        self._clock = clock
        self._host_ns = clock()
        self._own_ns = self._host_ns
        self._woken = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()

    @property
    def paused(self) -> bool:
        """True between pause and resume."""
        return not self._running.is_set()

    def now_ns(self) -> int:
        """The time on this clock."""
        if self.rate == 0 or self.paused:
            return self._own_ns
        elapsed = self._clock() - self._host_ns
        return self._own_ns + (elapsed if self.rate == 1 else round(elapsed * self.rate))

    def wake(self) -> None:
        """End the present, or the next, `wait_until` early."""
        self._woken.set()

    def pause(self) -> None:
        """Stop the clock; waits do not end while it stands, except by `wake`."""
        self._own_ns = self.now_ns()
        self._running.clear()
        self._woken_by_change()

    def resume(self) -> None:
        """Let the clock go on from where it stopped."""
        if self.paused:
            self._host_ns = self._clock()
            self._running.set()
            self._woken_by_change()

    def _woken_by_change(self) -> None:
        # A sleeper must compute its timeout anew; it finds nothing to do and waits again.
        self._woken.set()

    async def wait_until(self, t_ns: int) -> bool:
        """Wait for that time: False when it has come, True when woken earlier.

        A time that has come goes before a wake, which then ends the next wait: who is woken again and
        again still gets on.
        """
        await asyncio.sleep(0)  # others run even where every time has come already
        if not self.paused and self.now_ns() >= t_ns:
            return False
        if not self._woken.is_set():
            if self.paused:
                await self._woken.wait()
            elif self.rate == 0:
                self._own_ns = t_ns
            else:
                await self._wait_woken((t_ns - self.now_ns()) / 1e9 / self.rate)
        if self._woken.is_set():
            self._woken.clear()
            return True
        return self.now_ns() < t_ns

    async def _wait_woken(self, timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), timeout_s)
        except TimeoutError:
            return

    async def sleep(self, duration_ns: int) -> None:
        """Let that much time pass on this clock; `wake` does not shorten it."""
        until_ns = self.now_ns() + duration_ns
        if self.rate == 0:
            await asyncio.sleep(0)
            self._own_ns = max(self._own_ns, until_ns)
            return
        while (rest_ns := until_ns - self.now_ns()) > 0:
            await self._running.wait()
            await asyncio.sleep(rest_ns / 1e9 / self.rate)
