"""When the kernel received a packet, as a socket with SO_TIMESTAMPNS tells."""

import socket
import struct
from collections.abc import Iterable

_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
ROOM = socket.CMSG_SPACE(_TIMESPEC.size)
"""Octets of ancillary data that a stamp needs."""


def ask_for_stamps(sock: socket.socket) -> None:
    """Have each packet's time come with it."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def stamp_ns(ancillary: Iterable[tuple[int, int, bytes]], otherwise_ns: int) -> int:
    """The time of a packet on CLOCK_REALTIME; otherwise_ns where the kernel says none."""
    for level, kind, stamp in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(stamp)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return otherwise_ns
