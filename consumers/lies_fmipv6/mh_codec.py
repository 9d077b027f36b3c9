"""FBU, FBack, HI and HAck on the Mobility Header (RFC 5568 sections 6.2, 6.4.2, 6.4.4 and 6.4.5)."""

import hmac
import struct
from collections.abc import Callable
from ipaddress import IPv6Address

from attrs import define

from lies.errors import MalformedMessage, ProtocolViolation
from lies.packet import (
    MOBILITY,
    Ipv6Packet,
    MobilityOption,
    OtherProtocol,
    address_of,
    alternate_coa_option,
    build_ipv6,
    build_mobility_header,
    is_routable_unicast,
    parse_mobility_header,
    parse_mobility_options,
    seal_mobility_header,
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
)

HOP_LIMIT = 64
SPI_OF_SEND = 0  # section 6.4.5

_BINDING_UPDATE = struct.Struct("!HHH")  # sequence, flags, lifetime
_BINDING_ACK = struct.Struct("!BBHH")  # status, flags, sequence, lifetime
_HANDOVER = struct.Struct("!HBB")  # sequence, flags, code
_BINDING_AT = 12  # where the options of FBU and FBack begin
_HANDOVER_AT = 10  # and those of HI and HAck

_A, _H, _L, _K = 0x8000, 0x4000, 0x2000, 0x1000
_K_OF_ACK = 0x80
_S, _U = 0x80, 0x40

_AUTHENTICATOR = 12  # octets: the first 96 bits of HMAC_SHA1
_BADF_LENGTH = 4 + _AUTHENTICATOR

MobilityMessage = FastBindingUpdate | FastBindingAck | HandoverInitiate | HandoverAcknowledge


@define(eq=False)
class _Options:
    """The values of the options we know; of repeated ones the first counts."""

    alternate_coa: IPv6Address | None = None
    lla: bytes | None = None
    old_coa: IPv6Address | None = None
    new_coa: IPv6Address | None = None
    badf: bytes | None = None

    def take_address(self, value: bytes) -> None:
        """Keep what an address option says, by its option-code."""
        if len(value) != 18 or value[1] > 128:
            raise MalformedMessage("an address option has not length 18 or its prefix more than 128 bits")
        code = value[0]
        if code not in {MH_OLD_COA, MH_NEW_COA}:
            return
        address = value[2:]
        if not is_routable_unicast(address):
            raise MalformedMessage("a care-of address is not a routable unicast address")
        if code == MH_NEW_COA:
            self.new_coa = self.new_coa or address_of(address)
        else:
            self.old_coa = self.old_coa or address_of(address)


def encode_mobility(
    message: MobilityMessage, source: bytes, destination: bytes, key: bytes | None, spi: int
) -> bytes:
    """The packet of a message; key and spi are for the BADF option of FBU and FBack."""
    home_address: bytes | None = None
    coa: bytes | None = None
    match message:
        case FastBindingUpdate():
            home_address = message.home_address.packed
            coa = _update_coa(message, source)
            header = _update(message, coa, key, spi)
        case FastBindingAck():
            coa = destination if message.alternate_coa is None else message.alternate_coa.packed
            header = _ack(message, key, spi)
        case HandoverInitiate():
            header = _initiate(message)
        case HandoverAcknowledge():
            header = _acknowledge(message)
    if key is not None and coa is not None:
        par = destination if home_address is not None else source
        header[-_AUTHENTICATOR:] = _authenticator(key, coa, par, header)
    seal_mobility_header(header, home_address or source, destination)
    return build_ipv6(source, destination, MOBILITY, HOP_LIMIT, header, home_address=home_address)


def decode_mobility(
    packet: Ipv6Packet, key_for: Callable[[IPv6Address], bytes | None] | None
) -> tuple[MobilityMessage, bool, bool]:
    """The message, whether it has a BADF option, and whether that is right."""
    header = parse_mobility_header(packet)
    kind = header[2]
    if kind == MH_FBU:
        options = _read_options(header, _BINDING_AT)
        update = _parse_update(packet, header, options)
        coa = _update_coa(update, packet.source)
        if not is_routable_unicast(coa):
            raise MalformedMessage("the care-of address of an FBU is not a routable unicast address")
        if update.lifetime_s and coa == packet.home_address:
            raise MalformedMessage("an FBU from PCoA has no alternate care-of address other than PCoA")
        return update, *_verify(options, header, coa, packet.destination, update.home_address, key_for)
    if kind == MH_FBACK:
        options = _read_options(header, _BINDING_AT)
        ack = _parse_ack(header, options)
        coa = packet.destination if ack.alternate_coa is None else ack.alternate_coa.packed
        return ack, *_verify(options, header, coa, packet.source, address_of(packet.source), key_for)
    if kind == MH_HI:
        return _parse_initiate(header), False, False
    if kind == MH_HACK:
        return _parse_acknowledge(header), False, False
    raise OtherProtocol(packet, kind, f"Mobility Header type {kind} is not of FMIPv6")


def _update_coa(update: FastBindingUpdate, source: bytes) -> bytes:
    """The care-of address that an FBU registers; of a de-registration PCoA (RFC 6275 section 6.2.7)."""
    if update.lifetime_s == 0:
        return update.home_address.packed
    return source if update.alternate_coa is None else update.alternate_coa.packed


def _authenticator(key: bytes, coa: bytes, par: bytes, header: bytes | bytearray) -> bytes:
    """First 96 bits of HMAC_SHA1(key, CoA | PAR | header without authenticator, checksum zero) (6.4.5)."""
    data = b"".join((coa, par, header[:4], b"\x00\x00", header[6:-_AUTHENTICATOR]))
    return hmac.digest(key, data, "sha1")[:_AUTHENTICATOR]


def _verify(
    options: _Options,
    header: bytes,
    coa: bytes,
    par: bytes,
    peer: IPv6Address,
    key_for: Callable[[IPv6Address], bytes | None] | None,
) -> tuple[bool, bool]:
    """Whether there is a BADF option, and whether it is right."""
    value = options.badf
    if value is None:
        return False, False
    if len(value) != _BADF_LENGTH or int.from_bytes(value[:4], "big") == SPI_OF_SEND:
        return True, False  # another algorithm, or a key that we do not have
    key = None if key_for is None else key_for(peer)
    if key is None:
        return True, False
    return True, hmac.compare_digest(_authenticator(key, coa, par, header), value[4:])


def _badf(key: bytes | None, spi: int) -> tuple[MobilityOption, ...]:
    """The BADF option with its authenticator still zero, at 8n + 6 so that the header ends behind it."""
    if key is None:
        return ()
    if spi == SPI_OF_SEND:
        raise ProtocolViolation("SPI 0 is reserved for keys derived from SEND")
    return (MobilityOption(MH_OPTION_BADF, spi.to_bytes(4, "big") + bytes(_AUTHENTICATOR), 8, 6),)


def _mh_lla(lla: bytes) -> MobilityOption:
    if not 0 < len(lla) < 0xFF:
        raise ProtocolViolation("a link-layer address must have 1 to 254 octets")
    return MobilityOption(MH_OPTION_LLA, bytes((MH_LLA_OF_MN,)) + lla)


def _address(code: int, address: IPv6Address) -> MobilityOption:
    return MobilityOption(MH_OPTION_ADDRESS, bytes((code, 128)) + _care_of(address), 8, 4)


def _care_of(address: IPv6Address) -> bytes:
    """The octets of an address that may be a care-of address (RFC 6275 section 6.1.7)."""
    octets = address.packed
    if not is_routable_unicast(octets):
        raise ProtocolViolation(f"{address} cannot be a care-of address")
    return octets


def _update(message: FastBindingUpdate, coa: bytes, key: bytes | None, spi: int) -> bytearray:
    home_address = message.home_address.packed
    if not is_routable_unicast(home_address) or not is_routable_unicast(coa):
        raise ProtocolViolation("the addresses of an FBU must be routable unicast addresses")
    if message.lifetime_s and coa == home_address:
        raise ProtocolViolation("an FBU from PCoA needs an alternate care-of address other than PCoA")
    flags = (
        (_A if message.acknowledge else 0)
        | (_H if message.home_registration else 0)
        | (_L if message.link_local else 0)
        | (_K if message.key_management else 0)
    )
    options: list[MobilityOption] = []
    if message.alternate_coa is not None:
        options.append(alternate_coa_option(_care_of(message.alternate_coa)))
    if message.lla is not None:
        options.append(_mh_lla(message.lla))
    data = _BINDING_UPDATE.pack(message.sequence, flags, message.lifetime_s)
    return build_mobility_header(MH_FBU, data, (*options, *_badf(key, spi)))


def _ack(message: FastBindingAck, key: bytes | None, spi: int) -> bytearray:
    options: tuple[MobilityOption, ...] = ()
    if message.alternate_coa is not None:
        options = (alternate_coa_option(_care_of(message.alternate_coa)),)
    elif message.status == FBackStatus.ACCEPTED_USE_SUPPLIED:
        raise ProtocolViolation("an FBack with status 1 needs an alternate care-of address")
    flags = _K_OF_ACK if message.key_management else 0
    data = _BINDING_ACK.pack(message.status, flags, message.sequence, message.lifetime_s)
    return build_mobility_header(MH_FBACK, data, (*options, *_badf(key, spi)))


def _initiate(message: HandoverInitiate) -> bytearray:
    if message.code not in {HICode.FROM_PCOA, HICode.NOT_FROM_PCOA}:
        raise ProtocolViolation("the code of an HI is 0 or 1")
    if message.assigned_address and message.code == HICode.NOT_FROM_PCOA:
        raise ProtocolViolation("an HI with code 1 cannot ask for an assigned address")
    options = [_mh_lla(message.mn_lla)]
    if message.pcoa is not None:
        options.append(_address(MH_OLD_COA, message.pcoa))
    if message.ncoa is not None:
        options.append(_address(MH_NEW_COA, message.ncoa))
    flags = (_S if message.assigned_address else 0) | (_U if message.buffer else 0)
    return build_mobility_header(MH_HI, _HANDOVER.pack(message.sequence, flags, message.code), options)


def _acknowledge(message: HandoverAcknowledge) -> bytearray:
    options: tuple[MobilityOption, ...] = ()
    if message.ncoa is not None:
        options = (_address(MH_NEW_COA, message.ncoa),)
    elif message.code == HAckCode.NCOA_ASSIGNED:
        raise ProtocolViolation("a HAck with code 2 needs the assigned care-of address")
    return build_mobility_header(MH_HACK, _HANDOVER.pack(message.sequence, 0, message.code), options)


def _read_options(header: bytes, at: int) -> _Options:
    found = _Options()
    for kind, value, end in parse_mobility_options(header, at):
        if kind == MH_OPTION_ALTERNATE_COA:
            if len(value) != 16 or not is_routable_unicast(value):
                raise MalformedMessage("an Alternate Care-of Address option has no routable unicast address")
            found.alternate_coa = found.alternate_coa or address_of(value)
        elif kind == MH_OPTION_LLA:
            if len(value) < 2:
                raise MalformedMessage("a link-layer address option has no address")
            if value[0] == MH_LLA_OF_MN:
                found.lla = found.lla or value[1:]
        elif kind == MH_OPTION_ADDRESS:
            found.take_address(value)
        elif kind == MH_OPTION_BADF and at == _BINDING_AT:
            if end != len(header):
                raise MalformedMessage("the BADF option is not the last one")
            found.badf = value
    return found


def _parse_update(packet: Ipv6Packet, header: bytes, options: _Options) -> FastBindingUpdate:
    if packet.home_address is None:
        raise MalformedMessage("an FBU has no Home Address option")
    sequence, flags, lifetime_s = _BINDING_UPDATE.unpack_from(header, 6)
    return FastBindingUpdate(
        sequence,
        lifetime_s,
        address_of(packet.home_address),
        options.alternate_coa,
        options.lla,
        bool(flags & _A),
        bool(flags & _H),
        bool(flags & _L),
        bool(flags & _K),
    )


def _parse_ack(header: bytes, options: _Options) -> FastBindingAck:
    status, flags, sequence, lifetime_s = _BINDING_ACK.unpack_from(header, 6)
    alternate_coa = options.alternate_coa
    if status == FBackStatus.ACCEPTED_USE_SUPPLIED and alternate_coa is None:
        raise MalformedMessage("an FBack with status 1 has no alternate care-of address")
    return FastBindingAck(status, sequence, lifetime_s, alternate_coa, bool(flags & _K_OF_ACK))


def _parse_initiate(header: bytes) -> HandoverInitiate:
    options = _read_options(header, _HANDOVER_AT)
    sequence, flags, code = _HANDOVER.unpack_from(header, 6)
    mn_lla = options.lla
    if mn_lla is None:
        raise MalformedMessage("an HI has no link-layer address of the mobile node")
    if code not in {HICode.FROM_PCOA, HICode.NOT_FROM_PCOA}:
        raise MalformedMessage("the code of an HI is neither 0 nor 1")
    return HandoverInitiate(
        sequence,
        code,
        bool(flags & _S) and code == HICode.FROM_PCOA,  # with code 1 the NAR assigns nothing (section 4)
        bool(flags & _U),
        mn_lla,
        options.old_coa,
        options.new_coa,
    )


def _parse_acknowledge(header: bytes) -> HandoverAcknowledge:
    options = _read_options(header, _HANDOVER_AT)
    sequence, _, code = _HANDOVER.unpack_from(header, 6)
    ncoa = options.new_coa
    if code == HAckCode.NCOA_ASSIGNED and ncoa is None:
        raise MalformedMessage("a HAck with code 2 has no care-of address")
    return HandoverAcknowledge(sequence, code, ncoa)
