"""ICMPv6 framing and neighbour discovery options (RFC 4443, RFC 4861 section 4)."""

from collections.abc import Iterable

from lies.errors import MalformedMessage, ProtocolViolation
from lies.packet._ipv6 import ICMPV6, Ipv6Packet, checksum
from lies.packet._mobility import OtherProtocol

ND_HOP_LIMIT = 255  # proves that no router forwarded the packet (RFC 4861 section 3.1)

_EUI48_LENGTH = 6
_MAX_IDENTIFIER = 253  # keeps an option's length far below its 8 bits


def build_icmpv6(kind: int, code: int, body: bytes, source: bytes, destination: bytes) -> bytes:
    """An ICMPv6 message with its checksum (RFC 4443 section 2.3)."""
    head = bytes((kind, code))
    checked = checksum(source, destination, ICMPV6, head + b"\x00\x00" + body)
    return head + checked.to_bytes(2, "big") + body


def parse_nd_message(packet: Ipv6Packet, minimums: dict[int, int]) -> bytes:
    """The ICMPv6 message of a neighbour discovery packet, checked; its type is octet 0, its code octet 1.

    minimums: the least length in octets of every type that the caller reads. Hop limit 255 and the checksum
    are verified; extension headers of mobility have no place here (RFC 6275 section 11.3.1).
    """
    if packet.next_header != ICMPV6:
        raise OtherProtocol(packet, -1, "the packet has no ICMPv6 message")
    message = packet.payload
    if len(message) < 4:
        raise MalformedMessage("the ICMPv6 message is cut off")
    source, destination = packet.home_address, packet.routing_address
    if checksum(source or packet.source, destination or packet.destination, ICMPV6, message):
        raise MalformedMessage("the ICMPv6 checksum is wrong")
    minimum = minimums.get(message[0])
    if minimum is None:
        raise OtherProtocol(packet, message[0], f"ICMPv6 type {message[0]} is not for this reader")
    if packet.hop_limit != ND_HOP_LIMIT:
        raise MalformedMessage("the hop limit of a neighbour discovery message is not 255")
    if packet.home_address is not None or packet.routing_address is not None:
        raise MalformedMessage("a neighbour discovery message carries a home address")
    if len(message) < minimum:
        raise MalformedMessage("the ICMPv6 message is shorter than its type needs")
    return message


def build_nd_option(kind: int, body: bytes) -> bytes:
    """An option, padded with zeros to a multiple of 8 octets (RFC 4861 section 4.6)."""
    size = len(body) + 2
    units = (size + 7) // 8
    if units > 0xFF:
        raise ProtocolViolation(f"{size} octets do not fit into a neighbour discovery option")
    option = bytes((kind, units)) + body
    return option if size == 8 * units else option + bytes(8 * units - size)


def parse_nd_options(message: bytes, at: int) -> Iterable[tuple[int, bytes]]:
    """The options from offset `at` on as (type, octets behind the length)."""
    end = len(message)
    options: list[tuple[int, bytes]] = []
    while at < end:
        behind = at + 8 * message[at + 1] if at + 2 <= end else end + 1
        if behind > end:
            raise MalformedMessage("a neighbour discovery option is cut off")
        if behind == at:
            raise MalformedMessage("a neighbour discovery option has length 0")
        options.append((message[at], message[at + 2 : behind]))
        at = behind
    return options


def pack_identifier(identifier: bytes, *, shortest: int = 1) -> bytes:
    """A link-layer address or access point identifier, fit for an option that has no room for its length.

    Allowed are 6 octets (an EUI-48), or any other number of them if the last is not zero: only those come
    back from behind the option's padding (RFC 5568 section 6.4.3 leaves the length to the link layer).
    shortest: 6 for options whose least body has 6 octets.
    """
    length = len(identifier)
    if not shortest <= length <= _MAX_IDENTIFIER or (length != _EUI48_LENGTH and not identifier[-1]):
        raise ProtocolViolation(
            f"the identifier {identifier.hex() or 'of no octets'} cannot be sent: it must have 6 octets, or "
            f"{shortest} to {_MAX_IDENTIFIER} of which the last is not zero"
        )
    return identifier


def unpack_identifier(padded: bytes) -> bytes:
    """What pack_identifier was given, from the octets with padding; it can be sent again."""
    identifier = padded.rstrip(b"\x00")
    if len(identifier) <= _EUI48_LENGTH <= len(padded):
        return padded[:_EUI48_LENGTH]
    if not 0 < len(identifier) <= _MAX_IDENTIFIER:
        raise MalformedMessage(f"a link-layer address has not 1 to {_MAX_IDENTIFIER} octets")
    return identifier
