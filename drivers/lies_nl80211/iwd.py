"""iwd on D-Bus (net.connman.iwd): which interfaces it manages, and orders to it.

iwd chooses among the access points of a network by itself. To a named one it goes only in developer mode
(iwd -E), which offers StationDebug; without, it can be asked for another network, not for another access
point of the present one.
"""

from collections.abc import Callable
from typing import Any

from lies.dbus import DBusConnection, Signal, values
from lies.errors import DBusRefused
from lies_nl80211.attributes import mac_octets
from lies_nl80211.pending import OUTCOME_S, Order

NAME = "iwd"
SERVICE = "net.connman.iwd"
_MANAGER = "org.freedesktop.DBus.ObjectManager"
RULES = (f"interface='{_MANAGER}'",)
DEVICE, STATION, NETWORK = f"{SERVICE}.Device", f"{SERVICE}.Station", f"{SERVICE}.Network"
DEBUG = f"{SERVICE}.StationDebug"

_Objects = dict[str, dict[str, Any]]  # path -> interface -> properties


class Iwd:
    """One running iwd; changed: called when it has come to manage other interfaces."""

    def __init__(self, dbus: DBusConnection, changed: Callable[[], None]) -> None:
        self._dbus = dbus
        self._changed = changed
        self._names: dict[str, str] = {}  # path of a device -> link
        self._stations: set[str] = set()

    @property
    def links(self) -> tuple[str, ...]:
        """The interfaces that it manages as stations."""
        return tuple(self._paths())

    def forget(self) -> None:
        """It has gone, or another one has taken its place."""
        self._names.clear()
        self._stations.clear()

    async def learn(self) -> None:
        """Ask what it manages; raises as DBusConnection.call does."""
        for path, interfaces in (await self._objects()).items():
            self._there(path, interfaces)
        self._changed()

    def signal(self, signal: Signal) -> None:
        """An object has come or gone."""
        path = values.path(signal.body[0]) if signal.body else None
        if path is None or len(signal.body) < 2:
            return
        if signal.member == "InterfacesAdded":
            there = self._there(path, values.table(signal.body[1]))
        else:
            there = signal.member == "InterfacesRemoved" and self._gone(path, values.entries(signal.body[1]))
        if there:
            self._changed()

    def _there(self, path: str, interfaces: dict[str, Any]) -> bool:
        name = values.text(values.table(interfaces.get(DEVICE)).get("Name"))
        if name:
            self._names[path] = name
        if STATION in interfaces:
            self._stations.add(path)
        return bool(name) or STATION in interfaces

    def _gone(self, path: str, interfaces: list[Any]) -> bool:
        if DEVICE in interfaces:
            self._names.pop(path, None)
        if STATION in interfaces:
            self._stations.discard(path)
        return DEVICE in interfaces or STATION in interfaces

    def _paths(self) -> dict[str, str]:
        return {name: path for path, name in self._names.items() if path in self._stations}

    async def _objects(self) -> _Objects:
        answer = await self._dbus.call(SERVICE, "/", _MANAGER, "GetManagedObjects")
        found = values.table(answer[0]) if answer else {}
        return {path: values.table(held) for path, held in found.items()}

    # ---- orders

    async def follow(self, order: Order) -> None:
        """Begin to follow an order; raises DBusRefused, TimedOut or NoDBus."""
        path = self._paths().get(order.link)
        if path is None:
            raise DBusRefused("", f"it does not manage {order.link} any more")
        if order.poa is None:
            await self._leave(path)
            return
        objects = await self._objects()
        bssid = mac_octets(order.poa)
        if DEBUG in objects.get(path, {}):
            member = "Roam" if order.roam else "ConnectBssid"
            await self._dbus.call(SERVICE, path, DEBUG, member, "ay", bssid, limit_s=OUTCOME_S)
        elif order.roam:
            raise DBusRefused(
                "", "it chooses among the access points of a network itself; iwd -E lets it be told which"
            )
        else:
            network = _network(objects, path, order.ssid)
            await self._dbus.call(SERVICE, network, NETWORK, "Connect", limit_s=OUTCOME_S)

    async def settle(self, link: str) -> None:
        """Nothing was changed for an order."""

    async def _leave(self, path: str) -> None:
        try:
            await self._dbus.call(SERVICE, path, STATION, "Disconnect")
        except DBusRefused as error:
            if error.name != f"{SERVICE}.NotConnected":
                raise


def _network(objects: _Objects, device: str, ssid: bytes) -> str:
    """The path of a network; of two with one name (one open, one not) the known one."""
    name = ssid.decode("utf-8", "replace")
    found: list[tuple[bool, str]] = []
    for path, interfaces in objects.items():
        said = values.table(interfaces.get(NETWORK))
        if said.get("Device") == device and said.get("Name") == name:
            found.append((values.path(said.get("KnownNetwork")) is not None, path))
    if not found:
        raise DBusRefused("", "it has not found that network")
    return max(found)[1]
