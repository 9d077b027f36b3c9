"""A mobile node on its way along the road: its radio's primitives, one event for each change."""

from collections.abc import Mapping
from random import Random

from lies.events import Condition, DownReason, Quality
from lies.sim.clock import VirtualClock
from lies.sim.network import poa_of
from lies.sim.radio import Radio
from lies.sim.road import Mark, Road, Visit, new_visit, set_marks

_SCAN_S = 0.5  # from the end of a link to the next look for another
_CONFIDENCE = 0.9
_STEP_M = 1e-3  # a change this near ahead has come: sums of floats are not exact
_PARKED = Condition(Quality.EXCELLENT, 27.0)


class Drive:
    """Drives one mobile node; its radio is set up to hear what is heard where the node is.

    gap_s: the mean L2 gap; each lasts half of it to half as much again.
    """

    def __init__(
        self, clock: VirtualClock, radio: Radio, road: Road, rng: Random, *, speed_mps: float, gap_s: float
    ) -> None:
        self._clock = clock
        self._radio = radio
        self._road = road
        self._rng = rng
        self._speed_mps = speed_mps
        self._direction = rng.choice((1, -1))
        self._from_m = rng.random() * road.routers * road.spacing_m
        self._from_s = clock.now
        self._visits: dict[int, Visit] = {}
        self._serving: Visit | None = None
        self._token = 0
        self._parked: str | None = None
        radio.hear = self._hear
        radio.gap = lambda: gap_s * (0.5 + rng.random())
        radio.idle = lambda: clock.after(_SCAN_S, self._join)
        radio.came = self._came

    def start(self) -> None:
        """Begin to drive, with the link down."""
        self._look()
        self._join()
        self._plan()

    def park(self) -> None:
        """Stop, right beside the access point that serves or, without a link, the nearest."""
        self._token += 1
        y_m = self._y_m()
        visit = self._serving if self._radio.poa is not None else None
        if visit is None:
            visit = min(self._visits.values(), key=lambda v: abs(v.y_m - y_m), default=None)
        index = round(y_m / self._road.spacing_m) if visit is None else visit.index
        self._parked = self._poa(index)
        if visit is not None and visit.predicted:
            self._radio.going_down_cancelled()
        self._radio.changed(_PARKED)

    # where it is, and what it hears

    def _y_m(self) -> float:
        return self._from_m + (self._clock.now - self._from_s) * self._speed_mps

    def _poa(self, index: int) -> str:
        return poa_of(self._direction * index % self._road.routers + 1)

    def _hear(self) -> Mapping[str, Condition]:
        if self._parked is not None:
            # a move that is under way comes to its end, and is parked there
            target = self._radio.poa or self._parked
            return {target: _PARKED}
        y_m = self._y_m()
        heard: dict[str, Condition] = {}
        for visit in self._visits.values():
            if visit.rank or visit is self._serving:
                poa = self._poa(visit.index)
                if poa not in heard or visit is self._serving:
                    heard[poa] = visit.condition(self._road, y_m)
        return heard

    def _look(self) -> None:
        """Meet the access points that are in reach, and leave those that are not."""
        y_m, road = self._y_m() + _STEP_M, self._road
        first = int((y_m - road.reach_m) // road.spacing_m) + 1
        last = int((y_m + road.reach_m) // road.spacing_m)
        for index in [i for i in self._visits if not first <= i <= last]:
            del self._visits[index]
        for index in range(first, last + 1):
            if index not in self._visits:
                visit = self._visits[index] = new_visit(road, index, self._rng)
                self._mark(visit, y_m)

    def _mark(self, visit: Visit, y_m: float) -> None:
        lead_m = self._rng.uniform(*self._road.lead_s) * self._speed_mps
        set_marks(self._road, visit, y_m, lead_m)

    # events

    def _plan(self) -> None:
        """Wake up at the next change."""
        road = self._road
        y_m = self._y_m()
        beyond = (y_m + _STEP_M + road.reach_m) // road.spacing_m + 1  # the next one that comes into reach
        at_m = max(beyond * road.spacing_m - road.reach_m, y_m)
        for visit in self._visits.values():
            if visit.next < len(visit.marks):
                at_m = min(at_m, visit.y_m + visit.marks[visit.next].at_m)
        when = self._from_s + (at_m - self._from_m) / self._speed_mps
        self._clock.at(when, self._wake, self._token)

    def _wake(self, token: int) -> None:
        if token != self._token:
            return
        y_m = self._y_m() + _STEP_M
        for visit in list(self._visits.values()):
            while visit.next < len(visit.marks) and visit.y_m + visit.marks[visit.next].at_m <= y_m:
                mark = visit.marks[visit.next]
                visit.next += 1
                self._pass(visit, mark)
                if token != self._token:
                    return
        self._look()
        self._plan()

    def _pass(self, visit: Visit, mark: Mark) -> None:
        serves = visit is self._serving and self._radio.poa is not None
        match mark.what:
            case "level" | "gone":
                visit.gone = visit.gone or mark.what == "gone"
                visit.rank = 0 if visit.gone else mark.rank
                if serves:
                    self._radio.changed(visit.condition(self._road, self._y_m()))
            case "found":
                self._radio.found(self._poa(visit.index), visit.condition(self._road, self._y_m()))
            case "lost" if not serves:
                self._radio.lost(self._poa(visit.index))
            case "predict":
                visit.predicted = True
                self._predict(visit)
            case "break" if serves:
                self._serving = None
                self._radio.detach(DownReason.SIGNAL_LOST)
            case "turn":
                visit.turn_m = None
                self._turn()
            case _:
                pass

    def _predict(self, visit: Visit) -> None:
        if visit is not self._serving or self._radio.poa is None:
            return
        breaks_m = max(m.at_m for m in visit.marks if m.what == "break")
        left_s = (visit.y_m + breaks_m - self._y_m()) / self._speed_mps
        self._radio.going_down(max(0.0, left_s), _CONFIDENCE)

    def _turn(self) -> None:
        """Drive back: what was behind the node is before it."""
        y_m = self._y_m()
        self._direction = -self._direction
        self._from_m, self._from_s = -y_m, self._clock.now
        predicted = self._serving is not None and self._serving.predicted
        visits, self._visits = self._visits, {}
        for visit in visits.values():
            visit.index, visit.y_m = -visit.index, -visit.y_m
            self._visits[visit.index] = visit
            self._mark(visit, -y_m)
        self._token += 1
        if self._serving is not None and self._radio.poa is not None:
            if predicted and not self._serving.predicted:
                self._radio.going_down_cancelled()
            self._radio.changed(self._serving.condition(self._road, -y_m))
        self._plan()

    def _join(self) -> None:
        """Without a link: into the strongest access point, as a station without orders does."""
        if self._radio.poa is not None or self._radio.moving:
            return
        if self._parked is not None:
            self._radio.attach(self._parked)
            return
        y_m = self._y_m()
        fit = [v for v in self._visits.values() if v.rank and v.joinable(self._road, y_m)]
        if not fit:
            self._clock.after(_SCAN_S, self._join)
            return
        best = max(fit, key=lambda v: (v.snr_db(self._road, y_m), v.index))
        self._radio.attach(self._poa(best.index))

    def _came(self, poa: str) -> None:
        """The link is up."""
        if self._parked is not None:
            self._parked = poa
            return
        y_m = self._y_m()
        there = [v for v in self._visits.values() if self._poa(v.index) == poa]
        serving = self._serving = max(there, key=lambda v: v.snr_db(self._road, y_m), default=None)
        if serving is None or any(m.what == "break" and serving.y_m + m.at_m <= y_m for m in serving.marks):
            self._serving = None  # its signal ended during the move
            self._radio.detach(DownReason.SIGNAL_LOST)
        elif serving.predicted:
            self._predict(serving)
