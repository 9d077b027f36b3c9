"""What the nl80211 driver keeps of scans, how often it measures, and answers that come too late."""

import pytest
from attrs import evolve
from wifi_kit import INDEX, NAME, A, B, C, World, bss_of, connect_body, cqm_body

from lies.events import Neighbour, Sample
from lies_nl80211 import messages as m
from lies_nl80211.heard import KEPT_NS, MOST, Heard
from lies_nl80211.items import Answer, Query
from lies_nl80211.sampling import AWAKE_S, Sampling, SamplingRules
from lies_nl80211.uapi import Cqm

_S = 1_000_000_000
RULES = SamplingRules(rest_s=1.0, near_s=0.1, near_dbm=-70.0)


def forged(count: int, *, ssid: bytes = b"net") -> list[m.Bss]:
    """Strong access points that nobody has."""
    return [bss_of(f"06:00:00:00:{n >> 8:02x}:{n & 255:02x}", ssid, rssi_dbm=-20.0) for n in range(count)]


def test_flood_displaces_nobody() -> None:
    """Ten thousand strong forged beacons displace neither the serving PoA nor who was heard before them."""
    heard = Heard()
    heard.take(_S, [bss_of(A), bss_of(B, rssi_dbm=-85.0), bss_of(C, b"other", rssi_dbm=-90.0)], A)
    found = heard.take(2 * _S, [*forged(10000), bss_of(C, b"other"), bss_of(B), bss_of(A)], A)
    assert len(heard) == MOST
    assert {B, C} < {n.poa for n in found}
    assert heard.get(A) is not None


def level(rssi_dbm: float | None) -> Neighbour:
    """B as heard, with a level or without; what it is comes with it each time."""
    return Neighbour(B, rssi_dbm=rssi_dbm, network="net", frequency_mhz=2437)


def test_levels_are_given_once() -> None:
    """A hearing gives its level once; while the kernel lists it, it is still heard."""
    heard = Heard()
    entry = evolve(bss_of(B), seen_ns=5)
    assert heard.take(_S, [entry], A) == [level(-60.0)]
    assert heard.take(2 * _S, [evolve(entry, seen_ms_ago=1000)], A) == [level(None)]
    assert heard.take(3 * _S, [evolve(entry, seen_ns=6)], A) == [level(-60.0)]
    assert heard.remind(3 * _S + KEPT_NS - 1, A) == [Neighbour(B)]
    assert heard.remind(3 * _S + KEPT_NS, A) == []


def test_ages_tell_what_is_new() -> None:
    """With kernels that give ages only, the same hearing is known by its age."""
    heard = Heard()
    heard.take(10 * _S, [evolve(bss_of(B), seen_ms_ago=100)], A)
    assert heard.take(11 * _S, [evolve(bss_of(B), seen_ms_ago=1105)], A) == [level(None)]
    assert heard.take(12 * _S, [evolve(bss_of(B), seen_ms_ago=300)], A) == [level(-60.0)]


def test_hidden_network_keeps_its_name() -> None:
    """A beacon without a name does not take away the name that was heard before."""
    heard = Heard()
    heard.take(_S, [bss_of(B, b"net")], None)
    nameless = evolve(bss_of(B), elements=evolve(bss_of(B).elements, ssid=None))
    heard.take(2 * _S, [nameless], None)
    found = heard.get(B)
    assert found is not None
    assert found.elements.ssid == b"net"
    assert heard.frequencies_of(b"net") == (2437,)


@pytest.mark.parametrize(
    ("levels_dbm", "period_s"),
    [
        ([-50.0] * 5, 1.0),
        ([-69.0], 1.0),
        ([-70.0], 0.1),
        ([-71.0, -68.0], 0.1),
        ([-71.0, -66.0], 1.0),
        ([-50.0, -54.0, -58.0, -62.0], 0.1),
        ([-50.0, -51.0, -50.0, -51.0], 1.0),
    ],
)
def test_rate_follows_the_level(levels_dbm: list[float], period_s: float) -> None:
    """Links are measured often near the threshold and where they fall towards it, else once a second."""
    sampling = Sampling(RULES)
    for second, level in enumerate(levels_dbm):
        sampling.measured(float(second), level)
    assert sampling.period_s(float(len(levels_dbm))) == period_s


def test_hint_lasts_a_while() -> None:
    """The kernel's hint makes the rate fast, for three seconds."""
    sampling = Sampling(RULES)
    sampling.hint(10.0)
    assert sampling.period_s(10.0 + AWAKE_S - 0.01) == 0.1
    assert sampling.period_s(10.0 + AWAKE_S) == 1.0
    sampling.hint(20.0)
    sampling.begin()
    assert sampling.period_s(20.0) == 1.0


def test_rest_asks_once_a_second() -> None:
    """A good link costs a question a second, and two more every ten."""
    world = World().begin()
    world.scan = [bss_of(A, associated=True), bss_of(B)]
    world.join(A)
    before = len(world.asks)
    world.run(600.0)
    asked = [a.query for _, a in world.asks[before:]]
    assert 599 <= asked.count(Query.STATIONS) <= 601
    assert asked.count(Query.SCAN) <= 61
    assert asked.count(Query.SURVEY) <= 61


def test_fading_link_is_told_of_before_it_breaks() -> None:
    """From -40 to -90 dBm in ten seconds, LinkGoingDown comes while the link is up, by the rate alone."""
    world = World().begin()
    world.join(A)
    told_at: float | None = None
    for step in range(100):
        world.at(A, rssi_dbm=-40 - step // 2)
        world.run(0.1)
        if world.entities[NAME].status.going_down is not None:
            told_at = step / 10
            break
    assert told_at is not None
    assert told_at < 8.0  # -80 dBm, where Wi-Fi's level is none
    assert world.moves() == [("Attached", A)]


def test_answer_to_an_older_association_decides_nothing() -> None:
    """An answer that was asked for before the present association says nothing of it."""
    world = World(auto=False).begin()
    world.answer()
    world.answer()
    world.tell(connect_body(A))
    (old,) = [a for a in world.open if a.query is Query.STATIONS]
    world.tell(connect_body(A, protected=True))
    authorised = m.Station(INDEX, A, -50, authorised=True, associated=True)
    world.feed(Answer(old, world.t_ns, (authorised,)))
    assert world.moves() == []
    new = [a for a in world.open if a.query is Query.STATIONS][-1]
    world.feed(Answer(new, world.t_ns, (authorised,)))
    assert world.moves() == [("Attached", A)]


def test_late_measurement_is_left_out() -> None:
    """A measurement from before what was told last is left out: items keep the order of their times."""
    world = World().begin()
    world.join(A)
    world.auto = False
    world.run(1.5)
    (ask,) = [a for a in world.open if a.query is Query.STATIONS]
    old_ns = world.t_ns
    world.run(0.5)
    world.tell(cqm_body(Cqm.RSSI_THRESHOLD_EVENT, 0, level_dbm=-66))
    world.feed(Answer(ask, old_ns, (m.Station(INDEX, A, -40, authorised=True, associated=True),)))
    levels = [i.rssi_dbm for i in world.items[NAME] if isinstance(i, Sample) and i.poa == A]
    assert levels[-1] == -66.0
