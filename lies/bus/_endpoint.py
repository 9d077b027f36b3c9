"""What both endpoints of the daemon do: greet, decode, count what is malformed, notice who is gone."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import zmq
from attrs import frozen

from lies.bus._door import COMING_AND_GOING, Door
from lies.bus._outbox import Outbox
from lies.bus._socket import BusSocket, Sent
from lies.bus._transport import Transport
from lies.bus.core import BusCore
from lies.bus.frames import Received, UnknownVersion, bus_frames, decode, request_id_in
from lies.bus.messages import Goodbye, Heartbeat, Hello, Refusal, Refused, Welcome
from lies.bus.rights import Right, Who
from lies.errors import LiesError, MalformedMessage, NotPermitted, ProtocolViolation
from lies.runtime import now_s

_log = logging.getLogger("lies.bus")
_CAUSES_KEPT = 100
_PARTICULARS = re.compile(r"""[0-9]+|b?'[^']*'|b?"[^"]*"|: .*""")
_FAILED_HANDSHAKES = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
_CAUSES = {
    int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): "it was made for another server's key",
    int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): "CURVE was not spoken",
}
_OWN_ROUTING_ID = 5  # octets, the first zero: given by libzmq, never chosen by the peer


class Peer:
    """Somebody who said Hello on an endpoint."""

    def __init__(self, routing_id: bytes, name: str, outbox: Outbox) -> None:
        self.routing_id = routing_id
        self.name = name
        self.outbox = outbox
        self.heard_s = now_s()
        self.gone = False
        self.who: Who = None  # both from its Hello
        self.rights: frozenset[Right] = frozenset()


PeerT = TypeVar("PeerT", bound=Peer)


@frozen
class Limits:
    """What holds for every endpoint of a bus.

    heartbeat_s: told to peers in Welcome; queue_limit: messages that wait for one peer beyond what its
    socket takes (send_limit); connections: how many an endpoint has at most.
    """

    heartbeat_s: float
    queue_limit: int
    send_limit: int
    connections: int


class Endpoint(ABC, Generic[PeerT]):
    """A ROUTER socket and its peers; every message is one call, none of them waits or raises.

    timeout_s: a peer silent for longer is forgotten; transport: of the socket, None for this machine's.
    """

    def __init__(
        self, core: BusCore, limits: Limits, timeout_s: float, transport: Transport | None = None
    ) -> None:
        self.core = core
        self.peers: dict[bytes, PeerT] = {}
        self._heartbeat_ms = round(limits.heartbeat_s * 1000)
        self._timeout_s = timeout_s
        self._heartbeat_s = limits.heartbeat_s
        self._ticked_s = now_s()
        self._queue_limit = limits.queue_limit
        self._causes: set[str] = set()
        self._leaving: list[tuple[PeerT, str]] = []
        self._bursts: list[Outbox] = []
        self._socket = BusSocket(
            zmq.ROUTER,
            self._receive,
            writable=self._writable,
            settle=self._settle,
            known=self.peers.__contains__,
            send_limit=limits.send_limit,
            transport=transport,
        )
        self._local = transport is None
        self._connections = limits.connections
        self._door: Door | None = None
        self._socket.watch(_FAILED_HANDSHAKES | COMING_AND_GOING, self._told)

    # ---- what the two endpoints do differently

    @abstractmethod
    def greet(self, routing_id: bytes, hello: Hello, who: Who) -> PeerT:
        """A new peer; LiesError if it is not let in."""

    @abstractmethod
    def take(self, peer: PeerT, received: Received) -> None:
        """A message of a peer other than Hello, Heartbeat, Goodbye; LiesError if it is refused."""

    @abstractmethod
    def last(self, peer: PeerT) -> dict[int, int]:
        """What the heartbeat says: registration -> last sequence."""

    @abstractmethod
    def forget(self, peer: PeerT, reason: str) -> None:
        """The peer is gone; clear what it had in the core."""

    # ---- life

    def bind(self, address: str) -> str:
        """Bind the socket and return where; zmq.ZMQError if it cannot be had."""
        bound = self._socket.bind(address)
        self._door = Door(bound, self._connections)
        return bound

    def close(self) -> None:
        """Say Goodbye to all and close."""
        self._settle()
        for peer in self.peers.values():
            self._socket.send([peer.routing_id, *bus_frames(Goodbye("the daemon ends"))])
        for peer in tuple(self.peers.values()):
            self.drop(peer, "the daemon ends")
        self._sweep()
        self._socket.close(flush=True)

    def tick(self) -> None:
        """Heartbeats, and farewell to who was silent for too long."""
        self._settle()
        now = now_s()
        asleep_s = max(0.0, now - self._ticked_s - self._heartbeat_s)  # stopped or busy, it heard nobody
        self._ticked_s = now
        for peer in tuple(self.peers.values()):
            peer.heard_s += asleep_s
            if now - peer.heard_s > self._timeout_s:
                self.say(peer.routing_id, Goodbye("nothing was heard from this peer"))
                self.drop(peer, f"silent for {self._timeout_s:g} s")
            elif peer.outbox.idle:
                peer.outbox.control(bus_frames(Heartbeat(self.core.epoch, self.last(peer))))
            else:
                peer.outbox.flush()
        self._sweep()

    def recheck(self) -> None:
        """Let go who has lost a right since its Hello; it says Hello again and learns what is left."""
        for peer in tuple(self.peers.values()):
            if peer.rights - self.core.rights.of(peer.who):
                self.say(peer.routing_id, Goodbye("rights were withdrawn"))
                self.drop(peer, "rights were withdrawn")
        self._sweep()

    def outbox(self, routing_id: bytes, hello: Hello) -> Outbox:
        """An outbox to one peer."""
        later = self._bursts.append if hello.batches else None
        return Outbox(self._sender(routing_id), self.core.snapshot, limit=self._queue_limit, later=later)

    def drop(self, peer: PeerT, reason: str) -> None:
        """Forget a peer as soon as what is going on is done."""
        if not peer.gone:
            peer.gone = True
            self.peers.pop(peer.routing_id, None)
            self._leaving.append((peer, reason))

    def send_off(self, name: str) -> None:
        """If a peer of this name has disconnected, notice it now."""
        for peer in tuple(self.peers.values()):
            if peer.name == name and peer.outbox.idle:
                peer.outbox.control(bus_frames(Heartbeat(self.core.epoch, self.last(peer))))
        self._sweep()

    def say(self, routing_id: bytes, message: object) -> None:
        """Say something to who may not be a peer; lost if it cannot be taken now."""
        self._socket.send([routing_id, *bus_frames(message)])

    def refuse(self, routing_id: bytes, error: LiesError, request_id: int | None) -> None:
        """Say why a message is not followed."""
        if isinstance(error, UnknownVersion):
            code = Refusal.UNKNOWN_VERSION
        elif isinstance(error, NotPermitted):
            code = Refusal.NOT_PERMITTED
        elif isinstance(error, MalformedMessage):
            code = Refusal.MALFORMED
        else:
            code = Refusal.INVALID
        self.say(routing_id, Refused(code, str(error), request_id))

    # ---- the socket

    def _told(self, event: int, value: int) -> None:
        """Connections come and go."""
        if event & _FAILED_HANDSHAKES:
            if not self._local:  # a local client knocks before it speaks: not worth a count
                self._no_handshake(value)
        elif self._door is not None and self._door.told(event, value):
            self.core.counters.turned_away += 1

    def _no_handshake(self, value: int) -> None:
        """Somebody connected and left, spoke no CURVE, or took us for another server."""
        self.core.counters.handshakes += 1
        cause = f"a handshake failed: {_CAUSES.get(value, 'it was broken off, or no ZeroMQ was spoken')}"
        if cause not in self._causes:
            self._causes.add(cause)
            _log.warning("%s (further ones of this cause are only counted)", cause)

    def _sender(self, routing_id: bytes) -> Callable[[list[bytes]], bool]:
        send = self._socket.send

        def deliver(frames: list[bytes]) -> bool:
            sent = send((routing_id, *frames))
            if sent is Sent.GONE:
                peer = self.peers.get(routing_id)
                if peer is not None:
                    self.drop(peer, "disconnected")
            return sent is not Sent.FULL

        return deliver

    def _writable(self) -> None:
        for peer in tuple(self.peers.values()):
            if not peer.outbox.idle:
                peer.outbox.flush()
        self._sweep()

    def _settle(self) -> None:
        """What was sent in one go is over."""
        bursts, self._bursts[:] = tuple(self._bursts), ()
        for outbox in bursts:
            outbox.settle()
        self._sweep()

    def _receive(self, routing_id: bytes, frames: list[bytes], who: Who) -> None:
        peer = self.peers.get(routing_id)
        try:
            if len(routing_id) != _OWN_ROUTING_ID or routing_id[0]:
                raise MalformedMessage("a routing id of the peer's own choice")
            received = decode(frames)
            if isinstance(received.message, Hello):
                self._hello(routing_id, received.message, who, peer)
            elif peer is None:
                self._stranger(routing_id, received)
            else:
                peer.heard_s = now_s()
                self._known(peer, received)
        except LiesError as error:
            self._note(error)
            if peer is not None or isinstance(error, UnknownVersion | NotPermitted | ProtocolViolation):
                self.refuse(routing_id, error, request_id_in(frames))
        if peer is not None and peer.outbox.stuck:
            self.drop(peer, "asks and does not listen")
        self._sweep()

    def _hello(self, routing_id: bytes, hello: Hello, who: Who, peer: PeerT | None) -> None:
        if peer is None:
            peer = self.peers[routing_id] = self.greet(routing_id, hello, who)
            peer.who, peer.rights = who, self.core.rights.of(who)
            _log.debug("%s came", peer.name, extra={"peer": peer.name, "who": who})
        elif peer.name != hello.name:
            raise MalformedMessage("a second Hello of another name")
        peer.outbox.control(bus_frames(Welcome(self.core.epoch, self._heartbeat_ms)))

    def _stranger(self, routing_id: bytes, received: Received) -> None:
        if not isinstance(received.message, Goodbye):
            self.say(routing_id, Refused(Refusal.UNKNOWN_SESSION, "it does not know this session"))

    def _known(self, peer: PeerT, received: Received) -> None:
        match received.message:
            case Heartbeat():
                if not peer.outbox.idle:
                    peer.outbox.flush()
            case Goodbye():
                self.drop(peer, "said goodbye")
            case _:
                self.take(peer, received)

    def _sweep(self) -> None:
        while self._leaving:
            peer, reason = self._leaving.pop()
            _log.debug("%s left", peer.name, extra={"peer": peer.name, "reason": reason})
            self.forget(peer, reason)

    def _note(self, error: LiesError) -> None:
        """Count a message that is not followed; log it the first time its cause is met."""
        if isinstance(error, UnknownVersion):
            self.core.counters.unknown_version += 1
        elif isinstance(error, MalformedMessage):
            self.core.counters.malformed += 1
        text = "".join(c if c.isprintable() else "?" for c in str(error))[:200]
        cause = _PARTICULARS.sub("#", text)
        if cause not in self._causes and len(self._causes) < _CAUSES_KEPT:
            self._causes.add(cause)
            _log.warning("a message was dropped: %s (further ones of this cause are only counted)", text)
