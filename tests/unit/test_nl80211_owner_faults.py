"""iwd, a bus that dies or is not there, a missing library, and values of other types than promised."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dbus_kit import PrivateBus, Refuse, private_bus, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supplicant_kit import DEVICE, NETWORKS, PATH, FakeIwd, FakeSupplicant, Rig, run, to
from wifi_kit import NAME, A, octets

from lies.dbus import Signal
from lies.errors import LiesError
from lies_nl80211 import iwd, wpa_supplicant
from lies_nl80211.items import OwnersTold
from lies_nl80211.owners import WITHOUT_BUS, WITHOUT_LIBRARY
from lies_nl80211.pending import Order


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    """A private dbus-daemon."""
    with private_bus(tmp_path) as running:
        yield running


# ---- iwd


def test_iwd_is_found_and_lost(bus: PrivateBus) -> None:
    """A device of iwd is managed while it is a station."""

    async def main() -> None:
        async with Rig(bus.address) as rig:
            async with FakeIwd(bus.address, NAME, {}, developer=False) as fake:
                await rig.owns(wlan0="iwd")
                fake.station(there=False)
                await rig.owns()
                fake.station(there=True)
                await rig.owns(wlan0="iwd")
            await rig.owns()

    run(main)


def test_iwd_in_developer_mode(bus: PrivateBus) -> None:
    """In developer mode iwd is told the very access point."""

    async def main() -> None:
        async with FakeIwd(bus.address, NAME, {"net": True}, developer=True) as fake, Rig(bus.address) as rig:
            await rig.owns(wlan0="iwd")
            assert await rig.order("iwd", to(A, b"net", roam=True)) is None
            assert await rig.order("iwd", to(A, b"other", roam=False)) is None
            assert await rig.order("iwd", Order(NAME, None)) is None
            assert fake.done == [
                ("Roam", "3", octets(A)),
                ("ConnectBssid", "3", octets(A)),
                ("Disconnect", "3", None),
            ]

    run(main)


def test_iwd_by_network(bus: PrivateBus) -> None:
    """Without developer mode iwd is asked for the network; what it cannot be asked for is refused."""

    async def main() -> None:
        networks = {"cafe": False, "net": True}
        async with FakeIwd(bus.address, NAME, networks, developer=False) as fake, Rig(bus.address) as rig:
            await rig.owns(wlan0="iwd")
            assert await rig.order("iwd", to(A, b"net", roam=False)) is None
            assert fake.done == [("Connect", "network_1", None)]
            assert "iwd -E" in str(await rig.order("iwd", to(A, b"net", roam=True)))
            assert "has not found that network" in str(await rig.order("iwd", to(A, b"none", roam=False)))
            fake.refusals["Connect"] = Refuse("net.connman.iwd.NoAgent", "No Agent registered")
            assert "No Agent registered" in str(await rig.order("iwd", to(A, b"cafe", roam=False)))
            fake.refusals["Disconnect"] = Refuse("net.connman.iwd.NotConnected", "Not connected")
            assert await rig.order("iwd", Order(NAME, None)) is None

    run(main)


# ---- a bus that is not there, values that lie


def test_bus_that_is_not_there(tmp_path: Path) -> None:
    """Without a bus nobody is known to manage anything, and why is told; the start does not wait for it."""

    async def main() -> None:
        async with Rig(f"unix:path={tmp_path}/bus") as rig:
            assert rig.told[-1] == OwnersTold({}, WITHOUT_BUS)

    run(main)


def test_bus_that_does_not_answer(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus that has stopped answering holds up no start; what it says when it goes on is followed."""
    monkeypatch.setattr("lies_nl80211.owners.START_S", 0.05)

    async def main() -> None:
        async with FakeSupplicant(bus.address, NAME, NETWORKS):
            bus.freeze()
            async with Rig(bus.address) as rig:
                assert rig.told == []
                bus.freeze(on=False)
                await rig.owns(wlan0="wpa_supplicant")

    run(main)


def test_bus_that_dies(bus: PrivateBus) -> None:
    """When the bus dies nobody manages anything any more; when it returns all is found out again."""

    async def main() -> None:
        async with Rig(bus.address) as rig:
            async with FakeSupplicant(bus.address, NAME, NETWORKS):
                await rig.owns(wlan0="wpa_supplicant")
                bus.kill()
                await rig.owns()
                assert rig.told[-1].missing == WITHOUT_BUS
            bus.start()
            async with FakeSupplicant(bus.address, NAME, NETWORKS):
                await rig.owns(wlan0="wpa_supplicant")
                assert rig.told[-1].missing == ""

    run(main)


def test_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dbus-next the driver goes on, and says what to install."""
    monkeypatch.setitem(sys.modules, "lies.dbus", None)

    async def main() -> None:
        async with Rig("unix:path=/nonexistent/bus") as rig:
            assert rig.told == [OwnersTold({}, WITHOUT_LIBRARY)]

    run(main)


def test_bus_that_denies(bus: PrivateBus) -> None:
    """A wpa_supplicant that this process may not talk to is named in what is missing."""

    def deny(_: object) -> None:
        raise Refuse("org.freedesktop.DBus.Error.AccessDenied", "rejected")

    async def main() -> None:
        async with Rig(bus.address) as rig:
            fake = FakeSupplicant(bus.address, NAME, NETWORKS)
            fake.methods["org.freedesktop.DBus.Properties", "GetAll"] = deny
            async with fake:
                await until(lambda: "wpa_supplicant may be" in rig.told[-1].missing, "it is named")

    run(main)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from([PATH, DEVICE, "/", NAME, iwd.DEVICE, iwd.STATION, "Interfaces", "Ifname", "Name"]),
    lambda held: (
        st.lists(held, max_size=4)
        | st.dictionaries(
            st.sampled_from([PATH, DEVICE, iwd.DEVICE, iwd.STATION, iwd.NETWORK, "Name", "Ifname", "Device"])
            | st.text(max_size=5)
            | st.integers(),
            held,
            max_size=4,
        )
    ),
    max_leaves=12,
)


FEW = st.lists(anything, max_size=3)


class LyingBus:
    """Answers every call with anything."""

    def __init__(self, answers: list[Any]) -> None:
        self._answers = answers

    async def call(self, *_: object, **__: object) -> tuple[Any, ...]:
        """Anything."""
        return tuple(self._answers.pop() for _ in range(min(len(self._answers), 1)))

    async def get_all(self, *_: object, **__: object) -> dict[str, Any]:
        """A table, of anything."""
        found = self._answers.pop() if self._answers else {}
        return found if isinstance(found, dict) else {"Interfaces": found, "Properties": found}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(anything, max_size=8),
    st.lists(st.tuples(st.sampled_from(["InterfaceAdded", "InterfaceRemoved"]), FEW)),
    st.booleans(),
)
def test_values_of_other_types(answers: list[Any], signals: list[tuple[str, list[Any]]], roam: bool) -> None:
    """Whatever types answers and signals have, an order ends well or in a sentence of ours."""

    async def main() -> None:
        lying: Any = LyingBus(answers)
        for owner in (wpa_supplicant.WpaSupplicant(lying, lambda: None), iwd.Iwd(lying, lambda: None)):
            await owner.learn()
            for member, body in signals:
                name = member.replace("face", "faces") if isinstance(owner, iwd.Iwd) else member
                path = wpa_supplicant.ROOT if isinstance(owner, wpa_supplicant.WpaSupplicant) else "/"
                owner.signal(Signal("x", path, "x", name, tuple(body)))
            assert all(isinstance(link, str) for link in owner.links)
            for link in (NAME, *owner.links):
                for order in (Order(link, None), Order(link, A, b"net", 2437, roam=roam)):
                    with suppress(LiesError):
                        await owner.follow(order)
                await owner.settle(link)

    asyncio.run(main())
