"""RtSolPr, PrRtAdv, UNA, RS and RA from ICMPv6 packets (RFC 5568 section 6, RFC 4861 section 4)."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

from lies.errors import MalformedMessage
from lies.packet import (
    UNSPECIFIED,
    Ipv6Packet,
    OtherProtocol,
    address_of,
    is_link_local,
    is_routable_unicast,
    parse_nd_message,
    parse_nd_options,
    unpack_identifier,
)
from lies_fmipv6.messages import (
    AccessPointInfo,
    Naack,
    NaackStatus,
    NeighbourAdvertisement,
    NeighbourSolicitation,
    OptionCode,
    PrefixInformation,
    PrRtAdv,
    PrRtAdvCode,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.nd_writer import NdMessage, lacks_router
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
    NA_FLAGS,
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
_PRRTADV_CODES = frozenset(PrRtAdvCode)
_MINIMUMS = {ICMPV6_RS: 8, ICMPV6_RA: 16, ICMPV6_NS: 24, ICMPV6_NA: 24, ICMPV6_FMIPV6: 8}


def decode_nd(packet: Ipv6Packet) -> NdMessage:
    """The message of a packet."""
    message = parse_nd_message(packet, _MINIMUMS)
    kind, code = message[0], message[1]
    if kind == ICMPV6_FMIPV6:
        return _parse_fmipv6(packet, message)
    if code:
        raise MalformedMessage("the code of a neighbour discovery message is not 0")
    if kind == ICMPV6_NA:
        return _parse_na(packet, message)
    if kind == ICMPV6_NS:
        return _parse_ns(packet, message)
    if kind == ICMPV6_RS:
        return _parse_rs(packet, message)
    return _parse_ra(packet, message)


def _parse_fmipv6(packet: Ipv6Packet, message: bytes) -> RtSolPr | PrRtAdv:
    if packet.source == UNSPECIFIED:
        raise MalformedMessage("an FMIPv6 message comes from the unspecified address")
    subtype, _, identifier = FMIPV6.unpack_from(message, 4)
    code = message[1]
    if subtype == SUBTYPE_RTSOLPR:
        if code:
            raise MalformedMessage("the code of an RtSolPr is not 0")
        return _parse_rtsolpr(identifier, message)
    if subtype == SUBTYPE_PRRTADV:
        if code not in _PRRTADV_CODES:
            raise MalformedMessage("the code of a PrRtAdv is unknown")
        if not is_link_local(packet.source):
            raise MalformedMessage("a PrRtAdv does not come from a link-local address")
        return _parse_prrtadv(code, identifier, message)
    raise OtherProtocol(packet, ICMPV6_FMIPV6, f"subtype {subtype} of ICMPv6 type 154 is not read")


def _parse_rtsolpr(identifier: int, message: bytes) -> RtSolPr:
    source_lla: bytes | None = None
    access_points: list[bytes] = []
    wildcard = False
    for kind, body in parse_nd_options(message, 8):
        if kind != OPTION_LLA:
            continue
        if body[0] == LLA_WILDCARD:
            wildcard = True
        elif body[0] == LLA_NEW_ACCESS_POINT:
            access_points.append(unpack_identifier(body[1:]))
        elif body[0] == LLA_SOURCE and source_lla is None:
            source_lla = unpack_identifier(body[1:])
    if wildcard == bool(access_points):
        raise MalformedMessage("an RtSolPr has neither access points nor the wildcard, or both")
    return RtSolPr(identifier, source_lla, tuple(access_points), wildcard)


def _parse_prrtadv(code: int, identifier: int, message: bytes) -> PrRtAdv:
    """Every access point option begins a tuple, and the options of its router follow it (6.1.2)."""
    source_lla: bytes | None = None
    infos: list[AccessPointInfo] = []
    current: _Tuple | None = None
    for kind, body in parse_nd_options(message, 8):
        if kind == OPTION_LLA:
            if body[0] in _TUPLE_CODES:
                if current is not None:
                    infos.append(current.info())
                current = _Tuple(unpack_identifier(body[1:]), body[0])
            elif body[0] == LLA_SOURCE and source_lla is None:
                source_lla = unpack_identifier(body[1:])
            elif body[0] == LLA_NAR and current is not None and current.router_lla is None:
                current.router_lla = unpack_identifier(body[1:])
        elif kind == OPTION_ADDRESS:
            if len(body) != ADDRESS.size or body[1] > 128:
                raise MalformedMessage("an address option has not length 3 or a prefix of more than 128 bits")
            if current is not None:
                current.take_address(body)
    if current is None:
        raise MalformedMessage("a PrRtAdv names no access point")
    infos.append(current.info())
    if any(lacks_router(code, info) for info in infos):
        raise MalformedMessage("a PrRtAdv with code 0 or 1 lacks the router of a tuple")
    return PrRtAdv(code, identifier, source_lla, tuple(infos))


class _Tuple:
    """An [AP-ID, AR-Info] tuple while its options are read; of repeated ones the first counts."""

    def __init__(self, access_point: bytes, option_code: int) -> None:
        self.access_point = access_point
        self.option_code = option_code
        self.router_lla: bytes | None = None
        self.router_address: IPv6Address | None = None
        self.router_network: IPv6Network | None = None
        self.prefix: IPv6Network | None = None
        self.ncoa: IPv6Address | None = None

    def take_address(self, body: bytes) -> None:
        """Keep what an address option says, by its option-code (RFC 5568 section 6.4.1)."""
        option_code, length, _, octets = ADDRESS.unpack(body)
        if option_code == ADDRESS_PREFIX:
            self.prefix = self.prefix or _network(octets, length)
            return
        if option_code not in {ADDRESS_NAR, ADDRESS_NEW_COA}:
            return
        if octets[0] == 0xFF or octets == UNSPECIFIED:
            raise MalformedMessage("an address of a PrRtAdv is not unicast")
        if option_code == ADDRESS_NEW_COA:
            self.ncoa = self.ncoa or address_of(octets)
        elif self.router_address is None:
            self.router_address = address_of(octets)
            if 0 < length < 128:
                self.router_network = _network(octets, length)

    def info(self) -> AccessPointInfo:
        """The tuple; the router's address option may stand in for the prefix (RFC 5568 section 6.1.2)."""
        return AccessPointInfo(
            self.access_point,
            self.option_code,
            self.router_lla,
            self.router_address,
            self.prefix or self.router_network,
            self.ncoa,
        )


@lru_cache(maxsize=1024)  # routers tell of the same few again and again
def _network(octets: bytes, length: int) -> IPv6Network:
    """A prefix; its bits behind the length are ignored (RFC 5568 section 6.4.1, RFC 4861 section 4.6.2)."""
    spare = 128 - length
    return IPv6Network((int.from_bytes(octets, "big") >> spare << spare, length))


def _parse_na(
    packet: Ipv6Packet, message: bytes
) -> UnsolicitedNeighbourAdvertisement | NeighbourAdvertisement:
    target, flags = message[8:24], message[4]
    if not is_routable_unicast(target):
        raise OtherProtocol(packet, ICMPV6_NA, "a Neighbour Advertisement is not about a care-of address")
    lla = _link_layer_address(OPTION_TARGET_LLA, message, 24)
    if flags & NA_FLAGS:
        if lla is None:
            raise OtherProtocol(packet, ICMPV6_NA, "a Neighbour Advertisement has no link-layer address")
        said = (bool(flags & bit) for bit in (NA_R, NA_S, NA_O))
        return NeighbourAdvertisement(IPv6Address(target), lla, *said)
    if packet.source != target:
        raise OtherProtocol(packet, ICMPV6_NA, "a Neighbour Advertisement is no UNA")
    if lla is None:
        raise MalformedMessage("a UNA has no link-layer address")
    return UnsolicitedNeighbourAdvertisement(address_of(target), lla)


def _parse_ns(packet: Ipv6Packet, message: bytes) -> NeighbourSolicitation:
    target = message[8:24]
    if packet.source != UNSPECIFIED or not is_routable_unicast(target):
        raise OtherProtocol(packet, ICMPV6_NS, "a Neighbour Solicitation does not probe a care-of address")
    if any(kind == OPTION_SOURCE_LLA for kind, _ in parse_nd_options(message, 24)):
        raise MalformedMessage("a Neighbour Solicitation from no address has a link-layer address")
    return NeighbourSolicitation(IPv6Address(target))


def _link_layer_address(wanted: int, message: bytes, at: int) -> bytes | None:
    for kind, body in parse_nd_options(message, at):
        if kind == wanted:
            return unpack_identifier(body)
    return None


def _parse_rs(packet: Ipv6Packet, message: bytes) -> RouterSolicitation:
    source_lla = _link_layer_address(OPTION_SOURCE_LLA, message, 8)
    if source_lla is not None and packet.source == UNSPECIFIED:
        raise MalformedMessage("an RS from the unspecified address has a link-layer address")
    return RouterSolicitation(source_lla)


def _parse_ra(packet: Ipv6Packet, message: bytes) -> RouterAdvertisement:
    if not is_link_local(packet.source):
        raise MalformedMessage("an RA does not come from a link-local address")
    hop_limit, _, lifetime_s, _, _ = ROUTER_ADVERTISEMENT.unpack_from(message, 4)
    source_lla: bytes | None = None
    prefixes: list[PrefixInformation] = []
    naack: Naack | None = None
    mtu: int | None = None
    for kind, body in parse_nd_options(message, 16):
        if kind == OPTION_SOURCE_LLA:
            source_lla = source_lla or unpack_identifier(body)
        elif kind == OPTION_PREFIX:
            prefix = _parse_prefix(body)
            if prefix is not None:
                prefixes.append(prefix)
        elif kind == OPTION_MTU:
            if len(body) != MTU.size:
                raise MalformedMessage("an MTU option has not length 1")
            mtu = MTU.unpack(body)[1]
        elif kind == OPTION_NAACK:
            naack = naack or _parse_naack(body)
    return RouterAdvertisement(hop_limit, lifetime_s, source_lla, tuple(prefixes), naack, mtu)


def _parse_prefix(body: bytes) -> PrefixInformation | None:
    """A prefix; None if its lifetimes contradict each other (RFC 4862 section 5.5.3 c)."""
    if len(body) != PREFIX.size:
        raise MalformedMessage("a Prefix Information option has not length 4")
    length, flags, valid_s, preferred_s, _, octets = PREFIX.unpack(body)
    if length > 128:
        raise MalformedMessage("a Prefix Information option has a prefix of more than 128 bits")
    if preferred_s > valid_s:
        return None
    on_link, autonomous = bool(flags & PREFIX_L), bool(flags & PREFIX_A)
    router = address_of(octets) if flags & PREFIX_R and is_routable_unicast(octets) else None
    return PrefixInformation(_network(octets, length), valid_s, preferred_s, on_link, autonomous, router)


def _parse_naack(body: bytes) -> Naack:
    """NAACK with length 1, or 3 with the address behind Reserved (RFC 5568 section 6.4.6)."""
    if len(body) not in {6, 22}:
        raise MalformedMessage("a NAACK option has neither length 1 nor 3")
    ncoa = IPv6Address(body[6:]) if len(body) == 22 else None
    if ncoa is None:
        if body[1] == NaackStatus.USE_SUPPLIED:
            raise MalformedMessage("a NAACK option with status 2 has no care-of address")
    elif not is_routable_unicast(ncoa.packed):
        raise MalformedMessage("the address of a NAACK option is not a routable unicast address")
    return Naack(body[1], ncoa)
