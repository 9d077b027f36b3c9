"""LinkGoingDown: announced in time, renewed, withdrawn, and quiet on noise."""

import itertools
import random

import pytest
from abstract_kit import LTE, down, entity, heard, names, ns, run, series, up
from attrs import evolve

from lies.abstract import AbstractEntity, AeParameters, WifiParameters
from lies.abstract._slope import Line, add, fit
from lies.events import (
    DownReason,
    Indication,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    Neighbour,
    RawItem,
    Sample,
)

FALL_DB_S = 3.0


def claims(indications: list[Indication]) -> list[LinkGoingDown]:
    """The LinkGoingDown among indications."""
    return [i for i in indications if isinstance(i, LinkGoingDown)]


def fade(
    step_s: float, noise_db: float = 0.0, seed: int = 1, last_db: float = 15.0, slope_db_s: float = FALL_DB_S
) -> list[RawItem]:
    """Ten steady seconds at 35 dB, then a straight fall to last_db; it crosses 15 dB 20/slope s later."""
    random_ = random.Random(seed)
    items: list[RawItem] = []
    t_s = 0.0
    while (db := 35.0 - slope_db_s * max(0.0, t_s - 10.0)) >= last_db:
        items.append(heard(t_s, db + random_.gauss(0.0, noise_db)))
        t_s += step_s
    return items


def attached() -> AbstractEntity:
    """An entity whose link is up."""
    ae = entity()
    run(ae, [up(-1.0)])
    return ae


@pytest.mark.parametrize("step_s", [0.02, 0.1, 0.5, 1.0])
def test_a_straight_fall_is_announced_within_the_horizon(step_s: float) -> None:
    """Without noise the break is announced in time at any rate, and a renewal's time is true within 1 s."""
    told = claims(run(attached(), fade(step_s)))
    break_s = 10.0 + 20.0 / FALL_DB_S
    assert 0.6 <= break_s - told[0].header.mono_ns / 1e9 <= 5.5
    assert told[0].reason is DownReason.FADING
    for claim in told[1:]:
        announced_s = (claim.header.mono_ns / 1e9) + claim.time_to_down_ms / 1e3
        assert announced_s == pytest.approx(break_s, abs=1.0)


@pytest.mark.parametrize("seed", range(10))
def test_a_noisy_fall_is_announced_before_the_break(seed: int) -> None:
    """With 2 dB of noise at 10 Hz the break is announced between 1 s and 5 s before."""
    told = claims(run(attached(), fade(0.1, 2.0, seed)))
    lead_s = 10.0 + 20.0 / FALL_DB_S - told[0].header.mono_ns / 1e9
    assert 1.0 <= lead_s <= 5.0
    assert all(0.7 <= c.confidence <= 1.0 and c.time_to_down_ms <= 5000.0 for c in told)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("step_s", [0.1, 1.0])
def test_noise_on_a_sound_link_is_quiet(seed: int, step_s: float) -> None:
    """Five minutes of 3 dB noise 15 dB above the break announce nothing."""
    random_ = random.Random(seed)
    steady = series([30.0 + random_.gauss(0.0, 3.0) for _ in range(round(300 / step_s))], step_s=step_s)
    assert claims(run(attached(), steady)) == []


def test_claims_that_prove_wrong_become_rare() -> None:
    """Ten minutes of a link that lives on at its break: withdrawals make the next claims ever later."""
    random_ = random.Random(3)
    said = run(attached(), series([15.0 + random_.gauss(0.0, 1.0) for _ in range(6000)]))
    begins = []
    standing = False
    for i in said:
        if isinstance(i, LinkGoingDown) and not standing:
            begins.append(i.header.mono_ns / 1e9)
        standing = isinstance(i, LinkGoingDown) or (standing and not isinstance(i, LinkGoingDownCancelled))
    assert 4 <= len(begins) <= 20
    assert sum(t_s > 300.0 for t_s in begins) < len(begins) / 3


def test_recovery_withdraws() -> None:
    """A fall that turns is withdrawn by LinkGoingDownCancelled of the same PoA."""
    ae = attached()
    run(ae, fade(0.1, last_db=17.0))
    assert ae.status.going_down is not None
    said = run(ae, series([30.0] * 40, 16.1))
    assert [i.poa for i in said if isinstance(i, LinkGoingDownCancelled)] == ["ap1"]
    assert claims(said) == []
    assert ae.status.going_down is None


def test_time_that_passes_without_a_break_withdraws() -> None:
    """When no sample comes that could tell, the claim ends patience_s after its announced time."""
    ae = attached()
    told = claims(run(ae, fade(0.1, last_db=17.0)))[-1]
    said = run(ae, [heard(16.1 + i / 10, None, None) for i in range(200)])
    (cancelled,) = [i for i in said if isinstance(i, LinkGoingDownCancelled)]
    late_s = (cancelled.header.mono_ns - told.header.mono_ns) / 1e9 - told.time_to_down_ms / 1e3
    assert 2.0 <= late_s <= 2.2


def test_a_break_ends_the_claim_without_a_withdrawal() -> None:
    """LinkDown after LinkGoingDown stands alone, and nothing is claimed while the link is down."""
    ae = attached()
    run(ae, fade(0.1, last_db=16.0))
    assert ae.status.going_down is not None
    assert names(run(ae, [down(16.5)])) == ["LinkDown"]
    assert ae.status.going_down is None
    said = run(ae, series([16.0 - i / 5 for i in range(60)], 16.6))
    assert not any(isinstance(i, LinkGoingDown | LinkGoingDownCancelled | LinkDown) for i in said)


def test_a_move_ends_the_claim() -> None:
    """Attached elsewhere: the claim about the old PoA is over, the new PoA starts with a line of its own."""
    ae = attached()
    run(ae, fade(0.1, last_db=17.0))
    said = run(ae, [up(16.2, "ap2"), *series([30.0] * 50, 16.3, poa="ap2")])
    assert names(said)[:2] == ["LinkDown", "LinkUp"]
    assert not any(isinstance(i, LinkGoingDown | LinkGoingDownCancelled) for i in said)


def test_renewals_are_at_least_renew_s_apart_and_refine_the_time() -> None:
    """Within an episode LinkGoingDown comes again, at most every renew_s, each with the time then left."""
    ae = entity(parameters=AeParameters(renew_s=0.25))
    told = claims(run(ae, [up(-1.0), *fade(0.1)]))
    assert len(told) >= 4
    gaps = [b.header.mono_ns - a.header.mono_ns for a, b in itertools.pairwise(told)]
    assert all(gap >= ns(0.25) for gap in gaps)
    assert all(b.time_to_down_ms < a.time_to_down_ms for a, b in itertools.pairwise(told))


def test_break_and_confidence_are_configurable() -> None:
    """A lower break is announced later; more confidence is never announced earlier."""

    def first_s(wifi: WifiParameters) -> float:
        ae = entity(parameters=AeParameters(wifi=wifi))
        return claims(run(ae, [up(-1.0), *fade(0.1, 1.0, last_db=0.0)]))[0].header.mono_ns / 1e9

    usual = first_s(WifiParameters())
    assert first_s(WifiParameters(break_db=8.0)) > usual + 1.0
    assert first_s(WifiParameters(min_confidence=0.95)) >= usual


def test_a_far_deeper_fall_is_announced_in_the_silence_after_withdrawals() -> None:
    """The silence after a wrong claim does not hide a fall of 6 dB more."""
    ae = entity(parameters=AeParameters(holdoff_s=60.0))
    run(ae, [up(-1.0), *fade(0.1, last_db=21.0), *series([25.0] * 60, 14.8)])
    assert ae.status.going_down is None
    said = run(ae, series([25.0 - i * 0.3 for i in range(60)], 21.0))
    assert claims(said)


def test_a_stronger_neighbour_is_a_break_for_cellular_only() -> None:
    """The network moves the node to a neighbour 5 dB stronger (event A3), however good the serving cell."""

    def sample(i: int) -> Sample:
        serving, neighbour = -85.0 - i * 0.15, -95.0 + i * 0.15
        return Sample(ns(i / 10), "c1", rsrp_dbm=serving, neighbours=(Neighbour("c2", rsrp_dbm=neighbour),))

    items = [sample(i) for i in range(50)]
    told = claims(run(entity(LTE), [up(0.0, "c1"), *items]))
    assert told
    lead_s = 5.0 - told[0].header.mono_ns / 1e9
    assert 0.5 <= lead_s <= 5.0
    alone = [evolve(i, neighbours=None) for i in items]
    assert claims(run(entity(LTE), [up(0.0, "c1"), *alone])) == []


def test_the_line_is_the_least_squares_line() -> None:
    """With a prior of no weight the decaying sums give the solution of the weighted normal equations."""
    random_ = random.Random(7)
    times = sorted(random_.uniform(0.0, 10.0) for _ in range(40))
    points = [(t, 20.0 - 1.5 * t + random_.gauss(0.0, 1.0)) for t in times]
    line, last = Line(), times[0]
    for t, x in points:
        add(line, x, t - last, 4.0)
        last = t
    got = fit(line, 5.0, 1e-6, 1e6)
    weights = [2.718281828459045 ** ((t - last) / 4.0) for t in times]
    total = sum(weights)
    mean_t = sum(w * t for w, t in zip(weights, times, strict=True)) / total
    mean_x = sum(w * x for w, (_, x) in zip(weights, points, strict=True)) / total
    slope = sum(w * (t - mean_t) * (x - mean_x) for w, (t, x) in zip(weights, points, strict=True)) / sum(
        w * (t - mean_t) ** 2 for w, t in zip(weights, times, strict=True)
    )
    assert got is not None
    assert got.slope == pytest.approx(slope, rel=1e-9)
    assert got.level == pytest.approx(mean_x + slope * (last - mean_t), rel=1e-9)


def test_the_line_stays_exact_on_a_link_that_lives_for_weeks() -> None:
    """A million seconds at the same slope do not wear the sums out."""
    line = Line()
    for i in range(20000):
        add(line, 20.0 - (i % 10), 500.0 if i % 10 == 0 else 1.0, 4.0)
    got = fit(line, 5.0, 1e-6, 1e6)
    assert got is not None
    assert got.slope == pytest.approx(-1.0, rel=1e-6)
    assert got.level == pytest.approx(11.0, rel=1e-6)


def test_too_few_samples_claim_nothing() -> None:
    """Two samples make no line; many of one instant make one without a slope."""
    line = Line()
    add(line, 5.0, 0.0, 4.0)
    add(line, 1.0, 1.0, 4.0)
    assert fit(line, 5.0, 1e-6, 1e6) is None
    same = Line()
    for i in range(10):
        add(same, 1.0 + i % 2, 0.0, 4.0)
    flat = fit(same, 5.0, 1.0, 1.0)
    assert flat is not None
    assert (flat.level, flat.slope) == (1.5, 0.0)
    assert fit(Line(), 5.0, 1.0, 1.0) is None
