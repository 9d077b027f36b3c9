"""`lies demo`: the main job, a drive past access routers with every packet counted."""

import contextlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lies.cli._mode import MODES, AppChoice, ModeChoice
from lies.cli._options import Json, new_app

if TYPE_CHECKING:
    from lies.events import HandoverDone
    from lies.testbed.measure import Verdict
    from lies.testbed.result import DriveResult
    from lies.testbed.vertical import LinkChange

app = new_app()


@app.command()
def demo(
    *,
    mode: Annotated[ModeChoice, typer.Option(help="How handovers are made.")] = ModeChoice.PREDICTIVE,
    aps: Annotated[int, typer.Option(min=2, max=64, help="Access points, one access router each.")] = 8,
    speed_kmh: Annotated[float, typer.Option(min=1, max=500, help="Speed of the car.")] = 35.0,
    rate_mbps: Annotated[float, typer.Option(min=0.01, max=100, help="UDP payload, each way.")] = 15.0,
    l2_gap_ms: Annotated[
        float, typer.Option(min=0, max=10_000, help="Least time between two access points.")
    ] = 2.0,
    backbone_ms: Annotated[
        float,
        typer.Option(min=0, max=1000, help="Delay added between home agent and access routers, one way."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the simulated radio: same seed, same radio.")] = 1,
    duration: Annotated[
        float | None, typer.Option(min=1, help="Seconds of driving (default: the whole road or trace).")
    ] = None,
    trace: Annotated[
        list[Path] | None,
        typer.Option(
            readable=False, help="Recorded radio instead of simulated; repeatable for files of one clock."
        ),
    ] = None,
    start: Annotated[float, typer.Option(min=0, help="Second of the trace to start at.")] = 0.0,
    vertical: Annotated[
        bool,
        typer.Option(
            "--vertical",
            help="With a cellular link: the Wi-Fi ends in the middle, cellular takes over and back.",
        ),
    ] = False,
    plain_cell: Annotated[
        bool,
        typer.Option(
            "--plain-cell",
            help="With --vertical: the cellular router does no FMIPv6; Mobile IPv6 changes the links alone.",
        ),
    ] = False,
    app_: Annotated[
        AppChoice | None,
        typer.Option(
            "--app",
            help="Somebody else's application over the drive, at --rate-mbps each way: iperf3 (UDP and TCP "
            "together, or one of them), or a download over HTTP.",
        ),
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(help="With --app: write the rates over time into this file, as SVG.", readable=False),
    ] = None,
    json_lines: Json = False,
) -> None:
    """Drive past access routers with traffic both ways, and say what each handover cost.

    Everything is real but the radio: namespaces, IPv6, tunnels, sockets, and the daemons of `lies run`. With
    --app the drive's own packets are only a thin flow beside the application's.
    """
    from lies.cli._demo_app import write_graph
    from lies.cli._demo_view import Lines, Picture, Silent, View
    from lies.cli._output import on_terminal
    from lies.kernel.netns import ensure_privileged
    from lies.testbed.plan import DATAGRAM, THIN_DATAGRAM, THIN_MBPS, DriveOptions, make_plan

    if graph is not None:
        if app_ is None:
            raise typer.BadParameter(
                "only the rates of an application (--app) are drawn", param_hint="--graph"
            )
        if graph.is_dir() or not graph.absolute().parent.is_dir():
            raise typer.BadParameter(f"{graph} cannot be a file", param_hint="--graph")
    if app_ is not None:
        from lies.testbed.applications import application_of

        application_of(app_.value)  # whether its program is there
    _check_links(vertical=vertical, plain_cell=plain_cell, recorded=bool(trace))
    modes = MODES if mode is ModeChoice.ALL else (mode.value,)
    plans = [
        make_plan(
            DriveOptions(
                mode=m,
                routers=aps,
                speed_kmh=speed_kmh,
                rate_mbps=rate_mbps if app_ is None else THIN_MBPS,
                payload=DATAGRAM if app_ is None else THIN_DATAGRAM,
                app=None if app_ is None else app_.value,
                app_mbps=rate_mbps,
                l2_gap_ms=l2_gap_ms,
                backbone_ms=backbone_ms,
                seed=seed,
                start_s=start,
                duration_s=duration,
                traces=tuple(trace or ()),
                vertical=vertical,
                cell_fmipv6=not plain_cell,
            )
        )
        for m in modes
    ]
    ensure_privileged()
    from lies.testbed.drive import Drive  # after the user namespace: it may start threads

    view: View = Silent() if json_lines else Picture() if on_terminal() else Lines()
    results: list[DriveResult] = []
    for plan in plans:
        view.open(plan)
        try:
            results.append(Drive(plan, view).run())
        finally:
            view.close()
        if json_lines:
            for line in _json_lines(results[-1]):
                print(json.dumps(line), flush=True)
        else:
            _print_result(results[-1])
        if graph is not None:  # after each drive: what was seen is not lost if the next one fails
            write_graph(results, graph)
    if len(results) > 1 and not json_lines:
        _print_comparison(results)


def _check_links(*, vertical: bool, plain_cell: bool, recorded: bool) -> None:
    if vertical and recorded:
        raise typer.BadParameter("recorded radio has no road with a hole in it", param_hint="--vertical")
    if plain_cell and not vertical:
        raise typer.BadParameter("there is no cellular link without --vertical", param_hint="--plain-cell")


def _ms(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def _fbu_fback(report: "HandoverDone | None") -> float | None:
    if report is None or report.fbu_ns is None or report.fback_ns is None:
        return None
    return (report.fback_ns - report.fbu_ns) / 1e6


def _steps(report: "HandoverDone | None") -> dict[str, float | None] | None:
    """When each step of a handover was, in ms after the link went down."""
    if report is None or report.link_down_ns is None:
        return None
    steps = {
        "fbu": report.fbu_ns,
        "fback": report.fback_ns,
        "connect": report.connect_ns,
        "link_up": report.link_up_ns,
        "una": report.una_ns,
    }
    down = report.link_down_ns
    return {name: None if ns is None else _ms((ns - down) / 1e6) for name, ns in steps.items()}


def _modes(result: "DriveResult") -> list[str]:
    """How each handover was made."""
    links = {(c.from_link, c.to_link) for c in result.changes}
    judged = zip(result.verdicts, result.reports, strict=True)
    return [
        "vertical"
        if (v.move.from_poa, v.move.to_poa) in links
        else ("unknown" if report is None else str(report.mode))
        for v, report in judged
    ]


def _json_lines(result: "DriveResult") -> list[dict[str, Any]]:
    from lies.cli._demo_app import json_lines as application_lines
    from lies.cli._demo_view import Names

    names = Names(result.plan)
    lines = []
    judged = zip(result.verdicts, result.reports, _modes(result), strict=True)
    changes = iter(result.changes)
    for number, (verdict, report, mode) in enumerate(judged, 1):
        move = verdict.move
        if mode == "vertical":
            lines.append(_vertical_line(number, verdict, next(changes)))
            continue
        lines.append(
            {
                "type": "handover",
                "number": number,
                "handover_mode": mode,
                "from": names.of(move.from_poa),
                "to": names.of(move.to_poa),
                "from_poa": move.from_poa,
                "to_poa": move.to_poa,
                "port_out_ns": move.out_ns,
                "port_in_ns": move.in_ns,
                "l2_gap_ms": _ms(verdict.l2_gap_ms),
                "total_gap_ms": _ms(verdict.total_gap_ms),
                "l3_gap_ms": _ms(verdict.l3_gap_ms),
                "fbu_fback_ms": _ms(_fbu_fback(report)),
                "steps_ms": _steps(report),
                "lost": verdict.lost,
            }
        )
    return [*lines, *application_lines(result), summary(result)]


def _vertical_line(number: int, verdict: "Verdict", change: "LinkChange") -> dict[str, Any]:
    """A change of links; ba_ms: Binding Update to Acknowledgement."""
    lead = None if change.warned_ns is None else (change.bu_ns - change.warned_ns) / 1e6
    return {
        "type": "handover",
        "number": number,
        "handover_mode": "vertical",
        "fast_handover": change.mode,
        "from": change.from_link,
        "to": change.to_link,
        "fbu_fback_ms": _ms(_fbu_fback(change.report)),
        "bu_ba_ms": _ms((change.ba_ns - change.bu_ns) / 1e6),
        "total_gap_ms": _ms(verdict.total_gap_ms),
        "old_link_worked": change.before_worked,
        "after_going_down_ms": _ms(lead),
        "lost": verdict.lost,
    }


def summary(result: "DriveResult") -> dict[str, Any]:
    """The `summary` line of a drive; counts add up both directions, what was not measured is null."""
    from lies.testbed.measure import path_difference_ms

    options = result.plan.options
    modes = _modes(result)
    return {
        "type": "summary",
        "mode": options.mode,
        "handovers": len(result.verdicts),
        "predictive": modes.count("predictive"),
        "reactive": modes.count("reactive"),
        "vertical": modes.count("vertical"),
        "vertical_predictive": [c.mode for c in result.changes].count("predictive"),
        "vertical_reactive": [c.mode for c in result.changes].count("reactive"),
        "cellular": result.cellular,
        "packets_sent": result.packets_sent,
        "packets_lost": result.packets_lost,
        "duplicated": sum(d.duplicated for d in result.directions),
        "reordered": sum(d.reordered for d in result.directions),
        "path_difference_ms": _ms(path_difference_ms(result.directions)),
        "l2_gap_ms": [_ms(v.l2_gap_ms) for v in result.verdicts],
        "total_gap_ms": [_ms(v.total_gap_ms) for v in result.verdicts],
        "l3_gap_ms": [_ms(v.l3_gap_ms) for v in result.verdicts],
        "fbu_fback_ms": [_ms(_fbu_fback(r)) for r in result.reports],
        "access_routers": result.plan.routers,
        "rate_mbps": options.rate_mbps,
        "app": options.app,
        "app_rate_mbps": None if options.app is None else options.app_mbps,
        "backbone_ms": options.backbone_ms,
        "duration_s": _ms(result.plan.duration_s),
        "setup_s": _ms(result.setup_s),
        "teardown_s": _ms(result.teardown_s),
    }


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _print_result(result: "DriveResult") -> None:
    from lies.cli._demo_app import print_application
    from lies.cli._demo_view import Names
    from lies.cli._output import print_table

    names = Names(result.plan)
    judged = zip(result.verdicts, result.reports, _modes(result), strict=True)
    changes = iter(result.changes)
    rows = []
    for number, (v, report, mode) in enumerate(judged, 1):
        change = next(changes) if mode == "vertical" else None
        rows.append(
            [
                str(number),
                names.of(v.move.from_poa),
                names.of(v.move.to_poa),
                mode if change is None else f"{mode} ({change.mode})",
                _cell(None if change is not None else v.l2_gap_ms),
                _cell(v.total_gap_ms),
                _cell(None if change is not None else v.l3_gap_ms),
                str(v.lost),
                _cell(_fbu_fback(report if change is None else change.report)),
            ]
        )
    heads = ["#", "from", "to", "mode", "L2 gap ms", "total gap ms", "L3 ms", "lost", "FBU-FBack ms"]
    print_table(heads, rows)
    s = summary(result)
    longer = s["path_difference_ms"]
    overtaken = f"{s['reordered']} reordered" + (f" (paths differ by {longer:.2f} ms)" if longer else "")
    print(
        f"{s['mode']}: {s['handovers']} handovers ({s['predictive']} predictive, {s['reactive']} reactive), "
        f"{s['packets_sent']} packets sent, {s['packets_lost']} lost, {s['duplicated']} duplicated, "
        f"{overtaken}; "
        f"set up in {result.setup_s:.1f} s, torn down in {result.teardown_s:.1f} s"
    )
    if result.cellular is not None:
        print(f"cellular: {result.cellular}")
        for change in result.changes:
            _print_change(change)
    if result.streams:
        print_application(result)


def _print_change(change: "LinkChange") -> None:
    took = (change.ba_ns - change.bu_ns) / 1e6
    how = "make before break" if change.before_worked else "the old link was gone"
    after = ""
    if change.warned_ns is not None:
        after = f", {(change.bu_ns - change.warned_ns) / 1e6:.0f} ms after LinkGoingDown"
    way = f"{change.from_link} to {change.to_link}"
    fbu = _fbu_fback(change.report)
    fast = f"{change.mode} fast handover" if change.mode != "none" else "no fast handover"
    answered = "" if fbu is None else f", FBU to FBack {fbu:.2f} ms"
    print(f"{way}: {fast}{answered}; {how}{after}; Binding Update to Acknowledgement {took:.2f} ms")


def _median(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    with contextlib.suppress(statistics.StatisticsError):
        return statistics.median(known)
    return None


def _print_comparison(results: "Sequence[DriveResult]") -> None:
    from lies.cli._demo_app import print_streams
    from lies.cli._output import print_table

    rows = []
    for result in results:
        s = summary(result)
        rows.append(
            [
                str(s["mode"]),
                str(s["handovers"]),
                str(s["packets_sent"]),
                str(s["packets_lost"]),
                _cell(_median(s["l2_gap_ms"])),
                _cell(_median(s["total_gap_ms"])),
                _cell(_median(s["l3_gap_ms"])),
                _cell(_median(s["fbu_fback_ms"])),
            ]
        )
    heads = ["mode", "handovers", "sent", "lost", "L2 ms", "total ms", "L3 ms", "FBU-FBack ms"]
    print_table(heads, rows)
    if any(result.streams for result in results):
        print_streams(results)
