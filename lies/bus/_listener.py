"""What a consumer hears: callbacks and event streams, the same over a socket and in the daemon's process."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from lies.bus._handler import STREAM_LIMIT, EventCallback
from lies.bus.messages import Gap, LinkState, Snapshot
from lies.events import Indication, Raw


class EventStream:
    """One `async for`: a bounded queue of events with the places they had."""

    def __init__(self, limit: int, close: Callable[["EventStream"], None]) -> None:
        self._limit = limit
        self._forget = close
        self._queue: deque[tuple[int, int, Indication | Raw]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, registration: int, sequence: int, message: Indication | Raw) -> dict[int, tuple[int, int]]:
        """Add an event; when full, all before it go: registration -> first and last that went."""
        lost: dict[int, tuple[int, int]] = {}
        if len(self._queue) >= self._limit:
            for number, place, _ in self._queue:
                lost[number] = (lost.get(number, (place, place))[0], place)
            self._queue.clear()
        self._queue.append((registration, sequence, message))
        self._wake()
        return lost

    def close(self) -> None:
        """End the iteration once what is queued was taken."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def iterate(self) -> AsyncIterator[Indication | Raw]:
        """The events, in order."""
        try:
            while True:
                while self._queue:
                    yield self._queue.popleft()[2]
                if self._closed:
                    return
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
        finally:
            self._forget(self)


class Listener:
    """Callbacks and streams of a consumer; `failed` is told what a callback raised."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._event_callbacks: list[EventCallback] = []
        self._gap_callbacks: list[Callable[[Gap], None]] = []
        self._snapshot_callbacks: list[Callable[[Snapshot], None]] = []
        self._streams: list[EventStream] = []
        self._known: dict[str, LinkState] = {}

    def on_event(self, callback: EventCallback) -> None:
        """Call back for every delivered indication, in order, on the loop, without a task switch."""
        self._event_callbacks.append(callback)

    def on_gap(self, callback: Callable[[Gap], None]) -> None:
        """Call back when indications are lost for good; a snapshot follows."""
        self._gap_callbacks.append(callback)

    def on_snapshot(self, callback: Callable[[Snapshot], None]) -> None:
        """Call back for every snapshot: after each registration, after a gap, after a reconnection."""
        self._snapshot_callbacks.append(callback)

    def events(self, *, limit: int = STREAM_LIMIT) -> AsyncIterator[Indication | Raw]:
        """Every indication delivered from this call on, as an async iterator that ends with the client.

        One that lags by more than `limit` events loses them; on_gap says which, a snapshot follows.
        """
        stream = EventStream(limit, self._forget_stream)
        self._streams.append(stream)
        return stream.iterate()

    @property
    def known_links(self) -> dict[str, LinkState]:
        """Link states as of the last snapshots, by name; events since then are not worked in."""
        return dict(self._known)

    def _forget_stream(self, stream: EventStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)

    def _end_streams(self) -> None:
        for stream in tuple(self._streams):
            stream.close()

    def _hear_event(self, registration: int, sequence: int, message: Any) -> list[tuple[int, int, int]]:  # noqa: ANN401 - any indication
        """Hand an event out; what streams lost by it: (registration, first, last)."""
        for callback in tuple(self._event_callbacks):
            self._call(callback, message)
        lost: list[tuple[int, int, int]] = []
        for stream in tuple(self._streams):
            for number, (first, last) in stream.put(registration, sequence, message).items():
                lost.append((number, first, last))
        return lost

    def _hear_gap(self, gap: Gap) -> None:
        for callback in tuple(self._gap_callbacks):
            self._call(callback, gap)

    def _hear_snapshot(self, snapshot: Snapshot, *, all_links: bool) -> None:
        if all_links:
            self._known.clear()
        self._known.update({state.link.name: state for state in snapshot.links})
        for callback in tuple(self._snapshot_callbacks):
            self._call(callback, snapshot)

    def _call(self, callback: Callable[[Any], None], argument: object) -> None:
        try:
            callback(argument)
        except Exception as error:  # noqa: BLE001 - a consumer's bug must not stop its events or the bus
            self._failed(error)
