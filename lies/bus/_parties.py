"""Who takes part in the bus: consumers' sessions, publishers, and what each of them must offer."""

from typing import Protocol

from attrs import define

from lies.bus._registration import Registration
from lies.bus.frames import Event
from lies.bus.messages import Action, Gap, LevelsWanted, Snapshot
from lies.bus.rights import Who
from lies.errors import MalformedMessage
from lies.events import Confirm, Header

MAX_NAME = 64


class Sink(Protocol):
    """Where a session's messages go; must not raise and must not wait."""

    def confirm(self, confirm: Confirm) -> None:
        """The answer to a request."""
        ...

    def deliver(self, registration: Registration, sequence: int, event: Event) -> None:
        """An indication for one registration."""
        ...

    def snapshot(self, snapshot: Snapshot) -> None:
        """States of links, between the deliveries before and after it."""
        ...

    def gap(self, gap: Gap) -> None:
        """Indications that cannot be had any more."""
        ...


class PublisherPort(Protocol):
    """Where what the bus wants of a publisher goes; must not raise and must not wait."""

    def act(self, action: Action) -> None:
        """A confirmed type 3 request to follow."""
        ...

    def raw_wanted(self, link: str, *, on: bool) -> None:
        """Somebody new wants the link's raw messages, RawState first; or nobody does any more."""
        ...

    def levels_wanted(self, wanted: LevelsWanted) -> None:
        """Which levels of a link registrations ask for has changed."""
        ...


@define
class Counters:
    """What the bus has counted since it began."""

    published: int = 0
    delivered: int = 0
    dropped: int = 0  # deliveries that a session's bounded queue could not keep
    gaps: int = 0
    repaired: int = 0
    requests: int = 0
    refused: int = 0  # requests and publications without right or not valid
    malformed: int = 0
    unknown_version: int = 0
    turned_away: int = 0  # connections to an endpoint that has as many as it may
    unlisted_keys: int = 0  # connections over tcp with a CURVE key that is not on the allow-list
    handshakes: int = 0  # connections that came to nothing: no CURVE, a wrong server key, no ZeroMQ, no word


class Session:
    """One consumer on the bus; made by BusCore.open_session. near: in this process, without a socket."""

    def __init__(self, name: str, protocol: str, who: Who, sink: Sink, *, near: bool = False) -> None:
        self.name = name
        self.near = near
        self.protocol = protocol
        self.who = who
        self.sink = sink
        self.closed = False
        self.registrations: dict[tuple[str, str], Registration] = {}

    def last(self) -> dict[int, int]:
        """Registration -> last sequence number given."""
        return {r.id: r.sequence for r in self.registrations.values()}

    def by_number(self, number: int) -> Registration | None:
        """The registration of that number."""
        return next((r for r in self.registrations.values() if r.id == number), None)


class Publisher:
    """One driver on the bus; made by BusCore.open_publisher."""

    def __init__(self, name: str, epoch: int, port: PublisherPort) -> None:
        self.name = name
        self.epoch = epoch
        self.port = port
        self.closed = False
        self.sequence: int | None = None  # last one seen
        self.links: set[str] = set()
        self.levels: dict[str, LevelsWanted] = {}  # link -> as told last
        self._said: tuple[Header, int] | None = None

    def heard(self, header: Header, mono_ns: int) -> None:
        """A header came when our clock was at mono_ns."""
        self._said = header, mono_ns

    def at(self, mono_ns: int, wall_ns: int) -> tuple[int, int]:
        """Our mono_ns and wall_ns on the publisher's own clock: in a replay or on TCP it is another one."""
        if self._said is None:
            return mono_ns, wall_ns
        header, heard_ns = self._said
        passed_ns = mono_ns - heard_ns
        return header.mono_ns + passed_ns, header.wall_ns + passed_ns


def check_name(name: str) -> None:
    """MalformedMessage unless `name` can name a party or a link."""
    if 0 < len(name) <= MAX_NAME and name.isascii() and name.isprintable() and not set(name) & set(":* "):
        return
    raise MalformedMessage(
        f"{name[:MAX_NAME]!r} is no name: 1 to {MAX_NAME} printable characters, no ':', '*' or ' '"
    )
