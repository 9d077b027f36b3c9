"""The publishers' side of the bus: whose link is whose, and what follows when one goes away."""

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import evolve

from lies.bus._delivery import Delivery
from lies.bus._parties import Publisher, PublisherPort, check_name
from lies.bus.frames import Event
from lies.bus.messages import NO_CONDITION, LinkState
from lies.bus.rights import Right, Rights, Who
from lies.errors import LiesError, LinkError, LinkErrorReason, MalformedMessage, ProtocolViolation
from lies.events import DownReason, Header, LinkDown, LinkStatusChanged, LinkUp, PoAFound, PoALost

MAX_LINKS = 512  # known at a time, those of lost drivers included
MOST_MISSING = 1 << 24  # indications that a publisher drops at most between two that come: hours of them


class PublishDesk:
    """Takes links and events from publishers; nobody publishes for a link that is not theirs."""

    def __init__(self, delivery: Delivery, rights: Rights) -> None:
        self._delivery = delivery
        self._rights = rights
        self._publishers: dict[str, Publisher] = {}

    def open(self, name: str, epoch: int, who: Who, port: PublisherPort) -> Publisher:
        """A new publisher; ProtocolViolation while there is one of the same name."""
        try:
            self._rights.check(who, Right.PUBLISH)
            check_name(name)
            if name in self._publishers:
                raise ProtocolViolation(f"a driver named {name} is on the bus already")
        except LiesError:
            self._delivery.counters.refused += 1
            raise
        publisher = self._publishers[name] = Publisher(name, epoch, port)
        return publisher

    def find(self, name: str) -> Publisher | None:
        """The publisher of that name."""
        return self._publishers.get(name)

    def announce(self, publisher: Publisher, header: Header, state: LinkState) -> None:
        """A link and its state; what differs from what is known is indicated."""
        name = state.link.name
        try:
            _check_header(publisher, header)
            check_name(name)
            owner = self._delivery.owners.get(name)
            if owner not in {None, publisher}:
                raise LinkError(LinkErrorReason.INVALID, f"the link {name} is announced by another driver")
            if state.link != header.link:
                raise LinkError(LinkErrorReason.INVALID, f"the state of {name} has a header of another link")
            _check_sequence(publisher.sequence, header.sequence)
            self._make_room(name)
        except LiesError:
            self._delivery.counters.refused += 1
            raise
        self._delivery.owners[name] = publisher
        publisher.links.add(name)
        self._delivery.do(lambda: self._announce(publisher, header, _owned(state, publisher)))

    def remove(self, publisher: Publisher, link: str) -> None:
        """A link of this publisher is no more."""
        self._delivery.do(lambda: self._remove(publisher, link))

    def publish(
        self, publisher: Publisher, header: Header, events: Sequence[Event], state: LinkState | None
    ) -> None:
        """The consequences of one item; LinkError or MalformedMessage if not the publisher's own."""
        try:
            self._check_publish(publisher, header, events, state)
        except LiesError:
            self._delivery.counters.refused += 1
            raise
        self._delivery.do(lambda: self._publish(publisher, header, events, state))

    def close(self, publisher: Publisher, *, mono_ns: int, wall_ns: int) -> None:
        """The publisher is gone: its links are Down with DRIVER_LOST from these times on."""
        self._delivery.do(lambda: self._lose(publisher, mono_ns, wall_ns))

    def forget_lost(self, name: str) -> None:
        """The links that the publisher of that name lost are no more."""
        self._delivery.do(lambda: self._forget_lost(name))

    def _check_publish(
        self, publisher: Publisher, header: Header, events: Sequence[Event], state: LinkState | None
    ) -> None:
        _check_header(publisher, header)
        link = header.link
        if link.name not in publisher.links:
            raise LinkError(
                LinkErrorReason.UNKNOWN_LINK, f"{publisher.name} has announced no {link.name[:64]!r}"
            )
        if state is not None and state.link is not link and state.link != link:
            raise LinkError(LinkErrorReason.INVALID, f"the state of {link.name} has a header of another link")
        sequence = publisher.sequence
        for event in events:
            of = event.message.header
            if event.primitive == "report" or (of.link is not link and of.link != link):
                raise LinkError(LinkErrorReason.INVALID, f"{publisher.name} cannot publish {event.name} here")
            if of is not header:
                _check_header(publisher, of)
            if of.sequence <= (sequence or 0):
                raise MalformedMessage(f"sequence {of.sequence} of {publisher.name} after {sequence or 0}")
            _check_sequence(sequence, of.sequence)
            sequence = of.sequence

    def _make_room(self, name: str) -> None:
        """See that one more link can be known: if there are many, one whose driver was lost is forgotten."""
        delivery = self._delivery
        if name in delivery.states or len(delivery.states) < MAX_LINKS:
            return
        lost = next((known for known in delivery.states if known not in delivery.owners), None)
        if lost is None:
            raise LinkError(LinkErrorReason.INVALID, f"{MAX_LINKS} links are known; no more are allowed")
        del delivery.states[lost]

    def _announce(self, publisher: Publisher, header: Header, state: LinkState) -> None:
        delivery, name = self._delivery, state.link.name
        if publisher.closed or name not in publisher.links:
            return
        before = delivery.states.get(name)
        if before is None:
            before = delivery.states[name] = LinkState(state.link, publisher.name)
        if publisher.sequence is None:
            publisher.sequence = header.sequence
        self._note_sequence(publisher, header.sequence + 1)
        self._become(before, state, header)
        if delivery.wanting("raw", name):
            publisher.port.raw_wanted(name, on=True)
        publisher.levels.pop(name, None)  # a driver that announces anew may have been told otherwise
        delivery.tell_levels(name)

    def _become(self, before: LinkState, after: LinkState, header: Header) -> None:
        for message in _differences(before, after, header):
            self._delivery.happen(after.link.name, Event(message))
        self._delivery.set_state(after, header)

    def _become_lost(self, before: LinkState, after: LinkState, header: Header) -> int:
        """The same for a driver that has gone: the numbers go on from its last; returns the last given."""
        sequence = header.sequence
        for message in _differences(before, after, header):
            sequence += 1
            numbered = evolve(message, header=evolve(header, sequence=sequence))
            self._delivery.happen(after.link.name, Event(numbered))
        self._delivery.set_state(after, evolve(header, sequence=sequence))
        return sequence

    def _remove(self, publisher: Publisher, link: str) -> None:
        if link in publisher.links:
            publisher.links.discard(link)
            self._delivery.owners.pop(link, None)
            self._delivery.forget(link)

    def _forget_lost(self, name: str) -> None:
        delivery = self._delivery
        for link, state in tuple(delivery.states.items()):
            if state.publisher == name and link not in delivery.owners:
                delivery.forget(link)

    def _publish(
        self, publisher: Publisher, header: Header, events: Sequence[Event], state: LinkState | None
    ) -> None:
        delivery, name = self._delivery, header.link.name
        if publisher.closed or name not in publisher.links:
            return
        if state is not None:
            state = _owned(state, publisher)
        delivery.near_first()  # who is in this process need not wait for sockets
        try:
            for i, event in enumerate(events, 1):
                delivery.counters.published += 1
                sequence = event.message.header.sequence
                self._note_sequence(publisher, sequence)
                publisher.sequence = sequence
                delivery.happen(name, event, state if i == len(events) else None)
        finally:
            delivery.near_and_far()
        if state is not None and not events:
            delivery.set_state(state, header)

    def _note_sequence(self, publisher: Publisher, expected: int) -> None:
        """Tell who is concerned if numbers before `expected` never came."""
        missing = expected - (publisher.sequence or 0) - 1
        if missing > 0:
            publisher.sequence = expected - 1
            self._delivery.publisher_gap(publisher, missing)

    def _lose(self, publisher: Publisher, mono_ns: int, wall_ns: int) -> None:
        if publisher.closed:
            return
        publisher.closed = True
        if self._publishers.get(publisher.name) is publisher:
            del self._publishers[publisher.name]
        mono_ns, wall_ns = publisher.at(mono_ns, wall_ns)
        sequence = publisher.sequence or 0
        for name in sorted(publisher.links):
            del self._delivery.owners[name]
            before = self._delivery.states.get(name)
            if before is None:
                continue
            header = Header(publisher.name, publisher.epoch, sequence, mono_ns, wall_ns, before.link)
            after = LinkState(before.link, publisher.name, lost=DownReason.DRIVER_LOST)
            sequence = self._become_lost(before, after, header)
        publisher.links.clear()


def _check_sequence(before: int | None, sequence: int) -> None:
    """MalformedMessage if more is missing than can be: the numbers of consumers have 64 bits."""
    if before is not None and sequence - before > MOST_MISSING:
        raise MalformedMessage(f"sequence {sequence} after {before}")


def _check_header(publisher: Publisher, header: Header) -> None:
    if publisher.closed:
        raise LinkError(LinkErrorReason.INVALID, f"{publisher.name} is closed")
    if header.publisher != publisher.name or header.epoch != publisher.epoch:
        raise LinkError(
            LinkErrorReason.INVALID, f"a header of {header.publisher[:64]!r} from {publisher.name!r}"
        )


def _owned(state: LinkState, publisher: Publisher) -> LinkState:
    if state.publisher == publisher.name and state.lost is None:
        return state
    return evolve(state, publisher=publisher.name, lost=None)


def _differences(before: LinkState, after: LinkState, header: Header) -> Iterator[Any]:
    """The indications that lead from one state to the other, for who did not see it happen."""
    moved = before.poa != after.poa
    if before.up and (moved or not after.up):
        yield LinkDown(header, before.poa or "", after.lost or DownReason.CARRIER)
    if after.up and (moved or not before.up):
        yield LinkUp(header, after.poa or "")
        if after.condition.quality is not NO_CONDITION.quality:
            yield LinkStatusChanged(header, after.poa or "", after.condition, NO_CONDITION)
    heard, known = {p.poa for p in after.poas}, {p.poa for p in before.poas}
    if heard - known:
        yield PoAFound(header, tuple(p for p in after.poas if p.poa not in known))
    if known - heard:
        yield PoALost(header, tuple(p for p in before.poas if p.poa not in heard))
    if after.going_down is not None and after.going_down != before.going_down:
        yield after.going_down
