"""What an application saw of a drive: JSON objects, tables, rate graphs as text and as SVG."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lies.cli._output import print_table
from lies.errors import LiesError
from lies.testbed.measure import Move
from lies.testbed.rate_graph import Lane, lowest, spans, svg
from lies.testbed.rates import INTERVAL_NS, Stream, effects
from lies.testbed.result import DriveResult

_WIDTH = 72
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:-=+*%#"


def handover_mode(result: DriveResult, number: int) -> str:
    """How handover `number`, from 0, was made."""
    report = result.reports[number]
    return "unknown" if report is None else str(report.mode)


def json_lines(result: DriveResult) -> list[dict[str, Any]]:
    """An object for each handover of each stream, then one for each stream."""
    moves = _moves(result)
    lines: list[dict[str, Any]] = []
    for stream in result.streams:
        name = {"mode": result.plan.options.mode, **_name(stream)}
        for number, effect in enumerate(effects(stream, moves)):
            lines.append(
                {
                    "type": "application_handover",
                    **name,
                    "number": number + 1,
                    "handover_mode": handover_mode(result, number),
                    "at_s": _seconds(moves[number].out_ns, stream),
                    "rate_before_mbps": _rounded(effect.before_mbps),
                    "rate_lowest_mbps": _rounded(effect.lowest_mbps),
                    "rate_after_mbps": _rounded(effect.after_mbps),
                    "stall_ms": _rounded(effect.stall_ms),
                    "lost": effect.lost,
                    "retransmits": effect.retransmits,
                }
            )
    lines += [_overall(result, stream) for stream in result.streams]
    return lines


def _overall(result: DriveResult, stream: Stream) -> dict[str, Any]:
    return {
        "type": "application",
        "mode": result.plan.options.mode,
        **_name(stream),
        "started_ns": stream.start_ns,
        "duration_s": _rounded(stream.duration_s),
        "octets": stream.octets,
        "rate_mbps": _rounded(stream.mbps),
        "packets": stream.packets,
        "lost": stream.lost,
        "lost_at_receiver": stream.dropped,
        "reordered": stream.reordered,
        "retransmits": stream.retransmits,
        "congestion": stream.congestion,
        "longest_stall_ms": _rounded(stream.longest_stall_ms),
        "least_stall_ms": stream.least_stall_ms,
        "intact": stream.intact,
        "error": stream.error,
        "interval_s": INTERVAL_NS / 1e9,
        "rates_mbps": [_rounded(i.mbps) for i in stream.intervals],
        "handovers_s": [_seconds(move.out_ns, stream) for move in _moves(result)],
    }


def print_application(result: DriveResult) -> None:
    """What each handover did to each stream, and the rates over time."""
    moves = _moves(result)
    rows = [
        [
            str(number),
            stream.name,
            _cell(effect.before_mbps),
            _cell(effect.lowest_mbps),
            _cell(effect.after_mbps),
            _stall(effect.stall_ms, stream),
            _count(effect.lost),
            _count(effect.retransmits),
        ]
        for stream in result.streams
        for number, effect in enumerate(effects(stream, moves), 1)
    ]
    print_table(["#", "stream", "before Mbit/s", "lowest", "after", "stall ms", "lost", "sent again"], rows)
    print_streams([result])
    for line in text_graph(result.streams, moves, result.plan.options.app_mbps):
        print(line)


def print_streams(results: Sequence[DriveResult]) -> None:
    """A line for each stream of each drive."""
    rows = [
        [
            result.plan.options.mode,
            stream.name,
            _cell(stream.mbps),
            _count(stream.lost),
            _count(stream.retransmits),
            _stall(stream.longest_stall_ms, stream),
            stream.error
            or {None: "at its end", True: "content as sent", False: "content damaged"}[stream.intact],
        ]
        for result in results
        for stream in result.streams
    ]
    heads = ["mode", "stream", "Mbit/s", "lost", "sent again", "stall ms", "ended"]
    print_table(heads, rows)


def text_graph(streams: Sequence[Stream], moves: Sequence[Move], rate_mbps: float) -> list[str]:
    """A row of blocks for each stream, each as high as the lowest rate in its stretch of time."""
    begin, end = spans(streams)
    column_ns = max(1.0, (end - begin) / _WIDTH)
    blocks = _BLOCKS if _writable(_BLOCKS) else _ASCII
    top = len(blocks) - 1
    lines = []
    for stream in streams:
        rates = lowest(stream, begin, column_ns, _WIDTH)
        heights = [
            0 if rate is None else max(rate > 0, min(top, round(rate / rate_mbps * top))) for rate in rates
        ]
        lines.append(f"{stream.name:<14} |{''.join(blocks[h] for h in heights)}|")
    marks = [" "] * _WIDTH
    for move in moves:
        column = int((move.out_ns - begin) / column_ns)
        if 0 <= column < _WIDTH:
            marks[column] = "^"
    lines.append(f"{'handovers':<14}  {''.join(marks)}".rstrip())
    lines.append(f"{'':<14}  0 .. {(end - begin) / 1e9:.1f} s, full height {rate_mbps:g} Mbit/s")
    return lines


def write_graph(results: Sequence[DriveResult], path: Path) -> None:
    """The rates of all drives as SVG; LiesError where the file cannot be written."""
    lanes = []
    for result in results:
        protocols = dict.fromkeys(stream.protocol for stream in result.streams)
        for protocol in protocols:
            streams = [s for s in result.streams if s.protocol == protocol]
            title = f"{result.plan.options.mode}, {protocol}: " + "; ".join(_said(s) for s in streams)
            lanes.append(Lane(title, streams, _moves(result), result.plan.options.app_mbps))
    options = results[0].plan.options
    headline = (
        f"lies demo --app {options.app}: what arrived while {results[0].plan.routers} access points passed"
    )
    try:
        path.write_text(svg(lanes, headline), "utf-8")
    except OSError as error:
        raise LiesError(f"the graph cannot be written: {path}: {error.strerror}") from error


def _said(stream: Stream) -> str:
    """A stream in a few words."""
    words = [stream.direction]
    if stream.lost is not None:
        words.append(f"{stream.lost} of {stream.packets} lost")
    if stream.retransmits is not None:
        words.append(f"{stream.retransmits} sent again")
    longest = stream.longest_stall_ms
    words.append(
        f"longest stall {longest:.0f} ms" if longest else f"no stall of {stream.least_stall_ms:g} ms"
    )
    if stream.intact is not None:
        words.append("content as sent" if stream.intact else "content damaged")
    if stream.error is not None:
        words.append(stream.error)
    return " ".join([words[0], ", ".join(words[1:])])


def _moves(result: DriveResult) -> list[Move]:
    return [verdict.move for verdict in result.verdicts]


def _name(stream: Stream) -> dict[str, str]:
    return {"app": stream.app, "protocol": stream.protocol, "direction": stream.direction}


def _seconds(at_ns: int, stream: Stream) -> float:
    return round((at_ns - stream.start_ns) / 1e9, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _cell(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _stall(value_ms: float | None, stream: Stream) -> str:
    """A stall's length; what is shorter than can be seen is less than that."""
    return f"<{stream.least_stall_ms:g}" if value_ms == 0 else _cell(value_ms, 0)


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def _writable(text: str) -> bool:
    """Whether stdout can show these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
