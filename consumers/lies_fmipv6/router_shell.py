"""The access router's shell: packets into the engine, its actions onto wire and kernel."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from ipaddress import IPv6Address

from attrs import evolve

from lies.errors import ConfigError, LiesError
from lies.events import Header, Link, PacketsBuffered, Technology
from lies.kernel.esp import EspUnavailable, MobilitySocket, Protection
from lies.kernel.interfaces import index_of, link_local_addresses
from lies.kernel.netlink import Netlink
from lies.kernel.packet_filter import Wanted
from lies.kernel.signalling import Signalling
from lies.kernel.tunnels import link_address
from lies.runtime import Runtime, monotonic_ns, now_s, wall_ns
from lies_fmipv6 import actions as a
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.config import Config, router
from lies_fmipv6.data_plane import RouterDataPlane
from lies_fmipv6.items import AccessRouterItem, OrderHandover, access_point_id
from lies_fmipv6.pacing import Tally
from lies_fmipv6.rehearsal_shell import Rehearsal
from lies_fmipv6.router_dispatch import RouterDispatch
from lies_fmipv6.router_plane import RouterPlane
from lies_fmipv6.wire import ICMPV6_FMIPV6, ICMPV6_NA, ICMPV6_RS, MH_FBU, MH_HACK, MH_HI

_log = logging.getLogger("lies.fmipv6")
_PAUSES = 20  # of the time that a rehearsal took, before the next one: a slow host has less to spare
_ALONE_S = 600.0  # without a message there are no nodes about, and so long nobody rehearses for them
_MOBILITY = frozenset({MH_FBU, MH_HI, MH_HACK})
_ICMPV6 = frozenset({ICMPV6_RS, ICMPV6_NA, ICMPV6_FMIPV6})


def link_local_of(interface: str) -> IPv6Address:
    """The link-local address of an interface of this namespace; ConfigError if it has none."""
    for address in link_local_addresses(interface):
        return address
    raise ConfigError(f"{interface} has no link-local address", key="access")


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
        for neighbour in engine_config.neighbours:
            if neighbour.fast_handover and not engine_config.trusts(neighbour):
                _log.warning("no fast handover with %s: neither esp_key nor ike", neighbour.address)
        engine = AccessRouter(engine_config, config.parameters)
        self._dispatch = RouterDispatch(
            engine,
            self._plane,
            self._signalling,
            address=engine_config.address,
            access=access,
            protected=protected,
            protected_way=self._mobility,
        )
        self._runtime: Runtime[AccessRouterItem, a.AccessRouterAction] = Runtime(
            engine, self._dispatch.perform
        )
        self._dispatch.feed = self._runtime.feed
        self._rehearsal: Rehearsal | None = None
        if config.rehearsal_ms and any(engine_config.trusts(n) for n in engine_config.neighbours):
            self._rehearsal = Rehearsal(engine_config, config.parameters)
        self._rehearsal_s = config.rehearsal_ms / 1000
        self._rehearses: asyncio.TimerHandle | None = None
        self._is_warm = False  # by a message of a moment ago
        self._alone_s = 0.0  # without a message, as far as rehearsals count

    async def start(self) -> None:
        """Begin to serve."""
        self._plane.start()
        self._signalling.start()
        if self._mobility is not None:
            self._mobility.start()
        self._runtime.start()
        self._rehearse_later()

    async def stop(self) -> None:
        """Stop, and clear the kernel."""
        if self._rehearses is not None:
            self._rehearses.cancel()
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

    def _rehearse(self, rehearsal: Rehearsal) -> None:
        """Play a handover every rehearsal_ms, but for when there is a real one, and nobody for long."""
        took_s = 0.0
        if self._is_warm:
            self._is_warm = False
            self._alone_s = 0.0
        else:
            self._alone_s += self._rehearsal_s
            began_s = now_s()
            rehearsal.play()
            self._rehearse_plane()
            took_s = now_s() - began_s
        self._rehearse_later(took_s * _PAUSES)

    def _rehearse_plane(self) -> None:
        try:
            self._plane.rehearse()
        except LiesError as error:
            _log.warning("no further rehearsals: %s", error)
            self._rehearsal = None

    def _rehearse_later(self, pause_s: float = 0.0) -> None:
        self._rehearses = None
        if self._rehearsal is not None and self._alone_s < _ALONE_S:
            loop = asyncio.get_running_loop()
            delay_s = max(self._rehearsal_s, pause_s)
            self._rehearses = loop.call_later(delay_s, self._rehearse, self._rehearsal)

    def _heard(self) -> None:
        """A message came: somebody is about."""
        self._is_warm = True
        if self._rehearses is None and self._alone_s >= _ALONE_S:
            self._alone_s = 0.0
            self._rehearse_later()

    def _on_packet(self, packet: bytes, lla: bytes, interface: str) -> None:
        self._heard()
        self._dispatch.on_packet(packet, lla, interface)

    def _on_protected(self, packet: bytes) -> None:
        self._heard()
        self._dispatch.on_protected(packet)
