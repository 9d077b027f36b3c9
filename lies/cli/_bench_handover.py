"""`lies bench --handover`: handovers back to back, without and with a delayed backbone."""

from collections.abc import Sequence
from typing import Any

from lies.cli._demo_view import Lines, Silent, View
from lies.cli._output import print_json, print_table

BACKBONES_MS = (0.0, 10.0)
RATE_MBPS = 15.0
FOR_S = 14.0  # of handovers over each backbone, where nobody says how many
_COLUMNS = {  # heading -> field
    "mode": "mode",
    "backbone ms": "backbone_ms",
    "handovers": "handovers",
    "sent": "packets_sent",
    "lost": "packets_lost",
    "reordered": "reordered",
    "paths differ ms": "path_difference_ms",
    "L2 ms": "l2_gap_median_ms",
    "L3 ms": "l3_gap_median_ms",
    "L3 p99": "l3_gap_p99_ms",
    "FBU-FBack ms": "fbu_fback_median_ms",
    "x floor": "fbu_fback_floor_ratio",
    "max delay ms": "max_delay_ms",
    "waited": "buffered_max",
    "drain ms": "drain_max_ms",
}


def measure(modes: Sequence[str], count: int | None, *, l2_gap_ms: float, json: bool) -> None:
    """Make `count` handovers of each mode over each backbone; print a line or a row of each."""
    from lies.kernel.netns import ensure_privileged

    ensure_privileged()
    from lies.testbed.handovers import (
        back_to_back,
        shuttle_options,
        shuttle_s,
    )  # in the user namespace: as lies demo

    view: View = Silent() if json else Lines()
    rows = []
    count = count or max(1, round(FOR_S / shuttle_s(l2_gap_ms)))
    for mode in modes:
        for backbone_ms in BACKBONES_MS:
            options = shuttle_options(
                mode, count, rate_mbps=RATE_MBPS, l2_gap_ms=l2_gap_ms, backbone_ms=backbone_ms
            )
            found = back_to_back(options, view)
            if json:
                print_json(found)
            rows.append([_cell(found[field]) for field in _COLUMNS.values()])
    if not json:
        print_table(list(_COLUMNS), rows)


def _cell(value: Any) -> str:  # noqa: ANN401 - any field of a summary
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
