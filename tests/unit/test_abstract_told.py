"""What a driver was told, and no signal shows: the end of a link, how the network serves it, who is there."""

import math

import msgspec
import pytest
from abstract_kit import LTE, down, entity, heard, names, ns, run, up

from lies.events import (
    ChangeReason,
    DownReason,
    LinkGoingDown,
    LinkStatusChanged,
    Neighbour,
    PoAFound,
    RawItem,
    Sample,
    Served,
    Warned,
)


def warned(t_s: float, reason: DownReason | None, in_ms: float = 0.0, poa: str = "ap1") -> Warned:
    """The driver was told."""
    return Warned(ns(t_s), poa, reason, in_ms)


def cell(t_s: float, rsrp: float, poa: str = "ap1") -> Sample:
    """A sample of a cell."""
    return Sample(ns(t_s), poa, rsrp_dbm=rsrp)


def test_a_warning_is_a_link_going_down() -> None:
    """With its reason, its time, and no doubt; the state says so."""
    ae = entity()
    run(ae, [up(0.0)])
    (told,) = run(ae, [warned(1.0, DownReason.DENIED, 15000.0)])
    assert isinstance(told, LinkGoingDown)
    assert (told.poa, told.reason, told.time_to_down_ms, told.confidence) == ("ap1", "denied", 15000.0, 1.0)
    assert ae.status.going_down == told


def test_a_warning_stands_until_it_is_taken_back() -> None:
    """No signal withdraws it, however good and however long; it is not said twice."""
    ae = entity()
    run(ae, [up(0.0), warned(1.0, DownReason.ADMIN_DOWN)])
    good = run(ae, [heard(2.0 + i / 10, 40.0) for i in range(600)])
    assert [n for n in names(good) if "GoingDown" in n] == []
    assert run(ae, [warned(63.0, DownReason.ADMIN_DOWN)]) == []
    assert names(run(ae, [warned(64.0, None)])) == ["LinkGoingDownCancelled"]
    assert ae.status.going_down is None
    assert run(ae, [warned(65.0, None)]) == []


def test_another_reason_is_said() -> None:
    """The later one stands."""
    ae = entity()
    out = run(ae, [up(0.0), warned(1.0, DownReason.ADMIN_DOWN), warned(2.0, DownReason.DENIED)])
    assert [i.reason for i in out if isinstance(i, LinkGoingDown)] == ["admin_down", "denied"]


def test_a_warning_ends_with_the_link() -> None:
    """Nothing is withdrawn; the next attachment is sound, and predictions go on as ever."""
    ae = entity()
    run(ae, [up(0.0), warned(1.0, DownReason.DENIED)])
    assert names(run(ae, [down(2.0)])) == ["LinkDown"]
    run(ae, [up(3.0)])
    assert ae.status.going_down is None
    falling = run(ae, [heard(4.0 + i / 10, 40.0 - i / 2) for i in range(60)])
    assert [i.reason for i in falling if isinstance(i, LinkGoingDown)][:1] == ["fading"]


def test_a_warning_takes_the_place_of_a_prediction() -> None:
    """What was predicted is told by somebody who knows."""
    ae = entity()
    falling: list[RawItem] = [heard(1.0 + i / 10, 40.0 - i / 2) for i in range(60)]
    out = run(ae, [up(0.0), *falling])
    assert any(isinstance(i, LinkGoingDown) for i in out)
    (told,) = run(ae, [warned(8.0, DownReason.ADMIN_DOWN)])
    assert isinstance(told, LinkGoingDown)
    assert names(run(ae, [warned(9.0, None)])) == ["LinkGoingDownCancelled"]


@pytest.mark.parametrize(
    "item",
    [
        warned(1.0, DownReason.DENIED, poa="ap2"),
        warned(1.0, DownReason.DENIED, -1.0),
        warned(1.0, DownReason.DENIED, math.nan),
        warned(1.0, "denied"),  # type: ignore[arg-type]  # a reason that is a text
        Served(ns(1.0), technology=5),  # type: ignore[arg-type]  # likewise a number
        Served(ns(1.0), registration="a\nb"),
        Served(ns(1.0), limit_mbps=0.0),
        Served(ns(1.0), limit_mbps=math.inf),
    ],
)
def test_what_cannot_be_is_refused(item: RawItem) -> None:
    """It is counted, and nothing follows."""
    ae = entity()
    run(ae, [up(0.0)])
    assert run(ae, [item]) == []
    assert ae.refused == 1


def test_technology_and_registration_are_statuses() -> None:
    """What changed and what it is now; first news and news of a link that is down are none."""
    ae = entity(LTE)
    assert run(ae, [Served(ns(0.0), "lte", "searching"), Served(ns(0.5), "lte", "home")]) == []
    run(ae, [up(1.0)])
    out = run(
        ae,
        [
            Served(ns(2.0), "umts", "home"),
            Served(ns(3.0), "umts", "roaming"),
            Served(ns(4.0), "umts", "roaming"),
        ],
    )
    assert [(i.reason, i.detail) for i in out if isinstance(i, LinkStatusChanged)] == [
        (ChangeReason.TECHNOLOGY, "umts"),
        (ChangeReason.REGISTRATION, "roaming"),
    ]


def test_a_measurement_on_another_scale_is_forgotten() -> None:
    """The level stays until the next sample, the bandwidth is not known."""
    ae = entity(LTE)
    run(ae, [up(0.0), cell(0.1, -80.0), Served(ns(1.0), "gsm", "home")])
    assert (ae.status.condition.quality, ae.status.condition.bandwidth_mbps) == ("excellent", None)
    run(ae, [Sample(ns(1.1), "ap1", "gsm", rssi_dbm=-99.0)])
    assert ae.status.condition.quality == "fair"


def test_a_limit_is_a_limit() -> None:
    """The estimate of the signal is cut; without an estimate a limit is none."""
    ae = entity(LTE)
    run(ae, [Served(ns(0.0), "lte", "home", 2.0), up(0.1)])
    assert ae.status.condition.bandwidth_mbps == 0.0
    run(ae, [cell(0.2, -80.0)])
    assert ae.status.condition.bandwidth_mbps == 2.0
    run(ae, [Served(ns(1.0), "lte", "home")])
    assert (ae.status.condition.bandwidth_mbps or 0.0) > 20.0


def test_what_is_available_is_found_without_a_level() -> None:
    """As BAD, the least that can be used, and without a bandwidth; a measurement says better."""
    ae = entity(LTE)
    scan = Sample(ns(0.0), neighbours=(Neighbour("24005", network="Othernet", available=True),))
    (found,) = run(ae, [scan])
    assert isinstance(found, PoAFound)
    (poa,) = found.poas
    assert (poa.poa, poa.network, poa.condition.quality, poa.condition.bandwidth_mbps) == (
        "24005",
        "Othernet",
        "bad",
        None,
    )
    run(ae, [Sample(ns(1.0), neighbours=(Neighbour("24005", rsrp_dbm=-80.0),))])
    assert ae.status.poas[0].condition.quality == "excellent"
    assert names(run(ae, [cell(20.0, -80.0)])) == ["PoALost", "PoAFound"]


def test_the_memory_holds_what_was_told() -> None:
    """An export goes on exactly; one of an older recording, which knows no service, does too."""
    items: list[RawItem] = [Served(ns(0.0), "lte", "home", 2.0), up(0.1), cell(0.2, -80.0)]
    ae, other = entity(LTE), entity(LTE)
    run(ae, [*items, warned(1.0, DownReason.DENIED, 100.0)])
    other.restore(ae.export())
    assert other.status == ae.status
    after: list[RawItem] = [cell(2.0, -90.0), warned(3.0, None), Served(ns(4.0), "nr", "home")]
    assert names(run(other, after)) == names(run(ae, after))
    old = msgspec.msgpack.decode(ae.export())
    del old["service"]
    other.restore(msgspec.msgpack.encode(old))
    assert other.status.up
