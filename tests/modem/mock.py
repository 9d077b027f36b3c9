"""python-dbusmock's ModemManager: for what no AT modem has. Its types on the bus are libdbus' own.

The template gives a bare LTE modem; the interfaces that the cellular driver reads are added here, as
ModemManager 1.22 documents them.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dbus
import dbus.bus
from polling import wait_until

from modem.processes import PATIENCE_S, Bus, Process

MANAGER = "org.freedesktop.ModemManager1"
_ROOT = "/org/freedesktop/ModemManager1"
_MOCK = "org.freedesktop.DBus.Mock"
_MODEM, _BEARER = f"{MANAGER}.Modem", f"{MANAGER}.Bearer"
BEARER = f"{_ROOT}/Bearer/0"


class Mock:
    """A ModemManager with one modem and one connection, and what they tell."""

    LTE, NR = 1 << 14, 1 << 15  # MMModemAccessTechnology

    def __init__(self, address: str) -> None:
        self._bus = dbus.bus.BusConnection(address)
        root = self._object(_ROOT)
        self.path, _ = root.AddSimpleModem(dbus_interface=_MOCK)
        modem = self._object(self.path)
        ports = [dbus.Struct(("wwan0", dbus.UInt32(2)), signature="su")]
        more = {
            "Bearers": dbus.Array([dbus.ObjectPath(BEARER)], signature="o"),
            "Ports": dbus.Array(ports, signature="(su)"),
            "CurrentCapabilities": dbus.UInt32(1 << 3 | 1 << 6),
            "EquipmentIdentifier": "490154203237518",
            "Device": "/sys/devices/mock",
            "StateFailedReason": dbus.UInt32(0),
        }
        for name, value in more.items():
            modem.AddProperty(_MODEM, name, value, dbus_interface=_MOCK)
        self.tell("", State=dbus.Int32(11))
        modem.AddProperty(f"{_MODEM}.Modem3gpp", "RegistrationState", dbus.UInt32(1), dbus_interface=_MOCK)
        self.tell(".Modem3gpp", OperatorCode="24001")
        place = dbus.Dictionary({dbus.UInt32(1): "240,01,0,C0FFEE,1A2B"}, signature="uv")
        where = {"Enabled": dbus.UInt32(1), "SignalsLocation": True, "Location": place}
        modem.AddProperties(f"{_MODEM}.Location", where, dbus_interface=_MOCK)
        levels = {name: dbus.Dictionary({}, signature="sv") for name in ("Lte", "Nr5g", "Umts", "Gsm")}
        modem.AddProperties(f"{_MODEM}.Signal", {"Rate": dbus.UInt32(0), **levels}, dbus_interface=_MOCK)
        modem.AddProperties(f"{_MODEM}.Simple", {}, dbus_interface=_MOCK)
        self.answer(".Signal", "SetupThresholds", "a{sv}", "", "")
        self.answer(".Signal", "Setup", "u", "", "")
        self.answer(".Location", "Setup", "ub", "", "")
        connection = {
            "Connected": True,
            "Suspended": False,
            "Interface": "wwan0",
            "BearerType": dbus.UInt32(1),
            "ConnectionError": dbus.Struct(("", ""), signature="ss"),
            "Properties": dbus.Dictionary({"allow-roaming": True}, signature="sv"),
            "Stats": dbus.Dictionary({"duration": dbus.UInt32(0)}, signature="sv"),
        }
        root.AddObject(BEARER, _BEARER, connection, dbus.Array([], signature="(ssss)"), dbus_interface=_MOCK)

    def close(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def answer(self, interface: str, member: str, takes: str, gives: str, code: str) -> None:
        """Have a method of the modem answered by this code."""
        method = (_MODEM + interface, member, takes, gives, code)
        self._object(self.path).AddMethod(*method, dbus_interface=_MOCK)

    def tell(self, interface: str, **values: Any) -> None:
        """Change properties of the modem; levels are given as dictionaries of floats."""
        told = {
            name: dbus.Dictionary(value, signature="sv") if isinstance(value, Mapping) else value
            for name, value in values.items()
        }
        self._object(self.path).UpdateProperties(_MODEM + interface, told, dbus_interface=_MOCK)

    def technology(self, mask: int) -> None:
        """Another access technology."""
        self.tell("", AccessTechnologies=dbus.UInt32(mask))

    def suspend(self, *, on: bool) -> None:
        """The connection passes nothing for a while."""
        self._object(BEARER).UpdateProperties(_BEARER, {"Suspended": on}, dbus_interface=_MOCK)

    def calls(self, member: str) -> list[Any]:
        """The arguments of each call of a method of the modem so far."""
        made = self._object(self.path).GetCalls(dbus_interface=_MOCK)
        return [list(arguments) for _, called, arguments in made if called == member]

    def _object(self, path: str) -> Any:
        return self._bus.get_object(MANAGER, path)


@contextmanager
def mocked() -> Iterator[tuple[Mock, str]]:
    """The mock on a bus of its own, and the bus's address."""
    with TemporaryDirectory(prefix="lies-modem-") as name:
        directory = Path(name)
        bus = Bus(directory, os.environ)
        bus.start()
        try:
            env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address}
            words = [sys.executable, "-m", "dbusmock", "--system", "--template", "modemmanager"]
            process = Process(words, directory / "mock.log", env)
            try:
                mock = _wait(bus.address, process)
                try:
                    yield mock, bus.address
                finally:
                    mock.close()
            finally:
                process.kill()
        finally:
            bus.kill()


def _wait(address: str, process: Process) -> Mock:
    watch = dbus.bus.BusConnection(address)
    try:
        wait_until(lambda: watch.name_has_owner(MANAGER) or not process.alive, PATIENCE_S)
    finally:
        watch.close()
    assert process.alive, process.log.read_text()
    return Mock(address)
