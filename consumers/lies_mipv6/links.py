"""Several links of one mobile node: whose care-of address it uses now (vertical handover)."""

from collections.abc import Sequence

from attrs import evolve, frozen

from lies.events import CareOfAddressChanged, Header, Indication
from lies.link_policy import LinkPolicy
from lies.links import LinkWatch, Raise, WatchedLink
from lies_mipv6.items import LinkMoved

TOLD_S = 3.0  # after this long at another PoA without a report the care-of address is the same as before


@frozen
class CareOfFound:
    """A link has this address; router: of its packets, "" where there is none between."""

    header: Header
    coa: str
    router: str = ""


@frozen
class Move:
    """The care-of address to use, for lies_mipv6.mobile_node; link: whose it is.

    found: it is the kernel's, so that nobody but Mobile IPv6 sees to its way out.
    """

    link: str
    moved: LinkMoved
    found: bool = False


@frozen
class _CareOf:
    """A care-of address; poa: where it was told, None: before it was known where."""

    report: CareOfAddressChanged
    poa: str | None
    found: bool


LinksItem = Indication | CareOfFound
LinksAction = Raise | Move


class Links:
    """Driven by indications of the links, care-of addresses (of FMIPv6, or found), and time.

    links: their names in the order of preference. While the link that is left still works, what is sent goes
    on by it until the home agent has answered (make before break). Where FMIPv6 has reported an address of a
    link, what is found there is not used.
    """

    def __init__(self, links: Sequence[str], policy: LinkPolicy) -> None:
        self._watch = LinkWatch(links, policy, self._ready)
        self._care_of: dict[str, _CareOf] = {}
        self._reported: str | None = None
        self._told: LinkMoved | None = None

    @property
    def current(self) -> str | None:
        """The link in use."""
        return self._watch.current

    def receive(self, item: LinksItem, now: float) -> list[LinksAction]:
        """What follows from an indication or a care-of address."""
        name = item.header.link.name
        state = self._watch.states.get(name)
        if state is None:
            return []
        if isinstance(item, CareOfAddressChanged):
            at = state.poa if state.moving_until is None else None
            self._care_of[name] = _CareOf(item, at, found=False)
            last = self._care_of.get(self._reported or name)
            assert last is not None
            if item.header.mono_ns >= last.report.header.mono_ns:
                self._reported = name  # what was said before there was a registration comes link by link
        elif isinstance(item, CareOfFound):
            known = self._care_of.get(name)
            if known is not None and not known.found:
                return []
            before = known.report.coa if known is not None else None
            report = CareOfAddressChanged(item.header, item.coa, before, item.router, None)
            self._care_of[name] = _CareOf(report, state.poa, found=True)
        elif not self._watch.indicated(item, now):
            return []
        return self._decide(now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        return self._watch.next_timeout()

    def handle_timeout(self, now: float) -> list[LinksAction]:
        """What follows from time having come to `now`."""
        self._watch.passed(now)
        return self._decide(now)

    def _ready(self, name: str, state: WatchedLink, now: float) -> bool:
        """The care-of address is one of where the link is."""
        care_of = self._care_of.get(name)
        return care_of is not None and (care_of.poa in {None, state.poa} or now - state.up_at >= TOLD_S)

    def _decide(self, now: float) -> list[LinksAction]:
        chosen, raised = self._watch.decide(now, reported=self._reported)
        return [*raised, *(self._use(chosen) if chosen is not None else [])]

    def _use(self, name: str) -> list[LinksAction]:
        """Use a link's care-of address; say again what changed about the one before."""
        care_of = self._care_of.get(name)
        if care_of is None:
            return []
        report, before = care_of.report, self._told
        if name != self._watch.current:
            left = self._watch.states.get(self._watch.current or "")
            previous = before.report.coa if before is not None else None
            if report.previous != previous:  # its tunnel is of an earlier handover of that link
                report = evolve(report, previous=previous, tunnel_from=None)
            works = report.tunnel_from is not None or (left is not None and left.poa is not None)
            moved = LinkMoved(report, before_works=works)
            self._watch.current = name
        elif before is not None and before.report.coa == report.coa:
            tunnelled = before.report.tunnel_from is not None
            if not before.before_works or tunnelled or not self._broken(name, before.report.previous):
                return []
            moved = LinkMoved(before.report, before_works=False)  # the link that was left broke meanwhile
        else:
            moved = LinkMoved(report, before_works=report.tunnel_from is not None)
        self._told = moved
        return [Move(name, moved, care_of.found)]

    def _broken(self, name: str, coa: str | None) -> bool:
        """Whether the link of an address, another one than `name`, is down."""
        return any(
            c.report.coa == coa and self._watch.states[n].poa is None
            for n, c in self._care_of.items()
            if n != name
        )
