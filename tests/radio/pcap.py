"""IPv6 packets in what tcpdump has written."""

import struct
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

from attrs import frozen

IPV6_IN_IPV6, ESP, MOBILITY = 41, 50, 135
HI, HACK = 14, 15  # types of the Mobility Header
_GLOBAL, _PACKET, _ETHERNET_OCTETS = struct.Struct("=IHHiIII"), struct.Struct("=IIII"), 14
_MAGIC = 0xA1B2C3D4
_IPV6 = struct.Struct("!4xHBB16s16s")
_OPTIONS = frozenset({0, 43, 60})  # headers with their length in units of 8 octets, before what they carry


@frozen
class Packet:
    """An IPv6 header and what follows; protocol: the first that is no option."""

    source: IPv6Address
    destination: IPv6Address
    protocol: int
    payload: bytes

    @property
    def inner(self) -> "Packet | None":
        """The packet in a tunnel's packet."""
        return parse(self.payload) if self.protocol == IPV6_IN_IPV6 else None

    @property
    def mobility(self) -> int | None:
        """The type of a Mobility Header in the clear."""
        return self.payload[2] if self.protocol == MOBILITY else None


def parse(data: bytes) -> Packet:
    """A packet from its first octet on."""
    _, protocol, _, source, destination = _IPV6.unpack_from(data)
    at = _IPV6.size
    while protocol in _OPTIONS:
        protocol, at = data[at], at + 8 * (data[at + 1] + 1)
    return Packet(IPv6Address(source), IPv6Address(destination), protocol, data[at:])


def packets(file: Path) -> Iterator[Packet]:
    """Those of a capture of Ethernet frames; one that was being written at the end is left out."""
    data = file.read_bytes()
    magic, *_ = _GLOBAL.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError(f"{file} is no capture of this machine's byte order")
    at = _GLOBAL.size
    while at + _PACKET.size <= len(data):
        _, _, length, _ = _PACKET.unpack_from(data, at)
        at += _PACKET.size
        if at + length > len(data):
            return
        yield parse(data[at + _ETHERNET_OCTETS : at + length])
        at += length
