"""A far end that sends every kind of packet to us, and sees all that we send."""

import socket
import struct
from ipaddress import IPv6Address

from attrs import define, field
from netns_kit import (
    icmp_errors,
    ipv6,
    udp,
    waiting,
)
from polling import wait_until

from lies.errors import MalformedMessage
from lies.kernel.netlink import Netlink
from lies.kernel.packets import PacketSender

US, THEM = IPv6Address("2001:db8:5::a"), IPv6Address("2001:db8:5::1")
HOME = IPv6Address("2001:db8:99::99")
NONE, UDP, MH, DESTINATION, ROUTING, ICMPV6, TUNNEL = 59, 17, 135, 60, 43, 58, 41


def mobility(kind: int = 5) -> bytes:
    """A Mobility Header of 8 octets."""
    return struct.pack("!BBBBHH", NONE, 0, kind, 0, 0, 0)


def home_address_option(next_header: int) -> bytes:
    """A destination options header with a Home Address option (RFC 6275 section 6.3)."""
    return struct.pack("!BB", next_header, 2) + b"\x01\x02\0\0" + b"\xc9\x10" + HOME.packed


def routing_type_2(next_header: int) -> bytes:
    """A type 2 routing header with one segment left (RFC 6275 section 6.4)."""
    return struct.pack("!BBBBI", next_header, 2, 2, 1, 0) + HOME.packed


def icmp(kind: int) -> bytes:
    """An ICMPv6 message; its checksum is for others to judge."""
    return struct.pack("!BBHI", kind, 0, 0, 0)


def udp_part(data: bytes) -> bytes:
    """A UDP datagram of THEM to US."""
    return udp(THEM, US, data)[40:]


SIGNALLING = {
    "mobility header": (MH, mobility()),
    "home address option, mobility header": (DESTINATION, home_address_option(MH) + mobility()),
    "type 2 routing header, mobility header": (ROUTING, routing_type_2(MH) + mobility()),
}
DISCOVERY = {
    name: (ICMPV6, icmp(kind)) for name, kind in (("RS", 133), ("RA", 134), ("NA", 136), ("FMIPv6", 154))
}
OTHERS = {
    "UDP": (UDP, udp_part(b"data")),
    "tunnelled signalling": (TUNNEL, ipv6(THEM, US, MH, mobility())),
    "echo request": (ICMPV6, icmp(128)),
    "neighbour solicitation": (ICMPV6, icmp(135)),
    "TCP": (6, bytes(20)),
    "fragment": (44, struct.pack("!BBHI", MH, 0, 0, 1) + mobility()),
}


@define
class Ends:
    """We, with v0, and a far end that sends raw packets over v1 and sees all that we send."""

    kernel: Netlink
    far: int
    sender: PacketSender
    seen: socket.socket
    before: dict[str, list[str]]
    heard: list[bytes] = field(factory=list)

    def send(self, next_header: int, payload: bytes) -> bytes:
        """Send a packet to US; the packet."""
        packet = ipv6(THEM, US, next_header, payload)
        self.sender.send(packet, US)
        return packet

    def handler(self, packet: bytes, _lla: bytes, _interface: str) -> None:
        """As a consumer's shell: keep the packet, but refuse what is too short for it."""
        if packet[6] == ICMPV6 and packet[40] == 133:
            raise MalformedMessage("no router here")
        self.heard.append(packet)

    def errors_after(self, *packets: tuple[int, bytes]) -> list[bytes]:
        """The ICMPv6 errors that we send about packets, until we have answered an echo sent after them."""
        for packet in packets:
            self.send(*packet)
        seen: list[bytes] = []
        self.send(ICMPV6, _echo_request())

        def answered() -> bool:
            seen.extend(waiting(self.seen))
            return any(f[12:14] == b"\x86\xdd" and f[20] == ICMPV6 and f[54] == 129 for f in seen)

        wait_until(answered, 10)
        return icmp_errors(seen)


def _echo_request() -> bytes:
    body = struct.pack("!BBHHH", 128, 0, 0, 1, 1)
    pseudo = THEM.packed + US.packed + struct.pack("!IHBB", len(body), 0, 0, ICMPV6)
    total = sum(struct.unpack(f"!{len(pseudo + body) // 2}H", pseudo + body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
