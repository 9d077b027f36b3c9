"""A driver host for tests: keeps every item, and runs the real abstract entity on them where asked."""

import asyncio
from collections.abc import Callable
from typing import Any

from lies.abstract import AbstractEntity, AeParameters
from lies.bus._parties import check_name
from lies.driver import Driver
from lies.events import (
    Header,
    Indication,
    Link,
    LinkAction,
    LinkActionFailed,
    Raw,
    RawItem,
    RawState,
    raw_of,
)
from lies.runtime import monotonic_ns


class RecordingPort:
    """A link port that keeps what it is fed and passes it through an abstract entity."""

    def __init__(self, host: "RecordingHost", link: Link, *, controllable: bool) -> None:
        self.host, self.link, self.controllable = host, link, controllable
        self.items: list[RawItem] = []
        self.entity = AbstractEntity(link, host.parameters, lambda t_ns: host.stamp(link, t_ns))
        self.restored: list[bytes] = []
        self.removed = False

    def feed(self, item: RawItem) -> None:
        """Keep the item, and what the abstract entity makes of it."""
        self.items.append(item)
        indications = self.entity.feed(item)
        self.host.indications.extend(indications)
        self.host.events.extend([*indications, raw_of(self.host.stamp(self.link, item.t_ns), item)])
        for callback in self.host.callbacks:
            callback(item, indications)

    def remove(self) -> None:
        """The link is gone."""
        self.removed = True

    def steer(self, *, controllable: bool) -> None:
        """Who manages the link has changed."""
        self.controllable = controllable

    def action_failed(self, action: LinkAction, poa: str | None, detail: str) -> None:
        """Keep it, as indicated."""
        t_ns = self.items[-1].t_ns if self.items else 0
        failed = LinkActionFailed(self.host.stamp(self.link, t_ns), action, poa, detail)
        self.host.indications.append(failed)
        self.host.events.append(failed)

    def restore(self, state: bytes) -> None:
        """Restore the entity, as the daemon's host does."""
        self.restored.append(state)
        self.entity.restore(state)

    def state(self) -> RawState:
        """What a registration for `raw` is sent first."""
        t_ns = self.items[-1].t_ns if self.items else 0
        return RawState(self.host.stamp(self.link, t_ns), self.entity.export())


class RecordingHost:
    """lies.driver.DriverHost for one driver; callbacks: called with every item and what followed from it."""

    def __init__(self, parameters: AeParameters | None = None) -> None:
        self.parameters = parameters or AeParameters()
        self.ports: dict[str, RecordingPort] = {}
        self.indications: list[Indication] = []
        self.events: list[Indication | Raw] = []  # in the order in which a daemon sends them
        self.callbacks: list[Callable[[RawItem, list[Indication]], None]] = []
        self.error: Exception | None = None
        self.ended = asyncio.Event()
        self.gaps: list[int] = []  # after how many events each was told
        self._sequence = 0

    def stamp(self, link: Link, t_ns: int) -> Header:
        """The next header."""
        self._sequence += 1
        return Header("test", 1, self._sequence, t_ns, t_ns, link)

    def add_link(self, link: Link, *, controllable: bool) -> RecordingPort:
        """Make a port; a link is announced once, and has a name that the bus takes."""
        check_name(link.name)
        assert link.name not in self.ports
        self.ports[link.name] = RecordingPort(self, link, controllable=controllable)
        return self.ports[link.name]

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return monotonic_ns()

    def missed(self) -> None:
        """Keep where it was said."""
        self.gaps.append(len(self.events))

    def failed(self, error: Exception) -> None:
        """Keep the error."""
        self.error = error
        self.ended.set()

    def finished(self) -> None:
        """Note the end."""
        self.ended.set()

    @property
    def items(self) -> list[RawItem]:
        """The items of the only link."""
        (port,) = self.ports.values()
        return port.items


def drive(
    cls: type[Driver],
    config: Any,
    *,
    parameters: AeParameters | None = None,
    until: Callable[[RecordingHost], bool] | None = None,
    on_item: Callable[[Driver, RawItem, list[Indication]], None] | None = None,
    timeout_s: float = 30.0,
) -> RecordingHost:
    """Run a driver until its input ends, or until a condition holds, and stop it; its error is raised."""

    async def run() -> RecordingHost:
        host = RecordingHost(parameters)
        driver = cls("test", config, host)
        if on_item is not None:
            host.callbacks.append(lambda item, found: on_item(driver, item, found))
        if until is not None:
            host.callbacks.append(lambda *_: host.ended.set() if until(host) else None)
        try:
            async with asyncio.timeout(timeout_s):
                await driver.start()
                await host.ended.wait()
        finally:
            await driver.stop()
        if host.error is not None:
            raise host.error
        return host

    return asyncio.run(run())
