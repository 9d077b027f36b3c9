"""A daemon's bus on a loop in a thread of its own, for tests of a client without a loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from bus_rig import DEADLINE_S, Driver, Heard

from lies.bus import BlockingClient, BusCore, BusServer, Rights

T = TypeVar("T")


class ThreadedDaemon:
    """A core, its server and the driver `sim`; everything of it is touched through `do` only."""

    def __init__(
        self, directory: Path, *, epoch: int = 1, rights: Rights | None = None, **options: Any
    ) -> None:
        self.directory = directory
        self.core = BusCore(epoch=epoch, rights=rights or Rights())
        self.server = BusServer(self.core, directory, **{"heartbeat_s": 0.02, **options})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.wait_for(self.server.start())
        self.driver: Driver = self.do(lambda: Driver(self.core))

    def do(self, work: Callable[[], T]) -> T:
        """Run `work` on the daemon's loop; its result."""

        async def call() -> T:
            return work()

        return self.wait_for(call())

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the daemon's loop; its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    def ups(self, first: int, last: int) -> None:
        """LinkUp at ap<first> to ap<last>, in one go."""

        def burst() -> None:
            for number in range(first, last + 1):
                self.driver.up(f"ap{number}")

        self.do(burst)

    def stop(self) -> None:
        """End the daemon and its loop; safe to call twice."""
        if self._thread.is_alive():
            self.wait_for(self.server.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(DEADLINE_S)
            self._loop.close()


@contextmanager
def threaded_daemon(directory: Path, **options: Any) -> Iterator[ThreadedDaemon]:
    """A running daemon."""
    one = ThreadedDaemon(directory, **options)
    try:
        yield one
    finally:
        one.stop()


def hear_all(client: BlockingClient) -> Heard:
    """What a client's callbacks are called with."""
    heard = Heard()
    client.on_event(lambda message: heard.log.append(("event", message)))
    client.on_gap(heard.gap)
    client.on_snapshot(heard.snapshot)
    return heard


def take_until(client: BlockingClient, holds: Callable[[], object]) -> list[Any]:
    """Take events until the condition holds, and what was taken."""
    taken: list[Any] = []
    turns = 0
    while not holds():
        event = client.next_event(0.05)
        if event is not None:
            taken.append(event)
        turns += event is None
        assert turns * 0.05 < DEADLINE_S
    return taken
