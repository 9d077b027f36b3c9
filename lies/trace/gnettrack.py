"""Files as the Android application G-NetTrack Pro writes them (the CSV of its drive tests).

Timestamps have whole seconds only: rows of one second are spread evenly inside it. Speed is in km/h,
"-" is a missing value, RAWCELLID names the cell, NRxRSRP is the strongest neighbour's.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from lies.errors import TraceFormatError
from lies.events import Technology
from lies.trace._rows import Row, Trace, build
from lies.trace._text import number, read_text, table

FORMAT = "g-nettrack"
REQUIRED = ("Timestamp", "NetworkMode", "RAWCELLID")
SIGNALS = ("RSRP", "RSSI", "SNR")
MISSING = "-"
MODES = {
    **dict.fromkeys(("LTE", "LTE-A", "LTE+", "4G"), Technology.LTE),
    **dict.fromkeys(("5G", "NR", "5G NSA", "5G SA"), Technology.NR),
    **dict.fromkeys(("UMTS", "HSPA", "HSPA+", "HSDPA", "HSUPA", "WCDMA", "3G"), Technology.UMTS),
    **dict.fromkeys(("GSM", "EDGE", "GPRS", "2G"), Technology.GSM),
}

_Cells = dict[str, str]


def read_gnettrack(path: Path) -> Trace:
    """The trace in a G-NetTrack file; TraceFormatError names file and record."""
    text = read_text(path)
    columns = {c.strip() for c in text.split("\n", 1)[0].split(",")}
    missing = [c for c in REQUIRED if c not in columns]
    if missing:
        raise TraceFormatError(f"has no column {', '.join(missing)}", file=str(path))
    if not columns.intersection(SIGNALS):
        problem = f"has no signal column: one of {', '.join(SIGNALS)} is needed"
        raise TraceFormatError(problem, file=str(path))
    stamped = [(_second(c, path, n), n, c) for n, c in table(text, path)]
    return build(str(path), FORMAT, list(_rows(stamped, path)))


def _rows(stamped: list[tuple[int, int, _Cells]], path: Path) -> Iterator[Row]:
    """Rows in file order; those of one second, if they follow each other, share it evenly."""
    for second, group in groupby(stamped, key=lambda s: s[0]):
        same = list(group)
        for place, (_, record, cells) in enumerate(same):
            t_s = second - stamped[0][0] + place / len(same)
            yield _row(round(t_s, 3), cells, path, record)


def _row(t_s: float, cells: _Cells, path: Path, record: int) -> Row:
    mode = cells["NetworkMode"].strip()
    cell = cells["RAWCELLID"].strip()
    heard = mode in MODES and cell not in {"", MISSING}
    if not heard and mode not in {*MODES, "", MISSING}:
        raise TraceFormatError(f"unknown NetworkMode {mode[:40]!r}", file=str(path), record=record)

    def value(column: str) -> float | None:
        return number(cells, column, path, record, missing=MISSING)

    speed_kmh = value("Speed")
    speed_mps = None if speed_kmh is None else round(speed_kmh / 3.6, 2)
    technology = MODES.get(mode, Technology.LTE)
    state = cells.get("State", "").strip()
    if not heard:
        return Row(t_s, technology, speed_mps=speed_mps, state="no_rx")
    return Row(
        t_s=t_s,
        technology=technology,
        poa=cell,
        rssi_dbm=value("RSSI"),
        rsrp_dbm=value("RSRP"),
        rsrq_db=value("RSRQ"),
        snr_db=value("SNR"),
        speed_mps=speed_mps,
        state=state,
        nbr_rsrp_dbm=value("NRxRSRP"),
    )


def _second(cells: _Cells, path: Path, record: int) -> int:
    text = cells["Timestamp"].strip()
    try:
        # The recorder's local time, without a zone: only differences are used.
        return int(datetime.strptime(text, "%Y.%m.%d_%H.%M.%S").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        problem = f"Timestamp is not YYYY.MM.DD_hh.mm.ss: {text[:40]!r}"
        raise TraceFormatError(problem, file=str(path), record=record) from error
