"""Where one driver or consumer runs on this process's loop: with its host, or with its bus client.

The same rooms serve the daemon (on its bus core) and a child process (on the endpoints): only how the way
to the bus is made differs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from lies._keeper import Ended, Ending, describe
from lies.consumer import BusClient, Consumer
from lies.driver import Driver
from lies.driver_host import DriverHostBase, HostPublisher
from lies.plugins import ConsumerPlan, DriverPlan

Failed = Callable[[Exception], None]


class OpenPublisher(HostPublisher, Protocol):
    """A driver's way to the bus that can be closed."""

    def close(self, reason: str) -> None:
        """Leave the bus: links go down (driver_lost)."""
        ...


class OpenClient(BusClient, Protocol):
    """A consumer's way to the bus that can be closed."""

    def close(self) -> None:
        """Leave the bus."""
        ...


class _Outcome:
    """How the plugin of a room ended by itself; the first word counts."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    def failed(self, error: Exception) -> None:
        """It cannot go on."""
        self.error = self.error or error
        self._set(Ended(Ending.FAILED, describe(error)))

    def finished(self) -> None:
        """Its input has ended."""
        self._set(Ended(Ending.FINISHED))

    def _set(self, ended: Ended) -> None:
        if not self._future.done():
            self._future.set_result(ended)

    async def wait(self) -> Ended:
        """The ending."""
        return await asyncio.shield(self._future)


class DriverRoom:
    """A driver with its host; connect makes its way to the bus."""

    def __init__(self, plan: DriverPlan, connect: Callable[[], Awaitable[OpenPublisher]]) -> None:
        self.driver: Driver | None = None
        self._plan = plan
        self._connect = connect
        self._outcome = _Outcome()
        self._publisher: OpenPublisher | None = None
        self._host: DriverHostBase | None = None

    @property
    def links(self) -> tuple[str, ...]:
        """The links that the driver has announced."""
        return () if self._host is None else self._host.links

    @property
    def error(self) -> Exception | None:
        """What the driver failed with."""
        return self._outcome.error

    async def open(self) -> None:
        """Make the driver and start it."""
        plan, name = self._plan, self._plan.config.name
        self._publisher = await self._connect()
        host = self._host = DriverHostBase(
            name,
            self._publisher,
            parameters=plan.abstract,
            on_failed=self._outcome.failed,
            on_finished=self._outcome.finished,
        )
        self.driver = plan.cls(name, plan.options, host)
        host.attach(self.driver)
        await self.driver.start()

    async def ended(self) -> Ended:
        """Wait until the driver says that it failed or finished."""
        return await self._outcome.wait()

    async def stop(self) -> None:
        """Stop the driver."""
        if self.driver is not None:
            await self.driver.stop()

    def lost(self) -> None:
        """Its links go down."""
        self.release()

    def release(self) -> None:
        """Leave the bus."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.close("the driver ended")


class ConsumerRoom:
    """A consumer with its bus client; connect makes the client, which tells what callbacks raise."""

    links: tuple[str, ...] = ()  # a consumer has none

    def __init__(self, plan: ConsumerPlan, connect: Callable[[Failed], Awaitable[OpenClient]]) -> None:
        self._plan = plan
        self._connect = connect
        self._outcome = _Outcome()
        self._client: OpenClient | None = None
        self._consumer: Consumer | None = None

    async def open(self) -> None:
        """Connect, make the consumer and start it."""
        self._client = await self._connect(self._outcome.failed)
        self._consumer = self._plan.cls(self._plan.config.name, self._plan.options, self._client)
        await self._consumer.start()

    async def ended(self) -> Ended:
        """Wait until one of its callbacks fails."""
        return await self._outcome.wait()

    async def stop(self) -> None:
        """Stop the consumer; it may still use the bus to do so."""
        if self._consumer is not None:
            await self._consumer.stop()

    def lost(self) -> None:
        """A consumer has no links; it leaves the bus after it has stopped."""

    def release(self) -> None:
        """Leave the bus."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
