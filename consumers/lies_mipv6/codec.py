"""Mobile IPv6 messages to and from whole IPv6 packets, with struct alone (RFC 6275 sections 6.1 to 6.4).

`decode` answers MalformedMessage for whatever is wrong, `OtherProtocol` (one of them) for sound packets whose
message is of another protocol, and nothing else. `encode` answers ProtocolViolation for messages that the RFC
forbids or the wire cannot carry.
"""

import struct
from ipaddress import IPv6Address
from typing import NamedTuple

from lies.errors import MalformedMessage, ProtocolViolation
from lies.packet import (
    ALTERNATE_COA_AT_12,
    ICMPV6,
    MOBILITY,
    ND_HOP_LIMIT,
    UNSPECIFIED,
    Ipv6Packet,
    OtherProtocol,
    address_of,
    build_icmpv6,
    build_ipv6,
    build_nd_option,
    is_routable_unicast,
    pack_identifier,
    parse_ipv6,
    parse_mobility_header,
    parse_mobility_options,
    parse_nd_message,
    parse_nd_options,
    seal_mobility_message,
    unpack_identifier,
)
from lies_mipv6.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingUpdate,
    Message,
    NeighbourAdvertisement,
)

__all__ = ["Received", "decode", "encode"]

MH_BU = 5  # section 6.1.7
MH_BA = 6  # section 6.1.8
MH_BE = 7  # section 6.1.9
OPTION_ALTERNATE_COA = 3  # section 6.2.5
ICMPV6_NA = 136  # RFC 4861 section 4.4
OPTION_TARGET_LLA = 2  # RFC 4861 section 4.6.1

HOP_LIMIT = 64
LIFETIME_UNIT_S = 4  # sections 6.1.7 and 6.1.8

_BINDING_UPDATE = struct.Struct("!HHH")  # sequence, flags, lifetime
_BINDING_ACK = struct.Struct("!BBHH")  # status, flags, sequence, lifetime
_BINDING_ERROR = struct.Struct("!BB16s")  # status, reserved, home address
_BEHIND_COA = 32  # where an Alternate Care-of Address option ends that is the first one
_OPTIONS_AT = {MH_BU: 12, MH_BA: 12, MH_BE: 24}

_A, _H, _L, _K = 0x8000, 0x4000, 0x2000, 0x1000
_K_OF_ACK = 0x80
_ROUTER, _SOLICITED, _OVERRIDE = 0x80, 0x40, 0x20

MobilityMessage = BindingUpdate | BindingAcknowledgement | BindingError


class Received(NamedTuple):
    """A message and what its packet said about it."""

    message: Message
    source: IPv6Address
    """Of the IPv6 header: the care-of address where the packet has a Home Address option."""
    destination: IPv6Address
    """Of the IPv6 header: the care-of address where the packet has a type 2 routing header."""
    hop_limit: int


def encode(message: Message, source: IPv6Address, destination: IPv6Address) -> bytes:
    """The packet of a message, from the IPv6 header on.

    A Binding Update whose home address is not the source gets a Home Address option, a Binding
    Acknowledgement with a home address a type 2 routing header; source and destination stay as given.
    """
    try:
        if isinstance(message, NeighbourAdvertisement):
            return _encode_na(message, source.packed, destination.packed)
        return _encode_mobility(message, source.packed, destination.packed)
    except (struct.error, ValueError, OverflowError) as error:
        raise ProtocolViolation(f"{type(message).__name__} has a value that does not fit: {error}") from error


def decode(packet: bytes) -> Received:
    """The message in a packet that begins with its IPv6 header."""
    parsed = parse_ipv6(packet)
    message = _decode_na(parsed) if parsed.next_header == ICMPV6 else _decode_mobility(parsed)
    source, destination = address_of(parsed.source), address_of(parsed.destination)
    # as Received(...), which is a function in Python that does this
    return tuple.__new__(Received, (message, source, destination, parsed.hop_limit))


def _units(lifetime_s: int) -> int:
    units, rest = divmod(lifetime_s, LIFETIME_UNIT_S)
    if rest:
        raise ProtocolViolation(f"a lifetime of {lifetime_s} s is not a multiple of {LIFETIME_UNIT_S} s")
    return units


def _encode_mobility(message: MobilityMessage, source: bytes, destination: bytes) -> bytes:
    home_address: bytes | None = None
    routing_address: bytes | None = None
    if isinstance(message, BindingUpdate):
        kind, body = MH_BU, _update(message, source)
        if message.home_address.packed != source:
            home_address = message.home_address.packed
    elif isinstance(message, BindingAcknowledgement):
        flags = _K_OF_ACK if message.key_management else 0
        lifetime = _units(message.lifetime_s)
        kind, body = MH_BA, _BINDING_ACK.pack(message.status, flags, message.sequence, lifetime)
        if message.home_address is not None:
            routing_address = message.home_address.packed
            if not is_routable_unicast(routing_address):
                raise ProtocolViolation(f"{message.home_address} cannot be a home address")
    else:
        kind, body = MH_BE, _BINDING_ERROR.pack(message.status, 0, message.home_address.packed)
    header = seal_mobility_message(kind, body, home_address or source, routing_address or destination)
    return build_ipv6(
        source,
        destination,
        MOBILITY,
        HOP_LIMIT,
        header,
        home_address=home_address,
        routing_address=routing_address,
    )


def _update(message: BindingUpdate, source: bytes) -> bytes:
    """What stands behind the checksum of a Binding Update."""
    coa = source if message.alternate_coa is None else message.alternate_coa.packed
    if not is_routable_unicast(coa) or not is_routable_unicast(message.home_address.packed):
        raise ProtocolViolation("the addresses of a Binding Update must be routable unicast addresses")
    flags = (
        (_A if message.acknowledge else 0)
        | (_H if message.home_registration else 0)
        | (_L if message.link_local else 0)
        | (_K if message.key_management else 0)
    )
    body = _BINDING_UPDATE.pack(message.sequence, flags, _units(message.lifetime_s))
    return body if message.alternate_coa is None else body + ALTERNATE_COA_AT_12 + coa


def _decode_mobility(packet: Ipv6Packet) -> MobilityMessage:
    header = parse_mobility_header(packet)
    kind = header[2]
    options_at = _OPTIONS_AT.get(kind)
    if options_at is None:
        raise OtherProtocol(packet, kind, f"Mobility Header type {kind} is not of Mobile IPv6")
    alternate_coa: bytes | None = None
    if (
        kind == MH_BU and header[12:16] == ALTERNATE_COA_AT_12 and len(header) >= _BEHIND_COA
    ):  # as all send it
        alternate_coa, options_at = header[16:_BEHIND_COA], _BEHIND_COA
    for option, value, _ in parse_mobility_options(header, options_at):
        if option == OPTION_ALTERNATE_COA and kind == MH_BU and alternate_coa is None:
            if len(value) != 16:
                raise MalformedMessage("an Alternate Care-of Address option has not length 16")
            alternate_coa = value
    if kind == MH_BU:
        return _parse_update(packet, header, alternate_coa)
    if kind == MH_BA:
        status, flags, sequence, units = _BINDING_ACK.unpack_from(header, 6)
        routed = packet.routing_address
        return BindingAcknowledgement(
            status,
            sequence,
            units * LIFETIME_UNIT_S,
            None if routed is None else address_of(routed),
            bool(flags & _K_OF_ACK),
        )
    status, _, address = _BINDING_ERROR.unpack_from(header, 6)
    return BindingError(status, address_of(address))


def _parse_update(packet: Ipv6Packet, header: bytes, alternate_coa: bytes | None) -> BindingUpdate:
    if not is_routable_unicast(packet.source if alternate_coa is None else alternate_coa):
        raise MalformedMessage("the care-of address of a Binding Update is not a routable unicast address")
    home_address = packet.upper_source
    if not is_routable_unicast(home_address):
        raise MalformedMessage("the home address of a Binding Update is not a routable unicast address")
    sequence, flags, units = _BINDING_UPDATE.unpack_from(header, 6)
    return BindingUpdate(
        sequence,
        units * LIFETIME_UNIT_S,
        address_of(home_address),
        None if alternate_coa is None else address_of(alternate_coa),
        flags & _A != 0,
        flags & _H != 0,
        flags & _L != 0,
        flags & _K != 0,
    )


def _encode_na(message: NeighbourAdvertisement, source: bytes, destination: bytes) -> bytes:
    target = message.target.packed
    if target[0] == 0xFF or (message.solicited and destination[0] == 0xFF):
        raise ProtocolViolation("a Neighbour Advertisement has a multicast target, or S to a multicast group")
    flags = (
        (_ROUTER if message.router else 0)
        | (_SOLICITED if message.solicited else 0)
        | (_OVERRIDE if message.override else 0)
    )
    body = bytes((flags, 0, 0, 0)) + target
    if message.lla is not None:
        body += build_nd_option(OPTION_TARGET_LLA, pack_identifier(message.lla, shortest=6))
    icmp = build_icmpv6(ICMPV6_NA, 0, body, source, destination)
    return build_ipv6(source, destination, ICMPV6, ND_HOP_LIMIT, icmp)


def _decode_na(packet: Ipv6Packet) -> NeighbourAdvertisement:
    """A Neighbour Advertisement, checked as RFC 4861 section 7.1.2 orders."""
    message = parse_nd_message(packet, {ICMPV6_NA: 24})
    target = message[8:24]
    if message[1]:
        raise MalformedMessage("the code of a Neighbour Advertisement is not 0")
    if target[0] == 0xFF or packet.source == UNSPECIFIED:
        raise MalformedMessage("a Neighbour Advertisement has a multicast target or no source")
    flags = message[4]
    if flags & _SOLICITED and packet.destination[0] == 0xFF:
        raise MalformedMessage("a Neighbour Advertisement to a multicast group has S")
    lla: bytes | None = None
    for kind, body in parse_nd_options(message, 24):
        if kind == OPTION_TARGET_LLA and lla is None:
            lla = unpack_identifier(body)
    return NeighbourAdvertisement(
        address_of(target), lla, bool(flags & _ROUTER), bool(flags & _SOLICITED), bool(flags & _OVERRIDE)
    )
