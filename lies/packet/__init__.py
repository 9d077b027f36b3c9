"""Octets of IPv6, ICMPv6 and Mobility Headers that several consumers share.

Addresses are 16 octets here, not IPv6Address: the callers convert once, at the edge. Everything that parses
raises MalformedMessage and nothing else; everything that builds raises ProtocolViolation for values that the
wire cannot carry. Work is bounded by the length of the packet.
"""

from lies.packet._address import address_of, forget_addresses, known, read_address, text_of
from lies.packet._ipv6 import (
    ICMPV6,
    MOBILITY,
    NO_NEXT_HEADER,
    UNSPECIFIED,
    Ipv6Packet,
    build_ipv6,
    checksum,
    is_link_local,
    is_routable_unicast,
    parse_ipv6,
)
from lies.packet._mobility import (
    ALTERNATE_COA_AT_12,
    MobilityOption,
    OtherProtocol,
    alternate_coa_option,
    build_mobility_header,
    mobility_option,
    parse_mobility_header,
    parse_mobility_options,
    seal_mobility_header,
    seal_mobility_message,
)
from lies.packet._nd import (
    ND_HOP_LIMIT,
    build_icmpv6,
    build_nd_option,
    pack_identifier,
    parse_nd_message,
    parse_nd_options,
    unpack_identifier,
)

__all__ = [
    "ALTERNATE_COA_AT_12",
    "ICMPV6",
    "MOBILITY",
    "ND_HOP_LIMIT",
    "NO_NEXT_HEADER",
    "UNSPECIFIED",
    "Ipv6Packet",
    "MobilityOption",
    "OtherProtocol",
    "address_of",
    "alternate_coa_option",
    "build_icmpv6",
    "build_ipv6",
    "build_mobility_header",
    "build_nd_option",
    "checksum",
    "forget_addresses",
    "is_link_local",
    "is_routable_unicast",
    "known",
    "mobility_option",
    "pack_identifier",
    "parse_ipv6",
    "parse_mobility_header",
    "parse_mobility_options",
    "parse_nd_message",
    "parse_nd_options",
    "read_address",
    "seal_mobility_header",
    "seal_mobility_message",
    "text_of",
    "unpack_identifier",
]
