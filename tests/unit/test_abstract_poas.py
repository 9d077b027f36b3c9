"""PoAs found, lost, ordered and bounded."""

import itertools
import random

import pytest
from abstract_kit import WIFI, down, entity, heard, names, ns, run, up
from attrs import evolve

from lies.abstract import AeParameters
from lies.events import Condition, Indication, Neighbour, PoAFound, PoALost, Quality, RawItem, Sample


def found_and_lost(indications: list[Indication]) -> list[tuple[str, str]]:
    """(class name, PoA) of every couple of PoAFound and PoALost."""
    return [
        (type(i).__name__, couple.poa)
        for i in indications
        if isinstance(i, PoAFound | PoALost)
        for couple in i.poas
    ]


def scans(values: list[float], start_s: float = 0.0, step_s: float = 0.5, poa: str = "ap2") -> list[RawItem]:
    """Samples with a strong serving PoA and one neighbour of these SNRs."""
    return [heard(start_s + i * step_s, 35.0, "ap1", **{poa: v}) for i, v in enumerate(values)]


def test_a_scan_finds_poas_with_their_conditions() -> None:
    """One PoAFound couples every new PoA of a scan with its level (RFC 5184 sections 4.3 and 6.3)."""
    ae = entity()
    run(ae, [up(0.0), heard(0.1, 35.0)])
    (said,) = run(ae, [heard(0.2, 35.0, ap2=29.0, ap3=17.0, ap4=9.0)])
    assert isinstance(said, PoAFound)
    assert [(c.poa, c.condition.quality) for c in said.poas] == [("ap2", Quality.GOOD), ("ap3", Quality.BAD)]


def test_serving_poa_is_found_when_heard() -> None:
    """The serving PoA is a PoA like others: found at its first sample, and in the list."""
    ae = entity()
    assert found_and_lost(run(ae, [up(0.0), heard(0.1, 35.0)])) == [("PoAFound", "ap1")]
    assert [c.poa for c in ae.status.poas] == ["ap1"]


def test_serving_poa_is_listed_before_it_is_measured_and_never_lost() -> None:
    """While attached the PoA stays in the list, however weak; once left it ages as others do."""
    ae = entity()
    run(ae, [up(0.0)])
    assert [c.poa for c in ae.status.poas] == ["ap1"]
    said = run(ae, [heard(i / 2, 35.0) for i in range(1, 5)])
    said += run(ae, [heard(3.0 + i / 2, 3.0) for i in range(30)])
    said += run(ae, [heard(20.0 + i, None, None) for i in range(20)])
    assert found_and_lost(said) == [("PoAFound", "ap1")]
    assert [(c.poa, c.condition.quality) for c in ae.status.poas] == [("ap1", Quality.NONE)]
    said = run(ae, [down(40.0), heard(40.1, None, None)])
    assert found_and_lost(said) == [("PoALost", "ap1")]
    assert ae.status.poas == ()


def test_a_poa_not_heard_for_its_age_is_lost_once() -> None:
    """After poa_age_s without being heard a PoA is lost, with nothing left of its condition."""
    ae = entity()
    run(ae, [up(0.0), *scans([25.0] * 4)])
    said = run(ae, [heard(2.0 + i / 2, 35.0) for i in range(40)])
    assert found_and_lost(said) == [("PoALost", "ap2")]
    lost = said[0]
    assert isinstance(lost, PoALost)
    assert lost.poas[0].condition == Condition(Quality.NONE, 0.0)
    assert 1.5 + 5.0 < lost.header.mono_ns / 1e9 <= 1.5 + 5.0 + 1.0


def test_a_poa_heard_without_values_does_not_age() -> None:
    """A scan that only names a PoA keeps it."""
    ae = entity()
    run(ae, [up(0.0), *scans([25.0] * 4)])
    quiet = [Sample(ns(2.0 + i), "ap1", snr_db=35.0, neighbours=(Neighbour("ap2"),)) for i in range(30)]
    assert run(ae, quiet) == []


def test_a_weak_poa_does_not_flap() -> None:
    """Noise of the hysteresis' size finds a PoA at most once and loses it at most once."""
    random_ = random.Random(4)
    ae = entity()
    noise = [16.0 + random_.uniform(-1.0, 1.0) for _ in range(400)]
    said = found_and_lost(run(ae, [up(0.0), *scans(noise)]))
    assert len([s for s in said if s[1] == "ap2"]) <= 2


def test_a_poa_that_weakens_is_lost_and_found_again_above_the_hysteresis() -> None:
    """Below the level it is lost; it is found again 2 dB above the threshold and not before."""
    ae = entity()
    said = run(ae, [heard(0.0, 35.0), *scans([20.0] * 10 + [10.0] * 20 + [16.5] * 20 + [20.0] * 20, 0.5)])
    events = [
        (type(i).__name__, i.header.mono_ns / 1e9)
        for i in said
        if isinstance(i, PoAFound | PoALost) and i.poas[0].poa == "ap2"
    ]
    assert [e[0] for e in events] == ["PoAFound", "PoALost", "PoAFound"]
    assert 5.0 < events[1][1] < 15.0
    assert events[2][1] > 25.0


def test_the_least_level_is_configurable() -> None:
    """With poa_quality GOOD a FAIR PoA is no candidate."""
    ae = entity(parameters=AeParameters(poa_quality=Quality.GOOD))
    assert found_and_lost(run(ae, scans([25.0] * 5))) == [("PoAFound", "ap1")]
    assert found_and_lost(run(ae, scans([32.0] * 10, 2.5))) == [("PoAFound", "ap2")]


def test_best_poa_comes_first_and_bandwidth_tells_equal_levels_apart() -> None:
    """The list is ordered by damped signal; within a level the bandwidth has the same order."""
    ae = entity()
    run(ae, [up(0.0), *(heard(i / 10, 28.0, ap2=31.0, ap3=29.5, ap4=40.0, ap5=16.0) for i in range(9))])
    poas = ae.status.poas
    assert [c.poa for c in poas] == ["ap4", "ap2", "ap3", "ap1", "ap5"]
    assert {c.condition.quality for c in poas[1:4]} == {Quality.GOOD}
    bandwidths = [c.condition.bandwidth_mbps or 0.0 for c in poas]
    assert bandwidths == sorted(set(bandwidths), reverse=True)


def test_equal_poas_are_ordered_by_name() -> None:
    """A tie does not depend on who was heard first."""
    orders = set()
    for order in itertools.permutations(("a", "b", "c")):
        ae = entity()
        run(ae, [heard(0.1, None, None, **dict.fromkeys(order, 30.0))])
        orders.add(tuple(c.poa for c in ae.status.poas))
    assert orders == {("a", "b", "c")}


@pytest.mark.parametrize("rising", [True, False])
def test_a_flood_of_names_keeps_the_memory_flat(rising: bool) -> None:
    """Thousands of invented PoAs fill the table to its bound; the serving PoA stays."""
    ae = entity(parameters=AeParameters(max_poas=16))
    run(ae, [up(0.0), heard(0.1, 35.0)])
    sizes, said = [], []
    for i in range(200):
        flood = tuple(
            Neighbour(f"x{i:03}-{k:02}", snr_db=20.0 + (i if rising else -i) / 20.0 + k / 50.0)
            for k in range(20)
        )
        said += ae.feed(Sample(ns(0.2 + i / 10), "ap1", snr_db=35.0, neighbours=flood))
        sizes.append(len(ae.export()))
        assert len(ae.status.poas) <= 16
        assert "ap1" in [c.poa for c in ae.status.poas]
    assert max(sizes) < 3000
    alive: set[str] = {"ap1"}
    for kind, poa in found_and_lost(said):
        assert (poa in alive) == (kind == "PoALost")
        alive.symmetric_difference_update({poa})
    assert alive == {c.poa for c in ae.status.poas}


def test_a_full_table_keeps_the_strongest() -> None:
    """A stronger newcomer takes the weakest one's place, a weaker one is not remembered."""
    ae = entity(parameters=AeParameters(max_poas=3))
    run(ae, [up(0.0), heard(0.1, 35.0, ap2=20.0, ap3=30.0)])
    assert run(ae, [heard(0.2, 35.0, weak=19.0)]) == []
    said = run(ae, [heard(0.3, 35.0, strong=25.0)])
    assert found_and_lost(said) == [("PoALost", "ap2"), ("PoAFound", "strong")]


def test_attaching_makes_room() -> None:
    """The PoA that the link attaches to is always remembered, even unheard with a full table."""
    ae = entity(parameters=AeParameters(max_poas=2))
    run(ae, [heard(0.1, None, None, ap2=30.0, ap3=20.0)])
    said = run(ae, [up(0.2, "ap9")])
    assert names(said) == ["PoALost", "LinkUp"]
    assert [c.poa for c in ae.status.poas] == ["ap2", "ap9"]


def test_samples_before_any_attachment_find_poas_only() -> None:
    """A link that is down has no level, but hears PoAs."""
    ae = entity()
    said = run(ae, [evolve(heard(i / 10, 30.0 - i), neighbours=None) for i in range(30)])
    assert set(names(said)) <= {"PoAFound", "PoALost"}
    assert said[0].header.link == WIFI
