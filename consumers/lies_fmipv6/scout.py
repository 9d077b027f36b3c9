"""What a mobile node knows of its radio surroundings, and when it asks the policy."""

from collections.abc import Callable, Iterable
from enum import Enum, auto

from lies.events import (
    Condition,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    PoACondition,
    Quality,
)
from lies_fmipv6.parameters import Parameters
from lies_fmipv6.policy import Policy, Situation


class Refresh(Enum):
    """The answer that a fresh PoA list is needed first."""

    NEEDED = auto()


class Scout:
    """Keeps the present PoA's condition, a standing prediction, the candidates, and the penalties."""

    __slots__ = (
        "_asked_at",
        "_attached_at",
        "_cancelled_at",
        "_candidates",
        "_condition",
        "_down_at",
        "_going_down",
        "_listed_at",
        "_p",
        "_penalties",
        "_policy",
        "_previous",
        "content",
        "poa",
        "poll_at",
    )

    def __init__(self, policy: Policy, parameters: Parameters) -> None:
        self.poa: str | None = None
        self.poll_at: float | None = None
        self._policy = policy
        self._p = parameters
        self._condition: Condition | None = None
        self._going_down: LinkGoingDown | None = None
        self._down_at: float | None = None
        self._cancelled_at: float | None = None
        self._attached_at = 0.0
        self._previous: tuple[str, float] | None = None
        self._candidates: dict[str, PoACondition] = {}
        self._listed_at: float | None = None
        self._asked_at: float | None = None
        self._penalties: dict[str, float] = {}
        self.content = False  # the policy would stay, and nothing has changed since it was asked

    @property
    def poas(self) -> tuple[str, ...]:
        """Every PoA heard of, but for the present one."""
        return tuple(p for p in self._candidates if p != self.poa)

    def attached(self, poa: str, now: float) -> None:
        """The node is at a PoA; coming back to the same one is no new stay."""
        self._condition = self._going_down = self._cancelled_at = None
        self._listed_at = None
        self.content = False
        if poa == self.poa:
            return
        self._previous = (self.poa, now) if self.poa is not None else None
        self.poa = poa
        self._attached_at = now

    def changed_link(self) -> None:
        """What is heard is another link's from now on: nothing of that which was counts."""
        self.poll_at = self._condition = self._going_down = self._cancelled_at = None
        self._candidates.clear()
        self._listed_at = self._asked_at = None
        self.content = False

    def indicated(self, item: LinkStatusChanged | LinkGoingDown | LinkGoingDownCancelled, now: float) -> None:
        """Take an indication about the present PoA in; those about another are late, and void."""
        if item.poa != self.poa:
            return
        self.content = False
        if isinstance(item, LinkStatusChanged):
            self._condition = item.condition
        elif isinstance(item, LinkGoingDown):
            self._going_down = item
            self._down_at = now + item.time_to_down_ms / 1000
        else:
            self._going_down = None
            self._cancelled_at = now

    def listed(self, poas: Iterable[PoACondition], now: float) -> None:
        """Take a whole PoA list in."""
        self._candidates = {c.poa: c for c in poas}
        self._listed_at = now
        self.content = False
        own = self._candidates.get(self.poa or "")
        if own is not None and own.condition.quality is not Quality.NONE:
            self._condition = own.condition

    def found(self, poas: Iterable[PoACondition]) -> None:
        """PoAs that are new."""
        self._candidates.update((c.poa, c) for c in poas)
        self.content = False

    def lost(self, poas: Iterable[PoACondition]) -> None:
        """PoAs that are no more."""
        for c in poas:
            self._candidates.pop(c.poa, None)
        self.content = False

    def penalise(self, poa: str, now: float) -> None:
        """A PoA could not be moved to: leave it alone for a while."""
        self._penalties[poa] = now + self._p.penalty_s

    def asked(self, now: float) -> None:
        """A PoA list was asked for."""
        self._asked_at = now

    def decide(self, now: float, usable: Callable[[str], bool]) -> str | Refresh | None:
        """A PoA to move to, the need of a fresh list, or None to stay; `poll_at` says when to ask again."""
        if self.content:
            return None
        self.poll_at = None
        situation = self._situation(now)
        if situation is None or not self._policy.wants_to_leave(situation):
            self.content = True
            return None
        self.poll_at = now + self._p.poll_s
        if self._listed_at is None or now - self._listed_at > self._p.list_max_age_s:
            if self._asked_at is not None and now - self._asked_at < self._p.list_max_age_s:
                return None
            return Refresh.NEEDED
        self._penalties = {p: until for p, until in self._penalties.items() if until > now}
        candidates = tuple(
            c
            for c in self._candidates.values()
            if c.poa != self.poa and c.poa not in self._penalties and usable(c.poa)
        )
        settled = self._situation(now, candidates)
        return self._policy.choose(settled) if settled is not None else None

    def _situation(self, now: float, candidates: tuple[PoACondition, ...] = ()) -> Situation | None:
        if self.poa is None:
            return None
        previous, left_at = self._previous or (None, None)
        return Situation(
            now=now,
            poa=self.poa,
            condition=self._condition,
            going_down=self._going_down is not None,
            confidence=self._going_down.confidence if self._going_down is not None else 0.0,
            candidates=candidates,
            attached_at=self._attached_at,
            previous_poa=previous,
            left_previous_at=left_at,
            cancelled_at=self._cancelled_at,
            down_at=self._down_at if self._going_down is not None else None,
        )
