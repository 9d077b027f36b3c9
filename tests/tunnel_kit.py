"""Two joined namespaces for tests of tunnels: what one sends in tunnels, the other opens or holds."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address

from attrs import frozen
from netns_kit import (
    elsewhere,
    frames,
    ipv6,
    kernel_state,
    left,
    namespace,
    netlink,
    settle,
    udp,
    waiting,
    wire,
)
from polling import wait_until

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies.kernel.packets import PacketSender
from lies.kernel.tunnels import (
    host,
    link_address,
)

NET = "2001:db8:5::"
PEER, STRANGER = IPv6Address(f"{NET}1"), IPv6Address(f"{NET}2")
ENDPOINT = IPv6Address(f"{NET}a")
INNER, OTHER_INNER = IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:1::2")
INSIDE = IPv6Address("2001:db8:9::9")  # an address of ours that inner packets go to
BEYOND = IPv6Address("2001:db8:8::8")  # an address behind us that inner packets go to
MINE, YOURS = 51, 62
PORT = 7000


@frozen
class Pair:
    """Two namespaces: `us`, where the thread is, with v0 (and b0 behind), and `far` with v1 (and b1).

    far sends raw packets over v1 from PEER and STRANGER; b1 sees what we forward to BEYOND.
    """

    kernel: Netlink
    far: int
    sender: PacketSender
    behind: socket.socket
    listener: socket.socket
    before: dict[str, list[str]]

    def send(self, outer_source: IPv6Address, inner: bytes, endpoint: IPv6Address = ENDPOINT) -> None:
        """Send a packet in a tunnel from a source to one of our end points."""
        self.sender.send(ipv6(outer_source, endpoint, 41, inner), endpoint)

    def heard(self) -> list[bytes]:
        """What came to INSIDE until now."""
        return waiting(self.listener)

    def until_heard(self, data: bytes) -> list[bytes]:
        """What came to INSIDE, up to a marker that passes after it."""
        found: list[bytes] = []

        def marker() -> bool:
            found.extend(self.heard())
            return data in found

        wait_until(marker, 10)
        return found

    def more(self) -> dict[str, list[str]]:
        """What is in our kernel and was not before."""
        return left(self.before, kernel_state())


@contextmanager
def paired() -> Iterator[Pair]:
    """The two namespaces, joined by two wires."""
    with ExitStack() as stack:
        far = stack.enter_context(elsewhere())
        stack.enter_context(namespace())
        kernel = stack.enter_context(netlink())
        v0, _ = wire(kernel, "v0", "v1", into=far)
        b0, _ = wire(kernel, "b0", "b1", into=far)
        kernel.execute(
            [
                m.address(v0, ENDPOINT, prefix_length=64, prefix_route=True, owner=m.OWNER_ADMINISTRATOR),
                m.address(1, INSIDE, owner=m.OWNER_ADMINISTRATOR),
                m.route(host(BEYOND), oif=b0, owner=m.OWNER_ADMINISTRATOR),
                m.neighbour(b0, BEYOND, b"\x02\0\0\0\0\x09", owner=m.OWNER_ADMINISTRATOR),
            ]
        )
        our_mac = link_address("v0")
        with entered(far), netlink() as there:
            v1 = index_of("v1")
            there.execute(
                [
                    m.address(v1, PEER, prefix_length=64, prefix_route=True),
                    m.address(v1, STRANGER, prefix_length=64),
                    m.neighbour(v1, ENDPOINT, our_mac),
                ]
            )
            sender = PacketSender("v1")
            stack.callback(sender.close)
            behind = stack.enter_context(frames("b1", incoming_only=True))
        listener = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        listener.setblocking(False)
        listener.bind((str(INSIDE), PORT))
        settle()
        yield Pair(kernel, far, sender, behind, listener, kernel_state())


def to_us(data: bytes, source: IPv6Address = INNER) -> bytes:
    """An inner packet for INSIDE."""
    return udp(source, INSIDE, data, port=PORT)


def beyond(pair: Pair) -> list[bytes]:
    """The UDP payloads that we forwarded to BEYOND until now."""
    return [f[14 + 48 :] for f in waiting(pair.behind) if f[12:14] == b"\x86\xdd" and f[20] == 17]
