"""wpa_supplicant and iwd on a real bus: found out, followed, given orders, and dead at any time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_kit import PrivateBus, Refuse, private_bus, until
from radio_host import RecordingHost
from supplicant_kit import NETWORKS, PATH, FakeSupplicant, Rig, run, to
from wifi_driver import join
from wifi_driver import run as drive
from wifi_kernel import SimKernel, link_body
from wifi_kit import NAME, A, B, bss_body, gone_body, told

from lies.events import LinkActionFailed
from lies_nl80211 import Nl80211, wpa_supplicant
from lies_nl80211.items import Instruct, OwnersTold
from lies_nl80211.pending import Order
from lies_nl80211.uapi import Cmd
from lies_nl80211.wpa_supplicant import ssid_of


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    """A private dbus-daemon."""
    with private_bus(tmp_path) as running:
        yield running


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
