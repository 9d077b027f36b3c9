"""What a consumer knows of its session with the daemon; the same for the asyncio and the blocking client."""

import logging
from abc import ABC, abstractmethod
from itertools import count
from typing import Any, Protocol

from attrs import evolve

from lies.bus._order import Order
from lies.bus._registration import EVERY_LINK, PRIMITIVE_OF_REQUEST
from lies.bus.frames import Received, bus_frames, primitive_frames
from lies.bus.messages import (
    Gap,
    Heartbeat,
    Hello,
    LinkState,
    Plugins,
    PluginsRequest,
    Refusal,
    Refused,
    Repair,
    Snapshot,
    SnapshotRequest,
    Welcome,
)
from lies.errors import LiesError, LinkError, LinkErrorReason, NotPermitted, TimedOut
from lies.events import PrimitiveClass, Result

_log = logging.getLogger("lies.bus")


class Answer(Protocol):
    """Where the answer to a request goes: an asyncio future, or what a blocking call looks at."""

    def done(self) -> bool:
        """It has come, or nobody waits any more."""
        ...

    def set_result(self, result: Any, /) -> None:  # noqa: ANN401 - any confirm, or a Snapshot
        """It has come."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """It will not come."""
        ...


class _Unheeded:
    """The answer to a registration that is made again: nobody waits for it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def done(self) -> bool:
        return False

    def set_result(self, result: object, /) -> None:
        """The registration is there again; its Confirm was followed when it came."""

    def set_exception(self, exception: Exception, /) -> None:
        _log.debug("a registration of %s was not made again: %s", self._name, exception)


class _Enabled:
    """One registration as the consumer sees it; the daemon's number for it changes with each session."""

    def __init__(self, handle: int, request: Any) -> None:  # noqa: ANN401 - a registration request
        self.handle = handle
        self.primitive = PRIMITIVE_OF_REQUEST[type(request)]
        self.request = request
        self.remote: int | None = None  # None: the daemon has not confirmed it in this session
        self.order: Order[Any] = Order()

    @property
    def link(self) -> str:
        """The link, or "*"."""
        link: str = self.request.link
        return link

    def gap(self, first: int, last: int | None, publisher: str | None = None) -> Gap:
        """A Gap in the consumer's own numbers."""
        return Gap(self.handle, self.primitive, self.link, publisher, first, last)


class _Pending:
    """A request that waits for its answer."""

    def __init__(self, request: Any, answer: Answer) -> None:  # noqa: ANN401 - any request
        self.request = request
        self.answer = answer
        self.confirm: Any = None  # of a registration, until its Snapshot has come as well


class ConsumerSession(ABC):
    """Requests that wait, registrations with their order, and what a message of the daemon means for them.

    Driven by messages of the daemon (`received`), requests (`_sent`), and the connection's coming, going and
    ticking. What is heard goes to the `_hear_*` methods of the client, which lies.bus._verbs names.
    """

    name: str
    _known: dict[str, LinkState]
    _request_ids: "count[int]"
    _enabled: dict[int, Any]

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._handles = count(1)
        self._registered: dict[tuple[str, str], _Enabled] = {}  # by primitive and link
        self._by_remote: dict[int, _Enabled] = {}
        self._pending: dict[int, _Pending] = {}
        self._registering: _Pending | None = None  # confirmed; its Snapshot comes next

    # ---- what the client adds

    @property
    @abstractmethod
    def _closed(self) -> bool:
        """The client was closed: nothing more is handed out."""

    @abstractmethod
    def _send(self, frames: list[bytes]) -> bool:
        """Send, or keep while the daemon cannot take it; False if it is dropped."""

    @abstractmethod
    def _hear_event(self, registration: int, sequence: int, message: Any) -> list[tuple[int, int, int]]:  # noqa: ANN401 - any indication
        """Hand an event out; what a full queue lost by it: (registration, first, last)."""

    @abstractmethod
    def _hear_gap(self, gap: Gap) -> None:
        """Hand a gap out."""

    @abstractmethod
    def _hear_snapshot(self, snapshot: Snapshot, *, all_links: bool) -> None:
        """Hand a snapshot out; all_links: links that are not in it are no more."""

    # ---- requests

    def _sent(self, request: Any, answer: Answer) -> None:  # noqa: ANN401 - any request
        """Send a request; its answer goes where `answer` says."""
        self._pending[request.request_id] = _Pending(request, answer)
        if isinstance(request, SnapshotRequest | PluginsRequest):
            self._send(bus_frames(request))
        else:
            self._send(primitive_frames(request, layer="L2", protocol=self._technology(request.link)))

    def _unwanted(self, request: Any) -> None:  # noqa: ANN401 - as above
        """Nobody took the answer, nor will: a registration that it begins, or began, is disabled again."""
        pending = self._pending.pop(request.request_id, None)
        if type(request) not in PRIMITIVE_OF_REQUEST or not request.enable:
            return
        key = _key(request)
        enabled = self._registered.get(key)
        if enabled is None:
            if pending is None:
                return  # never sent, or refused
        elif enabled.handle in self._enabled:
            return  # it was there before
        waiting = [*self._pending.values(), *([self._registering] if self._registering else [])]
        for other in waiting:
            asks = other.request
            if type(asks) is type(request) and _key(asks) == key and asks.request_id != request.request_id:
                return  # somebody else asks for the same
        if enabled is not None:
            del self._registered[key]
            if enabled.remote is not None:
                self._by_remote.pop(enabled.remote, None)
        withdrawn = evolve(request, request_id=next(self._request_ids), enable=False)
        self._send(primitive_frames(withdrawn, layer="L2", protocol="*"))

    def _technology(self, link: str) -> str:
        known = self._known.get(link)
        return "*" if known is None else known.link.technology.value

    def _fail_pending(self, why: str) -> None:
        self._end_registering()
        failed, self._pending = self._pending, {}
        for pending in failed.values():
            if not pending.answer.done():
                pending.answer.set_exception(TimedOut(why))

    def _enabled_as(self, request: Any, confirm: Any) -> int:  # noqa: ANN401 - a registration's request and confirm
        del confirm  # taken when it came in, before the first delivery
        handle = self._registered[_key(request)].handle
        self._enabled[handle] = request
        return handle

    # ---- answers

    def received(self, received: Received) -> None:
        """A message of the daemon."""
        message = received.message
        if received.place is not None:
            self._delivered(*received.place, message)
            return
        match message:
            case Heartbeat(last=last):
                self._compare(last)
            case Snapshot():
                self._take_snapshot(message)
            case Gap():
                self._take_gap(message)
            case Refused():
                self._take_refusal(message)
            case Plugins():
                self._take_plugins(message)
            case _ if received.tag.cls is PrimitiveClass.CONFIRM:
                self._take_confirm(message)
            case _:
                _log.warning("the daemon sent a %s, which is none of ours", received.tag.name)

    def _take_confirm(self, confirm: Any) -> None:  # noqa: ANN401 - any confirm
        pending = self._pending.pop(confirm.request_id, None)
        if pending is None:
            return
        request, acknowledged = pending.request, confirm.result is Result.ACK
        if type(request) in PRIMITIVE_OF_REQUEST and (acknowledged or not request.enable):
            self._follow(request, confirm)
            if request.enable:
                self._end_registering()
                pending.confirm = confirm
                self._registering = pending
                return
        if not pending.answer.done():
            pending.answer.set_result(confirm)

    def _follow(self, request: Any, confirm: Any) -> None:  # noqa: ANN401 - a request and its confirm
        """A registration was enabled or disabled: deliveries under this number are its."""
        if not request.enable:  # and so it is if the daemon does not know it
            gone = self._registered.pop(_key(request), None)
            if gone is not None and gone.remote is not None:
                self._by_remote.pop(gone.remote, None)
            return
        remote: int = confirm.registration
        enabled = self._registered.get(_key(request))
        if enabled is None:
            enabled = self._registered[_key(request)] = _Enabled(next(self._handles), request)
        enabled.request = request
        if enabled.remote != remote:
            enabled.remote = remote
            enabled.order = Order()
            self._by_remote[remote] = enabled

    def _take_refusal(self, refused: Refused) -> None:
        pending = None if refused.request_id is None else self._pending.pop(refused.request_id, None)
        if pending is None or pending.answer.done():
            _log.warning("the daemon refuses a message of %s: %s", self.name, refused.reason)
            return
        error: LiesError = LinkError(LinkErrorReason.INVALID, refused.reason)
        if refused.code is Refusal.NOT_PERMITTED:
            error = NotPermitted(refused.reason)
        pending.answer.set_exception(error)

    def _take_plugins(self, plugins: Plugins) -> None:
        pending = self._pending.pop(plugins.request_id, None)
        if pending is not None and not pending.answer.done():
            pending.answer.set_result(plugins)

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        every = snapshot.registration is None
        if snapshot.registration is not None:
            enabled = self._by_remote.get(snapshot.registration)
            if enabled is None:
                return
            every = enabled.link == EVERY_LINK
            snapshot = evolve(snapshot, registration=enabled.handle)
        pending = None if snapshot.request_id is None else self._pending.pop(snapshot.request_id, None)
        if pending is not None:
            every = pending.request.link == EVERY_LINK
            if not pending.answer.done():
                pending.answer.set_result(snapshot)
        self._hear_snapshot(snapshot, all_links=every)
        if snapshot.registration is not None:
            self._end_registering()

    def _end_registering(self) -> None:
        """Let `register` return: the state to go on from has come."""
        pending, self._registering = self._registering, None
        if pending is not None and not pending.answer.done():
            pending.answer.set_result(pending.confirm)

    # ---- deliveries

    def _delivered(self, remote: int, sequence: int, message: Any) -> None:  # noqa: ANN401 - any indication
        enabled = self._by_remote.get(remote)
        if enabled is None:
            return
        order = enabled.order
        if order.is_next(sequence):
            self._hand_out_one(enabled, sequence, message)
            return
        whole = order.missing is None
        self._hand_out(enabled, order.take(sequence, message))
        hole = order.missing
        if hole is None:
            return
        if order.overfull:
            self._give_up(enabled, *hole)
            self._ask_for_snapshot()
        elif whole:
            self._repair(enabled, *hole)

    def _hand_out(self, enabled: _Enabled, deliveries: list[tuple[int, Any]]) -> None:
        for sequence, message in deliveries:
            if self._closed:  # by a callback
                return
            self._hand_out_one(enabled, sequence, message)

    def _hand_out_one(self, enabled: _Enabled, sequence: int, message: Any) -> None:  # noqa: ANN401 - any indication
        for handle, first, last in self._hear_event(enabled.handle, sequence, message):
            self._stream_lost(handle, first, last)

    def _stream_lost(self, handle: int, first: int, last: int) -> None:
        for enabled in tuple(self._registered.values()):
            if enabled.handle == handle:
                self._hear_gap(enabled.gap(first, last))
        self._ask_for_snapshot()

    def _ask_for_snapshot(self) -> None:
        self._send(bus_frames(SnapshotRequest(next(self._request_ids))))

    def _take_gap(self, gap: Gap) -> None:
        enabled = self._by_remote.get(gap.registration)
        if enabled is not None and gap.last is not None:
            self._give_up(enabled, gap.first, gap.last, gap.publisher)

    def _give_up(self, enabled: _Enabled, first: int, last: int, publisher: str | None = None) -> None:
        lost, deliveries = enabled.order.give_up(first, last)
        if lost is not None:
            self._hear_gap(enabled.gap(*lost, publisher))
        self._hand_out(enabled, deliveries)

    def _compare(self, last: dict[int, int]) -> None:
        """What the daemon sent, beside what came."""
        for remote, sequence in last.items():
            enabled = self._by_remote.get(remote)
            if enabled is not None and sequence > enabled.order.last:
                self._repair(enabled, *(enabled.order.missing or (enabled.order.last + 1, sequence)))

    def _repair(self, enabled: _Enabled, first: int, last: int) -> None:
        if enabled.remote is not None:
            self._send(bus_frames(Repair(enabled.remote, first, last)))

    # ---- the connection

    def hello(self) -> Hello:
        """What to say first."""
        return Hello(self.name, self._protocol, batches=True)

    def welcome(self, welcome: Welcome) -> None:
        """Register everything with what may be a new daemon."""
        del welcome
        self._register_again()

    def disconnected(self, reason: str) -> None:
        """The session is lost: nobody can say how much was indicated since."""
        self._fail_pending(f"the daemon went away: {reason}")
        self._by_remote.clear()
        for enabled in tuple(self._registered.values()):
            if enabled.remote is not None:
                enabled.remote = None
                self._hear_gap(enabled.gap(enabled.order.last + 1, None))

    def last(self) -> dict[int, int]:
        """Registration -> last sequence received."""
        return {remote: enabled.order.last for remote, enabled in self._by_remote.items()}

    def tick(self) -> None:
        """Try again what a new daemon did not confirm, such as a link its driver has not announced yet."""
        self._register_again()

    def _register_again(self) -> None:
        for enabled in tuple(self._registered.values()):
            if enabled.remote is None and enabled.request.request_id not in self._pending:
                enabled.request = evolve(enabled.request, request_id=next(self._request_ids))
                self._sent(enabled.request, _Unheeded(self.name))


def _key(request: Any) -> tuple[str, str]:  # noqa: ANN401 - a registration request
    return PRIMITIVE_OF_REQUEST[type(request)], request.link
