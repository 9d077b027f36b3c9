"""Everything that ModemManager says on a bus, heard by a bare dbus-next client in a process of its own.

`python -m modem.listener` prints a JSON list for each: when it was received (CLOCK_MONOTONIC, ns), the
object, interface (without its long beginning) and property or signal, and the value. It knows nothing of the
cellular driver: what the driver makes of the bus is held against this.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from attrs import frozen
from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant
from polling import wait_until

from lies.runtime import monotonic_ns
from modem.processes import PATIENCE_S, module

MANAGER = "org.freedesktop.ModemManager1"
_RULES = (f"type='signal',sender='{MANAGER}'", f"type='signal',member='NameOwnerChanged',arg0='{MANAGER}'")
_READY = "listening"


@frozen
class Heard:
    """A property that has changed, or a signal; `what` is interface and name, such as Modem.State."""

    t_ns: int
    path: str
    what: str
    value: Any


class Calls:
    """Who calls ModemManager: a monitor on the bus, which sees what is meant for others."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._file = directory / "calls"
        self._env = env

    def __enter__(self) -> Self:
        self._file.unlink(missing_ok=True)
        self._process = module("modem.listener", "--calls", log=self._file, env=self._env)
        wait_until(lambda: _READY in self._file.read_text(), PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    @property
    def made(self) -> list[tuple[str, str]]:
        """Member and object of every call of one of ModemManager's methods so far."""
        lines = [line for line in self._file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [(member, path) for member, path in map(json.loads, lines[1:])]


class Listener:
    """The handle of a listener process."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._file = directory / "heard"
        self._file.unlink(missing_ok=True)
        self._process = module("modem.listener", log=self._file, env=env)
        wait_until(lambda: _READY in self._text, PATIENCE_S)

    def stop(self) -> None:
        """Listen no more."""
        self._process.kill()

    @property
    def heard(self) -> list[Heard]:
        """All so far."""
        lines = [line for line in self._text.splitlines(keepends=True) if line.endswith("\n")]
        return [Heard(*json.loads(line)) for line in lines if line.startswith("[")]

    def after(self, t_ns: int, *whats: str) -> list[tuple[str, Any]]:
        """What was heard from then on, in order; of these only if any are named."""
        return [(h.what, h.value) for h in self.heard if h.t_ns >= t_ns and (not whats or h.what in whats)]

    def wait(self, what: str, holds: Callable[[Any], bool] = lambda _: True, *, after: int = 0) -> Heard:
        """The first of these that holds, from then on."""
        found: list[Heard] = []

        def there() -> bool:
            found[:] = [h for h in self.heard if h.t_ns >= after and h.what == what and holds(h.value)]
            return bool(found)

        try:
            wait_until(there, PATIENCE_S)
        except AssertionError:
            raise AssertionError(f"no such {what} among {self.after(after)}") from None
        return found[0]

    @property
    def _text(self) -> str:
        return self._file.read_text()


def plain(value: Any) -> Any:
    """A D-Bus value without its variants."""
    match value:
        case Variant():
            return plain(value.value)
        case dict():
            return {key: plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case bytes():
            return list(value)
    return value


def told(message: Message) -> Iterator[tuple[str, str, Any]]:
    """What a signal says, a property at a time: object, what, value."""
    if message.message_type is not MessageType.SIGNAL:
        return
    if message.member == "PropertiesChanged":
        interface, changed, _ = message.body
        for name, value in changed.items():
            yield message.path, _short(f"{interface}.{name}"), plain(value)
    else:
        yield message.path, _short(f"{message.interface}.{message.member}"), plain(message.body)


def _short(name: str) -> str:
    return name.removeprefix(f"{MANAGER}.").removeprefix("org.freedesktop.DBus.")


def _print(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


def signals(message: Message) -> None:
    """Print what a signal says."""
    t_ns = monotonic_ns()
    for path, what, value in told(message):
        _print([t_ns, path, what, value])


def calls(owners: set[str]) -> Callable[[Message], bool]:
    """Prints calls of ModemManager; a monitor must answer nothing."""

    def received(message: Message) -> bool:
        if message.message_type is MessageType.METHOD_CALL and message.destination in owners:
            _print([message.member, message.path])
        return True

    return received


async def main() -> None:
    """Print what is said, or with --calls what is asked, until the bus ends."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()

    async def ask(interface: str, member: str, signature: str, *body: object) -> Message | None:
        return await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface=interface,
                member=member,
                signature=signature,
                body=list(body),
            )
        )

    if sys.argv[1:] == ["--calls"]:
        owner = await ask("org.freedesktop.DBus", "GetNameOwner", "s", MANAGER)
        assert owner is not None
        await ask("org.freedesktop.DBus.Monitoring", "BecomeMonitor", "asu", ["type='method_call'"], 0)
        bus.add_message_handler(calls({MANAGER, *owner.body}))
    else:
        bus.add_message_handler(signals)
        for rule in _RULES:
            await ask("org.freedesktop.DBus", "AddMatch", "s", rule)
    sys.stdout.write(f"{_READY}\n")
    sys.stdout.flush()
    with suppress(EOFError):  # how dbus-next says it
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-next says no result


if __name__ == "__main__":
    asyncio.run(main())
