"""RtSolPr, PrRtAdv, UNA, RS and RA to ICMPv6 packets (RFC 5568 section 6, RFC 4861 section 4)."""

from ipaddress import IPv6Address

from lies.errors import ProtocolViolation
from lies.packet import (
    ICMPV6,
    ND_HOP_LIMIT,
    UNSPECIFIED,
    build_icmpv6,
    build_ipv6,
    build_nd_option,
    is_link_local,
    is_routable_unicast,
    pack_identifier,
)
from lies_fmipv6.messages import (
    AccessPointInfo,
    Naack,
    NaackStatus,
    NeighbourAdvertisement,
    NeighbourSolicitation,
    OptionCode,
    PrRtAdv,
    PrRtAdvCode,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.wire import (
    ADDRESS,
    ADDRESS_NAR,
    ADDRESS_NEW_COA,
    ADDRESS_PREFIX,
    FMIPV6,
    ICMPV6_FMIPV6,
    ICMPV6_NA,
    ICMPV6_NS,
    ICMPV6_RA,
    ICMPV6_RS,
    LLA_NAR,
    LLA_NEW_ACCESS_POINT,
    LLA_SOURCE,
    LLA_WILDCARD,
    MTU,
    NA_O,
    NA_R,
    NA_S,
    OPTION_ADDRESS,
    OPTION_LLA,
    OPTION_MTU,
    OPTION_NAACK,
    OPTION_PREFIX,
    OPTION_SOURCE_LLA,
    OPTION_TARGET_LLA,
    PREFIX,
    PREFIX_A,
    PREFIX_L,
    PREFIX_R,
    ROUTER_ADVERTISEMENT,
    SUBTYPE_PRRTADV,
    SUBTYPE_RTSOLPR,
)

_TUPLE_CODES = frozenset(OptionCode)
_NEEDS_ROUTER = (PrRtAdvCode.TUPLES, PrRtAdvCode.HANDOVER)
_CODES = frozenset(PrRtAdvCode)
_UNSOLICITED = (PrRtAdvCode.HANDOVER, PrRtAdvCode.NEIGHBOURHOOD)

NdMessage = (
    RtSolPr
    | PrRtAdv
    | UnsolicitedNeighbourAdvertisement
    | NeighbourSolicitation
    | NeighbourAdvertisement
    | RouterSolicitation
    | RouterAdvertisement
)


def encode_nd(
    message: NdMessage, source: bytes, destination: bytes, _key: bytes | None = None, _spi: int = 0
) -> bytes:
    """The packet of a message; none of them has a BADF option."""
    code = message.code if isinstance(message, PrRtAdv) else 0
    kind, body = _content(message, source)
    icmp = build_icmpv6(kind, code, body, source, destination)
    return build_ipv6(source, destination, ICMPV6, ND_HOP_LIMIT, icmp)


def _content(message: NdMessage, source: bytes) -> tuple[int, bytes]:
    """The ICMPv6 type of a message, and what stands behind the checksum."""
    match message:
        case RtSolPr():
            if source == UNSPECIFIED:
                raise ProtocolViolation("an RtSolPr is sent from an address of the interface")
            return ICMPV6_FMIPV6, _solicitation(message)
        case PrRtAdv():
            if not is_link_local(source):
                raise ProtocolViolation("a PrRtAdv is sent from a link-local address")
            return ICMPV6_FMIPV6, _advertisement(message)
        case RouterSolicitation():
            if message.source_lla is not None and source == UNSPECIFIED:
                raise ProtocolViolation("an RS from the unspecified address has no link-layer address")
            return ICMPV6_RS, bytes(4) + _link_layer_address(OPTION_SOURCE_LLA, message.source_lla)
        case RouterAdvertisement():
            if not is_link_local(source):
                raise ProtocolViolation("an RA is sent from a link-local address")
            return ICMPV6_RA, _router_advertisement(message)
        case _:
            return _about_neighbour(message, source)


def _about_neighbour(
    message: UnsolicitedNeighbourAdvertisement | NeighbourSolicitation | NeighbourAdvertisement, source: bytes
) -> tuple[int, bytes]:
    if isinstance(message, NeighbourSolicitation):
        if source != UNSPECIFIED:
            raise ProtocolViolation("a probe for an address is sent from no address")
        return ICMPV6_NS, bytes(4) + _about(message.target)
    lla = _link_layer_address(OPTION_TARGET_LLA, message.lla)
    if isinstance(message, NeighbourAdvertisement):
        flags = _flags(message)
        if not flags:
            raise ProtocolViolation("a Neighbour Advertisement without a flag is a UNA")
        return ICMPV6_NA, bytes((flags, 0, 0, 0)) + _about(message.target) + lla
    if message.target.packed != source:
        raise ProtocolViolation("a UNA is sent from its target address")
    return ICMPV6_NA, bytes(4) + source + lla


def _flags(message: NeighbourAdvertisement) -> int:
    said = (message.router, NA_R), (message.solicited, NA_S), (message.override, NA_O)
    return sum(bit for is_set, bit in said if is_set)


def _about(target: IPv6Address) -> bytes:
    if not is_routable_unicast(target.packed):
        raise ProtocolViolation(f"{target} cannot be a care-of address")
    return target.packed


def _lla_option(code: int, identifier: bytes) -> bytes:
    return build_nd_option(OPTION_LLA, bytes((code,)) + pack_identifier(identifier))


def _link_layer_address(kind: int, lla: bytes | None) -> bytes:
    return b"" if lla is None else build_nd_option(kind, pack_identifier(lla, shortest=6))


def _address_option(code: int, prefix_length: int, address: bytes) -> bytes:
    return build_nd_option(OPTION_ADDRESS, ADDRESS.pack(code, prefix_length, 0, address))


def _solicitation(message: RtSolPr) -> bytes:
    if message.wildcard == bool(message.access_points):
        raise ProtocolViolation("an RtSolPr names access points or is a wildcard")
    parts = [FMIPV6.pack(SUBTYPE_RTSOLPR, 0, message.identifier)]
    if message.source_lla is not None:
        parts.append(_lla_option(LLA_SOURCE, message.source_lla))
    if message.wildcard:
        parts.append(build_nd_option(OPTION_LLA, bytes((LLA_WILDCARD,))))
    parts += [_lla_option(LLA_NEW_ACCESS_POINT, access_point) for access_point in message.access_points]
    return b"".join(parts)


def _advertisement(message: PrRtAdv) -> bytes:
    if message.code not in _CODES or not message.access_points:
        raise ProtocolViolation("a PrRtAdv has a code from 0 to 5 and names access points")
    if message.code in _UNSOLICITED and message.identifier:
        raise ProtocolViolation("an unsolicited PrRtAdv has identifier 0")
    parts = [FMIPV6.pack(SUBTYPE_PRRTADV, 0, message.identifier)]
    if message.source_lla is not None:
        parts.append(_lla_option(LLA_SOURCE, message.source_lla))
    for info in message.access_points:
        if info.option_code not in _TUPLE_CODES:
            raise ProtocolViolation("the option-code of an access point is 1, 5, 6 or 7")
        if lacks_router(message.code, info):
            raise ProtocolViolation("a PrRtAdv with code 0 or 1 needs the router of every tuple")
        parts.append(_lla_option(info.option_code, info.access_point))
        if info.router_lla is not None:
            parts.append(_lla_option(LLA_NAR, info.router_lla))
        if info.router_address is not None:
            parts.append(_address_option(ADDRESS_NAR, 128, info.router_address.packed))
        if info.prefix is not None:
            network = info.prefix
            parts.append(_address_option(ADDRESS_PREFIX, network.prefixlen, network.network_address.packed))
        if info.ncoa is not None:
            parts.append(_address_option(ADDRESS_NEW_COA, 128, info.ncoa.packed))
    return b"".join(parts)


def lacks_router(code: int, info: AccessPointInfo) -> bool:
    """Whether an option that codes 0 and 1 require is missing (RFC 5568 section 6.1.2)."""
    if code not in _NEEDS_ROUTER or info.option_code != OptionCode.TUPLE_FOLLOWS:
        return False
    return info.router_lla is None or info.router_address is None


def _router_advertisement(message: RouterAdvertisement) -> bytes:
    parts = [
        ROUTER_ADVERTISEMENT.pack(message.hop_limit, 0, message.lifetime_s, 0, 0),
        _link_layer_address(OPTION_SOURCE_LLA, message.source_lla),
    ]
    if message.mtu is not None:
        parts.append(build_nd_option(OPTION_MTU, MTU.pack(0, message.mtu)))
    for info in message.prefixes:
        if info.preferred_s > info.valid_s:
            raise ProtocolViolation("a preferred lifetime is longer than the valid one")
        flags = (PREFIX_L if info.on_link else 0) | (PREFIX_A if info.autonomous else 0)
        octets = info.prefix.network_address.packed
        if info.router is not None:
            if info.router not in info.prefix:
                raise ProtocolViolation("a router's address does not lie in the prefix advertised with it")
            flags |= PREFIX_R
            octets = info.router.packed
        body = PREFIX.pack(info.prefix.prefixlen, flags, info.valid_s, info.preferred_s, 0, octets)
        parts.append(build_nd_option(OPTION_PREFIX, body))
    if message.naack is not None:
        parts.append(_naack_option(message.naack))
    return b"".join(parts)


def _naack_option(naack: Naack) -> bytes:
    """NAACK: 8 octets, and 16 more for the address (RFC 5568 section 6.4.6)."""
    if naack.status == NaackStatus.USE_SUPPLIED and naack.ncoa is None:
        raise ProtocolViolation("a NAACK with status 2 needs the care-of address to use")
    body = bytes((0, naack.status, 0, 0, 0, 0))
    if naack.ncoa is not None:
        body += naack.ncoa.packed
    return build_nd_option(OPTION_NAACK, body)
