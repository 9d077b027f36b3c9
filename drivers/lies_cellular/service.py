"""ModemManager on D-Bus: its signals and answers become items, calls go to it. All that is D-Bus is here."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lies.dbus import DBusConnection, Signal, Variant, system_address
from lies.errors import ConfigError, DBusRefused, LiesError, TimedOut
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig
from lies_cellular.items import Answer, Call, Item, Present, Secret
from lies_cellular.reader import Reader
from lies_cellular.secrets import read_pin, read_secret

LOOK_S = 2.0  # for whether ModemManager is there at all


class Service:
    """From `start` to `stop`: `feed` gets every item, each call brings one; none starts ModemManager."""

    def __init__(
        self, config: CellularConfig, feed: Callable[[Item], None], now_ns: Callable[[], int]
    ) -> None:
        self.reader = Reader()
        self._config = config
        self._feed = feed
        self._now_ns = now_ns
        self._calls: set[asyncio.Task[None]] = set()
        self._connection = DBusConnection(
            {u.NAME: ()}, on_owner=self._owner, on_signal=self._signal, address=address_of(config.bus)
        )

    async def start(self) -> bool:
        """Connect; False where there is no bus yet: it is tried again."""
        return await self._connection.start()

    async def stop(self) -> None:
        """Close; what is under way is not answered any more."""
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._connection.stop()

    def perform(self, call: Call) -> None:
        """Make a call, and feed its Answer."""
        task = asyncio.get_running_loop().create_task(self._answer(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def make(self, call: Call) -> tuple[Any, ...]:
        """Make a call; its answer as plain values. LiesError if there is none, or it is a refusal."""
        return await self._connection.call(
            u.NAME,
            call.path,
            call.interface,
            call.member,
            call.signature,
            *self._arguments(call),
            limit_s=call.limit_s,
        )

    async def _answer(self, call: Call) -> None:
        try:
            body = await self.make(call)
        except DBusRefused as error:
            answer = Answer(self._now_ns(), call, error=error.name, why=str(error))
        except TimedOut as error:
            answer = Answer(self._now_ns(), call, error="TimedOut", why=str(error))
        except LiesError as error:
            answer = Answer(self._now_ns(), call, error=type(error).__name__, why=str(error))
        else:
            answer = Answer(self._now_ns(), call, self.reader.answer(call.purpose, body))
        self._feed(answer)

    def _arguments(self, call: Call) -> tuple[Any, ...]:
        """With the secret that the call asks for, read only now."""
        config = self._config
        match call.secret:
            case None:
                return call.arguments
            case Secret.PIN:
                if config.pin_file is None:
                    raise ConfigError("no pin_file is configured")
                return (*call.arguments, read_pin(config.pin_file))
            case Secret.PASSWORD:
                if config.password_file is None:
                    raise ConfigError("no password_file is configured")
                (wanted,) = call.arguments
                secret = read_secret(config.password_file, "password")
                return ({**wanted, "password": Variant("s", secret)},)

    # ---- from the bus

    def _owner(self, _: str, owner: str | None) -> None:
        self._feed(Present(self._now_ns(), owner is not None))

    def _signal(self, signal: Signal) -> None:
        item = self.reader.signal(self._now_ns(), signal.path, signal.interface, signal.member, signal.body)
        if item is not None:
            self._feed(item)


def address_of(bus: str) -> str:
    """The address of a bus; ConfigError if there is none."""
    if bus == "system":
        return system_address()
    if bus == "session":
        address = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        if not address:
            raise ConfigError('bus = "session", and DBUS_SESSION_BUS_ADDRESS is not set')
        return address
    if ":" not in bus:
        raise ConfigError(f'bus is "system", "session" or an address such as unix:path=FILE, not {bus!r}')
    return bus


def is_there() -> bool:
    """Whether ModemManager runs on the system's bus; to be called where no loop runs."""
    address = system_address()
    path = address.partition("unix:path=")[2].partition(",")[0]
    if path and not Path(path).exists():
        return False
    return asyncio.run(_is_there(address))


async def _is_there(address: str) -> bool:
    told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def owner(_: str, name: str | None) -> None:
        if not told.done():
            told.set_result(name is not None)

    connection = DBusConnection({u.NAME: ()}, on_owner=owner, on_signal=lambda _: None, address=address)
    try:
        async with asyncio.timeout(LOOK_S):
            return await connection.start() and await told
    except TimeoutError:
        return False
    finally:
        await connection.stop()
