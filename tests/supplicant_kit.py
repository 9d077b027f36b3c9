"""wpa_supplicant and iwd as their documents describe them on D-Bus, and the room that speaks to them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from dbus_kit import WAIT_S, Answer, FakeService, Refuse, until
from dbus_next.message import Message
from wifi_kit import NAME

from lies.dbus import Variant
from lies_nl80211 import iwd, wpa_supplicant
from lies_nl80211.items import Instruct, OwnersTold, Taken
from lies_nl80211.owners import Owners
from lies_nl80211.pending import Order

_PROPERTIES = "org.freedesktop.DBus.Properties"
PATH = "/fi/w1/wpa_supplicant1/Interfaces/0"
NETWORKS = {0: {"ssid": '"net"'}, 1: {"ssid": "6f74686572", "bssid": "02:00:00:00:00:99"}, 2: {"psk": '"x"'}}


class FakeSupplicant(FakeService):
    """One interface `link` and configured networks: path number -> properties (ssid in its own quotes)."""

    def __init__(self, address: str, link: str, networks: Mapping[int, Mapping[str, str]]) -> None:
        methods = {
            (_PROPERTIES, "GetAll"): self._get_all,
            (_PROPERTIES, "Get"): self._get,
            (_PROPERTIES, "Set"): self._set,
            (wpa_supplicant.INTERFACE, "Roam"): self._done,
            (wpa_supplicant.INTERFACE, "Disconnect"): self._done,
            (wpa_supplicant.INTERFACE, "SelectNetwork"): self._select,
        }
        super().__init__(address, wpa_supplicant.SERVICE, methods)
        self.interfaces = {PATH: link}
        self.networks = {f"{PATH}/Networks/{n}": dict(p) for n, p in networks.items()}
        self.enabled = dict.fromkeys(self.networks, True)
        self.refusals: dict[str, Refuse] = {}  # member -> error
        self.done: list[tuple[str, Any]] = []  # member, argument: what it was told to do, in order

    def appear(self, path: str, link: str) -> None:
        """Another interface comes."""
        self.interfaces[path] = link
        body = [path, {"Ifname": Variant("s", link)}]
        self.emit(wpa_supplicant.ROOT, wpa_supplicant.SERVICE, "InterfaceAdded", "oa{sv}", body)

    def vanish(self, path: str) -> None:
        """An interface goes."""
        del self.interfaces[path]
        self.emit(wpa_supplicant.ROOT, wpa_supplicant.SERVICE, "InterfaceRemoved", "o", [path])

    def _get_all(self, call: Message) -> Answer:
        if call.path == wpa_supplicant.ROOT:
            return "a{sv}", [{"Interfaces": Variant("ao", list(self.interfaces))}]
        details = {k: Variant("s", v) for k, v in self.networks[call.path].items()}
        enabled = Variant("b", self.enabled[call.path])
        return "a{sv}", [{"Properties": Variant("a{sv}", details), "Enabled": enabled}]

    def _get(self, call: Message) -> Answer:
        if call.body[1] == "Ifname":
            return "v", [Variant("s", self.interfaces[call.path])]
        assert call.body[1] == "Networks"
        return "v", [Variant("ao", list(self.networks))]

    def _set(self, call: Message) -> Answer:
        _, name, value = call.body
        self.done.append((f"{call.path.rpartition('/')[2]} {name}", value))
        if name == "Enabled":
            self.enabled[call.path] = value
        else:
            self.networks[call.path].update(value)
        return "", []

    def _done(self, call: Message) -> Answer:
        self.done.append((call.member, call.body[0] if call.body else None))
        if call.member in self.refusals:
            raise self.refusals[call.member]
        return "", []

    def _select(self, call: Message) -> Answer:
        self.done.append(("SelectNetwork", call.body[0].rpartition("/")[2]))
        if "SelectNetwork" in self.refusals:
            raise self.refusals["SelectNetwork"]
        for network in self.enabled:
            self.enabled[network] = network == call.body[0]
        return "", []


DEVICE = "/net/connman/iwd/0/3"


class FakeIwd(FakeService):
    """One device `link` and the networks that it has found: name -> whether it is known."""

    def __init__(self, address: str, link: str, networks: Mapping[str, bool], *, developer: bool) -> None:
        methods = {
            ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects"): self._objects,
            (iwd.NETWORK, "Connect"): self._done,
            (iwd.STATION, "Disconnect"): self._done,
        }
        if developer:
            methods |= {(iwd.DEBUG, "Roam"): self._done, (iwd.DEBUG, "ConnectBssid"): self._done}
        super().__init__(address, iwd.SERVICE, methods)
        self.link, self.networks, self.developer = link, dict(networks), developer
        self.refusals: dict[str, Refuse] = {}
        self.done: list[tuple[str, str, Any]] = []  # member, end of the path, argument

    def objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """What it has."""
        device: dict[str, dict[str, Variant]] = {
            iwd.DEVICE: {"Name": Variant("s", self.link), "Mode": Variant("s", "station")},
            iwd.STATION: {"State": Variant("s", "disconnected")},
        }
        if self.developer:
            device[iwd.DEBUG] = {"AutoConnect": Variant("b", True)}
        found = {DEVICE: device}
        for number, (name, known) in enumerate(self.networks.items()):
            about = {"Name": Variant("s", name), "Device": Variant("o", DEVICE)}
            if known:
                about["KnownNetwork"] = Variant("o", f"/net/connman/iwd/known_{number}")
            found[f"{DEVICE}/network_{number}"] = {iwd.NETWORK: about}
        return found

    def station(self, *, there: bool) -> None:
        """The device becomes a station, or something else."""
        manager = "org.freedesktop.DBus.ObjectManager"
        if there:
            body = [DEVICE, {iwd.STATION: {"State": Variant("s", "disconnected")}}]
            self.emit("/", manager, "InterfacesAdded", "oa{sa{sv}}", body)
        else:
            self.emit("/", manager, "InterfacesRemoved", "oas", [DEVICE, [iwd.STATION]])

    def _objects(self, _: Message) -> Answer:
        return "a{oa{sa{sv}}}", [self.objects()]

    def _done(self, call: Message) -> Answer:
        self.done.append((call.member, call.path.rpartition("/")[2], call.body[0] if call.body else None))
        if call.member in self.refusals:
            raise self.refusals[call.member]
        return "", []


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
