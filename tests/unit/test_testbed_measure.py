"""What the judge of a drive says of packets: gaps, losses, copies and order."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lies.testbed.measure import Direction, Move, judge, path_difference_ms
from lies.testbed.traffic import FlowLog

MS = 1_000_000
STEP = 1 * MS  # nominal interval
DELAY = 3 * MS


def direction(
    arrivals: Sequence[tuple[int, int, int]], sent_ns: Sequence[int] | None = None, *, at_radio: bool = True
) -> Direction:
    """A direction of these arrivals (number, sent, received); every arrived packet was sent, if not told."""
    if sent_ns is None:
        times = {number: sent for number, sent, _ in arrivals}
        sent_ns = [times.get(n, n * STEP) for n in range(max(times, default=-1) + 1)]
    log, nothing = FlowLog(sent_ns, []), FlowLog([], list(arrivals))
    return Direction.of("test", log, nothing, STEP, at_radio=at_radio)


def steady(numbers: Sequence[int], delay_ns: int = DELAY) -> list[tuple[int, int, int]]:
    """Packets sent on time that took equally long."""
    return [(n, n * STEP, n * STEP + delay_ns) for n in numbers]


def test_without_a_handover_the_gap_is_one_interval() -> None:
    """Where nothing happens, neighbouring packets are one nominal interval apart."""
    assert direction(steady(range(20))).gap_ns(10 * MS, 12 * MS) == STEP


def test_a_held_packet_counts_as_gap() -> None:
    """Packets that waited 7 ms make a gap of 7 ms and one interval."""
    arrivals = [*steady(range(5)), *((n, n * STEP, n * STEP + DELAY + 7 * MS) for n in range(5, 20))]
    assert direction(arrivals).gap_ns(8 * MS, 13 * MS) == 8 * MS


def test_a_late_sender_is_subtracted() -> None:
    """What the sender itself was late between two packets is not the handover's doing."""
    late = [(n, n * STEP + 40 * MS, n * STEP + 40 * MS + DELAY) for n in range(5, 20)]
    assert direction([*steady(range(5)), *late]).gap_ns(8 * MS, 46 * MS) == STEP


def test_a_late_sender_does_not_hide_the_outage() -> None:
    """Sender 40 ms late and packets held for 7 ms more: the gap is those 7 ms and one interval."""
    late = [(n, n * STEP + 40 * MS, n * STEP + 47 * MS + DELAY) for n in range(5, 20)]
    assert direction([*steady(range(5)), *late]).gap_ns(8 * MS, 53 * MS) == 8 * MS


def test_lost_packets_stay_in_the_gap() -> None:
    """Nine packets lost in a row make a gap of ten intervals: loss is not the sender's lateness."""
    arrivals = steady([*range(5), *range(14, 30)])
    assert direction(arrivals).gap_ns(8 * MS, 16 * MS) == 10 * MS


def test_the_largest_gap_around_the_outage_counts() -> None:
    """One packet that slips through in the middle splits the outage; the larger part is told."""
    arrivals = steady([*range(5), 7, *range(14, 30)])
    assert direction(arrivals).gap_ns(8 * MS, 16 * MS) == 7 * MS


def test_gaps_elsewhere_do_not_count() -> None:
    """A hole long after the handover belongs to no handover."""
    arrivals = steady([*range(20), *range(60, 90)])
    assert direction(arrivals).gap_ns(8 * MS, 10 * MS) == STEP


def test_nothing_after_is_no_gap() -> None:
    """If nothing arrived after the port came in, there is no gap but an open end: None."""
    assert direction(steady(range(10))).gap_ns(8 * MS, 14 * MS) is None


def test_nothing_before_is_no_gap() -> None:
    """If nothing arrived before the port went out, there is no packet to count from: None."""
    assert direction(steady(range(10, 30))).gap_ns(5 * MS, 14 * MS) is None


def test_no_packet_at_all_is_no_gap() -> None:
    """A direction in which nothing arrived has no gap and no delay."""
    empty = direction([], sent_ns=[0, STEP])
    assert empty.gap_ns(0, 1) is None
    assert empty.least_delay_ns == 0
    assert empty.lost == [0, 1]


def test_behind_the_path_the_outage_is_seen_later() -> None:
    """A receiver behind a 50 ms path sees the outage 50 ms after the radio had it."""
    path = 50 * MS
    arrivals = steady([*range(100), *range(120, 200)], delay_ns=path)
    assert direction(arrivals, at_radio=False).gap_ns(100 * MS, 119 * MS) == 21 * MS
    assert direction(arrivals, at_radio=True).gap_ns(100 * MS, 119 * MS) == STEP


def test_copies_are_counted_once_each_and_never_as_reordering() -> None:
    """Of three arrivals of number 2 two are duplicates; the copies are out of place, not the packet."""
    arrivals = steady(range(6))
    arrivals += [(2, 2 * STEP, 30 * MS), (2, 2 * STEP, 31 * MS)]
    judged = direction(arrivals)
    assert judged.duplicated == 2
    assert judged.reordered == 0
    assert judged.lost == []


def test_reordered_packets_are_those_overtaken() -> None:
    """Numbers 1, 2 and 3, overtaken by 4, are three reordered packets (RFC 4737 section 3)."""
    order = [0, 4, 1, 2, 3, 5]
    arrivals = [(n, n * STEP, DELAY + k * STEP) for k, n in enumerate(order)]
    assert direction(arrivals).reordered == 3
    assert direction(steady(range(6))).reordered == 0


def test_overtaken_packets_tell_how_much_longer_their_way_was() -> None:
    """From number 5 on packets take a way that is 2.5 ms shorter: the two that they overtake say so."""
    paths = [(n, n * STEP, n * STEP + (DELAY if n < 5 else DELAY - 2_500_000)) for n in range(10)]
    switched = direction(paths)
    assert switched.overtaken == [(3, 2_500_000), (4, 2_500_000)]
    assert switched.reordered == 2
    assert path_difference_ms([direction(steady(range(9))), switched]) == 2.5
    assert path_difference_ms([direction(steady(range(9)))]) is None


def test_arrivals_are_judged_in_order_of_arrival() -> None:
    """The log's own order does not matter, only the kernel's receive times."""
    arrivals = steady(range(20))
    assert direction(arrivals[::-1]).received == arrivals
    assert direction(arrivals[::-1]).reordered == 0


def test_losses_belong_to_the_nearest_handover() -> None:
    """A lost packet is told with the handover to which it was sent nearest, the others have none."""
    down = direction(steady([*range(10), *range(12, 110), *range(111, 200)]))
    up = direction(steady([*range(150), *range(151, 200)]))
    moves = [Move("a", "b", 10 * MS, 12 * MS), Move("b", "c", 60 * MS, 62 * MS)]
    moves.append(Move("c", "d", 140 * MS, 142 * MS))
    assert [v.lost for v in judge(moves, [down, up])] == [2, 0, 2]


def test_a_loss_during_the_outage_is_that_handovers() -> None:
    """A packet sent while the port was out belongs to that handover, whatever lies near its ends."""
    moves = [Move("a", "b", 10 * MS, 100 * MS), Move("b", "c", 101 * MS, 102 * MS)]
    verdicts = judge(moves, [direction(steady([*range(99), *range(100, 200)]))])
    assert [v.lost for v in verdicts] == [1, 0]


def test_the_worse_direction_is_the_verdict() -> None:
    """The total gap of a handover is that of the direction that suffered more."""
    good = direction(steady(range(50)))
    bad = direction(steady([*range(10), *range(20, 50)]))
    (verdict,) = judge([Move("a", "b", 14 * MS, 16 * MS)], [good, bad])
    assert verdict.total_gap_ms == 11
    assert verdict.l2_gap_ms == 2
    assert verdict.l3_gap_ms == 9


def test_one_direction_that_died_leaves_no_total() -> None:
    """If one direction never came back there is no total gap, however well the other one did."""
    (verdict,) = judge(
        [Move("a", "b", 14 * MS, 16 * MS)], [direction(steady(range(50))), direction(steady(range(10)))]
    )
    assert verdict.total_gap_ms is None
    assert verdict.l3_gap_ms is None
    assert verdict.l2_gap_ms == 2


def test_a_negative_l3_gap_is_told_as_it_is() -> None:
    """A total gap below the L2 gap (packets queued at the port) gives a negative L3 gap, never 0."""
    (verdict,) = judge([Move("a", "b", 10 * MS, 30 * MS)], [direction(steady(range(50)))])
    assert verdict.l3_gap_ms == -19


def test_no_handover_no_verdict() -> None:
    """Without a move there is nothing to judge, and lost packets belong to none."""
    assert judge([], [direction(steady([0, 5]))]) == []


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """(send times by number, numbers that arrive): an unsteady sender and arbitrary losses."""
    steps = draw(st.lists(st.integers(0, 20 * STEP), min_size=2, max_size=40))
    sent = [sum(steps[: k + 1]) for k in range(len(steps))]
    arrived = draw(st.lists(st.sampled_from(range(len(sent))), unique=True, min_size=2).map(sorted))
    return sent, arrived


@given(schedules(), st.integers(0, 400 * STEP), st.integers(0, 50 * STEP), st.integers(0, 100 * STEP))
def test_on_a_steady_path_the_gap_is_only_what_was_lost(
    schedule: tuple[list[int], list[int]], out_ns: int, length_ns: int, delay_ns: int
) -> None:
    """With equal delays the gap lies between 0 and one interval for each number from a to b."""
    sent, arrived = schedule
    judged = direction([(n, sent[n], sent[n] + delay_ns) for n in arrived], sent)
    gap = judged.gap_ns(out_ns, out_ns + length_ns)
    assert gap is None or 0 <= gap <= STEP * max(b - a for a, b in pairwise(arrived))


@given(schedules(), st.data())
def test_the_gap_is_bounded_by_what_the_receiver_saw(
    schedule: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    """With any delays: never more than the longest silence, never less than minus the jitter."""
    sent, arrived = schedule
    delays = [data.draw(st.integers(0, 100 * STEP)) for _ in arrived]
    arrivals = [(n, sent[n], sent[n] + d) for n, d in zip(arrived, delays, strict=True)]
    judged = direction(arrivals, sent)
    first, last = judged.received[0][2], judged.received[-1][2]
    out_ns = data.draw(st.integers(first, last))
    in_ns = data.draw(st.integers(out_ns, last))
    gap = judged.gap_ns(out_ns, in_ns)
    silences = [b[2] - a[2] for a, b in pairwise(judged.received)]
    assert gap is not None
    assert min(delays) - max(delays) <= gap <= max(silences)


@given(schedules(), st.integers(-(10**15), 10**15), st.booleans(), st.data())
def test_another_epoch_changes_no_gap(
    schedule: tuple[list[int], list[int]], shift_ns: int, at_radio: bool, data: st.DataObject
) -> None:
    """Clocks that both count from elsewhere give the same gap."""
    sent, arrived = schedule
    arrivals = [(n, sent[n], sent[n] + data.draw(st.integers(0, 30 * STEP))) for n in arrived]
    out_ns = data.draw(st.integers(0, 400 * STEP))
    in_ns = out_ns + data.draw(st.integers(0, 30 * STEP))
    here = direction(arrivals, sent, at_radio=at_radio)
    there = direction([(n, s + shift_ns, r + shift_ns) for n, s, r in arrivals], sent, at_radio=at_radio)
    assert here.gap_ns(out_ns, in_ns) == there.gap_ns(out_ns + shift_ns, in_ns + shift_ns)


@given(schedules())
def test_lost_and_arrived_make_up_what_was_sent(schedule: tuple[list[int], list[int]]) -> None:
    """Lost numbers and distinct arrived numbers are together all that was sent, and share none."""
    sent, arrived = schedule
    judged = direction([(n, sent[n], sent[n]) for n in [*arrived, *arrived]], sent)
    assert sorted([*judged.lost, *arrived]) == list(range(len(sent)))
    assert judged.duplicated == len(arrived)


@pytest.mark.parametrize("length", [0, 1])
def test_one_arrival_is_no_pair(length: int) -> None:
    """A single arrival has no neighbour: no gap, no crash."""
    assert direction(steady([0]), [0]).gap_ns(DELAY - length, DELAY) is None
