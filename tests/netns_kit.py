"""A network namespace of a test's own, what its kernel has in it, and packets made by hand."""

import itertools
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address

from polling import wait_until

from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered, new_namespace, sysctl

ETH_P_IPV6 = 0x86DD
ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_RCVBUFFORCE = 33

_BY_ITSELF = ("fe80::/64", "ff00::/8", "local fe80::")
_index = itertools.count(1000)
_STATE = {
    "rules": ("ip", "-6", "-d", "rule"),
    "routes": ("ip", "-6", "-d", "route", "show", "table", "all"),
    "addresses": ("ip", "-6", "-o", "addr", "show"),
    "links": ("ip", "-o", "link", "show"),
    "permanent": ("ip", "-6", "neigh", "show", "nud", "permanent"),
    "proxies": ("ip", "-6", "neigh", "show", "proxy"),
    "labels": ("ip", "addrlabel", "list"),
    "ipsec": ("ip", "xfrm", "policy"),
}


def ip(*words: str) -> list[str]:
    """The lines that iproute2 prints in this thread's namespace."""
    done = subprocess.run(("ip", *words), capture_output=True, text=True, check=True, timeout=20)
    return [line.strip() for line in done.stdout.splitlines()]


def kernel_state() -> dict[str, list[str]]:
    """Everything that LIES may set in this thread's namespace, as iproute2 prints it."""
    return {name: sorted(ip(*words[1:])) for name, words in _STATE.items()}


def left(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, list[str]]:
    """What was not there before, and what is not there any more (marked with -)."""
    found = {}
    for name, lines in after.items():
        more = [line for line in lines if line not in before[name]]
        less = [f"-{line}" for line in before[name] if line not in lines]
        if more or less:
            found[name] = more + less
    return found


@contextmanager
def namespace() -> Iterator[int]:
    """Be in a new namespace, quiet as the testbed's, for the block; its descriptor."""
    descriptor = new_namespace()
    try:
        with entered(descriptor):
            quiet()
            yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def elsewhere() -> Iterator[int]:
    """Another new namespace, as quiet, that lives for the block; its descriptor."""
    descriptor = new_namespace()
    try:
        with entered(descriptor):
            quiet()
        yield descriptor
    finally:
        os.close(descriptor)


def quiet() -> None:
    """Loopback up, no address detection and no solicitations, forwarding on."""
    with netlink() as kernel:
        kernel.execute([m.set_link(1, up=True)])
    for which in ("all", "default"):
        for name, value in (("accept_dad", 0), ("dad_transmits", 0), ("accept_ra", 0), ("forwarding", 1)):
            sysctl(f"ipv6/conf/{which}/{name}", value)
        sysctl(f"ipv6/conf/{which}/router_solicitations", 0)
        sysctl(f"ipv6/conf/{which}/seg6_enabled", 1)


@contextmanager
def netlink() -> Iterator[Netlink]:
    """A netlink socket of this thread's namespace."""
    kernel = Netlink()
    try:
        yield kernel
    finally:
        kernel.close()


def wire(kernel: Netlink, near: str, far: str, *, into: int | None = None) -> tuple[int, int]:
    """A veth pair, up at both ends; the far end may be in another namespace. Their indexes."""
    # of two equal indexes the kernel would notice the carrier up to a second later
    kernel.execute([m.new_veth(near, far, peer_netns_fd=into, index=next(_index), peer_index=next(_index))])
    one = socket.if_nametoindex(near)
    kernel.execute([m.set_link(one, up=True)])
    if into is None:
        two = socket.if_nametoindex(far)
        kernel.execute([m.set_link(two, up=True)])
        wait_until(lambda: _settled(far), 20)
    else:
        with entered(into), netlink() as there:
            two = socket.if_nametoindex(far)
            there.execute([m.set_link(two, up=True)])
            wait_until(lambda: _settled(far), 20)
    wait_until(lambda: _settled(near), 20)
    return one, two


def settle(*devices: str) -> None:
    """Wait until the kernel has made all that it makes a little later: local routes of all addresses here.

    devices: and what it gives interfaces that have just come up.
    """
    wait_until(_addresses_are_routed, 20)
    wait_until(lambda: all(_settled(name) for name in devices), 20)


def _addresses_are_routed() -> bool:
    shown = {line.split()[3].partition("/")[0] for line in ip("-6", "-o", "addr", "show")}
    return shown <= {
        line.split()[1] for line in ip("-6", "route", "show", "table", "local") if "local" in line
    }


def _settled(name: str) -> bool:
    """Whether the kernel has noticed an interface's carrier and given it all that it gives by itself."""
    routes = ip("-6", "route", "show", "table", "all", "dev", name)
    return all(any(line.removeprefix("multicast ").startswith(n) for line in routes) for n in _BY_ITSELF)


def ipv6(source: IPv6Address, destination: IPv6Address, next_header: int, payload: bytes) -> bytes:
    """An IPv6 packet."""
    head = struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64)
    return head + source.packed + destination.packed + payload


def udp(source: IPv6Address, destination: IPv6Address, data: bytes, *, port: int = 7000) -> bytes:
    """An IPv6 packet with a UDP datagram, checksum included."""
    length = 8 + len(data)
    pseudo = source.packed + destination.packed + struct.pack("!IHBB", length, 0, 0, 17)
    head = struct.pack("!HHHH", port, port, length, 0)
    return ipv6(source, destination, 17, head[:6] + struct.pack("!H", _sum(pseudo + head + data)) + data)


def _sum(octets: bytes) -> int:
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF) or 0xFFFF


def frames(interface: str, *, incoming_only: bool = False) -> socket.socket:
    """A packet socket that sees every frame of an interface of this namespace, without blocking."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_PACKET, kind, 0)
    with suppress(PermissionError):  # beyond the system's limit, where that is allowed
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    if incoming_only:
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.bind((interface, ETH_P_ALL))
    return sock


def waiting(sock: socket.socket) -> list[bytes]:
    """What a socket has received until now."""
    found = []
    while True:
        try:
            found.append(sock.recv(65536))
        except BlockingIOError:
            return found


def icmp_errors(seen: Sequence[bytes]) -> list[bytes]:
    """The ICMPv6 error messages among frames (types below 128)."""
    return [f for f in seen if f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] < 128]
