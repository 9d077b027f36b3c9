"""When and where a mobile node moves: levels, predictions, candidates, hysteresis, minimum stay.

The policy sees conditions and nothing else: no positions, no timetable. The engine asks it whenever an
indication or a fresh PoA list comes, and again every `poll_s` while it wants to leave. It keeps no state,
so that it can be replaced by a class of one's own (lies_fmipv6.policy_shell).
"""

from typing import Protocol

from attrs import frozen

from lies.events import Condition, PoACondition, Quality
from lies.values import value

_MAX_S = 3600


@value
class Situation:
    """What a decision rests on; times in s on the engine's clock.

    condition: of the present PoA, None if not yet told; going_down: a LinkGoingDown holds, with its
    confidence, and down_at: when the break is expected by it; candidates: PoAs that can be moved to without
    losing packets, other than the present one and those that refused of late; attached_at: since when here;
    previous_poa, left_previous_at: where the node was before, and until when; cancelled_at: when a
    LinkGoingDown of this PoA was last withdrawn.
    """

    now: float
    poa: str
    condition: Condition | None
    going_down: bool
    confidence: float
    candidates: tuple[PoACondition, ...]
    attached_at: float
    previous_poa: str | None
    left_previous_at: float | None
    cancelled_at: float | None
    down_at: float | None = None


class Policy(Protocol):
    """A policy: pure functions of the situation."""

    def wants_to_leave(self, situation: Situation, /) -> bool:
        """Whether candidates are to be looked for at all; the situation has none yet."""
        ...

    def choose(self, situation: Situation, /) -> str | None:
        """The PoA to move to now, None to stay."""
        ...


@frozen
class LevelPolicy:
    """Leave a falling or doomed link for the best PoA that is better by a margin.

    leave_below: a level under this is a reason to look around; margin: levels by which a candidate must be
    better; going_down_margin: the same while LinkGoingDown holds with at least min_confidence and no
    prediction was withdrawn in the last cancelled_memory_s; minimum_stay_s: no move sooner after an
    attachment; return_after_s: going back to the previous PoA sooner needs return_margin levels more.
    """

    leave_below: Quality = Quality.GOOD
    margin: int = 1
    going_down_margin: int = 0
    min_confidence: float = 0.5
    minimum_stay_s: float = 1.0
    return_after_s: float = 5.0
    return_margin: int = 1
    cancelled_memory_s: float = 3.0

    def __attrs_post_init__(self) -> None:
        for name in ("minimum_stay_s", "return_after_s", "cancelled_memory_s"):
            if not 0 <= getattr(self, name) <= _MAX_S:  # also refuses NaN
                raise ValueError(f"{name} must lie between 0 and {_MAX_S}")
        for name in ("margin", "going_down_margin", "return_margin"):
            if not 0 <= getattr(self, name) < len(Quality):
                raise ValueError(f"{name} must lie between 0 and {len(Quality) - 1}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError("min_confidence must lie between 0 and 1")

    def wants_to_leave(self, situation: Situation, /) -> bool:
        """A prediction that is believed, or a level below leave_below."""
        if self._predicted(situation):
            return True
        return situation.condition is not None and situation.condition.quality < self.leave_below

    def choose(self, situation: Situation, /) -> str | None:
        """The best candidate by quality, then bandwidth, that passes margin, stay and return rules."""
        s = situation
        if not self.wants_to_leave(s) or s.now - s.attached_at < self.minimum_stay_s:
            return None
        needed = self._own_rank(s) + self._margin(s)
        fit = [
            c
            for c in s.candidates
            if c.poa != s.poa
            and c.condition.quality > Quality.NONE
            and c.condition.quality.rank >= needed + self._return_margin(s, c.poa)
        ]
        if not fit:
            return None
        # the name makes equal candidates come out the same way every time
        best = max(fit, key=lambda c: (c.condition.quality.rank, c.condition.bandwidth_mbps or 0.0, c.poa))
        return best.poa

    def _predicted(self, s: Situation) -> bool:
        return s.going_down and s.confidence >= self.min_confidence

    def _own_rank(self, s: Situation) -> int:
        """Rank of the present PoA; one that no indication described yet counts as the level to keep."""
        return (s.condition.quality if s.condition else self.leave_below).rank

    def _margin(self, s: Situation) -> int:
        withdrawn = s.cancelled_at is not None and s.now - s.cancelled_at < self.cancelled_memory_s
        return self.going_down_margin if self._predicted(s) and not withdrawn else self.margin

    def _return_margin(self, s: Situation, poa: str) -> int:
        if poa != s.previous_poa or s.left_previous_at is None:
            return 0
        return self.return_margin if s.now - s.left_previous_at < self.return_after_s else 0
