"""A mobile node, access routers and a home agent on one virtual clock, with a model of the data plane.

Engines are wired in memory. The network loses, repeats and reorders control messages as told; every action
of an engine changes the model, and packets of the correspondent and the mobile node are carried through it
hop by hop, so that a test can ask where a packet goes now. What is in the air on an access link when the
mobile node leaves it is lost.
"""

from collections import deque
from heapq import heappop, heappush
from ipaddress import IPv6Address, IPv6Network
from random import Random
from typing import Any

from attrs import define, field, frozen

from lies.events import (
    Condition,
    DownReason,
    Header,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoACondition,
    PoAListConfirm,
    Quality,
    Result,
    Technology,
)
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import ALL_NODES, ALL_ROUTERS, AccessRouterConfig, MobileNodeConfig, Neighbour
from lies_fmipv6.parameters import Parameters as FmipParameters
from lies_fmipv6.policy import LevelPolicy
from lies_mipv6 import actions as ma
from lies_mipv6 import items as mi
from lies_mipv6.home_agent import HomeAgent
from lies_mipv6.messages import Message as MipMessage
from lies_mipv6.mobile_node import MobileNode as MipMobileNode
from lies_mipv6.parameters import HomeAgentConfig
from lies_mipv6.parameters import MobileNodeConfig as MipMobileNodeConfig
from lies_mipv6.parameters import Parameters as MipParameters

HOME_PREFIX = IPv6Network("2001:db8:1000::/64")
HOME_AGENT, HOME_ADDRESS = HOME_PREFIX[1], HOME_PREFIX[0x99]
CORRESPONDENT = IPv6Address("2001:db8:2000::2")
LINK = Link("wlan0", Technology.WIFI)
MN_LLA = bytes.fromhex("020000009900")
INTERFACE_ID = 0x99
WALL_NS = 1_700_000_000_000_000_000
MAX_NESTING = 12


def prefix_of(n: int) -> IPv6Network:
    """The access prefix of router n, counted from 1."""
    return IPv6Network(f"2001:db8:{n:x}::/64")


def poa_of(n: int) -> str:
    """The access point of router n."""
    return f"02:00:00:00:01:{n:02x}"


def coa_of(n: int) -> IPv6Address:
    """The mobile node's care-of address behind router n."""
    return prefix_of(n)[INTERFACE_ID]


@frozen
class Data:
    """One packet's worth of data."""

    number: int
    up: bool


@frozen
class Packet:
    """An IPv6 packet: a message, data, or another packet inside."""

    source: IPv6Address
    destination: IPv6Address
    payload: Any


@frozen
class Faults:
    """What happens to control messages; probabilities. delay_s is added to reordered and repeated ones."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_s: float = 0.05


@define(eq=False)
class Runner:
    """One engine on the virtual clock: items in, actions performed, one timer."""

    net: "Net"
    engine: Any
    perform: Any
    armed: float | None = None
    log: list[tuple[float, Any]] = field(factory=list)

    def feed(self, item: Any) -> None:
        """Give the engine an item."""
        self._do(self.engine.receive(item, self.net.now))

    def _do(self, actions: list[Any]) -> None:
        for action in actions:
            self.log.append((self.net.now, action))
            self.perform(action)
        self._arm()

    def _arm(self) -> None:
        due = self.engine.next_timeout()
        if due is not None and (self.armed is None or due < self.armed or self.armed < self.net.now):
            self.armed = due
            self.net.at(due, lambda: self._timeout(due))

    def _timeout(self, due: float) -> None:
        if self.armed == due:
            self.armed = None
            wanted = self.engine.next_timeout()
            if wanted is not None and wanted <= self.net.now:
                self._do(self.engine.handle_timeout(self.net.now))
            else:
                self._arm()


@define(eq=False)
class RouterNode:
    """An access router: tunnels of PCoAs, addresses whose packets wait, and the access link."""

    net: "Net"
    number: int
    config: AccessRouterConfig
    runner: Runner = field(init=False)
    tunnels: dict[IPv6Address, IPv6Address] = field(factory=dict)
    waiting: dict[IPv6Address, list[Packet]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.runner = Runner(self.net, AccessRouter(self.config, self.net.parameters), self.perform)

    @property
    def engine(self) -> AccessRouter:
        """The engine."""
        engine = self.runner.engine
        assert isinstance(engine, AccessRouter)
        return engine

    def receive(self, packet: Packet, *, on_link: bool) -> None:
        """A packet reaches the router."""
        own = {self.config.address, self.config.link_local, ALL_ROUTERS, ALL_NODES}
        if packet.destination not in own:
            if on_link and packet.source not in self.config.prefix:
                self.net.lose(packet, "ingress filter")
            else:
                self.route(packet)
        elif isinstance(packet.payload, Packet):
            inner = packet.payload
            if self.tunnels.get(inner.source) == packet.source:  # F35
                self.route(inner)
            else:
                self.net.lose(packet, "reverse tunnel without a binding")
        else:
            lla = MN_LLA if on_link else None
            self.runner.feed(fi.Received(packet.payload, packet.source, packet.destination, lla))

    def route(self, packet: Packet) -> None:
        """Send a packet on its way."""
        to = packet.destination
        if to in self.waiting:
            self.waiting[to].append(packet)
        elif to in self.tunnels:
            self.net.backbone(self, Packet(self.config.address, self.tunnels[to], packet))
        elif to in self.config.prefix or to.is_link_local or to.is_multicast:
            self.net.to_mobile(self, packet)
        else:
            self.net.backbone(self, packet)

    def perform(self, action: fa.AccessRouterAction) -> None:
        """Change the model as the action says."""
        match action:
            case fa.SendMessage(message, source, destination, link_layer):
                packet = Packet(source, destination, message)
                if link_layer is not None:
                    self.net.to_mobile(self, packet)
                else:
                    self.route(packet)
            case fa.AddTunnel(pcoa, endpoint, _):
                self.tunnels[pcoa] = endpoint
            case fa.RemoveTunnel(pcoa, endpoint):
                assert self.tunnels.pop(pcoa) == endpoint
            case fa.ExpectNode(ncoa, mn_lla, _):
                assert mn_lla == MN_LLA
                assert ncoa not in self.waiting
                self.waiting[ncoa] = []
            case fa.AdmitNode(ncoa, mn_lla):
                assert mn_lla == MN_LLA
                for packet in self.waiting.pop(ncoa, []):
                    self.route(packet)
            case fa.ForgetNode(ncoa):
                for packet in self.waiting.pop(ncoa):
                    self.net.lose(packet, "the node did not come")


@define(eq=False)
class HomeNode:
    """The home agent, and the correspondent beside it."""

    net: "Net"
    grace_s: float
    runner: Runner = field(init=False)
    bindings: dict[IPv6Address, IPv6Address] = field(factory=dict)
    sources: set[IPv6Address] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        config = HomeAgentConfig(HOME_AGENT, HOME_PREFIX, grace_s=self.grace_s, insecure=True)
        self.runner = Runner(self.net, HomeAgent(config), self.perform)

    def receive(self, packet: Packet) -> None:
        """A packet reaches the home agent."""
        if not isinstance(packet.payload, Packet):
            self.runner.feed(mi.Received(packet.payload, packet.source, packet.destination))
        elif packet.source in self.sources:
            self.net.arrived(packet.payload)
        else:
            self.net.lose(packet, "RFC 6275 10.4.5")

    def down(self, packet: Packet) -> None:
        """A packet of the correspondent to the home address."""
        coa = self.bindings.get(packet.destination)
        if coa is None:
            self.net.lose(packet, "no binding")
        else:
            self.net.backbone(self, Packet(HOME_AGENT, coa, packet))

    def perform(self, action: ma.HomeAgentAction) -> None:
        """Change the model as the action says."""
        match action:
            case ma.SendMessage(message, source, destination):
                self.net.backbone(self, Packet(source, destination, message))
            case ma.SetBinding(home_address, coa):
                self.bindings[home_address] = coa
                self.sources.add(coa)
            case ma.AcceptFrom(_, coa):
                self.sources.add(coa)
            case ma.RefuseFrom(_, coa):
                assert coa in self.sources
                self.sources.remove(coa)
            case ma.RemoveBinding(home_address):
                del self.bindings[home_address]
                self.sources.clear()


@define(eq=False)
class MobileHost:
    """The mobile node: two engines, addresses, tunnels, and a hold."""

    net: "Net"
    config: MobileNodeConfig
    policy: LevelPolicy
    fmip: Runner = field(init=False)
    mip: Runner = field(init=False)
    addresses: set[IPv6Address] = field(factory=set)
    reverse: dict[IPv6Address, tuple[IPv6Address, IPv6Address]] = field(factory=dict)
    accepted: set[tuple[IPv6Address, IPv6Address]] = field(factory=set)  # (outer destination, outer source)
    held: dict[IPv6Address, deque[Packet]] = field(factory=dict)
    uplink: IPv6Address | None = None
    reports: list[Any] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        engine = MobileNode(self.config, self.net.parameters, self.policy)
        self.fmip = Runner(self.net, engine, self.perform)
        mip = MipMobileNodeConfig(HOME_ADDRESS, HOME_AGENT, insecure=True)
        parameters = MipParameters(grace_s=self.net.parameters.grace_s)
        self.mip = Runner(self.net, MipMobileNode(mip, parameters), self.perform_mip)

    @property
    def engine(self) -> MobileNode:
        """The FMIPv6 engine."""
        engine = self.fmip.engine
        assert isinstance(engine, MobileNode)
        return engine

    def up(self, data: Data) -> None:
        """The application sends a packet to the correspondent."""
        packet = Packet(HOME_ADDRESS, CORRESPONDENT, data)
        if self.uplink is None:
            self.net.lose(packet, "no tunnel to the home agent")
        else:
            self.send(Packet(self.uplink, HOME_AGENT, packet))

    def send(self, packet: Packet) -> None:
        """Send from one of the node's addresses: held, reverse-tunnelled, or straight out."""
        if packet.source in self.held:
            self.held[packet.source].append(packet)
        elif packet.source in self.reverse:
            ncoa, par = self.reverse[packet.source]
            self.send(Packet(ncoa, par, packet))
        else:
            self.net.from_mobile(packet)

    def receive(self, packet: Packet) -> None:
        """A packet reaches the mobile node."""
        to = packet.destination
        if to not in self.addresses and not to.is_link_local and not to.is_multicast:
            self.net.lose(packet, "not an address of the mobile node")
        elif isinstance(packet.payload, MipMessage):
            self.mip.feed(mi.Received(packet.payload, packet.source, to))
        elif not isinstance(packet.payload, Packet):
            self.fmip.feed(fi.Received(packet.payload, packet.source, to))
        elif (to, packet.source) not in self.accepted:
            self.net.lose(packet, "tunnelled from an unexpected router")
        elif packet.payload.destination == HOME_ADDRESS:
            self.net.arrived(packet.payload)
        else:
            self.receive(packet.payload)

    def release(self, pcoa: IPv6Address) -> None:
        """What was held goes."""
        for packet in self.held.pop(pcoa, ()):
            self.send(packet)

    def perform(self, action: fa.MobileNodeAction) -> None:
        """Change the model as the action says."""
        match action:
            case fa.SendMessage(message, source, destination, _):
                self.send(Packet(source, destination, message))
            case fa.RequestPoAList(_):
                self.net.radio.list_poas()
            case fa.RequestConnect(_, poa):
                self.net.radio.connect(poa)
            case fa.UseRouter(coa, _, _, _):
                self.addresses.add(coa)
            case fa.PrepareHandover(_, ncoa, par, _, _):
                self.addresses.add(ncoa)
            case fa.HoldUplink(pcoa):
                assert pcoa not in self.held
                self.held[pcoa] = deque()
            case fa.ReleaseUplink(pcoa):
                assert pcoa in self.held
                self.release(pcoa)
            case fa.CompleteHandover(pcoa, ncoa, par, _, _, tunnel):
                self.addresses.add(ncoa)
                self.accepted.add((ncoa, par))
                if tunnel:
                    self.reverse[pcoa] = (ncoa, par)
                    self.release(pcoa)
            case fa.EndTunnel(pcoa, ncoa, par, keep):
                self.reverse.pop(pcoa, None)
                self.accepted.discard((ncoa, par))
                for packet in self.held.pop(pcoa, ()):
                    self.net.lose(packet, "held too long")
                if not keep:
                    assert pcoa != self.engine.coa
                    self.addresses.discard(pcoa)
            case fa.AbandonHandover(_):
                pass  # an address that is not in use does no harm here
            case fa.Publish(report):
                self.reports.append(report)
                if hasattr(report, "tunnel_from"):
                    self.mip.feed(report)

    def perform_mip(self, action: ma.MobileNodeAction) -> None:
        """Change the model as the action says."""
        match action:
            case ma.SendMessage(message, source, destination):
                self.send(Packet(source, destination, message))
            case ma.AcceptCareOf(coa, home_agent):
                self.accepted.add((coa, home_agent))
            case ma.UseTunnel(_, _, coa, _):
                self.uplink = coa
            case ma.DropCareOf(coa):
                self.accepted.discard((coa, HOME_AGENT))
            case ma.Publish(report):
                self.reports.append(report)
                self.fmip.feed(report)


@define(eq=False)
class Radio:
    """The mobile node's link: where it is attached, what it hears, and what it indicates."""

    net: "Net"
    gap_s: float = 0.002
    poa: str | None = None
    qualities: dict[str, Quality] = field(factory=dict)
    silent: frozenset[type] = frozenset()  # indications that are not delivered
    refuses: frozenset[str] = frozenset()
    generation: int = 0

    def indicate(self, cls: type, *args: Any) -> None:
        """Deliver an indication to the mobile node."""
        ns = round(self.net.now * 1e9)
        if cls not in self.silent:
            self.net.mobile.fmip.feed(cls(Header("radio", 1, 1, ns, ns + WALL_NS, LINK), *args))

    def list_poas(self) -> None:
        """Answer L2-PoAList, best first."""
        poas = [PoACondition(p, Condition(q, None)) for p, q in self.qualities.items()]
        poas.sort(key=lambda c: -c.condition.quality.rank)
        confirm = PoAListConfirm(1, Result.ACK, LINK, tuple(poas))
        self.net.after(0.001, lambda: self.net.mobile.fmip.feed(confirm))

    def connect(self, poa: str) -> None:
        """L2-LinkConnect: out of the old PoA, and a gap later into the new one."""
        if poa in self.refuses:
            refused = fi.ConnectRefused(poa, "no")
            self.net.after(0.001, lambda: self.net.mobile.fmip.feed(refused))
            return
        self.net.after(0.0005, lambda: self.move(poa, DownReason.REQUESTED))

    def move(self, poa: str, reason: DownReason = DownReason.SIGNAL_LOST) -> None:
        """Leave the PoA for another."""
        self.detach(reason)
        generation = self.generation
        self.net.after(self.gap_s, lambda: self.attach(poa) if generation == self.generation else None)

    def detach(self, reason: DownReason = DownReason.SIGNAL_LOST) -> None:
        """The link breaks."""
        poa, self.poa = self.poa, None
        self.generation += 1
        if poa is not None:
            self.indicate(LinkDown, poa, reason)

    def attach(self, poa: str) -> None:
        """Frames pass."""
        self.poa = poa
        self.generation += 1
        self.indicate(LinkUp, poa)

    def set_quality(self, poa: str, quality: Quality) -> None:
        """Change what is heard of a PoA, and indicate it if it is the present one."""
        before = self.qualities.get(poa, Quality.NONE)
        self.qualities[poa] = quality
        if poa == self.poa and quality is not before:
            self.indicate(LinkStatusChanged, poa, Condition(quality, None), Condition(before, None))

    def going_down(self) -> None:
        """Predict the end of the link."""
        self.indicate(LinkGoingDown, self.poa, 500.0, 0.9, DownReason.FADING)

    def cancel(self) -> None:
        """Withdraw the prediction."""
        self.indicate(LinkGoingDownCancelled, self.poa)


class Net:
    """Everything, on one clock that starts at 0.0."""

    def __init__(
        self,
        routers: int = 2,
        *,
        seed: int = 0,
        grace_s: float = 2.0,
        access_s: float = 0.0005,
        backbone_s: float = 0.001,
        home_s: float | None = None,
        faults: Faults = Faults(),  # noqa: B008 - frozen
        parameters: FmipParameters | None = None,
        policy: LevelPolicy | None = None,
        **config: Any,
    ) -> None:
        self.now = 0.0
        self.rng = Random(seed)
        self.faults = faults
        self.parameters = parameters or FmipParameters(grace_s=grace_s)
        self.access_s, self.backbone_s = access_s, backbone_s
        self.home_s = backbone_s if home_s is None else home_s
        self._heap: list[tuple[float, int, Any]] = []
        self._serial = 0
        self.lost: dict[str, list[Data]] = {}
        self.received: dict[Data, int] = {}
        self._numbers = 0
        neighbours = [
            Neighbour(prefix_of(n)[1], bytes((2, 0, 0, 0, 2, n)), prefix_of(n), (fi.access_point_id(poa_of(n)),))
            for n in range(1, routers + 1)
        ]
        self.routers = [
            RouterNode(
                self,
                n,
                AccessRouterConfig(
                    own.address,
                    IPv6Address(f"fe80::2:{n:x}"),
                    own.lla,
                    own.prefix,
                    own.access_points,
                    tuple(o for o in neighbours if o is not own),
                    insecure=True,
                ),
            )
            for n, own in enumerate(neighbours, 1)
        ]
        self.home = HomeNode(self, grace_s)
        self.radio = Radio(self)
        config = {"insecure": True, **config}
        self.mobile = MobileHost(
            self, MobileNodeConfig("wlan0", MN_LLA, INTERFACE_ID, **config), policy or LevelPolicy()
        )
        self.radio.qualities = dict.fromkeys((poa_of(n) for n in range(1, routers + 1)), Quality.FAIR)

    # clock

    def at(self, when: float, what: Any) -> None:
        """Do something at a time."""
        self._serial += 1
        heappush(self._heap, (max(when, self.now), self._serial, what))

    def after(self, delay_s: float, what: Any) -> None:
        """Do something later."""
        self.at(self.now + delay_s, what)

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end = self.now + duration_s
        while self._heap and self._heap[0][0] <= end:
            self.now, _, what = heappop(self._heap)
            what()
        self.now = end

    # links

    def router_at(self, poa: str | None) -> RouterNode | None:
        """The router behind a PoA."""
        return next((r for r in self.routers if poa_of(r.number) == poa), None)

    def backbone(self, sender: RouterNode | HomeNode, packet: Packet) -> None:
        """Carry a packet over the backbone."""
        nesting, inner = 0, packet
        while isinstance(inner.payload, Packet):
            nesting, inner = nesting + 1, inner.payload
        assert nesting < MAX_NESTING, "a tunnel loop"
        to = packet.destination
        router = next((r for r in self.routers if to in r.config.prefix), None)
        home = isinstance(sender, HomeNode) or router is None
        delay_s = self.home_s if home else self.backbone_s
        if router is not None:
            self._carry(packet, delay_s, lambda: router.receive(packet, on_link=False))
        elif to == HOME_AGENT:
            self._carry(packet, delay_s, lambda: self.home.receive(packet))
        else:
            self.lose(packet, "no route")

    def to_mobile(self, router: RouterNode, packet: Packet) -> None:
        """Carry a packet over an access link to the mobile node, if it is and stays there."""
        if self.router_at(self.radio.poa) is not router:
            self.lose(packet, "the mobile node is not there")
            return
        generation = self.radio.generation

        def deliver() -> None:
            if generation == self.radio.generation:
                self.mobile.receive(packet)
            else:
                self.lose(packet, "in the air")

        self._carry(packet, self.access_s, deliver)

    def from_mobile(self, packet: Packet) -> None:
        """Carry a packet over the access link to the router."""
        router = self.router_at(self.radio.poa)
        if router is None:
            self.lose(packet, "no link")
            return
        generation = self.radio.generation

        def deliver() -> None:
            if generation == self.radio.generation:
                router.receive(packet, on_link=True)
            else:
                self.lose(packet, "in the air")

        self._carry(packet, self.access_s, deliver)

    def _carry(self, packet: Packet, delay_s: float, deliver: Any) -> None:
        inner = packet
        while isinstance(inner.payload, Packet):
            inner = inner.payload
        faults = self.faults if not isinstance(inner.payload, Data) else Faults()
        if self.rng.random() < faults.loss:
            self.lose(packet, "fault")
            return
        if self.rng.random() < faults.duplicate:
            self.after(delay_s + self.rng.random() * faults.delay_s, deliver)
        if self.rng.random() < faults.reorder:
            delay_s += self.rng.random() * faults.delay_s
        self.after(delay_s, deliver)

    # data

    def send(self, *, up: bool) -> Data:
        """One packet of data, from the mobile node (up) or to it."""
        self._numbers += 1
        data = Data(self._numbers, up)
        if up:
            self.mobile.up(data)
        else:
            self.home.down(Packet(CORRESPONDENT, HOME_ADDRESS, data))
        return data

    def stream(self, duration_s: float, interval_s: float = 0.002) -> list[Data]:
        """Let time pass with data flowing both ways."""
        sent: list[Data] = []
        end = self.now + duration_s
        while self.now < end - interval_s / 2:
            sent += [self.send(up=True), self.send(up=False)]
            self.run(interval_s)
        return sent

    def arrived(self, packet: Packet) -> None:
        """Data reached its end."""
        self.received[packet.payload] = self.received.get(packet.payload, 0) + 1

    def lose(self, packet: Packet, cause: str) -> None:
        """Count a lost packet of data."""
        inner = packet
        while isinstance(inner.payload, Packet):
            inner = inner.payload
        if isinstance(inner.payload, Data):
            self.lost.setdefault(cause, []).append(inner.payload)

    def connected(self) -> bool:
        """Whether a packet each way arrives now (needs up to a second of time)."""
        sent = [self.send(up=True), self.send(up=False)]
        self.run(1.0)
        return all(self.received.get(d) for d in sent)

    # scenes

    def start(self, n: int = 1) -> None:
        """First attachment, at router n, and a home registration."""
        self.radio.set_quality(poa_of(n), Quality.EXCELLENT)
        self.radio.attach(poa_of(n))
        self.run(2.0)

    def fade(self, old: int, new: int) -> None:
        """Router `new` is heard well, and the link to `old` is predicted to break."""
        self.radio.set_quality(poa_of(new), Quality.GOOD)
        self.radio.set_quality(poa_of(old), Quality.BAD)
        self.radio.going_down()

    def done(self) -> list[Any]:
        """The HandoverDone reports so far."""
        return [r for r in self.mobile.reports if hasattr(r, "mode")]
