"""The mobile node's engine of FMIPv6 (RFC 5568 sections 3 to 5, RFC 5184 appendix B)."""

from ipaddress import IPv6Address
from typing import assert_never

from lies.events import (
    BindingUpdated,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    PoAListConfirm,
    PoALost,
    Result,
)
from lies.packet import is_link_local, text_of
from lies.timers import sooner
from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.actions import SendMessage
from lies_fmipv6.arrival import Arrival
from lies_fmipv6.departure import Departure
from lies_fmipv6.handover import Router
from lies_fmipv6.imposed import Imposed
from lies_fmipv6.items import (
    AddressConfigured,
    AddressFound,
    ConnectRefused,
    FbuSent,
    Received,
    access_point_id,
    poa_of,
)
from lies_fmipv6.items import MobileNodeItem as Item
from lies_fmipv6.messages import (
    FastBindingAck,
    NeighbourAdvertisement,
    PrRtAdv,
    PrRtAdvCode,
    RouterAdvertisement,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.movement import Movement
from lies_fmipv6.parameters import MobileNodeConfig, Mode, Parameters
from lies_fmipv6.policy import LevelPolicy, Policy
from lies_fmipv6.probing import Probing
from lies_fmipv6.states import DiscoveryState, MobileNodeState
from lies_fmipv6.states import MobileNodeEvent as E

S = MobileNodeState
_ATTACHED = S.ATTACHED  # to name an enumeration's member takes longer than most of what is done with it
_AT_ROUTER = frozenset({S.ATTACHED, S.FBU_SENT, S.REBINDING})
_ACK, _NO_FAST = Result.ACK, Mode.NONE
_REFUSED = 128  # BA status from which on a BU was refused (RFC 6275 section 6.1.8)


class MobileNode:
    """Moves one link of a mobile node from router to router.

    Driven by link events and PoA lists, messages received, BindingUpdated reports and time; see
    lies_fmipv6.items, lies_fmipv6.actions and spec/fmipv6.mmd.
    """

    __slots__ = (
        "_arrival",
        "_departure",
        "_due",
        "_imposed",
        "_is_due_known",
        "_m",
        "_probing",
    )

    def __init__(
        self,
        config: MobileNodeConfig,
        parameters: Parameters | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._m = Movement(config, parameters or Parameters(), policy or LevelPolicy())
        self._departure = Departure(self._m)
        self._arrival = Arrival(self._m)
        self._imposed = Imposed(self._m, self._arrival)
        self._probing = Probing(self._m, self._imposed.duplicate) if config.dad_transmits else None
        self._due: float | None = None  # what next_timeout found, unless something has happened since
        self._is_due_known = False

    @property
    def state(self) -> MobileNodeState:
        """Where the node is in its movement."""
        return self._m.state

    @property
    def discovery_state(self) -> DiscoveryState:
        """What is known of the neighbourhood."""
        return self._m.discovery.state

    @property
    def coa(self) -> IPv6Address | None:
        """The care-of address in use."""
        return self._m.coa

    @property
    def router(self) -> Router | None:
        """The access router of that address."""
        return self._m.router

    @property
    def tunnels(self) -> int:
        """How many previous care-of addresses are still kept."""
        return len(self._m.tunnels)

    def receive(self, item: Item, now: float) -> list[Action]:
        """What follows from a link event, a confirm, a report or a message."""
        m = self._m
        self._is_due_known = False
        actions: list[Action] = []
        match item:
            case Received():
                actions = self._received(item, now)
            case LinkStatusChanged() | LinkGoingDown() | LinkGoingDownCancelled():
                m.scout.indicated(item, now)
            case PoAListConfirm():
                if item.result is _ACK:
                    m.scout.listed(item.poas, now)
                actions = self._resolve(now)
            case LinkUp() | LinkDown():
                actions = self._link(item, now)
            case BindingUpdated():
                actions = self._binding_updated(item, now)
            case PoAFound():
                m.scout.found(item.poas)
                actions = self._resolve(now)
            case PoALost():
                m.scout.lost(item.poas)
            case ConnectRefused():
                actions = self._departure.connect_refused(item, now)
            case FbuSent(sequence):
                m.sent(sequence, now)
            case AddressConfigured() | AddressFound():
                actions = self._configured(item, now)
            case _:
                assert_never(item)
        return self._settle(actions, now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        if self._is_due_known:
            return self._due
        self._is_due_known = True
        m = self._m
        # asked after every item, so that what has no time to keep is passed over
        due: float | None = None
        if m.handover is not None or m.hold_until is not None or m.connect_until is not None:
            due = self._departure.next_timeout()
        elif m.state is _ATTACHED:
            due = m.scout.poll_at
        arrival = self._arrival
        if arrival.una is not None or arrival.rs is not None or arrival.untold is not None:
            due = sooner(due, arrival.next_timeout())
        if m.tunnels.kept or m.tunnels.farewells:
            due = sooner(due, m.tunnels.next_timeout())
        if m.discovery.backoff is not None:
            due = sooner(due, m.discovery.backoff.due)
        if m.kept is not None:
            due = sooner(due, self._imposed.next_timeout())
        if self._probing is not None:
            due = sooner(due, self._probing.next_timeout())
        self._due = due
        return self._due

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        self._is_due_known = False
        actions = self._arrival.handle_timeout(now)
        actions += self._imposed.handle_timeout(now)
        actions += self._departure.handle_timeout(now)
        actions += self._m.tunnels.handle_timeout(now)
        actions += self._rtsolpr(self._m.discovery.handle_timeout(now))
        if self._probing is not None:
            actions += self._probing.handle_timeout(now)
        return self._settle(actions, now)

    def _settle(self, actions: list[Action], now: float) -> list[Action]:
        m, arrival = self._m, self._arrival
        if arrival.rebinding is not None or arrival.untold is not None:
            actions += arrival.settle(now)
        if m.kept is not self._imposed.known:
            self._imposed.kept(now)
        if self._probing is not None:
            actions += self._probing.consider(now)
        if not m.scout.content and m.state is _ATTACHED:
            actions += self._departure.consider(now)
        return actions

    # link events

    def _link(self, item: LinkUp | LinkDown, now: float) -> list[Action]:
        m = self._m
        m.reporter.see(item.header)
        if isinstance(item, LinkDown):
            lost = m.up and item.poa == m.poa
            return self._link_lost(item.header.mono_ns, now) if lost else []
        if m.up and item.poa == m.poa:
            return []
        # a LinkUp elsewhere while the link is up: its LinkDown went missing
        actions = self._link_lost(item.header.mono_ns, now) if m.up else []
        m.up, m.poa, m.up_ns = True, item.poa, item.header.mono_ns
        return actions + self._arrival.link_up(item.poa, now)

    def _link_lost(self, mono_ns: int, now: float) -> list[Action]:
        m = self._m
        m.up, m.down_ns = False, mono_ns
        self._arrival.link_lost()
        match m.state:
            case S.SOLICITING if m.coa is None:
                m.go(E.LINK_DOWN_NO_ADDRESS)
                return []
            case S.SOLICITING | S.ATTACHED | S.REBINDING:
                m.go(E.LINK_DOWN)
            case S.FBU_SENT:
                assert m.handover is not None
                assert m.handover.exchange is not None
                m.handover.exchange.stop()
                m.go(E.LINK_DOWN)
            case _:  # SWITCHING: as asked for
                return []
        return m.hold(now)

    # messages

    def _received(self, item: Received, now: float) -> list[Action]:
        m = self._m
        # not what the router itself sent to our link-layer address: a NAACK, the answer to an RtSolPr
        coa = m.coa
        here = coa is not None and item.destination.packed == coa.packed
        if here and not is_link_local(item.source.packed):
            self._arrival.heard_of()
        match item.message:
            case RouterAdvertisement() as ra:
                return self._arrival.advertised(ra, item, now) or self._imposed.advertised(ra, item, now)
            case PrRtAdv() as adv:
                return self._proxy_advertised(adv, item, now)
            case FastBindingAck():
                actions = self._departure.received(item, now)
                if actions is not None or self._imposed.received(item, now):
                    return actions or []
                return m.tunnels.received(item, now) + self._imposed.check(now)
            case NeighbourAdvertisement(target, lla) | UnsolicitedNeighbourAdvertisement(target, lla):
                return self._probing.contradicted(target, lla, now) if self._probing is not None else []
            case _:
                return []

    def _proxy_advertised(self, adv: PrRtAdv, item: Received, now: float) -> list[Action]:
        m = self._m
        if m.state not in _AT_ROUTER or m.c.mode is _NO_FAST or not is_link_local(item.source.packed):
            return []
        assert m.router is not None
        if m.router.link_local not in {None, item.source}:
            return []
        actions = self._rtsolpr(m.discovery.advertised(adv, now))
        ordered = adv.identifier == 0 and adv.code == PrRtAdvCode.HANDOVER and adv.access_points
        if ordered and m.state is S.ATTACHED:  # 3.3
            poa = poa_of(adv.access_points[0].access_point)
            if poa != m.scout.poa and m.reachable(poa):
                return actions + self._ordered(poa, now)
        return actions

    def _ordered(self, poa: str, now: float) -> list[Action]:
        """The network wants the node there."""
        return self._departure.leave_for(poa, now)

    def _configured(self, item: AddressConfigured | AddressFound, now: float) -> list[Action]:
        if isinstance(item, AddressFound):
            return self._arrival.found(item, now)
        address = item.address
        return self._imposed.configured(address, now) or self._arrival.configured(address, now)

    def _resolve(self, now: float) -> list[Action]:
        """Have the PoAs resolved that were heard of (RFC 5184 appendix B.1)."""
        m = self._m
        if m.state not in _AT_ROUTER or not m.fast():
            return []
        return self._rtsolpr(m.discovery.want(map(access_point_id, (*m.scout.poas, *m.elsewhere)), now))

    def _rtsolpr(self, message: RtSolPr | None) -> list[Action]:
        m = self._m
        if message is None or m.coa is None or m.router is None:
            return []
        return [SendMessage(message, m.coa, m.router.link_local or m.router.next_hop)]

    def _binding_updated(self, item: BindingUpdated, now: float) -> list[Action]:
        m = self._m
        if m.coa is None or item.coa != text_of(m.coa) or item.status >= _REFUSED or item.lifetime_s == 0:
            return []
        self._arrival.heard_of()
        return m.tunnels.binding_updated(now)
