"""A counted flow of UDP: `python -m radio.flow send FILE FROM TO PORT`, `... receive FILE AT PORT`.

15 Mbit/s of payload in datagrams that bear numbers from 0, until SIGTERM. The machine computes slowly, so
several go, and come, in one system call (sendmmsg, recvmmsg), and of what comes only the number is kept.
Records of FILE: two 64-bit numbers, that of a datagram and when it went or came (ns of CLOCK_MONOTONIC). What
the kernel refuses to send counts as sent. Who receives says "ready" first.
"""

import ctypes
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns

MBPS = 15
PAYLOAD = 1200  # octets
INTERVAL_NS = PAYLOAD * 8 * 1000 // MBPS  # of a datagram
AT_ONCE = 4  # datagrams that go together
MOST = 64  # that are taken together
_HEAD, _RECORD = struct.Struct("=Q"), struct.Struct("=QQ")
_BUFFERS = (32, 33)  # SO_SNDBUFFORCE, SO_RCVBUFFORCE
_BUFFER_OCTETS = 8 << 20
_LATE_NS = 50_000_000  # a sender that was stopped does not make up for more
_libc = ctypes.CDLL(None, use_errno=True)


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr; the rest of struct msghdr stays empty."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("spans", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("gap", ctypes.c_int),
        ("length", ctypes.c_uint32),
    )


class Batch:
    """Room for so many datagrams of so many octets each, one after the other in `data`."""

    def __init__(self, count: int, octets: int) -> None:
        self.data = bytearray(count * octets)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        self._spans = (_Span * count)(*(_Span(start + n * octets, octets) for n in range(count)))
        size = ctypes.sizeof(_Span)
        first = ctypes.addressof(self._spans)
        self._messages = (_Message * count)(
            *(_Message(spans=first + n * size, count=1) for n in range(count))
        )
        self._count = count

    def send(self, sock: socket.socket) -> None:
        """Send them all to where the socket is connected to, as far as the kernel will."""
        sent = 0
        while sent < self._count:
            left = ctypes.byref(self._messages, sent * ctypes.sizeof(_Message))
            sent += max(1, _libc.sendmmsg(sock.fileno(), left, self._count - sent, socket.MSG_DONTWAIT))

    def receive(self, sock: socket.socket) -> int:
        """Take what is there; how many."""
        taken: int = _libc.recvmmsg(sock.fileno(), self._messages, self._count, socket.MSG_DONTWAIT, None)
        return max(0, taken)


class Log:
    """Keeps what went or came; `close` writes it."""

    def __init__(self) -> None:
        self._records: list[tuple[Sequence[int], int]] = []

    def keep(self, numbers: Sequence[int], t_ns: int) -> None:
        """Note that they went or came."""
        self._records.append((numbers, t_ns))

    def write(self, file: Path) -> None:
        """To a file, which is there when it is whole."""
        part = file.with_suffix(".part")
        records = (_RECORD.pack(number, t_ns) for numbers, t_ns in self._records for number in numbers)
        part.write_bytes(b"".join(records))
        part.rename(file)


def send(log: Log, here: str, there: str, port: str) -> None:
    """Send."""
    sock = _socket(here, 0)
    sock.connect((there, int(port)))
    batch = Batch(AT_ONCE, PAYLOAD)
    number, due_ns = 0, clock_gettime_ns(CLOCK_MONOTONIC)
    while True:
        now_ns = clock_gettime_ns(CLOCK_MONOTONIC)
        if now_ns < due_ns:
            select.select((), (), (), (due_ns - now_ns) / 1e9)
            continue
        for n in range(AT_ONCE):
            _HEAD.pack_into(batch.data, n * PAYLOAD, number + n)
        batch.send(sock)
        log.keep(range(number, number + AT_ONCE), now_ns)
        number += AT_ONCE
        due_ns = max(due_ns + AT_ONCE * INTERVAL_NS, now_ns - _LATE_NS)


def receive(log: Log, here: str, port: str) -> None:
    """Receive."""
    sock = _socket(here, int(port))
    batch = Batch(MOST, _HEAD.size)
    numbers = memoryview(batch.data).cast("Q")
    os.write(sys.stdout.fileno(), b"ready\n")
    while True:
        select.select((sock,), (), ())
        while taken := batch.receive(sock):
            log.keep(numbers[:taken].tolist(), clock_gettime_ns(CLOCK_MONOTONIC))


def _socket(here: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for force in _BUFFERS:
        sock.setsockopt(socket.SOL_SOCKET, force, _BUFFER_OCTETS)
    sock.bind((here, port))
    return sock


def main(what: str, file: str, *where: str) -> None:
    """Send or receive until SIGTERM, then write."""
    log = Log()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        if what == "send":
            send(log, *where)
        else:
            receive(log, *where)
    finally:
        log.write(Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
