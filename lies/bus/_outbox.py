"""What waits for one session that cannot take more: bounded, and nothing of it lost silently."""

from collections import deque
from collections.abc import Callable
from itertools import chain, islice

from attrs import define

from lies.bus._registration import Registration
from lies.bus.frames import batch_frames, bus_frames
from lies.bus.messages import Gap, Snapshot

LIMIT = 4096
BATCH = 64  # deliveries in one message
BATCH_SIZE = 32768  # octets of them, unless one alone has more


@define
class _Queued:
    """Frames that wait; registration None: not a delivery, never dropped."""

    frames: list[bytes]
    registration: Registration | None = None
    sequence: int = 0
    publisher: str | None = None


class Outbox:
    """Frames on their way to one peer; `send` says whether it took them.

    Overflow drops every delivery that waits and, until the peer takes messages again, those that come;
    then a Gap per registration and one snapshot of all links follow, so that the session goes on from the
    present and not from a stale past. Confirms and snapshots are never dropped: a peer with more than
    `limit` of those waiting is `stuck`.

    later: None for a peer that reads no Batch. To all others the first delivery of a burst goes at once;
    what comes before the `settle` that `later` was asked for goes in batches, the rest with `settle`.
    """

    def __init__(
        self,
        send: Callable[[list[bytes]], bool],
        snapshot: Callable[[], Snapshot],
        *,
        limit: int = LIMIT,
        later: "Callable[[Outbox], None] | None" = None,
    ) -> None:
        self._send = send
        self._snapshot = snapshot
        self._limit = limit
        self._queue: deque[_Queued] = deque()
        self._lost: dict[int, Gap] = {}
        self._later = later
        self._bursting = False
        self._full = False
        self.dropped = 0
        self.gaps = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is to be told."""
        return not self._queue and not self._lost

    @property
    def stuck(self) -> bool:
        """More waits than may be dropped."""
        return len(self._queue) > self._limit

    def control(self, frames: list[bytes]) -> None:
        """Send something that is never dropped."""
        if not self._queue and not self._lost and self._send(frames):
            return
        self._queue.append(_Queued(frames))
        if self._bursting and not self._full:
            self.flush()

    def deliver(self, frames: list[bytes], registration: Registration, sequence: int, publisher: str) -> None:
        """Send a delivery; the rest says what is lost if it has to go."""
        if self._lost:
            self._lose(registration, sequence, publisher)
            return
        if not self._queue and not self._bursting and self._send(frames):
            if self._later is not None:
                self._bursting = True
                self._later(self)
            return
        self._queue.append(_Queued(frames, registration, sequence, publisher))
        if len(self._queue) > self._limit:
            self._overflow()
        elif self._bursting and not self._full and len(self._queue) >= BATCH:
            self.flush()

    def settle(self) -> None:
        """The burst that `later` was told of is over."""
        self._bursting = False
        if self._queue and not self._full:
            self.flush()

    def flush(self) -> None:
        """Send what the peer takes now."""
        while True:
            while self._queue:
                count = self._packable()
                if not self._send(self._packed(count)):
                    self._full = True
                    return
                for _ in range(count):
                    self._queue.popleft()
            self._full = False
            if not self._lost:
                return
            lost, self._lost = self._lost, {}
            self.gaps += len(lost)
            for message in chain(lost.values(), (self._snapshot(),)):
                self._queue.append(_Queued(bus_frames(message)))

    def _packable(self) -> int:
        """How many of what waits go in one message."""
        count = size = 0
        if self._later is not None:
            for queued in self._queue:
                if queued.registration is None or count == BATCH:
                    break
                size += len(queued.frames[2])
                if size > BATCH_SIZE:
                    break
                count += 1
        return max(count, 1)

    def _packed(self, count: int) -> list[bytes]:
        if count == 1:
            return self._queue[0].frames
        return batch_frames([queued.frames for queued in islice(self._queue, count)])

    def _overflow(self) -> None:
        waiting, self._queue = self._queue, deque()
        for queued in waiting:
            if queued.registration is None:
                self._queue.append(queued)
            else:
                self._lose(queued.registration, queued.sequence, queued.publisher)

    def _lose(self, registration: Registration, sequence: int, publisher: str | None) -> None:
        self.dropped += 1
        first = last = sequence
        known = self._lost.get(registration.id)
        if known is not None:
            first, last = min(first, known.first), max(last, known.last or 0)
            publisher = publisher if publisher == known.publisher else None
        self._lost[registration.id] = Gap(
            registration.id, registration.primitive, registration.link, publisher, first, last
        )
