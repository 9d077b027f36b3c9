"""A recorded drive as rows of one clock, whatever file it came from, and the items they make."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import evolve, frozen

from lies.errors import TraceFormatError
from lies.events import Attached, Detached, DownReason, Neighbour, RawItem, Sample, Technology

UNNAMED = "?"  # the PoA name of a neighbour whose identity was not recorded
LOST_AFTER_S = 2.0  # unheard for this long, a PoA is lost
CELLULAR = frozenset({Technology.LTE, Technology.NR, Technology.UMTS, Technology.GSM})


@frozen
class Row:
    """One line of a trace; t_s: seconds on the trace's clock; poa None: nothing was heard."""

    t_s: float
    technology: Technology
    poa: str | None = None
    rssi_dbm: float | None = None
    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    snr_db: float | None = None
    speed_mps: float | None = None
    state: str = ""
    nbr_rsrp_dbm: float | None = None

    @property
    def t_ns(self) -> int:
        """The time in ns on the trace's clock."""
        return round(self.t_s * 1e9)

    @property
    def measured(self) -> bool:
        """Whether the row has any signal value."""
        return not (self.rssi_dbm is None and self.rsrp_dbm is None and self.snr_db is None)

    def sample(self, link: Technology, neighbours: tuple[Neighbour, ...] | None) -> Sample:
        """The row as a raw sample of a link of that technology, on the trace's clock."""
        return Sample(
            self.t_ns,
            poa=self.poa,
            technology=str(self.technology) if self.technology is not link else None,
            rssi_dbm=self.rssi_dbm,
            rsrp_dbm=self.rsrp_dbm,
            rsrq_db=self.rsrq_db,
            snr_db=self.snr_db,
            speed_mps=self.speed_mps,
            neighbours=neighbours,
        )


@frozen
class Trace:
    """A recorded drive; rows in order of time; backwards: how often the file's clock went back."""

    path: str
    format: str
    rows: tuple[Row, ...]
    backwards: int = 0

    @property
    def technology(self) -> Technology:
        """The link's technology: that of the first row, which alone is known when a drive begins."""
        return self.rows[0].technology

    @property
    def poas(self) -> tuple[str, ...]:
        """The PoAs that served, in order of appearance."""
        return tuple(dict.fromkeys(r.poa for r in self.rows if r.poa is not None))

    @property
    def signal(self) -> str:
        """The column that tells the signal: the first of RSRP, RSSI, SNR that has a value."""
        for name in ("rsrp_dbm", "rssi_dbm", "snr_db"):
            if any(getattr(r, name) is not None for r in self.rows):
                return name
        return ""

    @property
    def duration_s(self) -> float:
        """From the first row to the last."""
        return self.rows[-1].t_s - self.rows[0].t_s

    def window(self, start_s: float, duration_s: float | None) -> "Trace":
        """The rows from start_s for duration_s, on the same clock; TraceFormatError if there is none."""
        end_s = float("inf") if duration_s is None else start_s + duration_s
        rows = tuple(r for r in self.rows if start_s <= r.t_s <= end_s)
        if not rows:
            raise TraceFormatError(f"nothing was recorded from {start_s:g} s to {end_s:g} s", file=self.path)
        return evolve(self, rows=rows)

    def items(self) -> Iterator[tuple[int, RawItem]]:
        """(t_ns, item) in order: every row as a Sample, attachments derived from the PoA column.

        The first PoA is Attached. Another PoA is Detached from the old one, reason PEER (cellular: the
        network moved the node) or SIGNAL_LOST (Wi-Fi: the station left), then Attached, before the row's
        sample. No PoA for LOST_AFTER_S since the first row without one is Detached, reason SIGNAL_LOST,
        at the row that shows it: a live radio knows it no earlier. What a row says depends on no later row.
        """
        link = self.technology
        attached: str | None = None
        unheard_since_ns: int | None = None
        for row in self.rows:
            t_ns = row.t_ns
            if row.poa is None:
                if unheard_since_ns is None:
                    unheard_since_ns = t_ns
                if attached is not None and t_ns - unheard_since_ns >= LOST_AFTER_S * 1e9:
                    yield t_ns, Detached(t_ns, attached, DownReason.SIGNAL_LOST)
                    attached = None
            else:
                unheard_since_ns = None
                if attached != row.poa:
                    if attached is not None:
                        yield t_ns, Detached(t_ns, attached, left_reason(row.technology))
                    yield t_ns, Attached(t_ns, row.poa)
                    attached = row.poa
            yield t_ns, row.sample(link, unnamed(row))


def left_reason(technology: Technology) -> DownReason:
    """Why a PoA was left for another one without an outage."""
    return DownReason.PEER if technology in CELLULAR else DownReason.SIGNAL_LOST


def unnamed(row: Row) -> tuple[Neighbour, ...] | None:
    """The recorded strongest neighbour, which the files name no cell for; None where there is none."""
    if row.nbr_rsrp_dbm is None:
        return None
    return (Neighbour(UNNAMED, rsrp_dbm=row.nbr_rsrp_dbm),)


def build(path: str, kind: str, rows: Sequence[Row]) -> Trace:
    """A trace of rows as they stand in the file; TraceFormatError without a row or a signal.

    Rows whose time goes back are sorted in (stable) and counted: the recorder's clock was set.
    """
    if not rows:
        raise TraceFormatError("has a header but no row", file=path)
    backwards = sum(b.t_s < a.t_s for a, b in pairwise(rows))
    ordered = sorted(rows, key=lambda r: r.t_s) if backwards else rows
    trace = Trace(path, kind, tuple(ordered), backwards)
    if not trace.signal:
        raise TraceFormatError("no row has a signal value", file=path)
    return trace
