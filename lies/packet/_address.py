"""IPv6 addresses between octets, objects and text, remembered: a node talks to the same few again and again.

The caches are bounded, and what is in them depends on nothing but the argument.
"""

import struct
from functools import lru_cache
from ipaddress import IPv6Address

_REMEMBERED = 16384
_HEXTETS = struct.Struct("!8H")
_ZEROS = [":" + "0:" * n for n in range(7, 1, -1)]  # RFC 5952 section 4.2
_NOT_COMMON = bytes(10)  # IPv4-mapped addresses and others

_by_text: dict[str, IPv6Address] = {}


class _Address(IPv6Address):
    """An IPv6Address, equal to any other of its value, that works its hash and octets out once.

    Engines look addresses up and compare them all the time; the standard class does both in Python.
    """

    __slots__ = ("_hash", "packed")
    packed: bytes  # a slot is quicker than the property that it stands for

    def __init__(self, octets: bytes) -> None:
        super().__init__(octets)
        self._hash = super().__hash__()
        # It reads as the property does, and nobody sets it but here.
        self.packed = octets  # pyright: ignore[reportIncompatibleMethodOverride]

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:  # as a rule, because they are remembered
            return True
        return self.packed == other.packed if isinstance(other, _Address) else super().__eq__(other)

    def __repr__(self) -> str:
        return f"IPv6Address({str(self)!r})"

    def __reduce__(self) -> tuple[type[IPv6Address], tuple[str]]:
        return IPv6Address, (str(self),)


@lru_cache(_REMEMBERED)
def address_of(octets: bytes) -> IPv6Address:
    """The address of 16 octets."""
    return _Address(octets)


@lru_cache(_REMEMBERED)
def _text(octets: bytes) -> str:
    """The standard class's text, which it takes five times as long to make; and reading it is prepared."""
    address = address_of(octets)
    if octets.startswith(_NOT_COMMON):  # its text depends on the version of Python
        return str(address)
    text = _shorten(":" + ":".join([f"{hextet:x}" for hextet in _HEXTETS.unpack(octets)]) + ":")
    _remember(text, address)
    return text


def _shorten(text: str) -> str:
    """Text of eight numbers in colons, with `::` for the longest run of zeros, the first of equal ones."""
    for zeros in _ZEROS:
        at = text.find(zeros)
        if at >= 0:
            return f"{text[1:at]}::{text[at + len(zeros) : -1]}"
    return text[1:-1]


def _remember(text: str, address: IPv6Address) -> None:
    if len(_by_text) >= _REMEMBERED:
        _by_text.clear()
    _by_text[text] = address


def text_of(address: IPv6Address) -> str:
    """The address as text (RFC 5952)."""
    return _text(address.packed)  # octets are found more quickly than addresses


def read_address(text: str) -> IPv6Address:
    """The address that a text means; ValueError if it is none."""
    address = _by_text.get(text)
    if address is None:
        address = address_of(IPv6Address(text).packed)
        _remember(text, address)
    return address


def forget_addresses() -> None:
    """Nothing is remembered any more: for who measures memory."""
    address_of.cache_clear()
    _text.cache_clear()
    _by_text.clear()
