"""What packets say of waiting: how many came late by a handover, and how late the latest was."""

from lies.testbed.measure import Direction

_MS = 1_000_000


def _direction(arrivals: dict[int, float], *, at_radio: bool = True) -> Direction:
    """Packets sent every ms, 1 ms on their way at least, that arrived at these times in ms."""
    sent = [n * _MS for n in range(20)]
    received = sorted(((n, sent[n], round(t * _MS)) for n, t in arrivals.items()), key=lambda p: p[2])
    return Direction("downlink", sent, received, _MS, at_radio)


def test_packets_that_waited_are_counted() -> None:
    """Out from 5 ms to 9 ms: the packets of 4..8 ms arrive together at 9.5 ms, those after them in time."""
    late = {n: 9.5 + n / 100 for n in range(5, 9)}
    direction = _direction({n: n + 1.0 for n in range(20)} | late)
    assert direction.waited(5 * _MS, 9 * _MS) == 4
    assert direction.extra_delay_ns(9 * _MS) == round((late[5] - 5 - 1) * _MS)


def test_nothing_waited() -> None:
    """Without a gap nobody waited; without packets nothing is known."""
    direction = _direction({n: n + 1.0 for n in range(20)})
    assert direction.waited(5 * _MS, 9 * _MS) == 0
    assert direction.extra_delay_ns(9 * _MS) == 0
    assert _direction({}).waited(5 * _MS, 9 * _MS) == 0


def test_a_delay_that_no_handover_made_is_not_counted() -> None:
    """What came late before the gap, or after the first packet that was in time again, has other causes."""
    late = {n: 9.5 + n / 100 for n in range(5, 9)}
    direction = _direction({n: n + 1.0 for n in range(20)} | late | {2: 4.5, 3: 4.6, 15: 18.5})
    assert direction.extra_delay_ns(9 * _MS) == round((late[5] - 5 - 1) * _MS)
    assert direction.drained_ns(9 * _MS) == round((late[7] - 9) * _MS)  # the packet of 8 ms came within a ms
    assert direction.extra_delay_ns(19 * _MS) == 0
