"""Traces of one clock merged into one radio."""

from pathlib import Path

import pytest
from trace_files import recorded, wifi_rows, write_csv

from lies.errors import TraceFormatError
from lies.events import Technology
from lies.trace import Hearing, merge, open_trace

CELL = {"link_type": "lte", "state": "D", "speed_mps": 10}


def levels(hearing: Hearing) -> dict[str, tuple[float | None, bool]]:
    """PoA -> (signal, measured then)."""
    return {
        h.neighbour.poa: (
            h.neighbour.rssi_dbm if h.neighbour.rsrp_dbm is None else h.neighbour.rsrp_dbm,
            h.fresh,
        )
        for h in hearing.heard
    }


def test_every_wifi_files_access_point_is_heard(tmp_path: Path) -> None:
    """At a time all access points are heard; one that a row misses is carried over for 2 s."""
    a = write_csv(tmp_path / "a.csv", wifi_rows("a", {0: -50.0, 1: None, 2: None, 3: None, 4: -54.0}))
    b = write_csv(tmp_path / "b.csv", wifi_rows("b", {0: -70.0, 1: -71.0, 3: -73.0}))
    radio = merge([open_trace(a), open_trace(b)])
    assert radio.technology is Technology.WIFI
    assert radio.poas == ("a", "b")
    heard = {h.t_ns // 1_000_000_000: levels(h) for h in radio.hearings()}
    assert heard[0] == {"a": (-50, True), "b": (-70, True)}
    assert heard[1] == {"a": (-50, False), "b": (-71, True)}
    assert heard[2] == {"a": (-50, False), "b": (-71, False)}
    assert heard[3] == {"b": (-73, True)}
    assert heard[4] == {"a": (-54, True), "b": (-73, False)}


def test_a_cellular_radio_hears_the_cell_it_left(tmp_path: Path) -> None:
    """After a change the recorded neighbour is taken for the cell left, 5 s long; before, none is known."""
    rows = [
        {**CELL, "t_s": 0, "poa": "x", "rsrp_dbm": -90, "nbr_rsrp_dbm": -95},
        {**CELL, "t_s": 1, "poa": "x", "rsrp_dbm": -100, "nbr_rsrp_dbm": -92},
        {**CELL, "t_s": 2, "poa": "y", "rsrp_dbm": -88, "nbr_rsrp_dbm": -101},
        {**CELL, "t_s": 3, "poa": "y", "rsrp_dbm": -87},
        {**CELL, "t_s": 4, "poa": "y", "rsrp_dbm": -86},
        {**CELL, "t_s": 6, "poa": "y", "rsrp_dbm": -86, "nbr_rsrp_dbm": -103},
        {**CELL, "t_s": 7, "poa": "y", "rsrp_dbm": -86, "nbr_rsrp_dbm": -104},
    ]
    radio = merge([open_trace(write_csv(tmp_path / "c.csv", rows))])
    assert [levels(h) for h in radio.hearings()] == [
        {"x": (-90, True)},
        {"x": (-100, True)},
        {"y": (-88, True), "x": (-101, True)},
        {"y": (-87, True), "x": (-100, False)},
        {"y": (-86, True)},
        {"y": (-86, True), "x": (-103, True)},
        {"y": (-86, True)},
    ]


def test_the_neighbours_value_is_not_taken_across_technologies(tmp_path: Path) -> None:
    """An LTE neighbour's RSRP says nothing about the UMTS cell that was left."""
    rows = [
        {**CELL, "t_s": 0, "poa": "u", "rsrp_dbm": -80, "link_type": "umts"},
        {**CELL, "t_s": 1, "poa": "y", "rsrp_dbm": -88, "nbr_rsrp_dbm": -101},
    ]
    *_, last = merge([open_trace(write_csv(tmp_path / "c.csv", rows))]).hearings()
    assert levels(last) == {"y": (-88, True), "u": (-80, False)}


def test_hearings_do_not_depend_on_the_future(tmp_path: Path) -> None:
    """Cut anywhere, the hearings up to the cut are the same."""
    rows = [
        {**CELL, "t_s": n, "poa": "xyz"[n // 4 % 3], "rsrp_dbm": -90 - n % 5, "nbr_rsrp_dbm": -95}
        for n in range(30)
    ]
    whole = list(merge([open_trace(write_csv(tmp_path / "w.csv", rows))]).hearings())
    for size in range(1, 30):
        part = merge([open_trace(write_csv(tmp_path / "p.csv", rows[:size]))])
        assert list(part.hearings()) == whole[:size]


def test_windows_and_their_poas(tmp_path: Path) -> None:
    """A window leaves out files without a row in it; its PoAs are those that serve in it."""
    a = write_csv(tmp_path / "a.csv", wifi_rows("a", {0: -50.0, 10: -60.0}))
    b = write_csv(tmp_path / "b.csv", wifi_rows("b", {20: -70.0, 30: -70.0}))
    radio = merge([open_trace(a), open_trace(b)])
    assert (radio.start_s, radio.end_s) == (0, 30)
    assert radio.poas_of(5, 20) == ("a", "b")
    assert radio.poas_of(15, None) == ("b",)
    with pytest.raises(TraceFormatError, match="nothing was recorded from 40 s to 50 s"):
        radio.window(40, 10)


def test_a_cellular_trace_is_a_radio_of_its_own(tmp_path: Path) -> None:
    """A cellular trace cannot be merged with another, and nothing cannot be merged at all."""
    cell = open_trace(write_csv(tmp_path / "c.csv", [{**CELL, "t_s": 0, "poa": "x", "rsrp_dbm": -90}]))
    with pytest.raises(TraceFormatError, match=r"c\.csv: a cellular trace is a radio of its own"):
        merge([cell, cell])
    with pytest.raises(TraceFormatError, match="no trace was given"):
        merge([])


@pytest.mark.traces
def test_four_recorded_access_points_make_one_drive() -> None:
    """The four Wi-Fi traces of one clock merge: all four are heard, most seconds hear more than one."""
    radio = merge([open_trace(p) for p in recorded("dev/feupwifi_*_082.csv.gz")])
    assert set(radio.poas) == {"ap1", "ap2", "ap3", "ap4"}
    counts = [len(h.heard) for h in radio.hearings()]
    assert sum(n >= 2 for n in counts) > len(counts) / 2
