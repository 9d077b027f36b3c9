"""FBU, FBack, HI and HAck to packets (RFC 5568 sections 6.2, 6.4.2, 6.4.4 and 6.4.5)."""

import hmac
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any

from lies.errors import ProtocolViolation
from lies.packet import (
    ALTERNATE_COA_AT_12,
    MOBILITY,
    NO_NEXT_HEADER,
    build_ipv6,
    is_routable_unicast,
    mobility_option,
    seal_mobility_message,
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
    MH_OPTION_BADF,
    MH_OPTION_LLA,
    SPI_OF_SEND,
)

HOP_LIMIT = 64
HI_CODES = frozenset(HICode)

_KEYS = 4096  # whose beginnings are kept
_FIXED = 6  # octets of a Mobility Header before its message data
_HEAD = struct.Struct("!BBBxxx")  # next header, length, type, reserved, checksum

MobilityMessage = FastBindingUpdate | FastBindingAck | HandoverInitiate | HandoverAcknowledge


def update_coa(update: FastBindingUpdate, source: bytes) -> bytes:
    """The care-of address that an FBU registers; of a de-registration PCoA (RFC 6275 section 6.2.7)."""
    if update.lifetime_s == 0:
        return update.home_address.packed
    return source if update.alternate_coa is None else update.alternate_coa.packed


def authenticator(key: bytes, coa_par: bytes, covered: bytes) -> bytes:
    """First 96 bits of HMAC_SHA1(key, CoA | PAR | header before the authenticator, checksum zero) (6.4.5)."""
    mac = _keyed(key).copy()
    mac.update(coa_par + covered)
    return mac.digest()[:AUTHENTICATOR_OCTETS]


@lru_cache(maxsize=_KEYS)
def _keyed(key: bytes) -> hmac.HMAC:
    """What a key makes of the digest before the first octet: half of the work, and all of the looking up."""
    return hmac.new(key, digestmod="sha1")


def _signed(kind: int, body: bytes, key: bytes, spi: int, coa_par: bytes) -> bytes:
    """What stands behind the checksum, with a BADF option at 8n + 6 so that the header ends behind it."""
    if spi == SPI_OF_SEND:
        raise ProtocolViolation("SPI 0 is reserved for keys derived from SEND")
    value = spi.to_bytes(4, "big") + bytes(AUTHENTICATOR_OCTETS)
    body += mobility_option(MH_OPTION_BADF, value, _FIXED + len(body), 8, 6)
    head = _HEAD.pack(NO_NEXT_HEADER, (_FIXED + len(body)) // 8 - 1, kind)
    body = body[:-AUTHENTICATOR_OCTETS]
    return body + authenticator(key, coa_par, head + body)


def _mh_lla(lla: bytes) -> bytes:
    length = len(lla)
    if not 0 < length < 0xFF:
        raise ProtocolViolation("a link-layer address must have 1 to 254 octets")
    return bytes((MH_OPTION_LLA, length + 1, MH_LLA_OF_MN)) + lla


def _address(code: int, address: IPv6Address, at: int) -> bytes:
    """An address option behind `at` octets of the header."""
    return mobility_option(MH_OPTION_ADDRESS, bytes((code, 128)) + _care_of(address), at, 8, 4)


def _care_of(address: IPv6Address) -> bytes:
    """The octets of an address that may be a care-of address (RFC 6275 section 6.1.7)."""
    octets = address.packed
    if not is_routable_unicast(octets):
        raise ProtocolViolation(f"{address} cannot be a care-of address")
    return octets


def _update(
    message: FastBindingUpdate, source: bytes, destination: bytes, key: bytes | None, spi: int
) -> bytes:
    """The packet of an FBU."""
    home_address, coa = message.home_address.packed, update_coa(message, source)
    if not is_routable_unicast(home_address) or not is_routable_unicast(coa):
        raise ProtocolViolation("the addresses of an FBU must be routable unicast addresses")
    if message.lifetime_s and coa == home_address:
        raise ProtocolViolation("an FBU from PCoA needs an alternate care-of address other than PCoA")
    flags = (
        (BINDING_A if message.acknowledge else 0)
        | (BINDING_H if message.home_registration else 0)
        | (BINDING_L if message.link_local else 0)
        | (BINDING_K if message.key_management else 0)
    )
    body = BINDING_UPDATE.pack(message.sequence, flags, message.lifetime_s)
    if message.alternate_coa is not None:
        body += ALTERNATE_COA_AT_12 + _care_of(message.alternate_coa)
    if message.lla is not None:
        body += _mh_lla(message.lla)
    if key is not None:
        body = _signed(MH_FBU, body, key, spi, coa + destination)
    header = seal_mobility_message(MH_FBU, body, home_address, destination)
    return build_ipv6(source, destination, MOBILITY, HOP_LIMIT, header, home_address=home_address)


def _ack(message: FastBindingAck, source: bytes, destination: bytes, key: bytes | None, spi: int) -> bytes:
    """The packet of an FBack."""
    flags = BINDING_ACK_K if message.key_management else 0
    body = BINDING_ACK.pack(message.status, flags, message.sequence, message.lifetime_s)
    if message.alternate_coa is not None:
        body += ALTERNATE_COA_AT_12 + _care_of(message.alternate_coa)
    elif message.status == FBackStatus.ACCEPTED_USE_SUPPLIED:
        raise ProtocolViolation("an FBack with status 1 needs an alternate care-of address")
    if key is not None:
        coa = destination if message.alternate_coa is None else message.alternate_coa.packed
        body = _signed(MH_FBACK, body, key, spi, coa + source)
    header = seal_mobility_message(MH_FBACK, body, source, destination)
    return build_ipv6(source, destination, MOBILITY, HOP_LIMIT, header)


def _initiate(
    message: HandoverInitiate, source: bytes, destination: bytes, _key: bytes | None, _spi: int
) -> bytes:
    """The packet of an HI, which has no BADF option."""
    if message.code not in HI_CODES:
        raise ProtocolViolation("the code of an HI is 0 or 1")
    if message.assigned_address and message.code == HICode.NOT_FROM_PCOA:
        raise ProtocolViolation("an HI with code 1 cannot ask for an assigned address")
    flags = (HI_S if message.assigned_address else 0) | (HI_U if message.buffer else 0)
    body = HANDOVER.pack(message.sequence, flags, message.code) + _mh_lla(message.mn_lla)
    if message.pcoa is not None:
        body += _address(MH_OLD_COA, message.pcoa, _FIXED + len(body))
    if message.ncoa is not None:
        body += _address(MH_NEW_COA, message.ncoa, _FIXED + len(body))
    header = seal_mobility_message(MH_HI, body, source, destination)
    return build_ipv6(source, destination, MOBILITY, HOP_LIMIT, header)


def _acknowledge(
    message: HandoverAcknowledge, source: bytes, destination: bytes, _key: bytes | None, _spi: int
) -> bytes:
    """The packet of a HAck, which has no BADF option."""
    body = HANDOVER.pack(message.sequence, 0, message.code)
    if message.ncoa is not None:
        body += _address(MH_NEW_COA, message.ncoa, _FIXED + len(body))
    elif message.code == HAckCode.NCOA_ASSIGNED:
        raise ProtocolViolation("a HAck with code 2 needs the assigned care-of address")
    header = seal_mobility_message(MH_HACK, body, source, destination)
    return build_ipv6(source, destination, MOBILITY, HOP_LIMIT, header)


MOBILITY_WRITERS: Mapping[type, Callable[[Any, bytes, bytes, bytes | None, int], bytes]] = {
    FastBindingUpdate: _update,
    FastBindingAck: _ack,
    HandoverInitiate: _initiate,
    HandoverAcknowledge: _acknowledge,
}
"""What makes the packet of a message; key and SPI are for the BADF option of FBU and FBack."""
