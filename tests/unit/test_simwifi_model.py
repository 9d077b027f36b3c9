"""The simulated radio: seeded, causal, and of the statistics it claims."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lies_simwifi.model import (
    LOWEST_MBPS,
    RATE_STEPS,
    Path,
    RadioModel,
    ShadowField,
    bitrate_mbps,
    fading_db,
    retry_share,
)
from lies_simwifi.scenario import AccessPoint, Fading, Propagation, Scenario, bssid

QUIET = Propagation(shadowing_sigma_db=0.0, scan_sigma_db=0.0, fading=Fading.NONE, resolution_db=0.01)


def test_same_seed_same_samples() -> None:
    """Two models of one seed agree at every step; another seed does not."""
    one, same, other = (RadioModel(Scenario(seed=s)) for s in (5, 5, 6))
    steps = range(0, 650, 13)
    assert [one.hear(n) for n in steps] == [same.hear(n) for n in steps]
    assert [one.scan(n) for n in steps] == [same.scan(n) for n in steps]
    assert [one.hear(n) for n in steps] != [other.hear(n) for n in steps]


@given(st.lists(st.integers(0, 700), max_size=20))
def test_order_of_asking_changes_nothing(asked: list[int]) -> None:
    """What is heard at a step does not depend on which steps were asked for before."""
    fresh, used = RadioModel(Scenario(aps=2)), RadioModel(Scenario(aps=2))
    for step in asked:
        used.hear(step)
    assert used.hear(123) == fresh.hear(123)


def test_future_path_and_access_points_do_not_change_the_past() -> None:
    """Another way after 30 s, and access points switched on and off after it, leave every step before it."""
    corner = (30.0 * 35 / 3.6, 0.0)
    row = tuple(AccessPoint(bssid(n), 90.0 * n, 10.0) for n in range(8))
    later = (*(a for a in row[:5]), AccessPoint(row[5].poa, 450.0, 10.0, off_s=30.0))
    one = RadioModel(Scenario(path=((0.0, 0.0), corner, (900.0, 0.0)), access_points=row))
    new = AccessPoint("02:00:00:00:99:01", corner[0], 5.0, on_s=30.0)
    other = RadioModel(
        Scenario(path=((0.0, 0.0), corner, (0.0, 500.0)), access_points=(*later, *row[6:], new))
    )
    assert all(one.hear(n) == other.hear(n) and one.scan(n) == other.scan(n) for n in range(300))
    assert any(one.hear(n) != other.hear(n) for n in range(301, 330))


def test_driving_back_meets_the_same_shadows() -> None:
    """Shadowing belongs to the place: there and back again hears the same levels, in reverse."""
    p = Propagation(fading=Fading.NONE, resolution_db=0.001)
    model = RadioModel(
        Scenario(aps=1, path=((0.0, 0.0), (100.0, 0.0), (0.0, 0.0)), speed_kmh=36, propagation=p)
    )
    for step in range(100):
        there, back = model.hear(step)[bssid(1)], model.hear(200 - step)[bssid(1)]
        assert math.isclose(there.rssi_dbm, back.rssi_dbm, abs_tol=0.002)
    levels = [model.hear(step)[bssid(1)].rssi_dbm for step in range(100)]
    assert levels != sorted(levels, reverse=True)


def test_shadowing_has_the_configured_spread_and_correlation() -> None:
    """Over many fields the deviation is sigma, and the correlation at the distance D is 1/e."""
    fields = [ShadowField(random.Random(f"{n}"), 4.0, 20.0) for n in range(1500)]
    here = [f.at(3.0, -7.0) for f in fields]
    there = [f.at(3.0, 13.0) for f in fields]
    far = [f.at(203.0, -7.0) for f in fields]
    assert statistics.fmean(here) == pytest.approx(0.0, abs=0.35)
    assert statistics.pstdev(here) == pytest.approx(4.0, abs=0.3)
    assert statistics.correlation(here, there) == pytest.approx(math.exp(-1), abs=0.08)
    assert abs(statistics.correlation(here, far)) < 0.09


def test_fading_has_mean_power_one_and_averaging_damps_it() -> None:
    """Faded power is 1 on average; more frames a sample, and a stronger direct path, spread less."""
    spread = {}
    for name, p in {
        "rayleigh": Propagation(fading=Fading.RAYLEIGH, averaged_frames=1),
        "rician": Propagation(fading=Fading.RICIAN, averaged_frames=1),
        "averaged": Propagation(fading=Fading.RICIAN, averaged_frames=8),
    }.items():
        powers = [10 ** (fading_db(p, random.Random(f"{n}")) / 10) for n in range(3000)]
        assert statistics.fmean(powers) == pytest.approx(1.0, abs=0.08)
        spread[name] = statistics.pstdev(powers)
    assert spread["rayleigh"] == pytest.approx(1.0, abs=0.1)  # power is exponential
    assert spread["rayleigh"] > spread["rician"] > spread["averaged"]
    assert fading_db(Propagation(fading=Fading.NONE), random.Random(1)) == 0.0


def test_path_loss_falls_with_the_exponent() -> None:
    """Ten times the distance costs ten times the exponent in dB."""
    model = RadioModel(
        Scenario(
            path=((0.0, 0.0),),
            access_points=(AccessPoint("a", 5, 0), AccessPoint("b", 50, 0)),
            propagation=QUIET,
        )
    )
    heard = model.hear(0)
    assert heard["a"].rssi_dbm - heard["b"].rssi_dbm == pytest.approx(33.0, abs=0.02)
    assert heard["a"].snr_db == pytest.approx(heard["a"].rssi_dbm + 95.0)


def test_default_drive_meets_the_levels_of_the_abstract_entity() -> None:
    """Excellent near, BAD to FAIR halfway, the next one clearly better after it, weak one spacing past."""
    model = RadioModel(Scenario(propagation=QUIET))

    def snr_db(x_m: float, ap: int) -> float:
        return model.hear(round(x_m / (35 / 3.6) * 10))[bssid(ap)].snr_db

    assert snr_db(0, 1) >= 36
    assert 18 <= snr_db(45, 1) <= 23
    assert snr_db(65, 2) - snr_db(65, 1) > 8
    assert 9 <= snr_db(90, 1) <= 12


def test_rates_and_retries_follow_the_snr() -> None:
    """More SNR never lowers the rate; frames are lost near a rate's limit and below the lowest one."""
    rates = [bitrate_mbps(snr / 2) for snr in range(100)]
    assert rates == sorted(rates)
    assert rates[0] == LOWEST_MBPS
    assert {r for r, _ in RATE_STEPS} <= set(rates)
    assert retry_share(40.0) < 0.01
    assert retry_share(9.0) == pytest.approx(0.1, abs=0.01)
    assert retry_share(4.0) > 0.9
    assert retry_share(-1e6) == pytest.approx(1.0)


def test_an_access_point_is_heard_while_it_is_on() -> None:
    """on_s and off_s bound an access point's life."""
    ap = AccessPoint("a", 0, 10, on_s=1.0, off_s=2.0)
    model = RadioModel(Scenario(access_points=(ap,), path=((0.0, 0.0),)))
    assert [bool(model.hear(n)) for n in (0, 9, 10, 19, 20)] == [False, False, True, True, False]


def test_path_stays_at_its_end() -> None:
    """The node goes at its speed along the waypoints and stands still at the last one."""
    path = Path(((0.0, 0.0), (30.0, 0.0), (30.0, 40.0)), 10.0)
    assert path.duration_s == 7.0
    assert (path.place(1.5).x_m, path.place(1.5).speed_mps) == (15.0, 10.0)
    assert (path.place(5.0).x_m, path.place(5.0).y_m) == (30.0, 20.0)
    assert (path.place(99.0).y_m, path.place(99.0).speed_mps) == (40.0, 0.0)
    assert Path(((1.0, 2.0),), 10.0).place(3.0).x_m == 1.0
