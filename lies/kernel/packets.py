"""Packet sockets for mobility signalling: whole IPv6 packets in and out.

A packet socket sees what arrives before the kernel judges it: kernels without Mobile IPv6 answer a type 2
routing header or a Home Address option with an ICMPv6 error and drop it.
"""

import ctypes
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address

from lies.kernel.interfaces import index_of

ETH_P_IPV6 = 0x86DD
_SO_ATTACH_FILTER = 26
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_MAX_PACKET = 65575
_BURST = 64

# Classic BPF over the IPv6 header: MH (135), destination options (60), routing header (43), and of ICMPv6
# (58) the types 133, 134, 136 and 154. Each line is (code, jump if true, jump if false, k).
_LD_B, _JEQ, _RET = 0x30, 0x15, 0x06
_FILTER = (
    (_LD_B, 0, 0, 6),
    (_JEQ, 9, 0, 135),
    (_JEQ, 8, 0, 60),
    (_JEQ, 7, 0, 43),
    (_JEQ, 0, 5, 58),
    (_LD_B, 0, 0, 40),
    (_JEQ, 4, 0, 133),
    (_JEQ, 3, 0, 134),
    (_JEQ, 2, 0, 136),
    (_JEQ, 1, 0, 154),
    (_RET, 0, 0, 0),
    (_RET, 0, 0, _MAX_PACKET),
)


class SignallingReceiver:
    """Mobility signalling that arrives on one interface; `fileno` becomes readable."""

    def __init__(self, interface: str) -> None:
        index_of(interface)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        try:
            program = b"".join(struct.pack("=HBBI", *line) for line in _FILTER)
            store = ctypes.create_string_buffer(program)
            fprog = struct.pack("@HP", len(_FILTER), ctypes.addressof(store))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self._socket.setblocking(False)
            self._socket.bind((interface, ETH_P_IPV6))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Descriptor for an event loop."""
        return self._socket.fileno()

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """What is waiting, at most a burst: (IPv6 packet, link-layer source address)."""
        for _ in range(_BURST):
            try:
                data, address = self._socket.recvfrom(_MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:  # ENETDOWN: the interface went down; it says so once
                return
            lla = address[4]
            yield data, bytes(lla) if isinstance(lla, (bytes, bytearray)) else b""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class PacketSender:
    """Sends whole IPv6 packets, routed by the kernel; bound to `interface` where one is given."""

    def __init__(self, interface: str | None = None) -> None:
        self._socket = socket.socket(
            socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW
        )
        self._scope = 0
        try:
            self._socket.setblocking(False)
            if interface is not None:
                self._scope = index_of(interface)
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self._scope)
        except OSError:
            self._socket.close()
            raise

    def send(self, packet: bytes, destination: IPv6Address) -> None:
        """Send one packet; OSError where the kernel has no way to send it."""
        self._socket.sendto(packet, (str(destination), 0, 0, self._scope if destination.is_link_local else 0))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
