"""Levels, bandwidth and the combination of measures."""

import msgspec
import pytest
from abstract_kit import entity, heard, run, series, up
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from lies._decode import decode
from lies.abstract import AeParameters, TechnologyParameters, WifiParameters
from lies.abstract._levels import QUALITIES, bandwidth_mbps, next_rank, rank_of
from lies.abstract._measure import signal_db
from lies.errors import ConfigError
from lies.events import LinkStatusChanged, Neighbour, Quality, Sample, Technology

FAIR = settings(deadline=None)
ALL = AeParameters()
SCALES = [ALL.of(t) for t in Technology if t is not Technology.ETHERNET]
DB = st.floats(-160.0, 80.0)


@pytest.mark.parametrize(
    ("snr_db", "quality"),
    [
        (60.0, Quality.EXCELLENT),
        (34.0, Quality.EXCELLENT),
        (33.999, Quality.GOOD),
        (27.0, Quality.GOOD),
        (26.999, Quality.FAIR),
        (22.0, Quality.FAIR),
        (21.999, Quality.BAD),
        (15.0, Quality.BAD),
        (14.999, Quality.NONE),
        (-20.0, Quality.NONE),
    ],
)
def test_first_sample_takes_the_table_of_appendix_e(snr_db: float, quality: Quality) -> None:
    """The first sample's level is RFC 5184 appendix E's, a threshold belonging to the level above it."""
    ae = entity()
    run(ae, [up(0.0), heard(0.1, snr_db)])
    assert ae.status.condition.quality is quality


@pytest.mark.parametrize(
    ("threshold_db", "above", "below"),
    [
        (34.0, Quality.EXCELLENT, Quality.GOOD),
        (27.0, Quality.GOOD, Quality.FAIR),
        (22.0, Quality.FAIR, Quality.BAD),
        (15.0, Quality.BAD, Quality.NONE),
    ],
)
def test_a_level_is_left_at_its_threshold_and_entered_above_it(
    threshold_db: float, above: Quality, below: Quality
) -> None:
    """Falling crosses at the threshold; rising needs the hysteresis of 2 dB on top."""
    ae = entity()
    run(ae, [up(0.0), *series([threshold_db + 0.5] * 50)])
    assert ae.status.condition.quality is above
    run(ae, series([threshold_db - 0.5] * 100, 5.0))
    assert ae.status.condition.quality is below
    run(ae, series([threshold_db + 1.5] * 100, 15.0))
    assert ae.status.condition.quality is below
    run(ae, series([threshold_db + 2.5] * 100, 25.0))
    assert ae.status.condition.quality is above


@FAIR
@given(st.sampled_from(SCALES), st.integers(0, 4), DB)
def test_next_rank_moves_towards_the_table_and_never_past_it(
    p: TechnologyParameters, rank: int, db: float
) -> None:
    """The level with hysteresis lies between the one before and the plain table's."""
    plain, new = rank_of(db, p), next_rank(rank, db, p)
    assert min(rank, plain) <= new <= max(rank, plain)
    if plain < rank:
        assert new == plain


@FAIR
@given(st.sampled_from(SCALES), st.integers(0, 4), DB)
def test_a_level_once_reached_is_stable(p: TechnologyParameters, rank: int, db: float) -> None:
    """The same signal again changes nothing."""
    once = next_rank(rank, db, p)
    assert next_rank(once, db, p) == once


@FAIR
@given(st.sampled_from(SCALES), DB, st.floats(0.2, 30.0))
def test_bandwidth_rises_with_the_signal(p: TechnologyParameters, db: float, more_db: float) -> None:
    """The estimate never falls as the signal rises, and orders usable signals strictly."""
    low, high = bandwidth_mbps(db, p), bandwidth_mbps(db + more_db, p)
    assert low <= high
    if db >= p.bad_db and p.bandwidth_mhz >= 1.0:
        assert low < high


def test_qualities_are_indexed_by_rank() -> None:
    """The table of levels agrees with Quality.rank."""
    assert [q.rank for q in QUALITIES] == [0, 1, 2, 3, 4]


def test_rssi_stands_in_for_snr() -> None:
    """Without an SNR, Wi-Fi's scale is rssi_dbm + 95; with one, RSSI is not looked at."""
    p = ALL.wifi
    assert signal_db(Sample(0, "a", rssi_dbm=-70.0), Technology.WIFI, p) == 25.0
    assert signal_db(Sample(0, "a", rssi_dbm=-70.0, snr_db=31.0), Technology.WIFI, p) == 31.0
    assert signal_db(Sample(0, "a", rsrp_dbm=-70.0), Technology.WIFI, p) is None
    assert signal_db(Neighbour("b", rssi_dbm=-80.0), Technology.OTHER, ALL.other) == 15.0


def test_cellular_takes_rsrp_less_the_larger_shortfall() -> None:
    """RSRQ under -14 dB and SNR under 0 dB take off their shortfall, the larger one, at most 10 dB."""

    def lte(rsrq_db: float | None, snr_db: float | None) -> float | None:
        sample = Sample(0, "c", rsrp_dbm=-90.0, rsrq_db=rsrq_db, snr_db=snr_db)
        return signal_db(sample, Technology.LTE, ALL.lte)

    assert lte(-10.0, 12.0) == -90.0
    assert lte(-17.0, 12.0) == -93.0
    assert lte(-17.0, -5.0) == -95.0
    assert lte(-17.0, None) == -93.0
    assert lte(-40.0, -40.0) == -100.0
    assert lte(None, None) == -90.0


def test_cellular_falls_back_on_rssi() -> None:
    """RSSI less its usual distance stands in for RSRP; nothing at all is no signal."""
    assert signal_db(Sample(0, "c", rssi_dbm=-60.0), Technology.LTE, ALL.lte) == -88.0
    assert signal_db(Sample(0, "c", rsrq_db=-9.0), Technology.LTE, ALL.lte) is None


def test_retransmissions_lower_the_level_of_a_strong_link() -> None:
    """RFC 5184 section 7(2): many retries make a link worse than its signal, few do not."""
    few, many = entity(), entity()
    for ae, retries in ((few, 2), (many, 60)):
        run(
            ae, [up(0.0), *(evolve(s, retries=retries) for s in series([36.0] * 60) if isinstance(s, Sample))]
        )
    assert few.status.condition.quality is Quality.EXCELLENT
    assert many.status.condition.quality is Quality.GOOD


def test_thresholds_come_from_the_configuration() -> None:
    """A TOML table of one key changes one threshold and nothing else."""
    parameters = decode(AeParameters, {"wifi": {"good_db": 30}})
    assert parameters.wifi == WifiParameters(good_db=30.0)
    assert parameters.lte == ALL.lte
    ae = entity(parameters=parameters)
    run(ae, [up(0.0), heard(0.1, 28.0)])
    assert ae.status.condition.quality is Quality.FAIR


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"wifi": {"good_db": 40}}, "must fall in that order"),
        ({"lte": {"hysteresis_db": -1}}, "hysteresis_db must not be negative"),
        ({"nr": {"slope_window_s": 0}}, "slope_window_s must be more than 0"),
        ({"umts": {"min_confidence": 2}}, "min_confidence must lie between 0 and 1"),
        ({"damping_s": 0}, "damping_s must be more than 0"),
        ({"holdoff_s": -1.0}, "holdoff_s must not be negative"),
        ({"max_poas": 0}, "max_poas must lie between"),
        ({"resync_items": 1}, "resync_items must be at least 2"),
        ({"poa_quality": "great"}, "poa_quality"),
    ],
)
def test_impossible_parameters_are_refused(table: dict[str, object], says: str) -> None:
    """A parameter that contradicts itself is a ConfigError that says so."""
    with pytest.raises(ConfigError, match=says):
        decode(AeParameters, table)


def test_parameters_round_trip() -> None:
    """What msgspec writes of the parameters it reads again."""
    assert msgspec.convert(msgspec.to_builtins(ALL), AeParameters) == ALL


def test_a_change_carries_previous_and_new_condition() -> None:
    """LinkStatusChanged names both conditions; the bandwidth falls with the signal."""
    ae = entity()
    run(ae, [up(0.0), *series([30.0] * 30)])
    changes = [i for i in run(ae, series([24.0] * 60, 3.0)) if isinstance(i, LinkStatusChanged)]
    assert [(c.previous.quality, c.condition.quality) for c in changes] == [(Quality.GOOD, Quality.FAIR)]
    before, after = changes[0].previous.bandwidth_mbps, changes[0].condition.bandwidth_mbps
    assert before is not None
    assert after is not None
    assert after < before


def test_bandwidth_is_the_damped_bitrate_where_given() -> None:
    """A driver's bitrate is the available bandwidth until it is older than stale_s; then the estimate."""
    ae = entity()
    run(ae, [up(0.0), *(evolve(s, bitrate_mbps=54.0) for s in series([30.0] * 20) if isinstance(s, Sample))])
    assert ae.status.condition.bandwidth_mbps == 54.0
    assert ae.status.poas[0].condition.bandwidth_mbps == bandwidth_mbps(30.0, ALL.wifi)
    run(ae, series([30.0] * 60, 2.0))
    assert ae.status.condition.bandwidth_mbps == bandwidth_mbps(30.0, ALL.wifi)
