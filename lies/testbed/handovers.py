"""Handovers back to back between two access routers, with every packet counted: `lies bench --handover`."""

import statistics
from collections.abc import Sequence
from typing import Any

from lies.testbed.drive import Drive, Watcher
from lies.testbed.measure import path_difference_ms
from lies.testbed.plan import DriveOptions, make_plan
from lies.testbed.result import DriveResult

_MS = 1e6
# A shuttle changes its access point every 0.4 s: what a car decides within seconds is decided at once. The
# grace outlasts what MAX_UPDATE_RATE, or a Binding Acknowledgement lost in a gap, delays the next one by.
_GRACE_S = 1.2
_POLICY = {"minimum_stay_s": 0.05, "return_after_s": 0.0}
_PARAMETERS = {"grace_s": _GRACE_S, "max_rtsolpr_rate": 50, "poll_s": 0.02, "list_max_age_s": 0.02}
_ABSTRACT = {"damping_s": 0.02, "poa_age_s": 1.0}


def shuttle_s(l2_gap_ms: float) -> float:
    """How often a shuttle changes its access point: what waited in a gap must have gone before the next one.

    A buffer goes a quarter faster than it fills, so it takes four times the gap.
    """
    return max(0.4, 0.3 + 6 * l2_gap_ms / 1000)


def shuttle_options(
    mode: str, count: int, *, rate_mbps: float, l2_gap_ms: float, backbone_ms: float
) -> DriveOptions:
    """A drive of `count` handovers, one every shuttle_s(l2_gap_ms)."""
    return DriveOptions(
        mode=mode,
        # where nothing moves the node before its link breaks, there is a stretch in which it breaks
        spacing_m=90.0 if mode == "predictive" else 140.0,
        shuttles=count,
        shuttle_s=shuttle_s(l2_gap_ms),
        rate_mbps=rate_mbps,
        l2_gap_ms=l2_gap_ms,
        backbone_ms=backbone_ms,
        grace_s=_GRACE_S,
        floor=mode != "none",
        abstract=_ABSTRACT,
        fmipv6={"parameters": _PARAMETERS, "policy": _POLICY},
    )


def back_to_back(options: DriveOptions, watcher: Watcher) -> dict[str, Any]:
    """Make the handovers and sum them up; what was not measured is None."""
    return figures(Drive(make_plan(options), watcher).run())


def figures(result: DriveResult) -> dict[str, Any]:
    """What a drive's handovers cost: times in ms, packets of both directions."""
    options = result.plan.options
    verdicts, directions = result.verdicts, result.directions
    modes = [report.mode for report in result.reports if report is not None]
    l3 = [v.l3_gap_ms for v in verdicts if v.l3_gap_ms is not None]
    gone = [[d.drained_ns(v.move.in_ns) for d in directions] for v in verdicts]
    slowest = [d.extra_delay_ns(v.move.in_ns) for v in verdicts for d in directions]
    drains = [max(both) / _MS for both in gone]
    signalled = [
        (r.fback_ns - r.fbu_ns) / _MS
        for r in result.reports
        if r is not None and r.fbu_ns is not None and r.fback_ns is not None
    ]
    longer = path_difference_ms(directions)
    fbu_fback, floor = _median(signalled), _median([ns / _MS for ns in result.floor_ns])
    return {
        "type": "summary",
        "mode": options.mode,
        "backbone_ms": options.backbone_ms,
        "handovers": len(verdicts),
        "predictive": modes.count("predictive"),
        "reactive": modes.count("reactive"),
        "packets_sent": result.packets_sent,
        "packets_lost": result.packets_lost,
        "duplicated": sum(d.duplicated for d in directions),
        "reordered": sum(d.reordered for d in directions),
        "path_difference_ms": None if longer is None else round(longer, 3),
        "l2_gap_median_ms": _median([v.l2_gap_ms for v in verdicts]),
        "l3_gap_median_ms": _median(l3),
        "l3_gap_p99_ms": _p99(l3),
        "total_gap_median_ms": _median([v.total_gap_ms for v in verdicts if v.total_gap_ms is not None]),
        "fbu_fback_median_ms": fbu_fback,
        "fbu_fback_floor_ms": floor,
        "realtime": result.realtime,
        "fbu_fback_floor_ratio": round(fbu_fback / floor, 3) if fbu_fback and floor else None,
        "max_delay_ms": round(max(slowest, default=0) / _MS, 3),
        "buffered_max": max(
            (d.waited(v.move.out_ns, v.move.in_ns) for v in verdicts for d in directions), default=0
        ),
        "drain_median_ms": _median(drains),
        "drain_max_ms": round(max(drains), 3) if drains else None,
    }


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def _p99(values: Sequence[float]) -> float | None:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * 0.99))], 3) if values else None
