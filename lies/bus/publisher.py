"""The two ways from a driver host to the bus: in the daemon's process, and over the publish endpoint."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import Self

from lies.bus._connection import Connection
from lies.bus._directory import PUBLISH
from lies.bus._handler import Handler
from lies.bus._route import Where
from lies.bus.core import BusCore, Event
from lies.bus.frames import Received, bus_frames, publish_frames
from lies.bus.messages import (
    Action,
    Hello,
    LevelsWanted,
    LinkState,
    Publish,
    PublishLink,
    RawWanted,
    Refused,
    RemoveLink,
    Welcome,
)
from lies.events import Header
from lies.runtime import monotonic_ns, wall_ns

_log = logging.getLogger("lies.bus")

_CAUSES_KEPT = 100

Tell = Callable[[str, str], None]
Act = Callable[[Action], None]
Wish = Callable[[str, bool], None]
Levels = Callable[[LevelsWanted], None]


def _nothing(*_: object) -> None:
    return None


class LocalPublisher:
    """A driver host's way to a BusCore in the same process; opens at once.

    NotPermitted without the right to publish, ProtocolViolation while another driver has the name.
    uid: whose rights it has, None for the daemon's own.
    """

    def __init__(self, core: BusCore, name: str, *, uid: int | None = None) -> None:
        self.epoch = wall_ns()
        self._core = core
        self._act: Act = _nothing
        self._wish: Wish = _nothing
        self._levels: Levels = _nothing
        self._publisher = core.open_publisher(name, self.epoch, os.geteuid() if uid is None else uid, self)

    def bind(
        self, act: Act, raw_wanted: Wish, refused: Tell = _nothing, levels_wanted: Levels = _nothing
    ) -> None:
        """Where type 3 actions and wishes go; refused: `announce` says it itself here."""
        del refused
        self._act = act
        self._wish = raw_wanted
        self._levels = levels_wanted

    def announce(self, header: Header, state: LinkState) -> None:
        """A link and its state; LinkError(INVALID) if it is another driver's."""
        if not self._publisher.closed:
            self._core.announce(self._publisher, header, state)
            self._publisher.heard(header, monotonic_ns())

    def remove_link(self, link: str) -> None:
        """A link is no more."""
        if not self._publisher.closed:
            self._core.remove_link(self._publisher, link)

    def publish(self, header: Header, events: Sequence[Event], state: LinkState | None) -> None:
        """What one item caused, and the link's state after it (None, or the same object: unchanged)."""
        if not self._publisher.closed:
            self._core.publish(self._publisher, header, events, state)
            self._publisher.heard(header, monotonic_ns())

    def close(self, reason: str = "") -> None:
        """Leave the bus: links that were not removed go Down with DRIVER_LOST."""
        del reason
        self._core.close_publisher(self._publisher, mono_ns=monotonic_ns(), wall_ns=wall_ns())

    # ---- lies.bus.core.PublisherPort

    def act(self, action: Action) -> None:
        """Follow a type 3 request, after its requester could take the Confirm."""
        asyncio.get_running_loop().call_soon(self._act_if_open, action)

    def raw_wanted(self, link: str, *, on: bool) -> None:
        """Somebody new wants the link's raw messages, or nobody does any more."""
        self._wish(link, on)

    def levels_wanted(self, wanted: LevelsWanted) -> None:
        """Which levels registrations ask for has changed; told when the requester has its answer."""
        asyncio.get_running_loop().call_soon(self._levels_if_open, wanted)

    def _levels_if_open(self, wanted: LevelsWanted) -> None:
        if not self._publisher.closed:
            self._levels(wanted)

    def _act_if_open(self, action: Action) -> None:
        if not self._publisher.closed:
            self._act(action)


class RemotePublisher(Handler):
    """A driver host's way to the daemon over the publish endpoint; made by `connect`.

    Never waits: what the daemon cannot take is queued, and beyond that dropped; the daemon sees the hole in
    the headers' sequence and tells its consumers a Gap. After a restart of the daemon every link is
    announced with its state again, and the daemon indicates what differs from what it knew.
    """

    def __init__(self, where: Where, name: str) -> None:
        self.name = name
        self.epoch = wall_ns()
        self.dropped = 0
        self._act: Act = _nothing
        self._wish: Wish = _nothing
        self._levels: Levels = _nothing
        self._watched: set[str] = set()  # links of which somebody wants to be told levels
        self._links: dict[str, tuple[Header, LinkState]] = {}
        self._sequence = 0
        self._behind = False
        self._raw: set[str] = set()
        self._refused: set[str] = set()  # links that the daemon does not take
        self._causes: set[str] = set()
        self._told: Tell = _nothing
        self._connection = Connection(where, PUBLISH, self)

    @classmethod
    async def connect(cls, where: Where, *, name: str, timeout_s: float = 5.0) -> Self:
        """Connect; NoDaemon, NotPermitted."""
        publisher = cls(where, name)
        await publisher._connection.open(timeout_s)
        return publisher

    @property
    def connected(self) -> bool:
        """The daemon answered and is still heard."""
        return self._connection.up

    def bind(
        self, act: Act, raw_wanted: Wish, refused: Tell = _nothing, levels_wanted: Levels = _nothing
    ) -> None:
        """Where type 3 actions, wishes, and refusals of links go: (link, reason)."""
        self._act = act
        self._wish = raw_wanted
        self._told = refused
        self._levels = levels_wanted

    def announce(self, header: Header, state: LinkState) -> None:
        """A link and its state; if the daemon refuses it, `refused` is called and its events go nowhere."""
        self._refused.discard(state.link.name)
        self._links[state.link.name] = (header, state)
        self._sequence = max(self._sequence, header.sequence)
        self._send(bus_frames(PublishLink(header, state)))

    def remove_link(self, link: str) -> None:
        """A link is no more."""
        self._links.pop(link, None)
        self._send(bus_frames(RemoveLink(link)))

    def publish(self, header: Header, events: Sequence[Event], state: LinkState | None) -> None:
        """What one item caused, and the link's state after it (None, or the same object: unchanged)."""
        name = header.link.name
        if name in self._refused:
            return
        known = self._links[name][1]
        if state is known:
            state = None
        self._sequence = max(self._sequence, header.sequence)
        self._links[name] = (header, state or known)
        self._send(publish_frames(Publish(header, state), events, protocol="*"), count=len(events))

    def close(self, reason: str = "the driver ends") -> None:
        """Leave the bus: links that were not removed go Down with DRIVER_LOST."""
        self._connection.close(reason)

    def _send(self, frames: list[bytes], *, count: int = 0) -> None:
        if self._behind or not self._connection.send(frames):
            self.dropped += count
            if self._connection.up:
                self._behind = True

    def _announce_all(self) -> None:
        self._behind = False
        for header, state in tuple(self._links.values()):
            current = Header(
                header.publisher, header.epoch, self._sequence, header.mono_ns, header.wall_ns, header.link
            )
            self._send(bus_frames(PublishLink(current, state)))

    # ---- lies.bus._connection.Handler

    def hello(self) -> Hello:
        """What to say first."""
        return Hello(self.name, "*", self.epoch)

    def welcome(self, welcome: Welcome) -> None:
        """Announce every link; wishes for raw messages come anew."""
        del welcome
        self._announce_all()

    def disconnected(self, reason: str) -> None:
        """Nobody wants anything of who is not there."""
        del reason
        raw, self._raw = self._raw, set()
        for link in raw:
            self._wish(link, False)
        watched, self._watched = self._watched, set()
        for link in watched:
            self._levels(LevelsWanted(link))

    def received(self, received: Received) -> None:
        """Actions and wishes."""
        match received.message:
            case Action():
                self._act(received.message)
            case RawWanted(link=link, on=on):
                (self._raw.add if on else self._raw.discard)(link)
                self._wish(link, on)
            case LevelsWanted(link=link):
                self._watched.add(link)
                self._levels(received.message)
            case Refused(link=str() as link, reason=reason):
                self._refused_link(link, reason)
            case Refused(reason=reason):
                self._note(reason)

    def _refused_link(self, link: str, reason: str) -> None:
        """The daemon does not take a link of ours: nothing more is published for it, and the host is told."""
        if self._links.pop(link, None) is not None:
            self._note(reason)
            self._refused.add(link)
            self._told(link, reason)

    def _note(self, reason: str) -> None:
        """Log what the daemon says, once for each cause."""
        if reason not in self._causes and len(self._causes) < _CAUSES_KEPT:
            self._causes.add(reason)
            _log.warning(
                "the daemon refuses what driver %s published: %s (said once for each cause)",
                self.name,
                reason,
            )

    def last(self) -> dict[int, int]:
        """A driver receives no deliveries."""
        return {}

    def tick(self) -> None:
        """Nothing is due."""

    def writable(self) -> None:
        """After a time of dropping: tell the daemon how things are."""
        if self._behind:
            self._announce_all()
