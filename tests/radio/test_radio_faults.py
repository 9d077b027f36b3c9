"""What takes a link away, and what floods or starves the driver: it tells what iw tells, and survives."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from radio.experiments.faults import BEACONS
from radio.figures import Figures
from radio.results import Results

pytestmark = pytest.mark.radio

STA = "wlan2"
FIRST, SECOND = "02:00:00:00:00:00", "02:00:00:00:01:00"
KERNELS_MOST = 1000  # access points in its table, for a radio
MOST_GROWTH_KB = 65536  # of the daemon's memory: an entry takes a few kB
Moves = list[tuple[str, str]]


@pytest.fixture
def faults(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.faults."""
    return found["faults"]


def truth(faults: Results, phase: str) -> Iterator[tuple[str, str]]:
    """What iw tells of associations and of their ends."""
    span = faults.span(phase)
    at = ""
    for said in faults.iw(STA):
        who = said.what.split()[-1]
        if said.what.startswith("connected to"):
            at = who
        elif said.what.startswith("del station") and who == at:
            at = ""
        else:
            continue
        if span.wall(said):
            yield ("link_up", who) if at else ("link_down", who)


def told(faults: Results, phase: str, name: str = "heard") -> Moves:
    """What the driver tells."""
    span = faults.span(phase)
    events = [e for e in faults.events(name) if span.holds(e)]
    return [(e["type"], e["poa"]) for e in events if e["type"] in {"link_up", "link_down"}]


@pytest.mark.parametrize(
    ("phase", "downs"),
    [("peer", 1), ("channel", 0), ("admin", 1), ("rfkill", 1), ("killed", 1), ("removed", 1)],
)
def test_link_is_told_as_it_is(faults: Results, phase: str, downs: int) -> None:
    """Whatever takes the link away, the driver tells the ends and beginnings that iw tells, no other."""
    expected = list(truth(faults, phase))
    assert sum(kind == "link_down" for kind, _ in expected) >= downs
    assert told(faults, phase) == expected


def test_reasons(faults: Results) -> None:
    """A link that the access point ends is down for that reason, and none is said to have lost its signal."""
    span = faults.span("peer")
    downs = [e for e in faults.events("heard") if e["type"] == "link_down"]
    assert next(e["reason"] for e in downs if span.holds(e)) == "peer"
    assert "signal_lost" not in {e["reason"] for e in downs}


def test_link_without_its_supplicant(faults: Results) -> None:
    """After wpa_supplicant has died the link is what the kernel says it is: some versions take it along."""
    connected = faults.lines("link-killed.txt")[0].startswith(f"Connected to {FIRST}")
    (again,) = faults.marks("started again")
    moves = [e for e in faults.events("heard") if e["type"] in {"link_up", "link_down"}]
    before = [e for e in moves if e["mono_ns"] < again["mono_ns"]]
    assert (before[-1]["type"], before[-1]["poa"]) == ("link_up" if connected else "link_down", FIRST)


def test_removed_interface_is_no_link(faults: Results) -> None:
    """An interface that was deleted while it was up is down, then none of the daemon's links."""
    assert told(faults, "removed")[0] == ("link_down", FIRST)
    assert [line["link"] for line in faults.objects("links-removed")] == []


def lost_span(faults: Results, case: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The marks of the daemon's stop, and of its rest afterwards."""
    (stopped,), (settled,) = faults.marks("stopped", case=case), faults.marks("settled", case=case)
    return stopped, settled


CASES = pytest.mark.parametrize(("case", "began"), [("there", FIRST), ("back", SECOND)])


@CASES
def test_lost_messages_are_made_up_for(faults: Results, case: str, began: str) -> None:
    """After more messages than its buffer held the driver tells that it left, and where the link is."""
    (link,) = faults.objects(f"links-{case}")
    assert (link["up"], link["poa"]) == (True, SECOND)
    log = faults.lines("lies-small.log")
    assert any("the kernel dropped messages" in line for line in log)
    stopped, settled = lost_span(faults, case)
    said = "\n".join(log[stopped["lines"] : settled["lines"]])
    moves = re.findall(r"(left|attached to) (\S\S(?::\S\S){5})", said)
    assert moves[0] == ("left", began)
    assert moves[-1] == ("attached to", SECOND)
    (ended,) = faults.marks("ended")
    assert ended["code"] == 0


@CASES
def test_consumer_knows_what_was_lost(faults: Results, case: str, began: str) -> None:
    """Whatever is not told to a consumer is a gap; snapshots and events lead from truth to truth."""
    stopped, settled = lost_span(faults, case)
    at: str | None = began
    holes: dict[str, bool] = {}  # kinds with a gap and no snapshot since: whether the session was lost
    gaps = set()
    for told in faults.objects("late"):
        if not stopped["mono_ns"] <= told["came_ns"] <= settled["mono_ns"]:
            continue
        match told["type"]:
            case "gap":
                gaps.add(told["of"])
                holes[told["of"]] = told["last"] is None
            case "snapshot":
                poa = told["poas"].get(STA)
                assert holes or poa == at
                at = poa
                of = told["of"]
                holes = {k: lost for k, lost in holes.items() if (lost if of is None else k != of)}
            case "link_down":
                assert holes or told["poa"] == at
                at = None
            case "link_up":
                assert holes or at is None
                at = told["poa"]
            case _:
                pass
    assert not holes
    assert at == SECOND
    assert {"link_up", "link_down"} <= gaps  # more was lost than anybody can tell


def test_forged_beacons_fill_no_memory(faults: Results, figures: Figures) -> None:
    """Ten thousand forged access points, half of them malformed, are bounded, and take no link along."""
    assert list(truth(faults, "flood")) == []
    assert told(faults, "flood", "late") == []
    (forged,) = faults.marks("forged")
    assert KERNELS_MOST // 2 < forged["heard"] <= KERNELS_MOST
    (poas,) = faults.objects("poas-flood")
    assert 1 < len(poas["poas"]) <= KERNELS_MOST + 1
    (before,), (after,) = faults.marks("memory", when="before"), faults.marks("memory", when="after")
    grown_kb = after["kb"] - before["kb"]
    assert grown_kb < MOST_GROWTH_KB
    assert not any("failed" in line for line in faults.lines("lies-small.log"))
    figures.add(f"daemon's memory after {BEACONS} forged beacons", f"{grown_kb / 1024:+.1f} MB", "bounded")
