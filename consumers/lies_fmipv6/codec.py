"""FMIPv6 messages to and from whole IPv6 packets, with struct alone: the codec of engines and hot path.

`decode` answers MalformedMessage for whatever is wrong, `OtherProtocol` (one of them) for sound packets that
are no message of FMIPv6, and nothing else. `encode` answers ProtocolViolation for messages that the RFC
forbids or the wire cannot carry.
"""

import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import NamedTuple, get_args

from lies.errors import ProtocolViolation
from lies.packet import ICMPV6, address_of, parse_ipv6
from lies_fmipv6.messages import Message
from lies_fmipv6.mh_reader import decode_mobility
from lies_fmipv6.mh_shapes import READERS
from lies_fmipv6.mh_writer import MOBILITY_WRITERS
from lies_fmipv6.nd_reader import decode_nd
from lies_fmipv6.nd_writer import NdMessage, encode_nd

__all__ = ["DEFAULT_SPI", "Received", "decode", "encode"]

_WRITERS = {**MOBILITY_WRITERS, **dict.fromkeys(get_args(NdMessage), encode_nd)}
DEFAULT_SPI = 1  # 0 is reserved for keys derived from SEND (RFC 5568 section 6.4.5)


class Received(NamedTuple):
    """A message and what its packet said about it."""

    message: Message
    source: IPv6Address
    """Of the IPv6 header: the care-of address where the packet has a Home Address option."""
    destination: IPv6Address
    """Of the IPv6 header."""
    hop_limit: int
    authenticated: bool
    """The BADF option was there and right for the key (RFC 5568 section 6.4.5)."""
    badf_present: bool
    """The BADF option was there."""


def encode(
    message: Message,
    source: IPv6Address,
    destination: IPv6Address,
    *,
    key: bytes | None = None,
    spi: int = DEFAULT_SPI,
) -> bytes:
    """The packet of a message, from the IPv6 header on.

    key: the handover key that MN and PAR share; with it FBU and FBack end in a BADF option (6.4.5).
    """
    try:
        return _WRITERS[type(message)](message, source.packed, destination.packed, key, spi)
    except (struct.error, ValueError, OverflowError) as error:
        raise ProtocolViolation(f"{type(message).__name__} has a value that does not fit: {error}") from error


def decode(packet: bytes, *, key_for: Callable[[IPv6Address], bytes | None] | None = None) -> Received:
    """The message in a packet that begins with its IPv6 header.

    key_for: the handover key by the peer's address, which is PCoA for an FBU and the PAR's address (the
    source) for an FBack; None for no key. It is asked only if a BADF option is there.
    """
    reader = READERS.get(len(packet))
    known = reader(packet, key_for) if reader is not None else None
    if known is not None:
        return tuple.__new__(Received, known)
    parsed = parse_ipv6(packet)
    authenticated = badf_present = False
    message: Message
    if parsed.next_header == ICMPV6:
        message = decode_nd(parsed)
    else:
        message, badf_present, authenticated = decode_mobility(parsed, key_for)
    source, destination = address_of(parsed.source), address_of(parsed.destination)
    # as Received(...), which is a function in Python that does this
    return tuple.__new__(
        Received, (message, source, destination, parsed.hop_limit, authenticated, badf_present)
    )
