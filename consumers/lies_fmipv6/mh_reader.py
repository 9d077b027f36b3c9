"""FBU, FBack, HI and HAck from packets (RFC 5568 sections 6.2, 6.4.2, 6.4.4 and 6.4.5)."""

import hmac
from collections.abc import Callable
from ipaddress import IPv6Address

from lies.errors import MalformedMessage
from lies.packet import (
    ALTERNATE_COA_AT_12,
    Ipv6Packet,
    OtherProtocol,
    address_of,
    is_routable_unicast,
    parse_mobility_header,
    parse_mobility_options,
)
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    FBackStatus,
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
    HICode,
)
from lies_fmipv6.mh_writer import HI_CODES, MobilityMessage, authenticator, update_coa
from lies_fmipv6.wire import (
    AUTHENTICATOR_OCTETS,
    BINDING_A,
    BINDING_ACK,
    BINDING_ACK_K,
    BINDING_H,
    BINDING_K,
    BINDING_L,
    BINDING_UPDATE,
    HANDOVER,
    HI_S,
    HI_U,
    MH_FBACK,
    MH_FBU,
    MH_HACK,
    MH_HI,
    MH_LLA_OF_MN,
    MH_NEW_COA,
    MH_OLD_COA,
    MH_OPTION_ADDRESS,
    MH_OPTION_ALTERNATE_COA,
    MH_OPTION_BADF,
    MH_OPTION_LLA,
    SPI_OF_SEND,
)

_BINDING_AT = 12  # where the options of FBU and FBack begin
_HANDOVER_AT = 10  # and those of HI and HAck
_BEHIND_COA = 32  # where an Alternate Care-of Address option ends that is the first one
_ADDRESS_LENGTH = 18
_BADF_LENGTH = 4 + AUTHENTICATOR_OCTETS
_COAS = (MH_OLD_COA, MH_NEW_COA)

Options = tuple[bytes | None, bytes | None, bytes | None]
KeyFor = Callable[[IPv6Address], bytes | None] | None


def decode_mobility(packet: Ipv6Packet, key_for: KeyFor) -> tuple[MobilityMessage, bool, bool]:
    """The message, whether it has a BADF option, and whether that is right."""
    header = parse_mobility_header(packet)
    kind = header[2]
    if kind == MH_FBU:
        update, badf = _parse_update(packet, header)
        if badf is None:
            return update, False, False
        coa_par = update_coa(update, packet.source) + packet.destination
        return update, True, verify(badf, header, coa_par, update.home_address, key_for)
    if kind == MH_FBACK:
        ack, badf = _parse_ack(header)
        if badf is None:
            return ack, False, False
        coa = packet.destination if ack.alternate_coa is None else ack.alternate_coa.packed
        return ack, True, verify(badf, header, coa + packet.source, address_of(packet.source), key_for)
    if kind == MH_HI:
        return _parse_initiate(header), False, False
    if kind == MH_HACK:
        return _parse_acknowledge(header), False, False
    raise OtherProtocol(packet, kind, f"Mobility Header type {kind} is not of FMIPv6")


def verify(badf: bytes, header: bytes, coa_par: bytes, peer: IPv6Address, key_for: KeyFor) -> bool:
    """Whether a BADF option is right."""
    if len(badf) != _BADF_LENGTH or int.from_bytes(badf[:4], "big") == SPI_OF_SEND:
        return False  # another algorithm, or a key that we do not have
    key = None if key_for is None else key_for(peer)
    if key is None:
        return False
    covered = header[:4] + b"\x00\x00" + header[6:-AUTHENTICATOR_OCTETS]
    return hmac.compare_digest(authenticator(key, coa_par, covered), badf[4:])


def _binding_options(header: bytes) -> Options:
    """Alternate care-of address, link-layer address and BADF; of repeated options the first counts."""
    alternate_coa: bytes | None = None
    lla: bytes | None = None
    badf: bytes | None = None
    at = _BINDING_AT
    if header[at : at + 4] == ALTERNATE_COA_AT_12 and len(header) >= _BEHIND_COA:  # as we all send it
        alternate_coa, at = _alternate_coa(header[at + 4 : _BEHIND_COA]), _BEHIND_COA
    for kind, value, end in parse_mobility_options(header, at):
        if kind == MH_OPTION_BADF:
            if end != len(header):
                raise MalformedMessage("the BADF option is not the last one")
            badf = value
        elif kind == MH_OPTION_ALTERNATE_COA:
            coa = _alternate_coa(value)
            alternate_coa = alternate_coa or coa
        elif kind == MH_OPTION_LLA:
            of_mn = _lla_of_mn(value)
            lla = lla or of_mn
        elif kind == MH_OPTION_ADDRESS:
            _address(value)
    return alternate_coa, lla, badf


def _handover_options(header: bytes) -> Options:
    """Link-layer address, previous and new care-of address; of repeated options the first counts."""
    lla: bytes | None = None
    old_coa: bytes | None = None
    new_coa: bytes | None = None
    for kind, value, _ in parse_mobility_options(header, _HANDOVER_AT):
        if kind == MH_OPTION_ADDRESS:
            address = _address(value)
            if value[0] == MH_NEW_COA:
                new_coa = new_coa or address
            else:
                old_coa = old_coa or address
        elif kind == MH_OPTION_LLA:
            of_mn = _lla_of_mn(value)
            lla = lla or of_mn
        elif kind == MH_OPTION_ALTERNATE_COA:
            _alternate_coa(value)
    return lla, old_coa, new_coa


def _alternate_coa(value: bytes) -> bytes:
    if len(value) != 16 or not is_routable_unicast(value):
        raise MalformedMessage("an Alternate Care-of Address option has no routable unicast address")
    return value


def _lla_of_mn(value: bytes) -> bytes | None:
    """What a link-layer address option says; None if it is about another node."""
    if len(value) < 2:
        raise MalformedMessage("a link-layer address option has no address")
    return value[1:] if value[0] == MH_LLA_OF_MN else None


def _address(value: bytes) -> bytes | None:
    """What an address option says; None if it is no care-of address."""
    if len(value) != _ADDRESS_LENGTH or value[1] > 128:
        raise MalformedMessage("an address option has not length 18 or its prefix more than 128 bits")
    if value[0] not in _COAS:
        return None
    address = value[2:]
    if not is_routable_unicast(address):
        raise MalformedMessage("a care-of address is not a routable unicast address")
    return address


def _parse_update(packet: Ipv6Packet, header: bytes) -> tuple[FastBindingUpdate, bytes | None]:
    """An FBU, and its BADF option."""
    alternate_coa, lla, badf = _binding_options(header)
    home_address = packet.home_address
    if home_address is None:
        raise MalformedMessage("an FBU has no Home Address option")
    sequence, flags, lifetime_s = BINDING_UPDATE.unpack_from(header, 6)
    if lifetime_s:
        coa = packet.source if alternate_coa is None else alternate_coa
        if not is_routable_unicast(coa):
            raise MalformedMessage("the care-of address of an FBU is not a routable unicast address")
        if coa == home_address:
            raise MalformedMessage("an FBU from PCoA has no alternate care-of address other than PCoA")
    update = FastBindingUpdate(
        sequence,
        lifetime_s,
        address_of(home_address),
        None if alternate_coa is None else address_of(alternate_coa),
        lla,
        flags & BINDING_A != 0,
        flags & BINDING_H != 0,
        flags & BINDING_L != 0,
        flags & BINDING_K != 0,
    )
    return update, badf


def _parse_ack(header: bytes) -> tuple[FastBindingAck, bytes | None]:
    """An FBack, and its BADF option."""
    alternate_coa, _, badf = _binding_options(header)
    status, flags, sequence, lifetime_s = BINDING_ACK.unpack_from(header, 6)
    coa = None if alternate_coa is None else address_of(alternate_coa)
    if coa is None and status == FBackStatus.ACCEPTED_USE_SUPPLIED:
        raise MalformedMessage("an FBack with status 1 has no alternate care-of address")
    return FastBindingAck(status, sequence, lifetime_s, coa, flags & BINDING_ACK_K != 0), badf


def _parse_initiate(header: bytes) -> HandoverInitiate:
    lla, old_coa, new_coa = _handover_options(header)
    sequence, flags, code = HANDOVER.unpack_from(header, 6)
    if lla is None:
        raise MalformedMessage("an HI has no link-layer address of the mobile node")
    if code not in HI_CODES:
        raise MalformedMessage("the code of an HI is neither 0 nor 1")
    return HandoverInitiate(
        sequence,
        code,
        flags & HI_S != 0 and code == HICode.FROM_PCOA,  # with code 1 the NAR assigns nothing (section 4)
        flags & HI_U != 0,
        lla,
        None if old_coa is None else address_of(old_coa),
        None if new_coa is None else address_of(new_coa),
    )


def _parse_acknowledge(header: bytes) -> HandoverAcknowledge:
    _, _, new_coa = _handover_options(header)
    sequence, _, code = HANDOVER.unpack_from(header, 6)
    ncoa = None if new_coa is None else address_of(new_coa)
    if ncoa is None and code == HAckCode.NCOA_ASSIGNED:
        raise MalformedMessage("a HAck with code 2 has no care-of address")
    return HandoverAcknowledge(sequence, code, ncoa)
