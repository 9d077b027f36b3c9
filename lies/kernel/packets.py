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
from lies.kernel.packet_filter import EVERYTHING, Wanted, program
from lies.packet import text_of

ETH_P_IPV6 = 0x86DD
_SO_ATTACH_FILTER = 26
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_MAX_PACKET = 65575
_BURST = 64


class SignallingReceiver:
    """Mobility signalling that arrives on one interface; `fileno` becomes readable for what is wanted."""

    def __init__(self, interface: str, wanted: Wanted = EVERYTHING) -> None:
        index_of(interface)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        try:
            instructions = program(wanted)
            store = ctypes.create_string_buffer(instructions)
            fprog = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(store))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self._socket.setblocking(False)
            self._socket.bind((interface, ETH_P_IPV6))
        except OSError:
            self._socket.close()
            raise
        self._buffer = bytearray(_MAX_PACKET)  # made once: for one packet this much is mapped anew
        self._view = memoryview(self._buffer)

    def fileno(self) -> int:
        """Descriptor for an event loop."""
        return self._socket.fileno()

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """What is waiting, at most a burst: (IPv6 packet, link-layer source address)."""
        for _ in range(_BURST):
            try:
                length, address = self._socket.recvfrom_into(self._buffer)
            except BlockingIOError:
                return
            except OSError:  # ENETDOWN: the interface went down; it says so once
                return
            lla = address[4]
            yield bytes(self._view[:length]), bytes(lla) if isinstance(lla, (bytes, bytearray)) else b""

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
        # the scope is for link-local destinations; of others the kernel takes no notice of it
        self._socket.sendto(packet, (text_of(destination), 0, 0, self._scope))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class LinkSender:
    """Sends whole IPv6 packets to link-layer addresses on one interface, past its neighbour cache."""

    def __init__(self, interface: str) -> None:
        index_of(interface)
        self._interface = interface
        # protocol 0: it is to receive nothing
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        self._socket.setblocking(False)

    def send(self, packet: bytes, lla: bytes) -> None:
        """Send one packet; OSError where the link does not take it."""
        self._socket.sendto(packet, (self._interface, ETH_P_IPV6, 0, 0, lla))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
