"""The radio along a road, as far as levels go: where which level of which access point begins and ends.

Access points stand spacing_m apart on a ring and road_m beside it. The signal falls with the distance as in
the street of the driver simwifi, and every pass of a mobile node has a shadow of its own on it. Within a pass
the signal only rises and then only falls, so that levels change at places that are worked out beforehand: a
drive of hours costs some events for each access point and no samples.
"""

import math
from random import Random

from attrs import define, field, frozen

from lies.abstract import WifiParameters
from lies.events import Condition, Quality

WIFI = WifiParameters()
_AT_1M_DB = 75.0  # 20 dBm sent, 40 dB lost on the first metre, -95 dBm of noise
_PER_DECADE_DB = 33.0
_SHADOW_DB = 3.0
_MOST_SHADOW_DB = 6.0
_FLOOR_DB = 11.0  # where the link breaks
_JOIN_DB = 14.0
_LEVELS = (
    (1, WIFI.bad_db),
    (2, WIFI.fair_db),
    (3, WIFI.good_db),
    (4, WIFI.excellent_db),
)
_QUALITIES = tuple(sorted(Quality))


@frozen(kw_only=True)
class Road:
    """A ring of access points, and what may happen on it.

    abrupt: share of passes whose signal ends all at once somewhere behind the access point, unpredicted;
    turn: share of passes in which the node turns back; lead_s: how long before a break it is predicted, from
    and to.
    """

    routers: int
    spacing_m: float = 90.0
    road_m: float = 10.0
    abrupt: float = 0.05
    turn: float = 0.05
    lead_s: tuple[float, float] = (1.0, 4.0)

    @property
    def reach_m(self) -> float:
        """How far the strongest signal is heard."""
        return _distance_m(_FLOOR_DB - _MOST_SHADOW_DB)


@frozen
class Mark:
    """At `at_m` past the access point something changes."""

    at_m: float
    what: str  # "level", "found", "lost", "break", "gone", "predict", "turn"
    rank: int = 0


@define(eq=False)
class Visit:
    """One access point as one mobile node passes it; y_m: its place on the node's way."""

    index: int
    y_m: float
    shadow_db: float
    abrupt_m: float | None
    turn_m: float | None
    rank: int = 0
    predicted: bool = False
    gone: bool = False
    next: int = 0
    marks: list[Mark] = field(factory=list)

    def snr_db(self, road: Road, y_m: float) -> float:
        """The signal at a place; nothing behind an abrupt end."""
        if self.gone:
            return 0.0
        return (
            _AT_1M_DB + self.shadow_db - _PER_DECADE_DB * math.log10(math.hypot(y_m - self.y_m, road.road_m))
        )

    def condition(self, road: Road, y_m: float) -> Condition:
        """Of the access point at a place."""
        snr = 10.0 ** (self.snr_db(road, y_m) / 10.0)
        mbps = round(WIFI.efficiency * WIFI.bandwidth_mhz * math.log2(1.0 + snr), 3)
        return Condition(_QUALITIES[self.rank], mbps if self.rank else 0.0)

    def joinable(self, road: Road, y_m: float) -> bool:
        """Whether a node without a link would join it."""
        return self.snr_db(road, y_m) >= _JOIN_DB


def new_visit(road: Road, index: int, rng: Random) -> Visit:
    """A pass; everything that chance decides about it is decided here."""
    shadow = max(-_MOST_SHADOW_DB, min(_MOST_SHADOW_DB, rng.gauss(0.0, _SHADOW_DB)))
    abrupt, turn = rng.random() < road.abrupt, rng.random() < road.turn
    half = _half_m(road, _FLOOR_DB - shadow) or 0.0
    return Visit(
        index,
        index * road.spacing_m,
        shadow,
        rng.random() * half if abrupt else None,
        rng.uniform(-road.spacing_m / 2, road.spacing_m / 2) if turn else None,
    )


def set_marks(road: Road, visit: Visit, y_m: float, lead_m: float) -> None:
    """Work out the changes of a visit for a node that is at y_m; `rank` is set to the level there."""
    marks: list[Mark] = []
    here = y_m - visit.y_m
    rank = 0
    for level, threshold_db in _LEVELS:
        half_in = _half_m(road, threshold_db + WIFI.hysteresis_db - visit.shadow_db)
        half_out = _half_m(road, threshold_db - visit.shadow_db)
        if half_in is None or half_out is None:
            break
        marks += (Mark(-half_in, "level", level), Mark(half_out, "level", level - 1))
        if -half_in <= here < half_out:
            rank = level
        if level == 1:
            marks += (Mark(-half_in, "found"), Mark(half_out, "lost"))
    breaks = _half_m(road, _FLOOR_DB - visit.shadow_db)
    if visit.abrupt_m is not None:
        marks += (Mark(visit.abrupt_m, "gone"), Mark(visit.abrupt_m, "break"))
        visit.gone = visit.gone or here >= visit.abrupt_m
    elif breaks is not None:
        marks += (Mark(breaks - lead_m, "predict"), Mark(breaks, "break"))
    if visit.turn_m is not None:
        marks.append(Mark(visit.turn_m, "turn"))
    visit.marks = sorted(marks, key=lambda m: m.at_m)
    visit.next = sum(m.at_m <= here for m in visit.marks)
    visit.rank = 0 if visit.gone else rank
    visit.predicted = visit.abrupt_m is None and breaks is not None and breaks - lead_m <= here < breaks


def _distance_m(snr_db: float) -> float:
    return math.pow(10.0, (_AT_1M_DB - snr_db) / _PER_DECADE_DB)


def _half_m(road: Road, snr_db: float) -> float | None:
    """How far along the road, each way, the signal is at least snr_db; None for nowhere."""
    distance = _distance_m(snr_db)
    return math.sqrt(distance**2 - road.road_m**2) if distance > road.road_m else None
