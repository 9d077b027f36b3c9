"""The bounded queue of one session, and the order of deliveries at its consumer."""

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from lies.bus import Gap, Snapshot
from lies.bus._order import MOST_AHEAD, Order
from lies.bus._outbox import Outbox
from lies.bus._registration import Registration
from lies.bus.frames import bus_frames, decode
from lies.events import LinkDownRequest, LinkUpRequest

UP = Registration(1, None, LinkUpRequest(1, "*"), history=4)
DOWN = Registration(2, None, LinkDownRequest(1, "wlan0"), history=4)


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
)
def test_every_event_is_sent_or_told_lost(steps: list[int | str], limit: int) -> None:
    """However the peer reads: deliveries and gaps together are 1..n without hole or double, in order."""
    pipe = Pipe(0)
    box = outbox(pipe, limit)
    given_out = {1: 0, 2: 0}
    for step in steps:
        if isinstance(step, int):
            pipe.room = step
            box.flush()
            continue
        registration = UP if step == "event" else DOWN
        given_out[registration.id] += 1
        number = given_out[registration.id]
        box.deliver([b"%d" % registration.id, b"%d" % number], registration, number, "sim")
    pipe.room = 10_000
    box.flush()
    covered: dict[int, int] = {1: 0, 2: 0}
    owed = False
    for frames in pipe.taken:
        message = decode(frames).message if len(frames) == 3 else None
        if isinstance(message, Gap):
            assert message.first == covered[message.registration] + 1
            assert message.last is not None
            covered[message.registration] = message.last
            owed = True
        elif isinstance(message, Snapshot):
            owed = False
        else:
            assert not owed
            assert int(frames[1]) == covered[int(frames[0])] + 1
            covered[int(frames[0])] += 1
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
