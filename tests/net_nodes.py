"""The nodes of tests/net.py: an engine each, and a model of the data plane that its actions change."""

from collections import deque
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen
from net_runner import Runner, opened, sealed

from lies.events import (
    CareOfAddressChanged,
    Link,
    Technology,
)
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.messages import FastBindingUpdate
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import ALL_NODES, ALL_ROUTERS, AccessRouterConfig, MobileNodeConfig
from lies_fmipv6.policy import Policy
from lies_mipv6 import actions as ma
from lies_mipv6 import items as mi
from lies_mipv6.home_agent import HomeAgent
from lies_mipv6.messages import Message as MipMessage
from lies_mipv6.mobile_node import MobileNode as MipMobileNode
from lies_mipv6.parameters import HomeAgentConfig
from lies_mipv6.parameters import MobileNodeConfig as MipMobileNodeConfig
from lies_mipv6.parameters import Parameters as MipParameters

if TYPE_CHECKING:
    from net import Net

HOME_PREFIX = IPv6Network("2001:db8:1000::/64")
HOME_AGENT, HOME_ADDRESS = HOME_PREFIX[1], HOME_PREFIX[0x99]
CORRESPONDENT = IPv6Address("2001:db8:2000::2")
LINK = Link("wlan0", Technology.WIFI)
MN_LLA = bytes.fromhex("020000009900")
INTERFACE_ID = 0xFFFE009900  # the modified EUI-64 of that address
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
class RouterNode:
    """An access router: tunnels of PCoAs, addresses whose packets wait, host routes, and the access link."""

    net: "Net"
    number: int
    config: AccessRouterConfig
    runner: Runner = field(init=False)
    tunnels: dict[IPv6Address, IPv6Address] = field(factory=dict)
    waiting: dict[IPv6Address, list[Packet]] = field(factory=dict)
    held: set[IPv6Address] = field(factory=set)  # of those waiting, the ones whose node has left
    host_routes: dict[IPv6Address, IPv6Address] = field(factory=dict)  # pcoa -> par

    def __attrs_post_init__(self) -> None:
        self.runner = Runner(self.net, AccessRouter(self.config, self.net.parameters), self.perform)

    @property
    def engine(self) -> AccessRouter:
        """The engine."""
        engine = self.runner.engine
        assert isinstance(engine, AccessRouter)
        return engine

    def receive(self, packet: Packet, *, on_link: bool, lla: bytes = MN_LLA) -> None:
        """A packet reaches the router; lla: of the mobile node's interface on its link."""
        own = {self.config.address, self.config.link_local, ALL_ROUTERS, ALL_NODES}
        if packet.destination not in own:
            if on_link and packet.source in self.host_routes:
                par = self.host_routes[packet.source]
                self.net.backbone(self, Packet(self.config.address, par, packet))
            elif on_link and packet.source not in self.config.prefix:
                self.net.lose(packet, "ingress filter")
            else:
                self.route(packet)
        elif isinstance(packet.payload, Packet):
            inner = packet.payload
            if self.host_routes.get(inner.destination) == packet.source:
                self.route(inner)
            elif self.tunnels.get(inner.source) == packet.source:  # F35
                own_message = inner.destination == self.config.address
                self.receive(inner, on_link=False) if own_message else self.route(inner)
            else:
                self.net.lose(packet, "reverse tunnel without a binding")
        else:
            message, authentic = opened(packet.payload, self.engine.key_for)
            ends = packet.source, packet.destination
            self.runner.feed(fi.Received(message, *ends, lla if on_link else None, authentic))

    def route(self, packet: Packet) -> None:
        """Send a packet on its way."""
        to = packet.destination
        if to in self.waiting:
            self.waiting[to].append(packet)
        elif to in self.tunnels:
            self.net.backbone(self, Packet(self.config.address, self.tunnels[to], packet))
        elif to in self.config.prefix or to in self.host_routes or to.is_link_local or to.is_multicast:
            self.net.to_mobile(self, packet)
        else:
            self.net.backbone(self, packet)

    def _let_go(self, address: IPv6Address) -> None:
        self.held.discard(address)
        for packet in self.waiting.pop(address, []):
            self.route(packet)

    def perform(self, action: fa.AccessRouterAction) -> None:
        """Change the model as the action says."""
        match action:
            case fa.SendMessage(message, source, destination, link_layer, pcoa):
                key = self.engine.key_for(pcoa) if pcoa is not None else None
                packet = Packet(source, destination, sealed(message, source, destination, key))
                if link_layer is not None:
                    self.net.to_mobile(self, packet)
                else:
                    self.route(packet)
            case fa.AddTunnel(pcoa, endpoint, _):
                self.tunnels[pcoa] = endpoint
                self._let_go(pcoa)
            case fa.RemoveTunnel(pcoa, endpoint):
                assert self.tunnels.pop(pcoa) == endpoint
            case fa.AddHostRoute(pcoa, par):
                self.host_routes[pcoa] = par
            case fa.RemoveHostRoute(pcoa, par):
                assert self.host_routes.pop(pcoa) == par
            case _:
                self._buffer(action)

    def _buffer(self, action: fa.AccessRouterAction) -> None:
        match action:
            case fa.HoldNode(pcoa):
                self.held.add(pcoa)
                self.waiting.setdefault(pcoa, [])
            case fa.ReleaseNode(pcoa):
                self._let_go(pcoa)
            case fa.ExpectNode(ncoa, mn_lla, _):
                assert mn_lla in self.net.llas
                assert ncoa in self.held or ncoa not in self.waiting
                self.held.discard(ncoa)
                self.waiting.setdefault(ncoa, [])
            case fa.DefendNode(ncoa, mn_lla):
                assert mn_lla in self.net.llas
                assert ncoa in self.waiting, "an address is defended that nothing waits for"
            case fa.AdmitNode(ncoa, mn_lla):
                assert mn_lla in self.net.llas
                self._let_go(ncoa)
            case fa.ForgetNode(ncoa):
                self.held.discard(ncoa)
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
    policy: Policy
    fmip: Runner = field(init=False)
    mip: Runner = field(init=False)
    addresses: set[IPv6Address] = field(factory=set)
    reverse: dict[IPv6Address, tuple[IPv6Address, IPv6Address]] = field(factory=dict)
    accepted: set[tuple[IPv6Address, IPv6Address]] = field(factory=set)  # (outer destination, outer source)
    held: dict[IPv6Address, deque[Packet]] = field(factory=dict)
    prepared: dict[IPv6Address, bool] = field(factory=dict)  # ncoa -> it was an address before
    uplink: IPv6Address | None = None
    reports: list[Any] = field(factory=list)
    wants_address: bool = False

    def __attrs_post_init__(self) -> None:
        self.fmip = Runner(self.net, self.make_engine(), self.perform)
        mip = MipMobileNodeConfig(HOME_ADDRESS, HOME_AGENT, insecure=True)
        parameters = MipParameters(grace_s=self.net.parameters.grace_s)
        self.mip = Runner(self.net, MipMobileNode(mip, parameters), self.perform_mip)

    def make_engine(self) -> MobileNode:
        """A new FMIPv6 engine."""
        return MobileNode(self.config, self.net.parameters, self.policy)

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

    def receive(self, packet: Packet, interface: str = "") -> None:
        """A packet reaches the mobile node."""
        to = packet.destination
        if to not in self.addresses and not to.is_link_local and not to.is_multicast:
            self.net.lose(packet, "not an address of the mobile node")
        elif isinstance(packet.payload, MipMessage):
            self.mip.feed(mi.Received(packet.payload, packet.source, to))
        elif not isinstance(packet.payload, Packet):
            message, authentic = opened(packet.payload, self.config.keys.get)
            self.fmip.feed(fi.Received(message, packet.source, to, None, authentic, interface))
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
            case fa.SendMessage(message, source, destination):
                key = self.config.keys.get(destination)
                with_badf = isinstance(message, FastBindingUpdate)
                payload = sealed(message, source, destination, key if with_badf else None)
                self.send(Packet(source, destination, payload))
            case fa.RequestPoAList(_):
                self.net.radio.list_poas()
            case fa.DropAddress(coa):
                assert coa != self.engine.coa
                self.addresses.discard(coa)
            case fa.ConfigureAddress():
                self.wants_address = True
            case fa.ExpectLinkUp():
                pass  # a LinkUp is answered soon enough here
            case fa.RequestConnect(_, poa):
                self.net.radio.connect(poa)
            case fa.Publish(report):
                self.reports.append(report)
                if isinstance(report, CareOfAddressChanged):
                    self.moved(report)
            case _:
                self.change(action)

    def moved(self, report: CareOfAddressChanged) -> None:
        """FMIPv6 has another care-of address."""
        self.mip.feed(report)

    def change(self, action: Any) -> None:
        """Change addresses, tunnels and the hold."""
        match action:
            case fa.UseRouter(coa, _, _, _):
                self.addresses.add(coa)
            case fa.PrepareHandover(_, ncoa, _, _, _):
                assert ncoa not in self.prepared
                self.prepared[ncoa] = ncoa in self.addresses
                self.addresses.add(ncoa)
            case fa.AbandonHandover(ncoa):
                if not self.prepared.pop(ncoa):
                    self.addresses.discard(ncoa)
            case fa.HoldUplink(pcoa):
                assert pcoa not in self.held
                self.held[pcoa] = deque()
            case fa.ReleaseUplink(pcoa):
                assert pcoa in self.held
                self.release(pcoa)
            case fa.CompleteHandover(pcoa, ncoa, par, _, _, tunnel):
                self.prepared.pop(ncoa, None)
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
