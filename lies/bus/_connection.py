"""A peer's side of an endpoint: Hello, heartbeats, and the way back after a restart of the daemon."""

import asyncio
import logging
from collections import deque

import zmq

from lies.bus._handler import FIRST_INTERVAL_S, MAX_FROM_DAEMON, QUEUE_LIMIT, SILENCE_S, Handler
from lies.bus._route import Where, route
from lies.bus._socket import BusSocket, Sent
from lies.bus.frames import Received, bus_frames, decode_all
from lies.bus.messages import Goodbye, Heartbeat, Refusal, Refused, Welcome
from lies.bus.rights import Who
from lies.errors import LiesError, MalformedMessage, NoDaemon, NotPermitted
from lies.runtime import now_s

_log = logging.getLogger("lies.bus")


class Connection:
    """A DEALER to one endpoint of the daemon, connected again and again until it is closed."""

    def __init__(self, where: Where, name: str, handler: Handler) -> None:
        self._route = route(where, name)
        self._handler = handler
        self._socket: BusSocket | None = None
        self._queue: deque[list[bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._interval_s = FIRST_INTERVAL_S
        self._heard_s = 0.0
        self._due_s = now_s()  # the next tick
        self._asked_s = 0.0
        self._up = asyncio.Event()
        self._answered = asyncio.Event()
        self._refused: LiesError | None = None
        self._opening = False  # what goes wrong is raised, else it is logged
        self._causes = 0
        self.epoch = 0
        self.closed = False

    @property
    def up(self) -> bool:
        """The daemon answered Hello and is still heard."""
        return self._up.is_set()

    async def open(self, timeout_s: float) -> None:
        """Connect; NoDaemon if nothing answers in time, NotPermitted if we may not."""
        self._route.probe()
        self._opening = True
        self._begin()
        self._due_s = now_s()
        self._tick()
        try:
            async with asyncio.timeout(timeout_s):
                await self._answered.wait()
        except TimeoutError:
            self.close("no answer")
            raise NoDaemon(f"no daemon answers at {self._route.shown}") from None
        if self._refused is not None:
            self.close("refused")
            raise self._refused
        self._opening = False

    async def wait_up(self) -> None:
        """Wait until connected."""
        await self._up.wait()

    def send(self, frames: list[bytes]) -> bool:
        """Send, or queue while the daemon cannot take it; False if it is dropped."""
        if self._socket is None or not self.up:
            return False
        if not self._queue and self._socket.send(frames) is Sent.SENT:
            return True
        if len(self._queue) >= QUEUE_LIMIT:
            return False
        self._queue.append(frames)
        return True

    @property
    def waiting(self) -> int:
        """Messages that the daemon did not take yet."""
        return len(self._queue)

    def drop_waiting(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    def close(self, reason: str) -> None:
        """Say Goodbye and close; safe to call twice."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            if self.up:
                self._socket.send(bus_frames(Goodbye(reason)))
            self._socket.close(flush=True)
            self._socket = None
        self._up.clear()

    # ---- inside

    def _begin(self) -> None:
        """A new socket, so that nothing said to or by a former daemon comes through."""
        if self._socket is not None:
            self._socket.close(flush=False)
        self._queue.clear()
        self._socket = BusSocket(
            zmq.DEALER,
            self._receive,
            writable=self._writable,
            max_size=MAX_FROM_DAEMON,
            transport=self._route.transport,
        )
        if self._route.telling:
            self._socket.watch(self._route.telling, self._told)
        self._socket.connect(self._route.endpoint)
        self._say_hello()

    def _say_hello(self) -> None:
        assert self._socket is not None
        self._asked_s = now_s()
        self._socket.send(bus_frames(self._handler.hello()))

    def _lose(self, reason: str) -> None:
        was_up = self.up
        self._up.clear()
        if was_up:
            _log.info("the daemon at %s went away (%s); it is tried again", self._route.daemon, reason)
            self._handler.disconnected(reason)
        if not self.closed:
            self._begin()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._tick)
        now = now_s()
        self._heard_s += max(0.0, now - self._due_s)  # stopped or busy, this side heard nobody
        self._due_s = now + self._interval_s
        if not self.up:
            if now - self._asked_s > self._route.hello_again_s:
                self._begin()
        elif now - self._heard_s > max(SILENCE_S, 8 * self._interval_s):
            self._lose(f"nothing was heard for {now - self._heard_s:.1f} s")
        else:
            if not self._queue and self._socket is not None:
                self._socket.send(bus_frames(Heartbeat(self.epoch, self._handler.last())))
            self._handler.tick()

    def _writable(self) -> None:
        while self._queue and self._socket is not None:
            if self._socket.send(self._queue[0]) is not Sent.SENT:
                return
            self._queue.popleft()
        self._handler.writable()

    def _receive(self, routing_id: bytes, frames: list[bytes], who: Who) -> None:
        del routing_id, who
        self._heard_s = now_s()
        try:
            messages = decode_all(frames, max_body=MAX_FROM_DAEMON)
        except MalformedMessage as error:
            self._causes += 1
            if self._causes == 1:
                _log.warning("a message of the daemon was dropped: %s (further ones are not logged)", error)
            return
        for received in messages:
            self._take(received)

    def _take(self, received: Received) -> None:
        if received.place is not None:
            if self.up:
                self._handler.received(received)
            return
        match received.message:
            case Welcome():
                self._welcome(received.message)
            case Goodbye(reason=reason):
                self._lose(reason)
            case Refused(code=Refusal.UNKNOWN_SESSION, reason=reason):
                self._lose(reason)
            case Refused(code=code, reason=reason) if not self.up:
                self._refuse(code, reason)
            case _ if self.up:
                self._handler.received(received)

    def _welcome(self, welcome: Welcome) -> None:
        if self.up:
            return
        was_lost = self._answered.is_set()
        self._interval_s = min(max(welcome.heartbeat_ms / 1000, 0.01), 5.0)
        self.epoch = welcome.epoch
        self._refused = None
        self._up.set()
        self._answered.set()
        if was_lost:
            _log.info("the daemon at %s is back", self._route.daemon)
        self._handler.welcome(welcome)

    def _told(self, event: int, value: int) -> None:
        """What the transport has met; it tries again by itself, and so do we."""
        if not self.up and not self.closed:
            error = self._route.told(event, value)
            if error is not None:
                self._fail(error)

    def _refuse(self, code: Refusal, reason: str) -> None:
        self._fail(NotPermitted(reason) if code is Refusal.NOT_PERMITTED else NoDaemon(reason))

    def _fail(self, error: LiesError) -> None:
        if not isinstance(self._refused, NotPermitted):  # which says more than that nobody answers
            if isinstance(error, NotPermitted) and not self._opening:
                _log.warning("the daemon at %s refuses us: %s", self._route.daemon, error)
            self._refused = error
        self._answered.set()
