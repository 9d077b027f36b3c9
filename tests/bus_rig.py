"""Doubles and helpers for tests of the bus."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import zmq
from attrs import define, evolve, field

from lies.bus import BusCore, BusServer, Client, Gap, LinkState, LocalClient, Rights, Snapshot
from lies.bus.core import Event, Publisher, Registration, Session
from lies.bus.frames import Received, bus_frames, decode
from lies.bus.messages import NO_CONDITION, Action, LevelsWanted
from lies.errors import LinkErrorReason
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
    Quality,
    Result,
    Sample,
    Technology,
)

WLAN = Link("wlan0", Technology.WIFI)
LTE = Link("wwan0", Technology.LTE)
DEADLINE_S = 20.0


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine test on a loop of its own, with a deadline and without a word from asyncio."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        problems: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
            async with asyncio.timeout(DEADLINE_S):
                await test(*args, **kwargs)

        asyncio.run(main())
        assert not problems

    return run


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds; the test's deadline ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - most conditions here have nobody to tell of them
        await asyncio.sleep(0.001)


def poas(**levels: Quality) -> tuple[PoACondition, ...]:
    """A PoA list from levels by name."""
    return tuple(PoACondition(name, Condition(level)) for name, level in levels.items())


@define
class Heard:
    """What a sink or client got, in order: ("event", registration, sequence, message) and the like."""

    log: list[tuple[Any, ...]] = field(factory=list)

    def of(self, kind: str) -> list[Any]:
        """The last element of every entry of a kind."""
        return [entry[-1] for entry in self.log if entry[0] == kind]

    @property
    def events(self) -> list[Any]:
        """The messages delivered."""
        return self.of("event")

    @property
    def confirms(self) -> list[Any]:
        """The confirms."""
        return self.of("confirm")

    @property
    def snapshots(self) -> list[Snapshot]:
        """The snapshots."""
        return self.of("snapshot")

    @property
    def gaps(self) -> list[Gap]:
        """The gaps."""
        return self.of("gap")

    # lies.bus.core.Sink
    def confirm(self, confirm: Any) -> None:
        """Note a confirm."""
        self.log.append(("confirm", confirm))

    def deliver(self, registration: Registration, sequence: int, event: Event) -> None:
        """Note a delivery."""
        self.log.append(("event", registration.id, sequence, event.message))

    def snapshot(self, snapshot: Snapshot) -> None:
        """Note a snapshot."""
        self.log.append(("snapshot", snapshot))

    def gap(self, gap: Gap) -> None:
        """Note a gap."""
        self.log.append(("gap", gap))


def join(core: BusCore, name: str = "mn", uid: int = 0) -> tuple[Session, Heard]:
    """A consumer and what it hears."""
    heard = Heard()
    return core.open_session(name, "ipv6", uid, heard), heard


def reason_of(confirm: Any) -> LinkErrorReason:
    """The code in the reason of a Confirm(Error)."""
    assert confirm.result is Result.ERROR
    return LinkErrorReason(confirm.reason.split(": ")[0])


@define
class Port:
    """A publisher's port that notes what is wanted; `also` is called with each action."""

    actions: list[Action] = field(factory=list)
    raw: list[tuple[str, bool]] = field(factory=list)
    levels: list[LevelsWanted] = field(factory=list)
    also: Callable[[Action], None] | None = None

    def act(self, action: Action) -> None:
        """Note an action."""
        self.actions.append(action)
        if self.also is not None:
            self.also(action)

    def raw_wanted(self, link: str, *, on: bool) -> None:
        """Note a wish."""
        self.raw.append((link, on))

    def levels_wanted(self, wanted: LevelsWanted) -> None:
        """Note it."""
        self.levels.append(wanted)


class Driver:
    """A publisher of one link on a core, with the indications as methods."""

    def __init__(
        self,
        core: BusCore,
        name: str = "sim",
        link: Link = WLAN,
        *,
        controllable: bool = True,
        epoch: int = 1,
    ) -> None:
        self.core = core
        self.name = name
        self.epoch = epoch
        self.link = link
        self.port = Port()
        self.sequence = 0
        self.t_ns = 1_000
        self.publisher: Publisher = core.open_publisher(name, epoch, 0, self.port)
        self.state = LinkState(link, name, controllable=controllable)
        core.announce(self.publisher, self.header(), self.state)

    def header(self) -> Header:
        """A header with the number last used."""
        return Header(self.name, self.epoch, self.sequence, self.t_ns, self.t_ns + 7, self.link)

    def stamp(self) -> Header:
        """The next header."""
        self.sequence += 1
        self.t_ns += 1_000
        return self.header()

    def publish(self, *messages: Any, state: LinkState | None = None) -> None:
        """Publish messages as one item."""
        events = tuple(Event(m) for m in messages)
        header = messages[-1].header if messages else self.header()
        self.core.publish(self.publisher, header, events, state)
        self.state = self.core.links[self.link.name]

    def up(self, poa: str = "ap1") -> None:
        """LinkUp."""
        self.publish(LinkUp(self.stamp(), poa))

    def down(self, reason: Any = "signal_lost") -> None:
        """LinkDown."""
        self.publish(LinkDown(self.stamp(), self.state.poa or "ap1", reason))

    def level(self, quality: Quality) -> None:
        """LinkStatusChanged from the level before."""
        before = self.state.condition
        self.publish(
            LinkStatusChanged(self.stamp(), self.state.poa or "ap1", Condition(quality, 5.0), before)
        )

    def going_down(self, confidence: float = 0.8) -> None:
        """LinkGoingDown."""
        poa = self.state.poa or "ap1"
        self.publish(LinkGoingDown(self.stamp(), poa, 900.0, confidence, DownReason.FADING))

    def cancelled(self) -> None:
        """LinkGoingDownCancelled."""
        self.publish(LinkGoingDownCancelled(self.stamp(), self.state.poa or "ap1"))

    def found(self, **levels: Quality) -> None:
        """PoAFound."""
        self.publish(PoAFound(self.stamp(), poas(**levels)))

    def lost(self, **levels: Quality) -> None:
        """PoALost."""
        self.publish(PoALost(self.stamp(), poas(**levels)))

    def hear(self, **levels: Quality) -> None:
        """A new state with these PoAs and no indication."""
        self.t_ns += 1_000
        self.publish(state=evolve(self.state, poas=poas(**levels)))

    def close(self) -> None:
        """Go away."""
        self.core.close_publisher(self.publisher, mono_ns=self.t_ns + 5, wall_ns=self.t_ns + 12)


@define
class FakeStatus:
    """A status of an abstract entity."""

    up: bool = False
    poa: str | None = None
    condition: Condition = NO_CONDITION
    poas: tuple[PoACondition, ...] = ()
    going_down: LinkGoingDown | None = None


class FakeEntity:
    """An abstract entity for tests: a Sample is `burst` LinkUps, Attached one, Detached a LinkDown."""

    def __init__(self, link: Link, stamp: Callable[[int], Header], burst: int = 1) -> None:
        self.link = link
        self.status = FakeStatus()
        self.fed: list[Any] = []
        self._stamp = stamp
        self._burst = burst

    def feed(self, item: Any) -> list[Any]:
        """Indications of an item."""
        self.fed.append(item)
        if isinstance(item, Sample):
            return [LinkUp(self._stamp(item.t_ns), item.poa or "ap1") for _ in range(self._burst)]
        if hasattr(item, "reason"):
            self.status = FakeStatus()
            return [LinkDown(self._stamp(item.t_ns), item.poa, item.reason)]
        self.status = FakeStatus(up=True, poa=item.poa, condition=Condition(Quality.GOOD, 10.0))
        return [LinkUp(self._stamp(item.t_ns), item.poa)]

    def export(self) -> bytes:
        """How many items were fed."""
        return b"%d" % len(self.fed)

    def restore(self, state: bytes) -> None:
        """Up at the PoA named so."""
        self.status = FakeStatus(up=True, poa=state.decode())


@asynccontextmanager
async def daemon(directory: Path, *, rights: Rights | None = None, epoch: int = 1, **options: Any) -> Any:
    """A served core with the driver `sim` and its link wlan0; options go to the BusServer."""
    core = BusCore(epoch=epoch, rights=rights or Rights())
    options.setdefault("heartbeat_s", 0.02)
    server = BusServer(core, directory, **options)
    async with server:
        yield Daemon(core, server)


class Daemon:
    """The parts of a running daemon."""

    def __init__(self, core: BusCore, server: BusServer) -> None:
        self.core = core
        self.server = server
        self.driver = Driver(core)

    @property
    def directory(self) -> Path:
        """The runtime directory."""
        return self.server.directory


def hear(client: Client | LocalClient) -> Heard:
    """What a client's callbacks are called with."""
    heard = Heard()
    client.on_event(lambda message: heard.log.append(("event", message)))
    client.on_gap(heard.gap)
    client.on_snapshot(heard.snapshot)
    return heard


class Dealer:
    """A peer without manners: a bare DEALER socket on an endpoint."""

    def __init__(
        self, directory: Path, name: str = "bus", *, receive_limit: int = 1000, **options: Any
    ) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDTIMEO, round(DEADLINE_S * 1000))  # a refused peer has nobody to send to
        self.socket.setsockopt(zmq.RCVHWM, receive_limit)
        for option, value in options.items():
            self.socket.setsockopt(getattr(zmq, option), value)
        self.socket.connect(f"ipc://{directory / name}")

    def send(self, *frames: bytes) -> None:
        """Send frames."""
        self.socket.send_multipart(frames)

    def say(self, message: object) -> None:
        """Send a message of the bus."""
        self.send(*bus_frames(message))

    async def receive(self) -> Received:
        """The next message, decoded."""
        await until(self.readable)
        return decode(self.socket.recv_multipart())

    def readable(self) -> bool:
        """Whether a message waits."""
        return bool(int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    async def until_received(self, kind: type[Any]) -> Any:
        """The next message of a class; others before it are passed over."""
        while True:
            received = await self.receive()
            if isinstance(received.message, kind):
                return received.message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
