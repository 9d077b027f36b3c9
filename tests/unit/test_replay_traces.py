"""Traces replayed: as recorded, merged, and with requests deciding which PoA serves."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from radio_host import RecordingHost, drive
from trace_files import recorded, wifi_rows, write_csv

from lies._decode import decode
from lies.abstract import AbstractEntity, AeParameters
from lies.attachment import PortConfig
from lies.driver import Driver
from lies.errors import ConfigError, TraceFormatError
from lies.events import (
    Attached,
    Detached,
    DownReason,
    Header,
    Indication,
    Link,
    LinkGoingDown,
    LinkStatusChanged,
    LinkUp,
    Neighbour,
    Quality,
    RawItem,
    Sample,
    Technology,
)
from lies.trace import open_trace
from lies.trace.merge import Heard
from lies_replay import Replay
from lies_replay.config import Following, ReplayConfig
from lies_replay.follow import level_db

S = 1_000_000_000


def played(*paths: Path, **options: Any) -> RecordingHost:
    """Replay traces as fast as possible."""
    return drive(Replay, ReplayConfig(files=paths, asap=True, **options))


def moves(host: RecordingHost) -> list[tuple[float, str, str, str | None]]:
    """(second, Attached or Detached, PoA, reason) of the driver inputs."""
    begin = host.items[0].t_ns
    return [
        (round((i.t_ns - begin) / S, 1), type(i).__name__, i.poa, getattr(i, "reason", None))
        for i in host.items
        if isinstance(i, Attached | Detached)
    ]


def fading(path: Path) -> Path:
    """A cellular drive: cell x fades, y takes over."""
    rows = [
        {
            "t_s": n + 100,
            "link_type": "lte",
            "poa": "x" if n < 20 else "y",
            "rsrp_dbm": -85 - 1.5 * n if n < 20 else -90,
            "nbr_rsrp_dbm": -100,
        }
        for n in range(40)
    ]
    return write_csv(path, rows)


def test_one_trace_is_played_as_recorded(tmp_path: Path) -> None:
    """The items of a trace come through the driver unchanged but for the time line."""
    path = fading(tmp_path / "t.csv")
    host = played(path)
    begin = host.items[0].t_ns - 100 * S
    wanted = [item for _, item in open_trace(path).items()]
    assert [evolve(i, t_ns=i.t_ns - begin) for i in host.items] == wanted
    (port,) = host.ports.values()
    assert (port.link, port.controllable) == (Link("replay0", Technology.LTE), False)


def test_a_trace_says_live_what_it_says_elsewhere(tmp_path: Path) -> None:
    """The indications are those of the abstract entity fed with the trace directly."""
    path = fading(tmp_path / "t.csv")
    link = Link("replay0", Technology.LTE)
    entity = AbstractEntity(link, AeParameters(), lambda t: Header("x", 1, 1, t, t, link))
    direct = [i for _, item in open_trace(path).items() for i in entity.feed(item)]
    host = played(path)
    begin = host.items[0].t_ns - 100 * S
    assert [(type(i), i.header.mono_ns - begin) for i in host.indications] == [
        (type(i), i.header.mono_ns) for i in direct
    ]
    assert any(isinstance(i, LinkGoingDown) for i in direct)


def test_a_window_and_a_map_are_applied(tmp_path: Path) -> None:
    """start_s and duration_s are on the trace's clock; map renames its cells."""
    host = played(fading(tmp_path / "t.csv"), start_s=115.0, duration_s=9.0, map={"x": "AP-1"})
    assert moves(host) == [
        (0.0, "Attached", "AP-1", None),
        (5.0, "Detached", "AP-1", "peer"),
        (5.0, "Attached", "y", None),
    ]
    assert (host.items[-1].t_ns - host.items[0].t_ns) == 9 * S


def two_access_points(folder: Path) -> tuple[Path, Path]:
    """A is strong, then falls silent at 10 s; b is heard all the time."""
    a = wifi_rows("a", {n: -50.0 if n < 10 else None for n in range(30)})
    b = wifi_rows("b", dict.fromkeys(range(30), -65.0))
    return write_csv(folder / "a.csv", a), write_csv(folder / "b.csv.gz", b)


def test_several_traces_are_one_radio_with_rules_of_its_own(tmp_path: Path) -> None:
    """The strongest is joined; silent for its time it is lost, and the other joined after the scan delay."""
    host = played(*two_access_points(tmp_path))
    assert moves(host) == [
        (0.0, "Attached", "a", None),
        (13.0, "Detached", "a", "signal_lost"),
        (14.0, "Attached", "b", None),
    ]
    samples = [i for i in host.items if isinstance(i, Sample)]
    assert samples[0].poa is None  # heard before it was joined
    assert samples[0].neighbours == (Neighbour("a", rssi_dbm=-50.0), Neighbour("b", rssi_dbm=-65.0))
    assert samples[1].poa == "a"
    assert samples[1].neighbours == (Neighbour("b", rssi_dbm=-65.0),)
    assert samples[12].poa is None
    assert samples[12].speed_mps == 3.0
    (port,) = host.ports.values()
    assert not port.controllable


def test_requests_are_followed_where_that_is_asked_for(tmp_path: Path) -> None:
    """With follow_requests LinkConnect moves the link; without it the same request does nothing."""

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        if isinstance(item, Attached) and item.poa == "a":
            driver.link_connect("replay0", "b")

    paths = two_access_points(tmp_path)
    host = drive(Replay, ReplayConfig(files=paths, asap=True, follow_requests=True), on_item=on_item)
    assert [m[1:] for m in moves(host)] == [
        ("Attached", "a", None),
        ("Detached", "a", "requested"),
        ("Attached", "b", None),
    ]
    assert next(iter(host.ports.values())).controllable
    deaf = drive(Replay, ReplayConfig(files=paths, asap=True), on_item=on_item)
    assert [m[2] for m in moves(deaf)] == ["a", "a", "b"]


def test_disconnect_is_followed_too(tmp_path: Path) -> None:
    """After LinkDisconnect the link stays down to the end."""

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        if isinstance(item, Attached):
            driver.link_disconnect("replay0", "a")

    config = ReplayConfig(files=two_access_points(tmp_path), asap=True, follow_requests=True)
    assert len(moves(drive(Replay, config, on_item=on_item))) == 2


def test_a_recorded_cell_change_moves_nothing_by_itself(tmp_path: Path) -> None:
    """With follow_requests the cell that the file left is lost when it is heard no more, not before."""
    host = played(fading(tmp_path / "t.csv"), follow_requests=True, association=Following(lost_after_s=1.0))
    joined = [m for m in moves(host) if m[1] == "Attached"]
    assert [m[2] for m in joined] == ["x", "y"]
    left = next(m for m in moves(host) if m[1] == "Detached")
    assert 25.0 < left[0] <= 28.0
    assert left[3] == DownReason.SIGNAL_LOST


def test_the_past_of_a_followed_trace_does_not_depend_on_its_future(tmp_path: Path) -> None:
    """Cut after 15 s, the replay gives the same items until then."""
    a, b = two_access_points(tmp_path)
    whole = played(a, b, follow_requests=True)
    cut = played(a, b, follow_requests=True, duration_s=15.0)

    def past(host: RecordingHost) -> list[RawItem]:
        begin = host.items[0].t_ns
        items = [evolve(i, t_ns=i.t_ns - begin) for i in host.items if i.t_ns - begin <= 15 * S]
        return [evolve(i, port_out_ns=None, port_in_ns=None) if isinstance(i, Attached) else i for i in items]

    assert past(whole) == past(cut)
    assert len(whole.items) > len(cut.items)


def test_a_loop_of_radio_goes_on_in_time(tmp_path: Path) -> None:
    """A second pass of a merged radio follows the first without going back."""
    host = played(*two_access_points(tmp_path), loop=2)
    assert all(x.t_ns <= y.t_ns for x, y in pairwise(host.items))
    assert sum(isinstance(i, Sample) for i in host.items) == 60


def test_a_live_replay_moves_at_once(tmp_path: Path) -> None:
    """On a running clock a request is followed when it comes, not at the next row."""
    rows = wifi_rows("a", {n / 5: -50.0 for n in range(4)})
    other = wifi_rows("b", {n / 5: -55.0 for n in range(4)})
    paths = (write_csv(tmp_path / "a.csv", rows), write_csv(tmp_path / "b.csv", other))

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        if isinstance(item, Attached) and item.poa == "a":
            driver.link_connect("replay0", "b")

    host = drive(Replay, ReplayConfig(files=paths, follow_requests=True), on_item=on_item)
    up = next(i for i in host.items if isinstance(i, Attached) and i.poa == "b")
    assert up.t_ns - host.items[0].t_ns < 150_000_000


def test_levels_are_counted_from_the_least_usable_signal() -> None:
    """SNR or dB above the noise floor for Wi-Fi, above the least RSRP, RSCP and RxLev for cells."""

    def level(technology: Technology, **values: Any) -> float | None:
        return level_db(Heard(Neighbour("p", **values), technology, fresh=True))

    assert level(Technology.WIFI, rssi_dbm=-70.0) == 25.0
    assert level(Technology.WIFI, rssi_dbm=-70.0, snr_db=12.0) == 12.0
    assert level(Technology.NR, rsrp_dbm=-105.0) == 20.0
    assert level(Technology.UMTS, rsrp_dbm=-100.0) == 20.0
    assert level(Technology.GSM, rssi_dbm=-90.0) == 20.0
    assert level(Technology.WIFI) is None
    assert level(Technology.LTE, snr_db=3.0) is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "file or files must name"),
        ({"file": "x", "rate": 0}, "asap = true"),
        ({"file": "x", "loop": -1}, "must not be negative"),
        ({"file": "x", "duration_s": 0}, "duration_s must be more than 0"),
        ({"file": "x", "link": ""}, "link must not be empty"),
        ({"file": "x", "association": {"lost_after_s": -1}}, "must not be negative"),
        (
            {"file": "x", "port": {"radio_netns": "n", "port": "p", "interface": "i"}},
            "follow_requests = true",
        ),
        ({"file": "x", "speed": 2}, "unknown key"),
    ],
)
def test_a_bad_table_is_one_sentence(table: dict[str, Any], said: str) -> None:
    """What cannot be played is a ConfigError that says why."""
    with pytest.raises(ConfigError, match=said):
        decode(ReplayConfig, table, table="drivers.replay")


def test_a_kernel_port_needs_the_live_clock(tmp_path: Path) -> None:
    """A port of the kernel cannot be moved in faster time."""
    port = PortConfig("/n", "p", "w", {})
    with pytest.raises(ConfigError, match="rate = 1"):
        played(fading(tmp_path / "t.csv"), follow_requests=True, port=port)


def test_files_that_cannot_be_played_are_one_sentence(tmp_path: Path) -> None:
    """A missing file, an empty one, an empty window: TraceFormatError at the start."""
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    with pytest.raises(TraceFormatError, match="is empty"):
        played(empty)
    with pytest.raises(TraceFormatError, match="cannot be read"):
        played(tmp_path / "absent.csv")
    with pytest.raises(TraceFormatError, match="nothing was recorded"):
        played(fading(tmp_path / "t.csv"), start_s=500.0)
    with pytest.raises(TraceFormatError, match="cannot be merged"):
        played(fading(tmp_path / "t.csv"), fading(tmp_path / "u.csv"))


def test_the_driver_is_installed_under_its_name() -> None:
    """The entry point `replay` is the driver."""
    from lies.registry import Registry  # noqa: PLC0415 - reads the installed entry points

    assert Registry().driver("replay") is Replay


def to_the_best(driver: Driver, _: RawItem, found: list[Indication]) -> None:
    """A consumer in one line: when the link fades, go to the best PoA there is."""
    assert isinstance(driver.host, RecordingHost)
    status = next(iter(driver.host.ports.values())).entity.status
    fades = any(
        isinstance(f, LinkGoingDown)
        or (isinstance(f, LinkStatusChanged) and f.condition.quality < Quality.FAIR)
        for f in found
    )
    if fades and status.up and status.poas[0].poa != status.poa:
        driver.link_connect("replay0", status.poas[0].poa)


@pytest.mark.traces
@pytest.mark.parametrize("start_s", [120.0, 360.0, 600.0])
def test_recorded_access_points_make_a_drive_with_handovers(start_s: float) -> None:
    """Four recorded access points, 120 s of them: a consumer of the indications moves several times."""
    files = tuple(recorded("dev/feupwifi_*_082.csv.gz"))
    config = ReplayConfig(files=files, asap=True, follow_requests=True, start_s=start_s, duration_s=120.0)
    host = drive(Replay, config, on_item=to_the_best)
    ups = [i.poa for i in host.indications if isinstance(i, LinkUp)]
    assert len(ups) >= 4
    assert len(set(ups)) >= 3


@pytest.mark.traces
def test_a_recorded_cellular_drive_changes_cells() -> None:
    """A recorded car drive with requests followed goes through its cells."""
    (path,) = recorded("dev/ucc5g_car_ama_20191201_1211.csv.gz")
    config = ReplayConfig(file=path, asap=True, follow_requests=True, start_s=327.0, duration_s=120.0)
    host = drive(Replay, config, on_item=to_the_best)
    ups = [i.poa for i in host.indications if isinstance(i, LinkUp)]
    assert len(set(ups)) >= 3


def test_map_of_a_poa_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A PoA that `map` renames and that the traces do not have is named; one that they have is not."""
    path = fading(tmp_path / "x.csv")
    for follow in (False, True):
        caplog.clear()
        played(path, map={"x": "cell1", "NOSUCH": "cell2"}, follow_requests=follow)
        assert [r.getMessage() for r in caplog.records if "map" in r.getMessage()] == [
            "test: map renames NOSUCH, but what is played has no such PoA"
        ]
