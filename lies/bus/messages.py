"""What the bus itself says, beside the primitives: frozen classes with tags of the layer `BUS`."""

from enum import StrEnum
from typing import Any

from attrs import evolve, frozen

from lies.events import (
    Condition,
    DownReason,
    Header,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoACondition,
    PoAFound,
    PoALost,
    PrimitiveClass,
    Quality,
)

NO_CONDITION = Condition(Quality.NONE, 0.0)


@frozen
class LinkState:
    """All that is known of one link: what snapshots carry and type 1 requests are answered from.

    poa: None while the link is down; going_down: the standing LinkGoingDown; controllable: type 3 requests
    can be followed; lost: DRIVER_LOST once nobody watches the link any more, else None.
    """

    link: Link
    publisher: str
    up: bool = False
    poa: str | None = None
    condition: Condition = NO_CONDITION
    poas: tuple[PoACondition, ...] = ()
    going_down: LinkGoingDown | None = None
    controllable: bool = False
    lost: DownReason | None = None

    def after(self, event: object) -> "LinkState":  # noqa: PLR0911 - one per primitive
        """The state once `event` has happened; raw messages and reports change nothing."""
        match event:
            case LinkUp(poa=poa):
                return evolve(self, up=True, poa=poa, going_down=None)
            case LinkDown():
                return evolve(self, up=False, poa=None, condition=NO_CONDITION, going_down=None)
            case LinkStatusChanged(poa=poa, condition=condition) if poa == self.poa:
                return evolve(self, condition=condition)
            case LinkGoingDown():
                return evolve(self, going_down=event)
            case LinkGoingDownCancelled():
                return evolve(self, going_down=None)
            case PoAFound(poas=poas) | PoALost(poas=poas):
                named = {p.poa for p in poas}
                kept = tuple(p for p in self.poas if p.poa not in named)
                return evolve(self, poas=kept + poas if isinstance(event, PoAFound) else kept)
        return self


class Refusal(StrEnum):
    """Why the daemon does not follow a message."""

    UNKNOWN_VERSION = "unknown_version"
    UNKNOWN_SESSION = "unknown_session"  # say Hello first; also after a restart of the daemon
    NOT_PERMITTED = "not_permitted"
    MALFORMED = "malformed"
    INVALID = "invalid"


@frozen
class Hello:
    """First message of a peer; protocol: what its tags name as protocol ID, such as `ipv6` or `wifi`.

    epoch: a publisher's own, which changes when it restarts; 0 from consumers; batches: the peer reads Batch.
    """

    name: str
    protocol: str
    epoch: int = 0
    batches: bool = False


@frozen
class Welcome:
    """Answer to Hello; epoch: changes when the daemon restarts; heartbeat_ms: interval of heartbeats."""

    epoch: int
    heartbeat_ms: int


@frozen
class Refused:
    """The daemon does not follow a message; request_id: of the request, where it could be read.

    link: of a PublishLink that is refused: nothing can be published for it.
    """

    code: Refusal
    reason: str
    request_id: int | None = None
    link: str | None = None


@frozen
class Heartbeat:
    """Sign of life, both ways; last: registration -> last sequence number sent, or received."""

    epoch: int
    last: dict[int, int]


@frozen
class Gap:
    """Indications `first`..`last` of a registration are lost for good; a Snapshot follows.

    primitive, link: of the registration; publisher: whose they were, None where of several or not known;
    last: None only from a client that lost its session and cannot know.
    """

    registration: int
    primitive: str
    link: str
    publisher: str | None
    first: int
    last: int | None


@frozen
class Snapshot:
    """States of links, between the events before and after it, without hole or double.

    registration: the one whose Confirm it follows; request_id: of the SnapshotRequest it answers;
    both None: all links, after a Gap.
    """

    links: tuple[LinkState, ...]
    registration: int | None = None
    request_id: int | None = None


@frozen
class SnapshotRequest:
    """Ask for the states of a link, or of all with "*"."""

    request_id: int
    link: str = "*"


class PluginStatus(StrEnum):
    """What a configured driver or consumer does."""

    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"  # it is started again
    FINISHED = "finished"  # its input has ended; it is not started again


@frozen
class PluginState:
    """One configured driver or consumer of the daemon.

    name: in the configuration; kind: `driver` or `consumer`; plugin: which installed one; starts: how often
    it was started; reason: what it failed with last; retry_in_ms: when a failed one is started again.
    """

    name: str
    kind: str
    plugin: str
    status: PluginStatus
    isolated: bool = False
    starts: int = 0
    reason: str = ""
    retry_in_ms: int | None = None


@frozen
class PluginsRequest:
    """Ask how the configured drivers and consumers are."""

    request_id: int


@frozen
class Plugins:
    """The drivers and consumers that the daemon's configuration names; the answer to a PluginsRequest."""

    request_id: int
    plugins: tuple[PluginState, ...]


@frozen
class Repair:
    """Ask for indications `first`..`last` of a registration once more; the answer is them or a Gap."""

    registration: int
    first: int
    last: int


@frozen
class Batch:
    """Deliveries that came close behind each other: of each, the frames after VERSION, in order.

    Sent only to a consumer whose Hello says `batches`; the first of a burst is never kept back for it.
    """

    deliveries: tuple[tuple[bytes, ...], ...]


@frozen
class Goodbye:
    """The sender leaves; reason: in words."""

    reason: str


@frozen
class PublishLink:
    """A publisher announces a link and its state; the header's sequence is the last one used."""

    header: Header
    state: LinkState


@frozen
class RemoveLink:
    """A publisher takes a link away; its LinkDown was published before."""

    link: str


@frozen
class Publish:
    """One item's consequences, taken as one: the pairs of frames that follow it, then the state.

    header: of the item, its sequence being the last one used; state: None where unchanged.
    """

    header: Header
    state: LinkState | None = None


class ActionKind(StrEnum):
    """Type 3 primitives on their way to the driver."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"


@frozen
class Action:
    """A type 3 request that was confirmed, handed to the publisher; poa None: whichever it is."""

    kind: ActionKind
    link: str
    poa: str | None = None


@frozen
class RawWanted:
    """Somebody registered for a link's raw messages (RawState comes first), or nobody is any more."""

    link: str
    on: bool


@frozen
class LevelsWanted:
    """What registrations ask of a link, so that the driver can have its radio tell; sent when it changes.

    levels: whose thresholds somebody is to be told of, best first; going_down: LinkGoingDown is wanted.
    """

    link: str
    levels: tuple[Quality, ...] = ()
    going_down: bool = False


_REQUEST, _CONFIRM, _INDICATION = PrimitiveClass.REQUEST, PrimitiveClass.CONFIRM, PrimitiveClass.INDICATION

BUS_MESSAGES: dict[tuple[PrimitiveClass, str], type[Any]] = {
    (_REQUEST, "hello"): Hello,
    (_CONFIRM, "welcome"): Welcome,
    (_CONFIRM, "refused"): Refused,
    (_INDICATION, "heartbeat"): Heartbeat,
    (_INDICATION, "gap"): Gap,
    (_INDICATION, "snapshot"): Snapshot,
    (_REQUEST, "snapshot"): SnapshotRequest,
    (_REQUEST, "repair"): Repair,
    (_REQUEST, "plugins"): PluginsRequest,
    (_CONFIRM, "plugins"): Plugins,
    (_INDICATION, "batch"): Batch,
    (_INDICATION, "goodbye"): Goodbye,
    (_REQUEST, "publish_link"): PublishLink,
    (_REQUEST, "remove_link"): RemoveLink,
    (_REQUEST, "publish"): Publish,
    (_REQUEST, "action"): Action,
    (_REQUEST, "raw_wanted"): RawWanted,
    (_REQUEST, "levels_wanted"): LevelsWanted,
}
"""Class and name in the tag -> class of the body; the layer is `BUS`, the protocol `lies`."""
