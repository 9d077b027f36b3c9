"""Promises of the bus core under any order of requests and events."""

from typing import Any

from attrs import evolve
from bus_rig import LTE, WLAN, Driver, Heard, poas
from hypothesis import given, settings
from hypothesis import strategies as st

from lies.bus import BusCore, Gap, Rights, Snapshot
from lies.events import (
    Crossing,
    Link,
    LinkDown,
    LinkDownRequest,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkGoingDownRequest,
    LinkStatusChangedRequest,
    LinkUp,
    LinkUpRequest,
    PoAFound,
    PoAFoundRequest,
    PoALost,
    PoALostRequest,
    Quality,
    Result,
)

LINKS = {"sim": WLAN, "modem": LTE}
QUALITIES = st.sampled_from(list(Quality))
POA_NAMES = st.sampled_from(["ap1", "ap2", "ap3"])
POA_LEVELS = st.dictionaries(POA_NAMES, QUALITIES, max_size=3)
SESSIONS = st.integers(0, 2)
DRIVERS = st.sampled_from(["sim", "modem"])
LINK_NAMES = st.sampled_from(["wlan0", "wwan0", "*"])

REQUESTS = st.one_of(
    st.builds(LinkUpRequest, st.just(1), LINK_NAMES, st.booleans()),
    st.builds(LinkDownRequest, st.just(1), LINK_NAMES, st.booleans()),
    st.builds(PoAFoundRequest, st.just(1), LINK_NAMES, st.booleans(), st.none() | QUALITIES),
    st.builds(PoALostRequest, st.just(1), LINK_NAMES, st.booleans(), st.none() | QUALITIES),
    st.builds(LinkGoingDownRequest, st.just(1), LINK_NAMES, st.booleans(), st.sampled_from([0.0, 0.5, 0.9])),
    st.builds(
        LinkStatusChangedRequest,
        st.just(1),
        LINK_NAMES,
        st.booleans(),
        st.sampled_from(list(Crossing)),
        st.none() | QUALITIES,
    ),
)
STEPS = st.one_of(
    st.tuples(st.just("request"), SESSIONS, REQUESTS),
    st.tuples(st.just("leave"), SESSIONS),
    st.tuples(st.sampled_from(["up", "lose_one"]), DRIVERS, POA_NAMES),
    st.tuples(st.sampled_from(["down", "cancelled", "restart", "restart_up"]), DRIVERS),
    st.tuples(st.just("level"), DRIVERS, QUALITIES),
    st.tuples(st.just("going_down"), DRIVERS, st.sampled_from([0.1, 0.6, 0.95])),
    st.tuples(st.just("hear"), DRIVERS, POA_LEVELS),
)


class Checker(Heard):
    """A sink that checks every promise as messages come in, and follows the links as a consumer would."""

    def __init__(self) -> None:
        super().__init__()
        self.enabled: set[int] = set()
        self.sequence: dict[int, int] = {}
        self.attached: dict[str, str | None] = {}
        self.going_down: dict[int, set[str]] = {}
        self.request: Any = None
        self.requests: dict[int, Any] = {}

    def confirm(self, confirm: Any) -> None:
        """Enabled from here on, or not any more."""
        if confirm.result is not Result.ACK:
            return
        number = confirm.registration
        if self.request.enable:
            self.enabled.add(number)
            self.requests[number] = self.request
        else:
            self.enabled.discard(number)
            self.requests.pop(number)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Only of what was registered for; the state to go on from."""
        number = snapshot.registration
        assert number in self.enabled
        request = self.requests[number]
        wanted = {state.link.name for state in snapshot.links}
        assert request.link == "*" or wanted <= {request.link}
        self.attached.update({s.link.name: s.poa for s in snapshot.links})
        if isinstance(request, LinkGoingDownRequest):
            self.going_down[number] = {
                s.link.name
                for s in snapshot.links
                if s.going_down is not None and s.going_down.confidence >= request.min_confidence
            }

    def gap(self, gap: Gap) -> None:
        """Nothing is lost here."""
        raise AssertionError(gap)

    def deliver(self, registration: Any, sequence: int, event: Any) -> None:
        """In sequence, registered for, and within the parameters."""
        number, message = registration.id, event.message
        assert number in self.enabled
        assert sequence == self.sequence.get(number, 0) + 1
        self.sequence[number] = sequence
        request = self.requests[number]
        name = message.header.link.name
        assert request.link in {"*", name}
        match message:
            case LinkUp(poa=poa):
                self.attached[name] = poa
            case LinkDown():
                self.attached[name] = None
            case LinkGoingDown(confidence=confidence):
                assert confidence >= request.min_confidence
                self.going_down.setdefault(number, set()).add(name)
            case LinkGoingDownCancelled():
                assert name in self.going_down[number]
                self.going_down[number].discard(name)
            case PoAFound(poas=found) if request.threshold is not None:
                assert all(p.condition.quality >= request.threshold for p in found)
            case PoALost(poas=lost) if request.threshold is not None:
                assert lost

    def follows(self, primitive: type[Any], link: str) -> bool:
        """Whether a registration for this primitive covers the link."""
        return any(type(r) is primitive and r.link in {"*", link} for r in self.requests.values())


class World:
    """A core with two drivers and up to three consumers."""

    def __init__(self) -> None:
        self.core = BusCore(epoch=1, rights=Rights(owner=0))
        self.epoch = 1
        self.drivers = {name: Driver(self.core, name, link) for name, link in LINKS.items()}
        self.sinks: dict[int, Checker] = {}
        self.sessions: dict[int, Any] = {}

    def step(self, kind: str, who: Any, *rest: Any) -> None:
        """Do one step."""
        if kind == "request":
            self._session(who, rest[0])
        elif kind == "leave":
            if who in self.sessions:
                self.core.close_session(self.sessions.pop(who))
                self.sinks.pop(who).enabled.clear()
        elif kind.startswith("restart"):
            self._restart(who, up=kind == "restart_up")
        elif kind == "hear":
            self.drivers[who].hear(**rest[0])
        elif kind == "lose_one":
            self.drivers[who].lost(**{rest[0]: Quality.NONE})
        else:
            getattr(self.drivers[who], kind)(*rest)

    def _session(self, number: int, request: Any) -> None:
        if number not in self.sessions:
            self.sinks[number] = Checker()
            self.sessions[number] = self.core.open_session(f"c{number}", "ipv6", 0, self.sinks[number])
        self.sinks[number].request = request
        self.core.request(self.sessions[number], request)

    def _restart(self, name: str, *, up: bool) -> None:
        self.drivers[name].close()
        self.epoch += 1
        link: Link = LINKS[name]
        driver = self.drivers[name] = Driver(self.core, name, link, epoch=self.epoch)
        if up:
            state = evolve(driver.state, up=True, poa="ap9", poas=poas(ap9=Quality.GOOD))
            self.core.announce(driver.publisher, driver.header(), state)

    def check(self) -> None:
        """What consumers make of what they heard is what the core holds."""
        for number, sink in self.sinks.items():
            session = self.sessions[number]
            assert sink.enabled == {r.id for r in session.registrations.values()}
            assert all(session.last()[n] == sink.sequence.get(n, 0) for n in sink.enabled)
            for name, state in self.core.links.items():
                if sink.follows(LinkUpRequest, name) and sink.follows(LinkDownRequest, name):
                    assert sink.attached[name] == state.poa


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_promises_hold_in_any_order(steps: list[Any]) -> None:
    """Sequences have no hole, nothing comes without registration, snapshot and events tell the truth."""
    world = World()
    for step in steps:
        world.step(*step)
        world.check()


@settings(max_examples=100, deadline=None)
@given(QUALITIES, st.lists(POA_LEVELS, max_size=12))
def test_poa_threshold_follows_the_list(threshold: Quality, states: list[dict[str, Quality]]) -> None:
    """PoAFound less PoALost of one threshold is always the set of PoAs at or above it."""
    core = BusCore(epoch=1, rights=Rights(owner=0))
    driver, heard = Driver(core), Heard()
    session = core.open_session("mn", "ipv6", 0, heard)
    core.request(session, PoAFoundRequest(1, "*", threshold=threshold))
    core.request(session, PoALostRequest(2, "*", threshold=threshold))
    known: set[str] = set()
    for levels in states:
        heard.log.clear()
        driver.hear(**levels)
        for message in heard.events:
            names = {p.poa for p in message.poas}
            if isinstance(message, PoAFound):
                assert not names & known
                known |= names
            else:
                assert names <= known
                known -= names
        assert known == {name for name, level in levels.items() if level >= threshold}
