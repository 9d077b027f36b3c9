"""wpa_supplicant on D-Bus (fi.w1.wpa_supplicant1): which interfaces it manages, and orders to it.

Inside a network it roams (Roam); into another one it goes by SelectNetwork, with the network held to the
wanted access point meanwhile. Selecting disables the other networks: they are enabled again, and the network
is let go, as soon as the order has come true or to nothing.
"""

import logging
from collections.abc import Callable
from typing import Any

from attrs import define, field

from lies.dbus import DBusConnection, Signal, Variant, values
from lies.errors import DBusRefused, LiesError
from lies_nl80211.pending import Order

log = logging.getLogger(__name__)

NAME = "wpa_supplicant"
SERVICE = "fi.w1.wpa_supplicant1"
RULES = (f"interface='{SERVICE}'",)  # of its root object: what happens on an interface the kernel tells
ROOT = "/fi/w1/wpa_supplicant1"
INTERFACE, NETWORK = f"{SERVICE}.Interface", f"{SERVICE}.Network"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_DENIED = "org.freedesktop.DBus.Error.AccessDenied"


@define
class _Undo:
    """What was changed for an order; bssid: what the network was held to before."""

    network: str
    bssid: str
    disabled: list[str] = field(factory=list)


class WpaSupplicant:
    """One running wpa_supplicant; changed: called when it has come to manage other interfaces."""

    def __init__(self, dbus: DBusConnection, changed: Callable[[], None]) -> None:
        self._dbus = dbus
        self._changed = changed
        self._paths: dict[str, str] = {}  # link -> path
        self._undo: dict[str, _Undo] = {}

    @property
    def links(self) -> tuple[str, ...]:
        """The interfaces that it manages."""
        return tuple(self._paths)

    def forget(self) -> None:
        """It has gone, or another one has taken its place."""
        self._paths.clear()
        self._undo.clear()

    async def learn(self) -> None:
        """Ask what it manages; raises as DBusConnection.call does."""
        root = await self._dbus.get_all(SERVICE, ROOT, SERVICE)
        for found in values.entries(root.get("Interfaces")):
            path = values.path(found)
            if path is not None:
                self._manages(path, await self._get(path, INTERFACE, "Ifname"))

    def signal(self, signal: Signal) -> None:
        """An interface has come or gone."""
        path = values.path(signal.body[0]) if signal.body else None
        if path is None or signal.path != ROOT:
            return
        if signal.member == "InterfaceAdded" and len(signal.body) > 1:
            self._manages(path, values.table(signal.body[1]).get("Ifname"))
        elif signal.member == "InterfaceRemoved":
            for link in [k for k, p in self._paths.items() if p == path]:
                del self._paths[link]
                self._undo.pop(link, None)
            self._changed()

    def _manages(self, path: str, name: object) -> None:
        link = values.text(name)
        if link:
            self._paths[link] = path
            self._changed()

    # ---- orders

    async def follow(self, order: Order) -> None:
        """Begin to follow an order; raises DBusRefused, TimedOut or NoDBus."""
        path = self._paths.get(order.link)
        if path is None:
            raise DBusRefused("", f"it does not manage {order.link} any more")
        if order.poa is None:
            await self._leave(path)
        elif not (order.roam and await self._roam(path, order.poa)):
            await self._select(path, order.link, order.poa, order.ssid)

    async def _leave(self, path: str) -> None:
        try:
            await self._dbus.call(SERVICE, path, INTERFACE, "Disconnect")
        except DBusRefused as error:
            if error.name != f"{SERVICE}.NotConnected":
                raise

    async def _roam(self, path: str, bssid: str) -> bool:
        """Whether it roams; not if its own network is another one meanwhile, and old ones never."""
        try:
            await self._dbus.call(SERVICE, path, INTERFACE, "Roam", "s", bssid)
        except DBusRefused as error:
            if error.name == _DENIED:
                raise
            log.debug("Roam to %s: %s", bssid, error)
            return False
        return True

    async def _select(self, path: str, link: str, bssid: str, ssid: bytes) -> None:
        await self.settle(link)
        networks = {
            network: await self._network(network)
            for found in values.entries(await self._get(path, INTERFACE, "Networks"))
            if (network := values.path(found)) is not None
        }
        fits = [n for n, (_, name, _) in networks.items() if name == ssid]
        if not fits:
            raise DBusRefused("", "it has no configuration for that network")
        chosen = max(fits, key=lambda n: networks[n][0])
        others = [n for n, (enabled, _, _) in networks.items() if enabled and n != chosen]
        self._undo[link] = _Undo(chosen, networks[chosen][2], others)
        await self._hold(chosen, bssid)
        await self._dbus.call(SERVICE, path, INTERFACE, "SelectNetwork", "o", chosen)

    async def _network(self, path: str) -> tuple[bool, bytes | None, str]:
        """Whether a network is enabled, its SSID, and the access point that it is held to."""
        said = await self._dbus.get_all(SERVICE, path, NETWORK)
        details = values.table(said.get("Properties"))
        held = values.text(details.get("bssid")) or "any"
        return bool(values.flag(said.get("Enabled"))), ssid_of(details.get("ssid")), held

    async def _hold(self, network: str, bssid: str) -> None:
        change = Variant("a{sv}", {"bssid": Variant("s", bssid)})
        await self._dbus.call(SERVICE, network, _PROPERTIES, "Set", "ssv", NETWORK, "Properties", change)

    async def settle(self, link: str) -> None:
        """Change back what was changed for the last order."""
        undo = self._undo.pop(link, None)
        if undo is None:
            return
        try:
            await self._hold(undo.network, undo.bssid)
            for network in undo.disabled:
                enabled = Variant("b", True)
                await self._dbus.call(
                    SERVICE, network, _PROPERTIES, "Set", "ssv", NETWORK, "Enabled", enabled
                )
        except LiesError as error:
            log.warning("wpa_supplicant keeps what was changed for %s: %s", link, error)

    async def _get(self, path: str, interface: str, name: str) -> Any:  # noqa: ANN401 - of any type
        answer = await self._dbus.call(SERVICE, path, _PROPERTIES, "Get", "ss", interface, name)
        return answer[0] if answer else None


def ssid_of(value: object) -> bytes | None:
    """An SSID as wpa_supplicant's configuration has it: in quotes, or in hexadecimal digits."""
    said = values.text(value)
    if said is None:
        return None
    if len(said) >= 2 and said[0] == said[-1] == '"':
        return said[1:-1].encode("utf-8", "surrogatepass")
    try:
        return bytes.fromhex(said)
    except ValueError:
        return None
