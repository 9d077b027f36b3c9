"""How often a link is measured: often where it may break, else as seldom as its level allows."""

from attrs import frozen

HYSTERESIS_DB = 3.0
AWAKE_S = 3.0  # after the kernel's hint
_AHEAD = 3.0  # periods of rest within which a fall counts


@frozen
class SamplingRules:
    """rest_s, near_s: between samples far from near_dbm and near it."""

    rest_s: float
    near_s: float
    near_dbm: float


class Sampling:
    """One link's rate; a hint is anything that says that the signal may be changing."""

    def __init__(self, rules: SamplingRules) -> None:
        self._rules = rules
        self._near = False
        self._awake_until = 0.0
        self._last: tuple[float, float] | None = None  # s, dBm
        self._fall = 0.0  # dB/s

    @property
    def near(self) -> bool:
        """Whether the last level was near the threshold, or falling towards it."""
        return self._near

    def begin(self) -> None:
        """A new association: nothing is known of its signal."""
        self._near = False
        self._last = None
        self._fall = 0.0
        self._awake_until = 0.0

    def hint(self, now: float) -> None:
        """Measure often for a while."""
        self._awake_until = now + AWAKE_S

    def measured(self, now: float, rssi_dbm: float) -> None:
        """Take a level into account."""
        rules = self._rules
        if self._last is not None and now > self._last[0]:
            before_s, before_dbm = self._last
            fall = (before_dbm - rssi_dbm) / (now - before_s)
            share = min(1.0, (now - before_s) / rules.rest_s)  # samples in quick succession say little each
            self._fall += share * (fall - self._fall)
        self._last = (now, rssi_dbm)
        ahead_dbm = rssi_dbm - max(0.0, self._fall) * _AHEAD * rules.rest_s
        limit_dbm = rules.near_dbm + (HYSTERESIS_DB if self._near else 0.0)
        self._near = rssi_dbm <= limit_dbm or ahead_dbm <= rules.near_dbm

    def period_s(self, now: float) -> float:
        """The time to the next sample."""
        return self._rules.near_s if self._near or now < self._awake_until else self._rules.rest_s
