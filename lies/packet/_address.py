"""IPv6 addresses between octets, objects and text, remembered: a node talks to the same few again and again.

The caches are bounded, and what is in them depends on nothing but the argument. One object for one address
also saves comparing it: a dictionary finds it by identity.
"""

from functools import lru_cache
from ipaddress import IPv6Address

_REMEMBERED = 8192


@lru_cache(_REMEMBERED)
def address_of(octets: bytes) -> IPv6Address:
    """The address of 16 octets."""
    return IPv6Address(octets)


@lru_cache(_REMEMBERED)
def text_of(address: IPv6Address) -> str:
    """The address as text (RFC 5952)."""
    return str(address)


@lru_cache(_REMEMBERED)
def read_address(text: str) -> IPv6Address:
    """The address that a text means; ValueError if it is none."""
    return IPv6Address(text)
