"""Where a driver runs: one abstract entity per link, numbering, and the way to the bus.

The same host serves a driver in the daemon's process (LocalPublisher) and in a child (RemotePublisher).
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from lies.abstract import AbstractEntity, AeParameters, TechnologyParameters
from lies.bus.core import Event
from lies.bus.messages import Action, ActionKind, LevelsWanted, LinkState
from lies.bus.publisher import LocalPublisher, RemotePublisher
from lies.driver import Driver, Thresholds
from lies.errors import LinkError, LinkErrorReason, MalformedMessage
from lies.events import (
    Condition,
    Detached,
    DownReason,
    Header,
    Indication,
    Link,
    LinkAction,
    LinkActionFailed,
    LinkGoingDown,
    PoACondition,
    Quality,
    RawItem,
    RawState,
    Technology,
    raw_of,
)
from lies.runtime import WallOffset, monotonic_ns

__all__ = ["DriverHostBase", "Entity", "EntityFactory", "EntityStatus", "LocalPublisher", "RemotePublisher"]

_log = logging.getLogger("lies.bus")
_ABOVE_NOISE = {Technology.WIFI, Technology.ETHERNET, Technology.OTHER}  # their scale; else it is dBm


class EntityStatus(Protocol):
    """What an abstract entity holds true of its link."""

    @property
    def up(self) -> bool:
        """Frames pass."""
        ...

    @property
    def poa(self) -> str | None:
        """Where the link is attached, None while down."""
        ...

    @property
    def condition(self) -> Condition:
        """Of the link; level NONE while down."""
        ...

    @property
    def poas(self) -> tuple[PoACondition, ...]:
        """Candidates."""
        ...

    @property
    def going_down(self) -> LinkGoingDown | None:
        """The standing LinkGoingDown."""
        ...


class Entity(Protocol):
    """An abstract entity, as lies.abstract.AbstractEntity is one."""

    @property
    def status(self) -> EntityStatus:
        """The link as of the last item."""
        ...

    def feed(self, item: RawItem) -> list[Indication]:
        """The indications that an item causes, in order."""
        ...

    def export(self) -> bytes:
        """The whole memory."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on from an exported memory; MalformedMessage if it is none."""
        ...


EntityFactory = Callable[[Link, Callable[[int], Header]], Entity]


class HostPublisher(Protocol):
    """The way from a driver host to the bus; none of these calls waits."""

    @property
    def epoch(self) -> int:
        """The publisher's epoch, for headers."""
        ...

    def bind(
        self,
        act: Callable[[Action], None],
        raw_wanted: Callable[[str, bool], None],
        refused: Callable[[str, str], None],
        levels_wanted: Callable[[LevelsWanted], None],
    ) -> None:
        """Where type 3 actions, wishes, and links that are not taken go, on the loop."""
        ...

    def announce(self, header: Header, state: LinkState) -> None:
        """A link and its state."""
        ...

    def remove_link(self, link: str) -> None:
        """A link is no more."""
        ...

    def publish(self, header: Header, events: Sequence[Event], state: LinkState | None) -> None:
        """What one item caused, and the link's state after it (None, or the same object: unchanged)."""
        ...


class DriverHostBase:
    """lies.driver.DriverHost on a publisher.

    name: the driver's configured name, the publisher in every header; parameters: of the abstract
    entities (entity: makes them, given link and stamp; for tests). on_failed and on_finished tell the
    supervisor what the driver said. Call `attach` with the driver before its start, and close the publisher
    after its stop.
    """

    def __init__(
        self,
        name: str,
        publisher: HostPublisher,
        *,
        parameters: AeParameters | None = None,
        entity: EntityFactory | None = None,
        on_failed: Callable[[Exception], None] | None = None,
        on_finished: Callable[[], None] | None = None,
        wall_offset_ns: int | None = None,
    ) -> None:
        self.name = name
        self.publisher = publisher
        self._parameters = parameters or AeParameters()
        self._entity = entity or _abstract_entity(self._parameters)
        self._on_failed = on_failed
        self._on_finished = on_finished
        self._wall_offset = WallOffset().ns if wall_offset_ns is None else lambda: wall_offset_ns
        self._driver: Driver | None = None
        self._ports: dict[str, _Port] = {}
        self._sequence = 0
        publisher.bind(self._act, self._raw_wanted, self._refused, self._levels_wanted)

    @property
    def links(self) -> tuple[str, ...]:
        """The links that were announced and not taken away."""
        return tuple(self._ports)

    def attach(self, driver: Driver) -> None:
        """The driver that type 3 actions go to."""
        self._driver = driver

    # ---- lies.driver.DriverHost

    def add_link(self, link: Link, *, controllable: bool) -> "_Port":
        """Announce a link; LinkError(INVALID) if it is there already, another driver's, or has a bad name."""
        if link.name in self._ports:
            raise LinkError(LinkErrorReason.INVALID, f"{self.name} has announced {link.name} already")
        port = _Port(self, link, controllable=controllable)
        self._ports[link.name] = port
        try:
            self.publisher.announce(self.header(link, monotonic_ns()), port.state)
        except LinkError:
            del self._ports[link.name]
            raise
        except MalformedMessage as error:
            del self._ports[link.name]
            raise LinkError(LinkErrorReason.INVALID, str(error)) from error
        about = {"link": link.name, "publisher": self.name, "epoch": self.publisher.epoch}
        _log.debug("announced %s", link.name, extra=about)
        return port

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC in ns."""
        return monotonic_ns()

    def missed(self) -> None:
        """Leave a hole in the numbers: the bus tells a Gap, and a snapshot, as soon as it sees it."""
        self._sequence += 1
        for port in tuple(self._ports.values())[:1]:
            self.publisher.announce(self.header(port.link, monotonic_ns()), port.state)

    def failed(self, error: Exception) -> None:
        """Tell the supervisor that the driver cannot go on."""
        if self._on_failed is not None:
            self._on_failed(error)
        else:
            _log.error("driver %s cannot go on: %s", self.name, error)

    def finished(self) -> None:
        """Tell the supervisor that the driver's input has ended."""
        if self._on_finished is not None:
            self._on_finished()

    # ---- for its ports

    def stamp(self, link: Link, t_ns: int) -> Header:
        """The next header of this publisher, for a measurement at t_ns."""
        self._sequence += 1
        return self.header(link, t_ns)

    def header(self, link: Link, t_ns: int) -> Header:
        """A header with the sequence number last used."""
        return Header(self.name, self.publisher.epoch, self._sequence, t_ns, t_ns + self._wall_offset(), link)

    def forget(self, link: str) -> None:
        """A port was removed."""
        self._ports.pop(link, None)
        self.publisher.remove_link(link)

    def new_entity(self, link: Link) -> Entity:
        """An abstract entity for one link."""
        return self._entity(link, lambda t_ns: self.stamp(link, t_ns))

    # ---- from the publisher

    def _act(self, action: Action) -> None:
        if self._driver is None or action.link not in self._ports:
            return
        try:
            if action.kind is ActionKind.CONNECT:
                self._driver.link_connect(action.link, action.poa or "")
            else:
                self._driver.link_disconnect(action.link, action.poa)
        except Exception as error:  # noqa: BLE001 - a driver's bug is the supervisor's matter, not the bus's
            self.failed(error)

    def _levels_wanted(self, wanted: LevelsWanted) -> None:
        port = self._ports.get(wanted.link)
        if self._driver is None or port is None:
            return
        p = self._parameters.of(port.link.technology)
        try:
            self._driver.watch_levels(wanted.link, thresholds_of(wanted, p, port.link.technology))
        except Exception as error:  # noqa: BLE001 - as above
            self.failed(error)

    def _refused(self, link: str, reason: str) -> None:
        if link in self._ports:
            self.failed(LinkError(LinkErrorReason.INVALID, reason))

    def _raw_wanted(self, link: str, on: bool) -> None:
        port = self._ports.get(link)
        if port is not None:
            port.raw_wanted(on=on)


class _Port:
    """lies.driver.LinkPort: one link's abstract entity and what of it the bus has seen."""

    def __init__(self, host: DriverHostBase, link: Link, *, controllable: bool) -> None:
        self._host = host
        self._link = link
        self._controllable = controllable
        self._ae = host.new_entity(link)
        self._raw = False
        self._removed = False
        self._t_ns = 0
        self._status: EntityStatus | None = None
        self.state = self._current()

    @property
    def link(self) -> Link:
        """Whose port it is."""
        return self._link

    def feed(self, item: RawItem) -> None:
        """Take a raw sample or a driver input."""
        if self._removed:
            return
        host = self._host
        events = [Event(raw_of(host.stamp(self._link, item.t_ns), item))] if self._raw else []
        events.extend(Event(indication) for indication in self._ae.feed(item))
        self._t_ns = item.t_ns
        state = self._current()
        changed = state != self.state
        if changed:
            self.state = state
        if events or changed:
            header = events[-1].message.header if events else host.header(self._link, item.t_ns)
            host.publisher.publish(header, events, self.state)

    def remove(self) -> None:
        """The interface is gone: a LinkDown follows if the link was up."""
        if self._removed:
            return
        if self.state.poa is not None:
            self.feed(Detached(self._now_ns(), self.state.poa, DownReason.REMOVED))
        self._removed = True
        self._host.forget(self._link.name)

    def steer(self, *, controllable: bool) -> None:
        """Say anew whether type 3 requests can be followed."""
        if not self._removed and controllable != self._controllable:
            self._controllable = controllable
            self.state = self._current()
            self._host.publisher.publish(self._host.header(self._link, self._now_ns()), (), self.state)

    def action_failed(self, action: LinkAction, poa: str | None, detail: str) -> None:
        """Say that a type 3 request came to nothing."""
        if not self._removed:
            header = self._host.stamp(self._link, self._now_ns())
            failed = LinkActionFailed(header, action, poa, detail)
            self._host.publisher.publish(header, (Event(failed),), None)

    def _now_ns(self) -> int:
        """Not before what was told last."""
        return max(self._t_ns, self._host.now_ns())

    def restore(self, state: bytes) -> None:
        """Set the abstract entity's memory; the link's state follows without indications.

        MalformedMessage if `state` is no memory of an abstract entity.
        """
        try:
            self._ae.restore(state)
        except MalformedMessage:
            _log.warning("driver %s: the stored state of %s cannot be used", self._host.name, self._link.name)
            raise
        self.state = self._current()
        self._host.publisher.publish(self._host.header(self._link, self._t_ns), (), self.state)

    def raw_wanted(self, *, on: bool) -> None:
        """Begin with the entity's memory (for every new registration), or stop."""
        self._raw = on
        if on and not self._removed:
            header = self._host.stamp(self._link, self._t_ns or self._host.now_ns())
            self._host.publisher.publish(header, (Event(RawState(header, self._ae.export())),), None)

    def _current(self) -> LinkState:
        status = self._ae.status
        return LinkState(
            self._link,
            self._host.name,
            status.up,
            status.poa,
            status.condition,
            status.poas,
            status.going_down,
            self._controllable,
        )


def thresholds_of(wanted: LevelsWanted, p: TechnologyParameters, technology: Technology) -> Thresholds:
    """What registrations ask for, as signal: a scale above the noise floor is brought back to dBm."""
    base = p.noise_floor_dbm if technology in _ABOVE_NOISE else 0.0
    starts = {
        Quality.EXCELLENT: p.excellent_db,
        Quality.GOOD: p.good_db,
        Quality.FAIR: p.fair_db,
        Quality.BAD: p.bad_db,
    }
    limit_db = p.bad_db if p.break_db is None else p.break_db
    return Thresholds(
        tuple(sorted(base + starts[q] for q in wanted.levels if q in starts)),
        base + limit_db if wanted.going_down else None,
    )


def _abstract_entity(parameters: AeParameters) -> EntityFactory:
    def make(link: Link, stamp: Callable[[int], Header]) -> Entity:
        return AbstractEntity(link, parameters, stamp)

    return make
