"""The mobile node's engine of Mobile IPv6: one home registration (RFC 6275 sections 11.7 and 11.8)."""

from ipaddress import IPv6Address
from typing import assert_never

from lies.events import BindingUpdated, CareOfAddressChanged, Header
from lies.packet import read_address, text_of
from lies.timers import Backoff
from lies_mipv6.actions import AcceptCareOf, DropCareOf, Publish, SendMessage, UseTunnel
from lies_mipv6.actions import MobileNodeAction as Action
from lies_mipv6.items import LinkMoved, Received
from lies_mipv6.items import MobileNodeItem as Item
from lies_mipv6.messages import BAStatus, BindingAcknowledgement, BindingUpdate
from lies_mipv6.parameters import MobileNodeConfig, Parameters
from lies_mipv6.states import MOBILE_NODE
from lies_mipv6.states import MobileNodeEvent as E
from lies_mipv6.states import MobileNodeState as S

_REFUSED = 128  # BA status from which on a BU was refused (6.1.8)
_NS = 1_000_000_000
_PASSING = {BAStatus.UNSPECIFIED, BAStatus.INSUFFICIENT_RESOURCES}  # may go better later


class MobileNode:
    """Keeps the home agent informed of the care-of address, and the tunnel's source right.

    Driven by CareOfAddressChanged reports, moves between links, Binding Acknowledgements and time. While the
    previous care-of address works, through a PAR's tunnel or on another link, it stays the source of the
    tunnel to the home agent until the BA.
    """

    __slots__ = (
        "_accepted",
        "_backoff",
        "_c",
        "_expires",
        "_header",
        "_outstanding",
        "_p",
        "_refresh",
        "_send_at",
        "_sent",
        "_sequence",
        "_tunnel_coa",
        "coa",
        "state",
    )

    def __init__(self, config: MobileNodeConfig, parameters: Parameters | None = None) -> None:
        self.state = S.IDLE
        self.coa: IPv6Address | None = None
        self._c = config
        self._p = parameters or Parameters()
        self._sequence = (config.first_sequence - 1) & 0xFFFF  # of the last BU
        self._tunnel_coa: IPv6Address | None = None
        self._accepted: dict[IPv6Address, float | None] = {}  # coa -> when it is dropped
        self._outstanding: dict[int, float] = {}  # sequence -> when it was sent
        self._sent: list[float] = []  # the latest max_update_rate
        self._backoff: Backoff | None = None
        self._send_at: float | None = None  # a BU that the rate limit holds back
        self._refresh: float | None = None
        self._expires: float | None = None
        self._header: Header | None = None

    def receive(self, item: Item, now: float) -> list[Action]:
        """What follows from a new care-of address or a message."""
        match item:
            case CareOfAddressChanged():
                return self._care_of(item, now, before_works=item.tunnel_from is not None)
            case LinkMoved(report, before_works):
                if read_address(report.coa) == self.coa and not before_works:
                    return self._hurry()
                return self._care_of(report, now, before_works=before_works)
            case Received():
                return self._received(item, now)
            case _:
                assert_never(item)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        first = self._send_at
        if first is None and self._backoff is not None:
            first = self._backoff.due
        if self._refresh is not None and (first is None or self._refresh < first):
            first = self._refresh
        for drop_at in self._accepted.values():
            if drop_at is not None and (first is None or drop_at < first):
                first = drop_at
        return first

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        actions: list[Action] = []
        for coa, drop_at in list(self._accepted.items()):
            if drop_at is not None and drop_at <= now:
                del self._accepted[coa]
                actions.append(DropCareOf(coa))
        if self._send_at is not None:
            if self._send_at <= now:
                self._backoff = self._first_wait(now)
                actions += self._send(now)
        elif self._backoff is not None and self._backoff.due is not None and self._backoff.due <= now:
            self._go(E.RETRANSMIT)
            self._backoff.again(now)
            actions += self._send(now)
        if self._refresh is not None and self._refresh <= now:
            self._go(E.REFRESH)
            actions += self._register(now)
        return actions

    def _hurry(self) -> list[Action]:
        """The address before works no more: the home agent's answer is not awaited."""
        if self.coa is None or self._tunnel_coa == self.coa:
            return []
        return [self._use_tunnel(self.coa)]

    def _care_of(self, report: CareOfAddressChanged, now: float, *, before_works: bool) -> list[Action]:
        self._header = report.header
        coa = read_address(report.coa)
        if coa == self.coa:
            return []
        self._go(E.CARE_OF)
        self.coa = coa
        self._accepted.pop(coa, None)
        self._accepted[coa] = None
        actions: list[Action] = [AcceptCareOf(coa, self._c.home_agent), *self._register(now)]
        # the BU goes first, so that the home agent knows coa when the first packet comes from there
        if self._tunnel_coa is None or not before_works:
            actions.append(self._use_tunnel(coa))
        return actions

    def _use_tunnel(self, coa: IPv6Address) -> Action:
        previous, self._tunnel_coa = self._tunnel_coa, coa
        return UseTunnel(self._c.home_address, self._c.home_agent, coa, previous)

    def _register(self, now: float) -> list[Action]:
        self._backoff = self._first_wait(now)
        self._refresh = None
        self._outstanding.clear()  # an answer about another care-of address says nothing about this one
        return self._send(now)

    def _first_wait(self, now: float) -> Backoff:
        bound = self._expires is not None and self._expires > now
        first = self._p.initial_bindack_timeout_s if bound else self._p.first_bindack_timeout_s
        return Backoff(now, first, retries=None, max_s=self._p.max_bindack_timeout_s)

    def _send(self, now: float) -> list[Action]:
        """A BU, each with a new number (11.8); later if there were too many."""
        self._send_at = None
        if len(self._sent) == self._p.max_update_rate and self._sent[0] + 1.0 > now:
            self._send_at = self._sent[0] + 1.0
            return []
        assert self.coa is not None
        self._sent = [*self._sent, now][-self._p.max_update_rate :]
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._outstanding[self._sequence] = now
        update = BindingUpdate(
            sequence=self._sequence,
            lifetime_s=self._p.lifetime_s,
            home_address=self._c.home_address,
            alternate_coa=self.coa,
            link_local=self._c.link_local,
        )
        return [SendMessage(update, self.coa, self._c.home_agent)]

    def _received(self, item: Received, now: float) -> list[Action]:
        ack = item.message
        if not isinstance(ack, BindingAcknowledgement) or self.state is not S.REGISTERING:
            return []
        trusted = item.source.packed == self._c.home_agent.packed and (item.authenticated or self._c.insecure)
        home = ack.home_address
        if not trusted or (home is not None and home != self._c.home_address):
            return []
        if ack.status == BAStatus.SEQUENCE_OUT_OF_WINDOW:
            self._go(E.RESYNC)
            self._sequence = ack.sequence
            return self._send(now)
        sent = self._outstanding.get(ack.sequence)
        if sent is None:
            return []
        if ack.status >= _REFUSED or ack.lifetime_s == 0:
            return self._refused(ack, sent, now)
        return self._acknowledged(ack, sent, now)

    def _acknowledged(self, ack: BindingAcknowledgement, sent: float, now: float) -> list[Action]:
        assert self.coa is not None
        self._go(E.ACCEPTED)
        self._backoff = self._send_at = None
        self._outstanding.clear()
        # 11.7.3: the granted lifetime counts from the sending of the BU
        self._expires = sent + ack.lifetime_s
        self._refresh = max(now, sent + ack.lifetime_s * self._p.refresh_fraction)
        others = [c for c in self._accepted if c != self.coa]  # the one in use before is the last
        previous = others[-1] if others else None
        actions: list[Action] = []
        if self._tunnel_coa != self.coa:
            previous = self._tunnel_coa
            actions.append(self._use_tunnel(self.coa))
        for coa in others:
            if self._p.grace_s > 0:
                self._accepted[coa] = now + self._p.grace_s
            else:
                del self._accepted[coa]
                actions.append(DropCareOf(coa))
        return [*actions, self._report(ack, previous, sent, now)]

    def _refused(self, ack: BindingAcknowledgement, sent: float, now: float) -> list[Action]:
        report = self._report(ack, None, sent, now)
        if ack.status in _PASSING or ack.status < _REFUSED:
            self._go(E.LATER)
            slow = self._p.max_bindack_timeout_s
            self._backoff = Backoff(now, slow, retries=None, max_s=slow)
        else:
            self._go(E.REFUSED)
            self._backoff = self._send_at = None
        return [report]

    def _report(
        self, ack: BindingAcknowledgement, previous: IPv6Address | None, sent: float, now: float
    ) -> Publish:
        coa = self.coa
        assert self._header is not None
        assert coa is not None
        ns = round(now * _NS)
        old = self._header
        header = Header("", 0, 0, ns, ns + old.wall_ns - old.mono_ns, old.link)
        return Publish(
            BindingUpdated(
                header,
                text_of(self._c.home_address),
                text_of(self._c.home_agent),
                text_of(coa),
                text_of(previous) if previous is not None else None,
                ack.status,
                ack.lifetime_s,
                round(sent * _NS),
                ns,
            )
        )

    def _go(self, event: E) -> None:
        self.state = MOBILE_NODE[self.state, event]
