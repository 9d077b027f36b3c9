"""FMIPv6 on the virtual network of `lies sim`: what the shells and planes are on a real host."""

from collections.abc import Mapping
from functools import partial
from ipaddress import IPv6Address
from typing import Any, assert_never

from attrs import evolve

from lies.events import CareOfAddressChanged, HandoverDone, Indication, LinkActionFailed, PacketsBuffered
from lies.links import Raise
from lies.sim import HomeHost, MobileHost, RouterHost, Seat, kind_of
from lies_fmipv6 import actions as a
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.items import (
    AccessRouterItem,
    ConnectRefused,
    MobileNodeItem,
    OrderHandover,
    Received,
    access_point_id,
)
from lies_fmipv6.link_layer import check_addresses
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import AccessRouterConfig, MobileNodeConfig, Mode, Neighbour
from lies_fmipv6.states import MobileNodeState

_OWN = (LinkActionFailed, CareOfAddressChanged, HandoverDone, PacketsBuffered)
_MAX_NODES = 1 << 20  # a simulation is as large as its user says


class FmipPart:
    """The mobile nodes' and the access routers' part; mobile, router: changes of their configurations."""

    def __init__(
        self, *, mobile: Mapping[str, Any] | None = None, router: Mapping[str, Any] | None = None
    ) -> None:
        self._mobile = dict(mobile or {})
        self._router = dict(router or {})

    def on_mobile(self, host: MobileHost) -> "MobileProgram":
        """The engine of a mobile node."""
        return MobileProgram(host, self._mobile)

    def on_router(self, host: RouterHost) -> "RouterProgram":
        """The engine of an access router."""
        return RouterProgram(host, self._router)

    def on_home(self, host: HomeHost) -> None:
        """FMIPv6 has nothing to do there."""


class MobileProgram:
    """lies_fmipv6.mobile_node.MobileNode on a simulated host."""

    __slots__ = (
        "_host",
        "_new",
        "_seat",
        "engine",
    )

    def __init__(self, host: MobileHost, changes: Mapping[str, Any] | None = None) -> None:
        f = host.facts
        config = MobileNodeConfig(f.link, f.lla, f.interface_id, mode=Mode(f.mode), insecure=True)
        self.engine = MobileNode(evolve(config, **(changes or {})))
        self._host = host
        self._new: dict[bytes, bool] = {}  # a prepared NCoA -> it was no address before
        self._seat: Seat[MobileNodeItem, a.MobileNodeAction] = Seat(
            host.net.clock, self.engine, self._perform
        )

    def event(self, event: Indication) -> None:
        """Link events and binding updates are for the engine; the other reports are its own."""
        if not isinstance(event, _OWN):
            self._seat.feed(event)

    def packet(self, packet: bytes, link_layer: bytes | None) -> None:
        """A packet."""
        message, source, destination, _, authenticated, _ = decode(packet)
        check_addresses(message)
        self._seat.feed(Received(message, source, destination, link_layer, authenticated))

    def leftovers(self) -> list[str]:
        """Tunnels, preparations, and a state that is on the way to another."""
        found = [f"{self.engine.tunnels} tunnels in the engine"] if self.engine.tunnels else []
        if self._new:
            found.append("a handover is prepared")
        if self.engine.state is not MobileNodeState.ATTACHED:
            found.append(f"the engine is {self.engine.state}")
        return found

    def close(self) -> None:
        """Do nothing any more."""
        self._seat.close()

    # Each case names its attributes itself: a class pattern that binds them takes six times as long.

    def _perform(self, action: a.MobileNodeAction) -> None:
        host = self._host
        match action:
            case a.SendMessage():
                message = action.message
                host.send(encode(message, action.source, action.destination), kind_of(message))
            case a.RequestPoAList():
                host.list_poas(self._seat.feed)
            case a.Publish():
                host.publish(action.report)
            case a.RequestConnect():
                host.connect(action.poa, partial(self._refused, action.poa))
            case a.ExpectLinkUp() | a.ConfigureAddress() | Raise():
                pass  # nothing is quicker on a virtual clock if it is prepared; one link, without DHCP
            case _:
                self._change(action)

    def _refused(self, poa: str, reason: str) -> None:
        self._seat.feed(ConnectRefused(poa, reason))

    def _change(self, action: a.KernelAction) -> None:
        host = self._host
        match action:
            case a.PrepareHandover():
                self._prepare(action.ncoa)
            case a.HoldUplink():
                host.hold(action.pcoa)
            case a.CompleteHandover():
                self._complete(action)
            case a.EndTunnel():
                self._end(action)
            case a.UseRouter():
                host.add_address(action.coa)
            case a.AbandonHandover():
                self._abandon(action.ncoa)
            case a.ReleaseUplink():
                host.release(action.pcoa)
            case a.DropAddress():
                host.remove_address(action.coa)
            case a.UseLink():
                pass  # there is one
            case _:
                assert_never(action)

    def _prepare(self, ncoa: IPv6Address) -> None:
        host = self._host
        if ncoa.packed in self._new:
            host.net.broken(f"node {host.facts.number} prepares {ncoa} twice")
        self._new[ncoa.packed] = host.add_address(ncoa)

    def _abandon(self, ncoa: IPv6Address) -> None:
        if self._new.pop(ncoa.packed, False):
            self._host.remove_address(ncoa)

    def _complete(self, action: a.CompleteHandover) -> None:
        host = self._host
        self._new.pop(action.ncoa.packed, None)
        host.add_address(action.ncoa)
        host.accept_tunnel(action.ncoa, action.par)
        if action.tunnel:
            host.send_back(action.pcoa, action.ncoa, action.par)
            host.release(action.pcoa)

    def _end(self, action: a.EndTunnel) -> None:
        host = self._host
        host.send_straight(action.pcoa)
        host.refuse_tunnel(action.ncoa, action.par)
        host.drop_held(action.pcoa)
        if not action.keep_address:
            host.remove_address(action.pcoa)


class RouterProgram:
    """lies_fmipv6.access_router.AccessRouter on a simulated host."""

    def __init__(self, host: RouterHost, changes: Mapping[str, Any] | None = None) -> None:
        f = host.facts
        config = AccessRouterConfig(
            f.address,
            f.link_local,
            f.lla,
            f.prefix,
            (access_point_id(f.poa),),
            tuple(Neighbour(n.address, n.lla, n.prefix, (access_point_id(n.poa),)) for n in host.neighbours),
            insecure=True,
            first_sequence=host.net.draw(1 << 16),
            max_bindings=_MAX_NODES,
            max_expected=_MAX_NODES,
            max_expected_per_neighbour=_MAX_NODES,
            max_known_nodes=_MAX_NODES,
        )
        self.engine = AccessRouter(evolve(config, **(changes or {})))
        self._host = host
        self._seat: Seat[AccessRouterItem, a.AccessRouterAction] = Seat(
            host.net.clock, self.engine, self._perform
        )
        self._seat.start()

    def event(self, event: Indication) -> None:
        """An access router has no link to hear of."""

    def order(self, node: IPv6Address, poa: str) -> None:
        """The network wants a node on the link to move (RFC 5568 section 3.3)."""
        self._seat.feed(OrderHandover(node, access_point_id(poa)))

    def packet(self, packet: bytes, link_layer: bytes | None) -> None:
        """A packet."""
        message, source, destination, _, authenticated, _ = decode(packet)
        check_addresses(message)
        self._seat.feed(Received(message, source, destination, link_layer, authenticated))

    def leftovers(self) -> list[str]:
        """Bindings, and nodes that are awaited."""
        found = [f"{self.engine.bindings} bindings in the engine"] if self.engine.bindings else []
        return found + ([f"{self.engine.expected} nodes are awaited"] if self.engine.expected else [])

    def close(self) -> None:
        """Do nothing any more."""
        self._seat.close()

    def _perform(self, action: a.AccessRouterAction) -> None:
        host = self._host
        match action:
            case a.SendMessage():
                message = action.message
                packet = encode(message, action.source, action.destination)
                host.send(packet, kind_of(message), link_layer=action.link_layer)
            case a.DefendNode():
                pass  # nobody else is on a virtual link who could answer
            case a.AddTunnel():
                host.add_tunnel(action.pcoa, action.endpoint)
            case a.RemoveTunnel():
                host.remove_tunnel(action.pcoa, action.endpoint)
            case a.ExpectNode():
                host.expect(action.ncoa)
            case a.AdmitNode():
                host.admit(action.ncoa, action.mn_lla)
            case a.ForgetNode():
                host.forget(action.ncoa)
            case a.HoldNode():
                host.hold(action.pcoa)
            case a.ReleaseNode():
                host.release(action.pcoa)
            case a.AddHostRoute():
                host.add_host_route(action.pcoa, action.par)
            case a.RemoveHostRoute():
                host.remove_host_route(action.pcoa, action.par)
            case _:
                assert_never(action)
