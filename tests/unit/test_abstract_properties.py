"""What holds for every stream of items."""

import math
from typing import Any

import msgspec
import pytest
from abstract_kit import WIFI, entity, heard, run, series, up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lies.abstract import AbstractEntity, AeParameters
from lies.errors import MalformedMessage
from lies.events import (
    Attached,
    Detached,
    DownReason,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    Neighbour,
    PoAFound,
    PoALost,
    Quality,
    RawItem,
    Sample,
    Technology,
)

# Other work on the machine must not decide: no deadline, and slow drawing of data is no fault.
FAIR = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
POAS = st.sampled_from(["ap1", "ap2", "ap3", "ap4"])
PARAMETERS = st.sampled_from(
    [AeParameters(), AeParameters(max_poas=2), AeParameters(holdoff_s=0.0, renew_s=0.0)]
)
LINKS = st.sampled_from([WIFI, Link("wwan0", Technology.LTE)])
WILD = st.one_of(st.floats(), st.floats(-130.0, 50.0), st.integers(-(1 << 70), 1 << 70))


def signal(draw: st.DrawFn) -> dict[str, Any]:
    """A measurement of the kinds that radios give."""
    snr = draw(st.one_of(st.none(), st.floats(-5.0, 45.0)))
    rsrp = draw(st.one_of(st.none(), st.floats(-125.0, -70.0)))
    rsrq = draw(st.one_of(st.none(), st.floats(-25.0, -5.0)))
    return {"snr_db": snr, "rsrp_dbm": rsrp, "rsrq_db": rsrq}


@st.composite
def streams(draw: st.DrawFn) -> list[RawItem]:
    """Items in order of time: ramps and steps of signal, attachments, scans, silences."""
    items: list[RawItem] = []
    t_ns, db = 0, draw(st.floats(0.0, 40.0))
    for _ in range(draw(st.integers(1, 40))):
        t_ns += draw(st.sampled_from([0, 50_000_000, 500_000_000, 1_000_000_000, 7_000_000_000]))
        kind = draw(st.sampled_from("SSSSRRRRAADN"))
        poa = draw(POAS)
        if kind == "A":
            items.append(Attached(t_ns, poa))
        elif kind == "D":
            items.append(Detached(t_ns, poa, draw(st.sampled_from(DownReason))))
        elif kind == "N":
            items.append(Sample(t_ns))
        elif kind == "R":  # a ramp, so that lines are fitted and claims made
            slope, step_ns = draw(st.floats(-8.0, 8.0)), draw(st.sampled_from([100_000_000, 1_000_000_000]))
            for _ in range(draw(st.integers(3, 25))):
                t_ns += step_ns
                db = min(max(db + slope * step_ns / 1e9, -5.0), 45.0)
                items.append(Sample(t_ns, poa, snr_db=db, rsrp_dbm=db - 130.0))
        else:
            scan = draw(st.one_of(st.none(), st.lists(POAS, max_size=4, unique=True)))
            neighbours = None if scan is None else tuple(Neighbour(n, **signal(draw)) for n in scan)
            retries = draw(st.one_of(st.none(), st.integers(0, 500)))
            items.append(Sample(t_ns, poa, retries=retries, neighbours=neighbours, **signal(draw)))
    return items


@st.composite
def garbage(draw: st.DrawFn) -> RawItem:
    """An item with any time and any numbers."""
    t_ns = draw(st.integers(-(1 << 70), 1 << 70))
    poa = draw(st.one_of(POAS, st.text(max_size=3)))
    kind = draw(st.sampled_from("SAD"))
    if kind == "A":
        return Attached(t_ns, poa)
    if kind == "D":
        return Detached(t_ns, poa, DownReason.PEER)
    neighbours = tuple(
        Neighbour(poa, snr_db=draw(WILD), rsrp_dbm=draw(WILD)) for _ in range(draw(st.integers(0, 2)))
    )
    return Sample(
        t_ns,
        draw(st.one_of(st.none(), st.just(poa))),
        draw(st.one_of(st.none(), st.text(max_size=4), st.sampled_from(Technology))),
        snr_db=draw(WILD),
        rssi_dbm=draw(WILD),
        rsrp_dbm=draw(WILD),
        rsrq_db=draw(WILD),
        bitrate_mbps=draw(WILD),
        retries=draw(st.integers()),
        neighbours=neighbours,
    )


def numbered(link: Link, parameters: AeParameters, start: int = 0) -> AbstractEntity:
    """An entity whose headers are numbered from start + 1."""
    count = start

    def stamp(t_ns: int) -> Header:
        nonlocal count
        count += 1
        return Header("test", 1, count, t_ns, t_ns, link)

    return AbstractEntity(link, parameters, stamp)


@FAIR
@given(LINKS, PARAMETERS, streams(), st.data())
def test_an_exported_memory_goes_on_alike(
    link: Link, parameters: AeParameters, items: list[RawItem], data: st.DataObject
) -> None:
    """Exported and restored at any point, an entity says and is from there on what it would have been."""
    cut = data.draw(st.integers(0, len(items)))
    one = numbered(link, parameters)
    said = run(one, items[:cut])
    other = numbered(link, parameters, len(said))
    other.restore(one.export())
    assert other.status == one.status
    assert run(other, items[cut:]) == run(one, items[cut:])
    assert other.status == one.status
    assert other.refused == one.refused
    assert other.export() == one.export()


@FAIR
@given(LINKS, streams(), st.data())
def test_the_future_has_no_say_in_the_past(link: Link, items: list[RawItem], data: st.DataObject) -> None:
    """With what comes later put into any other order, what was said before is the same."""
    cut = data.draw(st.integers(0, len(items)))
    rest = data.draw(st.permutations(items[cut:]))
    one, other = entity(link), entity(link)
    assert run(one, items[:cut]) == run(other, items[:cut])
    assert one.export() == other.export()
    until = len(run(entity(link), items[:cut]))
    assert run(entity(link), items)[:until] == run(entity(link), [*items[:cut], *rest])[:until]


@FAIR
@given(LINKS, PARAMETERS, streams())
def test_link_up_and_link_down_alternate(link: Link, parameters: AeParameters, items: list[RawItem]) -> None:
    """LinkUp and LinkDown take turns, and a LinkDown names the PoA of the LinkUp before it."""
    poa: str | None = None
    ae = entity(link, parameters)
    for i in run(ae, items):
        if isinstance(i, LinkUp):
            assert poa is None
            poa = i.poa
        elif isinstance(i, LinkDown):
            assert poa == i.poa
            poa = None
    assert ae.status.poa == poa
    assert ae.status.up == (poa is not None)


@FAIR
@given(LINKS, PARAMETERS, streams())
def test_levels_of_an_attachment_change_at_each_indication(
    link: Link, parameters: AeParameters, items: list[RawItem]
) -> None:
    """Between LinkUp and LinkDown each LinkStatusChanged starts from the level that the last one ended at."""
    level: Quality | None = None
    ae = entity(link, parameters)
    for i in run(ae, items):
        if isinstance(i, LinkUp):
            level = Quality.NONE
        elif isinstance(i, LinkDown):
            level = None
        elif isinstance(i, LinkStatusChanged):
            assert i.previous.quality is level
            assert i.condition.quality is not level
            level = i.condition.quality
    assert ae.status.condition.quality is (level or Quality.NONE)


@FAIR
@given(LINKS, PARAMETERS, streams())
def test_every_claim_ends_once(link: Link, parameters: AeParameters, items: list[RawItem]) -> None:
    """LinkGoingDown and its renewals, of one PoA, end in one LinkGoingDownCancelled or one LinkDown."""
    standing: str | None = None
    serving: str | None = None
    ae = entity(link, parameters)
    for i in run(ae, items):
        match i:
            case LinkUp():
                serving = i.poa
            case LinkGoingDown():
                assert i.poa == serving
                assert standing in {None, i.poa}
                assert 0.0 <= i.time_to_down_ms <= parameters.horizon_s * 1e3
                assert 0.0 <= i.confidence <= 1.0
                standing = i.poa
            case LinkGoingDownCancelled():
                assert standing == i.poa
                standing = None
            case LinkDown():
                serving = standing = None
            case _:
                pass
    told = ae.status.going_down
    assert (None if told is None else told.poa) == standing


@FAIR
@given(LINKS, PARAMETERS, streams())
def test_found_and_lost_alternate_and_the_list_agrees(
    link: Link, parameters: AeParameters, items: list[RawItem]
) -> None:
    """Each PoA is found, lost, found ...; the list holds those found and the serving one."""
    known: set[str] = set()
    ae = entity(link, parameters)
    for i in run(ae, items):
        if isinstance(i, PoAFound):
            assert known.isdisjoint(c.poa for c in i.poas)
            known.update(c.poa for c in i.poas)
        elif isinstance(i, PoALost):
            assert known.issuperset(c.poa for c in i.poas)
            known.difference_update(c.poa for c in i.poas)
    listed = [c.poa for c in ae.status.poas]
    assert len(listed) == len(set(listed)) <= parameters.max_poas
    assert set(listed) == known | ({ae.status.poa} - {None})


@FAIR
@given(LINKS, streams())
def test_every_indication_carries_its_items_time(link: Link, items: list[RawItem]) -> None:
    """An indication is stamped with the time of the item that caused it, numbered without a hole."""
    ae = entity(link)
    sequence = 0
    for item in items:
        for i in ae.feed(item):
            sequence += 1
            assert i.header.mono_ns == item.t_ns
            assert i.header.sequence == sequence


@FAIR
@given(LINKS, st.lists(st.one_of(garbage(), streams()), max_size=12))
def test_garbage_never_raises(link: Link, parts: list[RawItem | list[RawItem]]) -> None:
    """Any numbers, times and names, between sound items, end in indications or in `refused`."""
    ae = entity(link)
    said: list[Indication] = []
    for part in parts:
        said += run(ae, part if isinstance(part, list) else [part])
        assert ae.status.up == (ae.status.poa is not None)
        other = entity(link)
        other.restore(ae.export())
        assert other.status == ae.status
    for i in said:
        if isinstance(i, LinkStatusChanged):
            assert math.isfinite(i.condition.bandwidth_mbps or 0.0)


@FAIR
@given(st.binary(max_size=64))
def test_bytes_that_are_no_memory_are_malformed(data: bytes) -> None:
    """restore() of anything else is MalformedMessage and changes nothing."""
    ae = entity()
    run(ae, [up(0.0), heard(0.1, 30.0)])
    before = ae.export()
    with pytest.raises(MalformedMessage):
        ae.restore(data)
    assert ae.export() == before


SCALARS = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-(1 << 63), (1 << 64) - 1), st.text(max_size=3)
)


@FAIR
@given(st.data())
def test_a_memory_with_one_value_changed_never_raises_later(data: st.DataObject) -> None:
    """A forged memory is refused, or what is restored from it goes on without raising."""
    ae = entity()
    run(ae, [up(0.0), *series([30.0 - i * 0.3 for i in range(40)]), heard(5.0, 17.0, ap2=33.0)])
    forged = msgspec.msgpack.decode(ae.export())
    place = forged
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(SCALARS)
        break
    victim = entity()
    try:
        victim.restore(msgspec.msgpack.encode(forged))
    except MalformedMessage:
        return
    run(
        victim,
        [*series([25.0] * 20, 6.0), up(9.0, "ap2"), *series([20.0 - i for i in range(20)], 9.1, poa="ap2")],
    )
    assert victim.status.poa in {None, "ap1", "ap2"} or isinstance(victim.status.poa, str)


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_a_cut_memory_is_malformed(length: int) -> None:
    """No prefix of an exported memory is one."""
    ae = entity()
    run(ae, [up(0.0), *series([30.0 - i * 0.3 for i in range(40)])])
    data = ae.export()
    assert length < len(data)
    with pytest.raises(MalformedMessage):
        entity().restore(data[:length])
