"""A mobile node with several links: fast handovers between them (RFC 5568 knows access routers, not radios).

The other link is connected first (make before break). Then the node has its FBU answered on the link that it
leaves, and announces itself on the other, as after any fast handover; what is on its way still arrives. If
the link breaks before, the FBU goes out from the other one. Where there is no fast handover, the node asks
for a router there, or takes the address that the link has, and Mobile IPv6 does the rest.
"""

from lies.events import (
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    PoAListConfirm,
    PoALost,
)
from lies.link_policy import LinkPolicy, PreferredLinks
from lies.links import LinkWatch, WatchedLink
from lies.timers import earliest
from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.actions import UseLink
from lies_fmipv6.discovery import Outcome, Target
from lies_fmipv6.handover import Handover
from lies_fmipv6.items import AddressFound, Received
from lies_fmipv6.items import MobileNodeItem as Item
from lies_fmipv6.messages import FastBindingAck
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import MobileNodeConfig, Mode, NodeLink, Parameters
from lies_fmipv6.policy import Policy
from lies_fmipv6.states import DiscoveryState
from lies_fmipv6.states import MobileNodeEvent as E
from lies_fmipv6.states import MobileNodeState as S

_LINK_EVENTS = (
    LinkUp,
    LinkDown,
    LinkStatusChanged,
    LinkGoingDown,
    LinkGoingDownCancelled,
    PoAFound,
    PoALost,
)
_ASKED_AHEAD = 3  # of the PoAs that a link which is not up hears: the router is asked about so many
_PREDICTIVE, _NO_FAST = Mode.PREDICTIVE, Mode.NONE


class VerticalNode(MobileNode):
    """A MobileNode on several links, one at a time, by a policy between them.

    Driven by the indications of all of them, by the addresses that other programs give them, and by what
    drives a MobileNode.
    """

    __slots__ = (
        "_before",
        "_failed",
        "_found",
        "_found_at",
        "_found_from",
        "_links",
        "_try_until",
        "_watch",
    )

    def __init__(
        self,
        config: MobileNodeConfig,
        parameters: Parameters | None = None,
        policy: Policy | None = None,
        link_policy: LinkPolicy | None = None,
    ) -> None:
        super().__init__(config, parameters, policy)
        self._links = {link.name: link for link in (self._m.here, *config.others)}
        self._watch = LinkWatch(tuple(self._links), link_policy or PreferredLinks(), self._ready)
        self._before: tuple[NodeLink, str] | None = None  # left to try another without FMIPv6; and its PoA
        self._found: dict[str, AddressFound] = {}
        self._failed: dict[str, float] = {}  # links that are left alone, and until when
        self._try_until = 0.0
        self._found_from = 0.0  # before that a router may still answer
        self._found_at: float | None = None  # when what was found is to be taken

    @property
    def link(self) -> str:
        """The link in use."""
        return self._m.here.name

    def receive(self, item: Item, now: float) -> list[Action]:
        """What follows from an item; of links that are not in use, and for them, the policy hears only."""
        m = self._m
        self._is_due_known = False
        link = ""
        if isinstance(item, _LINK_EVENTS):
            if not self._watch.indicated(item, now):
                return []
            link = item.header.link.name
            if isinstance(item, LinkDown):
                self._gone(link)
            elif isinstance(item, LinkUp) and link == m.here.name:
                self._try_until = now + m.p.connect_timeout_s
        elif isinstance(item, PoAListConfirm):
            link = item.link.name if item.link is not None else ""
            self._watch.listed(link, item.poas)
        elif isinstance(item, Received) and not isinstance(item.message, FastBindingAck):
            link = item.interface
        elif isinstance(item, AddressFound):
            self._found[item.link] = item
            return self._between(now)
        if link not in {"", m.here.name}:
            return self._between(now)
        m.roams = self._roams(now)
        return super().receive(item, now) + self._between(now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        trying = self._before is not None and self._m.state is S.SOLICITING
        until = self._try_until if trying else None
        return earliest(super().next_timeout(), self._watch.next_timeout(), self._found_at, until)

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        self._watch.passed(now)
        self._m.roams = self._roams(now)
        return super().handle_timeout(now) + self._between(now)

    def _ready(self, name: str, state: WatchedLink, now: float) -> bool:
        """It is up; and the one in use has an address, or is about to get one."""
        m = self._m
        if state.poa is None or (self._failed.get(name, now) > now and m.state is not S.DOWN):
            return False
        return name != m.here.name or m.state is not S.SOLICITING or self._before is not None

    def _roams(self, now: float) -> bool:
        """Whether the node moves within its link: the first, unless that is to be left.

        Where another one goes is for its own network to say.
        """
        m = self._m
        return m.here.name == m.c.link and self._watch.choose(now) in {None, m.here.name}

    def _gone(self, link: str) -> None:
        m = self._m
        self._found.pop(link, None)
        if link == m.coa_link.name and m.here is not m.coa_link:
            m.left_works = False

    def _ordered(self, poa: str, now: float) -> list[Action]:
        """The network wants the node there (3.3): on this link, or on another that is up there."""
        m = self._m
        for name, link in self._links.items():
            if link is not m.here and self._watch.states[name].poa == poa:
                self._failed[m.here.name] = now + m.p.penalty_s  # the policy may want to be here again
                return self._leave(link, poa, now)
        return [] if poa in m.elsewhere else super()._ordered(poa, now)

    def _between(self, now: float) -> list[Action]:
        """Ask the policy, and do what it says when that can be done."""
        m = self._m
        self._is_due_known = False
        actions: list[Action] = []
        if self._before is not None and m.state is S.DOWN and self._is_before_up():
            actions += self._back(now)
        if m.state in {S.ATTACHED, S.REBINDING, S.DOWN}:
            self._before = None
        self._watch.current = None if m.coa is None else m.coa_link.name
        h = m.handover
        if m.state is S.SWITCHING and h is not None and h.vertical:
            actions += self._foreseen(h, now)
        chosen, raised = self._watch.decide(now)
        actions += raised
        actions += self._ask(now)
        if chosen is not None:
            actions += self._go_to(chosen, now)
        return actions + self._try_found(now)

    def _ask(self, now: float) -> list[Action]:
        """Have the router tell of the PoAs of other links, those that they hear best if they are not up."""
        m = self._m
        wanted: list[str] = []
        for name, state in self._watch.states.items():
            if name != m.here.name:
                wanted += [state.poa] if state.poa is not None else state.best_poas[:_ASKED_AHEAD]
        m.elsewhere = tuple(wanted)
        return self._resolve(now) if any(m.target(poa) is None for poa in wanted) else []

    def _go_to(self, name: str, now: float) -> list[Action]:
        """Make a link the one in use, as far as that can be done now."""
        m = self._m
        link, state = self._links[name], self._watch.states[name]
        if self._before is not None and m.state is S.SOLICITING:
            over = link is not m.here or now >= self._try_until
            return self._give_up_trying(now) if over else []
        poa = state.poa
        if link is m.here or poa is None or state.moving_until is not None:
            return []
        if m.state is S.ATTACHED:
            return self._leave(link, poa, now)
        if m.state is S.SOLICITING and now >= self._try_until:  # no router has answered there
            m.go(E.LINK_DOWN_NO_ADDRESS if m.coa is None else E.LINK_DOWN)
        # else a handover is under way, and is ended first
        return self._arrive(link, poa, now) if m.state in {S.DOWN, S.DETACHED} else []

    def _leave(self, link: NodeLink, poa: str, now: float) -> list[Action]:
        """Leave a link that works for another that is up."""
        m = self._m
        target = m.target(poa)
        if m.fast() and target is None and m.discovery.state is DiscoveryState.ASKING:
            return []  # the router is about to say
        if not self._is_fast(link, target):
            m.go(E.CHANGE_LINK)
            self._before = m.here, m.poa or ""
            return self._arrive(link, poa, now)
        if m.c.mode is _PREDICTIVE:
            return self._departure.leave_for(poa, now, link)
        m.go(E.CHANGE_LINK)
        return self._arrive(link, poa, now)

    def _is_fast(self, link: NodeLink, target: Target | None) -> bool:
        """Whether there is a fast handover to another link's PoA; a kept PCoA has to go first."""
        m = self._m
        if target is None or target.outcome is not Outcome.TUPLE or target.dhcp or not m.fast():
            return False
        if not link.lla:  # no HI could say who comes
            return False
        assert m.home is not None
        return m.kept is None and target.prefix != m.home.prefix

    def _foreseen(self, h: Handover, now: float) -> list[Action]:
        """The FBack is there: announce the node on the other link, if that is still where it was."""
        m = self._m
        state = self._watch.states[h.link.name]
        if state.poa != h.to_poa or state.moving_until is not None:
            m.go(E.CONNECT_FAILED)
            return m.stay(now)
        return [*self._use(h.link, h.to_poa), *self._arrival.link_up(h.to_poa, now)]

    def _arrive(self, link: NodeLink, poa: str, now: float) -> list[Action]:
        """At another link without an FBack: with an FBU from there, or in search of a router."""
        m = self._m
        target = m.target(poa)
        fast = self._is_fast(link, target)
        h = m.handover
        actions = self._use(link, poa, "" if fast or m.coa is None else self._why(link, target))
        if m.state is S.DETACHED:
            actions += self._arrival.link_up(poa, now)
        elif fast:
            actions += self._arrival.arrive(poa, now)
        else:
            if h is not None:
                actions += h.abandon()
                m.handover = None
            actions += self._arrival.solicit(now)
        if m.state is S.SOLICITING:
            self._try_until = now + m.p.connect_timeout_s
            known = target is not None and target.outcome is not Outcome.UNKNOWN
            self._found_from = now if known else now + m.p.found_wait_s
        return actions

    def _why(self, link: NodeLink, target: Target | None) -> str:
        m = self._m
        if m.c.mode is _NO_FAST:
            return "mode is none"
        if not link.lla:
            return "the link has no link-layer addresses"
        if not m.fast():
            return "this router does no FMIPv6 with the node"
        if target is None or target.outcome is Outcome.UNKNOWN:
            return "this router does not know the router there"
        refused = target.outcome is Outcome.REFUSED
        return "it was refused" if refused else "the router there does no FMIPv6"

    def _use(self, link: NodeLink, poa: str, why: str = "") -> list[Action]:
        """From now on everything is of this link."""
        m = self._m
        state = self._watch.states[link.name]
        m.left_works = m.up and m.state is not S.DOWN  # up, but without a router, is of no use
        if m.left_works:
            m.down_ns = m.up_ns = None  # nothing went down for this, and the other link was up before
        elif state.header is not None:
            m.up_ns = state.header.mono_ns
        m.here, m.up, m.poa = link, True, poa
        m.discovery.lla = link.lla
        m.discovery.stop()
        m.scout.changed_link()
        self._arrival.link_lost()
        if state.header is not None:
            m.reporter.see(state.header)
        return [UseLink(link.name, why)]

    def _try_found(self, now: float) -> list[Action]:
        """Take the address that the link has, if no router has answered by then."""
        m = self._m
        found = self._found.get(m.here.name) if m.state is S.SOLICITING else None
        self._found_at = None
        if found is None:
            return []
        if now < self._found_from:
            self._found_at = self._found_from
            return []
        return super().receive(found, now)

    def _is_before_up(self) -> bool:
        assert self._before is not None
        link, poa = self._before
        return self._watch.states[link.name].poa == poa

    def _give_up_trying(self, now: float) -> list[Action]:
        """No address on the link that was tried, or it is wanted no more: back, if the one before works."""
        m = self._m
        if not self._is_before_up():
            self._try_until = now + m.p.connect_timeout_s
            return []
        self._failed[m.here.name] = now + m.p.penalty_s
        return self._back(now)

    def _back(self, now: float) -> list[Action]:
        """To the link before, which works still; its care-of address was in use all the time."""
        m = self._m
        assert self._before is not None
        (link, poa), self._before = self._before, None
        m.go(E.LINK_UP_SAME_ROUTER if m.state is S.DOWN else E.CHANGE_BACK)
        return [*self._use(link, poa), *m.stay(now)]
