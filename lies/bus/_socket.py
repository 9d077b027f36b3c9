"""A ZeroMQ socket on the running asyncio loop, without waiting and without tasks."""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto

import zmq

from lies.bus.frames import MAX_FRAMES
from lies.events.wire import MAX_BODY

BATCH = 256  # messages taken in one go, so that a flood does not starve the loop
Receive = Callable[[bytes, list[bytes], str | None], None]


class Sent(Enum):
    """What became of a message."""

    SENT = auto()
    FULL = auto()  # the peer's queue is full, or there is no peer yet
    GONE = auto()  # the peer is no more


class BusSocket:
    """One ROUTER or DEALER socket.

    receive is called with (routing id, frames, peer address): the routing id is empty on a DEALER; the
    address, `localhost:UID:GID:PID` on ipc, is given for peers that `known` does not know, else None.
    writable is called when a send that was FULL may succeed. libzmq's descriptor is edge-triggered, so
    after every send and every batch its events are asked for again.
    """

    def __init__(
        self,
        kind: int,
        receive: Receive,
        *,
        writable: Callable[[], None] | None = None,
        known: Callable[[bytes], bool] | None = None,
        send_limit: int = 1000,
        receive_limit: int = 1000,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._writable = writable
        self._known = known
        self._router = kind == zmq.ROUTER
        self._blocked = False
        self._scheduled: asyncio.Handle | None = None
        self.closed = False
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, send_limit)
        self._socket.setsockopt(zmq.RCVHWM, receive_limit)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_BODY)
        if self._router:
            self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        else:
            self._socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued for a daemon that is not there
            self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
            self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 250)
        self._fd: int = self._socket.getsockopt(zmq.FD)
        self._loop.add_reader(self._fd, self._ready)

    def bind(self, endpoint: str) -> None:
        """Bind; zmq.ZMQError if it cannot be had."""
        self._socket.bind(endpoint)

    def connect(self, endpoint: str) -> None:
        """Connect, now or as soon as somebody binds there."""
        self._socket.connect(endpoint)
        self._check_soon()

    def send(self, frames: Sequence[bytes]) -> Sent:
        """Send or say why not; on a ROUTER the first frame is the routing id."""
        if self.closed:
            return Sent.GONE
        send = self._socket.send
        try:
            for frame in frames[:-1]:
                send(frame, zmq.NOBLOCK | zmq.SNDMORE)
            send(frames[-1], zmq.NOBLOCK)
        except zmq.Again:
            self._blocked = True
            self._check_soon()
            return Sent.FULL
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._check_soon()
            return Sent.GONE
        self._check_soon()
        return Sent.SENT

    def close(self, *, flush_ms: int = 0) -> None:
        """Close, waiting at most flush_ms (in libzmq's own thread) for what was sent."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._fd)
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._socket.close(linger=flush_ms)

    def _check_soon(self) -> None:
        if self._scheduled is None and not self.closed:
            self._scheduled = self._loop.call_soon(self._check)

    def _check(self) -> None:
        self._scheduled = None
        if self.closed:
            return
        events = int(self._socket.getsockopt(zmq.EVENTS))
        if events & zmq.POLLIN:
            self._ready()
        elif self._blocked and events & zmq.POLLOUT:
            self._unblock()

    def _ready(self) -> None:
        for _ in range(BATCH):
            if self.closed or not self._take_one():
                break
        if self.closed:
            return
        if int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._check_soon()
        if self._blocked:
            self._unblock()

    def _unblock(self) -> None:
        self._blocked = False
        if self._writable is not None:
            self._writable()

    def _take_one(self) -> bool:
        socket = self._socket
        routing_id, address = b"", None
        try:
            if self._router:
                routing_id = socket.recv(zmq.NOBLOCK)
                if self._known is not None and not self._known(routing_id):
                    frame = socket.recv(zmq.NOBLOCK, copy=False)
                    address = _peer_address(frame)
                    first = frame.bytes
                else:
                    first = socket.recv(zmq.NOBLOCK)
            else:
                first = socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return False
        frames = [first]
        while socket.getsockopt(zmq.RCVMORE):
            frame_bytes = socket.recv(zmq.NOBLOCK)
            if len(frames) <= MAX_FRAMES:  # one too many is kept, so that it is refused as such
                frames.append(frame_bytes)
        self._receive(routing_id, frames, address)
        return True


def _peer_address(frame: zmq.Frame) -> str | None:
    try:
        address = frame.get("Peer-Address")
    except (zmq.ZMQError, KeyError):
        return None
    return address if isinstance(address, str) else None


def peer_uid(address: str | None) -> int | None:
    """The uid in `localhost:UID:GID:PID`, which the kernel vouches for; None if there is none."""
    if address is None:
        return None
    parts = address.rsplit(":", 3)
    if len(parts) != 4 or not parts[1].isdigit():
        return None
    return int(parts[1])
