"""Fast handovers of a station between two access routers, counted by the echoes that it gets."""

from collections.abc import Mapping
from statistics import median
from typing import Any

import pytest

from radio.experiments.handovers import FLOW_MOVES, MOVES, PLAIN_MOVES
from radio.figures import Figures
from radio.flow import MBPS, PAYLOAD
from radio.flows import Flow, Span
from radio.pings import Pings
from radio.results import Results

pytestmark = pytest.mark.radio


@pytest.fixture
def handovers(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.handovers."""
    return found["handovers"]


MARGIN_NS = 200_000_000
TOLD_NS = 20_000_000  # that iw may be late
MOST_LOST = 150  # datagrams, a tenth of a second; what is asserted leaves room for a host that is late


def moves(results: Results, event: str) -> list[Span]:
    """From when to when each move counts: until the next one begins, the last until it has settled."""
    began = [m["mono_ns"] for m in results.marks(event)]
    ends = [*began[1:], results.marks("moved")[-1]["mono_ns"] + 500_000_000]
    return list(zip(began, ends, strict=True))


def done(results: Results) -> list[dict[str, Any]]:
    """The reports of handovers, in order."""
    return [e for e in results.events("heard") if e["type"] == "handover_done"]


def test_every_handover_is_predictive(handovers: Results, figures: Figures) -> None:
    """A fading link is announced and left for the other router before it breaks: FBack on the old link."""
    reports = done(handovers)[:MOVES]
    assert [r["mode"] for r in reports] == ["predictive"] * MOVES
    fades = handovers.marks("fades")
    announced = [e for e in handovers.events("heard") if e["type"] == "link_going_down"]
    for report, fade, (from_ns, to_ns) in zip(reports, fades, moves(handovers, "fades"), strict=False):
        assert (report["from_poa"], report["to_poa"]) == (fade["poa"], fade["to"])
        told = [e["mono_ns"] for e in announced if e["poa"] == fade["poa"]]
        assert any(from_ns < t_ns < report["connect_ns"] < to_ns for t_ns in told)
        assert report["fbu_ns"] < report["fback_ns"] <= report["connect_ns"] < report["link_up_ns"]
    fbacks = [(r["fback_ns"] - r["fbu_ns"]) / 1e6 for r in reports]
    gaps = [(r["link_up_ns"] - r["connect_ns"]) / 1e6 for r in reports]
    figures.add(f"{MOVES} handovers: FBU to FBack", f"{median(fbacks):.1f} ms", "")
    figures.add(f"{MOVES} handovers: LinkConnect to LinkUp", f"{median(gaps):.1f} ms", "")


def test_at_most_one_echo_is_lost_by_a_handover(handovers: Results, figures: Figures) -> None:
    """An echo every 10 ms, there and back: each of ten handovers costs one at most."""
    pings = Pings.read(handovers.lines("pings"))
    spans = moves(handovers, "fades")[:MOVES]
    lost = [len(pings.lost(*span)) for span in spans]
    gaps = [pings.gap_ms(r["connect_ns"], r["una_ns"] + 500_000_000) for r in done(handovers)[:MOVES]]
    figures.add(f"{MOVES} handovers: echoes lost", " ".join(map(str, lost)), "0 or 1 each")
    figures.add(
        f"{MOVES} handovers: longest time without an echo",
        f"{median(gaps):.0f} ms, at most {max(gaps):.0f}",
        "",
    )
    assert len(lost) == MOVES
    assert max(lost) <= 1


def scans(handovers: Results) -> list[Span]:
    """When the station left its channel to look for others, on CLOCK_MONOTONIC."""
    (mark,) = handovers.marks("flow begins", name="down")
    off_ns = mark["wall_ns"] - mark["mono_ns"]
    found, began = [], 0
    for said in handovers.iw("wlan2"):
        if said.what.startswith("scan started"):
            began = said.t_ns - off_ns
        elif began and said.what.startswith("scan"):
            found.append((began, said.t_ns - off_ns))
            began = 0
    return found


@pytest.mark.parametrize(("way", "where"), [("down", "to"), ("up", "from")])
def test_flow_is_counted(handovers: Results, figures: Figures, way: str, where: str) -> None:
    """Of 15 Mbit/s of UDP, by their numbers: a handover as a rule loses none, and none comes twice."""
    flow = Flow.read(handovers.folder / f"{way}.sent", handovers.folder / f"{way}.came")
    (begins,), (ends,) = handovers.marks("flow begins", name=way), handovers.marks("flow ends", name=way)
    reports = done(handovers)
    lost, away, counts, gaps = [], [], [], []
    for number, span in enumerate(moves(handovers, "fades")):
        if not begins["mono_ns"] < span[0] < ends["mono_ns"]:
            continue
        report, count = reports[number], flow.counts((span[0], min(span[1], ends["mono_ns"])))
        handover = report["fbu_ns"] - MARGIN_NS, report["una_ns"] + MARGIN_NS
        connect_ns = report["connect_ns"]  # it ends a scan
        elsewhere = [(a - TOLD_NS, min(b, connect_ns) if a < connect_ns else b) for a, b in scans(handovers)]
        in_scans = [t for t in count.lost_ns if any(a <= t < b for a, b in elsewhere)]
        counts.append(count)
        away.append(len(in_scans))
        lost.append(len(count.lost_ns) - len(in_scans))
        gaps.append(flow.gap_ms(handover))
    rate = [(t_ns, n) for n, t_ns in flow.sent_ns.items()]
    mbps = (len(rate) - 1) * PAYLOAD * 8 / ((max(rate)[0] - min(rate)[0]) / 1e9) / 1e6
    title = f"{len(counts)} handovers, {mbps:.1f} Mbit/s {where} the station"
    figures.add(f"{title}: datagrams", " ".join(str(c.sent) for c in counts), "")
    figures.add(f"{title}: lost", " ".join(map(str, lost)), "0 each")
    figures.add(f"{title}: lost while it scans", " ".join(map(str, away)), "")
    figures.add(f"{title}: twice", " ".join(str(c.duplicated) for c in counts), "0 each")
    figures.add(f"{title}: reordered", " ".join(str(c.reordered) for c in counts), "")
    figures.add(f"{title}: longest gap", f"{median(gaps):.0f} ms, at most {max(gaps):.0f}", "")
    assert len(counts) == FLOW_MOVES
    assert mbps > 0.7 * MBPS
    assert sum(c.duplicated for c in counts) == 0
    assert median(lost) == 0
    assert max(lost) <= MOST_LOST, lost


def test_without_lies_it_takes_longer(handovers: Results, figures: Figures) -> None:
    """By wpa_supplicant and Router Advertisements a move loses echoes, also without a wait for duplicates."""
    pings = Pings.read(handovers.lines("plain-pings"))
    spans = moves(handovers, "plainly")
    lost = [len(pings.lost(*span)) for span in spans]
    gaps = [pings.gap_ms(*span) for span in spans]
    for kind, part in (
        ("as the kernel has it", slice(0, PLAIN_MOVES)),
        ("no duplicate address detection, no delay", slice(PLAIN_MOVES, None)),
    ):
        name = f"without LIES, {kind}"
        figures.add(f"{name}: echoes lost", " ".join(map(str, lost[part])), "")
        figures.add(f"{name}: longest time without", f"{median(gaps[part]):.0f} ms", "")
    assert len(spans) == 2 * PLAIN_MOVES
    assert min(lost) > 1


def test_others_are_heard_though_frames_wait(handovers: Results) -> None:
    """The driver's own scans come to their end over both channels while echoes go on."""
    (began, *_), (*_, ended) = handovers.marks("fades"), handovers.marks("moved", number=MOVES)
    said = [s.what for s in handovers.iw("wlan2") if began["wall_ns"] < s.t_ns < ended["wall_ns"]]
    finished = [w for w in said if w.startswith("scan finished: 2412 2437")]
    assert len(finished) > len([w for w in said if w.startswith("scan aborted")])
