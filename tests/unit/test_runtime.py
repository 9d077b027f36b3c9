"""The runtime: an engine is never re-entered, its actions are performed in order, one timer is armed."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from lies.runtime import Runtime, WallOffset, monotonic_ns, now_s, wall_ns


class Echo:
    """A toy engine: answers an item with its list of actions; `wake` sets when it wants to be called."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []
        self.answers: dict[str, list[str]] = {}
        self.due: float | None = None
        self.inside = False

    def receive(self, item: str, now: float, /) -> Sequence[str]:
        """Note the item; an item `at T` sets the timer."""
        assert not self.inside, "the engine was re-entered"
        self.inside = True
        self.seen.append((item, now))
        if item.startswith("at "):
            self.due = float(item.removeprefix("at "))
        self.inside = False
        return self.answers.get(item, [])

    def next_timeout(self) -> float | None:
        """When it wants to be called."""
        return self.due

    def handle_timeout(self, now: float, /) -> Sequence[str]:
        """Note the time; the timer is over."""
        assert not self.inside, "the engine was re-entered"
        self.seen.append(("timeout", now))
        self.due = None
        return self.answers.get("timeout", [])


class Clock:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


async def settle() -> None:
    """Let every timer that is due go off, and what follows from it."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_actions_in_order() -> None:
    """Actions are performed in the engine's order before feed returns, with the clock's time."""

    async def run() -> None:
        engine, clock, done = Echo(), Clock(), list[str]()
        engine.answers = {"a": ["1", "2"], "b": ["3"]}
        runtime = Runtime(engine, done.append, clock=clock)
        clock.now = 7.5
        runtime.feed("a")
        assert done == ["1", "2"]
        clock.now = 8.0
        runtime.feed("b")
        assert done == ["1", "2", "3"]
        assert engine.seen == [("a", 7.5), ("b", 8.0)]
        runtime.close()

    asyncio.run(run())


def test_what_happened_before_is_told_with_its_time() -> None:
    """An item that comes with a time is of that time; the next one is of the clock's again."""

    async def run() -> None:
        engine, clock = Echo(), Clock()
        runtime = Runtime(engine, lambda _: None, clock=clock)
        clock.now = 7.5
        runtime.feed("a", 7.25)
        runtime.feed("b")
        assert engine.seen == [("a", 7.25), ("b", 7.5)]
        runtime.close()

    asyncio.run(run())


def test_time_other_than_the_loops() -> None:
    """With a clock and timers of another kind no loop is needed; one timer is set, the latest."""
    due: list[tuple[float, Callable[[], None]]] = []
    cancelled: list[int] = []

    class Set:
        def __init__(self, number: int) -> None:
            self.number = number

        def cancel(self) -> None:
            cancelled.append(self.number)

    def call_later(delay_s: float, callback: Callable[[], None]) -> Set:
        due.append((delay_s, callback))
        return Set(len(due))

    engine, clock = Echo(), Clock()
    runtime = Runtime(engine, lambda _: None, clock=clock, call_later=call_later)
    clock.now = 1.0
    runtime.feed("at 3.5")
    runtime.feed("at 3.0")
    assert [delay_s for delay_s, _ in due] == [2.5, 2.0]
    assert cancelled == [1]
    clock.now = 3.0
    due[-1][1]()
    assert engine.seen[-1] == ("timeout", 3.0)
    runtime.close()


def test_never_reentered() -> None:
    """What an action feeds back is taken after the whole batch of actions, never in the middle."""

    async def run() -> None:
        engine, done = Echo(), list[str]()
        engine.answers = {"a": ["feed b", "after"], "b": ["of b"]}

        def perform(action: str) -> None:
            done.append(action)
            if action == "feed b":
                runtime.feed("b")

        runtime = Runtime(engine, perform, clock=Clock())
        runtime.feed("a")
        assert done == ["feed b", "after", "of b"]
        assert [item for item, _ in engine.seen] == ["a", "b"]
        runtime.close()

    asyncio.run(run())


def test_fed_from_a_timeout() -> None:
    """An action of a timeout that feeds back is taken after the timeout's batch."""

    async def run() -> None:
        engine, done = Echo(), list[str]()
        engine.answers = {"timeout": ["feed b", "after"], "b": ["of b"]}

        def perform(action: str) -> None:
            done.append(action)
            if action == "feed b":
                runtime.feed("b")

        engine.due = 0.0
        runtime = Runtime(engine, perform, clock=Clock())
        runtime.start()
        await settle()
        assert done == ["feed b", "after", "of b"]
        runtime.close()

    asyncio.run(run())


def test_timer_follows_the_engine() -> None:
    """After every input the one timer is armed for what the engine now wants, earlier or later."""

    async def run() -> None:
        engine, clock = Echo(), Clock()
        engine.due = 1000.0
        runtime = Runtime(engine, lambda _: None, clock=clock)
        runtime.start()
        runtime.feed("at 0.0")  # at once instead
        await settle()
        assert engine.seen == [("at 0.0", 0.0), ("timeout", 0.0)]
        runtime.feed("at 1000.0")
        clock.now = 1500.0  # the timer for 1000 would be due; it was put off to 2000
        runtime.feed("at 2000.0")
        await settle()
        assert [item for item, _ in engine.seen].count("timeout") == 1
        clock.now = 2000.0
        runtime.feed("late")
        await settle()
        assert engine.seen[-1] == ("timeout", 2000.0)
        runtime.close()

    asyncio.run(run())


def test_timer_is_armed_again_and_again() -> None:
    """An engine that sets its next timeout in handle_timeout is called each time."""

    class Ticker(Echo):
        def handle_timeout(self, now: float, /) -> Sequence[str]:
            super().handle_timeout(now)
            self.due = now if len(self.seen) < 3 else None
            return []

    async def run() -> None:
        engine = Ticker()
        engine.due = 0.0
        runtime = Runtime(engine, lambda _: None, clock=Clock())
        runtime.start()
        await settle()
        await settle()
        assert len(engine.seen) == 3
        runtime.close()

    asyncio.run(run())


def test_closed() -> None:
    """After close no item reaches the engine and no timer goes off."""

    async def run() -> None:
        engine = Echo()
        engine.due = 0.0
        runtime = Runtime(engine, lambda _: None, clock=Clock())
        runtime.start()
        runtime.close()
        runtime.feed("late")
        await settle()
        assert engine.seen == []

    asyncio.run(run())


def test_an_error_does_not_stop_it() -> None:
    """An action that raises tells its caller; the engine takes the next item as before."""

    async def run() -> None:
        engine = Echo()
        engine.answers = {"a": ["bad"]}

        def perform(action: str) -> None:
            raise RuntimeError(action)

        runtime = Runtime(engine, perform, clock=Clock())
        with pytest.raises(RuntimeError, match="bad"):
            runtime.feed("a")
        runtime.feed("b")
        assert [item for item, _ in engine.seen] == ["a", "b"]
        runtime.close()

    asyncio.run(run())


def test_clocks() -> None:
    """One monotonic clock in ns and in s, and Unix time."""
    before = monotonic_ns()
    seconds = now_s()
    after = monotonic_ns()
    assert before <= round(seconds * 1e9) + 1000
    assert round(seconds * 1e9) <= after + 1000
    assert wall_ns() > 1_700_000_000 * 10**9


class Clocks:
    """Two clocks that go as they are told; each look at the wall clock takes `looking_ns`."""

    def __init__(self) -> None:
        self.mono_ns = 1_000
        self.offset_ns = 5_000_000_000
        self.looking_ns = 100

    def wall(self) -> int:
        """Unix time."""
        self.mono_ns += self.looking_ns
        return self.mono_ns - self.looking_ns + self.offset_ns


def test_wall_offset_follows_a_clock_that_is_set() -> None:
    """Once the wall clock is set, times are the new ones; while it is only slewed, distances stay."""
    clocks = Clocks()
    offset = WallOffset(lambda: clocks.mono_ns, clocks.wall)
    first_ns = offset.ns()
    for change_ns in (400_000, -300_000):
        clocks.offset_ns += change_ns
        clocks.mono_ns += 1_000_000_000
        assert offset.ns() == first_ns
    clocks.offset_ns -= 3_600_000_000_000
    assert offset.ns() == first_ns  # it was looked at just now
    clocks.mono_ns += 100_000_000
    assert offset.ns() == clocks.offset_ns


def test_wall_offset_is_not_that_of_a_pause() -> None:
    """A process that did not run between the two clocks does not take the pause for a change of time."""
    clocks = Clocks()
    offset = WallOffset(lambda: clocks.mono_ns, clocks.wall)
    first_ns = offset.ns()
    clocks.mono_ns += 1_000_000_000
    clocks.looking_ns = 50_000_000
    clocks.offset_ns += 50_000_000
    assert offset.ns() == first_ns
    clocks.looking_ns = 100
    assert offset.ns() == clocks.offset_ns
