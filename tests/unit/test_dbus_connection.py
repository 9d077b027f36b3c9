"""The D-Bus room against a real dbus-daemon: calls, owners, signals, and a bus that dies."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
from dbus_kit import WAIT_S, FakeService, Method, PrivateBus, Refuse, private_bus, until
from dbus_next.message import Message

from lies.dbus import DBusConnection, Signal, Variant
from lies.dbus import connection as connection_room
from lies.errors import DBusRefused, NoDBus, TimedOut

NAME = "org.example.Radio"
PATH, IFACE = "/org/example/Radio", "org.example.Radio"
ANSWER: dict[tuple[str, str], Method] = {
    (IFACE, "Get"): lambda _: ("a{sv}v", [{"a": Variant("u", 7)}, Variant("ay", b"\1\2")])
}


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    """A private dbus-daemon."""
    with private_bus(tmp_path) as running:
        yield running


SILENT: dict[tuple[str, str], Method] = {(IFACE, "Wait"): lambda _: None}


class Watcher:
    """A connection that keeps what it was told, in order."""

    def __init__(self, address: str, parts: Sequence[str] = ()) -> None:
        self.told: list[tuple[str, str | None] | Signal | str] = []
        self.dbus = DBusConnection(
            {NAME: parts},
            on_owner=lambda name, owner: self.told.append((name, owner)),
            on_signal=self.told.append,
            address=address,
            first_pause_s=0.01,
        )

    async def __aenter__(self) -> Self:
        await self.dbus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dbus.stop()

    @property
    def signals(self) -> list[Signal]:
        """The signals."""
        return [t for t in self.told if isinstance(t, Signal)]

    def owners(self) -> list[str | None]:
        """The owners, in order."""
        return [t[1] for t in self.told if isinstance(t, tuple)]

    async def owned(self) -> None:
        """Wait until the service is there."""
        await until(lambda: self.dbus.owner(NAME) is not None and self.owners()[-1:] != [None], "an owner")


def run(main: Callable[[], Awaitable[None]]) -> None:
    """On a loop of its own."""

    async def limited() -> None:
        async with asyncio.timeout(4 * WAIT_S):
            await main()

    asyncio.run(limited())


def test_answer_is_plain(bus: PrivateBus) -> None:
    """Variants are taken off an answer, octets are bytes, and a variant that is sent arrives as one."""

    async def main() -> None:
        async with FakeService(bus.address, NAME, ANSWER) as service, Watcher(bus.address) as watcher:
            assert await watcher.dbus.start()
            await watcher.owned()
            got = await watcher.dbus.call(NAME, PATH, IFACE, "Get", "a{sv}", {"x": Variant("s", "y")})
            assert got == ({"a": 7}, b"\1\2")
            assert service.calls == [(PATH, "Get", [{"x": "y"}])]

    run(main)


def test_no_answer_ends_in_time(bus: PrivateBus) -> None:
    """A service that never answers costs no more than the limit, and its late answer nothing."""

    async def main() -> None:
        held: list[Message] = []
        methods = {(IFACE, "Wait"): held.append, **ANSWER}
        async with FakeService(bus.address, NAME, methods) as service, Watcher(bus.address) as watcher:
            await watcher.owned()
            with pytest.raises(TimedOut, match="did not answer Wait within"):
                await watcher.dbus.call(NAME, PATH, IFACE, "Wait", limit_s=0.02)
            await until(lambda: bool(held), "the call arrives")
            service.answer(held[0], "s", ["late"])
            assert (await watcher.dbus.call(NAME, PATH, IFACE, "Get"))[0] == {"a": 7}
            assert not watcher.dbus._calls

    run(main)


def test_error_has_name_and_sentence(bus: PrivateBus) -> None:
    """An error of a service is DBusRefused with its name, its sentence made printable and short."""

    def refuse(_: object) -> None:
        raise Refuse("org.example.Error.No", "bad\x1b[2J\nnews" + "!" * 5000)

    async def main() -> None:
        async with FakeService(bus.address, NAME, {(IFACE, "Do"): refuse}), Watcher(bus.address) as watcher:
            await watcher.owned()
            with pytest.raises(DBusRefused) as caught:
                await watcher.dbus.call(NAME, PATH, IFACE, "Do")
            assert caught.value.name == "org.example.Error.No"
            assert str(caught.value).startswith("bad [2J news!!!")
            assert len(str(caught.value)) <= 300
            with pytest.raises(DBusRefused, match="invalid object path"):
                await watcher.dbus.call(NAME, "no path", IFACE, "Do")

    run(main)


def test_owner_is_followed(bus: PrivateBus) -> None:
    """A service that is not there, comes, dies and comes again is told each time, once."""

    async def main() -> None:
        async with Watcher(bus.address) as watcher:
            await until(lambda: watcher.owners() == [None], "nobody is there")
            with pytest.raises(DBusRefused, match=f"{NAME} does not run"):
                await watcher.dbus.call(NAME, PATH, IFACE, "Get")
            names = []
            for _ in range(2):
                async with FakeService(bus.address, NAME, ANSWER) as service:
                    await watcher.owned()
                    names.append(service.unique_name)
                    await watcher.dbus.call(NAME, PATH, IFACE, "Get")
                await until(lambda: watcher.dbus.owner(NAME) is None, "it is gone")
            await until(lambda: len(watcher.owners()) == 5, "all is told")
            assert watcher.owners() == [None, names[0], None, names[1], None]

    run(main)


def test_call_dies_with_its_service(bus: PrivateBus) -> None:
    """A call that is under way when its service dies is refused, long before its limit."""

    async def main() -> None:
        async with FakeService(bus.address, NAME, SILENT) as service, Watcher(bus.address) as watcher:
            await watcher.owned()
            waiting = asyncio.create_task(watcher.dbus.call(NAME, PATH, IFACE, "Wait", limit_s=4 * WAIT_S))
            await until(lambda: bool(service.calls), "the call arrives")
            service.leave()
            with pytest.raises(DBusRefused) as caught:
                await waiting
            assert caught.value.name == "org.freedesktop.DBus.Error.NoReply"

    run(main)


def test_only_the_owner_signals(bus: PrivateBus) -> None:
    """A signal of somebody else, sent to us alone so that no rule keeps it away, is not told."""

    async def main() -> None:
        async with (
            FakeService(bus.address, NAME) as service,
            FakeService(bus.address, None) as forger,
            Watcher(bus.address) as watcher,
        ):
            await watcher.owned()
            assert watcher.dbus._wire is not None
            us = str(watcher.dbus._wire.unique_name)
            forger.emit(PATH, IFACE, "Down", "s", ["forged"], to=us)
            await forger.ask("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", "", [])
            service.emit(PATH, IFACE, "Down", "sv", ["true", Variant("i", -3)])
            await until(lambda: bool(watcher.signals), "the signal")
            assert watcher.signals == [Signal(NAME, PATH, IFACE, "Down", ("true", -3))]

    run(main)


def test_rules_choose_signals(bus: PrivateBus) -> None:
    """With parts of rules, only the signals that these let through come."""

    async def main() -> None:
        parts = ("member='Down'", "member='Up'")
        async with FakeService(bus.address, NAME) as service, Watcher(bus.address, parts) as watcher:
            await watcher.owned()
            for member in ("Noise", "Down", "Noise", "Up"):
                service.emit(PATH, IFACE, member, "", [])
            await until(lambda: len(watcher.signals) == 2, "both signals")
            assert [s.member for s in watcher.signals] == ["Down", "Up"]

    run(main)


def test_order_is_kept(bus: PrivateBus) -> None:
    """An answer and the signals around it are seen in the order in which they were sent."""

    async def main() -> None:
        def get(_: object) -> tuple[str, list[str]]:
            service.emit(PATH, IFACE, "Before", "", [])
            asyncio.get_running_loop().call_soon(lambda: service.emit(PATH, IFACE, "After", "", []))
            return "s", ["answer"]

        methods: dict[tuple[str, str], Method] = {(IFACE, "Get"): get}
        async with FakeService(bus.address, NAME, methods) as service, Watcher(bus.address) as watcher:
            await watcher.owned()
            for _ in range(50):
                del watcher.told[:]
                watcher.told.append((await watcher.dbus.call(NAME, PATH, IFACE, "Get"))[0])
                await until(lambda: len(watcher.told) == 3, "all three")
                seen = [t.member if isinstance(t, Signal) else t for t in watcher.told]
                assert seen == ["Before", "answer", "After"]

    run(main)


def test_bus_dies_and_returns(bus: PrivateBus) -> None:
    """When the bus dies every call ends at once and every owner is gone; both return with the bus."""

    async def main() -> None:
        async with Watcher(bus.address) as watcher:
            async with FakeService(bus.address, NAME, SILENT):
                await watcher.owned()
                waiting = asyncio.create_task(
                    watcher.dbus.call(NAME, PATH, IFACE, "Wait", limit_s=4 * WAIT_S)
                )
                await asyncio.sleep(0)
                bus.kill()
                with pytest.raises(NoDBus, match="hung up"):
                    await waiting
                await until(lambda: watcher.owners()[-1] is None, "no owner")
                assert not watcher.dbus.connected
                with pytest.raises(NoDBus):
                    await watcher.dbus.call(NAME, PATH, IFACE, "Get")
            bus.start()
            async with FakeService(bus.address, NAME, ANSWER):
                await watcher.owned()
                assert (await watcher.dbus.call(NAME, PATH, IFACE, "Get"))[0] == {"a": 7}

    run(main)


def test_frozen_bus_blocks_nobody(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus that has stopped answering costs a call its limit, and a new connection its own."""

    async def main() -> None:
        late = Watcher(bus.address)
        async with FakeService(bus.address, NAME, ANSWER), Watcher(bus.address) as watcher:
            await watcher.owned()
            bus.freeze()
            with pytest.raises(TimedOut):
                await watcher.dbus.call(NAME, PATH, IFACE, "Get", limit_s=0.05)
            monkeypatch.setattr(connection_room, "OPEN_S", 0.05)
            async with late:
                assert not late.dbus.connected
                monkeypatch.setattr(connection_room, "OPEN_S", WAIT_S)
                bus.freeze(on=False)
                await late.owned()
                await watcher.dbus.call(NAME, PATH, IFACE, "Get")

    run(main)


def test_no_bus_yet(tmp_path: Path) -> None:
    """Without a bus the start says so at once; the connection is made when the bus comes."""

    async def main() -> None:
        bus = PrivateBus(tmp_path)
        watcher = Watcher(bus.address)
        assert not await watcher.dbus.start()
        try:
            with pytest.raises(NoDBus, match="cannot be used"):
                await watcher.dbus.call(NAME, PATH, IFACE, "Get")
            bus.start()
            await until(lambda: watcher.owners() == [None], "it is connected")
            assert watcher.dbus.connected
        finally:
            await watcher.dbus.stop()
            bus.kill()

    run(main)


def test_stop_ends_calls(bus: PrivateBus) -> None:
    """A stop ends the calls under way, and nothing is told after it; a second stop does nothing."""

    async def main() -> None:
        async with FakeService(bus.address, NAME, SILENT), Watcher(bus.address) as watcher:
            await watcher.owned()
            waiting = asyncio.create_task(watcher.dbus.call(NAME, PATH, IFACE, "Wait"))
            await asyncio.sleep(0)
            del watcher.told[:]
            await watcher.dbus.stop()
            with pytest.raises(NoDBus, match="stopped"):
                await waiting
        assert not watcher.told

    run(main)


def test_long_message_ends_only_the_connection(bus: PrivateBus) -> None:
    """A message longer than what is read ends the connection, which is made again."""

    async def main() -> None:
        async with FakeService(bus.address, NAME, ANSWER) as service, Watcher(bus.address) as watcher:
            await watcher.owned()
            service.emit(PATH, IFACE, "Flood", "ay", [bytes(2 << 20)])
            await until(lambda: None in watcher.owners(), "the connection ends")
            await watcher.owned()
            assert not watcher.signals
            assert (await watcher.dbus.call(NAME, PATH, IFACE, "Get"))[0] == {"a": 7}

    run(main)
