"""The previous care-of addresses of a mobile node, each with its PAR's tunnel, until the last grace is over.

After a handover the node keeps PCoA: the PAR tunnels what arrives there, and what the node sends from there
goes back through the PAR. Once the home agent knows NCoA, the tunnel is given a grace (spec/decisions.md):
an FBU with the grace as lifetime, and then its end on both sides. A node that moves fast has several.
"""

from collections.abc import Callable
from ipaddress import IPv6Address
from math import ceil

from attrs import define

from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.exchange import FbuExchange
from lies_fmipv6.handover import Handover, Reporter, to_ns
from lies_fmipv6.items import Received
from lies_fmipv6.messages import FastBindingAck
from lies_fmipv6.parameters import Parameters
from lies_fmipv6.states import TUNNEL, TunnelEvent, TunnelState

_PENDING = TunnelState.PENDING


@define(eq=False)
class Tunnel:
    """One previous care-of address; expires: end of the PAR's lifetime, or of the grace."""

    handover: Handover
    state: TunnelState
    opened: float
    expires: float
    refresh: float | None = None
    exchange: FbuExchange | None = None

    def go(self, event: TunnelEvent) -> None:
        """Change state by the table."""
        self.state = TUNNEL[self.state, event]


class Tunnels:
    """All previous care-of addresses, oldest first, and the last words to their PARs."""

    __slots__ = (
        "_new_exchange",
        "_p",
        "_reporter",
        "_unproven",
        "farewells",
        "kept",
    )

    def __init__(
        self,
        parameters: Parameters,
        new_exchange: Callable[[IPv6Address, IPv6Address, IPv6Address, int, bytes], FbuExchange],
        reporter: Reporter,
        *,
        unproven: bool,
    ) -> None:
        self._p = parameters
        self._new_exchange = new_exchange
        self._reporter = reporter
        self._unproven = unproven
        self.kept: list[Tunnel] = []
        self.farewells: dict[IPv6Address, FbuExchange] = {}  # by pcoa

    def __len__(self) -> int:
        return len(self.kept)

    def open(self, handover: Handover, now: float) -> Tunnel:
        """A handover came to its new link: tunnelled if its FBack was there before, else pending."""
        granted = handover.granted_s
        if granted is not None:
            tunnel = Tunnel(handover, TunnelState.TUNNELLED, now, now)
            self._granted(tunnel, granted, now)
        else:
            tunnel = Tunnel(handover, TunnelState.PENDING, now, now, exchange=handover.exchange)
        self.kept.append(tunnel)
        return tunnel

    def of(self, ncoa: IPv6Address) -> Tunnel | None:
        """The newest one that ends at an address of ours."""
        return next((t for t in reversed(self.kept) if t.handover.ncoa == ncoa), None)

    def keep(self, handover: Handover, expires: float) -> None:
        """Keep a previous care-of address that has no tunnel of ours, until `expires` or a BA's grace."""
        self.kept.append(Tunnel(handover, TunnelState.TUNNELLED, expires, expires))

    def drop(self, tunnel: Tunnel) -> Action:
        """Its near end was given up; pcoa stays, and there is nothing to report yet."""
        tunnel.go(TunnelEvent.NCOA_REFUSED)
        self.kept.remove(tunnel)
        return tunnel.handover.end(keep_address=True)

    def received(self, item: Received, now: float) -> list[Action]:
        """Take an FBack in, if it is one of these conversations'."""
        for pcoa, farewell in list(self.farewells.items()):
            ack = farewell.answered_by(item, now, unproven=self._unproven)
            if ack is not None:
                del self.farewells[pcoa]
                return self._late(pcoa, ack, now)
        for tunnel in self.kept:
            if tunnel.exchange is None:
                continue
            ack = tunnel.exchange.answered_by(item, now, unproven=self._unproven)
            if ack is not None:
                return self._acknowledged(tunnel, ack, now)
        return []

    def binding_updated(self, now: float) -> list[Action]:
        """The home agent sends to the present address: every older one has a grace, and ends."""
        actions: list[Action] = []
        for tunnel in list(self.kept):
            if tunnel.state is TunnelState.CLOSING:
                continue
            h = tunnel.handover
            tunnel.go(TunnelEvent.BINDING_UPDATED)
            tunnel.exchange = tunnel.refresh = None
            tunnel.expires = now + self._p.grace_s
            if not h.kept:
                actions += self.farewell(h, h.ncoa, ceil(self._p.grace_s), now)
            if self._p.grace_s <= 0:
                actions += self._end(tunnel, TunnelEvent.GRACE_OVER, now)
        return actions

    def returned(self, address: IPv6Address, now: float) -> tuple[list[Action], list[Action]]:
        """The node is back where `address` belongs (5.6): what to do before it is used, and after."""
        before: list[Action] = []
        after: list[Action] = []
        for tunnel in [t for t in self.kept if t.handover.pcoa == address]:
            before += self._end(tunnel, TunnelEvent.RETURNED, now, keep_address=True)
            if not tunnel.handover.alone:
                after += self.farewell(tunnel.handover, address, 0, now)
        return before, after

    def farewell(self, h: Handover, source: IPv6Address, lifetime_s: int, now: float) -> list[Action]:
        """Tell a PAR how long its binding of h.pcoa is still of use; repeated until it answers."""
        exchange = self._new_exchange(h.pcoa, h.ncoa, h.par, lifetime_s, h.link.lla)
        self.farewells[h.pcoa] = exchange
        return [exchange.send(source, now)]

    def supersede(self, pcoa: IPv6Address) -> None:
        """A new FBU for pcoa goes out, so older words about it are void."""
        self.farewells.pop(pcoa, None)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        first: float | None = None
        for t in self.kept:
            due = t.exchange.next_timeout() if t.exchange is not None else None
            if due is not None and (first is None or due < first):
                first = due
            if t.refresh is not None and (first is None or t.refresh < first):
                first = t.refresh
            if (first is None or t.expires < first) and t.state is not _PENDING:
                first = t.expires
        for farewell in self.farewells.values():
            due = farewell.next_timeout()
            if due is not None and (first is None or due < first):
                first = due
        return first

    def handle_timeout(self, now: float) -> list[Action]:
        """Repeat, refresh, end."""
        actions: list[Action] = []
        for pcoa, farewell in list(self.farewells.items()):
            due = farewell.next_timeout()
            if due is not None and due <= now:
                again = farewell.handle_timeout(now)
                if again is None:
                    del self.farewells[pcoa]
                else:
                    actions.append(again)
        for tunnel in list(self.kept):
            actions += self._timeout(tunnel, now)
        return actions

    def _timeout(self, tunnel: Tunnel, now: float) -> list[Action]:
        if tunnel.state is not TunnelState.PENDING and tunnel.expires <= now:
            closing = tunnel.state is TunnelState.CLOSING
            return self._end(tunnel, TunnelEvent.GRACE_OVER if closing else TunnelEvent.EXPIRED, now)
        h = tunnel.handover
        if tunnel.refresh is not None and tunnel.refresh <= now:
            tunnel.refresh = None
            tunnel.exchange = self._new_exchange(h.pcoa, h.ncoa, h.par, self._p.fbu_lifetime_s, h.link.lla)
            return [tunnel.exchange.send(h.ncoa, now)]
        due = tunnel.exchange.next_timeout() if tunnel.exchange else None
        if tunnel.exchange is None or due is None or due > now:
            return []
        again = tunnel.exchange.handle_timeout(now)
        if again is not None:
            return [again]
        if tunnel.state is TunnelState.PENDING:
            return self._refused(tunnel, now)
        return []  # a refresh without answer: the lifetime that was granted runs out

    def _acknowledged(self, tunnel: Tunnel, ack: FastBindingAck, now: float) -> list[Action]:
        h = tunnel.handover
        if ack.status == 1 and ack.alternate_coa == h.pcoa and tunnel.state is TunnelState.PENDING:
            h.kept, h.granted_s, h.fback_ns = True, ack.lifetime_s, to_ns(now)
            tunnel.exchange = None
            return []  # lies_fmipv6.imposed sees to it
        # status 1 gives another NCoA, which only an NAR that was asked in advance can do (4)
        if ack.status != 0:
            return self._refused(tunnel, now) if tunnel.state is TunnelState.PENDING else []
        first = tunnel.state is TunnelState.PENDING
        if first:
            tunnel.go(TunnelEvent.FBACK)
            h.mode = "reactive"
            h.fback_ns = to_ns(now)
        tunnel.exchange = None
        self._granted(tunnel, ack.lifetime_s, now)
        return [h.complete(tunnel=True)] if first else []

    def _late(self, pcoa: IPv6Address, ack: FastBindingAck, now: float) -> list[Action]:
        """A tunnel whose BA came before its first FBack: what is held for PCoA can go now."""
        for tunnel in self.kept:
            h = tunnel.handover
            if h.pcoa == pcoa and tunnel.state is TunnelState.CLOSING and h.mode == "none":
                if ack.status != 0 or ack.lifetime_s == 0:
                    return []
                h.mode = "reactive"
                h.fback_ns = to_ns(now)
                return [h.complete(tunnel=True)]
        return []

    def _refused(self, tunnel: Tunnel, now: float) -> list[Action]:
        return self._end(tunnel, TunnelEvent.REFUSED, now)

    def _granted(self, tunnel: Tunnel, lifetime_s: int, now: float) -> None:
        tunnel.expires = now + lifetime_s
        refresh = now + lifetime_s / 2
        tunnel.refresh = refresh if refresh < tunnel.opened + self._p.tunnel_max_s else None

    def _end(
        self, tunnel: Tunnel, event: TunnelEvent, now: float, *, keep_address: bool = False
    ) -> list[Action]:
        tunnel.go(event)
        self.kept.remove(tunnel)
        h = tunnel.handover
        report = [] if h.kept else [self._reporter.done(h, now)]  # a kept one was done when it was kept
        return [h.end(keep_address=keep_address), *report]
