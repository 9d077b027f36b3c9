"""The access router's shell: packets into the engine, its actions onto wire and kernel."""

import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from ipaddress import IPv6Address
from typing import assert_never

from attrs import evolve

from lies.errors import ConfigError, LiesError
from lies.events import Header, Link, PacketsBuffered, Technology
from lies.kernel.esp import EspUnavailable, MobilitySocket, Protection
from lies.kernel.interfaces import index_of, link_local_addresses
from lies.kernel.netlink import Netlink
from lies.kernel.packet_filter import Wanted
from lies.kernel.signalling import Signalling
from lies.kernel.tunnels import link_address
from lies.packet import OtherProtocol, is_link_local
from lies.runtime import Runtime, monotonic_ns, wall_ns
from lies_fmipv6 import actions as a
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.config import Config, router
from lies_fmipv6.data_plane import RouterDataPlane
from lies_fmipv6.items import AccessRouterItem, Barred, OrderHandover, Received, access_point_id
from lies_fmipv6.link_layer import check_addresses, group_address
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.pacing import Tally
from lies_fmipv6.parameters import ALL_NODES
from lies_fmipv6.router_plane import RouterPlane
from lies_fmipv6.wire import ICMPV6_FMIPV6, ICMPV6_NA, ICMPV6_RS, MH_FBU, MH_HACK, MH_HI

_log = logging.getLogger("lies.fmipv6")
_MOBILITY = frozenset({MH_FBU, MH_HI, MH_HACK})
_AWAITED = (HandoverInitiate, HandoverAcknowledge, FastBindingAck)  # while a node is about to leave
_ICMPV6 = frozenset({ICMPV6_RS, ICMPV6_NA, ICMPV6_FMIPV6})


def link_local_of(interface: str) -> IPv6Address:
    """The link-local address of an interface of this namespace; ConfigError if it has none."""
    for address in link_local_addresses(interface):
        return address
    raise ConfigError(f"{interface} has no link-local address", key="access")


def _without_hop_limit(packet: bytes) -> bytes:
    return packet[:7] + packet[8:]


class RouterShell:
    """Runs lies_fmipv6.access_router.AccessRouter on this host."""

    def __init__(
        self, config: Config, secrets_: Mapping[str, bytes], publish: Callable[[PacketsBuffered], None]
    ) -> None:
        access, backbone = config.access or "", config.backbone or ""
        self._access = access
        self._publish = publish
        index_of(access)
        engine_config = router(
            config, link_local_of(access), link_address(access), secrets.randbelow(1 << 16), secrets_
        )
        with ExitStack() as undo:
            protected = self._protect(undo, config, secrets_)
            engine_config = evolve(
                engine_config,
                neighbours=tuple(
                    evolve(n, protected=n.address in protected) for n in engine_config.neighbours
                ),
            )
            netlink = undo.enter_context(closing(Netlink()))
            self._plane: RouterDataPlane = RouterPlane(
                netlink,
                access=access,
                backbone=backbone,
                address=engine_config.address,
                tunnels=config.tunnels,
                buffering=config.buffering,
                limits=config.limits,
                on_tally=self._on_tally,
            )
            undo.enter_context(closing(self._plane))
            self._signalling = Signalling(
                netlink,
                [access, backbone, self._plane.opened],
                self._on_packet,
                addresses=[engine_config.address],
                wanted=Wanted(
                    _MOBILITY, _ICMPV6, frozenset({engine_config.address, engine_config.link_local})
                ),
            )
            undo.enter_context(closing(self._signalling))
            self._mobility: MobilitySocket | None = None
            if protected:
                self._mobility = MobilitySocket(engine_config.address, protected, self._on_protected)
                undo.enter_context(closing(self._mobility))
            self._undo = undo.pop_all()
        self._protected = protected
        self._address = engine_config.address
        for neighbour in engine_config.neighbours:
            if neighbour.fast_handover and not engine_config.trusts(neighbour):
                _log.warning("no fast handover with %s: neither esp_key nor ike", neighbour.address)
        self._engine = AccessRouter(engine_config, config.parameters)
        self._runtime: Runtime[AccessRouterItem, a.AccessRouterAction] = Runtime(self._engine, self._perform)
        # the UNA of a node to come, as it will be -> what follows
        self._awaited: dict[bytes, a.AdmitNode] = {}
        # the HAck to come, but for its hop limit -> what is sent when the tunnel of the action stands
        self._expected: tuple[bytes, a.Foreseen, list[Callable[[], None]]] | None = None
        self._done: list[a.AccessRouterAction] = []  # before the engine asked for it

    async def start(self) -> None:
        """Begin to serve."""
        self._plane.start()
        self._signalling.start()
        if self._mobility is not None:
            self._mobility.start()
        self._runtime.start()

    async def stop(self) -> None:
        """Stop, and clear the kernel."""
        self._runtime.close()
        self._undo.close()  # in the reverse order; one that fails does not keep the others

    def order_handover(self, node: IPv6Address, poa: str, ncoa: IPv6Address | None = None) -> None:
        """Have a mobile node move (RFC 5568 section 3.3)."""
        self._runtime.feed(OrderHandover(node, access_point_id(poa), ncoa))

    def _protect(
        self, undo: ExitStack, config: Config, secrets_: Mapping[str, bytes]
    ) -> frozenset[IPv6Address]:
        """Set ESP up with the neighbours that it is configured for; the addresses of those that have it."""
        peers = {
            n.address: secrets_[n.esp_key] if n.esp_key is not None else None
            for n in config.neighbours
            if n.protected
        }
        if not peers or config.address is None:
            return frozenset()
        try:
            undo.enter_context(closing(Protection(config.address, peers)))
        except EspUnavailable as error:
            if not config.insecure:
                raise ConfigError(f"{error}; HI and HAck without it need insecure = true") from error
            _log.warning("%s; insecure = true, so HI and HAck go without", error)
            return frozenset()
        return frozenset(peers)

    def _on_tally(self, node: IPv6Address, tally: Tally) -> None:
        if not tally.entered:
            return
        header = Header("", 0, 0, monotonic_ns(), wall_ns(), Link(self._access, Technology.OTHER))
        report = PacketsBuffered(
            header,
            str(node),
            packets=tally.entered,
            lost=tally.overflowed,
            abandoned=tally.abandoned,
            peak_packets=tally.peak_packets,
            peak_octets=tally.peak_octets,
            delay_max_ms=tally.delay_max_s * 1000,
            opened_ms=None if tally.opened_s is None else tally.opened_s * 1000,
            drained_ms=None if tally.drained_s is None else tally.drained_s * 1000,
        )
        try:
            self._publish(report)
        except LiesError as error:  # the daemon is on its way out
            _log.warning("not reported: %s", error)

    def _on_protected(self, packet: bytes) -> None:
        """A packet from a neighbour that the kernel has taken out of ESP."""
        try:
            got = decode(packet)
        except OtherProtocol:
            return
        self._expected = None
        if isinstance(got.message, HandoverInitiate | HandoverAcknowledge):
            message = check_addresses(got.message)
            self._runtime.feed(Received(message, got.source, got.destination, authenticated=True))

    def _on_packet(self, packet: bytes, lla: bytes, interface: str) -> None:
        admit = self._awaited.get(packet)
        if admit is not None and interface == self._access and lla == admit.mn_lla:
            self._perform(admit)  # what waits need not wait for the engine, which will say the same
            self._done = [admit]
        expected, self._expected = self._expected, None
        if expected is not None and _without_hop_limit(packet) == expected[0]:
            self._accept(*expected[1:])
        try:
            self._take(packet, lla, interface)
        finally:
            self._done = []

    def _accept(self, expected: a.Foreseen, answers: list[Callable[[], None]]) -> None:
        """The NAR takes a node: its tunnel, and then the FBacks, before the engine says the same."""
        self._perform(expected.tunnel)
        for answer in answers:
            answer()
        self._done = [expected.tunnel, *expected.answers]

    def _take(self, packet: bytes, lla: bytes, interface: str) -> None:
        try:
            got = decode(packet, key_for=self._engine.key_for)
        except OtherProtocol:
            return
        message = check_addresses(got.message)
        if interface == self._plane.opened and not isinstance(message, FastBindingUpdate):
            return  # of a node that keeps PCoA at a neighbour; nobody else speaks to us through a tunnel
        on_access = lla if interface == self._access else None
        self._runtime.feed(Received(message, got.source, got.destination, on_access, got.authenticated))
        foreseen = self._engine.foresee()
        if foreseen is not None:
            hack = encode(foreseen.ack, foreseen.neighbour, self._address)
            sends = [self._packed(answer) for answer in foreseen.answers]
            self._expected = _without_hop_limit(hack), foreseen, sends

    def _perform(self, action: a.AccessRouterAction) -> None:
        if action in self._done:
            self._done.remove(action)
            return
        self._expected = None
        try:
            self._carry_out(action)
        except LiesError as error:
            _log.error("%s: %s", type(action).__name__, error)

    def _carry_out(self, action: a.AccessRouterAction) -> None:
        plane = self._plane
        match action:
            case a.SendMessage():
                self._packed(action)()
            case a.ExpectNode() | a.DefendNode() | a.AdmitNode() | a.ForgetNode():
                self._attend(action)
            case a.AddTunnel(pcoa, endpoint, _):
                plane.add_tunnel(pcoa, endpoint)
            case a.RemoveTunnel(pcoa, endpoint, returned):
                plane.remove_tunnel(pcoa, endpoint, returned=returned)
            case a.HoldNode(pcoa):
                plane.hold(pcoa)
            case a.ReleaseNode(pcoa):
                plane.release(pcoa)
            case a.AddHostRoute(pcoa, par):
                plane.add_host_route(pcoa, par)
            case a.RemoveHostRoute(pcoa, par):
                plane.remove_host_route(pcoa, par)
            case _:
                assert_never(action)

    def _packed(self, action: a.SendMessage) -> Callable[[], None]:
        """A message as it is sent, for later."""
        source, destination = action.source, action.destination
        key = self._engine.key_for(action.pcoa) if action.pcoa is not None else None
        packet = encode(action.message, source, destination, key=key)
        if self._mobility is not None and destination in self._protected:
            return partial(self._send_protected, self._mobility, packet, destination)
        link_layer = action.link_layer or group_address(destination)
        local = link_layer is not None or is_link_local(destination.packed)
        interface = self._access if local else None
        return partial(
            self._signalling.send,
            packet,
            destination,
            interface=interface,
            link_layer=link_layer,
            awaited=isinstance(action.message, _AWAITED),
        )

    def _send_protected(self, port: MobilitySocket, packet: bytes, neighbour: IPv6Address) -> None:
        if not port.send(packet, neighbour):
            self._runtime.feed(Barred(neighbour))

    def _attend(self, action: a.ExpectNode | a.DefendNode | a.AdmitNode | a.ForgetNode) -> None:
        """A node that is to come: wait for it, let it in, or give it up."""
        plane = self._plane
        match action:
            case a.ExpectNode(ncoa, _, buffer):
                plane.expect(ncoa, buffer=buffer)
            case a.DefendNode(ncoa, lla):
                plane.defend(ncoa)
                una = UnsolicitedNeighbourAdvertisement(ncoa, lla)
                self._awaited[encode(una, ncoa, ALL_NODES)] = a.AdmitNode(ncoa, lla)
            case a.AdmitNode(ncoa, lla):
                plane.admit(ncoa, lla)
                self._forget(ncoa)
            case a.ForgetNode(ncoa):
                plane.forget(ncoa)
                self._forget(ncoa)
            case _:
                assert_never(action)

    def _forget(self, ncoa: IPv6Address) -> None:
        self._awaited = {una: admit for una, admit in self._awaited.items() if admit.ncoa != ncoa}
