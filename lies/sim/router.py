"""An access router of the virtual network: what its kernel would hold, and where it sends a packet."""

from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from attrs import frozen

from lies.sim.packets import Buffer, Here, Hop, Kept, Lost, Packet, Step
from lies.sim.program import Crew

if TYPE_CHECKING:
    from lies.sim.network import Network

ALL_NODES = IPv6Address("ff02::1").packed
ALL_ROUTERS = IPv6Address("ff02::2").packed


@frozen
class RouterFacts:
    """What is known of an access router; number: counted from 1; poa: the access point on its access link."""

    number: int
    address: IPv6Address
    link_local: IPv6Address
    lla: bytes
    prefix: IPv6Network
    poa: str


class RouterHost:
    """An access router. Programs act on it by the methods that follow `send`."""

    def __init__(self, net: "Network", facts: RouterFacts, neighbours: tuple[RouterFacts, ...]) -> None:
        self.net = net
        self.facts = facts
        self.neighbours = neighbours
        self.crew = Crew(net)
        self.down = False
        self.tunnels: dict[bytes, bytes] = {}  # pcoa -> endpoint
        self.waiting: dict[bytes, Buffer] = {}
        self._held: set[bytes] = set()  # those whose node is elsewhere, without a tunnel yet
        self.host_routes: dict[bytes, bytes] = {}  # pcoa of a node that keeps it here -> par
        self._neighbour_entries: dict[bytes, bytes] = {}  # address -> link-layer address
        self._address = facts.address.packed
        self._prefix = facts.prefix.network_address.packed[:8]
        self._own = frozenset((self._address, facts.link_local.packed, ALL_ROUTERS, ALL_NODES))

    def arrive(self, packet: Packet, sender: bytes | None) -> Step:
        """What becomes of a packet that reaches the router; sender: None from the backbone."""
        if self.down:
            return Lost(packet, "the router is down")
        if packet.destination in self._own:
            inner = packet.payload
            return self._open(packet, inner) if isinstance(inner, Packet) else Here(self, packet, sender)
        if sender is not None and packet.source[:8] != self._prefix:
            par = self.host_routes.get(packet.source)
            if par is None:
                return Lost(packet, "ingress filter")
            return self.net.backbone(self, packet.within(self._address, par))
        return self.route(packet)

    def _open(self, packet: Packet, inner: Packet) -> Step:
        """What becomes of what is in a tunnel that ends here."""
        if self.host_routes.get(inner.destination) == packet.source:
            return self.route(inner)
        if self.tunnels.get(inner.source) != packet.source:  # RFC 5568 section 4
            return Lost(packet, "reverse tunnel without a binding")
        return self.arrive(inner, None) if inner.destination == self._address else self.route(inner)

    def route(self, packet: Packet) -> Step:
        """Where the router sends a packet."""
        to = packet.destination
        buffer = self.waiting.get(to)
        if buffer is not None:
            return Kept(buffer, packet)
        endpoint = self.tunnels.get(to)
        if endpoint is not None:
            return self.net.backbone(self, packet.within(self._address, endpoint))
        if to[:8] == self._prefix or to[0] >= 0xFE or to in self.host_routes:
            return self._on_link(packet, self._neighbour_entries.get(to) or self.net.resolve(self, to))
        return self.net.backbone(self, packet)

    def _on_link(self, packet: Packet, lla: bytes | None) -> Step:
        node = self.net.node_of(lla) if lla is not None else None
        if node is None or node.radio.poa != self.facts.poa:
            return Lost(packet, "the mobile node is not there")
        return Hop(node, packet, self.net.access_s, node, node.radio.generation)

    # what programs ask for

    def send(self, packet: bytes, kind: str, *, link_layer: bytes | None = None) -> None:
        """Send signalling; link_layer: on the access link to this address, whatever routes say."""
        if self.down:
            return
        self.net.count(kind, packet)
        made = Packet(packet[8:24], packet[24:40], packet)
        (self._on_link(made, link_layer) if link_layer is not None else self.route(made)).go(self.net)

    def add_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        """Packets to pcoa are tunnelled to endpoint; what comes from there with that source is accepted."""
        inner, outer = pcoa.packed, endpoint.packed
        self.net.touch(inner)
        self.net.touch(outer)
        self.tunnels[inner] = outer
        if inner in self._held:
            self._let_go(inner)

    def hold(self, pcoa: IPv6Address) -> None:
        """The node is elsewhere and has no tunnel yet: packets to pcoa wait."""
        address = pcoa.packed
        self.net.touch(address)
        self._held.add(address)
        self.waiting.setdefault(address, Buffer(self.net.buffer_packets))

    def release(self, pcoa: IPv6Address) -> None:
        """No tunnel came about: what waits goes as it went before."""
        self.net.touch(pcoa.packed)
        self._let_go(pcoa.packed)

    def _let_go(self, address: bytes) -> None:
        self._held.discard(address)
        buffer = self.waiting.pop(address, None)
        for packet in buffer.packets if buffer is not None else ():
            self.route(packet).go(self.net)

    def remove_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        """End a tunnel."""
        inner = pcoa.packed
        self.net.touch(inner)
        if self.tunnels.pop(inner, None) != endpoint.packed:
            self.net.broken(f"router {self.facts.number} ends a tunnel of {pcoa} that is none")

    def expect(self, ncoa: IPv6Address) -> None:
        """Packets to ncoa wait."""
        address = ncoa.packed
        held = address in self._held
        self._held.discard(address)
        if address in self.waiting and not held:
            self.net.broken(f"router {self.facts.number} expects {ncoa} twice")
            return
        self.net.touch(address)
        self.waiting.setdefault(address, Buffer(self.net.buffer_packets))

    def admit(self, ncoa: IPv6Address, lla: bytes) -> None:
        """The node is there: packets to ncoa go to lla, first those that wait."""
        address = ncoa.packed
        self.net.touch(address)
        self._neighbour_entries[address] = lla
        self._let_go(address)

    def forget(self, ncoa: IPv6Address) -> None:
        """The node did not come: what waits for it is lost."""
        self.net.touch(ncoa.packed)
        self._held.discard(ncoa.packed)
        buffer = self.waiting.pop(ncoa.packed, None)
        if buffer is None:
            self.net.broken(f"router {self.facts.number} forgets {ncoa}, which it does not expect")
            return
        self.net.lose(buffer, "the node did not come")

    def add_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """A node keeps its pcoa of par's link here; par tunnels for it."""
        self.net.touch(pcoa.packed)
        self.host_routes[pcoa.packed] = par.packed

    def remove_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """It is over."""
        self.net.touch(pcoa.packed)
        if self.host_routes.pop(pcoa.packed, None) != par.packed:
            self.net.broken(f"router {self.facts.number} ends a host route of {pcoa} that is none")

    # what happens to it

    def stop(self) -> None:
        """The router fails: everything it held is gone."""
        self.net.touch_all()
        self.down = True
        self.crew.dismiss()
        self.tunnels.clear()
        self.host_routes.clear()
        self._neighbour_entries.clear()
        buffers = list(self.waiting.values())
        self.waiting.clear()
        self._held.clear()
        for buffer in buffers:
            self.net.lose(buffer, "the router is down")

    def start(self) -> None:
        """The router works, with new programs."""
        self.net.touch_all()
        self.down = False
        for part in self.net.parts:
            program = part.on_router(self)
            if program is not None:
                self.crew.hire(program)

    def leftovers(self) -> list[str]:
        """What the router still holds for nodes that are somewhere else, or for handovers that ended."""
        name = f"router {self.facts.number}"
        found = [f"{name}: tunnel of {IPv6Address(pcoa)}" for pcoa in self.tunnels]
        found += [f"{name}: {IPv6Address(ncoa)} is awaited" for ncoa in self.waiting]
        found += [f"{name}: host route of {IPv6Address(pcoa)}" for pcoa in self.host_routes]
        return found + [f"{name}: {left}" for left in self.crew.leftovers()]
