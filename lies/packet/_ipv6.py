"""The IPv6 header, and the two extension headers that mobility puts behind it (RFC 8200, RFC 6275)."""

import struct

from attrs import define

from lies.errors import MalformedMessage, ProtocolViolation

HOP_BY_HOP = 0  # IANA protocol numbers
ROUTING = 43
ICMPV6 = 58
NO_NEXT_HEADER = 59
DESTINATION_OPTIONS = 60
MOBILITY = 135

UNSPECIFIED = bytes(16)

_HEADER = struct.Struct("!IHBB16s16s")
_HEADER_LENGTH = 40
_NEXT_HEADER_AT = 6
_BEHIND_HOME_ADDRESS = 64  # where a header ends that follows at once and has nothing else
_HOP_LIMIT_AT = 7
_VERSION = 6 << 28
_PAD1 = 0
_HOME_ADDRESS_OPTION = 0xC9  # RFC 6275 section 6.3
_HOME_ADDRESS_LENGTH = 16
_HOME_ADDRESS_HEADER = bytes((2, 1, 2, 0, 0, _HOME_ADDRESS_OPTION, _HOME_ADDRESS_LENGTH))  # at 8n+6
_TYPE_2 = bytes((2, 2, 1, 0, 0, 0, 0))  # RFC 6275 section 6.4.1: length 2, type 2, segments left 1
_MUST_BE_KNOWN = 0xC0  # RFC 8200 section 4.2: these bits are zero in options that may be skipped
_EXTENSIONS = frozenset((HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS))
_MAX_EXTENSION_HEADERS = 8  # RFC 8200 section 4.1 has at most seven; what has more wastes our time
_V4_MAPPED = bytes(10) + b"\xff\xff"


@define
class Ipv6Packet:
    """An IPv6 packet up to its upper-layer header; nobody changes one (a frozen class is slower to make)."""

    source: bytes
    """Of the IPv6 header: with a Home Address option the care-of address."""
    destination: bytes
    """Of the IPv6 header: with a type 2 routing header the care-of address."""
    hop_limit: int
    next_header: int
    """The upper-layer protocol behind all extension headers."""
    payload: bytes
    """From the upper-layer header to the end that the Payload Length states."""
    home_address: bytes | None = None
    """From the Home Address option (RFC 6275 section 6.3)."""
    routing_address: bytes | None = None
    """From the type 2 routing header (RFC 6275 section 6.4)."""

    @property
    def upper_source(self) -> bytes:
        """The source of checksums: the home address where there is one (RFC 6275 section 6.1.1)."""
        return self.source if self.home_address is None else self.home_address

    @property
    def upper_destination(self) -> bytes:
        """The destination of checksums: the final one (RFC 6275 section 6.1.1, RFC 8200 section 8.1)."""
        return self.destination if self.routing_address is None else self.routing_address


def is_link_local(address: bytes) -> bool:
    """Whether the address is in fe80::/10."""
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


def is_routable_unicast(address: bytes) -> bool:
    """Whether the address can be a home or care-of address (RFC 6275 sections 6.1.7, 6.3 and 6.4)."""
    if address[0] & 0xE0 == 0x20:  # 2000::/3, all of which is so (RFC 4291 section 2.4)
        return True
    if address[0] == 0xFF or is_link_local(address):
        return False
    return any(address[:15]) and address[:12] != _V4_MAPPED


def checksum(source: bytes, destination: bytes, next_header: int, payload: bytes | bytearray) -> int:
    """The Internet checksum with the IPv6 pseudo-header (RFC 8200 section 8.1).

    Over a payload that holds its own checksum it is 0 if that is right.
    """
    length = len(payload)
    octets = source + destination + payload
    if length & 1:
        octets += b"\x00"
    # 65536 is 1 modulo 65535, so the remainder is the end-around-carry sum of all 16-bit words
    return 0xFFFF - ((int.from_bytes(octets, "big") + length + next_header) % 0xFFFF or 0xFFFF)


def build_ipv6(
    source: bytes,
    destination: bytes,
    next_header: int,
    hop_limit: int,
    payload: bytes | bytearray,
    *,
    home_address: bytes | None = None,
    routing_address: bytes | None = None,
) -> bytes:
    """An IPv6 packet; the routing header comes before the Home Address option (RFC 6275 section 6.3)."""
    if source[0] == 0xFF:
        raise ProtocolViolation("no packet comes from a multicast address")
    if home_address is not None:
        payload = bytes((next_header,)) + _HOME_ADDRESS_HEADER + home_address + payload
        next_header = DESTINATION_OPTIONS
    if routing_address is not None:
        payload = bytes((next_header,)) + _TYPE_2 + routing_address + payload
        next_header = ROUTING
    length = len(payload)
    if length > 0xFFFF:
        raise ProtocolViolation(f"{length} octets do not fit into an IPv6 packet")
    return _HEADER.pack(_VERSION, length, next_header, hop_limit, source, destination) + payload


def parse_ipv6(packet: bytes) -> Ipv6Packet:
    """Take a packet apart; octets behind its Payload Length are link padding and ignored."""
    try:
        first, length, next_header, hop_limit, source, destination = _HEADER.unpack_from(packet)
    except struct.error:
        raise MalformedMessage("the packet is shorter than an IPv6 header") from None
    if first >> 28 != 6:
        raise MalformedMessage("the packet is not IPv6")
    end = _HEADER_LENGTH + length
    if end > len(packet):
        raise MalformedMessage("the packet is shorter than its payload length")
    if source[0] == 0xFF:
        raise MalformedMessage("the source address is multicast")
    if next_header in _EXTENSIONS:
        return _parse_extensions(packet, end)
    return Ipv6Packet(source, destination, hop_limit, next_header, packet[_HEADER_LENGTH:end])


def _parse_extensions(packet: bytes, end: int) -> Ipv6Packet:
    """A packet with extension headers, that ends at `end`."""
    home_address: bytes | None = None
    routing_address: bytes | None = None
    next_header, at, headers = packet[_NEXT_HEADER_AT], _HEADER_LENGTH, 0
    if next_header == DESTINATION_OPTIONS and end >= _BEHIND_HOME_ADDRESS:  # as every mobile node sends it
        option = packet[41:48]
        if option == _HOME_ADDRESS_HEADER and is_routable_unicast(packet[48:64]):
            home_address, next_header, at, headers = packet[48:64], packet[40], _BEHIND_HOME_ADDRESS, 1
    while next_header in _EXTENSIONS:
        headers += 1
        if headers > _MAX_EXTENSION_HEADERS:
            raise MalformedMessage("the packet has too many extension headers")
        size = 8 + 8 * packet[at + 1] if at + 8 <= end else 8
        if at + size > end:
            raise MalformedMessage("an extension header is cut off")
        if next_header == ROUTING:
            routing_address = _parse_routing(packet, at, routing_address)
        else:
            known = home_address
            home_address = _parse_options(packet, at + 2, at + size, known)
            if next_header == HOP_BY_HOP and (headers > 1 or home_address is not known):
                raise MalformedMessage("a hop-by-hop header is out of place or has a Home Address option")
        next_header = packet[at]
        at += size
    source, destination, hop_limit = packet[8:24], packet[24:40], packet[_HOP_LIMIT_AT]
    return Ipv6Packet(
        source, destination, hop_limit, next_header, packet[at:end], home_address, routing_address
    )


def _parse_routing(packet: bytes, at: int, known: bytes | None) -> bytes | None:
    """The address of the type 2 routing header at `at` (RFC 6275 section 6.4)."""
    kind, segments_left = packet[at + 2], packet[at + 3]
    if kind != 2:
        if segments_left:
            raise MalformedMessage("a routing header of a foreign type is not used up")
        return known
    if known is not None:
        raise MalformedMessage("the packet has two type 2 routing headers")
    if packet[at + 1] != 2 or segments_left != 1:
        raise MalformedMessage("a type 2 routing header has not length 2 and segments left 1")
    address = packet[at + 8 : at + 24]
    if not is_routable_unicast(address):
        raise MalformedMessage("the address of a type 2 routing header is not a routable unicast address")
    return address


def _parse_options(packet: bytes, at: int, end: int, known: bytes | None) -> bytes | None:
    """The home address among the options in [at, end); options that may be skipped are (RFC 8200 4.2)."""
    while at < end:
        kind = packet[at]
        if kind == _PAD1:
            at += 1
            continue
        if at + 2 > end or at + 2 + packet[at + 1] > end:
            raise MalformedMessage("an option of an extension header is cut off")
        if kind == _HOME_ADDRESS_OPTION:
            if known is not None:
                raise MalformedMessage("the packet has two Home Address options")
            if packet[at + 1] != _HOME_ADDRESS_LENGTH:
                raise MalformedMessage("a Home Address option has not length 16")
            known = packet[at + 2 : at + 18]
            if not is_routable_unicast(known):
                raise MalformedMessage("the home address is not a routable unicast address")
        elif kind & _MUST_BE_KNOWN:
            raise MalformedMessage("the packet has an unknown option that forbids processing")
        at += 2 + packet[at + 1]
    return known
