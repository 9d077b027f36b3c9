"""The cellular driver on a rig's bus, in a thread of its own, with all that it fed and what came of it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from polling import wait_until
from rtnetlink_kit import LinksHost

from lies.events import (
    INDICATION_NAMES,
    Indication,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    PoALost,
    RawItem,
    Sample,
)
from lies.runtime import monotonic_ns
from lies_cellular import Cellular
from lies_cellular.config import CellularConfig
from modem.processes import PATIENCE_S

Told = tuple[Any, ...]


class Driven:
    """The driver's host, seen from the test's thread."""

    def __init__(self, host: LinksHost, driver: Cellular, loop: asyncio.AbstractEventLoop) -> None:
        self.host, self.driver, self._loop = host, driver, loop
        self.fed: list[tuple[int, RawItem]] = []  # when (CLOCK_MONOTONIC, ns) and what
        self.told: list[tuple[int, Indication]] = []
        host.callbacks.append(self._note)

    def story(self, after_ns: int = 0) -> list[Told]:
        """The primitives from then on, each with all of its parameters."""
        return [one for _, one in self.timed(after_ns)]

    def timed(self, after_ns: int = 0) -> list[tuple[int, Told]]:
        """The primitives from then on, each with when it was told."""
        return [(t_ns, told(indication)) for t_ns, indication in list(self.told) if t_ns >= after_ns]

    def samples(self, after_ns: int = 0) -> list[tuple[int, Sample]]:
        """The samples from then on, and when they were fed."""
        return [
            (t_ns, item) for t_ns, item in list(self.fed) if isinstance(item, Sample) and t_ns >= after_ns
        ]

    def wait(self, *what: Any, after_ns: int = 0) -> Told:
        """The first primitive from then on that begins with these words."""
        self.until(
            lambda: any(one[: len(what)] == what for one in self.story(after_ns)), f"no {what}", after_ns
        )
        return next(one for one in self.story(after_ns) if one[: len(what)] == what)

    def wait_ns(self, *what: Any, after_ns: int = 0) -> int:
        """When that was told, awaited like `wait`."""
        self.wait(*what, after_ns=after_ns)
        return next(t_ns for t_ns, one in self.timed(after_ns) if one[: len(what)] == what)

    def until(self, holds: Callable[[], bool], otherwise: str = "not so", after_ns: int = 0) -> None:
        """Wait until it holds."""
        try:
            wait_until(lambda: holds() or self.host.error is not None, PATIENCE_S)
        except AssertionError:
            raise AssertionError(f"{otherwise}; told: {self.story(after_ns)}") from None
        assert self.host.error is None, self.host.error

    def order(self, do: Callable[..., None], *what: Any) -> int:
        """Call the driver in its own thread; when that was."""
        t_ns = monotonic_ns()
        self._loop.call_soon_threadsafe(do, *what)
        return t_ns

    @property
    def link(self) -> str:
        """The name of the only link."""
        (name,) = self.host.served
        return name

    def _note(self, item: RawItem, indications: list[Indication]) -> None:
        t_ns = monotonic_ns()
        self.fed.append((t_ns, item))
        self.told += [(t_ns, indication) for indication in indications]


def told(indication: Indication) -> Told:
    """A primitive's name and parameters."""
    name = INDICATION_NAMES[type(indication)]
    match indication:
        case LinkUp() | LinkGoingDownCancelled():
            return name, indication.poa
        case LinkDown():
            return name, indication.poa, indication.reason.value
        case LinkGoingDown():
            return (
                name,
                indication.poa,
                indication.time_to_down_ms,
                indication.confidence,
                indication.reason.value,
            )
        case LinkStatusChanged():
            now = indication.condition
            what = indication.reason.value, indication.detail
            return (name, indication.poa, now.quality.value, now.bandwidth_mbps, *what)
        case PoAFound() | PoALost():
            return (name, *((one.poa, one.condition.quality.value) for one in indication.poas))
    raise AssertionError(f"no driver tells {name}")


@contextmanager
def driving(address: str, **options: Any) -> Iterator[Driven]:
    """The driver, started on the bus at this address."""
    ready = threading.Event()
    ended = asyncio.Event()
    made: list[Driven] = []
    failed: list[BaseException] = []

    async def drive() -> None:
        host = LinksHost()
        driver = Cellular("cellular", CellularConfig(bus=address, **options), host)
        made.append(Driven(host, driver, asyncio.get_running_loop()))
        try:
            await driver.start()
            ready.set()
            await ended.wait()
        finally:
            await driver.stop()

    def run() -> None:
        try:
            asyncio.run(drive())
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's thread
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="cellular-driver")
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        if not failed:
            yield made[0]
    finally:
        if made and thread.is_alive():
            made[0].order(ended.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    if failed:
        raise failed[0]
