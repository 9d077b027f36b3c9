"""Parameters of both consumers' engines, the identifiers of PoAs, and the timers of engines."""

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lies_mipv6.parameters as mipv6
from lies.timers import Backoff, Timers
from lies_fmipv6.items import access_point_id, poa_of
from lies_fmipv6.parameters import Parameters, newer


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (Parameters, {"fbu_lifetime_s": 0}),
        (Parameters, {"fbu_lifetime_s": 65536}),
        (Parameters, {"grace_s": -1.0}),
        (Parameters, {"grace_s": math.nan}),
        (Parameters, {"hold_s": math.inf}),
        (Parameters, {"first_wait_s": 0.0}),
        (Parameters, {"hi_retries": -1}),
        (mipv6.Parameters, {"lifetime_s": 6}),
        (mipv6.Parameters, {"lifetime_s": 0}),
        (mipv6.Parameters, {"max_lifetime_s": 262144}),
        (mipv6.Parameters, {"grace_s": math.nan}),
        (mipv6.Parameters, {"refresh_fraction": 1.0}),
        (mipv6.Parameters, {"max_update_rate": 0}),
        (mipv6.Parameters, {"initial_bindack_timeout_s": 0.0}),
    ],
)
def test_parameters_that_cannot_be(cls: type[Any], wrong: dict[str, Any]) -> None:
    """A parameter out of its range is refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cls(**wrong)


@pytest.mark.parametrize(
    "poa", ["02:00:00:00:01:02", "fe:ff:ff:ff:ff:ff", "cell-1234", "5G:12", "5G:1:2", "a:b:c:d:e:f", "ü"]
)
def test_identifiers_of_poas(poa: str) -> None:
    """A PoA's identifier leads back to it; a MAC address takes its six octets."""
    assert poa_of(access_point_id(poa)) == poa
    is_mac = poa.count(":") == 5 and len(poa) == 17
    assert (len(access_point_id(poa)) == 6 and not access_point_id(poa)[0] & 1) is is_mac


@given(st.integers(0, 0xFFFF), st.integers(1, 0x7FFF))
def test_sequence_numbers_wrap(number: int, step: int) -> None:
    """A number is newer than those up to 32767 before it, also across 65535."""
    later = (number + step) & 0xFFFF
    assert newer(later, number)
    assert not newer(number, later)
    assert not newer(number, number)
    assert mipv6.newer(later, number)


def test_backoff() -> None:
    """Waits double up to the longest, for as many times as asked."""
    backoff = Backoff(10.0, 1.0, retries=4, max_s=3.0)
    times = []
    while backoff.due is not None:
        times.append(backoff.due)
        if not backoff.again(backoff.due):
            break
    assert times == [11.0, 13.0, 16.0, 19.0, 22.0]
    assert backoff.due is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["set", "cancel", "pop"]), st.integers(0, 20), st.floats(0, 100)),
        max_size=300,
    )
)
def test_timers_are_a_sorted_dictionary(steps: list[tuple[str, int, float]]) -> None:
    """Timers behave like a dictionary of deadlines that is searched for its least."""
    timers: Timers[int] = Timers()
    model: dict[int, float] = {}
    for what, key, time in steps:
        if what == "set":
            timers.set(key, time)
            model[key] = time
        elif what == "cancel":
            timers.cancel(key)
            model.pop(key, None)
        else:
            popped = timers.pop_due(time)
            if popped is None:
                assert all(due > time for due in model.values())
            else:
                assert model[popped] == min(model.values())
                assert model.pop(popped) <= time
        assert timers.next() == min(model.values(), default=None)
        assert len(timers) == len(model)


@pytest.mark.parametrize("keys", [40, 300, 3000])
def test_a_crowd_of_timers_is_a_sorted_dictionary(keys: int) -> None:
    """With thousands of deadlines, set, moved and cancelled while time passes, each comes in its turn."""
    rng = Random(keys)
    timers: Timers[int] = Timers()
    model: dict[int, float] = {}
    now, come = 0.0, 0
    for _ in range(6 * keys):
        key = rng.randrange(keys)
        if rng.random() < 0.3:
            timers.cancel(key)
            model.pop(key, None)
        else:
            model[key] = now + rng.choice((0.0, 0.1, 2.0, 2.0, 20.0, 60 * rng.random()))
            timers.set(key, model[key])
        if rng.random() < 0.2:
            now += rng.random() * 40 / keys
            while (popped := timers.pop_due(now)) is not None:
                assert model.pop(popped) <= now
                come += 1
            if rng.random() < 0.05:
                assert timers.next() == min(model.values(), default=None)
                assert all(left > now for left in model.values())
        assert len(timers) == len(model)
    assert come > keys / 10


@given(
    st.lists(st.floats(-5.0, 100.0) | st.sampled_from((0.0, 1e13, 5e13, math.inf)), max_size=400), st.data()
)
def test_many_timers_come_in_order(dues: list[float], data: st.DataObject) -> None:
    """However many deadlines there are, and however many were moved or cancelled, they come in order."""
    timers: Timers[int] = Timers()
    for key, due in enumerate(dues):
        timers.set(key, 50.0)
        timers.set(key, due)
    now = data.draw(st.floats(-10.0, 100.0))
    timers.set(-1, now)  # behind what has come, and before what has not
    model = dict(enumerate(dues)) | {-1: now}
    for key in data.draw(st.lists(st.sampled_from(sorted(model)), max_size=20)):
        timers.cancel(key)
        model.pop(key, None)
    come = []
    while (key_come := timers.pop_due(now)) is not None:
        come.append(model.pop(key_come))
    assert come == sorted(come)
    assert all(due <= now for due in come)
    assert timers.next() == min(model.values(), default=None)
    timers.set(-2, 0.5)  # before much that is there
    model[-2] = 0.5
    left = []
    while (key_left := timers.pop_due(math.inf)) is not None:
        left.append(model.pop(key_left))
    assert left == sorted(left)
    assert model == {}
    assert timers.next() is None
