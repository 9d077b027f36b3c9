"""Scenarios: what TOML may say, and the sentences about what it may not."""

from pathlib import Path
from typing import Any

import pytest

from lies._decode import decode
from lies.attachment import AirOnly, PortConfig, open_attachment
from lies.errors import ConfigError
from lies.pace import Pace
from lies_simwifi import SimWifi
from lies_simwifi.scenario import Scenario, SimWifiConfig, bssid, load_scenario, scenario_of


def test_convenience_keys_make_a_row_of_access_points() -> None:
    """aps, spacing_m and poas stand for a row; the drive ends under the last one."""
    scenario = Scenario(aps=3, spacing_m=50, poas=("a", "b", "c"), start_m=10)
    assert [(s.poa, s.x_m) for s in scenario.stations] == [("a", 0.0), ("b", 50.0), ("c", 100.0)]
    assert scenario.waypoints == ((10.0, 0.0), (100.0, 0.0))
    assert Scenario().stations[0].poa == "02:00:00:00:01:01" == bssid(1)
    assert len({s.poa for s in Scenario(aps=1000).stations}) == 1000


def test_a_whole_table_is_decoded() -> None:
    """Every part of a scenario can be given in TOML."""
    config = decode(
        SimWifiConfig,
        {
            "link": "wlan7",
            "seed": 3,
            "path": [[0, 0], [10.5, 2]],
            "access_points": [{"poa": "x", "x_m": 1, "y_m": 2, "off_s": 4}],
            "propagation": {"exponent": 2.7, "fading": "rayleigh"},
            "association": {"auto_roam_db": 8},
            "port": {"radio_netns": "/n", "port": "p", "interface": "w", "bridges": {"x": "br1"}},
            "end": "finish",
        },
        table="drivers.sim",
    )
    assert config.path == ((0, 0), (10.5, 2))
    assert config.stations[0].off_s == 4
    assert config.port == PortConfig("/n", "p", "w", {"x": "br1"})
    assert config.association.auto_roam_db == 8


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"aps": 0}, "aps must lie"),
        ({"speed_kmh": 0}, "must be more than 0"),
        ({"sample_ms": 300}, "multiple of sample_ms"),
        ({"poas": ["a"]}, "poas names 1"),
        ({"access_points": []}, "access_points needs one"),
        ({"access_points": [{"poa": "a", "x_m": 0, "y_m": 0}] * 2}, "two access points have one poa"),
        ({"access_points": [{"poa": "", "x_m": 0, "y_m": 0}]}, "poa must not be empty"),
        ({"path": []}, "path needs a waypoint"),
        ({"rate": -1}, "must not be negative"),
        ({"link": ""}, "link must not be empty"),
        ({"propagation": {"averaged_frames": 0}}, "averaged_frames must lie"),
        ({"propagation": {"shadowing_sigma_db": -1}}, "standard deviation"),
        ({"propagation": {"shadowing_distance_m": 0}}, "more than 0"),
        ({"association": {"lost_samples": 0}}, "lost_samples must be 1"),
        ({"asp": 8}, "did you mean 'aps'"),
    ],
)
def test_a_bad_table_is_one_sentence(table: dict[str, Any], said: str) -> None:
    """What cannot be driven is a ConfigError that says why."""
    with pytest.raises(ConfigError, match=said):
        decode(SimWifiConfig, table, table="drivers.sim")


def test_a_scenario_file_holds_the_scenario(tmp_path: Path) -> None:
    """A scenario can lie in its own file; the driver's table then holds no key of one."""
    file = tmp_path / "drive.toml"
    file.write_text("aps = 3\n[propagation]\nexponent = 3.0\n")
    assert scenario_of(SimWifiConfig(scenario=file), table="t").stations[2].x_m == 180.0
    with pytest.raises(ConfigError, match=r"\[drivers.s\]: seed: stands beside"):
        scenario_of(SimWifiConfig(scenario=file, seed=9), table="drivers.s")


def test_a_scenario_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A missing, broken or wrong scenario file is a ConfigError with its name."""
    broken = tmp_path / "broken.toml"
    for text, said in (
        ("aps = \n", "not TOML"),
        ("aps = 1.5\n", "expected an integer"),
        ("link = 'x'\n", "unknown key"),
    ):
        broken.write_text(text)
        with pytest.raises(ConfigError, match=said) as info:
            load_scenario(broken)
        assert "broken.toml" in str(info.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scenario(tmp_path / "absent.toml")


def test_a_kernel_port_needs_the_live_clock() -> None:
    """A port of the kernel cannot be moved in faster time; a radio alone can."""
    port = PortConfig("/n", "p", "w", {})
    with pytest.raises(ConfigError, match="rate = 1"):
        open_attachment(port, l2_gap_ms=2.0, pace=Pace(2.0))
    assert isinstance(open_attachment(None, l2_gap_ms=2.0), AirOnly)


def test_the_driver_is_installed_under_its_name() -> None:
    """The entry point `simwifi` is the driver."""
    from lies.registry import Registry  # noqa: PLC0415 - reads the installed entry points

    assert Registry().driver("simwifi") is SimWifi
