"""Trace files made by tests, and the recorded ones where LIES_TRACES names their folder."""

import gzip
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

_COLUMNS = "t_s,link_type,operator,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm"
COLUMNS = tuple(_COLUMNS.split(","))


def csv_text(rows: Iterable[Mapping[str, object]], columns: Iterable[str] = COLUMNS) -> str:
    """A CSV trace; columns that a row does not give are empty."""
    names = list(columns)
    lines = [",".join(names), *(",".join(str(r.get(c, "")) for c in names) for r in rows)]
    return "\n".join(lines) + "\n"


def write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """A CSV trace file, compressed if the name ends in .gz."""
    data = csv_text(rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def wifi_rows(poa: str, levels: Mapping[float, float | None]) -> list[dict[str, object]]:
    """Rows of one access point: second -> RSSI, None where it was not heard."""
    rows: list[dict[str, object]] = []
    for t_s, rssi_dbm in levels.items():
        heard = (
            {"poa": poa, "rssi_dbm": rssi_dbm, "state": "udp"} if rssi_dbm is not None else {"state": "no_rx"}
        )
        rows.append({"t_s": t_s, "link_type": "wifi", "speed_mps": 3, **heard})
    return rows


def recorded(pattern: str) -> list[Path]:
    """The recorded traces that match; skips the test where there are none."""
    folder = os.environ.get("LIES_TRACES")
    if not folder:
        pytest.skip("LIES_TRACES names no folder of recorded traces")
    found = sorted(Path(folder).glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in LIES_TRACES")
    return found
