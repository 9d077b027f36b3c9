"""The kernel drops the first messages of one kind that an interface receives, and counts them (nf_tables).

A chain of the netdev family at the ingress hook stands before packet sockets and routing, so that neither a
daemon nor the kernel hears of what it drops. Which packets are the first is a matter of `limit`: a rate of
one a day with a burst of N matches N times.
"""

import functools
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv6Address

from attrs import frozen

from lies.kernel.netns import entered, new_namespace

_NETLINK_NETFILTER = 12
_NFPROTO_NETDEV = 5
_BEGIN, _END, _ERROR, _DONE = 16, 17, 2, 3
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _GETRULE = (10 << 8 | kind for kind in (0, 2, 3, 6, 7))
_REQUEST, _ACK, _DUMP, _CREATE, _APPEND = 1, 4, 0x300, 0x400, 0x800
_NESTED = 0x8000
_INGRESS, _ACCEPT, _DROP = 0, 1, 0
_VERDICT_REGISTER, _REGISTER = 0, 1
_NETWORK_HEADER, _EQUAL = 1, 0
_DAY_S = 86400
_TABLE = "losses"

MOBILITY, ICMPV6, DESTINATION_OPTIONS = 135, 58, 60
EVERY = 1000


@frozen
class Kind:
    """Messages of one kind: next header, octet at an offset in the payload, destination if it matters."""

    name: str
    next_header: int
    offset: int
    value: int
    destination: IPv6Address | None = None

    def to(self, destination: IPv6Address) -> "Kind":
        """Those of them that go to one address."""
        return Kind(self.name, self.next_header, self.offset, self.value, destination)


BU, FBU = (  # behind a Home Address option
    Kind(name, DESTINATION_OPTIONS, 26, mh_type) for name, mh_type in (("BU", 5), ("FBU", 8))
)
FBACK, HI, HACK = (
    Kind(name, MOBILITY, 2, mh_type) for name, mh_type in (("FBack", 9), ("HI", 14), ("HAck", 15))
)
UNA = Kind("UNA", ICMPV6, 0, 136)


def lose(namespace: int, interface: str, kind: Kind, count: int = 1) -> None:
    """Drop the first `count` messages of a kind that an interface of a namespace receives from now on."""
    chain = f"{kind.name}-{interface}"
    with entered(namespace), closing(_Socket()) as kernel:
        kernel.change(
            (_NEWTABLE, _text(1, _TABLE)),
            (_NEWCHAIN, _text(1, _TABLE) + _text(3, chain) + _hook(interface) + _text(7, "filter")),
            (_NEWRULE, _text(1, _TABLE) + _text(2, chain) + _nest(4, *_expressions(kind, count))),
        )


@functools.cache
def refused() -> str:
    """Why this kernel loses nothing by our word; "" if it does."""
    descriptor = new_namespace()
    try:
        lose(descriptor, "lo", FBU)
    except OSError as error:
        return str(error)
    finally:
        os.close(descriptor)
    return ""


def lose_no_more(namespace: int) -> None:
    """End all that `lose` began in a namespace."""
    with entered(namespace), closing(_Socket()) as kernel:
        kernel.change((_DELTABLE, _text(1, _TABLE)))


def lost(namespace: int, kind: Kind) -> int:
    """How many messages of a kind the rules of a namespace have dropped."""
    with entered(namespace), closing(_Socket()) as kernel:
        return sum(
            _count(rule)
            for rule in kernel.dump(_GETRULE, _text(1, _TABLE))
            if _attributes(rule[20:])[2].decode().startswith(f"{kind.name}-")
        )


class _Socket:
    """A netfilter netlink socket of this thread's namespace."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def change(self, *orders: tuple[int, bytes]) -> None:
        """Carry out all of the orders or, with an OSError, none."""
        batch = _message(_BEGIN, b"", flags=_REQUEST, subsystem=10)
        for sequence, (kind, body) in enumerate(orders, 1):
            batch += _message(kind, body, flags=_REQUEST | _ACK | _CREATE | _APPEND, sequence=sequence)
        batch += _message(_END, b"", flags=_REQUEST, subsystem=10)
        self._socket.send(batch)
        answered = 0
        while answered < len(orders):
            for message in self._receive():
                _raise_for(message)
                answered += 1

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Every entry of a kind."""
        self._socket.send(_message(kind, body, flags=_REQUEST | _DUMP))
        found: list[bytes] = []
        while True:
            for message in self._receive():
                if struct.unpack_from("=H", message, 4)[0] == _DONE:
                    return found
                _raise_for(message)
                found.append(message)

    def _receive(self) -> Iterator[bytes]:
        data = self._socket.recv(1 << 16)
        while data:
            length = struct.unpack_from("=I", data)[0]
            yield data[:length]
            data = data[(length + 3) & ~3 :]


def _raise_for(message: bytes) -> None:
    if struct.unpack_from("=H", message, 4)[0] == _ERROR:
        code = -struct.unpack_from("=i", message, 16)[0]
        if code:
            raise OSError(code, f"nf_tables: {os.strerror(code)}")


def _message(kind: int, body: bytes, *, flags: int, sequence: int = 0, subsystem: int = 0) -> bytes:
    family = 0 if subsystem else _NFPROTO_NETDEV
    body = struct.pack("!BBH", family, 0, subsystem) + body
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _nest(kind: int, *parts: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(parts))


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!I", value))


def _long(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!Q", value))


def _hook(interface: str) -> bytes:
    return _nest(4, _number(1, _INGRESS), _number(2, 0), _text(3, interface)) + _number(5, _ACCEPT)


def _expressions(kind: Kind, count: int) -> Iterator[bytes]:
    yield from _equal(6, bytes([kind.next_header]))
    yield from _equal(40 + kind.offset, bytes([kind.value]))
    if kind.destination is not None:
        yield from _equal(24, kind.destination.packed)
    yield _expression("limit", _long(1, 1), _long(2, _DAY_S), _number(3, count), _number(4, 0))
    yield _expression("counter")
    verdict = _nest(2, _nest(2, _number(1, _DROP)))
    yield _expression("immediate", _number(1, _VERDICT_REGISTER), verdict)


def _equal(offset: int, value: bytes) -> Iterator[bytes]:
    """Octets of the network header are these."""
    place = _number(2, _NETWORK_HEADER) + _number(3, offset) + _number(4, len(value))
    yield _expression("payload", _number(1, _REGISTER), place)
    yield _expression("cmp", _number(1, _REGISTER), _number(2, _EQUAL), _nest(3, _attribute(1, value)))


def _expression(name: str, *parts: bytes) -> bytes:
    return _nest(1, _text(1, name), _nest(2, *parts))


def _attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by number; of those that repeat, the last."""
    return dict(_walk(data))


def _walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def _count(rule: bytes) -> int:
    """The packets that a rule's counter counted."""
    for _, expression in _walk(_attributes(rule[20:])[4]):
        parts = _attributes(expression)
        if parts[1] == b"counter\0":
            return int(struct.unpack("!Q", _attributes(parts[2])[2])[0])
    raise AssertionError("a rule without a counter")
