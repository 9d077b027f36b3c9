"""Packets on the virtual network, and what a host does with one: the steps of its way.

Addresses are 16 octets. Hosts answer a packet with a step and change nothing, so that the same code carries
one packet along and tells where a thousand like it would go; what a step says is done by its `go`.
"""

from typing import TYPE_CHECKING, Protocol, Union

from attrs import define, field

if TYPE_CHECKING:
    from lies.sim.flow import Flow
    from lies.sim.mobile import MobileHost
    from lies.sim.network import Network
    from lies.sim.program import Crew


class Host(Protocol):
    """Whom a packet can reach."""

    @property
    def crew(self) -> "Crew":
        """Its programs."""
        ...

    def arrive(self, packet: "Packet", sender: bytes | None, /) -> "Step":
        """What becomes of a packet; sender: link-layer address on an access link, None on the backbone."""
        ...


MAX_NESTING = 12  # more tunnels in one another than any sequence of handovers makes are a circle
CIRCLE = "a circle of tunnels"


@define(eq=False)
class Data:
    """One packet of an application; number: counted from 0; a probe has -1, and may have no flow."""

    flow: "Flow | None"
    number: int


@define(eq=False)
class Packet:
    """An IPv6 packet: octets of signalling, data, or another packet inside."""

    source: bytes
    destination: bytes
    payload: "bytes | Data | Packet"
    nesting: int = 0

    @property
    def inmost(self) -> "bytes | Data":
        """What it is about."""
        payload = self.payload
        while isinstance(payload, Packet):
            payload = payload.payload
        return payload

    def within(self, source: bytes, destination: bytes) -> "Packet":
        """The packet in a tunnel."""
        return Packet(source, destination, self, self.nesting + 1)

    def renumbered(self, number: int) -> "Packet":
        """The same packet for another packet of the flow."""
        payload = self.payload
        if isinstance(payload, Packet):
            return Packet(self.source, self.destination, payload.renumbered(number), self.nesting)
        assert isinstance(payload, Data)
        return Packet(self.source, self.destination, Data(payload.flow, number), self.nesting)


@define(eq=False)
class Buffer:
    """Packets that wait; what comes when it is full is lost."""

    room: int
    packets: list[Packet] = field(factory=list)


@define(eq=False)
class Hop:
    """The packet is sent to a host.

    air, generation: over the access link of that mobile node, if it stays; sender: link-layer address on
    such a link.
    """

    host: Host
    packet: Packet
    delay_s: float
    air: "MobileHost | None" = None
    generation: int = 0
    sender: bytes | None = None

    def go(self, net: "Network") -> None:
        """Do so."""
        net.fly(self)


@define(eq=False)
class Kept:
    """The packet waits."""

    buffer: Buffer
    packet: Packet

    def go(self, net: "Network") -> None:
        """Do so."""
        if len(self.buffer.packets) < self.buffer.room:
            self.buffer.packets.append(self.packet)
        else:
            net.drop(self.packet, "no room in the buffer")


@define(eq=False)
class Lost:
    """The packet is lost."""

    packet: Packet
    cause: str

    def go(self, net: "Network") -> None:
        """Do so."""
        net.drop(self.packet, self.cause)


@define(eq=False)
class Here:
    """The packet is where it wants to be: for the host's programs, or for its application."""

    host: Host
    packet: Packet
    sender: bytes | None = None

    def go(self, net: "Network") -> None:  # noqa: ARG002 - as the other steps
        """Do so."""
        payload = self.packet.payload
        if isinstance(payload, bytes):
            self.host.crew.give(payload, self.sender)
        elif isinstance(payload, Data) and payload.flow is not None:
            payload.flow.landed(payload.number, self)


Step = Union[Hop, Kept, Lost, Here]  # noqa: UP007 - of classes that attrs makes anew

MAX_HOPS = 32


def walk(step: Step) -> tuple[list[tuple[float, Hop]], Step]:
    """Where a packet would go if nothing changed: its hops, with the time of each one's end, and the end."""
    hops: list[tuple[float, Hop]] = []
    at = 0.0
    while isinstance(step, Hop):
        at += step.delay_s
        hops.append((at, step))
        step = step.host.arrive(step.packet, step.sender)
        if len(hops) == MAX_HOPS:
            step = Lost(hops[-1][1].packet, CIRCLE)
    return hops, step
