"""A picture of what applications received over time, as SVG: a lane for each drive and protocol.

Each column of the picture is as high as the lowest rate within it, so that no stall is hidden. Colours are of
a brightness that shows on white and on black; the background is the page's.
"""

from collections.abc import Iterable, Sequence
from html import escape

from attrs import frozen

from lies.testbed.measure import Move
from lies.testbed.rates import Stream

COLUMNS = 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 40
_LANE, _TITLE = 72, 42
_HEADROOM = 1.25  # of the nominal rate: what comes faster than that is cut off
_GREY, _RED = "#6e7781", "#e5484d"
_COLOURS = {"downlink": "#2f81f7", "uplink": "#d9730d"}
_STYLE = "".join(
    [
        f"text{{font:12px system-ui,sans-serif;fill:{_GREY}}}path{{fill:none}}",
        f".g{{stroke:{_GREY};stroke-opacity:.35}}.h{{stroke:{_GREY};stroke-dasharray:2 3}}",
        f".x{{stroke:{_RED};stroke-width:5}}",
        *(f".{name}{{stroke:{colour};stroke-width:1.5}}" for name, colour in _COLOURS.items()),
    ]
)
_STEPS_S = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
_TICKS = 12
_LONGEST_TEXT = 118


@frozen
class Lane:
    """One lane: its title, the streams in it, the handovers that they went through, the nominal rate."""

    title: str
    streams: Sequence[Stream]
    moves: Sequence[Move]
    rate_mbps: float


def lowest(stream: Stream, start_ns: int, column_ns: float, columns: int) -> list[float | None]:
    """The lowest rate in Mbit/s of each column of time; None where the stream has no interval."""
    found: list[float | None] = [None] * columns
    for interval in stream.intervals:
        first = int((interval.start_ns - start_ns) / column_ns)
        last = int((interval.end_ns - 1 - start_ns) / column_ns)
        for column in range(max(0, first), min(columns - 1, max(first, last)) + 1):
            rate = found[column]
            found[column] = interval.mbps if rate is None else min(rate, interval.mbps)
    return found


def spans(streams: Iterable[Stream]) -> tuple[int, int]:
    """(begin, end) of all of them in ns; (0, 0) for none."""
    intervals = [i for stream in streams for i in stream.intervals]
    return (
        min((i.start_ns for i in intervals), default=0),
        max((i.end_ns for i in intervals), default=0),
    )


def svg(lanes: Sequence[Lane], headline: str) -> str:
    """The picture; every lane begins at its first interval, and all have the same scale of time."""
    begins = [spans(lane.streams) for lane in lanes]
    longest_ns = max((end - begin for begin, end in begins), default=0) or 1
    width = _LEFT + COLUMNS + _RIGHT
    height = _TOP + len(lanes) * (_TITLE + _LANE) + _BOTTOM
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_text(headline)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="16" font-weight="bold">{_text(headline)}</text>',
    ]
    for number, (lane, (begin_ns, _)) in enumerate(zip(lanes, begins, strict=True)):
        top = _TOP + number * (_TITLE + _LANE) + _TITLE
        parts += _lane(lane, top, begin_ns, longest_ns / COLUMNS)
    parts += _foot(lanes, height - _BOTTOM, longest_ns / 1e9)
    return "\n".join([*parts, "</svg>", ""])


def _lane(lane: Lane, top: int, begin_ns: int, column_ns: float) -> list[str]:
    full = max(lane.rate_mbps, 1e-9) * _HEADROOM
    bottom = top + _LANE
    parts = [f'<text x="{_LEFT}" y="{top - 20}">{_text(lane.title)}</text>']
    for rate in (0.0, lane.rate_mbps):
        y = bottom - round(rate / full * _LANE)
        parts.append(f'<path class="g" d="M{_LEFT} {y}h{COLUMNS}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{rate:g}</text>')
    for number, move in enumerate(lane.moves, 1):
        x = round((move.out_ns - begin_ns) / column_ns)
        if 0 <= x <= COLUMNS:
            parts.append(f'<path class="h" d="M{_LEFT + x} {top}v{_LANE}"/>')
            parts.append(f'<text x="{_LEFT + x}" y="{top - 4}" text-anchor="middle">{number}</text>')
    for stream in lane.streams:
        rates = lowest(stream, begin_ns, column_ns, COLUMNS)
        path = _curve(rates, full, bottom)
        if path:
            parts.append(f'<path class="{stream.direction}" d="{path}"/>')
        marks = "".join(
            f"M{_LEFT + first} {bottom + 4}h{after - first}"
            for first, after in _marks(stream, begin_ns, column_ns)
        )
        if marks:
            parts.append(f'<path class="x" d="{marks}"/>')
    return parts


def _curve(rates: Sequence[float | None], full: float, bottom: int) -> str:
    """Steps in whole columns and pixels; a gap where nothing is known."""
    path: list[str] = []
    at: int | None = None
    run = 0
    for column, rate in enumerate(rates):
        if rate is None:
            path.append(f"h{run}" if run else "")
            at, run = None, 0
            continue
        y = bottom - min(_LANE, max(0, round(rate / full * _LANE)))
        if at is None:
            path.append(f"M{_LEFT + column} {y}")
        elif y != at:
            path.append(f"h{run}v{y - at}")
            run = 0
        at = y
        run += 1
    return "".join(path) + (f"h{run}" if run else "")


def _marks(stream: Stream, begin_ns: int, column_ns: float) -> list[tuple[int, int]]:
    """(first, one after the last) of the runs of columns in which something was lost or sent again."""
    times = [i.start_ns for i in stream.intervals if i.lost > 0]
    times += [r.start_ns for r in stream.resent or () if r.segments > 0]
    runs: list[tuple[int, int]] = []
    for x in sorted({int((at - begin_ns) / column_ns) for at in times}):
        if not 0 <= x < COLUMNS:
            continue
        if runs and x <= runs[-1][1] + 1:
            runs[-1] = runs[-1][0], x + 1
        else:
            runs.append((x, x + 1))
    return runs


def _foot(lanes: Sequence[Lane], top: int, longest_s: float) -> list[str]:
    step = next((s for s in _STEPS_S if longest_s / s <= _TICKS), _STEPS_S[-1])
    parts = []
    for second in range(0, min(int(longest_s), step * _TICKS) + 1, step):
        x = _LEFT + round(second / longest_s * COLUMNS)
        parts.append(f'<text x="{x}" y="{top + 18}" text-anchor="middle">{second} s</text>')
    x = _LEFT
    there = {stream.direction for lane in lanes for stream in lane.streams}
    curves = [(name, colour) for name, colour in _COLOURS.items() if name in there]
    for name, colour in (*curves, ("lost or sent again", _RED)):
        parts.append(f'<path d="M{x} {top + 31}h16" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 22}" y="{top + 35}">{name}</text>')
        x += 110
    parts.append(f'<text x="{x + 40}" y="{top + 35}">Mbit/s of payload; dashed: handovers</text>')
    return parts


def _text(words: str) -> str:
    """Words for XML: no control characters, not too many."""
    plain = "".join(c if c.isprintable() else " " for c in words)
    return escape(plain if len(plain) <= _LONGEST_TEXT else plain[: _LONGEST_TEXT - 3] + "...", quote=False)
