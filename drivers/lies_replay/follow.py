"""Recorded radio as the ears of a RadioShell: which PoA serves is decided by whoever plays it."""

from collections.abc import Mapping

from attrs import evolve

from lies.events import Neighbour, Sample, Technology
from lies.radio import Measurement
from lies.trace.merge import Heard, Hearing, Radio, same_scale

NOISE_FLOOR_DBM = -95.0
LEAST_DBM = {Technology.LTE: -125.0, Technology.NR: -125.0, Technology.UMTS: -120.0, Technology.GSM: -110.0}
SILENT_NS = 1_500_000_000  # the serving PoA counts as not heard after this, at traces of one row a second


def level_db(heard: Heard) -> float | None:
    """How far a PoA is above the least usable signal of its technology; None if it was not measured."""
    value = heard.neighbour
    least_dbm = LEAST_DBM.get(heard.technology)
    if least_dbm is not None:
        dbm = value.rsrp_dbm if value.rsrp_dbm is not None else value.rssi_dbm
        return None if dbm is None else dbm - least_dbm
    if value.snr_db is not None:
        return value.snr_db
    return None if value.rssi_dbm is None else value.rssi_dbm - NOISE_FLOOR_DBM


class TraceSource:
    """Merged traces on the driver's clock; base_ns: the driver's time of the first hearing."""

    def __init__(self, radio: Radio, base_ns: int, names: Mapping[str, str]) -> None:
        self._link = radio.technology
        self._names = names
        self._hearings = radio.hearings()
        self._next: Hearing | None = next(self._hearings)
        self._shift_ns = base_ns - self._next.t_ns
        self._fresh_ns: dict[str, int] = {}

    def next_ns(self, after_ns: int) -> int | None:
        """The first hearing after a time; those before it are heard, but not measured."""
        while self._next is not None and self._next.t_ns + self._shift_ns <= after_ns:
            self._take()
        return None if self._next is None else self._next.t_ns + self._shift_ns

    def measure(self, t_ns: int, serving: str | None) -> Measurement:
        """The hearing of t_ns."""
        hearing = self._take()
        sample = self._sample(t_ns, hearing, serving)
        levels = {}
        for heard in hearing.heard:
            poa, level = heard.neighbour.poa, level_db(heard)
            if level is None or (poa == serving and hearing.t_ns - self._fresh_ns.get(poa, 0) > SILENT_NS):
                continue
            levels[poa] = level
        return Measurement(sample, levels)

    def _take(self) -> Hearing:
        """The next hearing with its PoAs renamed."""
        hearing = self._next
        assert hearing is not None
        self._next = next(self._hearings, None)
        heard = tuple(Heard(_renamed(h.neighbour, self._names), h.technology, h.fresh) for h in hearing.heard)
        self._fresh_ns.update((h.neighbour.poa, hearing.t_ns) for h in heard if h.fresh)
        return Hearing(hearing.t_ns, heard, hearing.speed_mps)

    def _sample(self, t_ns: int, hearing: Hearing, serving: str | None) -> Sample:
        fresh = [h for h in hearing.heard if h.fresh]
        own = next((h for h in fresh if h.neighbour.poa == serving), None)
        first = own or next(iter(fresh), None)
        technology = first.technology if first is not None else self._link
        neighbours = tuple(
            h.neighbour
            for h in hearing.heard
            if h.neighbour.poa != serving and same_scale(h.technology, technology)
        )
        values = own.neighbour if own is not None else Neighbour("")
        return Sample(
            t_ns,
            poa=values.poa or None,
            technology=str(technology) if technology is not self._link else None,
            rssi_dbm=values.rssi_dbm,
            rsrp_dbm=values.rsrp_dbm,
            rsrq_db=values.rsrq_db,
            snr_db=values.snr_db,
            speed_mps=hearing.speed_mps,
            neighbours=neighbours,
        )


def _renamed(value: Neighbour, names: Mapping[str, str]) -> Neighbour:
    return evolve(value, poa=names.get(value.poa, value.poa))
