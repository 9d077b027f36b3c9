"""Parts of the bench by themselves: when is sent, what came, which octets, which figures."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from attrs import evolve

from lies.abstract import AbstractEntity, AeParameters
from lies.bench._board import Board
from lies.bench._drive import drive
from lies.bench._figures import compare, percentile
from lies.bench._frames import (
    Deliveries,
    confirm_frames,
    request_frames,
    take_confirm,
    take_delivery,
)
from lies.bench._orders import Ask, Feed, Receive, Received, Send, Sent, Turn, decode, encode
from lies.bench._pace import Pace, Tally, total
from lies.bus.frames import Event, delivery_frames, event_tag, primitive_frames
from lies.bus.frames import decode as decode_frames
from lies.errors import MalformedMessage
from lies.events import Header, Link, LinkDown, LinkUp, Sample, Technology
from lies.runtime import monotonic_ns

LINK = Link("bench0", Technology.WIFI)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board of a bench."""
    one = Board.create(tmp_path / "board")
    yield one
    one.close()


def test_board_is_shared(board: Board, tmp_path: Path) -> None:
    """What one mapping of the file is told, the other sees; the slowest of several counts."""
    other = Board(tmp_path / "board")
    other.set(3, 7)
    other.set(4, 1 << 40)
    assert board.slowest([3]) == 7
    assert board.slowest([3, 4]) == 7
    assert board.slowest([4]) == 1 << 40
    assert board.slowest([3, 5]) == 0
    other.close()


@pytest.mark.parametrize("window", [1, 70, 1000])
def test_windowed_sender_is_never_further_ahead(board: Board, window: int) -> None:
    """A sender has at most `window` events under way to the slowest receiver, and sends all."""
    pace = Pace(Send(500, (0, 1), window=window), board)
    sent, came = -1, 0  # the first opens
    for step in pace.steps():
        if isinstance(step, int):
            sent += step
            continue
        came = min(sent + 1, came + 33)
        board.set(0, sent + 1)
        board.set(1, came)
        assert sent - max(0, came - 1) <= window
    assert sent == 500
    assert pace.sent.sent == 500
    assert not pace.sent.stalled


def test_regular_sender_sends_each_when_it_is_due(board: Board) -> None:
    """At a steady rate the events go one by one, none before it is due."""
    pace = Pace(Send(4, (0,), every_ns=100_000_000), board)
    sends, slept_s = 0, 0.0
    for step in pace.steps():
        if isinstance(step, int):
            assert step == 1
            sends += 1
            board.set(0, 1)
        else:
            slept_s = max(slept_s, step)
    assert sends == 5  # with the one that opens
    assert 0.1 < slept_s <= 0.3  # nobody slept here: the last one is due 300 ms after the first


def test_senders_take_turns(board: Board) -> None:
    """Two senders at one steady rate send by turns, so many each, from the time that the board says."""
    interval_ns = 100 * 10**9
    board.start_ns = monotonic_ns() + interval_ns
    due_ns: list[list[int]] = []
    for place in range(2):
        pace = Pace(Send(5, (0,), every_ns=interval_ns, turn=Turn(2, 2, place)), board)
        due_ns.append([])
        for step in pace.steps():
            if isinstance(step, int):
                board.set(0, 1)
            else:
                due_ns[-1].append(monotonic_ns() + round(step * 1e9) - board.start_ns)
        assert pace.sent.sent == 5
    places = [[round(ns / interval_ns) for ns in each] for each in due_ns]
    assert places == [[0, 1, 4, 5, 8], [2, 3, 6, 7, 10]]


def test_sender_gives_up_when_nothing_moves(board: Board) -> None:
    """Receivers that stand still for the order's patience end the segment; it says so."""
    pace = Pace(Send(500, (0,), window=100, patience_s=0.05), board)
    sent = 0
    for step in pace.steps():
        if isinstance(step, int):
            sent += step
            board.set(0, 1)
    assert pace.sent.stalled
    assert pace.sent.sent == 100 == sent - 1


def test_sender_without_a_receiver_sends_nothing(board: Board) -> None:
    """A segment that no receiver has opened is not sent."""
    pace = Pace(Send(500, (0,), patience_s=0.05), board)
    assert sum(step for step in pace.steps() if isinstance(step, int)) == 1
    assert pace.sent == Sent(0, 0, stalled=True)


def tally(board: Board, numbers: list[int], count: int = 5) -> Tally:
    """What has taken these sequence numbers."""
    one = Tally(Receive(count, (0,), keep=True), 0, board)
    for number in numbers:
        one.take(number, 0)
    return one


def test_all_that_was_sent_came(board: Board) -> None:
    """The first number opens the segment, and the five after it complete it."""
    one = tally(board, [10, 11, 12, 13, 14, 15])
    assert one.complete
    assert one.received.received == 5
    assert len(one.received.latencies_ns) == 5
    assert board.slowest([0]) == 6


def test_holes_are_not_taken_for_received(board: Board) -> None:
    """Numbers that never came are missing, though the last one came."""
    one = tally(board, [10, 11, 14, 15])
    assert not one.complete
    assert one.received.received == 3


def test_a_repaired_hole_is_no_loss(board: Board) -> None:
    """What comes late has come; what comes twice counts once, and is told."""
    one = tally(board, [10, 11, 14, 12, 12, 11, 15, 13])
    assert one.complete
    assert (one.received.received, one.received.doubled) == (5, 2)


def test_what_comes_after_a_gap_ends_the_segment(board: Board) -> None:
    """After a Gap was told, a number beyond the segment ends it; that one does not count."""
    one = tally(board, [10, 11])
    one.take(17, 0)
    assert not one.complete
    one.gap(None)
    one.take(18, 0)
    assert one.complete
    assert (one.received.received, one.received.gaps) == (1, 1)


def test_totals_over_receivers() -> None:
    """Sums over receivers; the last one to come ends the segment."""
    parts = [Received(3, 1, 0, 50, (1,)), Received(4, 0, 2, 40, (2, 3))]
    assert total(iter(parts)) == Received(7, 1, 2, 50, (1, 2, 3))


def test_floor_sends_the_octets_of_the_bus() -> None:
    """The floor's frames are, octet for octet, those of a delivery of the bus, and decode as one."""
    deliveries = Deliveries()
    for number, name in enumerate(("link_up", "link_down", "link_up"), 1):
        frames = deliveries.next()
        received = decode_frames(frames)
        message = received.message
        assert received.tag.name == name
        assert message.header.sequence == number
        assert received.place is not None
        tag = event_tag(received.tag.name, layer="L3", protocol="ipv6")
        assert frames == delivery_frames(tag, Event(message), *received.place)
        assert take_delivery(frames) == message.header


@pytest.mark.parametrize("kind", ["link_status", "link_connect"])
def test_floor_asks_and_confirms_as_the_bus(kind: str) -> None:
    """The floor's request and Confirm are those of a client and of the daemon."""
    asked = request_frames(Ask(1, kind, ""), 77)
    request = decode_frames(asked)
    assert asked == primitive_frames(request.message, layer="L2", protocol="wifi")
    answered = confirm_frames(asked)
    confirm = decode_frames(answered)
    assert answered == primitive_frames(confirm.message, layer="L3", protocol="ipv6")
    assert (request.tag.name, confirm.tag.name) == (kind, kind)
    assert take_confirm(answered) == 77


@pytest.mark.parametrize("order", [Send(3, (0, 1), window=5), Feed(10, Path("/x"), 2), Feed(10)])
def test_orders_cross_as_lines(order: Send | Feed) -> None:
    """An order is one line, and comes out as it went in."""
    line = encode(order)
    assert line.count(b"\n") == 1
    assert decode(line) == order


@pytest.mark.parametrize("line", [b"", b"[]", b'["Send", {}]', b'["Nothing", {}]', b"\xff"])
def test_a_line_that_is_no_order(line: bytes) -> None:
    """What is no order is refused."""
    with pytest.raises(MalformedMessage):
        decode(line)


def test_ratio_is_the_median_of_the_rounds() -> None:
    """Each round is compared with its own floor: noise that slows both changes nothing."""
    row = compare("x", "x", "us", [10.0, 300.0, 22.0], [10.0, 100.0, 10.0], goal=2.5)
    assert row.ratios == (1.0, 3.0, 2.2)
    assert (row.ours, row.floor, row.ratio, row.met) == (22.0, 10.0, 2.2, True)
    assert evolve(row, at_least=True).met is False
    assert evolve(row, goal=None).met is None
    assert row.figures() == {"x_ratio": 2.2, "x_us": 22.0, "x_floor_us": 10.0}


def test_what_never_came_is_not_fast() -> None:
    """A latency of no events meets no goal."""
    assert percentile([], 0.5) == math.inf
    assert compare("x", "x", "us", [percentile([], 0.5)], [10.0], goal=2.0).met is False
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 3.0
    assert percentile(list(range(1000)), 0.99) == 990


def test_made_drive_depends_on_its_seed_only() -> None:
    """The same seed gives the same items, another one others; the abstract entity takes them all."""
    items = list(islice(drive(1), 3000))
    assert items == list(islice(drive(1), 3000))
    assert items != list(islice(drive(2), 3000))
    entity = AbstractEntity(LINK, AeParameters(), lambda t_ns: Header("d", 1, 1, t_ns, t_ns, LINK))
    kinds = {type(indication) for item in items for indication in entity.feed(item)}
    assert entity.refused == 0
    assert {LinkUp, LinkDown} < kinds
    assert any(isinstance(item, Sample) and item.neighbours for item in items)
