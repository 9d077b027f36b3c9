"""The floor of FBU to FBack: a bare UDP message that goes the same way, relayed by user-space processes.

A datagram goes from the mobile node to the router it is at, from there to another one and back again: the
way of FBU, HI, HAck and FBack, with a process woken at each router and nothing else done.
"""

import os
import socket
import struct
from collections.abc import Callable
from contextlib import closing
from enum import IntEnum
from ipaddress import IPv6Address

from lies.runtime import monotonic_ns

PORT = 5002
_HEAD = struct.Struct("!B16s16sHI")  # step, the other router, the mobile node's address and port, number
_PAYLOAD = 64  # octets behind it: an FBU has 96 in all


class _Step(IntEnum):
    TO_PREVIOUS = 0  # mobile node -> its router
    TO_NEW = 1  # its router -> the other one
    BACK = 2  # the other one -> its router
    ANSWER = 3  # its router -> mobile node


def relay(address: IPv6Address, ready: Callable[[], None]) -> int:
    """Relay on a router until the process is ended."""
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as link:
        link.bind((str(address), PORT))
        ready()
        while True:
            data, peer = link.recvfrom(2048)
            if len(data) < _HEAD.size:
                continue
            step, other, node, port, number = _HEAD.unpack_from(data)
            rest = data[_HEAD.size :]
            if step == _Step.TO_PREVIOUS:
                node, port, to = IPv6Address(peer[0]).packed, peer[1], (_text(other), PORT)
            elif step == _Step.TO_NEW:
                to = (peer[0], peer[1])
            elif step == _Step.BACK:
                to = (_text(node), port)
            else:
                continue
            link.sendto(_HEAD.pack(step + 1, other, node, port, number) + rest, to)


class Prober:
    """Sends messages on their way from a mobile node's address, one at a time."""

    def __init__(self, *, timeout_s: float = 0.25) -> None:
        self._timeout_s = timeout_s
        self._number = 0

    def round_trip_ns(self, source: IPv6Address, router: IPv6Address, other: IPv6Address) -> int | None:
        """How long one took from source by router, other, router and back; None if it did not come back.

        Raises OSError where nothing can be sent from source.
        """
        self._number += 1
        with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as link:
            link.bind((str(source), 0))
            link.settimeout(self._timeout_s)
            head = _HEAD.pack(_Step.TO_PREVIOUS, other.packed, bytes(16), 0, self._number & 0xFFFF)
            to = (str(router), PORT)
            message = head + os.urandom(_PAYLOAD)
            sent_ns = monotonic_ns()
            link.sendto(message, to)
            try:
                link.recv(2048)
            except TimeoutError:
                return None
            return monotonic_ns() - sent_ns


def _text(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, packed)
