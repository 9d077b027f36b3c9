"""What a mobile node learns of its router's neighbourhood: RtSolPr out, PrRtAdv in (RFC 5568 section 6.1)."""

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network

from lies.timers import Backoff
from lies.values import value
from lies_fmipv6.messages import AccessPointInfo, OptionCode, PrRtAdv, PrRtAdvCode, RtSolPr
from lies_fmipv6.parameters import Parameters
from lies_fmipv6.states import DISCOVERY, DiscoveryEvent, DiscoveryState

_ID_MASK = 0xFFFF


class Outcome(StrEnum):
    """What the router said of an access point."""

    TUPLE = "tuple"  # fast handover is possible
    SAME_ROUTER = "same_router"  # the care-of address stays (option-code 5)
    UNKNOWN = "unknown"  # the router does not know it (option-code 6); an FBU from there may help
    NO_FAST_HANDOVER = "no_fast_handover"  # its router does no FMIPv6 (option-code 7)
    REFUSED = "refused"  # an FBU was refused, so none follows


@value
class Target:
    """One resolved access point; router, router_lla, prefix, ncoa only with outcome TUPLE.

    dhcp: addresses behind it are given by DHCP, and NCoA is for the FBU only (code 5).
    """

    outcome: Outcome
    router: IPv6Address | None = None
    router_lla: bytes | None = None
    prefix: IPv6Network | None = None
    ncoa: IPv6Address | None = None
    dhcp: bool = False


_OUTCOMES: dict[int, Outcome] = {
    OptionCode.SAME_INTERFACE: Outcome.SAME_ROUTER,
    OptionCode.UNKNOWN: Outcome.UNKNOWN,
    OptionCode.NO_FAST_HANDOVER: Outcome.NO_FAST_HANDOVER,
}


def target_of(info: AccessPointInfo, code: int = PrRtAdvCode.TUPLES) -> Target:
    """What a tuple of a PrRtAdv says; a tuple that lacks its router is no knowledge (6.1.2)."""
    if info.option_code == OptionCode.TUPLE_FOLLOWS and info.router_address is not None:
        # 6.1.2: the prefix may be left out where it is that of the router's address
        prefix = info.prefix or IPv6Network((info.router_address, 64), strict=False)
        if prefix.prefixlen == 64:
            dhcp = code == PrRtAdvCode.USE_DHCP
            return Target(Outcome.TUPLE, info.router_address, info.router_lla, prefix, info.ncoa, dhcp)
    return Target(_OUTCOMES.get(info.option_code, Outcome.UNKNOWN))


class Discovery:
    """Resolves access points at the present router; driven by `want`, PrRtAdv, and time.

    lla: the link-layer address on the present link.
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_identifier",
        "_known",
        "_p",
        "_sent",
        "_wanted",
        "backoff",
        "lla",
        "state",
    )

    def __init__(self, lla: bytes, parameters: Parameters) -> None:
        self.state = DiscoveryState.IDLE
        self.lla = lla
        self._p = parameters
        self._known: dict[bytes, Target] = {}
        self._wanted: dict[bytes, None] = {}
        self._asked: tuple[bytes, ...] = ()
        self._identifier = 0
        self._answered: int | None = None
        self._sent: list[float] = []  # the latest max_rtsolpr_rate
        self.backoff: Backoff | None = None

    def reset(self) -> None:
        """At another router: what was learned is of no use any more."""
        self._go(DiscoveryEvent.NEW_ROUTER)
        self._forget()

    def give_up(self) -> None:
        """No FMIPv6 at this router (5.1)."""
        self._go(DiscoveryEvent.GIVE_UP)
        self._forget()

    def refuse(self, access_point: bytes) -> None:
        """There is no fast handover to this one, whatever the router said of it before."""
        self._known[access_point] = Target(Outcome.REFUSED)

    def stop(self) -> None:
        """The link to the router is gone, or left: what it said counts, what it was asked does not."""
        if self.state is DiscoveryState.ASKING:
            self._go(DiscoveryEvent.ANSWER)
        self._wanted.clear()
        self.backoff = None

    def target(self, access_point: bytes) -> Target | None:
        """What is known of an access point; None while it is not resolved."""
        return self._known.get(access_point)

    def want(self, access_points: Iterable[bytes], now: float) -> RtSolPr | None:
        """Have access points resolved; what is known or asked for already is not asked again."""
        if self.state is DiscoveryState.UNSUPPORTED:
            return None
        for ap in access_points:
            if ap not in self._known:
                self._wanted[ap] = None
        return self._ask(now) if self.state is DiscoveryState.IDLE else None

    def advertised(self, adv: PrRtAdv, now: float) -> RtSolPr | None:
        """Take a PrRtAdv in: the answer, or an unsolicited one (code 1 or 4, identifier 0; 6.1.2).

        An answer may have a second part, for its code is said of a whole message.
        """
        solicited = self.state is DiscoveryState.ASKING and adv.identifier == self._identifier
        more = adv.identifier == self._answered
        unsolicited = adv.identifier == 0 and adv.code in (
            PrRtAdvCode.HANDOVER,
            PrRtAdvCode.NEIGHBOURHOOD,
        )
        if not (solicited or more or unsolicited):
            return None
        for info in adv.access_points:
            self._known[info.access_point] = target_of(info, adv.code)
            self._wanted.pop(info.access_point, None)
        if not solicited:
            return None
        for ap in self._asked:  # asked for and not answered: nothing is known of it (4, item 1)
            self._known.setdefault(ap, Target(Outcome.UNKNOWN))
            self._wanted.pop(ap, None)
        self.backoff = None
        self._answered = adv.identifier
        self._go(DiscoveryEvent.ANSWER)
        return self._ask(now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        return self.backoff.due if self.backoff else None

    def handle_timeout(self, now: float) -> RtSolPr | None:
        """Ask again, or give the router up (5.1)."""
        backoff = self.backoff
        if backoff is None or backoff.due is None or backoff.due > now:
            return None
        free_at = self._free_at()
        if free_at > now:
            backoff.due = free_at
            return None
        if not self._asked:
            return self._send(now)  # the first one had to wait for the rate limit
        if backoff.again(now):
            return self._send(now)
        self.give_up()
        return None

    def _ask(self, now: float) -> RtSolPr | None:
        if not self._wanted:
            return None
        self._go(DiscoveryEvent.ASK)
        self._identifier = self._identifier % _ID_MASK + 1
        self._asked = ()
        free_at = self._free_at()
        if free_at > now:
            self.backoff = Backoff(free_at, 0.0, retries=self._p.rtsolpr_retries)
            return None
        return self._send(now)

    def _send(self, now: float) -> RtSolPr:
        if not self._asked:
            self._asked = tuple(self._wanted)[: self._p.max_access_points]
            self.backoff = Backoff(now, self._p.first_wait_s, retries=self._p.rtsolpr_retries)
        self._sent = [*self._sent, now][-self._p.max_rtsolpr_rate :]
        return RtSolPr(self._identifier, self.lla or None, self._asked)

    def _free_at(self) -> float:
        """When the rate limit allows another message (6.1.1)."""
        return self._sent[0] + 1.0 if len(self._sent) == self._p.max_rtsolpr_rate else 0.0

    def _forget(self) -> None:
        self._known.clear()
        self._wanted.clear()
        self.backoff = self._answered = None

    def _go(self, event: DiscoveryEvent) -> None:
        self.state = DISCOVERY[self.state, event]
