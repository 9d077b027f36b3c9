"""Netlink messages and attributes as octets: a reader that believes no length, and a writer."""

import re
import struct
from collections.abc import Iterator

from attrs import frozen

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id (linux/netlink.h)
_GENERIC = struct.Struct("=BBH")  # command, version, reserved (linux/genetlink.h)
_ATTRIBUTE = struct.Struct("=HH")  # length with these four octets, type
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_NESTED = 0x8000  # NLA_F_NESTED
_TYPE = 0x3FFF  # less NLA_F_NESTED and NLA_F_NET_BYTEORDER


@frozen
class Frame:
    """One netlink message; body: what follows its header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def frames(data: bytes) -> Iterator[Frame]:
    """The whole messages in a datagram; what is cut short ends it."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            return
        yield Frame(kind, flags, sequence, data[offset + _HEADER.size : offset + length])
        offset += (length + 3) & ~3


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each whole attribute; what is cut short ends it."""
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            return
        yield kind & _TYPE, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def generic(body: bytes) -> tuple[int, dict[int, bytes]] | None:
    """Command and attributes of a generic netlink message's body; None if it is shorter than its header."""
    if len(body) < _GENERIC.size:
        return None
    return body[0], dict(attributes(body, _GENERIC.size))


def unsigned(value: bytes | None) -> int | None:
    """A number of 1, 2, 4 or 8 octets in the host's order; None if absent or of another size."""
    if value is None or len(value) not in {1, 2, 4, 8}:
        return None
    return int(struct.unpack({1: "=B", 2: "=H", 4: "=I", 8: "=Q"}[len(value)], value)[0])


def signed(value: bytes | None) -> int | None:
    """As `unsigned`, with a sign."""
    if value is None or len(value) not in {1, 2, 4, 8}:
        return None
    return int(struct.unpack({1: "=b", 2: "=h", 4: "=i", 8: "=q"}[len(value)], value)[0])


def mac(value: bytes | None) -> str | None:
    """A MAC address as text in lower case; None if absent or not of six octets."""
    return value.hex(":") if value is not None and len(value) == 6 else None


def mac_octets(text: str) -> bytes | None:
    """The six octets of a MAC address; None if the text is none."""
    return bytes.fromhex(text.replace(":", "")) if _MAC.fullmatch(text) else None


def text(value: bytes | None) -> str | None:
    """A name that ends with a zero octet; None if absent or not printable ASCII."""
    if value is None:
        return None
    name = value.partition(b"\0")[0].decode("ascii", "replace")
    return name if name and name.isascii() and name.isprintable() else None


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def u32(kind: int, value: int) -> bytes:
    """An attribute of four octets."""
    return attribute(kind, struct.pack("=I", value))


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def message(kind: int, flags: int, body: bytes, *, sequence: int = 0) -> bytes:
    """A netlink message."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def generic_body(command: int, *parts: bytes) -> bytes:
    """The body of a generic netlink message."""
    return _GENERIC.pack(command, 0, 0) + b"".join(parts)
