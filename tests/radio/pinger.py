"""Asks a host for an echo every 10 ms until killed: `python -m radio.pinger FILE HOST [SOURCE]`.

ping itself rounds 10 ms up to the kernel's ticks, or spins. Lines of FILE: `s NUMBER NS` for a request that
was to be sent, `r NUMBER NS` for an answer; CLOCK_MONOTONIC. What the kernel refuses to send counts as sent.
"""

import os
import select
import socket
import struct
import sys
from contextlib import suppress
from time import CLOCK_MONOTONIC, clock_gettime_ns

INTERVAL_NS = 10_000_000
_ICMP6_FILTER, _ECHO_REQUEST, _ECHO_REPLY = 1, 128, 129
_HEAD = struct.Struct(
    "!BBHHHQ"
)  # type, code, checksum (the kernel's), identifier, 16 bits of the number, the number
_MARGIN = 1e-4  # s: select may not wake before the time


def main(file: str, host: str, source: str = "::") -> None:
    """Ask and note."""
    identifier = os.getpid() & 0xFFFF
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
    passed = bytearray(b"\xff" * 32)
    passed[_ECHO_REPLY // 8] &= ~(1 << _ECHO_REPLY % 8) & 0xFF
    sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(passed))
    if source != "::":
        sock.bind((source, 0))
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    number, due_ns = 0, clock_gettime_ns(CLOCK_MONOTONIC)
    while True:
        now_ns = clock_gettime_ns(CLOCK_MONOTONIC)
        if now_ns >= due_ns:
            number += 1
            os.write(out, b"s %d %d\n" % (number, now_ns))
            request = _HEAD.pack(_ECHO_REQUEST, 0, 0, identifier, number & 0xFFFF, number) + bytes(40)
            with suppress(OSError):
                sock.sendto(request, (host, 0))
            due_ns = max(due_ns + INTERVAL_NS, now_ns)
        readable, _, _ = select.select([sock], [], [], max(0.0, (due_ns - now_ns) / 1e9) + _MARGIN)
        if not readable:
            continue
        with suppress(OSError):  # an error that a request has brought
            data = sock.recv(2048)
            now_ns = clock_gettime_ns(CLOCK_MONOTONIC)
            _, _, _, told, _, answered = _HEAD.unpack_from(data)
            if told == identifier:
                os.write(out, b"r %d %d\n" % (answered, now_ns))


if __name__ == "__main__":
    main(*sys.argv[1:])
