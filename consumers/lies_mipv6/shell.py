"""The consumer: one role of Mobile IPv6 on this host."""

import asyncio
import logging
import secrets
from contextlib import ExitStack, closing
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, assert_never

from lies.capabilities import Capability
from lies.consumer import BusClient, Consumer
from lies.errors import ConfigError, LiesError
from lies.events import CareOfAddressChanged, Indication, Raw
from lies.kernel.netlink import Netlink
from lies.kernel.packet_filter import Wanted
from lies.kernel.signalling import Signalling
from lies.link_policy import LinkPolicy
from lies.packet import OtherProtocol
from lies.policies import make_link_policy
from lies.runtime import Runtime
from lies_mipv6 import actions as a
from lies_mipv6.codec import MH_BA, MH_BE, MH_BU, decode, encode
from lies_mipv6.config import OWNER, Config, Role
from lies_mipv6.home_agent import HomeAgent
from lies_mipv6.home_plane import HomePlane
from lies_mipv6.items import HomeAgentItem, MobileNodeItem, Received
from lies_mipv6.links import Move
from lies_mipv6.links_shell import LinksShell
from lies_mipv6.mobile_node import MobileNode
from lies_mipv6.mobile_plane import MobilePlane
from lies_mipv6.parameters import HomeAgentConfig, MobileNodeConfig

if TYPE_CHECKING:
    from lies.sim import Part

_log = logging.getLogger("lies.mipv6")
_SETTLE_S = 0.05


class MobileShell:
    """Runs lies_mipv6.mobile_node.MobileNode: care-of addresses in, Binding Updates out."""

    def __init__(self, config: Config, bus: BusClient, policy: LinkPolicy) -> None:
        if config.link is None or config.home_address is None or config.home_agent is None:
            raise ConfigError("a mobile node needs link, home_address and home_agent")
        self._bus = bus
        self._link = config.link
        with ExitStack() as undo:
            netlink = undo.enter_context(closing(Netlink()))
            self._plane = undo.enter_context(
                closing(
                    MobilePlane(
                        netlink,
                        link=config.link,
                        home_address=config.home_address,
                        mtu=config.mtu,
                        tunnels=config.tunnels,
                        others={other.link: other.router for other in config.others},
                    )
                )
            )
            self._signalling = undo.enter_context(
                closing(
                    Signalling(
                        netlink,
                        [config.link, *(other.link for other in config.others)],
                        self._on_packet,
                        addresses=None,
                        owner=OWNER,
                        wanted=Wanted(frozenset({MH_BA, MH_BE}), frozenset()),
                    )
                )
            )
            self._undo = undo.pop_all()
        engine_config = MobileNodeConfig(
            home_address=config.home_address,
            home_agent=config.home_agent,
            insecure=config.insecure,
            first_sequence=secrets.randbelow(1 << 16),
        )
        engine = MobileNode(engine_config, config.parameters)
        self._runtime: Runtime[MobileNodeItem, a.MobileNodeAction] = Runtime(engine, self._perform)
        self._timer: asyncio.TimerHandle | None = None  # until what waited in a hold has gone
        self._links = LinksShell(config, bus, policy, self._use_link) if config.others else None

    async def start(self) -> None:
        """Register for care-of addresses."""
        self._signalling.start()
        self._runtime.start()
        self._bus.on_event(self._on_event)
        await self._bus.register("report", "*")
        if self._links is not None:
            await self._links.start()

    async def stop(self) -> None:
        """Stop, and clear the kernel."""
        if self._links is not None:
            await self._links.stop()
        self._runtime.close()
        if self._timer is not None:
            self._timer.cancel()
        self._undo.close()  # in the reverse order; one that fails does not keep the others

    def _on_event(self, event: Indication | Raw) -> None:
        if self._links is not None:
            self._links.on_event(event)
        elif isinstance(event, CareOfAddressChanged) and event.header.link.name == self._link:
            self._runtime.feed(event)

    def _use_link(self, move: Move) -> None:
        self._plane.has_link(IPv6Address(move.moved.report.coa), move.link, own_way=move.found)
        self._runtime.feed(move.moved)

    def _on_packet(self, packet: bytes, _lla: bytes, _interface: str) -> None:
        try:
            got = decode(packet)
        except OtherProtocol:
            return
        self._runtime.feed(Received(got.message, got.source, got.destination))

    def _use_tunnel(self, home_agent: IPv6Address, coa: IPv6Address) -> None:
        self._plane.use_tunnel(home_agent, coa)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_SETTLE_S, self._settle)

    def _settle(self) -> None:
        self._timer = None
        try:
            self._plane.settle()
        except LiesError as error:
            _log.error("the way to the home agent: %s", error)

    def _perform(self, action: a.MobileNodeAction) -> None:
        try:
            match action:
                case a.SendMessage(message, source, destination):
                    self._signalling.send(encode(message, source, destination), destination)
                case a.AcceptCareOf(coa, home_agent):
                    self._plane.accept(coa, home_agent)
                case a.UseTunnel(_, home_agent, coa, _):
                    self._use_tunnel(home_agent, coa)
                case a.DropCareOf(coa):
                    self._plane.drop(coa)
                case a.Publish(report):
                    self._bus.publish(report)
                case _:
                    assert_never(action)
        except LiesError as error:
            _log.error("%s: %s", type(action).__name__, error)


class HomeShell:
    """Runs lies_mipv6.home_agent.HomeAgent on this host."""

    def __init__(self, config: Config) -> None:
        if config.address is None or config.home_prefix is None or config.backbone is None:
            raise ConfigError("a home agent needs address, home_prefix and backbone")
        with ExitStack() as undo:
            netlink = undo.enter_context(closing(Netlink()))
            self._plane = undo.enter_context(
                closing(
                    HomePlane(
                        netlink, backbone=config.backbone, address=config.address, tunnels=config.tunnels
                    )
                )
            )
            self._signalling = undo.enter_context(
                closing(
                    Signalling(
                        netlink,
                        [config.backbone],
                        self._on_packet,
                        addresses=[config.address],
                        owner=OWNER,
                        wanted=Wanted(frozenset({MH_BU}), frozenset(), frozenset({config.address})),
                    )
                )
            )
            self._undo = undo.pop_all()
        engine_config = HomeAgentConfig(
            address=config.address,
            home_prefix=config.home_prefix,
            grace_s=config.grace_s,
            insecure=config.insecure,
        )
        engine = HomeAgent(engine_config, config.parameters)
        self._runtime: Runtime[HomeAgentItem, a.HomeAgentAction] = Runtime(engine, self._perform)

    async def start(self) -> None:
        """Begin to serve."""
        self._signalling.start()
        self._runtime.start()

    async def stop(self) -> None:
        """Stop, and clear the kernel."""
        self._runtime.close()
        self._undo.close()  # in the reverse order; one that fails does not keep the others

    def _on_packet(self, packet: bytes, _lla: bytes, _interface: str) -> None:
        try:
            got = decode(packet)
        except OtherProtocol:
            return
        self._runtime.feed(Received(got.message, got.source, got.destination))

    def _perform(self, action: a.HomeAgentAction) -> None:
        try:
            match action:
                case a.SendMessage(message, source, destination):
                    self._signalling.send(encode(message, source, destination), destination)
                case a.SetBinding(home_address, coa):
                    self._plane.set_binding(home_address, coa)
                case a.AcceptFrom(home_address, coa):
                    self._plane.accept_from(home_address, coa)
                case a.RefuseFrom(home_address, coa):
                    self._plane.refuse_from(home_address, coa)
                case a.RemoveBinding(home_address):
                    self._plane.remove_binding(home_address)
                case _:
                    assert_never(action)
        except LiesError as error:
            _log.error("%s: %s", type(action).__name__, error)


class Mipv6(Consumer):
    """Mobile IPv6 (RFC 6275) as a consumer of care-of addresses; fed by reports and packets."""

    Config = Config
    capabilities = frozenset({Capability.NET_ADMIN, Capability.NET_RAW})  # routes, tunnels; mobility headers

    def __init__(self, name: str, config: Any, bus: BusClient) -> None:  # noqa: ANN401 - its own Config
        super().__init__(name, config, bus)
        self._shell: MobileShell | HomeShell | None = None
        self._policy = make_link_policy(config.policy, name=name)  # faults in it show at once

    @classmethod
    def simulation(cls) -> "Part":
        """The engines on the virtual network."""
        from lies_mipv6.simulation import MipPart  # noqa: PLC0415 - the daemon needs no simulation

        return MipPart()

    async def start(self) -> None:
        """Open sockets, take over the kernel's part, begin."""
        if self.config.role is Role.MOBILE_NODE:
            self._shell = MobileShell(self.config, self.bus, self._policy)
        else:
            self._shell = HomeShell(self.config)
        await self._shell.start()

    async def stop(self) -> None:
        """Stop, and clear what was set up in the kernel."""
        if self._shell is not None:
            shell, self._shell = self._shell, None
            await shell.stop()
