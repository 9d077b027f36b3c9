"""What a vertical drive is made of: its road, its second link, and the changes that are counted."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from attrs import evolve

from lies.events import (
    BindingUpdated,
    DownReason,
    HandoverDone,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkUp,
    Technology,
)
from lies.plugins import resolve
from lies.testbed import modem
from lies.testbed import topology as t
from lies.testbed.plan import Configurations, DriveOptions, make_plan
from lies.testbed.vertical import LinkChange, changes_of

_MS = 1_000_000
WIFI, CELL = Link("wlan0", Technology.WIFI), Link("wwan0", Technology.LTE)


def head(link: Link, at_ms: int) -> Header:
    """A header."""
    return Header("test", 1, 1, at_ms * _MS, at_ms * _MS, link)


def bound(link: Link, at_ms: int, status: int = 0) -> BindingUpdated:
    """The home agent has answered, 2 ms after the Binding Update."""
    return BindingUpdated(
        head(link, at_ms), "::1", "::2", "::3", None, status, 60, (at_ms - 2) * _MS, at_ms * _MS
    )


def test_changes_of_the_link() -> None:
    """Each with what the node knew: the first address, a refusal and a renewal are none."""
    story: list[Indication] = [
        LinkUp(head(WIFI, 0), "ap1"),
        bound(WIFI, 10),
        LinkGoingDown(head(WIFI, 90), "ap1", 500.0, 0.9, DownReason.FADING),
        LinkUp(head(CELL, 95), "cell"),
        bound(CELL, 99, status=130),
        bound(CELL, 100),
        LinkDown(head(WIFI, 200), "ap1", DownReason.SIGNAL_LOST),
        bound(CELL, 300),
        LinkUp(head(WIFI, 400), "ap2"),
        LinkDown(head(CELL, 401), "cell", DownReason.PEER),
        bound(WIFI, 402),
    ]
    there, back = changes_of(story)
    assert there == LinkChange("wlan0", "wwan0", 98 * _MS, 100 * _MS, before_worked=True, warned_ns=90 * _MS)
    assert back == LinkChange("wwan0", "wlan0", 400 * _MS, 402 * _MS, before_worked=False, warned_ns=None)


def test_the_report_of_a_change() -> None:
    """It is of the address that was registered, and comes later; one of another time is not it."""
    coas = ("2001:db8:1::1", "2001:db8:2::1")

    def done(at_ms: int, mode: str, una_ms: int | None) -> HandoverDone:
        una = None if una_ms is None else una_ms * _MS
        steps = (None, None, None, None, None, una)
        return HandoverDone(head(CELL, at_ms), mode, "ap1", "cell", coas[0], coas[1], *steps)

    story: list[Indication] = [
        evolve(bound(WIFI, 10), coa=coas[0]),
        evolve(bound(CELL, 10_000), coa=coas[1]),
        done(12_001, "predictive", 9_998),
        evolve(bound(WIFI, 20_000), coa=coas[0]),
        evolve(bound(CELL, 30_000), coa=coas[1]),
        done(29_999, "none", None),
    ]
    assert [c.mode for c in changes_of(story)] == ["predictive", "none", "none"]
    assert [c.report is None for c in changes_of(story)] == [False, True, False]


@pytest.mark.parametrize("fast", [True, False])
def test_who_knows_the_cellular_router(fast: bool, tmp_path: Path) -> None:
    """Every access router, by all names of cells, and whether it does FMIPv6; Mobile IPv6 follows FMIPv6."""
    plan = make_plan(DriveOptions(routers=2, vertical=True, cell_fmipv6=fast))
    routers, cell = (t.Router(1), t.Router(2)), t.CellRouter(3)
    net = cast("t.Topology", SimpleNamespace(routers=routers, cell=cell, path=lambda name: f"/proc/{name}"))
    make = Configurations(plan, net, tmp_path)
    (wifi,) = resolve(make.access_router(routers[0])).consumers
    there = next(n for n in wifi.options.neighbours if n.address == cell.address)
    assert (there.access_points, there.fast_handover) == (("*",), fast)
    (cellular,) = resolve(make.access_router(cell)).consumers
    assert {n.address for n in cellular.options.neighbours} == {r.address for r in routers}
    fmip, mip = (c.options for c in resolve(make.mobile_node()).consumers)
    assert [o.link for o in fmip.others] == [o.link for o in mip.others] == ["wwan0"]
    assert mip.policy == {"use": "reported"}


def test_the_road_is_longer_by_its_hole() -> None:
    """The car drives past the hole at the same speed."""
    plain = make_plan(DriveOptions(routers=4, speed_kmh=36.0))
    hole = make_plan(DriveOptions(routers=4, speed_kmh=36.0, vertical=True, hole_m=300.0))
    assert hole.duration_s == pytest.approx(plain.duration_s + 30.0)


def test_the_cellular_router_has_a_place_of_its_own() -> None:
    """Its prefix is no access router's, and the node's address is in it."""
    cell = t.CellRouter(9)
    assert cell.name == "cell"
    assert cell.node_address in cell.prefix
    assert cell.prefix not in [t.Router(n).prefix for n in range(1, 9)]


def test_what_keeps_the_modem_rig_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each reason is a clause: no source tree, no root, no daemon."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "is not installed" in (modem.rig_missing() or "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in (modem.rig_missing() or "")
    monkeypatch.setattr(modem, "_TESTS", tmp_path)
    assert "no source tree" in (modem.rig_missing() or "")
