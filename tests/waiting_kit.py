"""An access router whose packets wait, between two namespaces."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv6Address

from attrs import define, field
from netns_kit import frames, udp, waiting
from tunnel_kit import ENDPOINT, NET, OTHER_INNER, Pair

from lies.kernel.netns import entered
from lies.kernel.packets import ETH_P_IPV6
from lies.kernel.tunnels import link_address
from lies.runtime import now_s
from lies_fmipv6.pacing import Buffering, Limits, Tally
from lies_fmipv6.router_plane import RouterPlane

NODE, OTHER = IPv6Address(f"{NET}99"), IPv6Address(f"{NET}98")
MAC = b"\x02\0\0\0\0\x99"
SIZE = 100  # octets of a packet; a socket without privileges keeps some 150 of them


@define
class Router:
    """An access router whose nodes live behind v1; packets to them come from b1."""

    pair: Pair
    plane: RouterPlane
    tallies: dict[IPv6Address, Tally]
    source: socket.socket
    air: socket.socket
    mac: bytes
    out: list[tuple[float, IPv6Address, int]] = field(factory=list)

    def send(self, first: int, count: int = 1, node: IPv6Address = NODE) -> None:
        """Send numbered packets to a node."""
        for number in range(first, first + count):
            packet = udp(OTHER_INNER, node, number.to_bytes(4) + bytes(SIZE - 52))
            self.source.sendto(packet, ("b1", ETH_P_IPV6, 0, 0, self.mac))

    def numbers(self, node: IPv6Address = NODE) -> list[int]:
        """The numbers of the packets that came out on the air for a node, in order."""
        for frame in waiting(self.air):
            if frame[12:14] == b"\x86\xdd" and frame[20] == 17:
                to = IPv6Address(frame[38:54])
                self.out.append((now_s(), to, int.from_bytes(frame[62:66])))
        return [number for _, to, number in self.out if to == node]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the plane serve until the condition holds."""
        limit = now_s() + 60
        while not condition():
            assert now_s() < limit
            self.numbers()  # the socket keeps few
            await asyncio.sleep(0.001)

    async def until_ended(self, node: IPv6Address = NODE) -> Tally:
        """Wait until nothing waits for a node any more."""
        await self.until(lambda: node in self.tallies)
        return self.tallies[node]

    async def until_waiting(self, count: int, node: IPv6Address = NODE) -> None:
        """Wait until so many packets have entered the buffer for a node."""
        assert self.plane._room is not None
        queue = self.plane._room._buffer._queues[node]
        await self.until(lambda: queue.entered == count)


@asynccontextmanager
async def router(pair: Pair, buffering: Buffering, limits: Limits | None = None) -> AsyncIterator[Router]:
    """A router's plane that serves on this loop; afterwards nothing is left of it."""
    tallies: dict[IPv6Address, Tally] = {}
    plane = RouterPlane(
        pair.kernel,
        access="v0",
        backbone="b0",
        address=ENDPOINT,
        buffering=buffering,
        limits=limits,
        on_tally=tallies.__setitem__,
    )
    plane.start()
    with entered(pair.far):
        air = frames("v1", incoming_only=True)
        source = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    with air, source:
        try:
            yield Router(pair, plane, tallies, source, air, link_address("b0"))
        finally:
            plane.close()
    assert pair.more() == {}


def announced(plane: RouterPlane, node: IPv6Address, *, buffer: bool = True) -> None:
    """What an HI about a node does."""
    plane.expect(node, buffer=buffer)
    plane.defend(node)
