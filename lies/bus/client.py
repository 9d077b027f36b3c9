"""The bus for consumers in other processes: the verbs of lies.consumer.BusClient over a socket."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Self

from lies.bus._connection import Connection
from lies.bus._directory import BUS
from lies.bus._handler import REQUEST_TIMEOUT_S, Handler
from lies.bus._listener import Listener
from lies.bus._registration import EVERY_LINK
from lies.bus._route import Where
from lies.bus._session import ConsumerSession
from lies.bus._verbs import Verbs, checked
from lies.bus.frames import primitive_frames
from lies.bus.messages import LinkState, Plugins, PluginsRequest, PluginState, Snapshot, SnapshotRequest
from lies.errors import TimedOut
from lies.events import Indication
from lies.runtime import wall_ns

_log = logging.getLogger("lies.bus")


class Client(Listener, ConsumerSession, Verbs, Handler):
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
        ConsumerSession.__init__(self, protocol)
        self._timeout_s = request_timeout_s
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

    async def plugins(self) -> tuple[PluginState, ...]:
        """How the daemon's configured drivers and consumers are."""
        answer: Plugins = await self._ask_any(PluginsRequest(next(self._request_ids)))
        return answer.plugins

    # ---- requests

    async def _ask(self, request: Any) -> Any:  # noqa: ANN401 - any request and its confirm
        return checked(await self._ask_any(request))

    async def _ask_any(self, request: Any) -> Any:  # noqa: ANN401 - as above
        if self._connection.closed:
            raise TimedOut(f"the client {self.name} was closed")
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connection.wait_up()
                answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                self._sent(request, answer)
                return await answer
        except BaseException as error:  # also a cancelled one leaves nothing behind
            self._unwanted(request)
            if isinstance(error, TimeoutError) and not isinstance(error, TimedOut):
                raise TimedOut(f"the daemon did not answer within {self._timeout_s:g} s") from None
            raise

    @property
    def _closed(self) -> bool:
        return self._connection.closed

    def _send(self, frames: list[bytes]) -> bool:
        return self._connection.send(frames)

    def _send_report(self, report: Indication) -> None:
        frames = primitive_frames(report, layer="L3", protocol=self._protocol)
        if not self._connection.send(frames):
            _log.warning("a report of %s was lost: the daemon cannot take it", self.name)

    def _log_failure(self, error: Exception) -> None:
        _log.error("consumer %s failed in a callback", self.name, exc_info=error)

    # ---- lies.bus._connection.Handler

    def writable(self) -> None:
        """Nothing waits for this."""
