"""The access router's shell: packets into the engine, its actions onto wire and kernel."""

import logging
import secrets
from contextlib import ExitStack, closing
from ipaddress import IPv6Address
from pathlib import Path
from typing import assert_never

from lies.errors import ConfigError, LiesError
from lies.kernel.interfaces import index_of
from lies.kernel.netlink import Netlink
from lies.kernel.signalling import Signalling
from lies.kernel.tunnels import link_address
from lies.packet import OtherProtocol
from lies.runtime import Runtime
from lies_fmipv6 import actions as a
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.config import Config, router
from lies_fmipv6.data_plane import RouterDataPlane
from lies_fmipv6.items import AccessRouterItem, Received
from lies_fmipv6.link_layer import check_addresses, group_address
from lies_fmipv6.messages import UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES
from lies_fmipv6.router_plane import RouterPlane

_log = logging.getLogger("lies.fmipv6")
_SCOPE_LINK = "20"  # /proc/net/if_inet6


def link_local_of(interface: str) -> IPv6Address:
    """The link-local address of an interface of this namespace; ConfigError if it has none."""
    for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[5] == interface and fields[3] == _SCOPE_LINK:
            return IPv6Address(bytes.fromhex(fields[0]))
    raise ConfigError(f"{interface} has no link-local address", key="access")


class RouterShell:
    """Runs lies_fmipv6.access_router.AccessRouter on this host."""

    def __init__(self, config: Config) -> None:
        access, backbone = config.access or "", config.backbone or ""
        self._access = access
        index_of(access)
        engine_config = router(
            config, link_local_of(access), link_address(access), secrets.randbelow(1 << 16)
        )
        with ExitStack() as undo:
            netlink = undo.enter_context(closing(Netlink()))
            self._plane: RouterDataPlane = RouterPlane(
                netlink,
                access=access,
                backbone=backbone,
                address=engine_config.address,
                tunnels=config.tunnels,
                buffering=config.buffering,
                limits=config.limits,
            )
            undo.enter_context(closing(self._plane))
            self._signalling = Signalling(
                netlink, [access, backbone], self._on_packet, addresses=[engine_config.address]
            )
            undo.enter_context(closing(self._signalling))
            self._undo = undo.pop_all()
        engine = AccessRouter(engine_config, config.parameters)
        self._runtime: Runtime[AccessRouterItem, a.AccessRouterAction] = Runtime(engine, self._perform)
        self._awaited: dict[
            bytes, a.AdmitNode
        ] = {}  # the UNA of a node to come, as it will be -> what follows
        self._done: a.AdmitNode | None = None  # before the engine asked for it

    async def start(self) -> None:
        """Begin to serve."""
        self._plane.start()
        self._signalling.start()
        self._runtime.start()

    async def stop(self) -> None:
        """Stop, and clear the kernel."""
        self._runtime.close()
        self._undo.close()  # in the reverse order; one that fails does not keep the others

    def _on_packet(self, packet: bytes, lla: bytes, interface: str) -> None:
        admit = self._awaited.get(packet)
        if admit is not None and interface == self._access and lla == admit.mn_lla:
            self._perform(admit)  # what waits need not wait for the engine, which will say the same
            self._done = admit
        try:
            self._take(packet, lla, interface)
        finally:
            self._done = None

    def _take(self, packet: bytes, lla: bytes, interface: str) -> None:
        try:
            got = decode(packet)
        except OtherProtocol:
            return
        message = check_addresses(got.message)
        on_access = lla if interface == self._access else None
        self._runtime.feed(Received(message, got.source, got.destination, on_access, got.authenticated))

    def _perform(self, action: a.AccessRouterAction) -> None:
        try:
            self._carry_out(action)
        except LiesError as error:
            _log.error("%s: %s", type(action).__name__, error)

    def _carry_out(self, action: a.AccessRouterAction) -> None:
        plane = self._plane
        match action:
            case a.SendMessage(message, source, destination, link_layer):
                local = link_layer is not None or destination.is_link_local or destination.is_multicast
                self._signalling.send(
                    encode(message, source, destination),
                    destination,
                    interface=self._access if local else None,
                    link_layer=link_layer or group_address(destination),
                )
            case a.AddTunnel(pcoa, endpoint, _):
                plane.add_tunnel(pcoa, endpoint)
            case a.RemoveTunnel(pcoa, endpoint):
                plane.remove_tunnel(pcoa, endpoint)
            case a.HoldNode(pcoa):
                plane.hold(pcoa)
            case a.ReleaseNode(pcoa):
                plane.release(pcoa)
            case a.ExpectNode(ncoa, lla, buffer):
                plane.expect(ncoa, buffer=buffer)
                if not plane.tunnels_away(ncoa):  # else the tunnel ends first
                    una = UnsolicitedNeighbourAdvertisement(ncoa, lla)
                    self._awaited[encode(una, ncoa, ALL_NODES)] = a.AdmitNode(ncoa, lla)
            case a.AdmitNode(ncoa, lla):
                if action != self._done:
                    plane.admit(ncoa, lla)
                    self._forget(ncoa)
            case a.ForgetNode(ncoa):
                plane.forget(ncoa)
                self._forget(ncoa)
            case _:
                assert_never(action)

    def _forget(self, ncoa: IPv6Address) -> None:
        self._awaited = {una: admit for una, admit in self._awaited.items() if admit.ncoa != ncoa}
