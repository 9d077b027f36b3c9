"""IPv6 addresses between octets, objects and text, remembered: a node talks to the same few again and again.

The caches are bounded, and what is in them depends on nothing but the argument.
"""

from functools import lru_cache
from ipaddress import IPv6Address

_REMEMBERED = 16384


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
    return str(address_of(octets))


def text_of(address: IPv6Address) -> str:
    """The address as text (RFC 5952)."""
    return _text(address.packed)  # octets are found more quickly than addresses


@lru_cache(_REMEMBERED)
def read_address(text: str) -> IPv6Address:
    """The address that a text means; ValueError if it is none."""
    return address_of(IPv6Address(text).packed)


def forget_addresses() -> None:
    """Nothing is remembered any more: for who measures memory."""
    for cache in (address_of, _text, read_address):
        cache.cache_clear()
