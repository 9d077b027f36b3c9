"""The bus for consumers inside the daemon's process: same verbs, no socket, no encoding."""

import logging
import os
from collections.abc import Callable
from typing import Any

from lies.bus._listener import Listener
from lies.bus._verbs import Verbs, checked
from lies.bus.core import EVERY_LINK, BusCore, Event, Registration
from lies.bus.messages import Gap, LinkState, PluginsRequest, PluginState, Snapshot
from lies.errors import TimedOut
from lies.events import Confirm, Indication
from lies.runtime import wall_ns

_log = logging.getLogger("lies.bus")


class LocalClient(Listener, Verbs):
    """lies.consumer.BusClient directly on a BusCore.

    Callbacks run within the driver's call that caused the event, on the daemon's loop. What one raises
    goes to on_failure (else to the log), so that the consumer's supervisor can act; the driver and other
    consumers do not notice. uid: whose rights it has, None for the daemon's own.
    """

    def __init__(
        self,
        core: BusCore,
        name: str,
        *,
        protocol: str = "ipv6",
        uid: int | None = None,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        Listener.__init__(self, on_failure or self._log_failure)
        Verbs.__init__(self, name, wall_ns())
        self._core = core
        self._confirm: Confirm | None = None
        self._session = core.open_session(
            name, protocol, os.geteuid() if uid is None else uid, self, near=True
        )

    def close(self) -> None:
        """Leave the bus: nothing is indicated any more, event streams end."""
        if not self._session.closed:
            self._core.close_session(self._session)
            self._end_streams()

    async def links(self, link: str = EVERY_LINK) -> tuple[LinkState, ...]:
        """The states of all links now, or of one (empty if there is none)."""
        return self._core.request_snapshot(self._session, link).links

    async def plugins(self) -> tuple[PluginState, ...]:
        """How the daemon's configured drivers and consumers are."""
        return self._core.request_plugins(self._session, PluginsRequest(0)).plugins

    async def _ask(self, request: Any) -> Any:  # noqa: ANN401 - any request and its confirm
        if self._session.closed:
            raise TimedOut(f"{self.name} has left the bus")
        self._core.request(self._session, request)
        confirm, self._confirm = self._confirm, None
        return checked(confirm)

    def _send_report(self, report: Indication) -> None:
        if not self._session.closed:
            self._core.report(self._session, report)

    def _log_failure(self, error: Exception) -> None:
        _log.error("consumer %s failed in a callback", self.name, exc_info=error)

    # ---- lies.bus.core.Sink

    def confirm(self, confirm: Confirm) -> None:
        """Keep the answer for the call that waits for it."""
        self._confirm = confirm

    def deliver(self, registration: Registration, sequence: int, event: Event) -> None:
        """Hand an indication to callbacks and streams."""
        for number, first, last in self._hear_event(registration.id, sequence, event.message):
            lost = self._session.by_number(number)
            if lost is not None:
                self.gap(Gap(number, lost.primitive, lost.link, None, first, last))
                self.snapshot(self._core.snapshot())

    def snapshot(self, snapshot: Snapshot) -> None:
        """Hand a snapshot to callbacks."""
        self._hear_snapshot(snapshot, all_links=snapshot.registration is None)

    def gap(self, gap: Gap) -> None:
        """Hand a gap to callbacks."""
        self._hear_gap(gap)
