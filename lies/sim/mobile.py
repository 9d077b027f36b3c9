"""A mobile node of the virtual network: what its kernel would hold, and what it does with packets."""

from collections.abc import Callable
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from attrs import frozen

from lies.events import BindingUpdated, CareOfAddressChanged, HandoverDone, PoAListConfirm
from lies.sim.packets import CIRCLE, MAX_NESTING, Buffer, Data, Here, Hop, Kept, Lost, Packet, Step
from lies.sim.program import Crew

if TYPE_CHECKING:
    from lies.sim.flow import Flow
    from lies.sim.network import Network
    from lies.sim.radio import Radio

Report = CareOfAddressChanged | BindingUpdated | HandoverDone


@frozen
class MobileFacts:
    """What is known of a mobile node; number: counted from 1; mode: predictive, reactive or none."""

    number: int
    link: str
    lla: bytes
    interface_id: int
    link_local: IPv6Address
    home_address: IPv6Address
    home_agent: IPv6Address
    mode: str


class MobileHost:
    """A mobile node. Programs act on it by the methods that follow `send`."""

    __slots__ = (
        "_home",
        "_home_agent",
        "_link_local",
        "accepted",
        "addresses",
        "correspondent",
        "crew",
        "facts",
        "flows",
        "handovers",
        "held",
        "net",
        "radio",
        "reverse",
        "uplink",
    )

    def __init__(self, net: "Network", facts: MobileFacts, correspondent: bytes) -> None:
        self.net = net
        self.facts = facts
        self.crew = Crew(net)
        self.radio: Radio
        self.flows: tuple[Flow, ...] = ()
        self.addresses: dict[bytes, None] = {}
        self.reverse: dict[bytes, tuple[bytes, bytes]] = {}  # pcoa -> (ncoa, par)
        self.accepted: dict[tuple[bytes, bytes], None] = {}  # (own address, who tunnels to it)
        self.held: dict[bytes, Buffer] = {}
        self.uplink: bytes | None = None
        self.handovers = 0
        self.correspondent = correspondent
        self._home = facts.home_address.packed
        self._home_agent = facts.home_agent.packed
        self._link_local = facts.link_local.packed

    def arrive(self, packet: Packet, sender: bytes | None) -> Step:
        """What becomes of a packet that reaches the node."""
        to = packet.destination
        if to not in self.addresses and to != self._link_local and to[0] != 0xFF:
            return Lost(packet, "not an address of the mobile node")
        inner = packet.payload
        if not isinstance(inner, Packet):
            return Here(self, packet, sender)
        if (to, packet.source) not in self.accepted:
            return Lost(packet, "tunnelled from an unexpected router")
        if inner.destination == self._home:
            return Here(self, inner, sender)
        return self.arrive(inner, sender)

    def emit(self, packet: Packet) -> Step:
        """Send from one of the node's addresses: held, reverse-tunnelled, or straight out."""
        source = packet.source
        buffer = self.held.get(source)
        if buffer is not None:
            return Kept(buffer, packet)
        back = self.reverse.get(source)
        if back is not None:
            if packet.nesting > MAX_NESTING:
                return Lost(packet, CIRCLE)
            return self.emit(packet.within(*back))
        router = self.net.router_at(self.radio.poa)
        if router is None:
            return Lost(packet, "no link")
        return Hop(router, packet, self.net.access_s, self, self.radio.generation, self.facts.lla)

    def up(self, data: Data) -> Step:
        """The application sends a packet to the correspondent."""
        packet = Packet(self._home, self.correspondent, data)
        if self.uplink is None:
            return Lost(packet, "no tunnel to the home agent")
        return self.emit(packet.within(self.uplink, self._home_agent))

    # what programs ask for

    def send(self, packet: bytes, kind: str) -> None:
        """Send a packet of signalling."""
        self.net.count(kind, packet)
        self.emit(Packet(packet[8:24], packet[24:40], packet)).go(self.net)

    def list_poas(self, answer: Callable[[PoAListConfirm], None]) -> None:
        """L2-PoAList."""
        self.radio.list_poas(answer)

    def connect(self, poa: str, refused: Callable[[str], None]) -> None:
        """L2-LinkConnect; refused: called with the reason."""
        self.radio.connect(poa, refused)

    def publish(self, report: Report) -> None:
        """A report, for every program of the node."""
        if isinstance(report, HandoverDone):
            self.net.tally.handover(self, report)
        self.crew.tell(report)

    def add_address(self, address: IPv6Address) -> bool:
        """Whether it is new."""
        octets = address.packed
        if octets in self.addresses:
            return False
        if self.flows:
            self.touch()
        self.net.owns(self, octets)
        self.addresses[octets] = None
        return True

    def remove_address(self, address: IPv6Address) -> None:
        """An address is none any more."""
        if self.flows:
            self.touch()
        self.addresses.pop(address.packed, None)

    def hold(self, pcoa: IPv6Address) -> None:
        """What is sent from pcoa waits."""
        if pcoa.packed in self.held:
            self.net.broken(f"node {self.facts.number} holds {pcoa} twice")
            return
        if self.flows:
            self.touch()
        self.held[pcoa.packed] = Buffer(self.net.buffer_packets)

    def release(self, pcoa: IPv6Address) -> None:
        """What waits goes; nothing held is no error."""
        if self.flows:
            self.touch()
        buffer = self.held.pop(pcoa.packed, None)
        for packet in buffer.packets if buffer is not None else ():
            self.emit(packet).go(self.net)

    def drop_held(self, pcoa: IPv6Address) -> None:
        """What waits is lost."""
        if self.flows:
            self.touch()
        buffer = self.held.pop(pcoa.packed, None)
        if buffer is not None:
            self.net.lose(buffer, "held too long")

    def accept_tunnel(self, address: IPv6Address, peer: IPv6Address) -> None:
        """What peer tunnels to an address of the node is opened."""
        if self.flows:
            self.touch()
        self.accepted[address.packed, peer.packed] = None

    def refuse_tunnel(self, address: IPv6Address, peer: IPv6Address) -> None:
        """No more."""
        if self.flows:
            self.touch()
        self.accepted.pop((address.packed, peer.packed), None)

    def send_back(self, pcoa: IPv6Address, ncoa: IPv6Address, par: IPv6Address) -> None:
        """What is sent from pcoa goes through a tunnel from ncoa to par."""
        if self.flows:
            self.touch()
        self.reverse[pcoa.packed] = (ncoa.packed, par.packed)

    def send_straight(self, pcoa: IPv6Address) -> None:
        """No more."""
        if self.flows:
            self.touch()
        self.reverse.pop(pcoa.packed, None)

    def use_uplink(self, coa: IPv6Address) -> None:
        """What is sent from the home address goes through a tunnel from coa to the home agent."""
        if self.flows:
            self.touch()
        self.uplink = coa.packed
        self.net.bound(self._home)

    def touch(self) -> None:
        """Something on the way of the node's packets is about to change."""
        for flow in self.flows:
            flow.touch()

    def leftovers(self) -> list[str]:
        """What the node still holds though no handover is going on."""
        name = f"node {self.facts.number}"
        found = [f"{name}: reverse tunnel of {IPv6Address(pcoa)}" for pcoa in self.reverse]
        found += [f"{name}: uplink of {IPv6Address(pcoa)} is held" for pcoa in self.held]
        spare = [IPv6Address(a) for a in self.addresses if a != self.uplink]
        found += [f"{name}: address {a} beside the care-of address" for a in spare]
        return found + [f"{name}: {left}" for left in self.crew.leftovers()]
