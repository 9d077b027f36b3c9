"""Packets to the access router's engine, and its actions to wire and data plane; no socket, no clock.

lies_fmipv6.router_shell runs one on this host's sockets and kernel.
"""

import logging
from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address
from typing import Protocol, assert_never

from lies.errors import LiesError
from lies.packet import OtherProtocol, is_link_local
from lies_fmipv6 import actions as a
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.data_plane import RouterDataPlane
from lies_fmipv6.items import AccessRouterItem, Barred, Received
from lies_fmipv6.link_layer import check_addresses, group_address
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.parameters import ALL_NODES

_log = logging.getLogger("lies.fmipv6")
_AWAITED = (HandoverInitiate, HandoverAcknowledge, FastBindingAck)  # while a node is about to leave


def _without_hop_limit(packet: bytes) -> bytes:
    return packet[:7] + packet[8:]


class Way(Protocol):
    """How packets leave: lies.kernel.signalling.Signalling, or who plays it."""

    def send(
        self,
        packet: bytes,
        destination: IPv6Address,
        *,
        interface: str | None = None,
        link_layer: bytes | None = None,
        awaited: bool = False,
    ) -> None:
        """Send a whole packet."""
        ...


class ProtectedWay(Protocol):
    """How Mobility Headers leave for neighbours that ESP is used with: lies.kernel.esp.MobilitySocket."""

    def send(self, packet: bytes, destination: IPv6Address) -> bool:
        """False if nothing can leave for that neighbour now."""
        ...


class RouterDispatch:
    """What a packet means for the engine, and what the engine's actions are on wire and data plane.

    address: the router's global one; access: its access interface; protected: neighbours that are spoken to
    by protected_way. `feed` takes what the engine is to be given, and has `perform` called with what follows.
    """

    feed: Callable[[AccessRouterItem], None]  # set by who runs the engine

    def __init__(
        self,
        engine: AccessRouter,
        plane: RouterDataPlane,
        way: Way,
        *,
        address: IPv6Address,
        access: str,
        protected: frozenset[IPv6Address] = frozenset(),
        protected_way: ProtectedWay | None = None,
    ) -> None:
        self._engine = engine
        self._plane = plane
        self._way = way
        self._address = address
        self._access = access
        self._protected = protected
        self._protected_way = protected_way
        # the UNA of a node to come, as it will be -> what follows
        self._awaited: dict[bytes, a.AdmitNode] = {}
        # the HAck to come, but for its hop limit -> what is sent when the tunnel of the action stands
        self._expected: tuple[bytes, a.Foreseen, list[Callable[[], None]]] | None = None
        self._done: list[a.AccessRouterAction] = []  # before the engine asked for it

    def on_protected(self, packet: bytes) -> None:
        """A packet from a neighbour that the kernel has taken out of ESP."""
        try:
            got = decode(packet)
        except OtherProtocol:
            return
        self._expected = None
        if isinstance(got.message, HandoverInitiate | HandoverAcknowledge):
            message = check_addresses(got.message)
            self.feed(Received(message, got.source, got.destination, authenticated=True))

    def on_packet(self, packet: bytes, lla: bytes, interface: str) -> None:
        """A packet came in by an interface, from a link-layer address; MalformedMessage if it is none."""
        admit = self._awaited.get(packet)
        if admit is not None and interface == self._access and lla == admit.mn_lla:
            self.perform(admit)  # what waits need not wait for the engine, which will say the same
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
        self.perform(expected.tunnel)
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
        self.feed(Received(message, got.source, got.destination, on_access, got.authenticated))
        foreseen = self._engine.foresee()
        if foreseen is not None:
            hack = encode(foreseen.ack, foreseen.neighbour, self._address)
            sends = [self._packed(answer) for answer in foreseen.answers]
            self._expected = _without_hop_limit(hack), foreseen, sends

    def perform(self, action: a.AccessRouterAction) -> None:
        """Carry out what the engine wants, unless that has been done."""
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
        if self._protected_way is not None and destination in self._protected:
            return partial(self._send_protected, self._protected_way, packet, destination)
        link_layer = action.link_layer or group_address(destination)
        local = link_layer is not None or is_link_local(destination.packed)
        interface = self._access if local else None
        return partial(
            self._way.send,
            packet,
            destination,
            interface=interface,
            link_layer=link_layer,
            awaited=isinstance(action.message, _AWAITED),
        )

    def _send_protected(self, port: ProtectedWay, packet: bytes, neighbour: IPv6Address) -> None:
        if not port.send(packet, neighbour):
            self.feed(Barred(neighbour))

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
