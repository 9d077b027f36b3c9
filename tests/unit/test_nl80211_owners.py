"""wpa_supplicant and iwd on a real bus: found out, followed, given orders, and dead at any time."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
from dbus_kit import WAIT_S, PrivateBus, Refuse, private_bus, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from radio_host import RecordingHost
from supplicant_kit import DEVICE, PATH, FakeIwd, FakeSupplicant
from wifi_driver import join
from wifi_driver import run as drive
from wifi_kernel import SimKernel, link_body
from wifi_kit import NAME, A, B, bss_body, gone_body, octets, told

from lies.dbus import Signal
from lies.errors import LiesError
from lies.events import LinkActionFailed
from lies_nl80211 import Nl80211, iwd, wpa_supplicant
from lies_nl80211.items import Instruct, OwnersTold, Taken
from lies_nl80211.owners import WITHOUT_BUS, WITHOUT_LIBRARY, Owners
from lies_nl80211.pending import Order
from lies_nl80211.uapi import Cmd
from lies_nl80211.wpa_supplicant import ssid_of

NETWORKS = {0: {"ssid": '"net"'}, 1: {"ssid": "6f74686572", "bssid": "02:00:00:00:00:99"}, 2: {"psk": '"x"'}}


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    """A private dbus-daemon."""
    with private_bus(tmp_path) as running:
        yield running


class Rig:
    """The owners' room, and what it has told."""

    def __init__(self, address: str) -> None:
        self.told: list[OwnersTold] = []
        self.taken: list[Taken] = []
        self.errors: list[Exception] = []
        self.owners = Owners(self.told.append, self.taken.append, self.errors.append, address=address)
        self._number = 0

    async def __aenter__(self) -> Self:
        await self.owners.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.owners.stop()
        assert not self.errors

    async def owns(self, **links: str) -> None:
        """Wait until these, and no others, are told to be managed."""
        await until(lambda: bool(self.told) and self.told[-1].owners == links, f"owned are {links}")

    async def order(self, owner: str, order: Order) -> str | None:
        """Give an order; why it was refused."""
        self._number += 1
        self.owners.instruct(Instruct(owner, self._number, order))
        await until(lambda: bool(self.taken) and self.taken[-1].number == self._number, "an answer")
        return self.taken[-1].why


def run(main: Callable[[], Awaitable[None]]) -> None:
    """On a loop of its own."""

    async def limited() -> None:
        async with asyncio.timeout(4 * WAIT_S):
            await main()

    asyncio.run(limited())


def to(poa: str, ssid: bytes, *, roam: bool) -> Order:
    """A LinkConnect."""
    return Order(NAME, poa, ssid, 2437, roam=roam)


# ---- wpa_supplicant


def test_supplicant_is_found_and_lost(bus: PrivateBus) -> None:
    """Interfaces of a wpa_supplicant are known when it comes and when it is restarted."""

    async def main() -> None:
        async with Rig(bus.address) as rig:
            assert rig.told == [OwnersTold({})]
            for _ in range(2):
                async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake:
                    await rig.owns(wlan0="wpa_supplicant")
                    fake.appear("/fi/w1/wpa_supplicant1/Interfaces/1", "wlan1")
                    await rig.owns(wlan0="wpa_supplicant", wlan1="wpa_supplicant")
                    fake.vanish(PATH)
                    await rig.owns(wlan1="wpa_supplicant")
                await rig.owns()

    run(main)


def test_supplicant_roams_inside_a_network(bus: PrivateBus) -> None:
    """Inside its network it is told to roam to the very access point; no network is touched."""

    async def main() -> None:
        async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake, Rig(bus.address) as rig:
            await rig.owns(wlan0="wpa_supplicant")
            assert await rig.order("wpa_supplicant", to(A, b"net", roam=True)) is None
            assert fake.done == [("Roam", A)]
            assert await rig.order("wpa_supplicant", Order(NAME, None)) is None
            assert fake.done[1:] == [("Disconnect", None)]

    run(main)


@pytest.mark.parametrize("roam", [False, True])
def test_supplicant_selects_a_network(bus: PrivateBus, roam: bool) -> None:
    """Into another network it goes by SelectNetwork, held to the access point; all is undone afterwards."""

    async def main() -> None:
        async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake, Rig(bus.address) as rig:
            await rig.owns(wlan0="wpa_supplicant")
            fake.refusals["Roam"] = Refuse("fi.w1.wpa_supplicant1.InvalidArgs", "no such BSS")
            fake.enabled[f"{PATH}/Networks/2"] = False
            assert await rig.order("wpa_supplicant", to(A, b"other", roam=roam)) is None
            done = [d for d in fake.done if d[0] != "Roam"]
            assert done == [("1 Properties", {"bssid": A}), ("SelectNetwork", "1")]
            assert list(fake.enabled.values()) == [False, True, False]
            rig.owners.settle(NAME)
            await until(lambda: list(fake.enabled.values()) == [True, True, False], "networks as before")
            assert fake.networks[f"{PATH}/Networks/1"]["bssid"] == "02:00:00:00:00:99"

    run(main)


def test_stop_undoes(bus: PrivateBus) -> None:
    """A driver that stops in the middle of an order leaves the configuration as it was."""

    async def main() -> None:
        async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake:
            async with Rig(bus.address) as rig:
                await rig.owns(wlan0="wpa_supplicant")
                await rig.order("wpa_supplicant", to(A, b"net", roam=False))
                assert fake.networks[f"{PATH}/Networks/0"]["bssid"] == A
            assert fake.networks[f"{PATH}/Networks/0"]["bssid"] == "any"
            assert all(fake.enabled.values())

    run(main)


def test_supplicant_refuses(bus: PrivateBus) -> None:
    """What it refuses, and what it has no network for, comes back as a sentence."""

    async def main() -> None:
        async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake, Rig(bus.address) as rig:
            await rig.owns(wlan0="wpa_supplicant")
            why = await rig.order("wpa_supplicant", to(A, b"strange", roam=False))
            assert why == "wpa_supplicant did not follow it: it has no configuration for that network"
            fake.refusals["SelectNetwork"] = Refuse("fi.w1.wpa_supplicant1.UnknownError", "no\x1b[2J")
            assert "no [2J" in str(await rig.order("wpa_supplicant", to(A, b"net", roam=False)))
            fake.refusals["Disconnect"] = Refuse("fi.w1.wpa_supplicant1.NotConnected", "not connected")
            assert await rig.order("wpa_supplicant", Order(NAME, None)) is None
            why = await rig.order("wpa_supplicant", Order("wlan7", None))
            assert "does not manage wlan7" in str(why)
            assert "no D-Bus" in str(await rig.order("nobody", Order(NAME, None)))

    run(main)


def test_order_dies_with_the_supplicant(bus: PrivateBus) -> None:
    """An order to a wpa_supplicant that dies while it follows it is refused, and the room goes on."""

    async def main() -> None:
        async with Rig(bus.address) as rig:
            async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake:
                await rig.owns(wlan0="wpa_supplicant")
                fake.methods[wpa_supplicant.INTERFACE, "Disconnect"] = lambda _: fake.leave()
                assert "did not follow it" in str(await rig.order("wpa_supplicant", Order(NAME, None)))
                await rig.owns()
            async with FakeSupplicant(bus.address, NAME, NETWORKS):
                await rig.owns(wlan0="wpa_supplicant")
                assert await rig.order("wpa_supplicant", Order(NAME, None)) is None

    run(main)


def test_later_order_takes_the_place(bus: PrivateBus) -> None:
    """An order whose answer is still out is left for a later one of the same link."""

    async def main() -> None:
        async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake, Rig(bus.address) as rig:
            await rig.owns(wlan0="wpa_supplicant")
            fake.methods[wpa_supplicant.INTERFACE, "Roam"] = lambda _: None
            rig.owners.instruct(Instruct("wpa_supplicant", 100, to(A, b"net", roam=True)))
            await until(lambda: any(member == "Roam" for _, member, _ in fake.calls), "the first order")
            assert await rig.order("wpa_supplicant", Order(NAME, None)) is None
            assert [t.number for t in rig.taken] == [1]

    run(main)


@pytest.mark.parametrize(
    ("value", "ssid"),
    [
        ('"my net"', b"my net"),
        ('"a"b"', b'a"b'),
        ("6e6574", b"net"),
        ('""', b""),
        ('"', None),
        ("xyz", None),
        (7, None),
        (None, None),
    ],
)
def test_ssid_of_a_configuration(value: object, ssid: bytes | None) -> None:
    """An SSID stands in quotes or in hexadecimal digits; anything else is none."""
    assert ssid_of(value) == ssid


def failed(host: RecordingHost) -> list[LinkActionFailed]:
    """The requests that came to nothing."""
    return [i for i in host.indications if isinstance(i, LinkActionFailed)]


def test_driver_through_the_supplicant(bus: PrivateBus) -> None:
    """LinkConnect of a managed link becomes a Roam, the kernel tells the outcome, a refusal is told."""
    kernel = SimKernel()
    kernel.links = [link_body(linkmode=1)]
    kernel.scan = [bss_body(A), bss_body(B)]

    async def play(kernel: SimKernel, driver: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports, "the link")
        assert not host.ports[NAME].controllable
        async with FakeSupplicant(bus.address, NAME, NETWORKS) as fake:
            await until(lambda: host.ports[NAME].controllable, "it can be steered")
            await join(kernel, host, A)
            kernel.tell(told(Cmd.NEW_SCAN_RESULTS))
            await until(lambda: len(host.ports[NAME].entity.status.poas) == 2, "both are heard")
            driver.link_connect(NAME, B)
            await until(lambda: fake.done == [("Roam", B)], "the order")
            kernel.tell(gone_body(A))
            await join(kernel, host, B)
            fake.refusals["Disconnect"] = Refuse("fi.w1.wpa_supplicant1.UnknownError", "not now")
            driver.link_disconnect(NAME, None)
            await until(lambda: bool(failed(host)), "the refusal")
            (only,) = failed(host)
            assert (only.action, only.poa) == ("disconnect", None)
            assert "not now" in only.detail
        await until(lambda: not host.ports[NAME].controllable, "nobody can steer it")

    drive(play, kernel=kernel, dbus=bus.address)


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
