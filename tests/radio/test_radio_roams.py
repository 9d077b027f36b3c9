"""Roams between real access points, as the driver tells of them and as iw, hostapd and the kernel do."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from radio.experiments.roams import ROAMS
from radio.figures import Figures
from radio.results import Results, Said, Span

pytestmark = pytest.mark.radio

STA = "wlan2"
GONE, ASSOCIATED = "cfg80211_del_sta", "cfg80211_send_rx_assoc"  # right before the kernel tells of it
TIMES_OF_FLOOR = 4.0  # the goal is 2; what is asserted leaves room
Moves = list[tuple[str, str]]


@pytest.fixture
def roams(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.roams."""
    return found["roams"]


def told(roams: Results, span: Span, name: str = "heard") -> list[dict[str, Any]]:
    """Every link_up and link_down of a phase."""
    events = [e for e in roams.objects(name) if e["type"] in {"link_up", "link_down"}]
    return [e for e in events if span.holds(e)]


def truth(roams: Results, phase: str) -> list[str]:
    """The access points that were joined: after the handshake, where the network is protected."""
    span = roams.span(phase)
    if phase == "protected":
        lines = [s.what for s in roams.log("supplicant-cellar-sta") if span.wall(s)]
        return [line.split(" to ")[1].split()[0] for line in lines if "CTRL-EVENT-CONNECTED" in line]
    return [s.what.split()[-1] for s in roams.iw(STA) if span.wall(s) and s.what.startswith("connected to")]


@pytest.mark.parametrize("phase", ["open", "protected"])
def test_every_roam_is_told_and_none_invented(roams: Results, phase: str, figures: Figures) -> None:
    """LinkDown of the old PoA, LinkUp of the new one, for each roam that iw and wpa_supplicant saw."""
    joined = truth(roams, phase)
    assert len(joined) >= ROAMS
    assert {a == b for a, b in pairwise(joined)} == {False}
    both = set(joined)
    expected: Moves = []
    for new in joined:
        (old,) = both - {new}
        expected += [("link_down", old), ("link_up", new)]
    seen = [(e["type"], e["poa"]) for e in told(roams, roams.span(phase))]
    assert seen == expected
    ups = sum(kind == "link_up" for kind, _ in seen)
    figures.add(f"roams told, {phase} network", f"{ups} of {len(joined)}", "all, none invented")


@pytest.mark.parametrize("phase", ["open", "protected"])
def test_roam_is_no_lost_link(roams: Results, phase: str) -> None:
    """The LinkDown of a roam says who asked for it, and its times are in the order of the kernel's."""
    span = roams.span(phase)
    events = told(roams, span)
    thrown_out = any("(by AP)" in s.what for s in roams.iw(STA) if span.wall(s))
    reasons = {e["reason"] for e in events if e["type"] == "link_down"}
    assert reasons - ({"peer"} if thrown_out else set()) == {"requested"}
    gone = [s for s in roams.kernel(STA) if s.what == GONE and span.mono(s)]
    downs = [e for e in events if e["type"] == "link_down"]
    assert [s.address for s in gone] == [e["poa"] for e in downs]
    assert all(s.t_ns <= e["mono_ns"] + 1000 for s, e in zip(gone, downs, strict=True))
    assert all(a["mono_ns"] <= b["mono_ns"] for a, b in pairwise(events))


@pytest.mark.parametrize(("phase", "network"), [("open", "orchard"), ("protected", "cellar")])
def test_access_points_agree(roams: Results, phase: str, network: str) -> None:
    """Hostapd connected the station as often as the driver told of it."""
    span = roams.span(phase)
    seen = Counter(e["poa"] for e in told(roams, span) if e["type"] == "link_up")
    said: Counter[str] = Counter()
    for name, address in (("ap1", "02:00:00:00:00:00"), ("ap2", "02:00:00:00:01:00")):
        lines = [s.what for s in roams.log(f"hostapd-{network}-{name}") if span.wall(s)]
        said[address] = sum("AP-STA-CONNECTED" in line for line in lines)
    assert seen == said


def delays_ms(kernel: list[Said], came: list[tuple[str, str, int]]) -> list[float]:
    """From each event of the kernel to the first message about it after that."""
    found = []
    for event in kernel:
        times = [t for what, poa, t in came if (what, poa) == (event.what, event.address) and t > event.t_ns]
        found.append((min(times) - event.t_ns) / 1e6)
    return found


def test_indication_delay(roams: Results, figures: Figures) -> None:
    """A consumer hears of a roam hardly later than a bare pyroute2 program that reads the messages itself."""
    kernel = [s for s in roams.kernel(STA) if s.what in {GONE, ASSOCIATED}]
    floor = {"NL80211_CMD_DEL_STATION": GONE, "NL80211_CMD_CONNECT": ASSOCIATED}
    ours = {"link_down": GONE, "link_up": ASSOCIATED}
    bare = [
        (floor[o["event"]], o["mac"], o["came_ns"]) for o in roams.objects("floor") if o["event"] in floor
    ]
    lies = [(ours[o["type"]], o["poa"], o["came_ns"]) for o in roams.objects("heard") if o["type"] in ours]
    took: dict[str, float] = {}
    for name, phase, came in (("bare", "floor", bare), ("lies", "delay", lies)):
        span = roams.span(phase)
        for what in (GONE, ASSOCIATED):
            which = [s for s in kernel if s.what == what and span.mono(s)]
            took[f"{name} {what}"] = median(delays_ms(which, came))
        took[name] = median(delays_ms([s for s in kernel if span.mono(s)], came))
    for title, key in (("LinkDown", f" {GONE}"), ("LinkUp", f" {ASSOCIATED}"), ("both", "")):
        ratio = took[f"lies{key}"] / took[f"bare{key}"]
        beside = (
            f"{took[f'lies{key}']:.2f} ms, {ratio:.1f} times the bare listener's {took[f'bare{key}']:.2f} ms"
        )
        figures.add(f"delay of {title} at a consumer, median", beside, "2 times")
    assert took["lies"] < TIMES_OF_FLOOR * took["bare"], took


def test_stations_come_and_go_at_the_access_point(roams: Results) -> None:
    """On the access point's side each station is a link: up and down as its hostapd says, by its own name."""
    span = roams.span("open")
    seen = [(e["type"], e["link"], e["poa"]) for e in told(roams, span, "cell")]
    lines = [s.what for s in roams.log("hostapd-orchard-ap1") if span.wall(s)]
    kinds = {"AP-STA-CONNECTED": "link_up", "AP-STA-DISCONNECTED": "link_down"}
    said = [kinds[w] for line in lines for w in line.split() if w in kinds]
    name, poa = "wlan0/02-00-00-00-02-00", "02:00:00:00:00:00"
    assert seen == [(kind, name, poa) for kind in said]
    assert said.count("link_up") >= ROAMS // 2
