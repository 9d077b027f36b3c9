"""Where a mobile node is, what it has there, and the steps that arrival and departure share."""

from ipaddress import IPv6Address

from lies_fmipv6.actions import HoldUplink, ReleaseUplink, RequestPoAList
from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.discovery import Discovery, Outcome, Target
from lies_fmipv6.exchange import FbuExchange, Sequencer
from lies_fmipv6.handover import Handover, Reporter, Router, to_ns
from lies_fmipv6.items import access_point_id
from lies_fmipv6.parameters import MobileNodeConfig, Mode, NodeLink, Parameters, form_address
from lies_fmipv6.policy import Policy
from lies_fmipv6.scout import Scout
from lies_fmipv6.states import MOBILE_NODE, DiscoveryState
from lies_fmipv6.states import MobileNodeEvent as E
from lies_fmipv6.states import MobileNodeState as S
from lies_fmipv6.tunnels import Tunnels


class Movement:
    """State of one mobile node; shared by lies_fmipv6.arrival and lies_fmipv6.departure.

    up, poa: as of the last link event (poa stays after LinkDown); connecting: the PoA of a LinkConnect under
    way; held: the care-of address whose uplink is held; kept: the handover by which the care-of address is
    still that of an earlier router's link; here: the link in use, coa_link: that of the care-of address;
    elsewhere: PoAs of other links; left_works: the link that was left for this one is up; roams: the policy
    within the link is asked.
    """

    __slots__ = (
        "_sequencer",
        "c",
        "coa",
        "coa_link",
        "connect_until",
        "connecting",
        "discovery",
        "down_ns",
        "elsewhere",
        "handover",
        "held",
        "here",
        "hold_until",
        "kept",
        "left_works",
        "p",
        "poa",
        "reporter",
        "roams",
        "router",
        "scout",
        "state",
        "tunnels",
        "up",
        "up_ns",
    )

    def __init__(self, config: MobileNodeConfig, parameters: Parameters, policy: Policy) -> None:
        self.c = config
        self.here = self.coa_link = config.first
        self.elsewhere: tuple[str, ...] = ()
        self.left_works = False
        self.roams = True
        self.p = parameters
        self.state = S.DETACHED
        self.coa: IPv6Address | None = None
        self.router: Router | None = None
        self.handover: Handover | None = None
        self.kept: Handover | None = None
        self.reporter = Reporter()
        self.scout = Scout(policy, parameters)
        self.discovery = Discovery(config.lla, parameters)
        self.tunnels = Tunnels(parameters, self.exchange, self.reporter, unproven=config.unproven)
        self.up = False
        self.poa: str | None = None
        self.down_ns: int | None = None
        self.up_ns: int | None = None
        self.connecting: str | None = None
        self.connect_until: float | None = None
        self.held: IPv6Address | None = None
        self.hold_until: float | None = None
        self._sequencer = Sequencer(config.first_sequence)

    def go(self, event: E) -> None:
        """Change state by the table."""
        self.state = MOBILE_NODE[self.state, event]

    # steps

    def hold(self, now: float) -> list[Action]:
        """The link goes, or went: keep what is sent."""
        if self.coa is None or self.c.mode is Mode.NONE:
            return []
        self.hold_until = now + self.p.hold_s
        if self.held == self.coa:
            return []
        self.held = self.coa
        return [HoldUplink(self.coa)]

    def sent(self, sequence: int, now: float) -> None:
        """An FBU left: the time of the first one of a handover is reported."""
        for h in (self.handover, *(tunnel.handover for tunnel in self.tunnels.kept)):
            if h is not None and h.exchange is not None and h.exchange.began_with(sequence):
                h.fbu_ns = to_ns(now)

    def release(self) -> list[Action]:
        """Let go what is held."""
        held, self.held, self.hold_until = self.held, None, None
        return [ReleaseUplink(held)] if held is not None else []

    def attach(self, h: Handover, now: float) -> list[Action]:
        """The new link is the present one."""
        self.coa, self.router, self.handover = h.pcoa if h.kept else h.ncoa, h.nar, None
        self.coa_link = self.here
        self.kept = h if h.kept else None
        self.held = self.hold_until = self.connect_until = self.connecting = None
        self.discovery.reset()
        return self.look_around(h.to_poa, now)

    def stay(self, now: float) -> list[Action]:
        """Still, or again, at the same router: what was begun is undone (RFC 5568 section 5.6)."""
        actions = self.release()
        h, self.handover, self.connecting, self.connect_until = self.handover, None, None, None
        if h is not None:
            actions += h.abandon()
            if h.fbu_ns is not None:
                actions += self.tunnels.farewell(h, h.pcoa, 0, now)
        assert self.poa is not None
        return actions + self.look_around(self.poa, now)

    def look_around(self, poa: str, now: float) -> list[Action]:
        """At a PoA: ask what else there is (RFC 5184 appendix B.1)."""
        self.scout.attached(poa, now)
        if self.c.mode is Mode.NONE:
            return []
        self.scout.asked(now)
        return [RequestPoAList(self.here.name)]

    # questions

    @property
    def home(self) -> Router | None:
        """The router whose link the care-of address is of; packets to it go there."""
        return self.kept.home if self.kept is not None else self.router

    def fast(self) -> bool:
        """Whether the router that the node comes from does FMIPv6 with it."""
        address = self.home.address if self.home is not None else None
        if address is None or self.c.mode is Mode.NONE or not self.c.trusts(address):
            return False
        return self.discovery.state is not DiscoveryState.UNSUPPORTED

    def target(self, poa: str) -> Target | None:
        """What the router said of a PoA."""
        return self.discovery.target(access_point_id(poa))

    def same_router(self, target: Target) -> bool:
        """Whether a PoA needs no other care-of address: it is the present router's, or that address's own."""
        if target.outcome is Outcome.SAME_ROUTER or self.comes_home(target):
            return True
        return self.router is not None and target.prefix == self.router.prefix

    def comes_home(self, target: Target) -> bool:
        """Whether a PoA is on the link of a care-of address that is used elsewhere now."""
        home = self.kept.home if self.kept is not None else None
        return home is not None and target.prefix == home.prefix

    def reachable(self, poa: str) -> bool:
        """Whether a PoA can be moved to without finding its router first."""
        target = self.target(poa)
        if target is None:
            return False
        if self.same_router(target):
            return True
        return target.outcome is Outcome.TUPLE and self.fast() and (self.c.dhcp or not target.dhcp)

    # what they are made of

    def new_handover(self, poa: str, target: Target, link: NodeLink | None = None) -> Handover:
        """A handover to a resolved PoA; link: of that, None for the one in use."""
        assert self.coa is not None
        home = self.home
        assert home is not None
        assert home.address is not None
        assert target.prefix is not None
        nar = Router(target.router, None, target.router_lla, target.prefix)
        link = link or self.here
        ncoa = target.ncoa or form_address(target.prefix, link.interface_id)
        h = Handover(self.scout.poa, poa, self.coa, ncoa, home.address, nar, link, home=home)
        h.dhcp, h.vertical = target.dhcp, link is not self.coa_link
        return h

    def exchange(
        self, pcoa: IPv6Address, ncoa: IPv6Address, par: IPv6Address, lifetime_s: int, lla: bytes
    ) -> FbuExchange:
        """A conversation with a PAR that is yet to begin; lla: of ncoa's link, as the NAR will see it."""
        return FbuExchange(
            pcoa,
            ncoa,
            par,
            lla=lla,
            lifetime_s=lifetime_s,
            parameters=self.p,
            sequencer=self._sequencer,
        )
