"""A consumer's side of an endpoint without an event loop: a DEALER that is read while the caller waits."""

import logging
from collections import deque
from collections.abc import Callable, Collection

import zmq
import zmq.backend

from lies.bus._handler import (
    BATCH,
    FIRST_INTERVAL_S,
    FLUSH_MS,
    MAX_FROM_DAEMON,
    QUEUE_LIMIT,
    SILENCE_S,
    Handler,
)
from lies.bus._monitor import Monitor
from lies.bus._route import Where, route
from lies.bus.frames import Received, bus_frames, decode_all
from lies.bus.messages import Goodbye, Heartbeat, Refusal, Refused, Welcome
from lies.errors import LiesError, MalformedMessage, NoDaemon, NotPermitted
from lies.runtime import now_s

_log = logging.getLogger("lies.bus")
_NOBLOCK, _RCVMORE = int(zmq.NOBLOCK), int(zmq.RCVMORE)
# See lies.bus._socket.
_send, _recv, _get = zmq.backend.Socket.send, zmq.backend.Socket.recv, zmq.backend.Socket.get
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_POLLIN, _POLLOUT = int(zmq.POLLIN), int(zmq.POLLOUT)


class BlockingConnection:
    """lies.bus._connection.Connection for one thread: everything happens within `wait` and `breathe`.

    Between two calls nobody reads and nobody sends a heartbeat. The daemon forgets who is silent for 30 s;
    the daemon's own silence counts only while this side listens.
    """

    def __init__(self, where: Where, name: str, handler: Handler) -> None:
        self.epoch = 0
        self.up = False
        self.closed = False
        self._route = route(where, name)
        self._handler = handler
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: Monitor | None = None
        self._queue: deque[list[bytes]] = deque()
        self._interval_s = FIRST_INTERVAL_S
        self._tick_s = 0.0  # when the next tick is due
        self._heard_s = 0.0
        self._asked_s = 0.0
        self._looked_s = 0.0
        self._refused: LiesError | None = None
        self._opening = False  # what goes wrong is raised, else it is logged
        self._causes = 0
        self._timeout_ms = -1  # RCVTIMEO of the socket

    def open(self, timeout_s: float) -> None:
        """Connect; NoDaemon if nothing answers in time, NotPermitted if we may not."""
        self._route.probe()
        self._opening = True
        self._begin()
        self.wait(timeout_s, lambda: self.up or self._refused is not None)
        self._opening = False
        if self.up:
            return
        self.close("no answer")
        raise self._refused or NoDaemon(f"no daemon answers at {self._route.shown}")

    def send(self, frames: list[bytes]) -> bool:
        """Send, or queue while the daemon cannot take it; False if it is dropped."""
        if self._socket is None or not self.up:
            return False
        if not self._queue and self._taken(self._socket, frames):
            return True
        if len(self._queue) >= QUEUE_LIMIT:
            return False
        self._queue.append(frames)
        return True

    def wait(
        self,
        timeout_s: float | None,
        enough: Callable[[], bool],
        *,
        descriptors: Collection[int] = (),
        answered: bool = False,
    ) -> bool:
        """Serve the connection until `enough` holds or one of the file descriptors is readable; else False.

        timeout_s: at most so long, None for ever, 0 to take what is there; answered: what comes is the answer
        to what was just sent, so nothing of it can be there yet.
        """
        begun_s = now_s()
        self._heard_s += max(0.0, begun_s - self._looked_s)  # nobody listened meanwhile
        end_s = None if timeout_s is None else begun_s + timeout_s
        while not self.closed:
            more = not answered and self._read(enough)
            answered = False
            now = now_s()
            if now >= self._tick_s:
                self._tick(now)
            self._looked_s = now
            if enough():
                return True
            if end_s is not None and now >= end_s:
                return bool(descriptors) and self._poll(0.0, descriptors)
            due_s = self._tick_s if end_s is None else min(self._tick_s, end_s)
            if not more and not self.closed and self._wait(max(0.0, due_s - now), descriptors):
                return True
        return enough()

    def breathe(self) -> None:
        """Take what is there and send a heartbeat, if one is due; costs a look at the clock otherwise."""
        if now_s() >= self._tick_s:
            self.wait(0.0, lambda: False)

    def close(self, reason: str) -> None:
        """Say Goodbye and close; safe to call twice."""
        if self.closed:
            return
        self.closed = True
        if self._socket is not None:
            if self.up:
                self._taken(self._socket, bus_frames(Goodbye(reason)))
            self._close(self._socket, FLUSH_MS)
            self._socket = None
        self.up = False

    # ---- inside

    def _begin(self) -> None:
        """A new socket, so that nothing said to or by a former daemon comes through."""
        if self._socket is not None:
            self._close(self._socket, 0)
        self._queue.clear()
        transport = self._route.transport
        socket: zmq.Socket[bytes] = transport.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, FLUSH_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FROM_DAEMON + transport.overhead)
        transport.prepare(socket)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 250)
        if self._route.telling:
            self._monitor = Monitor(socket, self._route.telling)
        socket.connect(self._route.endpoint)
        self._socket = socket
        self._timeout_ms = -1
        self._asked_s = now_s()
        self._taken(socket, bus_frames(self._handler.hello()))

    def _lose(self, reason: str) -> None:
        was_up, self.up = self.up, False
        if was_up:
            _log.info("the daemon at %s went away (%s); it is tried again", self._route.daemon, reason)
            self._handler.disconnected(reason)
        if not self.closed:
            self._begin()

    def _wait(self, timeout_s: float, descriptors: Collection[int]) -> bool:
        """Wait for a message, which is taken, or a descriptor; whether a descriptor is readable."""
        assert self._socket is not None
        if descriptors or self._queue or self._monitor is not None:
            return self._poll(timeout_s, descriptors)
        # The shortest way from the wire to the caller: libzmq waits within recv.
        timeout_ms = int(timeout_s * 1000 + 0.999)
        if timeout_ms != self._timeout_ms:
            self._timeout_ms = timeout_ms
            self._socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
        self._receive_one(0)
        return False

    def _poll(self, timeout_s: float, descriptors: Collection[int]) -> bool:
        """Wait for the socket or a descriptor; whether a descriptor is readable."""
        assert self._socket is not None
        wanted = _POLLIN | _POLLOUT if self._queue else _POLLIN
        if not descriptors and self._monitor is None:
            self._socket.poll(int(timeout_s * 1000 + 0.999), wanted)
            return False
        poller = zmq.Poller()
        poller.register(self._socket, wanted)
        if self._monitor is not None:
            poller.register(self._monitor.pair, _POLLIN)
        for descriptor in descriptors:
            poller.register(descriptor, _POLLIN)
        ready = dict(poller.poll(int(timeout_s * 1000 + 0.999)))
        return any(descriptor in ready for descriptor in descriptors)

    def _read(self, enough: Callable[[], bool]) -> bool:
        """Send what waits, take messages until it is enough or a batch; whether there may be more."""
        self._hear_transport()
        while self._queue and self._socket is not None and self._taken(self._socket, self._queue[0]):
            self._queue.popleft()
        for _ in range(BATCH):
            if self._socket is None:  # closed within the handler
                return False
            if enough():
                break
            if not self._receive_one(_NOBLOCK):
                return False
        return True

    def _receive_one(self, flags: int) -> bool:
        """Take a message; False if there was none (without zmq.NOBLOCK: none in time)."""
        socket = self._socket
        assert socket is not None
        try:
            frames = [_recv(socket, flags)]
        except zmq.Again:
            return False
        while _get(socket, _RCVMORE):
            frames.append(_recv(socket, _NOBLOCK))
        self._receive(frames)
        return True

    def _tick(self, now: float) -> None:
        self._tick_s = now + self._interval_s
        if not self.up:
            if now - self._asked_s > self._route.hello_again_s:
                self._begin()
        elif now - self._heard_s > max(SILENCE_S, 8 * self._interval_s):
            self._lose(f"nothing was heard for {now - self._heard_s:.1f} s")
        else:
            if not self._queue and self._socket is not None:
                self._taken(self._socket, bus_frames(Heartbeat(self.epoch, self._handler.last())))
            self._handler.tick()

    def _receive(self, frames: list[bytes]) -> None:
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
            case Welcome(epoch=epoch, heartbeat_ms=heartbeat_ms):
                if not self.up:
                    self._interval_s = min(max(heartbeat_ms / 1000, 0.01), 5.0)
                    if self.epoch:
                        _log.info("the daemon at %s is back", self._route.daemon)
                    self.epoch, self._refused, self.up = epoch, None, True
                    self._handler.welcome(received.message)
            case Goodbye(reason=reason) | Refused(code=Refusal.UNKNOWN_SESSION, reason=reason):
                self._lose(reason)
            case Refused(code=code, reason=reason) if not self.up:
                self._fail((NotPermitted if code is Refusal.NOT_PERMITTED else NoDaemon)(reason))
            case _ if self.up:
                self._handler.received(received)

    def _hear_transport(self) -> None:
        """What the transport has met; it tries again by itself, and so do we."""
        while self._monitor is not None and (event := self._monitor.next()) is not None:
            error = None if self.up else self._route.told(*event)
            if error is not None:
                self._fail(error)

    def _fail(self, error: LiesError) -> None:
        if not isinstance(self._refused, NotPermitted):  # which says more than that nobody answers
            if isinstance(error, NotPermitted) and not self._opening:
                _log.warning("the daemon at %s refuses us: %s", self._route.daemon, error)
            self._refused = error

    def _close(self, socket: "zmq.Socket[bytes]", linger_ms: int) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        socket.close(linger=linger_ms)

    def _taken(self, socket: "zmq.Socket[bytes]", frames: list[bytes]) -> bool:
        try:
            for frame in frames[:-1]:
                _send(socket, frame, _MORE)
            _send(socket, frames[-1], _NOBLOCK)
        except zmq.Again:
            return False
        return True
