"""Attachment, damping, silence, time."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from abstract_kit import LTE, down, entity, heard, names, ns, run, series, up
from attrs import evolve

from lies.abstract import AeParameters
from lies.abstract._damping import begin, update
from lies.events import (
    Attached,
    Condition,
    Detached,
    DownReason,
    Link,
    LinkDown,
    LinkStatusChanged,
    LinkUp,
    Neighbour,
    Quality,
    RawItem,
    Sample,
    Technology,
)


def changes_of(indications: Sequence[object]) -> list[tuple[Quality, Quality]]:
    """Previous and new level of each LinkStatusChanged."""
    return [
        (i.previous.quality, i.condition.quality) for i in indications if isinstance(i, LinkStatusChanged)
    ]


def test_attach_and_detach() -> None:
    """LinkUp names the PoA, LinkDown the PoA and the driver's reason; both carry the item's time."""
    ae = entity()
    (rise,) = ae.feed(up(1.0))
    assert isinstance(rise, LinkUp)
    assert (rise.poa, rise.header.mono_ns) == ("ap1", ns(1.0))
    assert ae.status.up
    (fall,) = ae.feed(down(2.0, reason=DownReason.PEER))
    assert isinstance(fall, LinkDown)
    assert (fall.poa, fall.reason, fall.header.mono_ns) == ("ap1", DownReason.PEER, ns(2.0))
    assert not ae.status.up
    assert ae.status.poa is None
    assert ae.status.condition == Condition(Quality.NONE, 0.0)


def test_attached_again_is_nothing() -> None:
    """A second Attached to the same PoA is not indicated and not an error."""
    ae = entity()
    run(ae, [up(0.0), heard(0.5, 30.0)])
    before = ae.status
    assert ae.feed(up(1.0)) == []
    assert ae.refused == 0
    assert ae.status == before


def test_attached_elsewhere_ends_the_old_link() -> None:
    """A driver that does not say how the old link ended gets LinkDown(CARRIER), then LinkUp."""
    ae = entity()
    run(ae, [up(0.0), heard(0.5, 30.0)])
    fall, rise = ae.feed(up(1.0, "ap2"))
    assert isinstance(fall, LinkDown)
    assert (fall.poa, fall.reason) == ("ap1", DownReason.CARRIER)
    assert isinstance(rise, LinkUp)
    assert rise.poa == "ap2"
    assert fall.header.sequence < rise.header.sequence


def test_detached_from_elsewhere_is_refused() -> None:
    """A Detached of a PoA the link is not attached to, or while down, is counted and ignored."""
    ae = entity()
    assert ae.feed(down(0.0)) == []
    run(ae, [up(1.0)])
    assert ae.feed(down(2.0, "ap9")) == []
    assert ae.refused == 2
    assert ae.status.poa == "ap1"


def test_level_starts_from_the_first_sample() -> None:
    """After LinkUp the first sample sets the level, and LinkStatusChanged tells it."""
    ae = entity()
    run(ae, [up(0.0)])
    assert ae.status.condition.quality is Quality.NONE
    said = run(ae, [heard(0.1, 30.0)])
    assert changes_of(said) == [(Quality.NONE, Quality.GOOD)]


def test_level_of_a_poa_heard_before_is_known_at_once() -> None:
    """A PoA that was scanned keeps its damped level when the link moves to it."""
    ae = entity()
    run(ae, [up(0.0), *(heard(i / 10, 18.0, ap2=36.0) for i in range(20))])
    said = run(ae, [down(2.0), up(2.001, "ap2")])
    assert names(said) == ["LinkDown", "LinkUp", "LinkStatusChanged"]
    assert ae.status.condition.quality is Quality.EXCELLENT


@pytest.mark.parametrize("step_s", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("dip_db", [-30.0, 0.0, 90.0])
def test_one_wild_sample_does_not_change_the_level(step_s: float, dip_db: float) -> None:
    """RFC 5184 section 7(2): one sample, however far off and at any sampling rate, is damped away."""
    ae = entity()
    run(ae, [up(0.0), *series([30.0] * 10, step_s=step_s)])
    said = run(ae, series([30.0, dip_db, 30.0, 30.0, 30.0], 10 * step_s, step_s))
    assert changes_of(said) == []


@pytest.mark.parametrize("step_s", [0.01, 0.1, 1.0])
def test_a_lasting_change_shows_after_about_the_time_constant(step_s: float) -> None:
    """A fall of 10 dB crosses the next threshold not before 0.3 s and not after 3 s, at any rate."""
    ae = entity()
    run(ae, [up(0.0), *series([31.0] * round(5.0 / step_s), step_s=step_s)])
    said = run(ae, series([21.0] * round(5.0 / step_s), 5.0, step_s))
    first = next(i for i in said if isinstance(i, LinkStatusChanged))
    assert first.condition.quality is Quality.FAIR
    assert 0.3 <= first.header.mono_ns / 1e9 - 5.0 <= 3.0


def test_damping_follows_time_and_not_the_number_of_samples() -> None:
    """Ten times as many samples reach the same average in the same time, but for the median's lag."""
    averages = []
    for per_s in (20, 200):
        d = begin(0.0, 0)
        for i in range(1, per_s * 2 + 1):
            update(d, 10.0, round(i * 1e9 / per_s), 1.0, ns(5.0))
        averages.append(d.db)
    assert averages[1] == pytest.approx(10.0 * (1.0 - math.exp(-2.0)), abs=0.1)
    assert averages[0] == pytest.approx(averages[1], abs=0.2)


def test_average_starts_anew_after_a_long_silence() -> None:
    """A sample after more than stale_s counts alone."""
    d = begin(0.0, 0)
    update(d, 30.0, ns(5.1), 1.0, ns(5.0))
    assert (d.a, d.b, d.db) == (30.0, 30.0, 30.0)


def test_nothing_heard_is_level_none() -> None:
    """A serving PoA silent for silence_s has level NONE and no bandwidth, and comes back when heard."""
    ae = entity()
    run(ae, [up(0.0), *series([30.0] * 10)])
    said = run(ae, [heard(1.0 + i * 0.5, None, None) for i in range(6)])
    assert changes_of(said) == [(Quality.GOOD, Quality.NONE)]
    assert ae.status.condition == Condition(Quality.NONE, 0.0)
    assert ae.status.up
    said = run(ae, series([30.0] * 10, 4.0))
    assert changes_of(said) == [(Quality.NONE, Quality.GOOD)]


def test_a_sample_without_values_is_still_heard() -> None:
    """A serving PoA that is named without a measurement keeps its level."""
    ae = entity()
    run(ae, [up(0.0), *series([30.0] * 10)])
    assert run(ae, [heard(1.0 + i, None) for i in range(20)]) == []
    assert ae.status.condition.quality is Quality.GOOD


def test_a_scan_can_measure_the_serving_poa() -> None:
    """A scan that lists the serving PoA beside a sample without values measures it."""
    ae = entity()
    run(ae, [up(0.0), *(heard(i / 10, None, ap1=23.0) for i in range(1, 9))])
    assert ae.status.condition.quality is Quality.FAIR


def test_ethernet_is_excellent_while_plugged() -> None:
    """A cable has no signal: EXCELLENT while up, with the bitrate as bandwidth, also without samples."""
    ae = entity(Link("eth0", Technology.ETHERNET))
    said = run(ae, [up(0.0, "port1")])
    assert names(said) == ["LinkUp", "LinkStatusChanged"]
    run(ae, [Sample(ns(9.0), "port1", bitrate_mbps=1000.0), Sample(ns(9.5))])
    assert ae.status.condition == Condition(Quality.EXCELLENT, 1000.0)


def test_change_of_technology_starts_the_average_anew() -> None:
    """A cell that answers in UMTS after LTE is not averaged over both scales; LTE and 5G NSA are."""
    ae = entity(LTE)
    lte = [Sample(ns(i), "c", "lte", rsrp_dbm=-80.0) for i in range(5)]
    run(ae, [up(0.0, "c"), *lte])
    assert ae.status.condition.quality is Quality.EXCELLENT
    run(ae, [Sample(ns(5), "c", "umts", rsrp_dbm=-110.0)])
    assert ae.status.condition.quality is Quality.BAD
    run(ae, [Sample(ns(6), "c", "nr", rsrp_dbm=-80.0), Sample(ns(7), "c", "lte", rsrp_dbm=-110.0)])
    assert ae.status.condition.quality is Quality.EXCELLENT


@pytest.mark.parametrize(
    "item",
    [
        heard(0.5, 30.0),
        up(0.5, "ap2"),
        down(0.5),
        heard(3.0, math.nan),
        heard(3.0, math.inf),
        heard(3.0, -math.inf),
        heard(3.0, 1e300),
        heard(3.0, 30.0, ap2=math.nan),
        Sample(ns(3.0), "ap1", retries=-1),
        Sample(ns(3.0), "ap1", speed_mps=math.nan),
        Sample(ns(3.0), "", snr_db=30.0),
        Sample(ns(3.0), "a\x00p", snr_db=30.0),
        Sample(ns(3.0), "x" * 300, snr_db=30.0),
        Sample(1 << 70, "ap1", snr_db=30.0),
        Sample(ns(3.0), "ap1", neighbours=(Neighbour("n"),) * 5000),
        Attached(ns(3.0), ""),
    ],
)
def test_unusable_items_are_refused(item: RawItem) -> None:
    """What goes back in time, is not finite, or names no PoA is counted and changes nothing else."""
    ae, untouched = entity(), entity()
    for either in (ae, untouched):
        run(either, [up(1.0), heard(2.0, 30.0)])
    assert ae.feed(item) == []
    assert ae.refused == 1
    after = series([24.0] * 40, 4.0)
    assert run(ae, after) == run(untouched, after)
    assert ae.status == untouched.status


def wrongly(item: RawItem, **values: Any) -> RawItem:
    """The item with values that its types do not allow."""
    return evolve(item, **values)


@pytest.mark.parametrize(
    "item",
    [
        None,
        "sample",
        wrongly(heard(3.0, 30.0), t_ns="3"),
        wrongly(heard(3.0, 30.0), t_ns=3.5),
        wrongly(heard(3.0, 30.0), snr_db="30"),
        wrongly(heard(3.0, 30.0), technology=7),
        wrongly(heard(3.0, 30.0), neighbours=("ap2",)),
        wrongly(heard(3.0, 30.0), neighbours=5),
        wrongly(heard(3.0, 30.0), retries=1.5),
        wrongly(up(3.0), poa=5),
        wrongly(down(3.0), reason="because"),
    ],
)
def test_values_of_wrong_types_are_refused(item: RawItem) -> None:
    """A driver in the same process can feed anything: it is counted and does not raise."""
    ae = entity()
    run(ae, [up(1.0), heard(2.0, 30.0)])
    assert ae.feed(item) == []
    assert ae.refused == 1


def test_unknown_technology_has_the_scale_of_other() -> None:
    """A technology that has no name here is measured above the noise floor."""
    ae = entity(LTE)
    run(ae, [up(0.0, "c"), Sample(ns(1), "c", "satellite", snr_db=30.0)])
    assert ae.status.condition.quality is Quality.GOOD


def test_clock_that_was_set_back_is_followed_after_some_items() -> None:
    """One wild time of a driver does not silence a link for ever: 16 items in a row are believed."""
    ae = entity()
    run(ae, [up(0.0), *series([30.0] * 10), heard(1e6, 30.0)])
    said = run(ae, series([10.0] * 15, 1.0))
    assert said == []
    assert ae.refused == 15
    said = run(ae, series([10.0] * 60, 2.5))
    assert ae.refused == 15
    assert changes_of(said)[-1][1] is Quality.NONE
    assert ae.status.up


def test_one_item_back_in_time_does_not_add_up() -> None:
    """Items that go back now and then, between good ones, never set the clock."""
    ae = entity(parameters=AeParameters(resync_items=2))
    run(ae, [up(0.0)])
    for i in range(1, 50):
        run(ae, [heard(float(i), 30.0), heard(float(i) - 0.5, 30.0)])
    assert ae.refused == 49


def test_status_is_a_value_of_its_moment() -> None:
    """A status taken before an item is not changed by it."""
    ae = entity()
    run(ae, [up(0.0), heard(0.1, 30.0, ap2=20.0)])
    before = ae.status
    copy = (before.up, before.poa, before.condition, before.poas, before.going_down)
    run(ae, [Detached(ns(1), "ap1", DownReason.PEER), heard(9.0, None, None)])
    assert (before.up, before.poa, before.condition, before.poas, before.going_down) == copy
    assert ae.status != before
