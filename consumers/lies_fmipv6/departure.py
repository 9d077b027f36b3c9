"""Leaving a link: the policy's word, FBU and FBack from the old link, LinkConnect (RFC 5568 section 4)."""

from lies_fmipv6.actions import ExpectLinkUp, RequestConnect, RequestPoAList
from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.handover import Handover, to_ns
from lies_fmipv6.items import ConnectRefused, Received, access_point_id
from lies_fmipv6.messages import FastBindingAck
from lies_fmipv6.movement import Movement
from lies_fmipv6.parameters import Mode, NodeLink
from lies_fmipv6.scout import Refresh
from lies_fmipv6.states import MobileNodeEvent as E
from lies_fmipv6.states import MobileNodeState as S

_ATTACHED, _PREDICTIVE = S.ATTACHED, Mode.PREDICTIVE


class Departure:
    """From the decision to leave until the link is gone, or the node stays after all."""

    __slots__ = ("_m",)

    def __init__(self, movement: Movement) -> None:
        self._m = movement

    def consider(self, now: float) -> list[Action]:
        """Ask the policy."""
        m = self._m
        if m.scout.content or m.state is not _ATTACHED or m.c.mode is not _PREDICTIVE:
            return []
        if not m.roams:
            m.scout.poll_at = None
            return []
        choice = m.scout.decide(now, m.reachable)
        if choice is Refresh.NEEDED:
            m.scout.asked(now)
            return [RequestPoAList(m.here.name)]
        return self.leave_for(choice, now) if isinstance(choice, str) else []

    def leave_for(self, poa: str, now: float, link: NodeLink | None = None) -> list[Action]:
        """Begin to move: FBU from PCoA, or straight away where the router stays the same.

        link: another one, which is up at that PoA.
        """
        m = self._m
        target = m.target(poa)
        assert target is not None
        if link is None and m.same_router(target):
            m.go(E.ROAM)
            return self._connect(poa, now)
        h = m.handover = m.new_handover(poa, target, link)
        h.exchange = m.exchange(h.pcoa, h.ncoa, h.par, m.p.fbu_lifetime_s, h.link.lla)
        h.fbu_ns = to_ns(now)
        m.tunnels.supersede(h.pcoa)
        m.go(E.MOVE)
        # building takes its time in the kernel; the FBU need not wait for it
        return [h.exchange.send(h.pcoa, now), h.prepare()]

    def received(self, item: Received, now: float) -> list[Action] | None:
        """Take an FBack in; None if it is none of this departure."""
        m = self._m
        h = m.handover
        if h is None or h.exchange is None or m.state is not S.FBU_SENT:
            return None
        ack = h.exchange.answered_by(item, now, unproven=m.c.unproven)
        return self._fback(h, ack, now) if ack is not None else None

    def connect_refused(self, item: ConnectRefused, now: float) -> list[Action]:
        """LinkConnect did not work; with the link down already, LinkUp or the timeout tells what follows."""
        m = self._m
        return self._connect_failed(now) if m.up and item.poa == m.connecting else []

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        m = self._m
        h = m.handover
        fbu = h.exchange.next_timeout() if h is not None and h.exchange is not None else None
        first = m.hold_until
        if fbu is not None and (first is None or fbu < first):
            first = fbu
        if m.connect_until is not None and (first is None or m.connect_until < first):
            first = m.connect_until
        poll_at = m.scout.poll_at
        if poll_at is not None and m.state is _ATTACHED and (first is None or poll_at < first):
            return poll_at
        return first

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        m = self._m
        actions = self._fbu_timeout(now)
        if m.connect_until is not None and m.connect_until <= now:
            actions += self._connect_timeout(now)
        if m.hold_until is not None and m.hold_until <= now:
            actions += m.release()
        return actions

    def _fback(self, h: Handover, ack: FastBindingAck, now: float) -> list[Action]:
        m = self._m
        supplied = ack.alternate_coa if ack.status == 1 else h.ncoa
        if ack.status > 1 or supplied is None:
            m.scout.penalise(h.to_poa, now)
            if h.vertical:
                m.discovery.refuse(access_point_id(h.to_poa))
            return self._give_up(h)
        if h.vertical and supplied == h.pcoa:  # an address stays on its own link
            m.discovery.refuse(access_point_id(h.to_poa))
            return self._give_up(h) + m.tunnels.farewell(h, h.pcoa, 0, now)
        actions: list[Action] = []
        if supplied == h.pcoa or h.dhcp:  # the NAR has a host route for PCoA (4, item 3; 6.1.2, code 5)
            actions += h.abandon()
            h.kept = True
        elif supplied != h.ncoa:  # 4: the MN must use the address that the NAR assigned
            actions += h.abandon()
            h.ncoa = supplied
            actions.append(h.prepare())
        h.granted_s, h.fback_ns = ack.lifetime_s, to_ns(now)
        m.go(E.FBACK)
        if h.vertical:  # the other link is up
            return actions
        actions += self._connect(h.to_poa, now)
        if h.kept:
            return actions
        return [*actions, ExpectLinkUp(h.to_poa, h.announce(), h.complete(tunnel=True))]

    def _fbu_timeout(self, now: float) -> list[Action]:
        m = self._m
        h = m.handover
        due = h.exchange.next_timeout() if h is not None and h.exchange is not None else None
        if h is None or h.exchange is None or due is None or due > now:
            return []
        again = h.exchange.handle_timeout(now)
        if again is not None:
            return [again]
        m.discovery.give_up()  # 4: it must assume that fast handover is not available
        # the FBU may have come through and only its answers not: then PAR tunnels, and must stop
        return self._give_up(h) + m.tunnels.farewell(h, h.pcoa, 0, now)

    def _give_up(self, h: Handover) -> list[Action]:
        self._m.handover = None
        self._m.go(E.REFUSED)
        return [*h.abandon()]

    def _connect(self, poa: str, now: float) -> list[Action]:
        m = self._m
        if m.handover is not None:
            m.handover.connect_ns = to_ns(now)
        actions = m.hold(now)
        m.hold_until, m.connecting = None, poa
        m.connect_until = now + m.p.connect_timeout_s
        return [*actions, RequestConnect(m.here.name, poa)]

    def _connect_timeout(self, now: float) -> list[Action]:
        m = self._m
        if m.up:
            return self._connect_failed(now)
        m.connecting = m.connect_until = None
        m.go(E.WAIT_OVER)
        return m.release()

    def _connect_failed(self, now: float) -> list[Action]:
        m = self._m
        assert m.connecting is not None
        m.scout.penalise(m.connecting, now)
        m.go(E.CONNECT_FAILED)
        return m.stay(now)
