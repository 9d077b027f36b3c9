"""The bounded queue of one session, and the order of deliveries at its consumer."""

from itertools import chain

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from lies.bus import Gap, Snapshot
from lies.bus._order import MOST_AHEAD, Order
from lies.bus._outbox import Outbox
from lies.bus._registration import Registration
from lies.bus.frames import Event, bus_frames, decode, decode_all, delivery_frames, event_tag
from lies.bus.messages import Goodbye
from lies.events import Header, Link, LinkDownRequest, LinkUp, LinkUpRequest, Technology
from lies.events.wire import encode_body

UP = Registration(1, None, LinkUpRequest(1, "*"), history=4)
DOWN = Registration(2, None, LinkDownRequest(1, "wlan0"), history=4)
HEADER = Header("sim", 1, 1, 1, 1, Link("wlan0", Technology.WIFI))
INDICATION = LinkUp(HEADER, "ap1")
BODY = encode_body(INDICATION)
TAG = event_tag("link_up", layer="L3", protocol="ipv6")


@define
class Pipe:
    """A peer's queue with room for some messages."""

    room: int
    taken: list[list[bytes]] = field(factory=list)

    def send(self, frames: list[bytes]) -> bool:
        """Take a message if there is room."""
        if self.room <= 0:
            return False
        self.room -= 1
        self.taken.append(frames)
        return True

    def told(self) -> list[object]:
        """Gaps and snapshots as objects, everything else as it is."""
        return [decode(f).message if len(f) == 3 else f[0] for f in self.taken]


def outbox(pipe: Pipe, limit: int) -> Outbox:
    """An outbox whose snapshots are empty."""
    return Outbox(pipe.send, lambda: Snapshot(()), limit=limit)


def test_passes_through_while_there_is_room() -> None:
    """With room everything is sent at once."""
    pipe = Pipe(10)
    box = outbox(pipe, 2)
    for i in range(5):
        box.deliver([b"%d" % i], UP, i + 1, "sim")
    assert box.idle
    assert len(pipe.taken) == 5


def test_waits_in_order() -> None:
    """What does not fit waits, and goes out in order before anything later."""
    pipe = Pipe(1)
    box = outbox(pipe, 10)
    for i in range(4):
        box.deliver([b"%d" % i], UP, i + 1, "sim")
    box.control([b"confirm"])
    pipe.room = 3
    box.flush()
    pipe.room = 10
    box.deliver([b"4"], UP, 5, "sim")
    assert not box.idle
    box.flush()
    assert [f[0] for f in pipe.taken] == [b"0", b"1", b"2", b"3", b"confirm", b"4"]
    assert box.idle
    assert box.dropped == 0


def test_overflow_is_told_with_exact_numbers() -> None:
    """On overflow a Gap per registration names first and last lost, then come a snapshot and the present."""
    pipe = Pipe(2)
    box = outbox(pipe, 4)
    for i in range(1, 8):
        box.deliver([b"u%d" % i], UP, i, "sim")
    for i in range(1, 4):
        box.deliver([b"d%d" % i], DOWN, i, "sim" if i < 3 else "modem")
    assert not box.idle
    pipe.room = 100
    box.flush()
    box.deliver([b"u8"], UP, 8, "sim")
    assert pipe.told() == [
        b"u1",
        b"u2",
        Gap(1, "link_up", "*", "sim", 3, 7),
        Gap(2, "link_down", "wlan0", None, 1, 3),
        Snapshot(()),
        b"u8",
    ]
    assert (box.dropped, box.gaps) == (8, 2)


class Bursts:
    """A peer that reads Batch, and the end of a burst when the test says so."""

    def __init__(self, room: int, limit: int) -> None:
        self.pipe = Pipe(room)
        self.asked: list[Outbox] = []
        self.box = Outbox(self.pipe.send, lambda: Snapshot(()), limit=limit, later=self.asked.append)

    def deliver(self, *sequences: int, registration: Registration = UP, body: bytes = b"") -> None:
        """Deliver these numbers."""
        for sequence in sequences:
            frames = delivery_frames(TAG, Event(INDICATION, body or BODY), registration.id, sequence)
            self.box.deliver(frames, registration, sequence, "sim")

    def settle(self) -> None:
        """The burst is over."""
        asked, self.asked[:] = tuple(self.asked), ()
        for box in asked:
            box.settle()

    def numbers(self) -> list[list[int] | object]:
        """Per message: the sequence numbers in it, or what else it is."""
        return [self._number(frames) for frames in self.pipe.taken]

    def _number(self, frames: list[bytes]) -> list[int] | object:
        received = decode_all(frames)
        if any(r.place is None for r in received):
            message: object = received[0].message
            return message
        return [r.place[1] for r in received if r.place is not None]


def test_first_of_a_burst_goes_at_once_the_rest_together() -> None:
    """A single delivery is never kept back; what follows in the same go is one message, at its end."""
    burst = Bursts(100, 1000)
    burst.deliver(1)
    assert burst.numbers() == [[1]]
    burst.deliver(2, 3, 4)
    assert burst.numbers() == [[1]]
    burst.settle()
    burst.deliver(5)
    assert burst.numbers() == [[1], [2, 3, 4], [5]]
    burst.settle()
    assert burst.asked == []
    assert burst.box.idle


def test_batches_are_bounded() -> None:
    """A batch has 64 deliveries and 32 KiB at most; a full one does not wait for the end of the burst."""
    burst = Bursts(100, 1000)
    burst.deliver(*range(1, 101))
    assert burst.numbers() == [[1], list(range(2, 66))]
    burst.settle()
    assert burst.numbers()[2] == list(range(66, 101))
    big = Bursts(100, 1000)
    big.deliver(*range(1, 8), body=encode_body(LinkUp(HEADER, "a" * 16_000)))
    big.settle()
    assert big.numbers() == [[1], [2, 3], [4, 5], [6, 7]]


def test_confirm_comes_behind_the_deliveries_before_it() -> None:
    """What is no delivery neither overtakes a burst nor waits for its end."""
    burst = Bursts(100, 1000)
    burst.deliver(1, 2, 3)
    burst.box.control(bus_frames(Goodbye("bye")))
    burst.deliver(4, 5)
    burst.settle()
    assert burst.numbers() == [[1], [2, 3], Goodbye("bye"), [4, 5]]


def test_full_peer_gets_the_rest_in_batches() -> None:
    """What waits for a peer that was full goes in batches; overflow is told as ever."""
    burst = Bursts(2, 10)
    burst.deliver(1, *range(2, 6))
    burst.settle()
    burst.deliver(*range(6, 9))
    burst.settle()
    burst.deliver(9, 10)
    burst.pipe.room = 1
    burst.box.flush()
    assert burst.numbers() == [[1], [2, 3, 4, 5], [6, 7, 8, 9, 10]]
    burst.deliver(*range(11, 30))
    burst.settle()
    burst.deliver(30)
    burst.pipe.room = 9
    burst.box.flush()
    assert burst.numbers()[3:] == [Gap(1, "link_up", "*", "sim", 11, 30), Snapshot(())]
    assert burst.box.dropped == 20


def test_confirms_survive_an_overflow() -> None:
    """A Confirm that waits is not dropped and comes before the Gap."""
    pipe = Pipe(0)
    box = outbox(pipe, 2)
    box.control([b"confirm"])
    for i in range(1, 6):
        box.deliver([b"x"], UP, i, "sim")
    pipe.room = 9
    box.flush()
    assert pipe.told() == [b"confirm", Gap(1, "link_up", "*", "sim", 1, 5), Snapshot(())]


def test_gap_that_does_not_fit_waits_too() -> None:
    """A blocked Gap is not forgotten, and deliveries after it stay behind its snapshot."""
    pipe = Pipe(0)
    box = outbox(pipe, 2)
    for i in range(1, 5):
        box.deliver([b"x%d" % i], UP, i, "sim")
    pipe.room = 1
    box.flush()
    box.deliver([b"x5"], UP, 5, "sim")
    pipe.room = 9
    box.flush()
    assert pipe.told() == [Gap(1, "link_up", "*", "sim", 1, 4), Snapshot(()), b"x5"]


def test_who_asks_and_never_listens_is_stuck() -> None:
    """More confirms than the limit cannot be dropped: the peer is stuck."""
    box = outbox(Pipe(0), 3)
    for _ in range(3):
        box.control(bus_frames(Snapshot(())))
    assert not box.stuck
    box.control(bus_frames(Snapshot(())))
    assert box.stuck


@given(
    st.lists(st.one_of(st.integers(1, 6), st.just("event"), st.just("other")), max_size=120),
    st.integers(1, 6),
    st.booleans(),
)
def test_every_event_is_sent_or_told_lost(steps: list[int | str], limit: int, batches: bool) -> None:
    """However the peer reads: deliveries and gaps together are 1..n without hole or double, in order."""
    pipe = Pipe(0)
    asked: list[Outbox] = []
    box = Outbox(pipe.send, lambda: Snapshot(()), limit=limit, later=asked.append if batches else None)
    given_out = {1: 0, 2: 0}
    for step in steps:
        if isinstance(step, int):
            pipe.room = step
            for waiting in asked:
                waiting.settle()
            asked.clear()
            box.flush()
            continue
        registration = UP if step == "event" else DOWN
        given_out[registration.id] += 1
        number = given_out[registration.id]
        frames = delivery_frames(TAG, Event(INDICATION, BODY), registration.id, number)
        box.deliver(frames, registration, number, "sim")
    pipe.room = 10_000
    box.flush()
    covered: dict[int, int] = {1: 0, 2: 0}
    owed = False
    for received in chain.from_iterable(decode_all(frames) for frames in pipe.taken):
        message = received.message
        if isinstance(message, Gap):
            assert message.first == covered[message.registration] + 1
            assert message.last is not None
            covered[message.registration] = message.last
            owed = True
        elif isinstance(message, Snapshot):
            owed = False
        else:
            assert not owed
            assert received.place is not None
            registration_id, sequence = received.place
            assert sequence == covered[registration_id] + 1
            covered[registration_id] += 1
    assert covered == given_out
    assert not owed
    assert box.idle


def test_order_holds_back_until_the_hole_is_filled() -> None:
    """Deliveries behind a hole come out, in order, when it is filled; doubles do not."""
    order: Order[str] = Order()
    assert order.take(1, "a") == [(1, "a")]
    assert order.take(1, "again") == []
    assert order.take(4, "d") == []
    assert order.missing == (2, 3)
    assert order.take(3, "c") == []
    assert order.missing == (2, 2)
    assert order.take(2, "b") == [(2, "b"), (3, "c"), (4, "d")]
    assert order.missing is None
    assert order.take(3, "late") == []


def test_order_gives_up_what_is_lost() -> None:
    """A Gap names only what did not come, and lets out what waited behind it."""
    order: Order[str] = Order()
    order.take(1, "a")
    order.take(5, "e")
    order.take(3, "c")
    assert order.give_up(1, 4) == ((2, 4), [(3, "c"), (5, "e")])
    assert order.last == 5
    assert order.give_up(2, 4) == (None, [])
    assert order.give_up(6, 9) == ((6, 9), [])
    assert order.take(10, "x") == [(10, "x")]


def test_order_is_bounded() -> None:
    """A hole that is never repaired is noticed by what piles up behind it."""
    order: Order[int] = Order()
    for i in range(MOST_AHEAD):
        order.take(i + 2, i)
    assert not order.overfull
    order.take(MOST_AHEAD + 2, 0)
    assert order.overfull


@given(st.lists(st.integers(1, 30)))
def test_order_delivers_each_once(sequences: list[int]) -> None:
    """Whatever order they come in, deliveries come out ascending, each once, without hole."""
    order: Order[int] = Order()
    out = [sequence for s in sequences for sequence, _ in order.take(s, s)]
    assert out == list(range(1, len(out) + 1))
    assert order.last == len(out)
