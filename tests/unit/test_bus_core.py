"""Registration, delivery and actions on the bus core (RFC 5184 sections 3, 4 and 6)."""

from typing import Any

import pytest
from bus_rig import LTE, WLAN, Driver, Heard, join, poas, reason_of

from lies.bus import BusCore, Rights
from lies.bus.messages import Action, ActionKind
from lies.errors import LinkErrorReason
from lies.events import (
    Condition,
    Crossing,
    LinkConnectRequest,
    LinkDisconnectRequest,
    LinkDown,
    LinkDownRequest,
    LinkGoingDownRequest,
    LinkStatusChangedRequest,
    LinkStatusRequest,
    LinkUpRequest,
    PoAFoundRequest,
    PoAListRequest,
    PoALostRequest,
    Quality,
    Result,
)


@pytest.fixture
def core() -> BusCore:
    """A core on which everyone may do everything."""
    return BusCore(epoch=42, rights=Rights(owner=0))


def test_nothing_before_registration(core: BusCore) -> None:
    """Nothing is indicated to a session without Request(Enable)/Confirm(Ack)."""
    driver = Driver(core)
    _, heard = join(core)
    driver.up()
    assert heard.log == []


def test_confirm_then_snapshot_then_events(core: BusCore) -> None:
    """A late joiner gets the Confirm, the state with all events so far, then every event after it."""
    driver = Driver(core)
    driver.up("ap1")
    session, heard = join(core)
    core.request(session, LinkDownRequest(9, "*"))
    driver.down()
    confirm, snapshot, event = heard.log
    assert confirm[0] == "confirm"
    assert (confirm[1].request_id, confirm[1].result) == (9, Result.ACK)
    assert snapshot[1].registration == confirm[1].registration
    assert [(s.link, s.up, s.poa) for s in snapshot[1].links] == [(WLAN, True, "ap1")]
    assert event[1:3] == (confirm[1].registration, 1)
    assert isinstance(event[3], LinkDown)


def test_snapshot_only_of_the_registered_link(core: BusCore) -> None:
    """The snapshot after a registration for one link holds that link only."""
    Driver(core)
    Driver(core, "modem", LTE)
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "wwan0"))
    core.request(session, LinkUpRequest(2, "*"))
    assert [[s.link.name for s in snapshot.links] for snapshot in heard.snapshots] == [
        ["wwan0"],
        ["wlan0", "wwan0"],
    ]


def test_only_what_was_registered(core: BusCore) -> None:
    """A registration delivers its own primitive of its own link."""
    wlan, wwan = Driver(core), Driver(core, "modem", LTE)
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "wwan0"))
    wlan.up()
    wwan.down()
    wwan.up("cell7")
    assert [m.poa for m in heard.events] == ["cell7"]


def test_star_includes_links_that_come_later(core: BusCore) -> None:
    """A registration for "*" covers links that are announced after it."""
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "*"))
    Driver(core, "modem", LTE).up("cell7")
    assert [m.poa for m in heard.events] == ["cell7"]


def test_disable_stops(core: BusCore) -> None:
    """After Request(Disable)/Confirm(Ack) nothing more is indicated."""
    driver = Driver(core)
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "wlan0"))
    driver.up()
    core.request(session, LinkUpRequest(2, "wlan0", enable=False))
    driver.up()
    assert len(heard.events) == 1
    assert heard.confirms[1].result is Result.ACK
    assert heard.confirms[1].registration == heard.confirms[0].registration


def test_disable_of_nothing_is_an_error(core: BusCore) -> None:
    """Request(Disable) without a registration is invalid."""
    Driver(core)
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "wlan0", enable=False))
    assert reason_of(heard.confirms[0]) is LinkErrorReason.INVALID


def test_two_sessions_are_apart(core: BusCore) -> None:
    """What one consumer enables or disables is nothing to another."""
    driver = Driver(core)
    (a, heard_a), (b, heard_b) = join(core, "a"), join(core, "b")
    core.request(a, LinkUpRequest(1, "wlan0"))
    core.request(b, LinkUpRequest(1, "wlan0"))
    core.request(a, LinkUpRequest(2, "wlan0", enable=False))
    driver.up()
    assert heard_a.events == []
    assert len(heard_b.events) == 1
    core.close_session(b)
    driver.up()
    assert len(heard_b.events) == 1


def test_second_enable_changes_parameters_and_keeps_number(core: BusCore) -> None:
    """Enabling again replaces the threshold; number and sequence go on."""
    driver = Driver(core)
    driver.up()
    session, heard = join(core)
    core.request(session, LinkStatusChangedRequest(1, "wlan0"))
    driver.level(Quality.GOOD)
    core.request(session, LinkStatusChangedRequest(2, "wlan0", event=Crossing.BELOW, threshold=Quality.BAD))
    driver.level(Quality.FAIR)
    driver.level(Quality.NONE)
    assert heard.confirms[0].registration == heard.confirms[1].registration
    assert [(e[2], e[3].condition.quality) for e in heard.log if e[0] == "event"] == [
        (1, Quality.GOOD),
        (2, Quality.NONE),
    ]


@pytest.mark.parametrize(
    ("event", "threshold", "expected"),
    [
        (Crossing.ANY, None, ["bad", "good", "fair", "bad", "excellent"]),
        (Crossing.BELOW, Quality.FAIR, ["bad"]),
        (Crossing.BELOW, Quality.GOOD, ["fair"]),
        (Crossing.ABOVE, Quality.FAIR, ["good", "excellent"]),
        (Crossing.ABOVE, Quality.EXCELLENT, ["excellent"]),
    ],
)
def test_status_changed_event_type_and_threshold(
    core: BusCore, event: Crossing, threshold: Quality | None, expected: list[str]
) -> None:
    """LinkStatusChanged passes on crossing the registration's own threshold in its own direction."""
    driver = Driver(core)
    driver.up()
    session, heard = join(core)
    core.request(session, LinkStatusChangedRequest(1, "wlan0", event=event, threshold=threshold))
    for level in ("bad", "good", "fair", "bad", "excellent"):
        driver.level(Quality(level))
    assert [m.condition.quality for m in heard.events] == expected


def test_going_down_confidence_and_cancel(core: BusCore) -> None:
    """min_confidence filters LinkGoingDown, and a withdrawal goes only to who had the indication."""
    driver = Driver(core)
    driver.up()
    (low, heard_low), (high, heard_high) = join(core, "low"), join(core, "high")
    core.request(low, LinkGoingDownRequest(1, "*", min_confidence=0.3))
    core.request(high, LinkGoingDownRequest(1, "wlan0", min_confidence=0.9))
    driver.going_down(0.5)
    driver.cancelled()
    driver.going_down(0.95)
    driver.cancelled()
    names = [type(m).__name__ for m in heard_low.events]
    assert names == ["LinkGoingDown", "LinkGoingDownCancelled"] * 2
    assert [getattr(m, "confidence", None) for m in heard_high.events] == [0.95, None]


def test_cancel_of_what_the_snapshot_told(core: BusCore) -> None:
    """Who learnt of a LinkGoingDown from the snapshot is told its withdrawal."""
    driver = Driver(core)
    driver.up()
    driver.going_down(0.8)
    session, heard = join(core)
    core.request(session, LinkGoingDownRequest(1, "wlan0", min_confidence=0.7))
    driver.cancelled()
    assert heard.snapshots[0].links[0].going_down is not None
    assert [type(m).__name__ for m in heard.events] == ["LinkGoingDownCancelled"]


def test_no_cancel_after_the_link_went_down(core: BusCore) -> None:
    """LinkDown ends a LinkGoingDown; a withdrawal of an unseen later one is not indicated."""
    driver = Driver(core)
    driver.up()
    session, heard = join(core)
    core.request(session, LinkGoingDownRequest(1, "wlan0", min_confidence=0.7))
    driver.going_down(0.8)
    driver.down()
    driver.up()
    driver.going_down(0.1)
    driver.cancelled()
    assert [type(m).__name__ for m in heard.events] == ["LinkGoingDown"]


def test_poa_thresholds_per_registration(core: BusCore) -> None:
    """PoAFound and PoALost with a threshold follow each PoA's level across it, for each registration."""
    driver = Driver(core)
    (plain, heard_plain), (good, heard_good) = join(core, "plain"), join(core, "good")
    for session, threshold in ((plain, None), (good, Quality.GOOD)):
        core.request(session, PoAFoundRequest(1, "wlan0", threshold=threshold))
        core.request(session, PoALostRequest(2, "wlan0", threshold=threshold))
    driver.found(ap1=Quality.BAD)
    driver.hear(ap1=Quality.GOOD)
    driver.hear(ap1=Quality.EXCELLENT)
    driver.hear(ap1=Quality.FAIR)
    driver.hear(ap1=Quality.GOOD, ap2=Quality.GOOD)
    driver.lost(ap1=Quality.GOOD, ap2=Quality.GOOD)

    def told(heard: Heard) -> list[tuple[str, list[str]]]:
        return [(type(m).__name__, [p.poa for p in m.poas]) for m in heard.events]

    assert told(heard_plain) == [("PoAFound", ["ap1"]), ("PoALost", ["ap1", "ap2"])]
    assert told(heard_good) == [
        ("PoAFound", ["ap1"]),
        ("PoALost", ["ap1"]),
        ("PoAFound", ["ap1", "ap2"]),
        ("PoALost", ["ap1", "ap2"]),
    ]
    assert heard_good.events[1].poas == poas(ap1=Quality.FAIR)


def test_link_status_and_poa_list(core: BusCore) -> None:
    """Type 1 requests are answered at once with the data, the PoA list best first."""
    driver = Driver(core)
    driver.up("ap1")
    driver.level(Quality.GOOD)
    driver.hear(ap2=Quality.BAD, ap1=Quality.GOOD, ap3=Quality.FAIR)
    session, heard = join(core)
    core.request(session, LinkStatusRequest(1, "wlan0"))
    core.request(session, PoAListRequest(2, "wlan0"))
    status, listing = heard.confirms
    assert (status.link, status.poa, status.condition) == (WLAN, "ap1", Condition(Quality.GOOD, 5.0))
    assert [p.poa for p in listing.poas] == ["ap1", "ap3", "ap2"]
    driver.down()
    core.request(session, LinkStatusRequest(3, "wlan0"))
    assert (heard.confirms[-1].poa, heard.confirms[-1].condition.quality) == (None, Quality.NONE)


@pytest.mark.parametrize(
    "request_",
    [
        LinkStatusRequest(1, "no"),
        PoAListRequest(1, "no"),
        LinkUpRequest(1, "no"),
        LinkConnectRequest(1, "no", "a"),
    ],
)
def test_unknown_link(core: BusCore, request_: Any) -> None:
    """A request for a link nobody announced is answered with Error and the links there are."""
    Driver(core)
    session, heard = join(core)
    core.request(session, request_)
    assert reason_of(heard.confirms[0]) is LinkErrorReason.UNKNOWN_LINK
    assert heard.confirms[0].request_id == 1
    assert "wlan0" in heard.confirms[0].reason
    assert core.counters.refused == 1


@pytest.mark.parametrize(
    "request_",
    [
        LinkStatusChangedRequest(1, "wlan0", event=Crossing.BELOW),
        LinkStatusChangedRequest(1, "wlan0", event=Crossing.ABOVE),
        LinkGoingDownRequest(1, "wlan0", min_confidence=1.5),
        LinkGoingDownRequest(1, "wlan0", min_confidence=float("nan")),
        LinkConnectRequest(1, "wlan0", ""),
        LinkConnectRequest(1, "wlan0", "x" * 256),
    ],
)
def test_requests_that_contradict_themselves(core: BusCore, request_: Any) -> None:
    """An invalid request is answered with Confirm(Error) and changes nothing (RFC 5184 section 6.5)."""
    driver = Driver(core)
    session, heard = join(core)
    core.request(session, request_)
    assert reason_of(heard.confirms[0]) is LinkErrorReason.INVALID
    assert session.registrations == {}
    assert driver.port.actions == []


def test_confirm_before_the_action(core: BusCore) -> None:
    """The action of a type 3 request begins after its Confirm(Ack)."""
    driver = Driver(core)
    session, heard = join(core)
    confirmed: list[int] = []
    driver.port.also = lambda _: confirmed.append(len(heard.confirms))
    core.request(session, LinkConnectRequest(5, "wlan0", "ap2"))
    core.request(session, LinkDisconnectRequest(6, "wlan0"))
    assert confirmed == [1, 2]
    assert [c.result for c in heard.confirms] == [Result.ACK, Result.ACK]
    assert driver.port.actions == [
        Action(ActionKind.CONNECT, "wlan0", "ap2"),
        Action(ActionKind.DISCONNECT, "wlan0", None),
    ]


def test_disconnect_names_the_poa(core: BusCore) -> None:
    """LinkDisconnect from a PoA that the link is not at is an error."""
    driver = Driver(core)
    driver.up("ap1")
    session, heard = join(core)
    core.request(session, LinkDisconnectRequest(1, "wlan0", "ap2"))
    core.request(session, LinkDisconnectRequest(2, "wlan0", "ap1"))
    assert reason_of(heard.confirms[0]) is LinkErrorReason.UNKNOWN_POA
    assert heard.confirms[1].result is Result.ACK
    assert len(driver.port.actions) == 1


def test_connect_to_a_poa_that_is_not_heard(core: BusCore) -> None:
    """A link that is up keeps its PoA: Confirm(Error), if its driver tells of others."""
    driver = Driver(core)
    session, heard = join(core)
    driver.hear(ap1=Quality.GOOD, ap2=Quality.GOOD)
    core.request(session, LinkConnectRequest(1, "wlan0", "ap9"))
    driver.up("ap1")
    core.request(session, LinkConnectRequest(2, "wlan0", "ap9"))
    core.request(session, LinkConnectRequest(3, "wlan0", "ap2"))
    driver.hear(ap1=Quality.GOOD)
    core.request(session, LinkConnectRequest(4, "wlan0", "ap9"))
    assert [c.result for c in heard.confirms] == [Result.ACK, Result.ERROR, Result.ACK, Result.ACK]
    assert reason_of(heard.confirms[1]) is LinkErrorReason.UNKNOWN_POA
    assert "wlan0 stays at ap1" in heard.confirms[1].reason
    assert [action.poa for action in driver.port.actions] == ["ap9", "ap2", "ap9"]


def test_what_cannot_be_steered(core: BusCore) -> None:
    """A type 3 request on a link that is not controllable, or whose driver is gone, is unsupported."""
    fixed, gone = Driver(core, controllable=False), Driver(core, "modem", LTE)
    gone.close()
    session, heard = join(core)
    core.request(session, LinkConnectRequest(1, "wlan0", "ap2"))
    core.request(session, LinkConnectRequest(2, "wwan0", "cell"))
    assert [reason_of(c) for c in heard.confirms] == [LinkErrorReason.UNSUPPORTED] * 2
    assert fixed.port.actions == []
