"""Traces of one clock merged into one radio: at every time, which PoAs are heard and how well.

The radio does not say which PoA serves; whoever plays it decides that. Nothing at a time depends on a row
of a later time.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from attrs import frozen

from lies.errors import TraceFormatError
from lies.events import Neighbour, Technology
from lies.trace._rows import CELLULAR, LOST_AFTER_S, Row, Trace

NEAR_S = 5.0  # after a cell change the old cell is taken to be the recorded neighbour for this long


@frozen
class Heard:
    """One PoA at one time; fresh: measured then, not carried over from an earlier row."""

    neighbour: Neighbour
    technology: Technology
    fresh: bool


@frozen
class Hearing:
    """Everything the radio hears at t_ns (on the traces' clock), best known PoA by PoA."""

    t_ns: int
    heard: tuple[Heard, ...]
    speed_mps: float | None


@frozen
class Radio:
    """One or several traces of one clock and one kind of technology."""

    traces: tuple[Trace, ...]

    @property
    def technology(self) -> Technology:
        """The link's technology: that of the earliest row."""
        return min(self.traces, key=lambda t: t.rows[0].t_s).technology

    @property
    def poas(self) -> tuple[str, ...]:
        """Every PoA that served, in order of appearance: what a demonstration maps onto its routers."""
        first: dict[str, float] = {}
        for trace in self.traces:
            for row in trace.rows:
                if row.poa is not None:
                    first[row.poa] = min(row.t_s, first.get(row.poa, row.t_s))
        return tuple(sorted(first, key=lambda p: (first[p], p)))

    @property
    def start_s(self) -> float:
        """Time of the first row."""
        return min(t.rows[0].t_s for t in self.traces)

    @property
    def end_s(self) -> float:
        """Time of the last row."""
        return max(t.rows[-1].t_s for t in self.traces)

    def window(self, start_s: float, duration_s: float | None) -> "Radio":
        """The rows from start_s for duration_s, of the traces that have any; TraceFormatError if none has."""
        cut = []
        for trace in self.traces:
            try:
                cut.append(trace.window(start_s, duration_s))
            except TraceFormatError:
                continue
        if not cut:
            end = "the end" if duration_s is None else f"{start_s + duration_s:g} s"
            names = ", ".join(t.path for t in self.traces)
            raise TraceFormatError(f"nothing was recorded from {start_s:g} s to {end}", file=names)
        return Radio(tuple(cut))

    def poas_of(self, start_s: float, duration_s: float | None) -> tuple[str, ...]:
        """The PoAs of a window, in order of appearance."""
        return self.window(start_s, duration_s).poas

    def hearings(self) -> Iterator[Hearing]:
        """What is heard, in order of time.

        Wi-Fi: each file's PoA; one that a row does not hear is carried over for LOST_AFTER_S. Cellular: the
        serving cell; beside it the cell that served last, for NEAR_S after it did. The recorded
        neighbour's value, whose cell the files do not name, counts as that cell's if both are on one
        scale; without one its own last value does, for LOST_AFTER_S.
        """
        return _cellular(self.traces[0].rows) if self.technology in CELLULAR else _wifi(self.traces)


def merge(traces: Sequence[Trace]) -> Radio:
    """The radio of some traces; TraceFormatError where they do not belong together."""
    if not traces:
        raise TraceFormatError("no trace was given", file="")
    cellular = [t for t in traces if t.technology in CELLULAR]
    if cellular and len(traces) > 1:
        problem = "a cellular trace is a radio of its own and cannot be merged with others"
        raise TraceFormatError(problem, file=cellular[0].path)
    return Radio(tuple(traces))


def same_scale(one: Technology, other: Technology) -> bool:
    """Whether their signal values can be compared (5G NSA is measured on its LTE anchor)."""
    return one is other or {one, other} == {Technology.LTE, Technology.NR}


def _wifi(traces: Sequence[Trace]) -> Iterator[Hearing]:
    rows = sorted((r for t in traces for r in t.rows), key=lambda r: r.t_s)
    latest: dict[str, Row] = {}
    for t_ns, group in groupby(rows, key=lambda r: r.t_ns):
        speed: float | None = None
        for row in group:
            speed = row.speed_mps if row.speed_mps is not None else speed
            if row.poa is not None and row.measured:
                latest[row.poa] = row
        heard = tuple(
            Heard(Neighbour(p, r.rssi_dbm, r.rsrp_dbm, r.rsrq_db, r.snr_db), r.technology, r.t_ns == t_ns)
            for p, r in latest.items()
            if t_ns - r.t_ns <= LOST_AFTER_S * 1e9
        )
        yield Hearing(t_ns, heard, speed)


def _cellular(rows: Sequence[Row]) -> Iterator[Hearing]:
    serving: Row | None = None
    previous: Row | None = None  # the last row of the cell that served before
    for row in rows:
        if row.poa is not None:
            if serving is not None and serving.poa != row.poa:
                previous = serving
            serving = row
        heard = []
        if row.poa is not None and row.measured:
            values = Neighbour(row.poa, row.rssi_dbm, row.rsrp_dbm, row.rsrq_db, row.snr_db)
            heard.append(Heard(values, row.technology, fresh=True))
        if previous is not None and (near := _previous(row, previous)) is not None:
            heard.append(near)
        yield Hearing(row.t_ns, tuple(heard), row.speed_mps)


def _previous(row: Row, previous: Row) -> Heard | None:
    """The cell that served before, as heard at a row; None when it is no longer near."""
    age_s = row.t_s - previous.t_s
    if previous.poa is None or previous.poa == row.poa or age_s > NEAR_S:
        return None
    if row.nbr_rsrp_dbm is not None and same_scale(row.technology, previous.technology):
        return Heard(Neighbour(previous.poa, rsrp_dbm=row.nbr_rsrp_dbm), previous.technology, fresh=True)
    if age_s > LOST_AFTER_S:
        return None
    values = Neighbour(previous.poa, previous.rssi_dbm, previous.rsrp_dbm, previous.rsrq_db, previous.snr_db)
    return Heard(values, previous.technology, fresh=False)
