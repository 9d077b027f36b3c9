"""FBU and HI as our own nodes write them, read at one look: a node that is about to leave waits for both.

A packet is compared with an example in one step, all octets but those of its fields. What looks otherwise, or
has a value that needs a second look, is left to lies_fmipv6.mh_reader, which reads any; what is read here is
what it would read (RFC 5568 sections 6.2.1.1 and 6.2.2).
"""

from collections.abc import Callable
from ipaddress import IPv6Address

from lies.packet import MOBILITY, address_of
from lies_fmipv6.messages import FastBindingUpdate, HandoverInitiate, HICode
from lies_fmipv6.mh_reader import KeyFor, verify
from lies_fmipv6.mh_writer import MOBILITY_WRITERS
from lies_fmipv6.wire import HI_U

Found = tuple[FastBindingUpdate | HandoverInitiate, IPv6Address, IPv6Address, int, bool, bool]
"""Message, source, destination, hop limit, authenticated, whether a BADF option is there."""

_HOP_LIMIT, _DESTINATION = slice(7, 8), slice(24, 40)
_SOURCE = slice(8, 24)
_GLOBAL = 0xE0  # bits of an address's first octet: 2000::/3 is routable unicast as a whole
_ADDRESS = address_of(bytes((0x20,)) + bytes(15))  # has no other bit
_OTHER = address_of(bytes((0x20,)) + bytes(14) + b"\x01")
_LLA = bytes(6)

# FBU: IPv6 header, destination options with the home address, Mobility Header
_HEADER_OF_FBU = 64
_HOME, _FBU_SEQUENCE, _LIFETIME = slice(48, 64), slice(70, 72), slice(74, 76)
_ALTERNATE, _FBU_LLA, _BADF = slice(80, 96), slice(99, 105), slice(112, 128)
# HI: IPv6 header, Mobility Header
_HEADER_OF_HI = 40
_HI_SEQUENCE, _HI_FLAGS, _HI_LLA = slice(46, 48), slice(48, 49), slice(53, 59)
_PCOA, _NCOA = slice(64, 80), slice(88, 104)
_CHECKSUM_AT = slice(4, 6)  # of a Mobility Header


class _Shape:
    """Packets of one length that differ in their fields alone; addresses in these are of 2000::/3."""

    def __init__(self, example: bytes, header_at: int, fields: tuple[slice, ...]) -> None:
        mask = bytearray(b"\xff" * len(example))
        for field in (_HOP_LIMIT, _DESTINATION, *fields):
            mask[field] = bytes(len(mask[field]))
        mask[header_at + _CHECKSUM_AT.start : header_at + _CHECKSUM_AT.stop] = bytes(2)
        for field in (_SOURCE, _HOME, _ALTERNATE, _PCOA, _NCOA):
            if field in (_SOURCE, *fields):
                mask[field] = bytes((_GLOBAL,)) + bytes(15)
        if _HI_FLAGS in fields:
            mask[_HI_FLAGS] = bytes((0xFF & ~HI_U,))
        self.octets = len(example)
        self._mask = int.from_bytes(mask)
        self._is = int.from_bytes(example) & self._mask

    def fits(self, packet: bytes) -> bool:
        """Whether a packet of this length is one of these."""
        return int.from_bytes(packet) & self._mask == self._is


def _example(message: FastBindingUpdate | HandoverInitiate, key: bytes | None = None) -> bytes:
    return MOBILITY_WRITERS[type(message)](message, _ADDRESS.packed, _ADDRESS.packed, key, 1)


_UPDATE = FastBindingUpdate(0, 1, _ADDRESS, _OTHER, _LLA)
_OF_UPDATE = (_HOME, _FBU_SEQUENCE, _LIFETIME, _ALTERNATE, _FBU_LLA)
_PLAIN = _Shape(_example(_UPDATE), _HEADER_OF_FBU, _OF_UPDATE)
_SIGNED = _Shape(_example(_UPDATE, bytes(20)), _HEADER_OF_FBU, (*_OF_UPDATE, _BADF))
_INITIATE = _Shape(
    _example(HandoverInitiate(0, HICode.FROM_PCOA, False, False, _LLA, _ADDRESS, _OTHER)),
    _HEADER_OF_HI,
    (_HI_SEQUENCE, _HI_FLAGS, _HI_LLA, _PCOA, _NCOA),
)


def _update(packet: bytes, key_for: KeyFor) -> Found | None:
    signed = len(packet) == _SIGNED.octets
    if not (_SIGNED if signed else _PLAIN).fits(packet):
        return None
    home, alternate, destination = packet[_HOME], packet[_ALTERNATE], packet[_DESTINATION]
    header, lifetime_s = packet[_HEADER_OF_FBU:], int.from_bytes(packet[_LIFETIME])
    if lifetime_s == 0 or home == alternate or not _sound(home + destination + header, len(header)):
        return None
    pcoa = address_of(home)
    message = FastBindingUpdate(
        int.from_bytes(packet[_FBU_SEQUENCE]), lifetime_s, pcoa, address_of(alternate), packet[_FBU_LLA]
    )
    right = signed and verify(packet[_BADF], header, alternate + destination, pcoa, key_for)
    return message, address_of(packet[_SOURCE]), address_of(destination), packet[7], right, signed


def _initiate(packet: bytes, _: KeyFor) -> Found | None:
    header = packet[_HEADER_OF_HI:]
    if not _INITIATE.fits(packet) or not _sound(packet[8:40] + header, len(header)):
        return None
    message = HandoverInitiate(
        int.from_bytes(packet[_HI_SEQUENCE]),
        HICode.FROM_PCOA,
        False,
        packet[_HI_FLAGS] != b"\0",
        packet[_HI_LLA],
        address_of(packet[_PCOA]),
        address_of(packet[_NCOA]),
    )
    source, destination = address_of(packet[_SOURCE]), address_of(packet[_DESTINATION])
    return message, source, destination, packet[7], False, False


def _sound(checked: bytes, length: int) -> bool:
    """Whether the checksum over both addresses and the Mobility Header is right (RFC 6275 section 6.1.1)."""
    return (int.from_bytes(checked) + length + MOBILITY) % 0xFFFF == 0


READERS: dict[int, Callable[[bytes, KeyFor], Found | None]] = {
    _PLAIN.octets: _update,
    _SIGNED.octets: _update,
    _INITIATE.octets: _initiate,
}
"""By the length of a packet; None where another reader has to look."""
