"""IPv6 addresses between octets, objects and text, remembered: a node talks to the same few again and again.

What is remembered is bounded, and depends on nothing but the argument.
"""

import struct
from collections.abc import Callable
from ipaddress import IPv6Address

_REMEMBERED = 16384  # addresses met lately; as many that were met before them are known, too
_HEXTETS = struct.Struct("!8H")
_TEXT = ":%x:%x:%x:%x:%x:%x:%x:%x:"
_ZEROS = [":" + "0:" * n for n in range(7, 1, -1)]  # RFC 5952 section 4.2
_NOT_COMMON = bytes(10)  # IPv4-mapped addresses and others


class _Address(IPv6Address):
    """An IPv6Address, equal to any other of its value, that works its hash, octets and text out once.

    Engines look addresses up and compare them all the time; the standard class does it all in Python.
    """

    __slots__ = ("_hash", "packed", "text")
    packed: bytes  # a slot is quicker than the property that it stands for
    text: str | None

    def __init__(self, octets: bytes) -> None:
        super().__init__(octets)
        self._hash = super().__hash__()
        # It reads as the property does, and nobody sets it but here.
        self.packed = octets  # pyright: ignore[reportIncompatibleMethodOverride]
        self.text = None  # of most addresses nobody asks for it

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


class _ByOctets(dict[bytes, _Address]):
    """The addresses met lately; when there are too many, those before them are forgotten.

    To look one up costs half of what it does in an lru_cache, which also takes twice the memory.
    """

    __slots__ = ("before",)

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[bytes, _Address] = {}

    def __missing__(self, octets: bytes) -> _Address:
        address = self.before.get(octets) or _Address(octets)
        if len(self) >= _REMEMBERED:
            self.before = dict(self)
            self.clear()
        self[octets] = address
        return address


_by_octets = _ByOctets()
_by_text: dict[str, IPv6Address] = {}

address_of: Callable[[bytes], IPv6Address] = _by_octets.__getitem__
"""The address of 16 octets."""


def known(address: IPv6Address) -> IPv6Address:
    """The same address, as address_of gives it: quick to look up, to compare and to write."""
    return address_of(address.packed)


def _write(octets: bytes) -> str:
    """The standard class's text, which it takes five times as long to make."""
    if octets.startswith(_NOT_COMMON):  # its text depends on the version of Python
        return str(IPv6Address(octets))
    text = _TEXT % _HEXTETS.unpack(octets)
    for zeros in _ZEROS:  # the longest run, the first of equal ones
        at = text.find(zeros)
        if at >= 0:
            return f"{text[1:at]}::{text[at + len(zeros) : -1]}"
    return text[1:-1]


def _remember(text: str, address: IPv6Address) -> None:
    if len(_by_text) >= _REMEMBERED:
        _by_text.clear()
    _by_text[text] = address


def text_of(address: IPv6Address) -> str:
    """The address as text (RFC 5952); reading it again is prepared."""
    known = address if type(address) is _Address else _by_octets[address.packed]
    text = known.text
    if text is None:
        text = known.text = _write(known.packed)
        _remember(text, known)
    return text


def read_address(text: str) -> IPv6Address:
    """The address that a text means; ValueError if it is none."""
    address = _by_text.get(text)
    if address is None:
        address = address_of(IPv6Address(text).packed)
        _remember(text, address)
    return address


def forget_addresses() -> None:
    """Nothing is remembered any more: for who measures memory."""
    _by_octets.clear()
    _by_octets.before.clear()
    _by_text.clear()
