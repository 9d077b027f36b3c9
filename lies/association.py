"""The association rules of a radio without firmware of its own: pure, time is an argument.

Inputs: `measured` (the levels heard), `connect` and `disconnect` (requests), and what became of a move:
`left`, `arrived`, `refused`. The answer of an input is the next action, a `Go`, or None.
Levels are in dB on any one scale: SNR, dB above the noise floor, RSRP.
"""

from collections.abc import Mapping

from attrs import frozen

from lies.events import DownReason


@frozen
class AssociationRules:
    """When a radio joins and loses a PoA.

    join_db: weakest level to join by itself; floor_db: below it a PoA counts as not heard; lost_after_s:
    how long the serving PoA may go unheard; scan_delay_s: from down to the next join by itself; roam_db:
    a PoA better by this much is joined without a request, None for never.
    """

    join_db: float
    floor_db: float
    lost_after_s: float
    scan_delay_s: float
    roam_db: float | None = None


@frozen
class Go:
    """Leave the serving PoA, if there is one, for `poa` (None: for nowhere)."""

    poa: str | None
    reason: DownReason


class Association:
    """Which PoA serves; candidates: the only PoAs that can be joined (None: all that are heard)."""

    def __init__(self, rules: AssociationRules, candidates: frozenset[str] | None = None) -> None:
        self.rules = rules
        self.serving: str | None = None
        self.automatic = True  # False from LinkDisconnect to the next LinkConnect
        self._candidates = candidates
        self._levels: Mapping[str, float] = {}
        self._weak_since_ns: int | None = None
        self._join_at_ns: int | None = None

    def measured(self, t_ns: int, levels: Mapping[str, float]) -> Go | None:
        """What follows from the levels heard at t_ns (PoA -> dB; a PoA that is absent is not heard)."""
        self._levels = levels
        if self.serving is None:
            return self._join(t_ns)
        level = levels.get(self.serving)
        if level is not None and level >= self.rules.floor_db:
            self._weak_since_ns = None
            return self._roam(level)
        if self._weak_since_ns is None:
            self._weak_since_ns = t_ns
        if t_ns - self._weak_since_ns < round(self.rules.lost_after_s * 1e9):
            return None
        return Go(None, DownReason.SIGNAL_LOST)

    def connect(self, t_ns: int, poa: str) -> Go | None:
        """L2-LinkConnect: to a PoA that is heard; else a link that is up stays, one that is down scans."""
        self.automatic = True
        if poa == self.serving:
            return None
        if self._can_join(poa, self.rules.floor_db):
            return Go(poa, DownReason.REQUESTED)
        if self.serving is None:
            self._scan_later(t_ns)
        return None

    def disconnect(self, poa: str | None) -> Go | None:
        """L2-LinkDisconnect: down until the next LinkConnect; not followed if another PoA is named."""
        if poa is not None and self.serving is not None and poa != self.serving:
            return None
        self.automatic = False
        return Go(None, DownReason.REQUESTED) if self.serving is not None else None

    def left(self, t_ns: int) -> None:
        """The serving PoA was left."""
        self.serving = None
        self._weak_since_ns = None
        self._scan_later(t_ns)

    def arrived(self, poa: str) -> None:
        """Frames pass to this PoA."""
        self.serving = poa
        self._weak_since_ns = None

    def refused(self, t_ns: int) -> None:
        """A Go could not be followed; nothing else changed."""
        self._scan_later(t_ns)

    def _scan_later(self, t_ns: int) -> None:
        self._join_at_ns = t_ns + round(self.rules.scan_delay_s * 1e9)

    def _can_join(self, poa: str, least_db: float) -> bool:
        level = self._levels.get(poa)
        allowed = self._candidates is None or poa in self._candidates
        return allowed and level is not None and level >= least_db

    def _strongest(self) -> str | None:
        heard = [p for p in self._levels if p != self.serving and self._can_join(p, self.rules.join_db)]
        return max(heard, key=lambda p: (self._levels[p], p), default=None)

    def _join(self, t_ns: int) -> Go | None:
        if not self.automatic or (self._join_at_ns is not None and t_ns < self._join_at_ns):
            return None
        best = self._strongest()
        return Go(best, DownReason.SIGNAL_LOST) if best is not None else None

    def _roam(self, level_db: float) -> Go | None:
        best = self._strongest()
        if self.rules.roam_db is None or best is None or self._levels[best] < level_db + self.rules.roam_db:
            return None
        # Nobody asked from outside, but the station itself did: it was not lost.
        return Go(best, DownReason.REQUESTED)
