"""Registration, delivery and actions on the bus core (RFC 5184 sections 3, 4 and 6)."""

from collections.abc import Callable
from typing import Any

import pytest
from bus_rig import LTE, WLAN, Driver, Heard, poas

from lies.bus import BusCore, Right, Rights
from lies.bus.core import Session
from lies.bus.messages import Action, ActionKind, Repair
from lies.errors import LinkError, LinkErrorReason, MalformedMessage, NotPermitted
from lies.events import (
    Condition,
    DownReason,
    HandoverDone,
    Header,
    LinkConnectRequest,
    LinkDisconnectRequest,
    LinkDown,
    LinkDownRequest,
    LinkGoingDownRequest,
    LinkStatusChangedRequest,
    LinkStatusRequest,
    LinkUp,
    LinkUpRequest,
    PoAFoundRequest,
    PoAListRequest,
    PoALost,
    PoALostRequest,
    Quality,
    RawRequest,
    RawSample,
    ReportRequest,
    Result,
    Sample,
)


@pytest.fixture
def core() -> BusCore:
    """A core on which everyone may do everything."""
    return BusCore(epoch=42, rights=Rights(owner=0))


def join(core: BusCore, name: str = "mn", uid: int = 0) -> tuple[Session, Heard]:
    """A consumer and what it hears."""
    heard = Heard()
    return core.open_session(name, "ipv6", uid, heard), heard


def reason_of(confirm: Any) -> LinkErrorReason:
    """The code in the reason of a Confirm(Error)."""
    assert confirm.result is Result.ERROR
    return LinkErrorReason(confirm.reason.split(": ")[0])


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
    core.request(session, LinkStatusChangedRequest(2, "wlan0", event="below", threshold=Quality.BAD))
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
        ("any", None, ["bad", "good", "fair", "bad", "excellent"]),
        ("below", Quality.FAIR, ["bad"]),
        ("below", Quality.GOOD, ["fair"]),
        ("above", Quality.FAIR, ["good", "excellent"]),
        ("above", Quality.EXCELLENT, ["excellent"]),
    ],
)
def test_status_changed_event_type_and_threshold(
    core: BusCore, event: Any, threshold: Quality | None, expected: list[str]
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
        LinkStatusChangedRequest(1, "wlan0", event="below"),
        LinkStatusChangedRequest(1, "wlan0", event="above"),
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


def test_what_cannot_be_steered(core: BusCore) -> None:
    """A type 3 request on a link that is not controllable, or whose driver is gone, is unsupported."""
    fixed, gone = Driver(core, controllable=False), Driver(core, "modem", LTE)
    gone.close()
    session, heard = join(core)
    core.request(session, LinkConnectRequest(1, "wlan0", "ap2"))
    core.request(session, LinkConnectRequest(2, "wwan0", "cell"))
    assert [reason_of(c) for c in heard.confirms] == [LinkErrorReason.UNSUPPORTED] * 2
    assert fixed.port.actions == []


def test_three_separate_rights() -> None:
    """Listening, acting and publishing are asked separately; without one it is Error or NotPermitted."""
    rights = Rights({7: {Right.LISTEN}, 8: {Right.ACT}}, owner=0)
    core = BusCore(epoch=1, rights=rights)
    driver = Driver(core)
    (listener, heard_l), (actor, heard_a) = join(core, "l", 7), join(core, "a", 8)
    core.request(listener, LinkUpRequest(1, "*"))
    core.request(listener, LinkConnectRequest(2, "wlan0", "ap2"))
    core.request(actor, LinkUpRequest(1, "*"))
    core.request(actor, LinkStatusRequest(2, "wlan0"))
    core.request(actor, LinkConnectRequest(3, "wlan0", "ap2"))
    driver.up()
    assert heard_l.confirms[0].result is Result.ACK
    assert reason_of(heard_l.confirms[1]) is LinkErrorReason.NOT_PERMITTED
    assert [reason_of(c) for c in heard_a.confirms[:2]] == [LinkErrorReason.NOT_PERMITTED] * 2
    assert heard_a.confirms[2].result is Result.ACK
    assert (len(heard_l.events), len(heard_a.events)) == (1, 0)
    for uid in (7, 8, 9, None):
        with pytest.raises(NotPermitted):
            core.open_publisher("forger", 1, uid, driver.port)
    for uid in (9, None):
        with pytest.raises(NotPermitted):
            core.open_session("x", "ipv6", uid, Heard())
    with pytest.raises(NotPermitted):
        core.request_snapshot(actor, "*")


def report(name: str) -> HandoverDone:
    """A report of an upper layer."""
    header = Header(name, 3, 1, 50, 60, WLAN)
    return HandoverDone(header, "none", None, "ap1", None, None, None, None, None, None, None, None)


def test_reports_need_the_right_to_act() -> None:
    """A consumer that may act publishes reports under its own name; others are refused."""
    core = BusCore(epoch=1, rights=Rights({7: {Right.LISTEN}}, owner=0))
    (mn, heard), (listener, _) = join(core, "mn"), join(core, "l", 7)
    core.request(mn, ReportRequest(1, "*"))
    core.report(mn, report("mn"))
    with pytest.raises(NotPermitted):
        core.report(listener, report("l"))
    with pytest.raises(MalformedMessage):
        core.report(mn, report("someone"))
    with pytest.raises(MalformedMessage):
        core.report(mn, LinkUp(Header("mn", 3, 1, 50, 60, WLAN), "ap1"))
    assert heard.events == [report("mn")]


def test_lost_driver(core: BusCore) -> None:
    """The links of a driver that goes away are Down with DRIVER_LOST, for the registered and in the state."""
    driver, other = Driver(core), Driver(core, "modem", LTE)
    driver.up("ap1")
    other.up("cell7")
    driver.hear(ap1=Quality.GOOD)
    session, heard = join(core)
    core.request(session, LinkDownRequest(1, "*"))
    core.request(session, PoALostRequest(2, "*"))
    driver.close()
    down, lost = heard.events
    assert (down.poa, down.reason, down.header.mono_ns) == ("ap1", DownReason.DRIVER_LOST, driver.t_ns + 5)
    assert isinstance(lost, PoALost)
    state = core.links["wlan0"]
    assert (state.up, state.poa, state.poas, state.lost) == (False, None, (), DownReason.DRIVER_LOST)
    assert core.links["wwan0"].up
    driver.close()
    assert len(heard.events) == 2


def test_driver_that_comes_back(core: BusCore) -> None:
    """A restarted driver takes its link again; a state announced as up is indicated."""
    driver = Driver(core)
    driver.up("ap1")
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "*"))
    core.request(session, LinkStatusChangedRequest(2, "*"))
    driver.close()
    again = Driver(core, epoch=2)
    assert heard.events == []
    again.up("ap2")
    header = again.header()
    core.close_publisher(again.publisher, mono_ns=1, wall_ns=1)
    third = Driver(core, "other", LTE)
    publisher = core.open_publisher("sim", 3, 0, third.port)
    core.announce(
        publisher,
        Header("sim", 3, 17, header.mono_ns, header.wall_ns, WLAN),
        type(again.state)(WLAN, "sim", up=True, poa="ap3", condition=Condition(Quality.FAIR)),
    )
    assert [(type(m).__name__, m.poa) for m in heard.events] == [
        ("LinkUp", "ap2"),
        ("LinkUp", "ap3"),
        ("LinkStatusChanged", "ap3"),
    ]
    assert core.links["wlan0"].lost is None


@pytest.mark.parametrize("forge", ["link", "publisher", "epoch", "stale", "report", "unannounced"])
def test_publishers_stay_on_their_own_links(core: BusCore, forge: str) -> None:
    """What is not a publisher's own is refused whole, and nobody hears of it."""
    driver, victim = Driver(core), Driver(core, "modem", LTE)
    driver.up()
    victim.up("cell7")
    session, heard = join(core)
    for request in (LinkDownRequest(1, "*"), ReportRequest(2, "*")):
        core.request(session, request)
    header = driver.stamp()
    forged: Any = {
        "link": lambda: LinkDown(Header("sim", 1, header.sequence, 1, 1, LTE), "cell7", DownReason.PEER),
        "publisher": lambda: LinkDown(Header("modem", 1, 9, 1, 1, WLAN), "ap1", DownReason.PEER),
        "epoch": lambda: LinkDown(Header("sim", 99, 9, 1, 1, WLAN), "ap1", DownReason.PEER),
        "stale": lambda: LinkDown(Header("sim", 1, 1, 1, 1, WLAN), "ap1", DownReason.PEER),
        "report": lambda: report("sim"),
        "unannounced": lambda: LinkDown(
            Header("sim", 1, 9, 1, 1, type(WLAN)("eth9", WLAN.technology)), "ap1", DownReason.PEER
        ),
    }[forge]()
    with pytest.raises((LinkError, MalformedMessage)):
        driver.publish(forged)
    assert heard.events == []
    assert core.links["wwan0"].up
    assert core.counters.refused == 1


def test_link_of_another_driver(core: BusCore) -> None:
    """A link belongs to one live driver; a name to one live publisher."""
    Driver(core)
    with pytest.raises(LinkError):
        Driver(core, "thief")
    with pytest.raises(Exception, match="already"):
        Driver(core, link=LTE)


def test_removed_link_is_forgotten(core: BusCore) -> None:
    """A removed link is in no snapshot, and another driver may announce it."""
    driver = Driver(core)
    core.remove_link(driver.publisher, "wlan0")
    assert core.snapshot().links == ()
    Driver(core, "other").up()
    assert core.links["wlan0"].publisher == "other"


def test_raw_only_while_wanted(core: BusCore) -> None:
    """Publishers learn of the first and every further raw registration, and of the end of the last."""
    driver = Driver(core)
    (a, heard), (b, _) = join(core, "a"), join(core, "b")
    core.request(a, RawRequest(1, "wlan0"))
    core.request(b, RawRequest(1, "*"))
    driver.publish(RawSample(driver.stamp(), Sample(5)))
    core.request(a, RawRequest(2, "wlan0", enable=False))
    assert driver.port.raw == [("wlan0", True), ("wlan0", True)]
    late = Driver(core, "modem", LTE)
    assert late.port.raw == [("wwan0", True)]
    core.close_session(b)
    assert driver.port.raw[2:] == [("wlan0", False)]
    assert late.port.raw[1:] == [("wwan0", False)]
    assert [m.sample for m in heard.events] == [Sample(5)]
    assert not core.raw_wanted("wlan0")


def test_hole_of_a_publisher_becomes_a_gap(core: BusCore) -> None:
    """Indications that never came from the driver are a Gap for who might have got them, then a snapshot."""
    driver, other = Driver(core), Driver(core, "modem", LTE)
    driver.up()
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "wlan0"))
    core.request(session, LinkDownRequest(2, "wwan0"))
    driver.up()
    driver.sequence += 3
    driver.up("ap9")
    other.down()
    number = heard.confirms[0].registration
    kinds = [(e[0], e[1], e[2]) for e in heard.log[4:] if e[0] == "event"]
    assert kinds == [("event", number, 1), ("event", number, 5), ("event", heard.confirms[1].registration, 1)]
    (gap,) = heard.gaps
    assert (gap.registration, gap.primitive, gap.publisher, gap.first, gap.last) == (
        number,
        "link_up",
        "sim",
        2,
        4,
    )
    order = [e[0] for e in heard.log[4:]]
    assert order == ["event", "gap", "snapshot", "event", "event"]


def test_history_repairs_or_tells_the_gap() -> None:
    """Repair delivers what the bounded history still has and tells a Gap and a snapshot for the rest."""
    core = BusCore(epoch=1, rights=Rights(owner=0), history=4)
    driver = Driver(core)
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "*"))
    for i in range(10):
        driver.up(f"ap{i}")

    number = heard.confirms[0].registration
    heard.log.clear()
    core.repair(session, Repair(number, 8, 9))
    assert [e[2:] for e in heard.log] == [(8, heard.events[0]), (9, heard.events[1])]
    assert [m.poa for m in heard.events] == ["ap7", "ap8"]
    heard.log.clear()
    core.repair(session, Repair(number, 1, 99))
    assert [e[0] for e in heard.log] == ["gap", "event", "event", "event", "event", "snapshot"]
    assert (heard.gaps[0].first, heard.gaps[0].last) == (1, 6)
    heard.log.clear()
    core.repair(session, Repair(number + 1, 1, 2))
    assert heard.log == []


class Nested(Heard):
    """A sink that does something when it hears an event of a primitive."""

    react: Callable[[Any], None]

    def deliver(self, registration: Any, sequence: int, event: Any) -> None:
        """Note, then react."""
        super().deliver(registration, sequence, event)
        self.react(event.message)


def test_one_order_for_all(core: BusCore) -> None:
    """What a consumer publishes from within a delivery comes after it for everyone."""
    driver = Driver(core)
    first = Nested()
    mn = core.open_session("mn", "ipv6", 0, first)
    first.react = lambda m: core.report(mn, report("mn")) if isinstance(m, LinkUp) else None
    watcher, heard = join(core, "watcher")
    for session in (mn, watcher):
        core.request(session, LinkUpRequest(1, "*"))
        core.request(session, ReportRequest(2, "*"))
    driver.up()
    assert [type(m).__name__ for m in heard.events] == ["LinkUp", "HandoverDone"]
    assert [type(m).__name__ for m in first.events] == ["LinkUp", "HandoverDone"]


def test_registering_from_within_a_delivery(core: BusCore) -> None:
    """Who registers while an event is delivered finds it in the snapshot and does not get it again."""
    driver = Driver(core)
    first = Nested()
    mn = core.open_session("mn", "ipv6", 0, first)
    late, heard = join(core, "late")
    first.react = lambda _: core.request(late, LinkUpRequest(7, "*"))
    core.request(mn, LinkUpRequest(1, "wlan0"))
    driver.up("ap1")
    assert heard.snapshots[0].links[0].poa == "ap1"
    assert heard.events == []
    driver.up("ap2")
    assert [m.poa for m in heard.events] == ["ap2"]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "*", "x" * 65, "ä", "a\n"])
def test_names_that_are_none(core: BusCore, name: str) -> None:
    """Parties and links have short printable names."""
    with pytest.raises(MalformedMessage):
        core.open_session(name, "ipv6", 0, Heard())
    with pytest.raises(MalformedMessage):
        core.open_publisher(name, 1, 0, Driver(core).port)
