"""A route netlink socket on the event loop: every message of the kernel's about links, and nothing else."""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence

from lies_rtnetlink.messages import Told, dump_request, numbered, read

_RTMGRP_LINK = 1  # linux/rtnetlink.h
_DATAGRAM_OCTETS = 1 << 16  # more than the kernel puts into one
_AT_ONCE = 256  # datagrams before others on the loop have their turn


class Listener:
    """Hears of links in the namespace that the thread is in when it is made.

    on_told: what has come, in order; on_overrun: the kernel had to drop messages; on_drained: after that,
    what it had kept has been told; on_error: the socket cannot be read any more.
    """

    def __init__(
        self,
        receive_octets: int,
        *,
        on_told: Callable[[Sequence[Told]], None],
        on_overrun: Callable[[], None],
        on_drained: Callable[[], None],
        on_error: Callable[[OSError], None],
    ) -> None:
        self._on_told, self._on_error = on_told, on_error
        self._on_overrun, self._on_drained = on_overrun, on_drained
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._sequence = 0
        self._overrun = False
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
            self._socket.bind((0, _RTMGRP_LINK))
        except OSError:
            self._socket.close()
            raise

    @property
    def descriptor(self) -> int:
        """A descriptor in the same namespace."""
        return self._socket.fileno()

    def start(self) -> None:
        """Begin to hear, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Hear no more."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop = None
        self._socket.close()

    def ask_for_all(self) -> int:
        """Have the kernel tell every link; the sequence number of the DumpEnded that follows."""
        self._sequence += 1
        self._socket.send(dump_request(self._sequence))
        return self._sequence

    def send(self, message: bytes) -> int:
        """Send a finished message of lies.kernel.messages; the sequence number of its Answered."""
        self._sequence += 1
        self._socket.send(numbered(message, self._sequence))
        return self._sequence

    def _readable(self) -> None:
        found: list[Told] = []
        drained = False
        for _ in range(_AT_ONCE):
            try:
                data, sender = self._socket.recvfrom(_DATAGRAM_OCTETS)
            except BlockingIOError:
                drained = True
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    self._on_error(error)
                    return
                self._overrun = True
                self._tell(found)
                self._on_overrun()
                continue
            if sender[0] == 0:  # from the kernel, not from another process
                found.extend(read(data))
        self._tell(found)
        if drained and self._overrun:
            self._overrun = False
            self._on_drained()

    def _tell(self, found: list[Told]) -> None:
        if found:
            self._on_told(tuple(found))
            found.clear()
