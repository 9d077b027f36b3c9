"""Several links of one mobile node: which carries it now (vertical handover). No I/O, no clock."""

from collections.abc import Sequence

from attrs import define, evolve, field, frozen

from lies.events import (
    CareOfAddressChanged,
    DownReason,
    Header,
    Indication,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoACondition,
    PoAFound,
    PoALost,
    Quality,
)
from lies_mipv6.items import LinkMoved
from lies_mipv6.link_policy import LinkPolicy, LinkView

POLL_S = 0.25  # while a link that is not in use is up
RAISE_S = 5.0  # between two requests to connect a link
MOVING_S = 1.0  # how long a link that is moved between PoAs may be down, and counts as up
TOLD_S = 3.0  # after this long at another PoA without a report the care-of address is the same as before
_MOVES = frozenset({DownReason.REQUESTED, DownReason.MOVED})
_MOST_POAS = 256


@frozen
class CareOfFound:
    """A link has this address; router: of its packets, "" where there is none between."""

    header: Header
    coa: str
    router: str = ""


@frozen
class Raise:
    """Connect a link; poas: where it could be, best first."""

    link: str
    poas: tuple[str, ...]


@frozen
class Move:
    """The care-of address to use, for lies_mipv6.mobile_node; link: whose it is."""

    link: str
    moved: LinkMoved


LinksItem = Indication | CareOfFound
LinksAction = Raise | Move


@define
class _State:
    header: Header | None = None
    poa: str | None = None
    up_at: float = 0.0
    down_at: float | None = None  # while a LinkGoingDown holds
    quality: Quality | None = None
    poas: dict[str, Quality] = field(factory=dict)
    care_of: CareOfAddressChanged | None = None
    care_of_poa: str | None = None  # where it was told, None: before it was known where
    moving_until: float | None = None
    raised_at: float | None = None


class Links:
    """Driven by indications of the links, care-of addresses (of FMIPv6, or found), and time.

    links: their names in the order of preference. While the link that is left still works, what is sent goes
    on by it until the home agent has answered (make before break).
    """

    def __init__(self, links: Sequence[str], policy: LinkPolicy) -> None:
        self._states = {name: _State() for name in links}
        self._policy = policy
        self._current: str | None = None
        self._told: LinkMoved | None = None
        self._due = 0.0

    @property
    def current(self) -> str | None:
        """The link in use."""
        return self._current

    def receive(self, item: LinksItem, now: float) -> list[LinksAction]:
        """What follows from an indication or a care-of address."""
        state = self._states.get(item.header.link.name)
        if state is None:
            return []
        state.header = item.header
        match item:
            case LinkUp(poa=poa):
                state.poa, state.up_at, state.down_at = poa, now, None
                state.raised_at = state.moving_until = None
            case LinkDown(reason=reason):
                _leave(state, reason, now)
            case LinkGoingDown(time_to_down_ms=in_ms):
                state.down_at = now + in_ms / 1e3
            case LinkGoingDownCancelled():
                state.down_at = None
            case LinkStatusChanged(condition=condition):
                state.quality = condition.quality
            case PoAFound(poas=poas) | PoALost(poas=poas):
                _hear(state, poas, found=isinstance(item, PoAFound))
            case CareOfAddressChanged():
                state.care_of = item
                state.care_of_poa = state.poa if state.moving_until is None else None
            case CareOfFound(header, coa, router):
                before = state.care_of.coa if state.care_of is not None else None
                state.care_of = CareOfAddressChanged(header, coa, before, router, None)
                state.care_of_poa = state.poa
            case _:
                return []
        return self._decide(now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        moving = [s.moving_until for s in self._states.values() if s.moving_until is not None]
        return min([*moving, *([self._due] if self._pending() else [])], default=None)

    def handle_timeout(self, now: float) -> list[LinksAction]:
        """What follows from time having come to `now`."""
        for state in self._states.values():
            if state.moving_until is not None and now >= state.moving_until:
                _end(state)
        return self._decide(now)

    def _pending(self) -> bool:
        states = self._states.items()
        return any((s.poa is not None and n != self._current) or s.raised_at is not None for n, s in states)

    def _views(self, now: float) -> list[LinkView]:
        return [
            LinkView(
                name,
                up=s.poa is not None,
                ready=_ready(s, now),
                going_down=s.down_at is not None,
                down_in_s=max(0.0, s.down_at - now) if s.down_at is not None else 0.0,
                up_s=now - s.up_at if s.poa is not None else 0.0,
                quality=s.quality,
                elsewhere=max((q for p, q in s.poas.items() if p != s.poa), default=Quality.NONE),
                in_use=name == self._current,
            )
            for name, s in self._states.items()
        ]

    def _decide(self, now: float) -> list[LinksAction]:
        self._due = now + POLL_S
        views = self._views(now)
        actions: list[LinksAction] = []
        for name in self._policy.wanted(views):
            state = self._states.get(name)
            if state is None or state.poa is not None:
                continue
            if state.raised_at is None or now >= state.raised_at + RAISE_S:
                state.raised_at = now
                best = sorted((-quality.rank, poa) for poa, quality in state.poas.items())
                actions.append(Raise(name, tuple(poa for _, poa in best)))
        chosen = self._policy.choose(views)
        if chosen in self._states:
            self._use(chosen, actions)
        return actions

    def _use(self, name: str, actions: list[LinksAction]) -> None:
        """Use a link's care-of address; say again what changed about the one before."""
        care_of = self._states[name].care_of
        if care_of is None:
            return
        before = self._told
        if name != self._current:
            left = self._states.get(self._current or "")
            works = left is not None and left.poa is not None
            previous = before.report.coa if before is not None else None
            moved = LinkMoved(evolve(care_of, previous=previous, tunnel_from=None), before_works=works)
            self._current = name
        elif before is not None and before.report.coa == care_of.coa:
            others = [s for n, s in self._states.items() if n != name and s.care_of is not None]
            gone = any(s.poa is None and _is(s, before.report.previous) for s in others)
            if not (before.before_works and gone):
                return
            moved = LinkMoved(before.report, before_works=False)  # the link that was left broke meanwhile
        else:
            moved = LinkMoved(care_of, before_works=care_of.tunnel_from is not None)
        self._told = moved
        actions.append(Move(name, moved))


def _leave(state: _State, reason: DownReason, now: float) -> None:
    state.down_at = None
    if reason in _MOVES:
        state.moving_until = now + MOVING_S
    else:
        _end(state)


def _end(state: _State) -> None:
    state.poa = state.quality = state.moving_until = None


def _ready(state: _State, now: float) -> bool:
    """It is up, and the care-of address is one of where it is."""
    if state.poa is None or state.care_of is None:
        return False
    return state.care_of_poa in {None, state.poa} or now - state.up_at >= TOLD_S


def _is(state: _State, coa: str | None) -> bool:
    return state.care_of is not None and state.care_of.coa == coa


def _hear(state: _State, poas: tuple[PoACondition, ...], *, found: bool) -> None:
    for couple in poas:
        if not found:
            state.poas.pop(couple.poa, None)
        elif len(state.poas) < _MOST_POAS or couple.poa in state.poas:
            state.poas[couple.poa] = couple.condition.quality
