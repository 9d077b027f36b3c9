"""The bus itself: registrations, states of links, numbering. No socket, no clock, one thread.

Driven by four kinds of input: sessions opening and closing, their requests, publishers opening and
closing, and what they publish. Output goes to the `Sink` of each session and the `PublisherPort` of each
publisher, in order and before the call returns. What is published from within a sink is taken after the
current event has reached everyone, so all sessions see one order.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lies.bus._delivery import Delivery
from lies.bus._parties import Counters, Publisher, PublisherPort, Session, Sink, check_name
from lies.bus._publishing import PublishDesk
from lies.bus._registration import EVERY_LINK, Registration
from lies.bus._requests import RequestDesk
from lies.bus.frames import Event
from lies.bus.messages import LinkState, Plugins, PluginsRequest, PluginState, Repair, Snapshot
from lies.bus.rights import Right, Rights, Who
from lies.errors import LiesError, NotPermitted
from lies.events import Header, Request

__all__ = [
    "EVERY_LINK",
    "BusCore",
    "Counters",
    "Event",
    "Publisher",
    "PublisherPort",
    "Registration",
    "Session",
    "Sink",
]

HISTORY = 256  # deliveries kept for each registration, for repair


class BusCore:
    """Who gets what on the bus (RFC 5184 section 3).

    epoch: changes when the daemon restarts; rights: who may do what; history: deliveries kept for each
    registration, for repair.
    """

    def __init__(self, *, epoch: int, rights: Rights | None = None, history: int = HISTORY) -> None:
        self.epoch = epoch
        self.rights = rights or Rights()
        self.sessions: set[Session] = set()
        self.plugins: Callable[[], tuple[PluginState, ...]] = tuple  # the supervisor says what it runs
        self._delivery = Delivery(history=history)
        self._requests = RequestDesk(self._delivery, self.rights)
        self._publishing = PublishDesk(self._delivery, self.rights)

    @property
    def counters(self) -> Counters:
        """What was counted so far."""
        return self._delivery.counters

    @property
    def links(self) -> Mapping[str, LinkState]:
        """State of every link by name."""
        return self._delivery.states

    @property
    def tally(self) -> Mapping[str, Mapping[str, int]]:
        """Link ("*" for what is no link's) -> name of an indication -> how many there were."""
        return self._delivery.tally

    def snapshot(self, link: str = EVERY_LINK) -> Snapshot:
        """The states of one link or of all."""
        return self._delivery.snapshot(link)

    def raw_wanted(self, link: str) -> bool:
        """Whether anybody is registered for the link's raw messages."""
        return bool(self._delivery.wanting("raw", link))

    # ---- consumers

    def open_session(self, name: str, protocol: str, who: Who, sink: Sink, *, near: bool = False) -> Session:
        """A new consumer; NotPermitted without the right to listen or act, MalformedMessage if unnamed.

        near: its sink is in this process, and costs no more than a call.
        """
        try:
            check_name(name)
            check_name(protocol)
            if Right.ACT not in self.rights.of(who):
                self.rights.check(who, Right.LISTEN)
        except LiesError:
            self.counters.refused += 1
            raise
        session = Session(name, protocol, who, sink, near=near)
        self.sessions.add(session)
        return session

    def close_session(self, session: Session) -> None:
        """The consumer has gone: nothing more is indicated to it."""
        session.closed = True
        self.sessions.discard(session)
        self._delivery.forget_reports(session)
        for registration in tuple(session.registrations.values()):
            self._delivery.disable(registration)

    def request(self, session: Session, request: Request) -> None:
        """Answer a request through the session's sink, always with its Confirm.

        A Snapshot of the links concerned follows the Confirm(Ack) of a registration; the action follows
        the Confirm(Ack) of a type 3 request. The reason of a Confirm(Error) is `LinkErrorReason: sentence`.
        """
        self._requests.request(session, request)

    def request_snapshot(self, session: Session, link: str) -> Snapshot:
        """The states of a link or of all; NotPermitted without the right to listen."""
        self._check_listens(session)
        return self._delivery.snapshot(link)

    def request_plugins(self, session: Session, request: PluginsRequest) -> Plugins:
        """How the daemon's drivers and consumers are; NotPermitted without the right to listen."""
        self._check_listens(session)
        return Plugins(request.request_id, self.plugins())

    def _check_listens(self, session: Session) -> None:
        try:
            self.rights.check(session.who, Right.LISTEN)
        except NotPermitted:
            self.counters.refused += 1
            raise

    def repair(self, session: Session, repair: Repair) -> None:
        """Deliver `first`..`last` once more, or say what of it is gone, with a snapshot."""
        self._requests.repair(session, repair)

    def report(self, session: Session, report: Any) -> None:  # noqa: ANN401 - one of the report classes
        """Publish an upper layer's report; its publisher must be the session's name.

        NotPermitted without the right to act, MalformedMessage if it is no report of this consumer.
        """
        self._requests.report(session, report)

    # ---- publishers

    def open_publisher(self, name: str, epoch: int, who: Who, port: PublisherPort) -> Publisher:
        """A new driver; NotPermitted without the right, ProtocolViolation if the name is taken.

        epoch: the publisher's own, for its headers; MalformedMessage for a name that is none.
        """
        return self._publishing.open(name, epoch, who, port)

    def publisher(self, name: str) -> Publisher | None:
        """The driver of that name, if it is on the bus."""
        return self._publishing.find(name)

    def announce(self, publisher: Publisher, header: Header, state: LinkState) -> None:
        """A publisher's link with its state; what differs from what is known is indicated.

        The header's sequence is the last one used. LinkError(INVALID) if the link is another publisher's.
        """
        self._publishing.announce(publisher, header, state)

    def remove_link(self, publisher: Publisher, link: str) -> None:
        """A publisher's link is no more; it is forgotten. Its LinkDown was published before."""
        self._publishing.remove(publisher, link)

    def publish(
        self,
        publisher: Publisher,
        header: Header,
        events: Sequence[Event],
        state: LinkState | None = None,
    ) -> None:
        """Indications and raw messages of one item, in order, and the link's state after them.

        A hole in the headers' sequence becomes a Gap for all concerned. LinkError or MalformedMessage if
        something in it is not the publisher's own; nothing of it is delivered then.
        """
        self._publishing.publish(publisher, header, events, state)

    def close_publisher(self, publisher: Publisher, *, mono_ns: int, wall_ns: int) -> None:
        """The driver has gone: its links are Down with DRIVER_LOST from these times on."""
        self._publishing.close(publisher, mono_ns=mono_ns, wall_ns=wall_ns)

    def forget_lost(self, name: str) -> None:
        """The links that the publisher of that name lost are no more: no driver is to come back for them."""
        self._publishing.forget_lost(name)
