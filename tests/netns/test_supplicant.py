"""The installed wpa_supplicant on a private bus: found, given orders, undone, killed and started again.

It runs without a radio (driver none) on the loopback of a namespace: what it does with orders is real, that
nothing comes of them in the air too.
"""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_kit import WAIT_S, PrivateBus, private_bus, until
from netns_kit import namespace
from tools import die_with_parent, need
from wifi_kit import A

from lies.dbus import DBusConnection
from lies_nl80211.items import Instruct, OwnersTold, Taken
from lies_nl80211.owners import Owners
from lies_nl80211.pending import Order
from lies_nl80211.wpa_supplicant import INTERFACE, NETWORK, SERVICE, ssid_of

pytestmark = pytest.mark.netns

LINK = "lo"
NETWORKS = f"/fi/w1/{SERVICE.split('.')[2]}/Interfaces/0/Networks"
CONFIGURATION = """
network={
 ssid="net"
 key_mgmt=NONE
}
network={
 ssid=ff6f7468657200
 key_mgmt=NONE
 bssid=02:00:00:00:00:99
}
network={
 ssid="third"
 key_mgmt=NONE
 disabled=1
}
"""
OTHER = b"\xffother\0"


class Supplicant:
    """A wpa_supplicant of this namespace on a bus."""

    def __init__(self, bus: PrivateBus, folder: Path) -> None:
        self._bus = bus
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "wpa.conf").write_text(CONFIGURATION)

    def start(self) -> None:
        """Run it."""
        command = [need("wpa_supplicant"), "-u", f"-i{LINK}", "-Dnone", f"-c{self._folder / 'wpa.conf'}"]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self._bus.address},
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls what was looked up before the fork
        )

    def kill(self) -> None:
        """End it as a crash does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(WAIT_S)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    """A private dbus-daemon."""
    with private_bus(tmp_path) as running:
        yield running


@pytest.fixture
def supplicant(bus: PrivateBus, tmp_path: Path) -> Iterator[Supplicant]:
    """A wpa_supplicant in a namespace, running."""
    with namespace():
        found = Supplicant(bus, tmp_path)
        found.start()
        try:
            yield found
        finally:
            found.kill()


class Scene:
    """The driver's room, what it told, and a second connection that looks at wpa_supplicant."""

    def __init__(self, address: str) -> None:
        self.told: list[OwnersTold] = []
        self.taken: list[Taken] = []
        self.errors: list[Exception] = []
        self.owners = Owners(self.told.append, self.taken.append, self.errors.append, address=address)
        self.eye = DBusConnection(
            {SERVICE: ()}, on_owner=lambda *_: None, on_signal=lambda _: None, address=address
        )

    async def owned(self, *, by: str | None) -> None:
        """Wait until the link is managed, or is not."""
        await until(lambda: bool(self.told) and self.told[-1].owners.get(LINK) == by, f"owned by {by}")

    async def order(self, number: int, order: Order) -> str | None:
        """Why wpa_supplicant does not follow an order."""
        self.owners.instruct(Instruct("wpa_supplicant", number, order))
        await until(lambda: bool(self.taken) and self.taken[-1].number == number, "an answer")
        return self.taken[-1].why

    async def networks(self) -> list[tuple[bytes | None, str, bool]]:
        """(SSID, BSSID, enabled) of every network that it has configured."""
        found = []
        for number in range(3):
            said: dict[str, Any] = await self.eye.get_all(SERVICE, f"{NETWORKS}/{number}", NETWORK)
            details = said["Properties"]
            found.append((ssid_of(details["ssid"]), details.get("bssid", ""), said["Enabled"]))
        return found


def play(address: str, scene: Callable[[Scene], Awaitable[None]]) -> None:
    """Play a scene."""

    async def main() -> None:
        about = Scene(address)
        async with asyncio.timeout(6 * WAIT_S), about.eye:
            try:
                await about.owners.start()
                await scene(about)
            finally:
                await about.owners.stop()
        assert not about.errors

    asyncio.run(main())


AS_CONFIGURED = [(b"net", "", True), (OTHER, "02:00:00:00:00:99", True), (b"third", "", False)]


@pytest.mark.parametrize("roam", [False, True])
def test_orders_are_followed_and_undone(bus: PrivateBus, supplicant: Supplicant, roam: bool) -> None:
    """It selects the network, held to the access point; afterwards its configuration is as it was before."""
    del supplicant

    async def scene(about: Scene) -> None:
        await about.owned(by="wpa_supplicant")
        await until(lambda: about.eye.owner(SERVICE) is not None, "it is seen")
        assert await about.networks() == AS_CONFIGURED
        assert await about.order(1, Order(LINK, A, OTHER, 2437, roam=roam)) is None
        assert await about.networks() == [(b"net", "", False), (OTHER, A, True), (b"third", "", False)]
        about.owners.settle(LINK)
        for _ in range(1000):
            if await about.networks() == AS_CONFIGURED:
                break
        assert await about.networks() == AS_CONFIGURED
        assert await about.order(2, Order(LINK, None)) is None

    play(bus.address, scene)


def test_network_that_is_not_configured(bus: PrivateBus, supplicant: Supplicant) -> None:
    """An order into a network that it does not know is refused, and nothing is changed."""
    del supplicant

    async def scene(about: Scene) -> None:
        await about.owned(by="wpa_supplicant")
        await until(lambda: about.eye.owner(SERVICE) is not None, "it is seen")
        why = await about.order(1, Order(LINK, A, b"strange", 2437))
        assert why == "wpa_supplicant did not follow it: it has no configuration for that network"
        assert await about.networks() == AS_CONFIGURED

    play(bus.address, scene)


def test_killed_and_started_again(bus: PrivateBus, supplicant: Supplicant) -> None:
    """A wpa_supplicant that is killed owns nothing; the next one is found and given orders."""

    async def scene(about: Scene) -> None:
        await about.owned(by="wpa_supplicant")
        supplicant.kill()
        await about.owned(by=None)
        assert "does not manage lo" in str(await about.order(1, Order(LINK, None)))
        supplicant.start()
        await about.owned(by="wpa_supplicant")
        assert await about.order(2, Order(LINK, A, b"net", 2437)) is None

    play(bus.address, scene)


def test_bus_is_as_documented(bus: PrivateBus, supplicant: Supplicant) -> None:
    """The methods that the driver calls are there with the arguments that it gives."""
    del supplicant

    async def scene(about: Scene) -> None:
        await until(lambda: about.eye.owner(SERVICE) is not None, "it is seen")
        await about.owned(by="wpa_supplicant")
        path = NETWORKS.rpartition("/")[0]
        (text,) = await about.eye.call(SERVICE, path, "org.freedesktop.DBus.Introspectable", "Introspect")
        _, _, after = text.partition(f'<interface name="{INTERFACE}">')
        methods = after.partition("</interface>")[0]
        assert '<method name="Roam"><arg name="addr" type="s" direction="in"/>' in methods
        assert '<method name="SelectNetwork"><arg name="path" type="o" direction="in"/>' in methods
        assert '<method name="Disconnect"/>' in methods

    play(bus.address, scene)
