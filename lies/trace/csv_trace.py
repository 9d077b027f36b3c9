"""CSV traces with the columns t_s, link_type, poa, rssi_dbm, rsrp_dbm, ... (spec/trace-format.md)."""

from pathlib import Path

from lies.errors import TraceFormatError
from lies.events import Technology
from lies.trace._rows import Row, Trace, build
from lies.trace._text import number, read_text, table

FORMAT = "csv"
REQUIRED = ("t_s", "link_type", "poa")
SIGNALS = ("rssi_dbm", "rsrp_dbm", "snr_db")
_TECHNOLOGIES = {t.value: t for t in Technology}


def read_csv(path: Path) -> Trace:
    """The trace in a .csv or .csv.gz file; TraceFormatError names file and record."""
    rows = []
    text = read_text(path)
    check_columns(text, path)
    for record, cells in table(text, path):
        t_s = number(cells, "t_s", path, record)
        if t_s is None:
            raise TraceFormatError("t_s is missing", file=str(path), record=record)
        technology = _TECHNOLOGIES.get(cells["link_type"].strip())
        if technology is None:
            problem = f"unknown link_type {cells['link_type'][:40]!r}"
            raise TraceFormatError(problem, file=str(path), record=record)
        rows.append(
            Row(
                t_s=t_s,
                technology=technology,
                poa=cells["poa"].strip() or None,
                rssi_dbm=number(cells, "rssi_dbm", path, record),
                rsrp_dbm=number(cells, "rsrp_dbm", path, record),
                rsrq_db=number(cells, "rsrq_db", path, record),
                snr_db=number(cells, "snr_db", path, record),
                speed_mps=number(cells, "speed_mps", path, record),
                state=cells.get("state", "").strip(),
                nbr_rsrp_dbm=number(cells, "nbr_rsrp_dbm", path, record),
            )
        )
    return build(str(path), FORMAT, rows)


def check_columns(text: str, path: Path) -> None:
    """TraceFormatError unless the header line has the columns that a trace cannot do without."""
    columns = {c.strip() for c in text.split("\n", 1)[0].split(",")}
    missing = [c for c in REQUIRED if c not in columns]
    if missing:
        raise TraceFormatError(f"has no column {', '.join(missing)}", file=str(path))
    if not columns.intersection(SIGNALS):
        problem = f"has no signal column: one of {', '.join(SIGNALS)} is needed"
        raise TraceFormatError(problem, file=str(path))
