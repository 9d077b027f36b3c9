"""A router's rehearsal: handovers of nobody, so that those of nodes find the way there warm.

From FBU to FBack a node on its way out waits for the daemons of two routers, which have slept for seconds.
What a processor has not done for a while it does slowly: code and data come from main memory, and that is
half of the time that a router takes for a message. A rehearsal leads the messages of one handover through
engines, dispatch and codecs of the same make, with time, wires and kernel of their own, which are all
imaginary. Nothing of it leaves the process or stays.
"""

import secrets
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from itertools import count

from attrs import evolve

from lies.runtime import Runtime
from lies_fmipv6 import actions as a
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.codec import encode
from lies_fmipv6.items import AccessRouterItem
from lies_fmipv6.messages import FastBindingUpdate, UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import (
    ALL_NODES,
    AccessRouterConfig,
    Neighbour,
    Parameters,
    eui64,
    form_address,
)
from lies_fmipv6.router_dispatch import RouterDispatch

_HERE, _THERE = IPv6Network("2001:db8:0:1::/64"), IPv6Network("2001:db8:0:2::/64")  # RFC 3849
_LLAS = bytes((2, 0, 0, 0, 0, 1)), bytes((2, 0, 0, 0, 0, 2))
_NODE = bytes((2, 0, 0, 0, 0, 3))
_LINK_LOCAL = IPv6Address("fe80::1")
_ACCESS, _BACKBONE = "access", "backbone"
_LIFETIME_S = 20
_PAUSE_S = 60.0
_KEY_OCTETS = 20


class Rehearsal:
    """A mobile node that goes from one imaginary router to another one, again and again.

    config: of the router that rehearses, which says what protects messages. `played` counts handovers.
    """

    def __init__(self, config: AccessRouterConfig, parameters: Parameters) -> None:
        protected = any(n.protected for n in config.neighbours if config.trusts(n))
        self._key = secrets.token_bytes(_KEY_OCTETS) if config.keys else None
        here, there = (
            _Router(config, parameters, n, protected=protected, key=self._key) for n in ((0, 1), (1, 0))
        )
        here.peer, there.peer = there, here
        self._routers = here, there
        self._pcoa, self._ncoa = (form_address(p, eui64(_NODE)) for p in (_HERE, _THERE))
        self._una = encode(UnsolicitedNeighbourAdvertisement(self._ncoa, _NODE), self._ncoa, ALL_NODES)
        self._numbers = count(1)
        self.played = 0

    @property
    def state(self) -> int:
        """How many bindings and awaited nodes the imaginary routers have: none, between two handovers."""
        return sum(router.engine.bindings + router.engine.expected for router in self._routers)

    def play(self) -> None:
        """One handover from FBU to UNA, and all that follows from time."""
        here, there = self._routers
        fbu = FastBindingUpdate(next(self._numbers) & 0xFFFF, _LIFETIME_S, self._pcoa, self._ncoa, _NODE)
        here.dispatch.on_packet(encode(fbu, self._pcoa, here.address, key=self._key), _NODE, _ACCESS)
        there.dispatch.on_packet(self._una, _NODE, _ACCESS)
        for router in self._routers:
            router.let_time_pass()
        self.played += 1


class _Router:
    """An imaginary access router: what it sends to its peer, that has at once; the rest is lost."""

    peer: "_Router"

    def __init__(
        self,
        like: AccessRouterConfig,
        parameters: Parameters,
        order: tuple[int, int],
        *,
        protected: bool,
        key: bytes | None,
    ) -> None:
        prefixes = [(_HERE, _THERE)[n] for n in order]
        self.address = prefixes[0][1]
        neighbour = Neighbour(prefixes[1][1], _LLAS[order[1]], prefixes[1], protected=protected)
        config = evolve(
            like,
            address=self.address,
            link_local=_LINK_LOCAL,
            lla=_LLAS[order[0]],
            prefix=prefixes[0],
            access_points=(),
            neighbours=(neighbour,),
            keys={} if key is None else {_NODE: key},
            advertise_interval_s=None,
            dad_transmits=0,
            dhcp=False,
        )
        self.engine = AccessRouter(config, parameters)
        self.dispatch = RouterDispatch(
            self.engine,
            _NoPlane(),
            self,
            address=self.address,
            access=_ACCESS,
            protected=frozenset({neighbour.address}) if protected else frozenset(),
            protected_way=_Protected(self) if protected else None,
        )
        self._now = 0.0
        self._timers = _Timers()
        runtime: Runtime[AccessRouterItem, a.AccessRouterAction] = Runtime(
            self.engine, self.dispatch.perform, clock=lambda: self._now, call_later=self._timers.call_later
        )
        self.dispatch.feed = runtime.feed

    def send(
        self,
        packet: bytes,
        destination: IPv6Address,
        *,
        interface: str | None = None,
        link_layer: bytes | None = None,
        awaited: bool = False,
    ) -> None:
        """As lies_fmipv6.router_dispatch.Way."""
        del interface, link_layer, awaited
        if destination == self.peer.address:
            self.peer.dispatch.on_packet(packet, b"", _BACKBONE)

    def let_time_pass(self) -> None:
        """Until no timer is set, and a little longer: bindings end, and are forgotten."""
        while (due := self._timers.take()) is not None:
            delay_s, callback = due
            self._now += delay_s
            callback()
        self._now += _PAUSE_S


class _Timers:
    """asyncio's call_later for one timer at a time, on imaginary time."""

    def __init__(self) -> None:
        self._due: tuple[float, Callable[[], None]] | None = None

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> "_Timers":
        """Keep it."""
        self._due = delay_s, callback
        return self

    def cancel(self) -> None:
        """There is none."""
        self._due = None

    def take(self) -> tuple[float, Callable[[], None]] | None:
        """The timer, which is set no more."""
        due, self._due = self._due, None
        return due


class _Protected:
    """The imaginary ESP between the two routers."""

    def __init__(self, router: _Router) -> None:
        self._router = router

    def send(self, packet: bytes, destination: IPv6Address) -> bool:
        """As lies_fmipv6.router_dispatch.ProtectedWay."""
        del destination
        self._router.peer.dispatch.on_protected(packet)
        return True


class _NoPlane:
    """lies_fmipv6.data_plane.RouterDataPlane of nothing."""

    opened = ""

    def start(self) -> None:
        """Nothing to serve."""

    def add_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        """AddTunnel."""

    def remove_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address, *, returned: bool = False) -> None:
        """RemoveTunnel."""

    def hold(self, pcoa: IPv6Address) -> None:
        """HoldNode."""

    def release(self, pcoa: IPv6Address) -> None:
        """ReleaseNode."""

    def expect(self, ncoa: IPv6Address, *, buffer: bool) -> None:
        """ExpectNode."""

    def defend(self, ncoa: IPv6Address) -> None:
        """DefendNode."""

    def admit(self, ncoa: IPv6Address, lla: bytes) -> None:
        """AdmitNode."""

    def forget(self, ncoa: IPv6Address) -> None:
        """ForgetNode."""

    def add_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """AddHostRoute."""

    def remove_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """RemoveHostRoute."""

    def rehearse(self) -> None:
        """This is all rehearsal."""

    def close(self) -> None:
        """Nothing to remove."""
