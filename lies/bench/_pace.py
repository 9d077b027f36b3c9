"""When a sender sends, and what of it came: the same for the floor and for LIES."""

from collections.abc import Callable, Iterable, Iterator

from lies.bench._board import Board
from lies.bench._orders import Receive, Received, Send, Sent, Turn
from lies.runtime import monotonic_ns, now_s

WINDOW = 1000  # under way to one receiver: what ZeroMQ's own queues hold, far below where the bus tells a Gap
_LOOK_EVERY = 50  # events received between two notes on the board
_LOOK_AGAIN_S = 0.0005


class Pace:
    """The sender's side of a segment; `steps` says what to do next."""

    def __init__(self, order: Send, board: Board) -> None:
        self._order = order
        self._board = board
        self._sent = 0
        self._first_ns = 0
        self._stalled = False

    @property
    def sent(self) -> Sent:
        """What became of it."""
        return Sent(self._sent, self._first_ns, self._stalled)

    def steps(self) -> Iterator[int | float]:
        """An int: send so many now. A float: sleep so long, in s.

        The first one opens the segment and is not counted: the rest waits until every receiver has it.
        """
        for slot in self._order.slots:
            self._board.set(slot, 0)
        yield 1
        yield from self._until(lambda: self._progress() > 0)
        if self._stalled:
            return
        if self._order.turn is not None:
            yield from self._until(lambda: self._board.start_ns > 0)
            if self._stalled:
                return
        self._first_ns = self._board.start_ns if self._order.turn is not None else monotonic_ns()
        yield from self._regular() if self._order.every_ns else self._windowed()

    def rest(self) -> Iterator[float]:
        """After `steps`, for who closes its socket: sleep until every receiver has come to the end."""
        if not self._stalled:
            yield from self._until(lambda: self._progress() > self._order.count)

    def _progress(self) -> int:
        return self._board.slowest(self._order.slots)

    def _regular(self) -> Iterator[int | float]:
        turn = self._order.turn or Turn(self._order.count, 1, 0)
        while self._sent < self._order.count:
            rounds, within = divmod(self._sent, turn.events)
            before = (rounds * turn.senders + turn.place) * turn.events + within
            wait_ns = self._first_ns + before * self._order.every_ns - monotonic_ns()
            if wait_ns > 0:
                yield wait_ns / 1e9
            self._sent += 1
            yield 1

    def _windowed(self) -> Iterator[int | float]:
        count, window = self._order.count, self._order.window or self._order.count
        while self._sent < count and not self._stalled:
            free = self._progress() - 1 + window - self._sent
            if free <= 0:
                yield from self._until(lambda: self._progress() - 1 + window > self._sent)
                continue
            batch = min(self._order.burst, free, count - self._sent)
            self._sent += batch
            yield batch

    def _until(self, holds: Callable[[], bool]) -> Iterator[float]:
        """Sleep until it holds; stalled if the receivers do not move for the order's patience."""
        seen, since_s = -1, now_s()
        while not holds():
            progress, now = self._progress(), now_s()
            if progress != seen:
                seen, since_s = progress, now
            elif now - since_s > self._order.patience_s:
                self._stalled = True
                return
            yield _LOOK_AGAIN_S


class Tally:
    """The receiver's side of a segment at one slot, by the publisher's sequence numbers.

    The first number opens the segment; the `count` after it are to come, each once.
    """

    def __init__(self, order: Receive, slot: int, board: Board) -> None:
        self.complete = False
        self.gaps = 0
        self.last_ns = 0
        self.latencies_ns: list[int] = []
        self._count = order.count
        self._keep = order.keep
        self.slot = slot
        self._board = board
        self._opening: int | None = None
        self._next = 1
        self.came = 0
        self._doubled = 0
        self._missing: set[int] = set()

    def take(self, sequence: int, mono_ns: int) -> None:
        """An indication of this number has come; mono_ns: when it was measured."""
        now_ns = monotonic_ns()
        if self._opening is None:
            self._opening = sequence
            self._board.set(self.slot, 1)
            return
        place = sequence - self._opening
        if place == self._next:
            self._next = place + 1
        elif place > self._next:
            self._missing.update(range(self._next, min(place, self._count + 1)))
            self._next = place + 1
        elif place in self._missing:
            self._missing.discard(place)
        else:
            self._doubled += 1
            return
        if place <= self._count:
            self._count_in(now_ns, mono_ns)
        if place % _LOOK_EVERY == 0 or place >= self._count:
            self._board.set(self.slot, place + 1)
        # Before it goes on after a Gap, the bus has told all that is lost: what is missing will not come.
        if self._next > self._count and (self.gaps or not self._missing):
            self.complete = True

    def _count_in(self, now_ns: int, mono_ns: int) -> None:
        self.came += 1
        self.last_ns = now_ns
        if self._keep:
            self.latencies_ns.append(now_ns - mono_ns)

    def gap(self, gap: object) -> None:
        """The bus told that something is lost; what, the numbers say."""
        del gap
        self.gaps += 1

    @property
    def received(self) -> Received:
        """What came."""
        return Received(self.came, self._doubled, self.gaps, self.last_ns, tuple(self.latencies_ns))


def total(parts: Iterable[Received]) -> Received:
    """What came at several receivers together."""
    parts = tuple(parts)
    return Received(
        sum(p.received for p in parts),
        sum(p.doubled for p in parts),
        sum(p.gaps for p in parts),
        max(p.last_ns for p in parts),
        tuple(ns for p in parts for ns in p.latencies_ns),
    )
