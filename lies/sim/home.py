"""The home agent of the virtual network, with the correspondents beside it."""

from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from lies.sim.packets import Here, Lost, Packet, Step
from lies.sim.program import Crew

if TYPE_CHECKING:
    from lies.sim.network import Network


class HomeHost:
    """A home agent. Programs act on it by the methods that follow `send`."""

    def __init__(self, net: "Network", address: IPv6Address, prefix: IPv6Network) -> None:
        self.net = net
        self.address = address
        self.prefix = prefix
        self.crew = Crew(net)
        self.bindings: dict[bytes, bytes] = {}  # home address -> care-of address
        self.sources: dict[
            bytes, dict[bytes, None]
        ] = {}  # home address -> care-of addresses it may send from
        self._address = address.packed

    def arrive(self, packet: Packet, sender: bytes | None) -> Step:
        """What becomes of a packet that reaches the home agent."""
        if packet.destination != self._address:
            return Lost(packet, "no route")
        inner = packet.payload
        if not isinstance(inner, Packet):
            return Here(self, packet, sender)
        if packet.source in self.sources.get(inner.source, {}):
            return Here(self, inner)
        return Lost(packet, "not from the care-of address (RFC 6275 section 10.4.5)")

    def down(self, packet: Packet) -> Step:
        """Where a packet of a correspondent to a home address goes."""
        coa = self.bindings.get(packet.destination)
        if coa is None:
            return Lost(packet, "no binding")
        return self.net.backbone(self, packet.within(self._address, coa))

    # what programs ask for

    def send(self, packet: bytes, kind: str) -> None:
        """Send a packet of signalling."""
        self.net.count(kind, packet)
        self.net.backbone(self, Packet(packet[8:24], packet[24:40], packet)).go(self.net)

    def set_binding(self, home_address: IPv6Address, coa: IPv6Address) -> None:
        """Packets to the home address go to coa, and are accepted from there."""
        home = home_address.packed
        self.net.touch(coa.packed)
        self.net.touch_home(home)
        self.bindings[home] = coa.packed
        self.sources.setdefault(home, {})[coa.packed] = None
        self.net.bound(home)

    def accept_from(self, home_address: IPv6Address, coa: IPv6Address) -> None:
        """Packets of the home address are accepted from coa too."""
        self.net.touch_home(home_address.packed)
        self.sources.setdefault(home_address.packed, {})[coa.packed] = None

    def refuse_from(self, home_address: IPv6Address, coa: IPv6Address) -> None:
        """No more."""
        self.net.touch_home(home_address.packed)
        if coa.packed not in self.sources.get(home_address.packed, {}):
            self.net.broken(f"the home agent refuses {coa}, which it does not accept")
            return
        del self.sources[home_address.packed][coa.packed]

    def remove_binding(self, home_address: IPv6Address) -> None:
        """The home address is not served any more."""
        self.net.touch_home(home_address.packed)
        self.bindings.pop(home_address.packed, None)
        self.sources.pop(home_address.packed, None)
