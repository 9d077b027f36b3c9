"""States of links and the delivery of events: one order for all, snapshots that fit in between."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from lies.bus._parties import Counters, Publisher, Session
from lies.bus._registration import EVERY_LINK, Registration
from lies.bus.frames import Event
from lies.bus.messages import Gap, LevelsWanted, LinkState, Snapshot
from lies.errors import LinkError, LinkErrorReason
from lies.events import BindingUpdated, CareOfAddressChanged, Header, LinkDown, LinkUp, Quality

MAX_REGISTRATIONS = 4096  # of one session: eight primitives of 512 links
LEVELS = {"link_status_changed", "link_going_down"}  # what a driver can have its radio watch for
_STANDING = (CareOfAddressChanged, BindingUpdated)


class Delivery:
    """Registrations by what they want, states by link, and the queue that keeps events in one order."""

    def __init__(self, *, history: int) -> None:
        self.counters = Counters()
        self.states: dict[str, LinkState] = {}
        self.owners: dict[str, Publisher] = {}
        self.tally: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._history = history
        self._numbers = count(1)
        self._wanted: dict[tuple[str, str], list[Registration]] = {}  # (primitive, link or "*")
        self._retained: dict[tuple[Session, str, str], Event] = {}  # (session, name, link) -> last report
        self._work: deque[Callable[[], None]] = deque()
        self._busy = False
        self._put_off: list[tuple[Registration, int, Event]] | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Run `work` now, or, when called from within a delivery, after what is being delivered."""
        if self._busy:
            self._work.append(work)
            return
        self._busy = True
        try:
            work()
            while self._work:
                self._work.popleft()()
        finally:
            self._busy = False

    # ---- states

    def states_of(self, link: str) -> Iterator[LinkState]:
        """State of one link, or of all with "*"."""
        if link == EVERY_LINK:
            yield from self.states.values()
        elif link in self.states:
            yield self.states[link]

    def snapshot(self, link: str = EVERY_LINK) -> Snapshot:
        """The states of one link or of all."""
        return Snapshot(tuple(self.states_of(link)))

    def set_state(self, state: LinkState, header: Header) -> None:
        """Keep a link's state, and indicate PoAs that crossed a registration's own threshold."""
        name = state.link.name
        before = self.states.get(name)
        self.states[name] = state
        if before is None or before.poas != state.poas:
            self._indicate_crossings(state, header)

    def happen(self, link: str, event: Event, state: LinkState | None = None) -> None:
        """An event of a link: its state changes (to `state` if given), then it is indicated."""
        self.tally[link][event.name] += 1
        before = self.states[link]
        after = state or before.after(event.message)
        self.states[link] = after
        self.indicate(event)
        if before.poas != after.poas:
            self._indicate_crossings(after, event.message.header)

    def forget(self, link: str) -> None:
        """A link is no more."""
        self.states.pop(link, None)
        self.tally.pop(link, None)

    # ---- registrations

    def wanting(self, primitive: str, link: str) -> list[Registration]:
        """The registrations for a primitive that cover a link."""
        named, every = self._wanted.get((primitive, link)), self._wanted.get((primitive, EVERY_LINK))
        return [*(named or ()), *(every or ())]

    def enable(self, session: Session, request: Any) -> Registration:  # noqa: ANN401 - a registration request
        """A new registration; LinkError(INVALID) if the session has too many."""
        if len(session.registrations) >= MAX_REGISTRATIONS:
            raise LinkError(LinkErrorReason.INVALID, f"{MAX_REGISTRATIONS} registrations are allowed")
        registration = Registration(next(self._numbers), session, request, history=self._history)
        key = registration.primitive, registration.link
        session.registrations[key] = registration
        self._wanted.setdefault(key, []).append(registration)
        return registration

    def disable(self, registration: Registration) -> None:
        """Nothing more is delivered for this registration."""
        key = registration.primitive, registration.link
        registration.session.registrations.pop(key, None)
        wanted = self._wanted[key]
        wanted.remove(registration)
        if not wanted:
            del self._wanted[key]
        if registration.primitive == "raw":
            self.tell_raw(registration.link, on=False)
        elif registration.primitive in LEVELS:
            self.tell_levels(registration.link)

    def tell_raw(self, link: str, *, on: bool) -> None:
        """Tell the publishers concerned that a registration for raw messages came or went."""
        for state in tuple(self.states_of(link)):
            name = state.link.name
            owner = self.owners.get(name)
            if owner is not None and (on or not self.wanting("raw", name)):
                owner.port.raw_wanted(name, on=on)

    def tell_levels(self, link: str) -> None:
        """Tell the publishers concerned what registrations ask of their links, where that has changed."""
        for state in tuple(self.states_of(link)):
            name = state.link.name
            owner = self.owners.get(name)
            if owner is None:
                continue
            asked = {q for r in self.wanting("link_status_changed", name) for q in r.levels}
            levels = tuple(q for q in Quality if q in asked and q is not Quality.NONE)
            wanted = LevelsWanted(name, levels, bool(self.wanting("link_going_down", name)))
            if owner.levels.get(name, LevelsWanted(name)) != wanted:
                owner.levels[name] = wanted
                owner.port.levels_wanted(wanted)

    # ---- events

    def report(self, session: Session, event: Event) -> None:
        """Deliver an upper layer's report; one that says what is, not what was, is kept for late joiners."""
        link = event.message.header.link.name  # as the consumer says: it need not be one of ours
        self.tally[link if link in self.states else EVERY_LINK][event.name] += 1
        if isinstance(event.message, _STANDING):
            key = session, event.name, link
            if key in self._retained or len(self._retained) < MAX_REGISTRATIONS:
                self._retained[key] = event
        self.indicate(event)

    def catch_up(self, registration: Registration) -> None:
        """Deliver the standing reports to a registration that has just begun."""
        for (_, _, link), event in tuple(self._retained.items()):
            if registration.link in {EVERY_LINK, link} and registration.passes(event.message):
                self._deliver(registration, event)

    def forget_reports(self, session: Session) -> None:
        """What a consumer said no longer stands: it has gone."""
        self._retained = {key: event for key, event in self._retained.items() if key[0] is not session}

    def indicate(self, event: Event) -> None:
        """Deliver to every registration that the event passes."""
        message = event.message
        link = message.header.link.name
        for registration in self.wanting(event.primitive, link):
            if not registration.session.closed and registration.passes(message):
                self._deliver(registration, event)
        if isinstance(message, LinkUp | LinkDown):
            for registration in self.wanting("link_going_down", link):
                registration.forget_going_down(link)

    def publisher_gap(self, publisher: Publisher, missing: int) -> None:
        """Tell all who might have got them that at most `missing` indications never came here."""
        if self._put_off:
            self._make_up()
        told: dict[Session, None] = {}
        for (primitive, link), registrations in tuple(self._wanted.items()):
            if primitive == "report" or not (link == EVERY_LINK or link in publisher.links):
                continue
            for r in tuple(registrations):
                first, last = r.skip(missing)
                r.session.sink.gap(Gap(r.id, primitive, link, publisher.name, first, last))
                told[r.session] = None
        self.counters.gaps += len(told)
        for session in told:
            session.sink.snapshot(self.snapshot())

    def _indicate_crossings(self, state: LinkState, header: Header) -> None:
        name = state.link.name
        for registration in self.wanting("poa_found", name) + self.wanting("poa_lost", name):
            if registration.threshold is not None and not registration.session.closed:
                message = registration.crossings(state, header)
                if message is not None:
                    self._deliver(registration, Event(message))

    def near_first(self) -> None:
        """Deliver to sessions in this process only, until `near_and_far`."""
        self._put_off = []

    def near_and_far(self) -> None:
        """Deliver what was put off, in the same order, and to all from now on."""
        self._make_up()
        self._put_off = None

    def _make_up(self) -> None:
        put_off, self._put_off = self._put_off or (), []
        for registration, number, event in put_off:
            if not registration.session.closed:
                registration.session.sink.deliver(registration, number, event)

    def _deliver(self, registration: Registration, event: Event) -> None:
        self.counters.delivered += 1
        number = registration.number(event)
        if self._put_off is None or registration.session.near:
            registration.session.sink.deliver(registration, number, event)
        else:
            self._put_off.append((registration, number, event))
