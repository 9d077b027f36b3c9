"""The cellular driver on a D-Bus of its own, with a ModemManager of ours; and when either dies."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from dbus_kit import FakeService, PrivateBus, private_bus, until
from fake_modems import FakeModems, serve
from radio_host import RecordingHost

from lies.dbus import Variant
from lies.errors import ConfigError
from lies.events import Attached, Detached, RawItem, Sample, Warned
from lies.runtime import monotonic_ns
from lies_cellular import Cellular, uapi
from lies_cellular.config import CellularConfig

CELL = "24001-1A2B-C0FFEE"
DBUS = "org.freedesktop.DBus"
Play = Callable[[FakeModems, Cellular, RecordingHost], Awaitable[None]]


def of(host: RecordingHost, link: str = "wwan0") -> list[RawItem]:
    """The items of a link."""
    port = host.ports.get(link)
    return [] if port is None else port.items


def moves(host: RecordingHost) -> list[str]:
    """Attached, Detached and Warned, as words."""
    return [
        f"{type(i).__name__} {i.reason}" if isinstance(i, Detached | Warned) else type(i).__name__
        for i in of(host)
        if isinstance(i, Attached | Detached | Warned)
    ]


def run(bus: PrivateBus, play: Play, config: CellularConfig | None = None) -> RecordingHost:
    """Play with a driver and a ModemManager on that bus."""
    host = RecordingHost()
    driver = Cellular("cell", config or CellularConfig(bus=bus.address), host)

    async def main() -> None:
        service, modems = serve(bus.address)
        async with service, asyncio.timeout(120):
            await driver.start()
            try:
                await play(modems, driver, host)
            finally:
                await driver.stop()

    asyncio.run(main())
    assert host.error is None
    return host


async def connected(modems: FakeModems, host: RecordingHost) -> tuple[str, str]:
    """A modem that is enabled and connected, as the driver knows; modem and connection."""
    path = modems.plug()
    modems.enable(path)
    bearer = modems.connect(path)
    await until(lambda: moves(host)[-1:] == ["Attached"], "up")
    return path, bearer


def test_a_modem_is_followed_over_dbus(tmp_path: Path) -> None:
    """It comes, connects, changes its cell, is dropped and goes; the modem was set up meanwhile."""

    async def play(modems: FakeModems, _: Cellular, host: RecordingHost) -> None:
        path, bearer = await connected(modems, host)
        await until(lambda: len(modems.asked("Setup")) == 2, "location and signal are set up")
        modems.levels(path, rsrp=-90.0)
        modems.cell(path, "00C0FFEF")
        modems.drop(path, bearer)
        await until(lambda: moves(host)[-1:] == ["Detached peer"], "down")
        modems.unplug(path)
        await until(lambda: host.ports["wwan0"].removed, "gone")

    with private_bus(tmp_path) as bus:
        host = run(bus, play)
    assert moves(host) == ["Attached", "Detached moved", "Attached", "Detached peer"]
    assert any(isinstance(i, Sample) and i.rsrp_dbm == -90.0 for i in of(host))


def test_link_connect_and_disconnect_go_over_dbus(tmp_path: Path) -> None:
    """Simple.Connect with what is configured, and Simple.Disconnect."""

    async def play(modems: FakeModems, driver: Cellular, host: RecordingHost) -> None:
        modems.enable(modems.plug())
        await until(lambda: any(isinstance(i, Sample) and i.poa == CELL for i in of(host)), "registered")
        driver.link_connect("wwan0", CELL)
        await until(lambda: moves(host) == ["Attached"], "up")
        driver.link_disconnect("wwan0", None)
        await until(lambda: moves(host)[-1] == "Detached requested", "down")
        assert modems.asked("Connect") == [[{"allow-roaming": True, "apn": "internet"}]]

    with private_bus(tmp_path) as bus:
        run(bus, play, CellularConfig(bus=bus.address, apn="internet", roaming=True))


def test_control_can_be_turned_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Then nothing is called, and it is said."""

    async def play(modems: FakeModems, driver: Cellular, host: RecordingHost) -> None:
        modems.enable(modems.plug())
        await until(lambda: "wwan0" in host.ports, "announced")
        assert not host.ports["wwan0"].controllable
        driver.link_connect("wwan0", CELL)
        assert modems.asked("Connect") == []

    with private_bus(tmp_path) as bus:
        run(bus, play, CellularConfig(bus=bus.address, control=False))
    assert "control = false" in caplog.text


def test_modemmanager_ends_and_comes_back(tmp_path: Path) -> None:
    """Its links are down for the reason driver_lost, and go on with the new one."""

    async def play(modems: FakeModems, _: Cellular, host: RecordingHost) -> None:
        await connected(modems, host)
        modems.emit = lambda *_: None
        first.leave()
        await until(lambda: moves(host)[-1] == "Detached driver_lost", "down")
        service, again = serve(bus.address)
        async with service:
            await connected(again, host)
            assert not host.ports["wwan0"].removed

    with private_bus(tmp_path) as bus:
        host = RecordingHost()
        driver = Cellular("cell", CellularConfig(bus=bus.address), host)
        first: FakeService

        async def main() -> None:
            nonlocal first
            first, modems = serve(bus.address)
            async with first, asyncio.timeout(120):
                await driver.start()
                try:
                    await play(modems, driver, host)
                finally:
                    await driver.stop()

        asyncio.run(main())
    assert moves(host) == ["Attached", "Detached driver_lost", "Attached"]


def test_the_bus_dies_and_comes_back(tmp_path: Path) -> None:
    """Nothing hangs: links are down, a request is refused, and all goes on at the bus's new life."""

    async def play(modems: FakeModems, driver: Cellular, host: RecordingHost) -> None:
        await connected(modems, host)
        bus.kill()
        await until(lambda: moves(host)[-1] == "Detached driver_lost", "down")
        driver.link_connect("wwan0", CELL)
        bus.start()
        service, again = serve(bus.address)
        async with service:
            await connected(again, host)

    with private_bus(tmp_path) as bus:
        host = run(bus, play)
    assert moves(host) == ["Attached", "Detached driver_lost", "Attached"]


def test_a_driver_may_start_before_the_bus(tmp_path: Path) -> None:
    """It waits for it, running."""
    with private_bus(tmp_path) as bus:
        bus.kill()
        host = RecordingHost()
        driver = Cellular("cell", CellularConfig(bus=bus.address), host)

        async def main() -> None:
            async with asyncio.timeout(120):
                await driver.start()
                bus.start()
                service, modems = serve(bus.address)
                async with service:
                    await connected(modems, host)
                    await driver.stop()

        asyncio.run(main())
    assert moves(host) == ["Attached"]


def test_a_modemmanager_that_does_not_answer_keeps_nobody(tmp_path: Path) -> None:
    """The start ends at its limit; the list is asked for again and again."""

    async def main() -> None:
        service, modems = serve(bus.address)
        modems.mute.add("GetManagedObjects")
        async with service, asyncio.timeout(120):
            await driver.start()
            await until(lambda: len(modems.asked("GetManagedObjects")) >= 2, "asked again")
            modems.mute.clear()
            modems.enable(modems.plug())
            await until(lambda: "wwan0" in host.ports, "announced")
            await driver.stop()

    with private_bus(tmp_path) as bus:
        host = RecordingHost()
        driver = Cellular("cell", CellularConfig(bus=bus.address, call_s=0.3), host)
        asyncio.run(main())


def test_only_modemmanager_is_believed(tmp_path: Path) -> None:
    """Signals that another process sends, to all or to the driver alone, are nothing."""

    async def play(modems: FakeModems, _: Cellular, host: RecordingHost) -> None:
        path, bearer = await connected(modems, host)
        async with FakeService(bus.address, None) as other:
            body = [uapi.BEARER, {"Connected": Variant("b", False)}, []]
            other.emit(bearer, uapi.PROPERTIES, "PropertiesChanged", "sa{sv}as", body)
            removed = [path, [uapi.MODEM]]
            other.emit(uapi.ROOT, uapi.OBJECT_MANAGER, "InterfacesRemoved", "oas", removed)
            await other.ask(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", "", []
            )
            modems.quality(path, 99)
            await until(
                lambda: any(isinstance(i, Sample) and i.rssi_dbm == -51.6 for i in of(host)),
                "the signal after",
            )

    with private_bus(tmp_path) as bus:
        host = run(bus, play)
    assert moves(host) == ["Attached"]


def test_types_that_lie_are_left_out_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A state that is a text, levels that are a number: the log names them, the link goes on."""

    async def play(modems: FakeModems, _: Cellular, host: RecordingHost) -> None:
        path, bearer = await connected(modems, host)
        for _number in range(5):
            modems.tell(path, uapi.MODEM, State=Variant("s", "connected"))
            modems.tell(path, uapi.SIGNAL, Lte=Variant("d", 5.0))
            modems.tell(bearer, uapi.BEARER, Connected=Variant("s", "no"))
        modems.bearers[bearer]["Connected"] = Variant("b", True)
        modems.drop(path, bearer)
        await until(lambda: moves(host)[-1] == "Detached peer", "down")

    with private_bus(tmp_path) as bus, caplog.at_level(logging.WARNING):
        run(bus, play)
    said = [r.getMessage() for r in caplog.records if "is left out" in r.getMessage()]
    assert [s.split()[1] for s in said] == ["Modem.State", "Signal.Lte", "Bearer.Connected"]


def test_a_burst_keeps_neither_loop_nor_news(tmp_path: Path) -> None:
    """Ten thousand signals: the loop turns all the time, a drop among them is told, samples are thinned."""
    longest_ns = 0

    async def watch() -> None:
        nonlocal longest_ns
        before = monotonic_ns()
        while True:
            await asyncio.sleep(0)
            now = monotonic_ns()
            longest_ns, before = max(longest_ns, now - before), now

    async def play(modems: FakeModems, _: Cellular, host: RecordingHost) -> None:
        path, bearer = await connected(modems, host)
        before = len([i for i in of(host) if isinstance(i, Sample)])
        watcher = asyncio.create_task(watch())
        for number in range(10_000):
            modems.quality(path, number % 100)
            if number % 50 == 0:
                await modems.drained()  # they come from this very process
        modems.drop(path, bearer)
        await until(lambda: moves(host)[-1] == "Detached peer", "down")
        watcher.cancel()
        samples.append(len([i for i in of(host) if isinstance(i, Sample)]) - before)

    samples: list[int] = []
    with private_bus(tmp_path) as bus:
        run(bus, play)
    assert 64 <= samples[0] < 5_000
    sys.stdout.write(f"longest turn of the loop {longest_ns / 1e6:.1f} ms, {samples[0]} samples\n")


def test_fifty_signals_are_fifty_samples(tmp_path: Path) -> None:
    """In one burst, each with its own level, in their order."""

    async def play(modems: FakeModems, _: Cellular, host: RecordingHost) -> None:
        path, _bearer = await connected(modems, host)
        modems.levels(path, rsrp=-90.0)
        await until(lambda: any(isinstance(i, Sample) and i.rsrp_dbm == -90.0 for i in of(host)), "measured")
        start.append(len(of(host)))
        for number in range(50):
            modems.levels(path, rsrp=-100.0 - number / 10)
        await until(lambda: any(isinstance(i, Sample) and i.rsrp_dbm == -104.9 for i in of(host)), "the last")

    start: list[int] = []
    with private_bus(tmp_path) as bus:
        host = run(bus, play)
    levels = [i.rsrp_dbm for i in of(host)[start[0] :] if isinstance(i, Sample) and i.rsrp_dbm is not None]
    first = levels.index(-100.0)
    assert levels[first : first + 50] == [-100.0 - n / 10 for n in range(50)]


def test_the_modem_is_left_as_it_was(tmp_path: Path) -> None:
    """What was set up for the driver is taken back when it stops."""

    async def play(modems: FakeModems, _: Cellular, host: RecordingHost) -> None:
        await connected(modems, host)
        await until(lambda: modems.objects[f"{uapi.ROOT}/Modem/0"][uapi.SIGNAL]["Rate"].value == 3, "set up")
        kept.append(modems)

    kept: list[FakeModems] = []
    with private_bus(tmp_path) as bus:
        run(bus, play)
    (modems,) = kept
    objects = modems.objects[f"{uapi.ROOT}/Modem/0"]
    assert objects[uapi.SIGNAL]["Rate"].value == 0
    assert objects[uapi.LOCATION]["Enabled"].value == 0


# ---- without a configuration


def test_modemmanager_is_discovered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it runs on the system's bus the driver offers itself, and nowhere else."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    assert Cellular.discover() == {}

    async def main() -> None:
        service, _ = serve(bus.address)
        async with service:
            assert await asyncio.to_thread(Cellular.discover) == {"cellular": {}}

    with private_bus(tmp_path) as bus:
        assert Cellular.discover() == {}
        asyncio.run(main())


@pytest.mark.parametrize("bus", ["nonsense", "session"])
def test_a_bus_that_cannot_be_is_a_configuration_error(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found when the configuration is checked."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    with pytest.raises(ConfigError):
        Cellular("cell", CellularConfig(bus=bus), RecordingHost())
