"""A ZeroMQ socket on the running asyncio loop, without waiting and without tasks."""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto

import zmq
import zmq.backend

from lies.bus import _monitor
from lies.bus._handler import BATCH, FLUSH_MS
from lies.bus._transport import Local, Transport
from lies.bus.frames import MAX_FRAMES
from lies.bus.rights import Who
from lies.events.wire import MAX_BODY

# Plain ints: an operation on pyzmq's enums costs as much as a system call.
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_RCVMORE, _EVENTS = int(zmq.RCVMORE), int(zmq.EVENTS)
_POLLIN, _POLLOUT = int(zmq.POLLIN), int(zmq.POLLOUT)

# pyzmq's own methods without the wrappers around them, which cost more than the call.
_send, _recv, _get = zmq.backend.Socket.send, zmq.backend.Socket.recv, zmq.backend.Socket.get

RETRY_S = 0.005  # half of a peer's queue of 1000 is read in that time at 100,000 messages/s
Receive = Callable[[bytes, list[bytes], Who], None]


class Sent(Enum):
    """What became of a message."""

    SENT = auto()
    FULL = auto()  # the peer's queue is full
    GONE = auto()  # the peer is no more


class BusSocket:
    """One ROUTER or DEALER socket, or the PAIR that watches one.

    receive is called with (routing id, frames, who): the routing id is empty on a DEALER; who sent it is
    asked of the transport for peers that `known` does not know, else None.
    writable is called when a send that was FULL may succeed; a ROUTER cannot tell for which peer, so it is
    tried again every few ms. libzmq's descriptor is edge-triggered, so after every send and every batch its
    events are asked for again. max_size: octets of a frame; the connection of who sends more is closed.
    """

    def __init__(
        self,
        kind: int,
        receive: Receive,
        *,
        writable: Callable[[], None] | None = None,
        settle: Callable[[], None] | None = None,
        known: Callable[[bytes], bool] | None = None,
        send_limit: int = 1000,
        receive_limit: int = 1000,
        max_size: int = MAX_BODY,
        transport: Transport | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport or Local()
        self._receive = receive
        self._writable = writable
        self._settle = settle
        self._known = known
        self._router = kind == zmq.ROUTER
        self._blocked = False
        self._scheduled: asyncio.Handle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.closed = False
        self._monitor: BusSocket | None = None
        self._socket: zmq.Socket[bytes] = self._transport.context.socket(kind)
        self._socket.setsockopt(zmq.LINGER, FLUSH_MS)  # connections copy it when they are made
        self._socket.setsockopt(zmq.SNDHWM, send_limit)
        self._socket.setsockopt(zmq.RCVHWM, receive_limit)
        self._socket.setsockopt(zmq.MAXMSGSIZE, max_size + self._transport.overhead)
        self._transport.prepare(self._socket)
        if self._router:
            self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        else:
            # Not zmq.IMMEDIATE: with it, what was received and not yet read is lost at a disconnection.
            self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
            self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 250)
        self._fd: int = self._socket.fileno()
        self._loop.add_reader(self._fd, self._ready)

    def bind(self, endpoint: str) -> str:
        """Bind and return where, with the port that was chosen for 0; zmq.ZMQError if it cannot be had."""
        self._socket.bind(endpoint)
        return str(self._socket.get_string(zmq.LAST_ENDPOINT))

    def connect(self, endpoint: str) -> None:
        """Connect, now or as soon as somebody binds there."""
        self._socket.connect(endpoint)
        self._check_soon()

    def watch(self, events: int, happened: Callable[[int, int], None]) -> None:
        """Call back with (event, value) for these events of zmq_socket_monitor(3); before bind or connect."""

        def receive(routing_id: bytes, frames: list[bytes], who: Who) -> None:
            del routing_id, who
            if not self.closed:
                happened(*_monitor.event(frames[0]))

        address = _monitor.begin(self._socket, events)
        self._monitor = BusSocket(
            zmq.PAIR, receive, receive_limit=0, transport=Local(self._transport.context)
        )
        self._monitor.connect(address)

    def send(self, frames: Sequence[bytes]) -> Sent:
        """Send or say why not; on a ROUTER the first frame is the routing id."""
        if self.closed:
            return Sent.GONE
        socket = self._socket
        try:
            for frame in frames[:-1]:
                _send(socket, frame, _MORE)
            _send(socket, frames[-1], _NOBLOCK)
        except zmq.Again:
            self._blocked = True
            if self._router and self._retry is None:
                self._retry = self._loop.call_later(RETRY_S, self._try_again)
            self._check_soon()
            return Sent.FULL
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._check_soon()
            return Sent.GONE
        self._check_soon()
        return Sent.SENT

    def close(self, *, flush: bool) -> None:
        """Close; with flush libzmq's own thread goes on sending what it was given, for FLUSH_MS at most."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._fd)
        for handle in (self._scheduled, self._retry):
            if handle is not None:
                handle.cancel()
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(flush=False)
        self._socket.close(linger=FLUSH_MS if flush else 0)

    def _check_soon(self) -> None:
        if self._scheduled is None and not self.closed:
            self._scheduled = self._loop.call_soon(self._check)

    def _check(self) -> None:
        self._scheduled = None
        if self._settle is not None:
            self._settle()
        if self.closed:
            return
        events = int(_get(self._socket, _EVENTS))
        if events & _POLLIN:
            self._ready()
        elif self._blocked and events & _POLLOUT and not self._router:
            self._unblock()

    def _ready(self) -> None:
        for _ in range(BATCH):
            if self.closed or not self._take_one():
                break
        if self.closed:
            return
        if int(_get(self._socket, _EVENTS)) & _POLLIN:
            self._check_soon()
        if self._blocked:
            self._unblock()

    def _try_again(self) -> None:
        self._retry = None
        if self._blocked and not self.closed:
            self._unblock()

    def _unblock(self) -> None:
        self._blocked = False
        if self._writable is not None:
            self._writable()

    def _take_one(self) -> bool:
        socket = self._socket
        routing_id: bytes = b""
        who: Who = None
        try:
            if self._router:
                routing_id = _recv(socket, _NOBLOCK)
                if self._known is not None and not self._known(routing_id):
                    frame = socket.recv(_NOBLOCK, copy=False)
                    who = self._transport.identify(frame)
                    first = frame.bytes
                else:
                    first = _recv(socket, _NOBLOCK)
            else:
                first = _recv(socket, _NOBLOCK)
        except zmq.Again:
            return False
        frames = [first]
        while _get(socket, _RCVMORE):
            frame_bytes = _recv(socket, _NOBLOCK)
            if len(frames) <= MAX_FRAMES:  # one too many is kept, so that it is refused as such
                frames.append(frame_bytes)
        self._receive(routing_id, frames, who)
        return True
