"""The Mobility Header with its options, padding and checksum (RFC 6275 sections 6.1.1 and 6.2)."""

from collections.abc import Iterable
from typing import NamedTuple

from lies.errors import MalformedMessage, ProtocolViolation
from lies.packet._ipv6 import MOBILITY, NO_NEXT_HEADER, Ipv6Packet, checksum

_PAD1 = 0
_PADN = 1
_ALTERNATE_COA = 3  # RFC 6275 section 6.2.5
_FIXED_LENGTH = 6
# An Alternate Care-of Address option behind 12 octets, but for the address: PadN puts it at 8n + 6
ALTERNATE_COA_AT_12 = bytes((_PADN, 0, _ALTERNATE_COA, 16))
_MAX_LENGTH = 8 + 8 * 255  # Header Len counts 8-octet units behind the first
# the padding of n octets: nothing, Pad1, or one PadN (section 6.2.3)
_PADDING = (b"", b"\x00", *(bytes((_PADN, n - 2)) + bytes(n - 2) for n in range(2, 8)))
_PADDINGS = frozenset(_PADDING)


class OtherProtocol(MalformedMessage):
    """A sound packet with a message of another protocol than the reader's.

    protocol: the upper-layer protocol number; kind: its message type (-1 where there is none);
    source, home_address: where a Binding Error about it belongs (RFC 6275 section 9.2).
    """

    def __init__(self, packet: Ipv6Packet, kind: int, what: str) -> None:
        super().__init__(what)
        self.protocol = packet.next_header
        self.kind = kind
        self.source = packet.source
        self.home_address = packet.home_address


class MobilityOption(NamedTuple):
    """A mobility option to send: it is placed at modulus * n + remainder octets from the header's start."""

    kind: int
    value: bytes
    modulus: int = 1
    remainder: int = 0


def alternate_coa_option(address: bytes) -> MobilityOption:
    """The Alternate Care-of Address option (RFC 6275 section 6.2.5)."""
    return MobilityOption(_ALTERNATE_COA, address, 8, 6)


def build_mobility_header(kind: int, data: bytes, options: Iterable[MobilityOption] = ()) -> bytearray:
    """A Mobility Header with aligned options, padded to 8 octets; its checksum is still zero."""
    header = bytearray((NO_NEXT_HEADER, 0, kind, 0, 0, 0))
    header += data
    for option, value, modulus, remainder in options:
        if modulus > 1:
            header += _PADDING[(remainder - len(header)) % modulus]
        header += bytes((option, len(value)))
        header += value
    header += _PADDING[-len(header) % 8]
    length = len(header)
    if length > _MAX_LENGTH:
        raise ProtocolViolation(f"{length} octets do not fit into a Mobility Header")
    header[1] = length // 8 - 1
    return header


def seal_mobility_header(header: bytearray, source: bytes, destination: bytes) -> None:
    """Set the checksum; source is the home address and destination the final one (RFC 6275 6.1.1)."""
    header[4] = header[5] = 0
    header[4], header[5] = divmod(checksum(source, destination, MOBILITY, header), 256)


def seal_mobility_message(kind: int, body: bytes, source: bytes, destination: bytes) -> bytes:
    """A Mobility Header of what stands behind its checksum, padded to 8 octets and with that checksum.

    source is the home address and destination the final one (RFC 6275 section 6.1.1).
    """
    length = _FIXED_LENGTH + len(body)
    if length & 7:
        body += _PADDING[-length & 7]
        length = (length | 7) + 1
    if length > _MAX_LENGTH:
        raise ProtocolViolation(f"{length} octets do not fit into a Mobility Header")
    fixed = bytes((NO_NEXT_HEADER, length // 8 - 1, kind, 0))
    octets = source + destination + fixed + body  # its checksum is zero, and the length even: see `checksum`
    checked = 0xFFFF - ((int.from_bytes(octets, "big") + length + MOBILITY) % 0xFFFF or 0xFFFF)
    return fixed + checked.to_bytes(2, "big") + body


def mobility_option(kind: int, value: bytes, at: int, modulus: int = 1, remainder: int = 0) -> bytes:
    """An option that follows `at` octets of the header, with the padding before it (RFC 6275 section 6.2)."""
    return _PADDING[(remainder - at) % modulus] + bytes((kind, len(value))) + value


def parse_mobility_header(packet: Ipv6Packet) -> bytes:
    """The Mobility Header of a packet, checked as RFC 6275 section 9.2 orders; its type is octet 2.

    Octets behind it are ignored, because No Next Header ends the packet (RFC 8200 section 4.7).
    """
    if packet.next_header != MOBILITY:
        raise OtherProtocol(packet, -1, "the packet has no Mobility Header")
    header = packet.payload
    size = len(header)
    length = 8 + 8 * header[1] if size >= 8 else 8
    if length != size:
        if length > size:
            raise MalformedMessage("the Mobility Header is cut off")
        header = header[:length]
    checked = (packet.home_address or packet.source) + (packet.routing_address or packet.destination) + header
    if (int.from_bytes(checked, "big") + length + MOBILITY) % 0xFFFF:  # see `checksum`
        raise MalformedMessage("the checksum of the Mobility Header is wrong")
    if header[0] != NO_NEXT_HEADER:
        raise MalformedMessage("something follows the Mobility Header")
    return header


def parse_mobility_options(header: bytes, at: int) -> list[tuple[int, bytes, int]]:
    """The options from offset `at` on as (type, value, end offset), without the padding."""
    end = len(header)
    if at > end:
        raise MalformedMessage("the Mobility Header is too short for its type")
    if header[at:] in _PADDINGS:
        return []
    options: list[tuple[int, bytes, int]] = []
    while at < end:
        kind = header[at]
        if kind == _PAD1:
            at += 1
            continue
        start = at + 2
        at = start + header[at + 1] if start <= end else end + 1
        if at > end:
            raise MalformedMessage("a mobility option is cut off")
        if kind != _PADN:
            options.append((kind, header[start:at], at))
    return options
