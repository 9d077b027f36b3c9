"""The bus for consumers without an event loop: the verbs of lies.bus.Client as calls that wait."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any, Self

from lies.bus._blocking import BlockingConnection
from lies.bus._blocking_verbs import BlockingVerbs
from lies.bus._directory import BUS
from lies.bus._handler import REQUEST_TIMEOUT_S, STREAM_LIMIT, EventCallback, Handler
from lies.bus._registration import EVERY_LINK
from lies.bus._route import Where
from lies.bus._session import ConsumerSession
from lies.bus._verbs import checked
from lies.bus.frames import primitive_frames
from lies.bus.messages import Gap, LinkState, Plugins, PluginsRequest, PluginState, Snapshot, SnapshotRequest
from lies.errors import TimedOut
from lies.events import Indication, Raw
from lies.runtime import now_s, wall_ns

_log = logging.getLogger("lies.bus")


class _Answer:
    """The answer that a call waits for."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, result: Any, /) -> None:  # noqa: ANN401 - any confirm, or a Snapshot
        self.result, self._done = result, True

    def set_exception(self, exception: Exception, /) -> None:
        self.error, self._done = exception, True


class BlockingClient(ConsumerSession, BlockingVerbs, Handler):
    """The verbs of lies.bus.Client for one thread without an event loop; made by `connect`.

    Driven by its own calls: whichever waits (`next_event`, `events`, `serve`, a request) also reads what the
    daemon sends, sends heartbeats, repairs holes, and registers anew after a restart. Events that come
    meanwhile wait in a queue. Callbacks are called by `next_event` and `events` only, in the order in which
    things happened, and what they raise is the caller's. The daemon forgets a consumer that calls nothing
    for 30 s: the next call connects again, with a Gap (`last` None) and a Snapshot as after a restart.
    """

    def __init__(
        self,
        where: Where,
        *,
        name: str,
        protocol: str = "ipv6",
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        limit: int = STREAM_LIMIT,
    ) -> None:
        BlockingVerbs.__init__(self, name, wall_ns())
        ConsumerSession.__init__(self, protocol)
        self._timeout_s = request_timeout_s
        self._limit = limit
        self._known: dict[str, LinkState] = {}
        self._queue: deque[tuple[int, int, Indication | Raw] | Gap | Snapshot] = deque()
        self._event_callbacks: list[EventCallback] = []
        self._gap_callbacks: list[Callable[[Gap], None]] = []
        self._snapshot_callbacks: list[Callable[[Snapshot], None]] = []
        self._connection = BlockingConnection(where, BUS, self)

    @classmethod
    def connect(
        cls,
        where: Where,
        *,
        name: str,
        protocol: str = "ipv6",
        timeout_s: float = 2.0,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        limit: int = STREAM_LIMIT,
    ) -> Self:
        """Connect to the daemon with this runtime directory, or on another host; NoDaemon, NotPermitted.

        protocol: protocol ID of the consumer in tags (RFC 5184 section 3); limit: events that may wait for
        next_event before they are lost, with a Gap.
        """
        client = cls(where, name=name, protocol=protocol, request_timeout_s=request_timeout_s, limit=limit)
        client._connection.open(timeout_s)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bus; safe to call twice. Events that wait can still be taken."""
        self._connection.close("the consumer ends")
        self._fail_pending("the client was closed")

    @property
    def connected(self) -> bool:
        """The daemon answered and was heard when somebody listened last."""
        return self._connection.up

    @property
    def epoch(self) -> int:
        """Epoch of the daemon that was last connected to."""
        return self._connection.epoch

    @property
    def known_links(self) -> dict[str, LinkState]:
        """Link states as of the last snapshots, by name; events since then are not worked in."""
        return dict(self._known)

    def links(self, link: str = EVERY_LINK) -> tuple[LinkState, ...]:
        """The states of all links now, or of one (empty if there is none)."""
        snapshot: Snapshot = self._ask_any(SnapshotRequest(next(self._request_ids), link))
        return snapshot.links

    def plugins(self) -> tuple[PluginState, ...]:
        """How the daemon's configured drivers and consumers are."""
        answer: Plugins = self._ask_any(PluginsRequest(next(self._request_ids)))
        return answer.plugins

    # ---- what is heard

    def on_event(self, callback: EventCallback) -> None:
        """Call back for every delivered indication, just before next_event returns it."""
        self._event_callbacks.append(callback)

    def on_gap(self, callback: Callable[[Gap], None]) -> None:
        """Call back when indications are lost for good; a snapshot follows."""
        self._gap_callbacks.append(callback)

    def on_snapshot(self, callback: Callable[[Snapshot], None]) -> None:
        """Call back for every snapshot: after each registration, after a gap, after a reconnection."""
        self._snapshot_callbacks.append(callback)

    def next_event(
        self, timeout_s: float | None = None, *, descriptors: Collection[int] = ()
    ) -> Indication | Raw | None:
        """The next indication; None if none comes within timeout_s (None: for ever), or after `close`.

        None as well as soon as one of the file descriptors is readable and no event waits.
        """
        end_s = None if timeout_s is None else now_s() + timeout_s
        self._connection.breathe()
        while True:
            while self._queue:
                event = self._taken(self._queue.popleft())
                if event is not None:
                    return event
            left_s = None if end_s is None else max(0.0, end_s - now_s())
            self._connection.wait(left_s, lambda: bool(self._queue), descriptors=descriptors)
            if not self._queue:
                return None

    def events(self, timeout_s: float | None = None) -> Iterator[Indication | Raw]:
        """The indications of the next timeout_s seconds (None: for ever), until the client is closed."""
        end_s = None if timeout_s is None else now_s() + timeout_s
        while True:
            event = self.next_event(None if end_s is None else max(0.0, end_s - now_s()))
            if event is None:
                return
            yield event

    def serve(self, timeout_s: float | None = None, *, descriptors: Collection[int] = ()) -> bool:
        """Keep the session alive while the caller waits for something else; events wait meanwhile.

        True as soon as one of the file descriptors is readable, False after timeout_s (None: never).
        """
        return self._connection.wait(timeout_s, lambda: False, descriptors=descriptors)

    def _taken(self, item: tuple[int, int, Indication | Raw] | Gap | Snapshot) -> Indication | Raw | None:
        match item:
            case Gap():
                for on_gap in tuple(self._gap_callbacks):
                    on_gap(item)
                return None
            case Snapshot():
                for on_snapshot in tuple(self._snapshot_callbacks):
                    on_snapshot(item)
                return None
        for on_event in tuple(self._event_callbacks):
            on_event(item[2])
        return item[2]

    # ---- requests

    def _ask(self, request: Any) -> Any:  # noqa: ANN401 - any request and its confirm
        return checked(self._ask_any(request))

    def _ask_any(self, request: Any) -> Any:  # noqa: ANN401 - as above
        if self._connection.closed:
            raise TimedOut(f"the client {self.name} was closed")
        end_s = now_s() + self._timeout_s
        answer = _Answer()
        try:
            if self._connection.wait(self._timeout_s, lambda: self._connection.up):
                self._sent(request, answer)
                self._connection.wait(max(0.0, end_s - now_s()), answer.done, answered=True)
        finally:
            if not answer.done():
                self._unwanted(request)
        if answer.error is not None:
            raise answer.error
        if not answer.done():
            raise TimedOut(f"the daemon did not answer within {self._timeout_s:g} s")
        return answer.result

    def _send_report(self, report: Indication) -> None:
        self._connection.breathe()
        if not self._send(primitive_frames(report, layer="L3", protocol=self._protocol)):
            _log.warning("a report of %s was lost: the daemon cannot take it", self.name)

    # ---- lies.bus._session.ConsumerSession

    @property
    def _closed(self) -> bool:
        return self._connection.closed

    def _send(self, frames: list[bytes]) -> bool:
        return self._connection.send(frames)

    def _hear_event(self, registration: int, sequence: int, message: Any) -> list[tuple[int, int, int]]:  # noqa: ANN401 - any indication
        if len(self._queue) >= self._limit:
            lost: dict[int, tuple[int, int]] = {}
            waiting, self._queue = self._queue, deque()
            for item in waiting:
                if isinstance(item, tuple):
                    number, place, _ = item
                    lost[number] = (lost.get(number, (place, place))[0], place)
                elif isinstance(item, Gap):
                    self._queue.append(item)  # snapshots before what is lost are of no use any more
            for number, (first, last) in lost.items():
                self._stream_lost(number, first, last)
        self._queue.append((registration, sequence, message))
        return []

    def _hear_gap(self, gap: Gap) -> None:
        if self._gap_callbacks:
            self._queue.append(gap)
        else:
            _log.warning(
                "%s lost indications of %s on %s, and has no on_gap", self.name, gap.primitive, gap.link
            )

    def _hear_snapshot(self, snapshot: Snapshot, *, all_links: bool) -> None:
        if all_links:
            self._known.clear()
        self._known.update({state.link.name: state for state in snapshot.links})
        if self._snapshot_callbacks and len(self._queue) < self._limit:
            self._queue.append(snapshot)

    # ---- lies.bus._connection.Handler

    def writable(self) -> None:
        """Nothing waits for this."""
