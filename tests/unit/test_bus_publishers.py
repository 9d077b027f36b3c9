"""Rights, publishers, reports, gaps and order on the bus core."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from bus_rig import LTE, WLAN, Driver, Heard, join, reason_of

from lies.bus import BusCore, Gap, Right, Rights
from lies.bus.messages import Repair
from lies.errors import LinkError, LinkErrorReason, MalformedMessage, NotPermitted
from lies.events import (
    Condition,
    DownReason,
    HandoverDone,
    Header,
    LinkConnectRequest,
    LinkDown,
    LinkDownRequest,
    LinkStatusChangedRequest,
    LinkStatusRequest,
    LinkUp,
    LinkUpRequest,
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
    assert [down.header.sequence, lost.header.sequence] == [driver.sequence + 1, driver.sequence + 2]
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
    forgeries: dict[str, Callable[[], Any]] = {
        "link": lambda: LinkDown(Header("sim", 1, header.sequence, 1, 1, LTE), "cell7", DownReason.PEER),
        "publisher": lambda: LinkDown(Header("modem", 1, 9, 1, 1, WLAN), "ap1", DownReason.PEER),
        "epoch": lambda: LinkDown(Header("sim", 99, 9, 1, 1, WLAN), "ap1", DownReason.PEER),
        "stale": lambda: LinkDown(Header("sim", 1, 1, 1, 1, WLAN), "ap1", DownReason.PEER),
        "report": lambda: report("sim"),
        "unannounced": lambda: LinkDown(
            Header("sim", 1, 9, 1, 1, type(WLAN)("eth9", WLAN.technology)), "ap1", DownReason.PEER
        ),
    }
    with pytest.raises((LinkError, MalformedMessage)):
        driver.publish(forgeries[forge]())
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
    assert gap == Gap(number, "link_up", "wlan0", "sim", 2, 4)
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


def test_who_is_in_this_process_hears_all_of_an_item_first(core: BusCore) -> None:
    """A session behind a socket gets its deliveries in their order, after those of one in this process."""
    driver = Driver(core)
    heard: list[tuple[str, str]] = []

    def note(name: str, message: object) -> None:
        heard.append((name, type(message).__name__))

    for name, near in (("far", False), ("near", True)):
        sink = Nested()
        sink.react = partial(note, name)
        session = core.open_session(name, "ipv6", 0, sink, near=near)
        core.request(session, LinkDownRequest(1, "*"))
        core.request(session, LinkUpRequest(2, "*"))
    driver.publish(LinkDown(driver.stamp(), "ap1", DownReason.MOVED), LinkUp(driver.stamp(), "ap2"))
    order = ["LinkDown", "LinkUp"]
    assert heard == [(who, event) for who in ("near", "far") for event in order]


def test_a_gap_comes_between_what_was_before_and_after_it(core: BusCore) -> None:
    """Numbers that are missing within one item are told in their place, also by a socket."""
    driver = Driver(core)
    mn, heard = join(core)
    core.request(mn, LinkDownRequest(1, "*"))
    core.request(mn, LinkUpRequest(2, "*"))
    first = driver.stamp()
    driver.stamp()  # it never comes
    del heard.log[:]
    driver.publish(LinkDown(first, "ap1", DownReason.MOVED), LinkUp(driver.stamp(), "ap2"))
    kinds = [entry[0] for entry in heard.log]
    assert kinds[0] == "event"
    assert kinds[-1] == "event"
    assert "gap" in kinds[1:-1]
    assert isinstance(heard.events[0], LinkDown)
    assert isinstance(heard.events[1], LinkUp)


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
