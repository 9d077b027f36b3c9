"""The virtual clock: everything in order of time, however much is due and however far away."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lies.sim.clock import VirtualClock

# near and far, on the borders of the clock's slots and off them
DELAYS = st.floats(0.0, 0.05) | st.floats(0.0, 30.0) | st.integers(0, 64).map(lambda n: n / 64)


class Diary:
    """What a clock did, and what it had been asked to do."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.asked: list[tuple[float, int]] = []
        self.done: list[tuple[float, int]] = []

    def ask(self, delay_s: float, then: list[float], *, absolute: bool = False) -> None:
        """Have something done later, which asks for more."""
        when = self.clock.now + delay_s
        number = len(self.asked)
        self.asked.append((when, number))
        if absolute:
            self.clock.at(when, self._do, when, number, then)
        else:
            self.clock.after(delay_s, self._do, when, number, then)

    def _do(self, when: float, number: int, then: list[float]) -> None:
        assert self.clock.now == when
        self.done.append((when, number))
        for delay_s in then:
            self.ask(delay_s, [], absolute=number % 2 == 0)


@given(
    st.lists(st.tuples(DELAYS, st.lists(DELAYS, max_size=3)), max_size=200),
    st.lists(st.floats(0.0, 40.0), max_size=4),
)
def test_everything_is_done_in_order_of_time(
    asked: list[tuple[float, list[float]]], ends: list[float]
) -> None:
    """What is due is done, in order of time and, at one time, in the order in which it was asked."""
    diary = Diary()
    for number, (delay_s, then) in enumerate(asked):
        diary.ask(delay_s, then, absolute=number % 3 == 0)
    for end in (*sorted(ends), 100.0):
        diary.clock.run(end)
        assert diary.clock.now == end
        assert diary.done == sorted(a for a in diary.asked if a[0] <= end)


@pytest.mark.parametrize("nodes", [1, 60, 800])
def test_crowds_are_served_in_order(nodes: int) -> None:
    """With the timers of many nodes, near and far, set from within, the order is the same as with few."""
    diary, rng = Diary(), Random(nodes)
    for number in range(nodes):
        for _ in range(4):
            then = [rng.choice((0.0, 0.001, 0.01, 0.1, 2.0, rng.random() * 20)) for _ in range(3)]
            diary.ask(rng.choice((0.25, rng.random(), 30 * rng.random())), then, absolute=number % 2 == 0)
    for end in (0.25, 1.0, 7.0, 60.0):
        diary.clock.run(end)
        assert diary.done == sorted(a for a in diary.asked if a[0] <= end)
    assert len(diary.done) == 16 * nodes


def test_what_is_past_is_done_at_once() -> None:
    """A time that is past means now, behind what was asked before."""
    clock, done = VirtualClock(), list[str]()
    clock.run(5.0)
    clock.at(5.0, done.append, "first")
    clock.at(1.0, done.append, "second")
    clock.run(5.0)
    assert done == ["first", "second"]


@pytest.mark.parametrize("end", [1.0, 50.0])
def test_a_run_that_failed_can_be_repeated(end: float) -> None:
    """An error ends a run; the next one goes on behind it, to its own end."""
    clock, done = VirtualClock(), list[float]()

    def fail() -> None:
        raise RuntimeError("as the test wants it")

    clock.after(0.5, fail)
    for number in range(100):
        clock.after(0.6 + number / 10, lambda: done.append(clock.now))
    with pytest.raises(RuntimeError):
        clock.run(end)
    assert clock.now == 0.5
    clock.run(2.0)
    assert clock.now == 2.0
    assert done == sorted(done)
    assert len(done) == 15
    clock.run(20.0)
    assert len(done) == 100


def test_what_is_forgotten_is_not_done() -> None:
    """After `forget` nothing is due any more, near or far; what is asked for later is."""
    clock, done = VirtualClock(), list[int]()
    for number in range(200):
        clock.after(number / 100, done.append, number)
    clock.run(0.5)
    before = len(done)
    clock.forget()
    clock.run(10.0)
    assert len(done) == before
    clock.after(1.0, done.append, 0)
    clock.run(20.0)
    assert len(done) == before + 1
