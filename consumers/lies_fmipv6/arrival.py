"""Coming to a link: UNA, FBU from the new link, router discovery where nothing is known (RFC 5568, 4)."""

from ipaddress import IPv6Address

from lies.timers import Backoff, earliest
from lies_fmipv6.actions import ConfigureAddress, SendMessage, UseRouter
from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.discovery import Outcome
from lies_fmipv6.handover import Handover, Router, to_ns
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    PrefixInformation,
    RouterAdvertisement,
    RouterSolicitation,
)
from lies_fmipv6.movement import Movement
from lies_fmipv6.parameters import ALL_ROUTERS, form_address
from lies_fmipv6.states import MobileNodeEvent as E
from lies_fmipv6.states import MobileNodeState as S
from lies_fmipv6.states import TunnelState
from lies_fmipv6.tunnels import Tunnel

_SETTLED = {
    TunnelState.TUNNELLED: E.FBACK,
    TunnelState.CLOSING: E.BINDING_UPDATED,
    TunnelState.ENDED: E.REFUSED,
}


class Arrival:
    """From LinkUp until a care-of address is in use and the PAR, if there is one, has answered.

    rs, una: what is repeated, with its times; rebinding: the tunnel whose FBack is awaited; untold: whose
    NCoA is not reported yet, and until when that may wait. All of them None: nothing is under way.
    """

    __slots__ = (
        "_announced_at",
        "_m",
        "rebinding",
        "rs",
        "una",
        "untold",
    )

    def __init__(self, movement: Movement) -> None:
        self._m = movement
        self.rebinding: Tunnel | None = None
        self.rs: Backoff | None = None
        self.una: tuple[SendMessage, Backoff] | None = None
        self._announced_at: float | None = None
        self.untold: tuple[Handover, float] | None = None

    def link_up(self, poa: str, now: float) -> list[Action]:
        """The link is up at a PoA."""
        m = self._m
        h = m.handover
        if m.state is S.DETACHED:
            return self._solicit(now)
        if m.state is S.SWITCHING and h is not None and h.to_poa == poa:
            return self._prepared(h, now)
        target = m.target(poa)
        if poa == m.scout.poa or (target is not None and m.same_router(target)):
            m.go(E.LINK_UP_SAME_ROUTER)
            home = target is not None and m.comes_home(target)
            return self._home_again(now) if home else m.stay(now)
        if target is None or target.outcome is not Outcome.TUPLE or not m.fast():
            return self._solicit(now)
        if target.dhcp:  # no data from an NCoA that was only formed for the FBU (6.1.2, code 5)
            configure = [ConfigureAddress(m.c.link)] if m.c.dhcp else []
            return [*configure, *self._solicit(now)]
        actions: list[Action] = []
        if h is None or h.to_poa != poa:
            actions += h.abandon() if h is not None else []
            h = m.new_handover(poa, target)
            actions.append(h.prepare())
        m.go(E.LINK_UP_KNOWN)
        return actions + self.rebind(h, now, una=True)

    def link_lost(self) -> None:
        """What was to be repeated on the link is void."""
        self.una = self.rs = self._announced_at = None

    def heard_of(self) -> None:
        """Something came that only comes to a node that the router has: no more UNA."""
        self.una = None

    @property
    def told(self) -> bool:
        """Whether the present address has been reported."""
        return self.untold is None

    def settle(self, now: float) -> list[Action]:
        """See how the FBU from the new link fared, and report the new address as soon as that is known."""
        m, tunnel = self._m, self.rebinding
        if m.state is not S.REBINDING:
            self.rebinding = None
        elif tunnel is not None and tunnel.state is not TunnelState.PENDING:
            self.rebinding = None
            m.go(_SETTLED[tunnel.state])
        return self._tell(now) if self.untold is not None else []

    def _tell(self, now: float) -> list[Action]:
        """What is held leaves through the tunnel before anything leaves another way, but waits no longer."""
        m = self._m
        assert self.untold is not None
        h, until = self.untold
        if m.coa != h.ncoa or h.kept:  # the node has moved on, or has to use another address
            self.untold = None
            return []
        tunnel = m.tunnels.of(h.ncoa)
        waits = tunnel is not None and tunnel.state is TunnelState.PENDING
        if not m.up or (waits and now < until):
            return []
        self.untold = None
        par = h.par if tunnel is not None and tunnel.state is TunnelState.TUNNELLED else None
        return [m.reporter.address_changed(h.ncoa, h.pcoa, h.nar.next_hop, par, now)]

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        rs, una, untold = self.rs, self.una, self.untold
        if una is None and untold is None:
            return rs.due if rs is not None else None
        if rs is None and untold is None:
            return una[1].due if una is not None else None
        tell_at = untold[1] if untold is not None and self._m.up else None
        return earliest(rs.due if rs is not None else None, una[1].due if una is not None else None, tell_at)

    def handle_timeout(self, now: float) -> list[Action]:
        """Repeat RS and UNA."""
        actions: list[Action] = []
        if self.rs is not None and self.rs.due is not None and self.rs.due <= now:
            self.rs.again(now)
            actions.append(self._solicitation())
        if self.una is not None and self.una[1].due is not None and self.una[1].due <= now:
            message, backoff = self.una
            if backoff.again(now):
                actions.append(message)
            else:
                self.una = None
        return actions

    def listens(self, now: float) -> bool:
        """Whether a UNA was sent so lately that an answer to it may come (6.4.6)."""
        return self._announced_at is not None and now - self._announced_at <= self._m.p.naack_window_s

    def configured(self, coa: IPv6Address, now: float) -> list[Action]:
        """DHCP gave an address at a link that is known from a PrRtAdv."""
        m = self._m
        assert m.poa is not None
        target = m.target(m.poa)
        if m.state is not S.SOLICITING or target is None or target.prefix is None or coa not in target.prefix:
            return []
        if m.coa is None or m.home is None:
            return []
        router = Router(target.router, None, target.router_lla, target.prefix)
        use = UseRouter(coa, target.prefix.prefixlen, router.next_hop, router.lla)
        par = m.home.address or m.home.next_hop
        self.rs = None
        return self._moved(Handover(m.scout.poa, m.poa, m.coa, coa, par, router, home=m.home), use, now)

    def advertised(self, ra: RouterAdvertisement, item: Received, now: float) -> list[Action]:
        """A Router Advertisement; it matters only where the router is unknown: link events tell movement."""
        m = self._m
        info = next((p for p in ra.prefixes if _usable(p)), None)
        if m.state is not S.SOLICITING or info is None or ra.lifetime_s == 0:
            return []
        if not item.source.is_link_local:
            return []
        address = next((p.router for p in ra.prefixes if p.router is not None), None)
        router = Router(address, item.source, ra.source_lla or item.link_layer, info.prefix)
        coa = form_address(info.prefix, m.c.interface_id)
        self.rs = None
        if coa == m.coa:
            m.go(E.ADVERTISED)
            return m.stay(now) if m.kept is None else self._home_again(now)
        use = UseRouter(coa, info.prefix.prefixlen, item.source, router.lla)
        assert m.poa is not None
        if m.coa is not None:
            assert m.home is not None
            par = m.home.address or m.home.next_hop
            h = Handover(m.scout.poa, m.poa, m.coa, coa, par, router, home=m.home)
            return self._moved(h, use, now)
        m.go(E.ADVERTISED)
        m.coa, m.router = coa, router
        report = m.reporter.address_changed(coa, None, router.next_hop, None, now)
        return [use, report, *m.look_around(m.poa, now)]

    def _prepared(self, h: Handover, now: float) -> list[Action]:
        """At the new link, with the tunnel already there: UNA first, and all is well."""
        m = self._m
        m.go(E.LINK_UP_PREPARED)
        h.mode = "predictive"
        if h.kept:
            return self.keep(h, now)
        before, after = m.tunnels.returned(h.ncoa, now)
        actions = [self.announce(h, now), *before, h.complete(tunnel=True), *after]
        actions.append(m.reporter.address_changed(h.ncoa, h.pcoa, h.nar.next_hop, h.par, now))
        self._open(h, now)
        return actions + m.attach(h, now)

    def keep(self, h: Handover, now: float) -> list[Action]:
        """At the new link with PCoA, for which the router has a host route (4, item 3)."""
        m = self._m
        h.kept = True
        h.link_down_ns, h.link_up_ns = m.down_ns, m.up_ns
        use = UseRouter(h.pcoa, h.nar.prefix.prefixlen, h.nar.next_hop, h.nar.lla)
        una = self.announce(h, now)
        actions = [una, use, *m.release(), m.reporter.done(h, now), *m.attach(h, now)]
        return [*actions, ConfigureAddress(m.c.link)] if h.dhcp and m.c.dhcp else actions

    def _home_again(self, now: float) -> list[Action]:
        """Back on the link of a PCoA that was used elsewhere (5.6)."""
        m = self._m
        kept, m.kept = m.kept, None
        assert kept is not None
        assert kept.home is not None
        m.router = kept.home
        use = UseRouter(kept.pcoa, kept.home.prefix.prefixlen, kept.home.next_hop, kept.home.lla)
        m.discovery.reset()
        return [use, *m.stay(now), *m.tunnels.farewell(kept, kept.pcoa, 0, now)]

    def rebind(self, h: Handover, now: float, *, una: bool, tell: bool = False) -> list[Action]:
        """At the new link without an FBack: UNA, then the FBU from there (4); tell: report NCoA at once."""
        m = self._m
        h.granted_s = None
        before, after = m.tunnels.returned(h.ncoa, now)
        actions: list[Action] = [self.announce(h, now)] if una else []
        actions += [*before, h.complete(tunnel=False)]
        if h.exchange is None:
            h.exchange = m.exchange(h.pcoa, h.ncoa, h.par, m.p.fbu_lifetime_s)
        m.tunnels.supersede(h.pcoa)
        if h.fbu_ns is None:
            h.fbu_ns = to_ns(now)
        actions += [h.exchange.send(h.ncoa, now), *after]
        self.untold = h, now + (0.0 if tell else m.p.report_wait_s)
        self.rebinding = self._open(h, now)
        return actions + m.attach(h, now)

    def _moved(self, h: Handover, use: UseRouter, now: float) -> list[Action]:
        """Plain fallback: the new router made itself known; the PAR is told if it does FMIPv6."""
        m = self._m
        old, fast = m.handover, m.fast()
        target = m.target(h.to_poa)
        if target is not None and target.outcome is Outcome.NO_FAST_HANDOVER:
            fast = False  # 6.1.2, option-code 7
        # what was prepared for the same address is completed behind the FBU; without one it is of no use
        void = old is not None and (old.ncoa != h.ncoa or not fast)
        actions: list[Action] = [*old.abandon()] if old is not None and void else []
        if fast:
            h.fbu_ns = old.fbu_ns if old is not None else None
            m.go(E.ADVERTISED_MOVED)
            # 6.2.2: a node that moved without a PrRtAdv sends no UNA
            return [*actions, use, *self.rebind(h, now, una=False)]
        m.go(E.ADVERTISED)
        before, after = m.tunnels.returned(h.ncoa, now)
        actions += [*before, use, *m.release(), *after]
        actions.append(m.reporter.address_changed(h.ncoa, h.pcoa, h.nar.next_hop, None, now))
        h.link_down_ns, h.link_up_ns = m.down_ns, m.up_ns
        actions += [h.end(), m.reporter.done(h, now)]
        return actions + m.attach(h, now)

    def announce(self, h: Handover, now: float) -> SendMessage:
        """Say UNA, and again until there is a sign that the router has the node."""
        m = self._m
        h.una_ns = to_ns(now)
        self._announced_at = now
        message = h.announce(m.c.lla)
        self.una = (message, Backoff(now, m.p.una_first_wait_s, retries=m.p.una_repeats))
        return message

    def _open(self, h: Handover, now: float) -> Tunnel:
        m = self._m
        h.link_down_ns, h.link_up_ns = m.down_ns, m.up_ns
        return m.tunnels.open(h, now)

    def _solicit(self, now: float) -> list[Action]:
        m = self._m
        m.go(E.LINK_UP_UNKNOWN)
        m.connecting = m.connect_until = None
        if m.held is not None:
            m.hold_until = now + m.p.hold_s
        self.rs = Backoff(now, m.p.rs_first_wait_s, retries=None, max_s=m.p.rs_max_wait_s)
        return [self._solicitation()]

    def _solicitation(self) -> SendMessage:
        c = self._m.c
        return SendMessage(RouterSolicitation(c.lla), c.link_local, ALL_ROUTERS)


def _usable(info: PrefixInformation) -> bool:
    """Whether an address can be formed from it (RFC 4862 section 5.5.3)."""
    return info.autonomous and info.valid_s > 0 and info.prefix.prefixlen == 64
