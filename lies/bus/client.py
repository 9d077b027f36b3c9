"""The bus for consumers in other processes: the verbs of lies.consumer.BusClient over a socket."""

import asyncio
import logging
from collections.abc import Callable
from itertools import count
from typing import Any, Self

from attrs import evolve

from lies.bus._connection import Connection, Handler
from lies.bus._directory import BUS
from lies.bus._listener import Listener
from lies.bus._order import Order
from lies.bus._registration import EVERY_LINK, PRIMITIVE_OF_REQUEST
from lies.bus._route import Where
from lies.bus._verbs import Verbs, checked
from lies.bus.frames import Received, bus_frames, primitive_frames
from lies.bus.messages import (
    Gap,
    Heartbeat,
    Hello,
    LinkState,
    Refusal,
    Refused,
    Repair,
    Snapshot,
    SnapshotRequest,
    Welcome,
)
from lies.errors import LiesError, LinkError, LinkErrorReason, NotPermitted, TimedOut
from lies.events import Indication, PrimitiveClass, Result
from lies.runtime import wall_ns

_log = logging.getLogger("lies.bus")
REQUEST_TIMEOUT_S = 2.0


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

    def __init__(self, request: Any) -> None:  # noqa: ANN401 - any request
        self.request = request
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.confirm: Any = None  # of a registration, until its Snapshot has come as well


class Client(Listener, Verbs, Handler):
    """lies.consumer.BusClient over a DEALER on the daemon's endpoint `bus`; made by `connect`.

    Driven by three kinds of input: calls, messages of the daemon, and one timer. Holes in a registration's
    sequence are repaired from the daemon's history or reported through on_gap; after a restart of the daemon
    every registration is made anew, on_gap is called with `last` None and on_snapshot with the new state.
    Numbers of registrations stay those that `register` returned.
    """

    def __init__(
        self,
        where: Where,
        *,
        name: str,
        protocol: str = "ipv6",
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        Listener.__init__(self, on_failure or self._log_failure)
        Verbs.__init__(self, name, wall_ns())
        self._protocol = protocol
        self._timeout_s = request_timeout_s
        self._handles = count(1)
        self._registered: dict[tuple[str, str], _Enabled] = {}  # by primitive and link
        self._by_remote: dict[int, _Enabled] = {}
        self._pending: dict[int, _Pending] = {}
        self._registering: _Pending | None = None  # confirmed; its Snapshot comes next
        self._connection = Connection(where, BUS, self)

    @classmethod
    async def connect(
        cls,
        where: Where,
        *,
        name: str,
        protocol: str = "ipv6",
        timeout_s: float = 2.0,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> Self:
        """Connect to the daemon with this runtime directory, or on another host; NoDaemon, NotPermitted.

        protocol: protocol ID of the consumer in tags (RFC 5184 section 3); on_failure: told what a callback
        raised, else it is logged.
        """
        client = cls(
            where,
            name=name,
            protocol=protocol,
            request_timeout_s=request_timeout_s,
            on_failure=on_failure,
        )
        await client._connection.open(timeout_s)
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bus: streams end, requests that wait are TimedOut; safe to call twice."""
        self._connection.close("the consumer ends")
        self._fail_pending("the client was closed")
        self._end_streams()

    @property
    def connected(self) -> bool:
        """The daemon answered and is still heard."""
        return self._connection.up

    @property
    def epoch(self) -> int:
        """Epoch of the daemon that was last connected to."""
        return self._connection.epoch

    async def links(self, link: str = EVERY_LINK) -> tuple[LinkState, ...]:
        """The states of all links now, or of one (empty if there is none)."""
        snapshot: Snapshot = await self._ask_any(SnapshotRequest(next(self._request_ids), link))
        return snapshot.links

    # ---- requests

    async def _ask(self, request: Any) -> Any:  # noqa: ANN401 - any request and its confirm
        return checked(await self._ask_any(request))

    async def _ask_any(self, request: Any) -> Any:  # noqa: ANN401 - as above
        if self._connection.closed:
            raise TimedOut(f"the client {self.name} was closed")
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connection.wait_up()
                return await self._sent(request).future
        except TimeoutError as error:
            if isinstance(error, TimedOut):
                raise
            raise TimedOut(f"the daemon did not answer within {self._timeout_s:g} s") from None
        finally:
            if self._pending.pop(request.request_id, None) is not None:
                self._withdraw(request)

    def _withdraw(self, request: Any) -> None:  # noqa: ANN401 - as above
        """Nobody waits for the Confirm any more: a registration that it would begin is disabled again."""
        if type(request) in PRIMITIVE_OF_REQUEST and request.enable and _key(request) not in self._registered:
            withdrawn = evolve(request, request_id=next(self._request_ids), enable=False)
            self._connection.send(primitive_frames(withdrawn, layer="L2", protocol="*"))

    def _sent(self, request: Any) -> _Pending:  # noqa: ANN401 - as above
        pending = self._pending[request.request_id] = _Pending(request)
        if isinstance(request, SnapshotRequest):
            self._connection.send(bus_frames(request))
        else:
            self._connection.send(
                primitive_frames(request, layer="L2", protocol=self._technology(request.link))
            )
        return pending

    def _technology(self, link: str) -> str:
        known = self._known.get(link)
        return "*" if known is None else known.link.technology.value

    def _send_report(self, report: Indication) -> None:
        frames = primitive_frames(report, layer="L3", protocol=self._protocol)
        if not self._connection.send(frames):
            _log.warning("a report of %s was lost: the daemon cannot take it", self.name)

    def _log_failure(self, error: Exception) -> None:
        _log.error("consumer %s failed in a callback", self.name, exc_info=error)

    def _fail_pending(self, why: str) -> None:
        self._end_registering()
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(TimedOut(why))

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
            case _ if received.tag.cls is PrimitiveClass.CONFIRM:
                self._take_confirm(message)
            case _:
                _log.warning("the daemon sent a %s, which is none of ours", received.tag.name)

    def _take_confirm(self, confirm: Any) -> None:  # noqa: ANN401 - any confirm
        pending = self._pending.pop(confirm.request_id, None)
        if pending is None:
            return
        if confirm.result is Result.ACK and type(pending.request) in PRIMITIVE_OF_REQUEST:
            self._follow(pending.request, confirm)
            if pending.request.enable:
                self._end_registering()
                pending.confirm = confirm
                self._registering = pending
                return
        if not pending.future.done():
            pending.future.set_result(confirm)

    def _follow(self, request: Any, confirm: Any) -> None:  # noqa: ANN401 - a request and its confirm
        """A registration was enabled or disabled: deliveries under this number are its."""
        remote: int = confirm.registration
        enabled = self._registered.get(_key(request))
        if not request.enable:
            self._registered.pop(_key(request), None)
            self._by_remote.pop(remote, None)
            return
        if enabled is None:
            enabled = self._registered[_key(request)] = _Enabled(next(self._handles), request)
        enabled.request = request
        if enabled.remote != remote:
            enabled.remote = remote
            enabled.order = Order()
            self._by_remote[remote] = enabled

    def _take_refusal(self, refused: Refused) -> None:
        pending = None if refused.request_id is None else self._pending.pop(refused.request_id, None)
        if pending is None or pending.future.done():
            _log.warning("the daemon refuses a message of %s: %s", self.name, refused.reason)
            return
        error: LiesError = LinkError(LinkErrorReason.INVALID, refused.reason)
        if refused.code is Refusal.NOT_PERMITTED:
            error = NotPermitted(refused.reason)
        pending.future.set_exception(error)

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
            if not pending.future.done():
                pending.future.set_result(snapshot)
        self._hear_snapshot(snapshot, all_links=every)
        if snapshot.registration is not None:
            self._end_registering()

    def _end_registering(self) -> None:
        """Let `register` return: the state to go on from has come."""
        pending, self._registering = self._registering, None
        if pending is not None and not pending.future.done():
            pending.future.set_result(pending.confirm)

    # ---- deliveries

    def _delivered(self, remote: int, sequence: int, message: Any) -> None:  # noqa: ANN401 - any indication
        enabled = self._by_remote.get(remote)
        if enabled is None:
            return
        order = enabled.order
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
            if self._connection.closed:  # by a callback
                return
            for handle, first, last in self._hear_event(enabled.handle, sequence, message):
                self._stream_lost(handle, first, last)

    def _stream_lost(self, handle: int, first: int, last: int) -> None:
        for enabled in tuple(self._registered.values()):
            if enabled.handle == handle:
                self._hear_gap(enabled.gap(first, last))
        self._ask_for_snapshot()

    def _ask_for_snapshot(self) -> None:
        self._connection.send(bus_frames(SnapshotRequest(next(self._request_ids))))

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
            self._connection.send(bus_frames(Repair(enabled.remote, first, last)))

    # ---- lies.bus._connection.Handler

    def hello(self) -> Hello:
        """What to say first."""
        return Hello(self.name, self._protocol)

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

    def writable(self) -> None:
        """Nothing waits for this."""

    def _register_again(self) -> None:
        for enabled in tuple(self._registered.values()):
            if enabled.remote is None and enabled.request.request_id not in self._pending:
                enabled.request = evolve(enabled.request, request_id=next(self._request_ids))
                self._sent(enabled.request).future.add_done_callback(self._registered_again)

    def _registered_again(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and future.exception() is not None:
            _log.debug("a registration of %s was not made again: %s", self.name, future.exception())


def _key(request: Any) -> tuple[str, str]:  # noqa: ANN401 - a registration request
    return PRIMITIVE_OF_REQUEST[type(request)], request.link
