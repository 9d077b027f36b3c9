"""The virtual network: hosts, links between them, what links do to packets, and what is counted.

              correspondents -- home agent -- backbone -- routers 1..N
                                                            :
                                                     mobile nodes 1..M

Signalling is carried packet by packet, as octets, through the faults that are set. Data is carried by flows
(lies.sim.flow) and is lost only where a host loses it or a mobile node leaves the link that it is on.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, IPv6Network
from random import Random

from lies.packet import address_of, read_address
from lies.sim.clock import VirtualClock
from lies.sim.faults import Faults
from lies.sim.flow import Flow
from lies.sim.home import HomeHost
from lies.sim.mobile import MobileFacts, MobileHost
from lies.sim.packets import (
    CIRCLE,
    MAX_NESTING,
    Buffer,
    Data,
    Here,
    Hop,
    Host,
    Lost,
    Packet,
    Step,
    walk,
)
from lies.sim.program import Part
from lies.sim.router import RouterFacts, RouterHost
from lies.sim.tally import Tally

_HOME = IPv6Network("2001:db8:ffff::/64")
_CORRESPONDENT = IPv6Address("2001:db8:fffe::2").packed
_ACCESS = int(IPv6Address("2001:db8:1::"))
_FIRST_HOME_ADDRESS = 0x1000

Emit = Callable[[Data], Step]
Expected = Callable[[Here], bool]


def poa_of(number: int) -> str:
    """The access point of router `number`, which counts from 1."""
    return f"02:00:00:01:{number >> 8:02x}:{number & 0xFF:02x}"


def _nth(prefix: IPv6Network, number: int) -> IPv6Address:
    return address_of(prefix[number].packed)


def router_facts(number: int) -> RouterFacts:
    """The addresses of router `number`."""
    prefix = IPv6Network((_ACCESS + (number << 64), 64))
    lla = bytes((2, 0, 0, 2, number >> 8, number & 0xFF))
    link_local = read_address(f"fe80::2:{number:x}")
    return RouterFacts(number, _nth(prefix, 1), link_local, lla, prefix, poa_of(number))


def mobile_facts(number: int, mode: str) -> MobileFacts:
    """The addresses of mobile node `number`."""
    lla = bytes((2, 0, number >> 24 & 0xFF, number >> 16 & 0xFF, number >> 8 & 0xFF, number & 0xFF))
    eui64 = int.from_bytes(bytes((0, *lla[1:3], 0xFF, 0xFE, *lla[3:])), "big")
    return MobileFacts(
        number,
        "wlan0",
        lla,
        eui64,
        address_of(((0xFE80 << 112) | eui64).to_bytes(16, "big")),
        _nth(_HOME, _FIRST_HOME_ADDRESS + number),
        _nth(_HOME, 1),
        mode,
    )


class Network:
    """A network with a home agent and routers; mobile nodes come by `add_mobile`.

    beside: how many routers on each side a router has as neighbours. access_s, backbone_s: delays of a link,
    one way; buffer_packets: what waits for a node at most, per address; rng: of the faults.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        routers: int,
        *,
        rng: Random,
        beside: int = 2,
        access_s: float = 0.001,
        backbone_s: float = 0.002,
        home_s: float = 0.002,
        buffer_packets: int = 512,
        interval_s: float | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self._after = self.clock.after
        self._landing = self.land  # made once, not for each packet
        self.tally = Tally()
        self.faults = Faults()  # sets _quiet, too
        self.parts = tuple(parts)
        self.access_s = access_s
        self.buffer_packets = buffer_packets
        self._rng = rng
        self._backbone_s = backbone_s
        self._home_s = home_s
        self._interval_s = interval_s
        facts = [router_facts(n) for n in range(1, routers + 1)]
        self.routers = [RouterHost(self, f, _around(facts, n, beside)) for n, f in enumerate(facts)]
        self.home = HomeHost(self, _nth(_HOME, 1), _HOME)
        self.mobiles: list[MobileHost] = []
        self._by_poa: dict[str | None, RouterHost] = {r.facts.poa: r for r in self.routers}
        self._by_prefix = {r.facts.prefix.network_address.packed[:8]: r for r in self.routers}
        self._by_interface: dict[bytes, MobileHost] = {}
        self._by_address: dict[bytes, MobileHost] = {}  # addresses with other interface identifiers
        self._by_home: dict[bytes, MobileHost] = {}
        self._by_lla: dict[bytes, MobileHost] = {}
        for router in self.routers:
            router.start()
        for part in self.parts:
            program = part.on_home(self.home)
            if program is not None:
                self.home.crew.hire(program)

    def add_mobile(self, mode: str = "predictive") -> MobileHost:
        """One more mobile node; its radio is for the caller to set before time passes."""
        facts = mobile_facts(len(self.mobiles) + 1, mode)
        host = MobileHost(self, facts, _CORRESPONDENT)
        self.mobiles.append(host)
        self._by_interface[facts.interface_id.to_bytes(8, "big")] = host
        self._by_home[facts.home_address.packed] = host
        self._by_lla[facts.lla] = host
        for part in self.parts:
            program = part.on_mobile(host)
            if program is not None:
                host.crew.hire(program)
        return host

    @property
    def faults(self) -> Faults:
        """What links do to signalling from now on."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._quiet = faults.none

    # who is where

    def router_at(self, poa: str | None) -> RouterHost | None:
        """The router behind an access point."""
        return self._by_poa.get(poa)

    def node_of(self, lla: bytes) -> MobileHost | None:
        """The mobile node with a link-layer address."""
        return self._by_lla.get(lla)

    def resolve(self, router: RouterHost, address: bytes) -> bytes | None:
        """Neighbour discovery: the link-layer address of who has an address on a router's link."""
        host = self._by_interface.get(address[8:]) or self._by_address.get(address)
        if host is None or host.radio.poa != router.facts.poa:
            return None
        has = address in host.addresses or address == host.facts.link_local.packed
        return host.facts.lla if has else None

    def is_stray(self, host: Host, flow: Flow) -> bool:
        """Whether a host is a mobile node that a flow is not of."""
        return isinstance(host, MobileHost) and flow not in host.flows

    # changes

    def touch(self, address: bytes) -> None:
        """What is known of a care-of address is about to change."""
        if self._interval_s is None:  # there are no flows
            return
        host = self._by_interface.get(address[8:]) or self._by_address.get(address)
        if host is not None:
            host.touch()

    def owns(self, host: MobileHost, address: bytes) -> None:
        """A mobile node has an address from now on."""
        if self._by_interface.get(address[8:]) is not host:
            self._by_address[address] = host

    def touch_home(self, address: bytes) -> None:
        """What is known of a home address is about to change."""
        host = self._by_home.get(address)
        if host is not None:
            host.touch()

    def touch_all(self) -> None:
        """Something that all depend on is about to change."""
        for host in self.mobiles:
            host.touch()

    def bound(self, home: bytes) -> None:
        """A home address is bound, or its node has an uplink: data flows as soon as both are so."""
        host = self._by_home.get(home)
        if host is None or host.flows or host.uplink is None or self._interval_s is None:
            return
        if home in self.home.bindings:
            start = self.clock.now + self._interval_s * self._rng.random()
            host.flows = tuple(
                Flow(self, self._interval_s, start, emit, expected) for emit, expected in self._ends(host)
            )

    def reaches(self, host: MobileHost) -> bool:
        """Whether a packet of data each way would arrive now."""
        for emit, expected in self._ends(host):
            end = walk(emit(Data(None, -1)))[1]
            if not isinstance(end, Here) or not expected(end):
                return False
        return True

    def _ends(self, host: MobileHost) -> tuple[tuple[Emit, Expected], tuple[Emit, Expected]]:
        """To a mobile node and from it: the first step of a packet, and what is its right end."""
        home = host.facts.home_address.packed
        return (
            (
                lambda data: self.home.down(Packet(_CORRESPONDENT, home, data)),
                lambda here: here.host is host,
            ),
            (host.up, lambda here: here.host is self.home and here.packet.source == home),
        )

    def draw(self, below: int) -> int:
        """A number by chance."""
        return self._rng.randrange(below)

    # ways

    def backbone(self, sender: RouterHost | HomeHost, packet: Packet) -> Step:
        """From a router or the home agent to another."""
        if packet.nesting > MAX_NESTING:
            return Lost(packet, CIRCLE)
        router = self._by_prefix.get(packet.destination[:8])
        if router is None:
            return Hop(self.home, packet, self._home_s)
        return Hop(router, packet, self._home_s if isinstance(sender, HomeHost) else self._backbone_s)

    def fly(self, hop: Hop) -> None:
        """A packet goes over a link."""
        if self._quiet or isinstance(hop.packet.inmost, Data):
            self._after(hop.delay_s, self._landing, hop)
            return
        delays = self._faults.fate(self._rng)
        if not delays:
            self.tally.signalling_lost += 1
        for extra_s in delays:
            self._after(hop.delay_s + extra_s, self._landing, hop)

    def land(self, hop: Hop) -> None:
        """A packet is at the end of a link."""
        air, packet = hop.air, hop.packet
        if air is None:
            hop.host.arrive(packet, hop.sender).go(self)
            return
        if air.radio.generation != hop.generation:
            self.drop(packet, "in the air when the link broke")
            return
        step = hop.host.arrive(packet, hop.sender)
        if air is hop.host and not isinstance(step, Here):
            data = packet.inmost
            if isinstance(data, Data) and data.flow is not None and data.flow not in air.flows:
                data.flow.strayed()
        step.go(self)

    def drop(self, packet: Packet, cause: str) -> None:
        """A packet is lost."""
        data = packet.inmost
        if not isinstance(data, Data):
            self.tally.signalling_lost += 1
            if cause == CIRCLE:
                self.broken(f"signalling in {CIRCLE}")
        elif data.flow is not None:
            data.flow.gone(data.number)
            self.note_lost(cause, 1)

    def lose(self, buffer: Buffer, cause: str) -> None:
        """What waits is lost."""
        for packet in buffer.packets:
            self.drop(packet, cause)

    def note_lost(self, cause: str, packets: int) -> None:
        """Packets of data are lost."""
        self.tally.lost[cause] += packets
        if cause == CIRCLE:
            self.broken(f"{packets} packets of data in {CIRCLE}")

    def broken(self, what: str) -> None:
        """A program did what no sequence of actions may do."""
        self.tally.broken(self.clock.now, what)

    def count(self, kind: str, packet: bytes) -> None:
        """A message was sent."""
        counted = self.tally.signalling[kind]
        counted[0] += 1
        counted[1] += len(packet)


def _around(facts: list[RouterFacts], at: int, beside: int) -> tuple[RouterFacts, ...]:
    """The neighbours of a router on a ring."""
    numbers = {(at + step) % len(facts) for step in range(-beside, beside + 1)} - {at}
    return tuple(facts[n] for n in sorted(numbers))
