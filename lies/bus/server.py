"""The daemon's side of the bus: two ipc endpoints in the runtime directory, and two on TCP where wanted."""

import asyncio
from pathlib import Path
from typing import Self

import zmq
from attrs import evolve

from lies.bus._directory import BUS, PUBLISH, RuntimeDirectory, endpoint
from lies.bus._door import CONNECTIONS, allowed_connections
from lies.bus._endpoint import Endpoint, Limits, Peer
from lies.bus._outbox import LIMIT, Outbox
from lies.bus._tcp import TcpEndpoints, TcpGate, bind_tcp
from lies.bus._transport import Transport
from lies.bus.core import BusCore, Event, Publisher, Registration, Session
from lies.bus.frames import Received, bus_frames, delivery_frames, event_tag, primitive_frames
from lies.bus.messages import (
    Action,
    Gap,
    Hello,
    LevelsWanted,
    LinkState,
    PluginsRequest,
    Publish,
    PublishLink,
    RawWanted,
    Refusal,
    Refused,
    RemoveLink,
    Repair,
    Snapshot,
    SnapshotRequest,
)
from lies.bus.rights import Who
from lies.errors import ConfigError, LinkError, MalformedMessage, NotPermitted
from lies.events import Confirm, Header, PrimitiveClass
from lies.runtime import monotonic_ns, now_s, wall_ns

HEARTBEAT_S = 0.25  # a lost tail is noticed within one interval; DESIGN asks for 1 s


class _Consumer(Peer):
    """A session's sink: messages become frames, the body encoded once for all sessions."""

    session: Session

    def __init__(self, routing_id: bytes, hello: Hello, outbox: Outbox) -> None:
        super().__init__(routing_id, hello.name, outbox)
        self._protocol = hello.protocol
        self._tags: dict[str, bytes] = {}

    def confirm(self, confirm: Confirm) -> None:
        """The answer to a request."""
        self.outbox.control(primitive_frames(confirm, layer="L3", protocol=self._protocol))

    def deliver(self, registration: Registration, sequence: int, event: Event) -> None:
        """An indication for one registration."""
        tag = self._tags.get(event.name)
        if tag is None:
            tag = self._tags[event.name] = event_tag(event.name, layer="L3", protocol=self._protocol)
        self.outbox.deliver(
            delivery_frames(tag, event, registration.id, sequence),
            registration,
            sequence,
            event.message.header.publisher,
        )

    def snapshot(self, snapshot: Snapshot) -> None:
        """States of links."""
        self.outbox.control(bus_frames(snapshot))

    def gap(self, gap: Gap) -> None:
        """Indications that cannot be had any more."""
        self.outbox.control(bus_frames(gap))


class _Consumers(Endpoint[_Consumer]):
    """The endpoint `bus`."""

    def greet(self, routing_id: bytes, hello: Hello, who: Who) -> _Consumer:
        peer = _Consumer(routing_id, hello, self.outbox(routing_id, hello))
        peer.session = self.core.open_session(hello.name, hello.protocol, who, peer)
        return peer

    def last(self, peer: _Consumer) -> dict[int, int]:
        return peer.session.last()

    def forget(self, peer: _Consumer, reason: str) -> None:
        del reason
        self._count(peer)
        self.core.close_session(peer.session)

    def tick(self) -> None:
        super().tick()
        for peer in self.peers.values():
            self._count(peer)

    def _count(self, peer: _Consumer) -> None:
        counters, outbox = self.core.counters, peer.outbox
        counters.dropped += outbox.dropped
        counters.gaps += outbox.gaps
        outbox.dropped = outbox.gaps = 0

    def take(self, peer: _Consumer, received: Received) -> None:
        message, core = received.message, self.core
        match received.tag.layer, received.tag.cls:
            case "BUS", _:
                self._take_bus(peer, message)
            case "L2", PrimitiveClass.REQUEST:
                core.request(peer.session, message)
            case "L2", PrimitiveClass.RESPONSE:
                pass  # optional in RFC 5184 section 3; heartbeats already say what was received
            case "L3", PrimitiveClass.INDICATION if received.place is None:
                core.report(peer.session, message)
            case layer, cls:
                raise MalformedMessage(
                    f"a consumer sent {cls.value} {received.tag.name} to layer {layer[:8]!r}"
                )

    def _take_bus(self, peer: _Consumer, message: object) -> None:
        match message:
            case SnapshotRequest(request_id=request_id, link=link):
                states = self.core.request_snapshot(peer.session, link)
                peer.snapshot(Snapshot(states.links, request_id=request_id))
            case PluginsRequest():
                peer.outbox.control(bus_frames(self.core.request_plugins(peer.session, message)))
            case Repair():
                self.core.repair(peer.session, message)
            case _:
                raise MalformedMessage(f"a consumer sent {type(message).__name__}")


class _Driver(Peer):
    """The port of a publisher in another process."""

    publisher: Publisher

    def act(self, action: Action) -> None:
        """A confirmed type 3 request to follow."""
        self.outbox.control(bus_frames(action))

    def raw_wanted(self, link: str, *, on: bool) -> None:
        """Somebody new wants the link's raw messages, or nobody does any more."""
        self.outbox.control(bus_frames(RawWanted(link, on)))

    def levels_wanted(self, wanted: LevelsWanted) -> None:
        """Which levels of a link registrations ask for has changed."""
        self.outbox.control(bus_frames(wanted))


class _Drivers(Endpoint[_Driver]):
    """The endpoint `publish`."""

    def greet(self, routing_id: bytes, hello: Hello, who: Who) -> _Driver:
        self.send_off(hello.name)
        peer = _Driver(routing_id, hello.name, self.outbox(routing_id, hello))
        peer.publisher = self.core.open_publisher(hello.name, hello.epoch, who, peer)
        return peer

    def last(self, peer: _Driver) -> dict[int, int]:
        return {0: peer.publisher.sequence or 0}

    def forget(self, peer: _Driver, reason: str) -> None:
        del reason
        self.core.close_publisher(peer.publisher, mono_ns=monotonic_ns(), wall_ns=wall_ns())

    def take(self, peer: _Driver, received: Received) -> None:
        message, core, publisher = received.message, self.core, peer.publisher
        match message:
            case PublishLink(header=header, state=state):
                self._announce(peer, header, state)
            case RemoveLink(link=link):
                core.remove_link(publisher, link)
                return
            case Publish(header=header, state=state):
                core.publish(publisher, header, received.events, state)
            case _ if received.tag.cls is PrimitiveClass.INDICATION and received.tag.layer != "BUS":
                header = message.header
                core.publish(publisher, header, (Event(message, received.body),))
            case _:
                raise MalformedMessage(f"a driver sent {received.tag.cls.value} {received.tag.name}")
        publisher.heard(header, monotonic_ns())

    def _announce(self, peer: _Driver, header: Header, state: LinkState) -> None:
        try:
            self.core.announce(peer.publisher, header, state)
        except LinkError as error:
            self._note(error)
            peer.outbox.control(bus_frames(Refused(Refusal.INVALID, str(error), link=state.link.name)))


class BusServer:
    """The bus on ROUTER sockets: `bus` for consumers, `publish` for drivers in other processes.

    directory: the runtime directory, made with mode 0750, sockets 0660; uid: user that owns it, gid: group
    that may use it; tcp: the same for other hosts, for whose keys the core's rights list;
    heartbeat_s: how often the last sequence numbers are repeated; consumer_timeout_s: how long a consumer
    may be silent (stopped, swapped out) before its session is forgotten; driver_timeout_s: how long a
    driver may be, before its links are Down; queue_limit, send_limit: messages that wait for one consumer
    here, and in its ZeroMQ queue; connections: how many an endpoint has at most, fewer
    where the process may not have as many descriptors.
    """

    def __init__(
        self,
        core: BusCore,
        directory: Path,
        *,
        uid: int | None = None,
        gid: int | None = None,
        tcp: TcpEndpoints | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        consumer_timeout_s: float = 30.0,
        driver_timeout_s: float = 3.0,
        queue_limit: int = LIMIT,
        send_limit: int = 1000,
        connections: int = CONNECTIONS,
    ) -> None:
        self.core = core
        self.directory = directory
        self._runtime = RuntimeDirectory(directory, uid=uid, gid=gid)
        self._tcp = None if tcp is None else TcpGate(tcp, core)
        self._heartbeat_s = heartbeat_s
        self._consumer_timeout_s = consumer_timeout_s
        self._driver_timeout_s = driver_timeout_s
        self._limits = Limits(heartbeat_s, queue_limit, send_limit, connections)
        self._consumers: list[_Consumers] = []
        self._drivers: list[_Drivers] = []
        self.addresses: dict[str, str] = {}  # of TCP, once it is open: "bus", "publish" -> address
        self.beat_s = 0.0  # when all endpoints were last seen to, on the clock of lies.runtime
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Open the endpoints; EndpointInUse, NotPermitted, ConfigError if they cannot be had."""
        self._runtime.take()
        endpoints = 2 if self._tcp is None else 4
        self._limits = evolve(
            self._limits, connections=allowed_connections(self._limits.connections, endpoints)
        )
        try:
            self._open()
        except BaseException:
            await self.stop()
            raise
        self._tick()

    async def stop(self) -> None:
        """Tell all peers, close the sockets, remove their files; safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for one in self._endpoints:
            one.close()
        self._consumers.clear()
        self._drivers.clear()
        self.addresses.clear()
        self._runtime.release()
        if self._tcp is not None:
            await self._tcp.close()

    def recheck(self) -> None:
        """After the core's rights have changed: let go who has lost one; all others notice nothing."""
        for one in self._endpoints:
            one.recheck()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def consumers(self) -> int:
        """How many consumers are there."""
        return sum(len(one.peers) for one in self._consumers)

    @property
    def drivers(self) -> int:
        """How many drivers in other processes are there."""
        return sum(len(one.peers) for one in self._drivers)

    def waiting(self) -> dict[str, int]:
        """Name of each consumer on a socket -> messages that wait for it here; those of one name together."""
        found: dict[str, int] = {}
        for one in self._consumers:
            for peer in one.peers.values():
                found[peer.name] = found.get(peer.name, 0) + len(peer.outbox)
        return found

    @property
    def _endpoints(self) -> tuple[Endpoint[_Consumer] | Endpoint[_Driver], ...]:
        return (*self._consumers, *self._drivers)

    def _open(self) -> None:
        try:
            for name in (BUS, PUBLISH):
                with self._runtime.admitting(name):
                    self._add(name, None).bind(endpoint(self.directory, name))
        except OSError as error:  # zmq.ZMQError is none
            raise NotPermitted(
                f"sockets in {self.directory} cannot be given away: {error.strerror}"
            ) from error
        except zmq.ZMQError as error:
            raise ConfigError(f"no socket in {self.directory}: {error.strerror}") from error
        if self._tcp is not None:
            transport = self._tcp.open()
            for name, wanted in self._tcp.wanted():
                self.addresses[name] = bind_tcp(self._add(name, transport), wanted)

    def _add(self, name: str, transport: Transport | None) -> Endpoint[_Consumer] | Endpoint[_Driver]:
        """A new endpoint for consumers or for drivers, not yet bound."""
        if name == BUS:
            consumers = _Consumers(self.core, self._limits, self._consumer_timeout_s, transport)
            self._consumers.append(consumers)
            return consumers
        drivers = _Drivers(self.core, self._limits, self._driver_timeout_s, transport)
        self._drivers.append(drivers)
        return drivers

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._heartbeat_s, self._tick)
        for one in self._endpoints:
            one.tick()
        self.beat_s = now_s()
