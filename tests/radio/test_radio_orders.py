"""LinkConnect and LinkDisconnect through a wpa_supplicant with a radio: each is followed, or told why not."""

from collections.abc import Mapping
from statistics import median
from typing import Any

import pytest

from radio.experiments.orders import AWAY, HOME, ROAMS
from radio.figures import Figures
from radio.results import Results

pytestmark = pytest.mark.radio

AP1, AP2, AP3 = "02:00:00:00:00:00", "02:00:00:00:01:00", "02:00:00:00:02:00"


@pytest.fixture
def orders(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.orders."""
    return found["orders"]


def told(orders: Results, phase: str) -> list[dict[str, Any]]:
    """What a consumer was told in a phase."""
    span = orders.span(phase)
    return [e for e in orders.events("orders") if span.holds(e)]


def moves(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What happened to the link."""
    return [(e["type"], e["poa"]) for e in events if e["type"] in {"link_up", "link_down"}]


def test_ordered_roams(orders: Results, figures: Figures) -> None:
    """Every ordered roam of a protected network is one move: down at the old PoA, up at the wanted one."""
    ordered, followed = orders.marks("ordered", phase="roams"), orders.marks("followed", phase="roams")
    events = told(orders, "roams")
    wanted = [m["poa"] for m in ordered]
    assert len(wanted) == ROAMS
    assert [poa for kind, poa in moves(events) if kind == "link_up"] == wanted
    assert [kind for kind, _ in moves(events)] == ["link_down", "link_up"] * ROAMS
    assert {e["reason"] for e in events if e["type"] == "link_down"} == {"requested"}
    assert {e["network"] for e in events if e["type"] == "link_up"} == {HOME}
    took_ms = [(b["mono_ns"] - a["mono_ns"]) / 1e6 for a, b in zip(ordered, followed, strict=True)]
    figures.add("ordered roams of WPA2 through D-Bus", f"{len(followed)} of {ROAMS}", f"{ROAMS} of {ROAMS}")
    figures.add("LinkConnect to LinkUp, WPA2, D-Bus", f"median {median(took_ms):.0f} ms", "reported")


def test_other_networks(orders: Results) -> None:
    """Into another network and back; the configuration of wpa_supplicant is as it was before, after each."""
    ups = [e for e in told(orders, "networks") if e["type"] == "link_up"]
    assert [(e["poa"], e["network"]) for e in ups] == [(AP3, AWAY), (AP1, HOME)]
    for name in ("ap3", "ap1"):
        assert orders.lines(f"networks-{name}.txt") == ["FAIL", "FAIL"]  # so it says that no BSSID is set


def test_disconnect_and_connect(orders: Results) -> None:
    """LinkDisconnect takes the link down until a LinkConnect."""
    assert moves(told(orders, "disconnected")) == [("link_down", AP1), ("link_up", AP2)]


def test_access_point_that_does_not_want_us(orders: Results) -> None:
    """Where an access point lets nobody in the order comes to nothing: its own answer is the reason told."""
    events = told(orders, "refused")
    (failed,) = [e for e in events if e["type"] == "link_action_failed"]
    assert (failed["action"], failed["poa"]) == ("connect", AP1)
    why = f"{AP1} refused the authentication: status 1 (unspecified failure)"
    assert failed["detail"] == f"the link went to {AP2} instead: {why}"
    assert ("link_up", AP1) not in moves(events)


def test_supplicant_killed(orders: Results) -> None:
    """With wpa_supplicant killed the link says that it cannot be steered; with the next one it can be."""
    assert "cannot steer it" in orders.lines("killed.txt")[0]
    (ordered,) = orders.marks("ordered", phase="killed")
    assert moves(told(orders, "killed"))[-1] == ("link_up", ordered["poa"])
    assert not [e for e in told(orders, "killed") if e["type"] == "link_action_failed"]
