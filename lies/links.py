"""Several links of one mobile node, watched for the policy between them. No I/O, no clock.

What it is to carry is decided by lies.link_policy; what follows from that is each consumer's own.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address

from attrs import define, field, frozen

from lies.events import (
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
from lies.link_policy import LinkPolicy, LinkView
from lies.values import value

POLL_S = 0.25  # while a link that is not in use is up
RAISE_S = 5.0  # between two requests to connect a link
MOVING_S = 1.0  # how long a link that is moved between PoAs may be down, and counts as up
_MOVES = frozenset({DownReason.REQUESTED, DownReason.MOVED})
_MOST_POAS = 256


@frozen(kw_only=True)
class OtherLink:
    """A table `[[consumers.NAME.others]]`: a link that may carry the node in place of `link`.

    link: its name, and its interface; router: its router, None where packets are just sent on it (a modem
    without an Ethernet of its own); poa: where to connect it, None: the best PoA that is heard.
    """

    link: str
    router: IPv6Address | None = None
    poa: str | None = None


@value
class Raise:
    """Connect a link; poas: where it could be, best first."""

    link: str
    poas: tuple[str, ...]


@define
class WatchedLink:
    """What the indications of a link say; poa: where it is up, also while it is moved."""

    header: Header | None = None
    poa: str | None = None
    up_at: float = 0.0
    down_at: float | None = None  # while a LinkGoingDown holds
    quality: Quality | None = None
    poas: dict[str, Quality] = field(factory=dict)
    moving_until: float | None = None
    raised_at: float | None = None

    @property
    def best_poas(self) -> tuple[str, ...]:
        """What it hears, best first."""
        return tuple(p for _, p in sorted((-quality.rank, poa) for poa, quality in self.poas.items()))

    def leave(self, reason: DownReason, now: float) -> None:
        """It is down; while it is moved, it counts as up."""
        self.down_at = None
        if reason in _MOVES:
            self.moving_until = now + MOVING_S
        else:
            self.end()

    def end(self) -> None:
        """It is down for good."""
        self.poa = self.quality = self.moving_until = None

    def hear(self, poas: tuple[PoACondition, ...], *, found: bool) -> None:
        """PoAs that are new, or no more."""
        for couple in poas:
            if not found:
                self.poas.pop(couple.poa, None)
            elif len(self.poas) < _MOST_POAS or couple.poa in self.poas:
                self.poas[couple.poa] = couple.condition.quality


class LinkWatch:
    """The links by their indications, and what the policy makes of them.

    links: their names in the order of preference; current: the one in use, for the owner to set; ready: tells
    whether a link that is up can carry.
    """

    def __init__(
        self, links: Sequence[str], policy: LinkPolicy, ready: Callable[[str, WatchedLink, float], bool]
    ) -> None:
        self.states = {name: WatchedLink() for name in links}
        self.current: str | None = None
        self._policy = policy
        self._ready = ready
        self._due = 0.0

    def indicated(self, item: Indication, now: float) -> bool:
        """Take an indication in; False if it says nothing about one of the links."""
        state = self.states.get(item.header.link.name)
        if state is None:
            return False
        state.header = item.header
        match item:
            case LinkUp(poa=poa):
                state.poa, state.up_at, state.down_at = poa, now, None
                state.raised_at = state.moving_until = None
            case LinkDown(reason=reason):
                state.leave(reason, now)
            case LinkGoingDown(time_to_down_ms=in_ms):
                state.down_at = now + in_ms / 1e3
            case LinkGoingDownCancelled():
                state.down_at = None
            case LinkStatusChanged(condition=condition):
                state.quality = condition.quality
            case PoAFound(poas=poas) | PoALost(poas=poas):
                state.hear(poas, found=isinstance(item, PoAFound))
            case _:
                return False
        return True

    def listed(self, link: str, poas: Sequence[PoACondition]) -> None:
        """A whole PoA list of a link."""
        if (state := self.states.get(link)) is not None and poas:
            state.poas.clear()
            state.hear(tuple(poas), found=True)

    def next_timeout(self) -> float | None:
        """When `passed`, and then `decide`, want to be called."""
        moving = [s.moving_until for s in self.states.values() if s.moving_until is not None]
        return min([*moving, *([self._due] if self._pending() else [])], default=None)

    def passed(self, now: float) -> None:
        """Time has come to `now`."""
        for state in self.states.values():
            if state.moving_until is not None and now >= state.moving_until:
                state.end()

    def decide(self, now: float, *, reported: str | None = None) -> tuple[str | None, list[Raise]]:
        """The link that the policy chooses, if it is one of these, and those to be connected now.

        reported: the link whose care-of address a consumer reported last.
        """
        self._due = now + POLL_S
        views = self._views(now, reported)
        return self._chosen(views), self._raised(views, now)

    def choose(self, now: float) -> str | None:
        """The link alone."""
        return self._chosen(self._views(now, None))

    def _chosen(self, views: Sequence[LinkView]) -> str | None:
        chosen = self._policy.choose(views)
        return chosen if chosen in self.states else None

    def _raised(self, views: Sequence[LinkView], now: float) -> list[Raise]:
        raised: list[Raise] = []
        for name in self._policy.wanted(views):
            state = self.states.get(name)
            if state is None or state.poa is not None:
                continue
            if state.raised_at is None or now >= state.raised_at + RAISE_S:
                state.raised_at = now
                raised.append(Raise(name, state.best_poas))
        return raised

    def _pending(self) -> bool:
        states = self.states.items()
        return any((s.poa is not None and n != self.current) or s.raised_at is not None for n, s in states)

    def _views(self, now: float, reported: str | None) -> list[LinkView]:
        return [
            LinkView(
                name,
                up=s.poa is not None,
                ready=s.poa is not None and self._ready(name, s, now),
                going_down=s.down_at is not None,
                down_in_s=max(0.0, s.down_at - now) if s.down_at is not None else 0.0,
                up_s=now - s.up_at if s.poa is not None else 0.0,
                quality=s.quality,
                elsewhere=max((q for p, q in s.poas.items() if p != s.poa), default=Quality.NONE),
                in_use=name == self.current,
                reported=name == reported,
            )
            for name, s in self.states.items()
        ]
