"""What waits for one session that cannot take more: bounded, and nothing of it lost silently."""

from collections import deque
from collections.abc import Callable
from itertools import chain

from attrs import frozen

from lies.bus._registration import Registration
from lies.bus.frames import bus_frames
from lies.bus.messages import Gap, Snapshot

LIMIT = 4096


@frozen
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
    """

    def __init__(
        self,
        send: Callable[[list[bytes]], bool],
        snapshot: Callable[[], Snapshot],
        *,
        limit: int = LIMIT,
    ) -> None:
        self._send = send
        self._snapshot = snapshot
        self._limit = limit
        self._queue: deque[_Queued] = deque()
        self._lost: dict[int, Gap] = {}
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
        if self._queue or self._lost or not self._send(frames):
            self._queue.append(_Queued(frames))

    def deliver(self, frames: list[bytes], registration: Registration, sequence: int, publisher: str) -> None:
        """Send a delivery; the rest says what is lost if it has to go."""
        if self._lost:
            self._lose(registration, sequence, publisher)
        elif self._queue or not self._send(frames):
            self._queue.append(_Queued(frames, registration, sequence, publisher))
            if len(self._queue) > self._limit:
                self._overflow()

    def flush(self) -> None:
        """Send what the peer takes now."""
        while True:
            while self._queue:
                if not self._send(self._queue[0].frames):
                    return
                self._queue.popleft()
            if not self._lost:
                return
            lost, self._lost = self._lost, {}
            self.gaps += len(lost)
            for message in chain(lost.values(), (self._snapshot(),)):
                self._queue.append(_Queued(bus_frames(message)))

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
