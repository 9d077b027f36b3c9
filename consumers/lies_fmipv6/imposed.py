"""Addresses that the new router imposes: its answer to a UNA, PCoA kept in use (RFC 5568, 4 and 6.4.6)."""

from ipaddress import IPv6Address

from attrs import evolve

from lies.timers import earliest
from lies_fmipv6.actions import DropAddress, HoldUplink, UseRouter
from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.arrival import Arrival
from lies_fmipv6.exchange import FbuExchange
from lies_fmipv6.handover import Handover
from lies_fmipv6.items import Received
from lies_fmipv6.messages import Naack, NaackStatus, RouterAdvertisement
from lies_fmipv6.movement import Movement
from lies_fmipv6.parameters import other_address
from lies_fmipv6.states import MobileNodeEvent as E
from lies_fmipv6.states import MobileNodeState as S


class Imposed:
    """Follows NAACK, and sees to it that a kept PCoA is succeeded by an address of the new link."""

    __slots__ = (
        "_arrival",
        "_attempt",
        "_exchange",
        "_m",
        "_own_at",
        "_until",
        "known",
    )

    def __init__(self, movement: Movement, arrival: Arrival) -> None:
        self._m = movement
        self._arrival = arrival
        self._exchange: FbuExchange | None = None  # NAACK 3: the FBU that names the NAR
        self.known: Handover | None = None  # the kept one that the times below are of
        self._own_at: float | None = None
        self._until = 0.0
        self._attempt = 0

    def advertised(self, ra: RouterAdvertisement, item: Received, now: float) -> list[Action]:
        """A Router Advertisement with a NAACK; it counts for the address that it is sent to."""
        m = self._m
        if ra.naack is None or m.state not in {S.ATTACHED, S.REBINDING} or m.router is None:
            return []
        if item.destination != m.coa or not item.source.is_link_local or not self._arrival.listens(now):
            return []
        if m.router.lla not in {None, ra.source_lla, item.link_layer}:
            return []  # of another router on the link
        return self._follow(ra.naack, item.destination, now)

    def check(self, now: float) -> list[Action]:
        """An FBack from the old router said that PCoA stays (HAck code 3)."""
        m = self._m
        tunnel = m.tunnels.of(m.coa) if m.coa is not None else None
        if tunnel is None or not tunnel.handover.kept or m.state is not S.REBINDING:
            return []
        tunnel.handover.mode = "reactive"
        m.go(E.NAACK_SETTLED)
        return self._keep(tunnel.handover, now)

    def duplicate(self, coa: IPv6Address, now: float) -> list[Action]:
        """Another node of the link has the present address (RFC 4862 section 5.4): as NAACK 1."""
        m = self._m
        tunnel = m.tunnels.of(coa)
        h = tunnel.handover if tunnel is not None and not tunnel.handover.kept else None
        return self._change(coa, self._formed(), h, now)

    def received(self, item: Received, now: float) -> bool:
        """Take the FBack of an FBU that named the NAR; False if it is none."""
        if self._exchange is None:
            return False
        ack = self._exchange.answered_by(item, now, unproven=self._m.c.unproven)
        if ack is None:
            return False
        self._until = now + ack.lifetime_s
        self._own_at = now + ack.lifetime_s / 2
        self._exchange = None
        return True

    def configured(self, address: IPv6Address, now: float) -> list[Action]:
        """DHCP, or this node itself, has an address of the present link."""
        m = self._m
        router, kept = m.router, m.kept
        if kept is None or router is None or address not in router.prefix or m.state is not S.ATTACHED:
            return []
        self._own_at = None
        m.kept = None
        m.coa = address
        use = UseRouter(address, router.prefix.prefixlen, router.next_hop, router.lla)
        m.tunnels.keep(evolve(kept, ncoa=address), self._until)
        # PCoA serves, by its router, until the home agent knows the new one
        return [use, m.reporter.address_changed(address, kept.pcoa, router.next_hop, kept.par, now)]

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        if self._m.kept is None:
            return None
        return earliest(self._own_at, self._exchange.next_timeout() if self._exchange else None)

    def handle_timeout(self, now: float) -> list[Action]:
        """Repeat the FBU, and succeed a kept PCoA before its time is over."""
        m = self._m
        self._catch_up()
        actions: list[Action] = []
        due = self._exchange.next_timeout() if self._exchange else None
        if self._exchange is not None and due is not None and due <= now:
            again = self._exchange.handle_timeout(now)
            if again is not None:
                actions.append(again)
            else:
                self._exchange = None
        if self._own_at is not None and self._own_at <= now and m.state is S.ATTACHED:
            actions += self.configured(self._formed(), now)
        elif self._own_at is not None and self._own_at <= now:
            self._own_at = now + m.p.poll_s  # it is just moving
        return actions

    def kept(self, now: float) -> None:
        """PCoA is kept from now on, for as long as the PAR granted or would be asked for."""
        kept = self._m.kept
        if kept is self.known:
            return
        if kept is None:
            self._catch_up()
            return
        self.known, self._exchange = kept, None
        life_s = kept.granted_s if kept.granted_s is not None else self._m.p.fbu_lifetime_s
        self._until = now + life_s
        self._own_at = None if kept.dhcp else now + life_s / 2

    def _catch_up(self) -> None:
        if self._m.kept is None:
            self._own_at = self._exchange = self.known = None

    def _follow(self, naack: Naack, coa: IPv6Address, now: float) -> list[Action]:
        m = self._m
        tunnel = m.tunnels.of(coa)
        h = tunnel.handover if tunnel is not None and not tunnel.handover.kept else None
        assert m.router is not None
        actions: list[Action] = []
        match naack.status:
            case NaackStatus.PCOA_SUPPLIED if h is not None:
                actions = self._settle_on(h, now)
            case NaackStatus.USE_SUPPLIED if h is not None and naack.ncoa == h.pcoa:
                actions = self._settle_on(h, now)
            case NaackStatus.USE_NAR_ADDRESS if h is not None and h.nar.address is not None:
                actions = self._settle_on(h, now, h.nar.address)
            case NaackStatus.USE_SUPPLIED if naack.ncoa is not None and naack.ncoa in m.router.prefix:
                actions = self._change(coa, naack.ncoa, h, now)
            case NaackStatus.CONFIGURE:
                actions = self._change(coa, self._formed(), h, now)
            case NaackStatus.LLA_UNRECOGNIZED:
                actions = self._start_anew(coa, h, now)
        return actions

    def _change(self, old: IPv6Address, new: IPv6Address, h: Handover | None, now: float) -> list[Action]:
        """Another address of the same link, and an FBU with it."""
        m = self._m
        tunnel = m.tunnels.of(old)
        if new == old:
            return []
        if h is None or tunnel is None:
            m.go(E.NAACK_SETTLED)
            return self._replace(old, new, now)
        m.go(E.NAACK_ELSEWHERE)
        told = self._arrival.told  # then others use the address that goes
        other = evolve(h, ncoa=new, exchange=None, granted_s=None, fbu_ns=None, fback_ns=None, mode="none")
        ended = m.tunnels.drop(tunnel)
        steps: list[Action] = [ended, HoldUplink(h.pcoa), other.prepare(), DropAddress(old)]
        return steps + self._arrival.rebind(other, now, una=True, tell=told)

    def _settle_on(self, h: Handover, now: float, nar: IPv6Address | None = None) -> list[Action]:
        """PCoA stays; nar: to be named in an FBU (status 3), without it none is sent (status 4)."""
        m = self._m
        m.go(E.NAACK_SETTLED)
        if h.mode == "none":
            h.mode = "reactive"
        actions = self._keep(h, now)
        if nar is not None and m.c.trusts(h.par):
            self._exchange = m.exchange(h.pcoa, nar, h.par, m.p.fbu_lifetime_s, h.link.lla)
            actions.append(self._exchange.send(h.pcoa, now))
        return actions

    def _keep(self, h: Handover, now: float) -> list[Action]:
        m = self._m
        tunnel = m.tunnels.of(h.ncoa)
        ended = [m.tunnels.drop(tunnel)] if tunnel is not None else []
        back = m.reporter.address_changed(h.pcoa, h.ncoa, h.nar.next_hop, None, now)
        kept = self._arrival.keep(h, now)
        self.kept(now)
        return [*ended, DropAddress(h.ncoa), *kept, back]

    def _start_anew(self, old: IPv6Address, h: Handover | None, now: float) -> list[Action]:
        """The router does not know this node's link-layer address: neither NCoA nor PCoA may be used."""
        m = self._m
        m.go(E.NAACK_SETTLED)
        tunnel = m.tunnels.of(old)
        ended: list[Action] = []
        if h is not None and tunnel is not None:
            m.tunnels.drop(tunnel)
            ended = [h.end(), m.reporter.done(h, now)]
        return ended + self._replace(old, self._formed(), now)

    def _replace(self, old: IPv6Address, new: IPv6Address, now: float) -> list[Action]:
        m = self._m
        assert m.router is not None
        m.coa = new
        use = UseRouter(new, m.router.prefix.prefixlen, m.router.next_hop, m.router.lla)
        changed = m.reporter.address_changed(new, old, m.router.next_hop, None, now)
        return [use, DropAddress(old), changed]

    def _formed(self) -> IPv6Address:
        """An address of the present link that was not tried yet (RFC 4862 section 5.3)."""
        m = self._m
        assert m.router is not None
        self._attempt += 1
        return other_address(m.router.prefix, m.here.lla, self._attempt)
