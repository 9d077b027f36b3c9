"""What an application saw: intervals, stalls, what each handover did, and the picture of it."""

import random
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from lies.testbed.measure import Move
from lies.testbed.rate_graph import Lane, lowest, svg
from lies.testbed.rates import (
    INTERVAL_NS,
    Interval,
    Resent,
    Stream,
    counted,
    effects,
    empty_runs,
    whole,
)

_MS = 1_000_000
_OCTETS = 187_500  # 15 Mbit/s for 100 ms


def intervals(octets: Sequence[int], lost: Sequence[int] | None = None) -> tuple[Interval, ...]:
    """Intervals of 100 ms from 0 on."""
    missing = lost or [0] * len(octets)
    return tuple(
        Interval(n * INTERVAL_NS, (n + 1) * INTERVAL_NS, *pair)
        for n, pair in enumerate(zip(octets, missing, strict=True))
    )


def stream(
    octets: Sequence[int], *, lost: Sequence[int] | None = None, direction: str = "downlink"
) -> Stream:
    """A stream of datagrams with these octets per interval."""
    parts = intervals(octets, lost)
    return Stream(
        app="iperf3",
        protocol="udp",
        direction=direction,
        intervals=parts,
        lost=sum(i.lost for i in parts),
        stalls=empty_runs(parts),
    )


def test_rates_and_totals() -> None:
    """Octets per interval are rates; their sum over the time is the mean."""
    seen = stream([_OCTETS, 0, _OCTETS, 2 * _OCTETS])
    assert [i.mbps for i in seen.intervals] == [15.0, 0.0, 15.0, 30.0]
    assert (seen.octets, seen.duration_s, seen.mbps) == (4 * _OCTETS, 0.4, 15.0)
    assert Interval(5, 5, 100).mbps == 0.0


def test_a_stream_without_an_interval_has_no_rate() -> None:
    """Nothing seen: nothing divided by zero."""
    seen = stream([])
    assert (seen.octets, seen.mbps, seen.duration_s, seen.start_ns, seen.longest_stall_ms) == (0, 0, 0, 0, 0)
    assert effects(seen, [Move("a", "b", 0, 5)])[0].lowest_mbps is None


def test_stalls_are_runs_of_empty_intervals() -> None:
    """Neighbouring empty intervals are one stall; a stall ends with the first octet."""
    seen = stream([1, 0, 0, 0, 1, 0, 1])
    assert seen.stalls == ((INTERVAL_NS, 4 * INTERVAL_NS), (5 * INTERVAL_NS, 6 * INTERVAL_NS))
    assert seen.longest_stall_ms == 300.0


def test_arrivals_are_counted_in_intervals() -> None:
    """Every octet is in one interval, also the last one's, which may be shorter."""
    arrivals = [(1000, 5), (1000 + INTERVAL_NS - 1, 7), (1000 + INTERVAL_NS, 11), (1000 + 150 * _MS, 13)]
    parts = counted(arrivals, 1000, 1000 + 150 * _MS)
    assert [(i.start_ns - 1000, i.end_ns - 1000, i.octets) for i in parts] == [
        (0, INTERVAL_NS, 12),
        (INTERVAL_NS, 150 * _MS, 24),
    ]
    assert counted([], 5, 5) == ()


def test_a_rest_at_the_end_is_no_interval_of_its_own() -> None:
    """A last interval of a few ms is part of the one before it: alone it would look like a stall."""
    parts = (*intervals([7, 8]), Interval(2 * INTERVAL_NS, 2 * INTERVAL_NS + 5 * _MS, 0, 3))
    assert whole(parts) == (parts[0], Interval(INTERVAL_NS, 2 * INTERVAL_NS + 5 * _MS, 8, 3))
    assert whole(parts[:2]) == parts[:2]
    assert whole(parts[2:]) == parts[2:]


def test_what_a_handover_did() -> None:
    """Before, lowest and after are of the seconds around it; losses are the nearest handover's."""
    octets = [_OCTETS] * 60
    octets[20:23] = [0, 0, _OCTETS // 3]
    lost = [0] * 60
    lost[23], lost[55] = 40, 2
    moves = [Move("a", "b", 2_000 * _MS, 2_005 * _MS), Move("b", "c", 5_000 * _MS, 5_005 * _MS)]
    first, second = effects(stream(octets, lost=lost), moves)
    assert (first.before_mbps, first.lowest_mbps, first.after_mbps) == (15.0, 0.0, 15.0)
    assert (first.stall_ms, first.lost, first.retransmits) == (200.0, 40, None)
    assert (second.before_mbps, second.lowest_mbps, second.stall_ms, second.lost) == (15.0, 15.0, 0.0, 2)
    (last,) = effects(stream([_OCTETS] * 20), [Move("a", "b", 1_990 * _MS, 1_999 * _MS)])
    assert last.after_mbps is None  # nothing is known of it


def test_a_long_stall_belongs_to_its_handover() -> None:
    """`after` begins where the stall ends, however long TCP waited."""
    octets = [_OCTETS] * 20 + [0] * 30 + [_OCTETS] * 20
    (only,) = effects(stream(octets), [Move("a", "b", 2_000 * _MS, 2_600 * _MS)])
    assert (only.stall_ms, only.after_mbps) == (3000.0, 15.0)


def test_segments_sent_again_are_those_of_the_nearest_handover() -> None:
    """Without a count there is none: None, not 0."""
    seen = Stream(
        app="http",
        protocol="http",
        direction="downlink",
        intervals=intervals([1] * 10),
        resent=(Resent(0, 10 * _MS, 3), Resent(800 * _MS, 810 * _MS, 4)),
    )
    moves = [Move("a", "b", 100 * _MS, 101 * _MS), Move("b", "c", 700 * _MS, 701 * _MS)]
    assert [e.retransmits for e in effects(seen, moves)] == [3, 4]
    assert [e.lost for e in effects(seen, moves)] == [None, None]
    assert seen.retransmits == 7


# ---- the picture


def lane(*streams: Stream, title: str = "predictive, udp") -> Lane:
    """A lane at 15 Mbit/s with one handover."""
    return Lane(title, streams, [Move("a", "b", 2_000 * _MS, 2_005 * _MS)], 15.0)


def test_a_column_is_as_high_as_its_lowest_interval() -> None:
    """However narrow the picture, a stall is in it."""
    seen = stream([_OCTETS] * 50 + [0] + [_OCTETS] * 49)
    assert lowest(seen, 0, 10e9 / 10, 10) == [15.0] * 5 + [0.0] + [15.0] * 4
    assert lowest(seen, 0, 10e9 / 5, 10)[5:] == [None] * 5


def test_the_picture_is_xml_with_every_lane() -> None:
    """Well-formed, of its size, with titles, curves and the handover's mark, whatever the words are."""
    lost = [0] * 99 + [4]
    both = stream([_OCTETS] * 100, lost=lost), stream([0] * 100, direction="uplink")
    text = svg([lane(*both, title='<none> & "so on"\x00\x1b[31m'), lane(both[0])], "lies demo --app iperf3")
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    names = [e.get("class") for e in root.iter() if e.tag.endswith("path")]
    assert (names.count("downlink"), names.count("uplink"), names.count("h"), names.count("x")) == (
        2,
        1,
        2,
        2,
    )
    words = [e.text or "" for e in root.iter() if e.tag.endswith("text")]
    assert any("<none> & " in w for w in words)
    assert "\x1b" not in text


def test_the_same_drive_makes_the_same_picture() -> None:
    """Nothing of the moment is in it."""
    lanes = [lane(stream([_OCTETS, 0, 5]))]
    assert svg(lanes, "a") == svg(lanes, "a")


@pytest.mark.parametrize("length", [1, 3, 700, 40_000])
def test_the_picture_is_small(length: int) -> None:
    """Six lanes of two restless curves stay below 60 kB, however long the drive."""
    chance = random.Random(length)
    curves = [
        stream(
            [chance.randrange(2 * _OCTETS) for _ in range(length)],
            lost=[length % 2] * length,
            direction=direction,
        )
        for direction in ("downlink", "uplink")
    ]
    text = svg([lane(*curves)] * 6, "x" * 500)
    ET.fromstring(text)
    assert len(text) < 60_000


def test_a_picture_of_nothing() -> None:
    """Without an interval the picture is empty, not an error."""
    ET.fromstring(svg([lane(stream([]))], "nothing"))
    ET.fromstring(svg([], "nothing"))
