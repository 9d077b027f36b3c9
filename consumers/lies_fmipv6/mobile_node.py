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
from lies.timers import Backoff
from lies_fmipv6.actions import (
    HoldUplink,
    ReleaseUplink,
    RequestConnect,
    RequestPoAList,
    SendMessage,
    UseRouter,
)
from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.discovery import Discovery, Outcome, Target
from lies_fmipv6.exchange import FbuExchange, Sequencer
from lies_fmipv6.handover import Handover, Reporter, Router, to_ns
from lies_fmipv6.items import ConnectRefused, Received, access_point_id, poa_of
from lies_fmipv6.items import MobileNodeItem as Item
from lies_fmipv6.messages import (
    FastBindingAck,
    PrefixInformation,
    PrRtAdv,
    PrRtAdvCode,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.parameters import (
    ALL_NODES,
    ALL_ROUTERS,
    MobileNodeConfig,
    Mode,
    Parameters,
    form_address,
)
from lies_fmipv6.policy import LevelPolicy, Policy
from lies_fmipv6.scout import Refresh, Scout
from lies_fmipv6.states import MOBILE_NODE, DiscoveryState, TunnelState
from lies_fmipv6.states import MobileNodeEvent as E
from lies_fmipv6.states import MobileNodeState as S
from lies_fmipv6.tunnels import Tunnel, Tunnels

_SETTLED = {
    TunnelState.TUNNELLED: E.FBACK,
    TunnelState.CLOSING: E.BINDING_UPDATED,
    TunnelState.ENDED: E.REFUSED,
}


class MobileNode:
    """Moves one link of a mobile node from router to router.

    Driven by link events and PoA lists, messages received, BindingUpdated reports and time; see
    lies_fmipv6.items, lies_fmipv6.actions and spec/fmipv6.mmd.
    """

    def __init__(
        self,
        config: MobileNodeConfig,
        parameters: Parameters | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.state = S.DETACHED
        self.coa: IPv6Address | None = None
        self.router: Router | None = None
        self._c = config
        self._p = parameters or Parameters()
        self._sequencer = Sequencer(config.first_sequence)
        self._reporter = Reporter()
        self._scout = Scout(policy or LevelPolicy(), self._p)
        self._tunnels = Tunnels(self._p, self._exchange, self._reporter, insecure=config.insecure)
        self.discovery = Discovery(config.lla, self._p)
        self._handover: Handover | None = None
        self._rebinding: Tunnel | None = None
        self._connecting: str | None = None
        self._up = False
        self._poa: str | None = None  # of the last LinkUp
        self._down_ns: int | None = None
        self._up_ns: int | None = None
        self._held: IPv6Address | None = None
        self._hold_until: float | None = None
        self._connect_until: float | None = None
        self._rs: Backoff | None = None
        self._una: tuple[SendMessage, Backoff] | None = None

    def receive(self, item: Item, now: float) -> list[Action]:
        """What follows from a link event, a confirm, a report or a message."""
        actions: list[Action]
        match item:
            case Received():
                actions = self._received(item, now)
            case LinkUp() | LinkDown():
                actions = self._link(item, now)
            case LinkStatusChanged() | LinkGoingDown() | LinkGoingDownCancelled():
                self._scout.indicated(item, now)
                actions = []
            case PoAListConfirm():
                if item.result is Result.ACK:
                    self._scout.listed(item.poas, now)
                actions = self._resolve(now)
            case PoAFound():
                self._scout.found(item.poas)
                actions = self._resolve(now)
            case PoALost():
                self._scout.lost(item.poas)
                actions = []
            case ConnectRefused():
                actions = self._connect_refused(item, now)
            case BindingUpdated():
                actions = self._binding_updated(item, now)
            case _:
                assert_never(item)
        return self._settle(actions, now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        h = self._handover
        dues = (
            self._hold_until,
            self._connect_until,
            self._rs.due if self._rs else None,
            self._una[1].due if self._una else None,
            h.exchange.next_timeout() if h is not None and h.exchange is not None else None,
            self._tunnels.next_timeout(),
            self.discovery.next_timeout(),
            self._scout.poll_at if self.state is S.ATTACHED else None,
        )
        return min((d for d in dues if d is not None), default=None)

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        actions: list[Action] = []
        if self._rs is not None and self._rs.due is not None and self._rs.due <= now:
            self._rs.again(now)
            actions.append(self._solicitation())
        if self._una is not None and self._una[1].due is not None and self._una[1].due <= now:
            message, backoff = self._una
            if backoff.again(now):
                actions.append(message)
            else:
                self._una = None
        actions += self._exchange_timeout(now)
        actions += self._tunnels.handle_timeout(now)
        actions += self._rtsolpr(self.discovery.handle_timeout(now))
        if self._connect_until is not None and self._connect_until <= now:
            actions += self._connect_timeout(now)
        if self._hold_until is not None and self._hold_until <= now:
            actions += self._release()
        return self._settle(actions, now)

    # link events

    def _link(self, item: LinkUp | LinkDown, now: float) -> list[Action]:
        self._reporter.see(item.header)
        if isinstance(item, LinkDown):
            lost = self._up and item.poa == self._poa
            return self._link_lost(item.header.mono_ns, now) if lost else []
        if self._up and item.poa == self._poa:
            return []
        # a LinkUp elsewhere while the link is up: its LinkDown went missing
        actions = self._link_lost(item.header.mono_ns, now) if self._up else []
        self._up, self._poa, self._up_ns = True, item.poa, item.header.mono_ns
        return actions + self._link_up(item.poa, now)

    def _link_lost(self, mono_ns: int, now: float) -> list[Action]:
        self._up, self._down_ns = False, mono_ns
        self._una = self._rs = None
        match self.state:
            case S.SOLICITING if self.coa is None:
                self._go(E.LINK_DOWN_NO_ADDRESS)
                return []
            case S.SOLICITING | S.ATTACHED | S.REBINDING:
                self._go(E.LINK_DOWN)
            case S.FBU_SENT:
                assert self._handover is not None
                assert self._handover.exchange is not None
                self._handover.exchange.stop()
                self._go(E.LINK_DOWN)
            case _:  # SWITCHING: as asked for
                return []
        return self._hold(now)

    def _link_up(self, poa: str, now: float) -> list[Action]:
        h = self._handover
        if self.state is S.DETACHED:
            return self._solicit(now)
        if self.state is S.SWITCHING and h is not None and h.to_poa == poa:
            return self._arrive_prepared(h, now)
        target = self.discovery.target(access_point_id(poa))
        if poa == self._scout.poa or (target is not None and self._same_router(target)):
            self._go(E.LINK_UP_SAME_ROUTER)
            return self._stay(now)
        if target is None or target.outcome is not Outcome.TUPLE or not self._fast():
            return self._solicit(now)
        actions: list[Action] = []
        if h is None or h.to_poa != poa:
            actions += [h.abandon()] if h is not None else []
            h = self._new_handover(poa, target)
            actions.append(h.prepare())
        self._go(E.LINK_UP_KNOWN)
        return actions + self._arrive(h, now, una=True)

    def _arrive_prepared(self, h: Handover, now: float) -> list[Action]:
        """At the new link, with the tunnel already there: UNA first, and all is well."""
        self._go(E.LINK_UP_PREPARED)
        h.mode = "predictive"
        before, after = self._tunnels.returned(h.ncoa, now)
        actions = [self._send_una(h, now), *before, h.complete(tunnel=True), *after]
        actions.append(self._reporter.address_changed(h.ncoa, h.pcoa, h.nar.next_hop, h.par, now))
        self._open(h, now)
        return actions + self._attach(h, now)

    def _arrive(self, h: Handover, now: float, *, una: bool) -> list[Action]:
        """At the new link without an FBack: UNA, then the FBU from there (4)."""
        h.granted_s = None
        before, after = self._tunnels.returned(h.ncoa, now)
        actions: list[Action] = [self._send_una(h, now)] if una else []
        actions += [*before, h.complete(tunnel=False)]
        if h.exchange is None:
            h.exchange = self._exchange(h.pcoa, h.ncoa, h.par, self._p.fbu_lifetime_s)
        self._tunnels.supersede(h.pcoa)
        if h.fbu_ns is None:
            h.fbu_ns = to_ns(now)
        actions += [h.exchange.send(h.ncoa, now), *after]
        actions.append(self._reporter.address_changed(h.ncoa, h.pcoa, h.nar.next_hop, None, now))
        self._rebinding = self._open(h, now)
        return actions + self._attach(h, now)

    def _send_una(self, h: Handover, now: float) -> SendMessage:
        h.una_ns = to_ns(now)
        una = UnsolicitedNeighbourAdvertisement(h.ncoa, self._c.lla)
        message = SendMessage(una, h.ncoa, ALL_NODES)
        self._una = (message, Backoff(now, self._p.una_first_wait_s, retries=self._p.una_repeats))
        return message

    def _open(self, h: Handover, now: float) -> Tunnel:
        h.link_down_ns, h.link_up_ns = self._down_ns, self._up_ns
        return self._tunnels.open(h, now)

    def _attach(self, h: Handover, now: float) -> list[Action]:
        self.coa, self.router, self._handover = h.ncoa, h.nar, None
        self._held = self._hold_until = self._connect_until = self._connecting = self._rs = None
        self.discovery.reset()
        return self._settled_at(h.to_poa, now)

    def _settled_at(self, poa: str, now: float) -> list[Action]:
        self._scout.attached(poa, now)
        if self._c.mode is Mode.NONE:
            return []
        self._scout.asked(now)
        return [RequestPoAList(self._c.link)]

    def _stay(self, now: float) -> list[Action]:
        """Still, or again, at the same router: what was begun is undone (5.6)."""
        actions = self._release()
        h, self._handover, self._connecting, self._connect_until = self._handover, None, None, None
        if h is not None:
            actions.append(h.abandon())
            if h.fbu_ns is not None:
                actions += self._tunnels.farewell(h, h.pcoa, 0, now)
        assert self._poa is not None
        return actions + self._settled_at(self._poa, now)

    # router discovery

    def _solicit(self, now: float) -> list[Action]:
        self._go(E.LINK_UP_UNKNOWN)
        self._connecting = self._connect_until = None
        if self._held is not None:
            self._hold_until = now + self._p.hold_s
        self._rs = Backoff(now, self._p.rs_first_wait_s, retries=None, max_s=self._p.rs_max_wait_s)
        return [self._solicitation()]

    def _solicitation(self) -> SendMessage:
        return SendMessage(RouterSolicitation(self._c.lla), self._c.link_local, ALL_ROUTERS)

    def _advertised(self, ra: RouterAdvertisement, item: Received, now: float) -> list[Action]:
        info = next((p for p in ra.prefixes if _usable(p)), None)
        if info is None or ra.lifetime_s == 0 or not item.source.is_link_local:
            return []
        if self.state is not S.SOLICITING:
            # movement is told by link events; an advertisement alone is a hint (RFC 6275 section 11.5.1)
            return []
        address = next((p.router for p in ra.prefixes if p.router is not None), None)
        router = Router(address, item.source, ra.source_lla or item.link_layer, info.prefix)
        coa = form_address(info.prefix, self._c.interface_id)
        assert self._poa is not None
        self._rs = None
        if coa == self.coa:
            self._go(E.ADVERTISED)
            return self._stay(now)
        use = UseRouter(coa, info.prefix.prefixlen, item.source, router.lla)
        if self.coa is None:
            self._go(E.ADVERTISED)
            self.coa, self.router = coa, router
            report = self._reporter.address_changed(coa, None, router.next_hop, None, now)
            return [use, report, *self._settled_at(self._poa, now)]
        return self._moved(coa, router, use, now)

    def _moved(self, coa: IPv6Address, router: Router, use: UseRouter, now: float) -> list[Action]:
        """Plain fallback: the new router made itself known; the PAR is told if it does FMIPv6."""
        assert self.coa is not None
        assert self.router is not None
        assert self._poa is not None
        old, fast = self._handover, self._fast()
        target = self.discovery.target(access_point_id(self._poa))
        if target is not None and target.outcome is Outcome.NO_FAST_HANDOVER:
            fast = False  # 6.1.2, option-code 7
        par = self.router.address or self.router.next_hop
        h = Handover(self._scout.poa, self._poa, self.coa, coa, par, router)
        actions: list[Action] = [old.abandon()] if old is not None and old.ncoa != coa else []
        if fast:
            if old is not None:
                h.fbu_ns, h.exchange = old.fbu_ns, None
            self._go(E.ADVERTISED_MOVED)
            # RFC 5568 section 6.2.2: a node that moved without a PrRtAdv sends no UNA
            return [*actions, use, *self._arrive(h, now, una=False)]
        self._go(E.ADVERTISED)
        before, after = self._tunnels.returned(coa, now)
        actions += [*before, use, *self._release(), *after]
        actions.append(self._reporter.address_changed(coa, h.pcoa, router.next_hop, None, now))
        h.link_down_ns, h.link_up_ns = self._down_ns, self._up_ns
        actions += [h.end(), self._reporter.done(h, now)]
        return actions + self._attach(h, now)

    def _resolve(self, now: float) -> list[Action]:
        """Have the PoAs resolved that were heard of (RFC 5184 appendix B.1)."""
        router = self.router
        at_router = self.state in {S.ATTACHED, S.FBU_SENT, S.REBINDING}
        if not at_router or router is None or router.address is None or not self._c.trusts(router.address):
            return []
        if self._c.mode is Mode.NONE:
            return []
        return self._rtsolpr(self.discovery.want(map(access_point_id, self._scout.poas), now))

    def _rtsolpr(self, message: RtSolPr | None) -> list[Action]:
        if message is None or self.coa is None or self.router is None:
            return []
        return [SendMessage(message, self.coa, self.router.link_local or self.router.next_hop)]

    # messages

    def _received(self, item: Received, now: float) -> list[Action]:
        if item.destination == self.coa:
            self._una = None  # the router delivers here: it has the node
        match item.message:
            case RouterAdvertisement():
                return self._advertised(item.message, item, now)
            case PrRtAdv():
                return self._proxy_advertised(item.message, item, now)
            case FastBindingAck():
                h = self._handover
                if h is not None and h.exchange is not None and self.state is S.FBU_SENT:
                    ack = h.exchange.answered_by(item, insecure=self._c.insecure)
                    if ack is not None:
                        return self._fback(h, ack, now)
                return self._tunnels.received(item, now)
            case _:
                return []

    def _proxy_advertised(self, adv: PrRtAdv, item: Received, now: float) -> list[Action]:
        if self.state not in {S.ATTACHED, S.FBU_SENT, S.REBINDING} or not item.source.is_link_local:
            return []
        assert self.router is not None
        if self.router.link_local not in {None, item.source} or self._c.mode is Mode.NONE:
            return []
        actions = self._rtsolpr(self.discovery.advertised(adv, now))
        ordered = adv.code == PrRtAdvCode.HANDOVER and adv.identifier == 0
        if ordered and self.state is S.ATTACHED and adv.access_points:
            poa = poa_of(adv.access_points[0].access_point)
            if self._reachable(poa):
                return actions + self._leave_for(poa, now)
        return actions

    def _fback(self, h: Handover, ack: FastBindingAck, now: float) -> list[Action]:
        supplied = ack.alternate_coa if ack.status == 1 else h.ncoa
        if ack.status > 1 or supplied is None:
            self._scout.penalise(h.to_poa, now)
            return self._give_up(h)
        actions: list[Action] = []
        if supplied != h.ncoa:  # 4: the MN must use the address that the NAR assigned
            actions.append(h.abandon())
            h.ncoa = supplied
            actions.append(h.prepare())
        h.granted_s, h.fback_ns = ack.lifetime_s, to_ns(now)
        self._go(E.FBACK)
        return actions + self._connect(h.to_poa, now)

    def _binding_updated(self, item: BindingUpdated, now: float) -> list[Action]:
        if self.coa is None or item.coa != str(self.coa) or item.status >= 128 or item.lifetime_s == 0:
            return []
        self._una = None
        return self._tunnels.binding_updated(now)

    # leaving

    def _settle(self, actions: list[Action], now: float) -> list[Action]:
        """After every input: see how the FBU from the new link fared, and ask the policy."""
        tunnel = self._rebinding
        if self.state is not S.REBINDING:
            self._rebinding = None
        elif tunnel is not None and tunnel.state is not TunnelState.PENDING:
            self._rebinding = None
            self._go(_SETTLED[tunnel.state])
        if self.state is not S.ATTACHED or self._c.mode is not Mode.PREDICTIVE:
            return actions
        choice = self._scout.decide(now, self._reachable)
        if choice is Refresh.NEEDED:
            self._scout.asked(now)
            actions.append(RequestPoAList(self._c.link))
        elif isinstance(choice, str):
            actions += self._leave_for(choice, now)
        return actions

    def _leave_for(self, poa: str, now: float) -> list[Action]:
        target = self.discovery.target(access_point_id(poa))
        assert target is not None
        if self._same_router(target):
            self._go(E.ROAM)
            return self._connect(poa, now)
        h = self._handover = self._new_handover(poa, target)
        h.exchange = self._exchange(h.pcoa, h.ncoa, h.par, self._p.fbu_lifetime_s)
        h.fbu_ns = to_ns(now)
        self._tunnels.supersede(h.pcoa)
        self._go(E.MOVE)
        return [h.prepare(), h.exchange.send(h.pcoa, now)]

    def _exchange_timeout(self, now: float) -> list[Action]:
        h = self._handover
        due = h.exchange.next_timeout() if h is not None and h.exchange is not None else None
        if h is None or h.exchange is None or due is None or due > now:
            return []
        again = h.exchange.handle_timeout(now)
        if again is not None:
            return [again]
        self.discovery.give_up()  # 4: it must assume that fast handover is not available
        # the FBU may have come through and only its answers not: then PAR tunnels, and must stop
        return self._give_up(h) + self._tunnels.farewell(h, h.pcoa, 0, now)

    def _give_up(self, h: Handover) -> list[Action]:
        self._handover = None
        self._go(E.REFUSED)
        return [h.abandon()]

    def _connect(self, poa: str, now: float) -> list[Action]:
        if self._handover is not None:
            self._handover.connect_ns = to_ns(now)
        actions = self._hold(now)
        self._hold_until, self._connecting = None, poa
        self._connect_until = now + self._p.connect_timeout_s
        return [*actions, RequestConnect(self._c.link, poa)]

    def _connect_refused(self, item: ConnectRefused, now: float) -> list[Action]:
        # with the link down already, LinkUp anywhere or the timeout says how it goes on
        return self._connect_failed(now) if self._up and item.poa == self._connecting else []

    def _connect_timeout(self, now: float) -> list[Action]:
        if self._up:
            return self._connect_failed(now)
        self._connecting = self._connect_until = None
        self._go(E.WAIT_OVER)
        return self._release()

    def _connect_failed(self, now: float) -> list[Action]:
        assert self._connecting is not None
        self._scout.penalise(self._connecting, now)
        self._go(E.CONNECT_FAILED)
        return self._stay(now)

    # helpers

    def _new_handover(self, poa: str, target: Target) -> Handover:
        assert self.coa is not None
        assert self.router is not None
        assert self.router.address is not None
        assert target.prefix is not None
        nar = Router(target.router, None, target.router_lla, target.prefix)
        ncoa = target.ncoa or form_address(target.prefix, self._c.interface_id)
        return Handover(self._scout.poa, poa, self.coa, ncoa, self.router.address, nar)

    def _exchange(self, pcoa: IPv6Address, ncoa: IPv6Address, par: IPv6Address, life_s: int) -> FbuExchange:
        return FbuExchange(
            pcoa,
            ncoa,
            par,
            lla=self._c.lla,
            lifetime_s=life_s,
            parameters=self._p,
            sequencer=self._sequencer,
        )

    def _fast(self) -> bool:
        """Whether the router that the node comes from does FMIPv6 with it."""
        address = self.router.address if self.router is not None else None
        if address is None or self._c.mode is Mode.NONE or not self._c.trusts(address):
            return False
        return self.discovery.state is not DiscoveryState.UNSUPPORTED

    def _same_router(self, target: Target) -> bool:
        if target.outcome is Outcome.SAME_ROUTER:
            return True
        return self.router is not None and target.prefix == self.router.prefix

    def _reachable(self, poa: str) -> bool:
        target = self.discovery.target(access_point_id(poa))
        if target is None:
            return False
        return self._same_router(target) or (target.outcome is Outcome.TUPLE and self._fast())

    def _hold(self, now: float) -> list[Action]:
        if self.coa is None or self._c.mode is Mode.NONE:
            return []
        self._hold_until = now + self._p.hold_s
        if self._held == self.coa:
            return []
        self._held = self.coa
        return [HoldUplink(self.coa)]

    def _release(self) -> list[Action]:
        held, self._held, self._hold_until = self._held, None, None
        return [ReleaseUplink(held)] if held is not None else []

    def _go(self, event: E) -> None:
        self.state = MOBILE_NODE[self.state, event]


def _usable(info: PrefixInformation) -> bool:
    """Whether an address can be formed from it (RFC 4862 section 5.5.3)."""
    return info.autonomous and info.valid_s > 0 and info.prefix.prefixlen == 64
