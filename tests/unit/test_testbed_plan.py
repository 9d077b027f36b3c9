"""Drives worked out: how long, past which routers, and that every option reaches a daemon that takes it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from trace_files import wifi_rows, write_csv

from lies.config import Config
from lies.errors import LiesError, TraceFormatError
from lies.plugins import Plugins, resolve
from lies.testbed import topology as t
from lies.testbed.plan import (
    Configurations,
    DriveOptions,
    NoDrive,
    Plan,
    make_plan,
    router_of,
    router_of_address,
)


def topology(routers: int) -> t.Topology:
    """What configurations need of a topology: its routers and where the radio is."""
    stand_in = SimpleNamespace(
        routers=tuple(t.Router(n + 1) for n in range(routers)),
        cell=None,
        path=lambda name: f"/proc/1/fd/{name}",
    )
    return cast("t.Topology", stand_in)


def configurations(plan: Plan, folder: Path) -> dict[str, Config]:
    """Every daemon's configuration of a plan, by node."""
    net = topology(plan.routers)
    make = Configurations(plan, net, folder)
    return {
        "ha": make.home_agent(),
        "mn": make.mobile_node(),
        **{r.name: make.access_router(r) for r in net.routers},
    }


def resolved(plan: Plan, folder: Path) -> dict[str, Plugins]:
    """The same through the registry: a key that no plugin knows is an error."""
    return {name: resolve(config) for name, config in configurations(plan, folder).items()}


def access_points(folder: Path, length_s: int, *names: str, begin_s: int = 0) -> tuple[Path, ...]:
    """One trace for each access point, each heard for its share of the time."""
    share = length_s / len(names)
    paths = []
    for k, name in enumerate(names):
        levels: dict[float, float | None] = {
            float(begin_s + s): (-60.0 if share * k <= s <= share * (k + 1) else None)
            for s in range(length_s + 1)
        }
        paths.append(write_csv(folder / f"{name}.csv", wifi_rows(name, levels)))
    return tuple(paths)


def test_a_simulated_drive_lasts_the_road_and_two_seconds() -> None:
    """Eight routers 90 m apart at 35 km/h: 630 m, 64.8 s, and two under the last one."""
    plan = make_plan(DriveOptions())
    assert plan.routers == 8
    assert plan.duration_s == pytest.approx(630 / (35 / 3.6) + 2)
    assert plan.poas == {}
    assert plan.technology == "wifi"


def test_a_duration_cuts_a_simulated_drive_and_lengthens_none() -> None:
    """--duration is a limit: shorter than the road it counts, longer it does not."""
    assert make_plan(DriveOptions(duration_s=7.5)).duration_s == 7.5
    assert make_plan(DriveOptions(duration_s=1e6)).duration_s == make_plan(DriveOptions()).duration_s


def test_traces_of_two_access_points_make_a_drive(tmp_path: Path) -> None:
    """Two files of one clock: two routers, in order of appearance, until 5 s before the end."""
    plan = make_plan(DriveOptions(traces=access_points(tmp_path, 60, "first", "second")))
    assert plan.routers == 2
    assert plan.duration_s == 55
    assert plan.poas == {"first": t.Router(1).bssid, "second": t.Router(2).bssid}


def test_a_window_has_only_its_own_access_points(tmp_path: Path) -> None:
    """--start and --duration leave out what is heard before and after."""
    paths = access_points(tmp_path, 200, "a", "b", "c", "d")
    plan = make_plan(DriveOptions(traces=paths, start_s=60, duration_s=60))
    assert list(plan.poas) == ["b", "c"]
    assert plan.duration_s == 60
    assert plan.start_s == 60


def test_a_trace_that_begins_late_is_driven_from_its_first_row(tmp_path: Path) -> None:
    """A clock that does not begin at 0 makes no longer drive than was recorded."""
    plan = make_plan(DriveOptions(traces=access_points(tmp_path, 60, "a", "b", begin_s=1000)))
    assert plan.start_s == 1000
    assert plan.duration_s == 55
    (radio,) = resolved(plan, tmp_path)["mn"].drivers
    assert (radio.options.start_s, radio.options.duration_s) == (1000, 60)


def test_one_access_point_is_no_drive(tmp_path: Path) -> None:
    """A trace that hears one point of attachment only ends with exit code 3 and names it."""
    with pytest.raises(NoDrive, match=r"only the point of attachment lonely is heard") as caught:
        make_plan(DriveOptions(traces=access_points(tmp_path, 60, "lonely")))
    assert caught.value.exit_code == 3


def test_a_window_with_one_access_point_is_no_drive(tmp_path: Path) -> None:
    """Two access points in the file but one in the window: no drive."""
    paths = access_points(tmp_path, 100, "a", "b")
    with pytest.raises(NoDrive, match="only the point of attachment a"):
        make_plan(DriveOptions(traces=paths, start_s=0, duration_s=20))


def test_a_window_without_any_access_point_is_no_drive(tmp_path: Path) -> None:
    """Where nothing is heard there is no drive either."""
    silence: dict[float, float | None] = {float(s): (-60.0 if s < 5 else None) for s in range(60)}
    path = write_csv(tmp_path / "a.csv", wifi_rows("a", silence))
    with pytest.raises(NoDrive, match="no point of attachment is heard"):
        make_plan(DriveOptions(traces=(path,), start_s=20))


def test_more_access_points_than_routers_is_no_drive(tmp_path: Path) -> None:
    """65 points of attachment are one more than the testbed has routers."""
    paths = access_points(tmp_path, 130, *(f"p{n}" for n in range(t.MAX_ROUTERS + 1)))
    with pytest.raises(NoDrive, match=r"65 points of attachment in this window; 64 are allowed"):
        make_plan(DriveOptions(traces=paths))


def test_a_window_past_the_end_is_a_trace_error(tmp_path: Path) -> None:
    """Nothing was recorded after the last row: exit code 3, and the sentence has the second."""
    paths = access_points(tmp_path, 60, "a", "b")
    with pytest.raises(TraceFormatError, match=r"from 61 s to the end") as caught:
        make_plan(DriveOptions(traces=paths, start_s=61, duration_s=10))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("start_s", [0.0, 1.0])
def test_a_trace_shorter_than_the_afterglow_is_no_drive(tmp_path: Path, start_s: float) -> None:
    """The radio outlasts the traffic by 5 s; a trace that leaves nothing for the traffic is no drive."""
    paths = access_points(tmp_path, 4, "a", "b")
    with pytest.raises(NoDrive, match=r"a drive needs more than 5 s"):
        make_plan(DriveOptions(traces=paths, start_s=start_s))


def test_a_missing_trace_is_an_error_of_ours(tmp_path: Path) -> None:
    """A file that is not there ends in one sentence, not in a traceback."""
    with pytest.raises(LiesError, match=r"nowhere\.csv"):
        make_plan(DriveOptions(traces=(tmp_path / "nowhere.csv",)))


def test_every_configuration_of_a_simulated_drive_is_taken(tmp_path: Path) -> None:
    """Each daemon's plugins take their tables, and the options are where the user put them."""
    options = DriveOptions(
        mode="reactive",
        routers=3,
        spacing_m=50.0,
        speed_kmh=70.0,
        l2_gap_ms=9.0,
        seed=7,
        grace_s=1.5,
        isolate_radio=True,
        abstract={"damping_s": 0.75},
        fmipv6={"policy": {"minimum_stay_s": 2.5}},
    )
    plan = make_plan(options)
    got = resolved(plan, tmp_path)
    assert sorted(got) == ["ar1", "ar2", "ar3", "ha", "mn"]
    (radio,) = got["mn"].drivers
    assert radio.config.isolate
    assert radio.abstract.damping_s == 0.75
    assert radio.options.seed == 7
    assert radio.options.l2_gap_ms == 9.0
    assert radio.options.port.bridges == {t.Router(n).bssid: f"air{n}" for n in (1, 2, 3)}
    consumers = {c.config.consumer: c.options for c in got["mn"].consumers}
    assert consumers["fmipv6"].mode == "reactive"
    assert consumers["fmipv6"].policy == {"minimum_stay_s": 2.5}
    assert consumers["fmipv6"].parameters.grace_s == 1.5
    assert consumers["mipv6"].parameters.grace_s == 1.5
    assert consumers["mipv6"].home_address == t.HOME_ADDRESS
    (home,) = got["ha"].consumers
    assert home.options.grace_s == 1.5
    assert home.options.address == t.HOME_AGENT


def test_simulated_road_reaches_the_driver(tmp_path: Path) -> None:
    """Spacing, speed and number of routers are those of the simulated road."""
    plan = make_plan(DriveOptions(routers=4, spacing_m=55.0, speed_kmh=72.0))
    config = configurations(plan, tmp_path)["mn"]
    (radio,) = resolve(config).drivers
    given: dict[str, Any] = dict(radio.config.options)
    assert (given["aps"], given["spacing_m"], given["speed_kmh"]) == (4, 55.0, 72.0)
    assert (radio.options.aps, radio.options.spacing_m, radio.options.speed_kmh) == (4, 55.0, 72.0)
    assert len(radio.options.poas) == 4


def test_every_configuration_of_a_recorded_drive_is_taken(tmp_path: Path) -> None:
    """The replay gets the files, the window with its afterglow, and the mapped points of attachment."""
    paths = access_points(tmp_path, 60, "a", "b")
    plan = make_plan(DriveOptions(traces=paths, start_s=10, duration_s=40, l2_gap_ms=3.0))
    (radio,) = resolved(plan, tmp_path)["mn"].drivers
    assert radio.cls.__name__ == "Replay"
    assert radio.options.paths == paths
    assert (radio.options.start_s, radio.options.duration_s) == (10, 45)
    assert radio.options.map == {"a": t.Router(1).bssid, "b": t.Router(2).bssid}
    assert radio.options.follow_requests
    assert radio.options.l2_gap_ms == 3.0


def test_every_router_knows_all_others(tmp_path: Path) -> None:
    """An access router's neighbours are all others, each with its address, prefix, MAC and access point."""
    plan = make_plan(DriveOptions(routers=5))
    got = resolved(plan, tmp_path)
    routers = {r.name: r for r in topology(5).routers}
    for name, router in routers.items():
        (consumer,) = got[name].consumers
        assert consumer.options.address == router.address
        assert consumer.options.prefix == router.prefix
        assert consumer.options.access_points == (router.bssid,)
        assert {n.address for n in consumer.options.neighbours} == {
            other.address for other in routers.values() if other is not router
        }
        for n in consumer.options.neighbours:
            (other,) = [r for r in routers.values() if r.address == n.address]
            assert (n.prefix, n.lla, n.access_points) == (
                other.prefix,
                t.mac_text(other.access_mac),
                (other.bssid,),
            )


def test_every_daemon_has_its_own_endpoints(tmp_path: Path) -> None:
    """No two daemons of a testbed share a runtime directory."""
    plan = make_plan(DriveOptions(routers=3))
    folders = [c.daemon.runtime_dir for c in configurations(plan, tmp_path).values()]
    assert len(set(folders)) == len(folders) == 5
    assert {f.parent for f in folders if f is not None} == {tmp_path}


def test_a_wrong_option_does_not_get_through(tmp_path: Path) -> None:
    """A key that FMIPv6 does not know is found before anything starts."""
    plan = make_plan(DriveOptions(routers=2, fmipv6={"moed": "none"}))
    with pytest.raises(LiesError, match="did you mean 'mode'"):
        resolved(plan, tmp_path)


def test_routers_are_found_by_access_point_and_by_address() -> None:
    """A PoA leads to its router, an address to the router of its prefix, others to none."""
    net = topology(3)
    two = net.routers[1]
    assert router_of(net, two.bssid) is two
    assert router_of(net, "elsewhere") is None
    assert router_of_address(net, two.prefix[0x99]) is two
    assert router_of_address(net, t.HOME_ADDRESS) is None
