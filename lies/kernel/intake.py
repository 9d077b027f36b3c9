"""Where the kernel's routes lead packets to a program: a TUN device, or a packet socket behind a veth pair.

A route to an intake takes packets out of forwarding, their hop limit lowered and their size checked against
the intake's MTU as on any way out; the program reads them whole.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Protocol

from lies.errors import LiesError
from lies.kernel import messages as m
from lies.kernel.attributes import sent_dropped
from lies.kernel.interfaces import index_of
from lies.kernel.kinds import IntakeKind
from lies.kernel.netlink import Netlink
from lies.kernel.netns import sysctl
from lies.kernel.offload import complete_checksums
from lies.kernel.packets import ETH_P_IPV6

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_QUEUE = 2048  # packets that a device keeps while the program is busy
_SOCKET_OCTETS = 8 << 20
_MAX_PACKET = 65575
_DESTINATION, _MULTICAST = 24, 0xFF  # the destination's first octet: groups are told of to nobody
_VETH_IN, _VETH_OUT = "lies-b0", "lies-b1"
_NEXT_HOP = IPv6Address("fe80::5184:b")
_NOBODY_MAC = b"\x02\x51\x84\x00\x00\x0b"  # not the far end's: its kernel takes nothing in
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE = 33


class Intake(Protocol):
    """Packets that routes lead here; `fileno` becomes readable."""

    def fileno(self) -> int:
        """Descriptor for an event loop."""
        ...

    def route(self, destination: IPv6Network, *, metric: int, add: bool = True) -> bytes:
        """Message for the route that leads a destination here."""
        ...

    def receive(self, most: int) -> Iterator[bytes]:
        """What is waiting, of at most so many: whole IPv6 packets to one host, in order."""
        ...

    def lost(self) -> int:
        """How many packets the kernel has dropped because the program did not read them in time."""
        ...

    def close(self) -> None:
        """Remove the device, and with it its routes."""
        ...


class TunIntake:
    """A TUN device of this namespace; it goes with the process."""

    def __init__(self, netlink: Netlink, mtu: int) -> None:
        self._netlink = netlink
        self._file = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            request = struct.pack("16sH22x", b"lies-b%d", _IFF_TUN | _IFF_NO_PI)
            answer = fcntl.ioctl(self._file, _TUNSETIFF, request)
            name = answer[:16].rstrip(b"\0").decode("ascii")
            self._index = index_of(name)
            _silence(name)
            netlink.execute([m.set_link(self._index, mtu=mtu, queue=_QUEUE, up=True)])
        except BaseException:
            os.close(self._file)
            raise

    def fileno(self) -> int:
        """Descriptor for an event loop."""
        return self._file

    def route(self, destination: IPv6Network, *, metric: int, add: bool = True) -> bytes:
        """Message for the route that leads a destination here."""
        return m.route(destination, oif=self._index, metric=metric, add=add)

    def receive(self, most: int) -> Iterator[bytes]:
        """What is waiting, of at most so many: whole IPv6 packets to one host, in order."""
        with suppress(BlockingIOError):
            for _ in range(most):
                packet = os.read(self._file, _MAX_PACKET)
                if packet[_DESTINATION] != _MULTICAST:
                    yield packet

    def lost(self) -> int:
        """How many packets the kernel has dropped because the program did not read them in time."""
        return sent_dropped(self._netlink, self._index)

    def close(self) -> None:
        """Remove the device, and with it its routes."""
        os.close(self._file)


class PacketIntake:
    """A packet socket at the far end of a veth pair; for who may not open TUN."""

    def __init__(self, netlink: Netlink, mtu: int) -> None:
        self._netlink = netlink
        self._lost = 0
        with suppress(OSError):  # of a process that was killed
            netlink.execute([m.delete_link(socket.if_nametoindex(_VETH_IN))], ignore=m.GONE)
        netlink.execute([m.new_veth(_VETH_IN, _VETH_OUT, mtu=mtu)])
        self._index = index_of(_VETH_IN)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        try:
            _silence(_VETH_IN)
            sysctl(f"ipv6/conf/{_VETH_OUT}/disable_ipv6", 1)
            complete_checksums(_VETH_IN)  # nor are large segments left whole then
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _SOCKET_OCTETS)
            except PermissionError:  # needs the initial user namespace
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_OCTETS)
            self._socket.setblocking(False)
            netlink.execute([m.set_link(index_of(_VETH_OUT), up=True)])
            self._socket.bind((_VETH_OUT, ETH_P_IPV6))  # one that is down would make the first recv fail
            netlink.execute([m.set_link(self._index, up=True)])
            netlink.execute([m.neighbour(self._index, _NEXT_HOP, _NOBODY_MAC)])
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Descriptor for an event loop."""
        return self._socket.fileno()

    def route(self, destination: IPv6Network, *, metric: int, add: bool = True) -> bytes:
        """Message for the route that leads a destination here."""
        return m.route(destination, oif=self._index, via=_NEXT_HOP, metric=metric, add=add)

    def receive(self, most: int) -> Iterator[bytes]:
        """What is waiting, of at most so many: whole IPv6 packets to one host, in order."""
        with suppress(BlockingIOError):
            for _ in range(most):
                packet = self._socket.recv(_MAX_PACKET)
                if packet[_DESTINATION] != _MULTICAST:
                    yield packet

    def lost(self) -> int:
        """How many packets the kernel has dropped because the program did not read them in time."""
        counts = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._lost += struct.unpack("=II", counts)[1]  # the kernel counts from 0 again after each look
        return self._lost

    def close(self) -> None:
        """Remove the device, and with it its routes."""
        self._socket.close()
        self._netlink.execute([m.delete_link(self._index)], ignore=m.GONE)


def open_intake(netlink: Netlink, *, kind: IntakeKind = IntakeKind.AUTO, mtu: int) -> Intake:
    """An intake of the kind that is asked for; mtu: of the link that packets would have gone to."""
    if kind is IntakeKind.PACKET:
        return PacketIntake(netlink, mtu)
    try:
        return TunIntake(netlink, mtu)
    except OSError as error:
        if kind is IntakeKind.AUTO:
            return PacketIntake(netlink, mtu)
        raise LiesError(f"{_TUN} cannot be used ({error.strerror}); a packet socket can") from error


def _silence(name: str) -> None:
    """Have the kernel send nothing of its own into an interface, but its reports of groups."""
    sysctl(f"ipv6/conf/{name}/addr_gen_mode", 1)
    sysctl(f"ipv6/conf/{name}/accept_ra", 0)
    sysctl(f"ipv6/conf/{name}/router_solicitations", 0)
