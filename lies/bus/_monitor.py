"""What libzmq says of a socket's connections, zmq_socket_monitor(3)."""

import struct
from itertools import count

import zmq

_EVENT = struct.Struct("=HI")  # which event, its value
_numbers = count(1)


def begin(socket: "zmq.Socket[bytes]", events: int) -> str:
    """Let libzmq tell these events; returns the address where, for one PAIR without a limit of messages.

    At a limit libzmq's own thread would wait for who reads, and everything with it. For the same reason the
    socket's `disable_monitor` comes before that PAIR is closed.
    """
    address = f"inproc://lies-monitor-{next(_numbers)}"
    socket.monitor(address, events)
    return address


def event(frame: bytes) -> tuple[int, int]:
    """The event and its value in the first frame of what is told; (0, 0) if there is none."""
    return _EVENT.unpack(frame) if len(frame) == _EVENT.size else (0, 0)


class Monitor:
    """The events of a socket for who polls; `pair` is readable when there are some."""

    def __init__(self, socket: "zmq.Socket[bytes]", events: int) -> None:
        self._socket = socket
        address = begin(socket, events)
        self.pair: zmq.Socket[bytes] = socket.context.socket(zmq.PAIR)
        self.pair.setsockopt(zmq.RCVHWM, 0)
        self.pair.connect(address)

    def next(self) -> tuple[int, int] | None:
        """The next event and its value, None if there is none yet."""
        try:
            frames = self.pair.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        return event(frames[0])

    def close(self) -> None:
        """Hear no more; before the socket is closed."""
        self._socket.disable_monitor()
        self.pair.close(linger=0)
