"""A ModemManager of ours: objects, answers, signals. On D-Bus by `serve`, else in memory."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

from dbus_kit import FakeService, Refuse
from dbus_next.message import Message

from lies.dbus import Variant
from lies_cellular import uapi as u

WRONG_STATE = f"{u.NAME}.Error.Core.WrongState"
UNSUPPORTED = f"{u.NAME}.Error.Core.Unsupported"
Emit = Callable[[str, str, str, str, list[Any]], None]
"""Path, interface, member, signature, body."""


class FakeModems:
    """State as of ModemManager 1.20, seen on its real daemon: same properties, same order of signals.

    refuse: (interface, member) -> (error, text); mute: members that are never answered; calls: as they came.
    """

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.waiting: Callable[[], int] = lambda: 0
        self.objects: dict[str, dict[str, dict[str, Variant]]] = {}
        self.bearers: dict[str, dict[str, Variant]] = {}
        self.refuse: dict[tuple[str, str], tuple[str, str]] = {
            (u.SIGNAL, "SetupThresholds"): (UNSUPPORTED, "operation not supported"),
            (u.MODEM, "GetCellInfo"): (UNSUPPORTED, "operation not supported"),
        }
        self.mute: set[str] = set()
        self.cells: list[dict[str, Variant]] = []
        self.networks: list[dict[str, Variant]] = []
        self.pin = "1234"
        self.calls: list[tuple[str, str, list[Any]]] = []
        self._number = 0
        self._bearer = 0

    # ---- what a test does

    def plug(self, net: str | None = "wwan0", *, state: int = 3, imei: str = "490154203237518") -> str:
        """A modem; its path."""
        path = f"{u.ROOT}/Modem/{self._number}"
        self._number += 1
        ports = [["ttyUSB0", 3], *([[net, 2]] if net else [])]
        self.objects[path] = {
            u.MODEM: {
                "State": Variant("i", state),
                "StateFailedReason": Variant("u", 0),
                "AccessTechnologies": Variant("u", 0),
                "SignalQuality": Variant("(ub)", [0, False]),
                "Bearers": Variant("ao", []),
                "Ports": Variant("a(su)", ports),
                "PrimaryPort": Variant("s", "ttyUSB0"),
                "CurrentCapabilities": Variant("u", 8),
                "EquipmentIdentifier": Variant("s", imei),
                "Device": Variant("s", "/sys/devices/usb1/1-1"),
                "UnlockRequired": Variant("u", 1),
                "UnlockRetries": Variant("a{uu}", {}),
                "Sim": Variant("o", f"{u.ROOT}/SIM/0"),
            },
            u.SIMPLE: {},
            u.THREE_GPP: {"RegistrationState": Variant("u", 0), "OperatorCode": Variant("s", "")},
            u.LOCATION: {
                "Enabled": Variant("u", 0),
                "SignalsLocation": Variant("b", False),
                "Location": Variant("a{uv}", {}),
            },
            u.SIGNAL: {
                "Rate": Variant("u", 0),
                **{k: Variant("a{sv}", {}) for k in ("Lte", "Umts", "Gsm", "Nr5g")},
            },
        }
        added = self.objects[path]
        self.emit(u.ROOT, u.OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, added])
        return path

    def unplug(self, path: str) -> None:
        """It is gone, with its connections."""
        names = list(self.objects.pop(path))
        self.emit(u.ROOT, u.OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, names])

    def tell(self, path: str, interface: str, **values: Variant) -> None:
        """Change properties."""
        where = self.bearers[path] if interface == u.BEARER else self.objects[path][interface]
        where.update(values)
        self.emit(path, u.PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, values, []])

    def state(self, path: str, *states: int) -> None:
        """The states, one after the other."""
        for state in states:
            self.tell(path, u.MODEM, State=Variant("i", state))

    def enable(self, path: str, cell: str = "00C0FFEE", technology: int = 1 << 14) -> None:
        """It is enabled, registers at home and tells its signal."""
        self.state(path, 5, 6, 7)
        self.tell(path, u.MODEM, AccessTechnologies=Variant("u", technology))
        self.tell(path, u.THREE_GPP, OperatorCode=Variant("s", "24001"))
        self.register(path, 1)
        self.cell(path, cell)
        self.state(path, 8)
        self.quality(path, 54)

    def register(self, path: str, state: int) -> None:
        """MMModem3gppRegistrationState."""
        self.tell(path, u.THREE_GPP, RegistrationState=Variant("u", state))

    def cell(self, path: str, cell: str, tac: str = "1A2B") -> None:
        """Another cell, in LTE."""
        self.located(path, f"240,01,0,{cell},{tac}")

    def located(self, path: str, said: str | None) -> None:
        """The location as it is told, None: no cell."""
        told = {} if said is None else {1: Variant("s", said)}
        self.tell(path, u.LOCATION, Location=Variant("a{uv}", told))

    def quality(self, path: str, percent: int, *, recent: bool = True) -> None:
        """The percentage."""
        self.tell(path, u.MODEM, SignalQuality=Variant("(ub)", [percent, recent]))

    def levels(self, path: str, technology: str = "Lte", **levels: float) -> None:
        """Raw levels."""
        told = {name: Variant("d", level) for name, level in levels.items()}
        self.tell(path, u.SIGNAL, **{technology: Variant("a{sv}", told)})

    def connect(self, path: str, *, net: str = "wwan0", roaming: bool = False, kind: int = 1) -> str:
        """A connection; its path."""
        bearer = f"{u.ROOT}/Bearer/{self._bearer}"
        self._bearer += 1
        self.bearers[bearer] = {
            "Connected": Variant("b", False),
            "Interface": Variant("s", ""),
            "BearerType": Variant("u", kind),
            "ConnectionError": Variant("(ss)", ["", ""]),
            "Properties": Variant("a{sv}", {"allow-roaming": Variant("b", roaming)}),
            "Stats": Variant("a{sv}", {"duration": Variant("u", 0)}),
        }
        listed = [*self.objects[path][u.MODEM]["Bearers"].value, bearer]
        self.tell(path, u.MODEM, Bearers=Variant("ao", listed))
        self.state(path, 10, 11)
        self.tell(bearer, u.BEARER, Connected=Variant("b", True), Interface=Variant("s", net))
        return bearer

    def drop(self, path: str, bearer: str, why: str = "Network disconnected") -> None:
        """The network ends it."""
        self.state(path, 8)
        error = Variant("(ss)", [f"{u.NAME}.Error.Core.Failed", why])
        self.tell(bearer, u.BEARER, Connected=Variant("b", False), ConnectionError=error)

    def disconnect(self, path: str, bearer: str) -> None:
        """Somebody on this machine ends it."""
        self.state(path, 9)
        self.tell(bearer, u.BEARER, Connected=Variant("b", False), Interface=Variant("s", ""))
        self.state(path, 8)

    # ---- what is called

    def call(self, path: str, interface: str, member: str, body: list[Any]) -> tuple[str, list[Any]] | None:
        """The answer: signature and body; None: never; Refuse: an error."""
        self.calls.append((path, member, body))
        if member in self.mute:
            return None
        if (interface, member) in self.refuse:
            raise Refuse(*self.refuse[interface, member])
        answer = getattr(self, f"_answer_{_snake(member)}", None)
        if interface in {u.MODEM, u.SIMPLE, u.THREE_GPP, u.SIGNAL, u.LOCATION} and path not in self.objects:
            raise Refuse("org.freedesktop.DBus.Error.UnknownObject", f"no object {path}")
        if answer is None:
            raise Refuse("org.freedesktop.DBus.Error.UnknownMethod", f"no method {member}")
        found: tuple[str, list[Any]] = answer(path, interface, *body)
        return found

    async def drained(self) -> None:
        """Wait until the bus has taken what was signalled."""
        while self.waiting():  # noqa: ASYNC110 - the library tells nobody when it has written
            await asyncio.sleep(0)

    def asked(self, member: str) -> list[list[Any]]:
        """The arguments of every call of a method."""
        return [body for _, name, body in self.calls if name == member]

    def _answer_get_managed_objects(self, _path: str, _interface: str) -> tuple[str, list[Any]]:
        return "a{oa{sa{sv}}}", [self.objects]

    def _answer_get_all(self, path: str, _interface: str, wanted: str) -> tuple[str, list[Any]]:
        if wanted != u.BEARER or path not in self.bearers:
            raise Refuse("org.freedesktop.DBus.Error.UnknownObject", f"no object {path}")
        return "a{sv}", [self.bearers[path]]

    def _answer_setup(self, path: str, interface: str, *wanted: Any) -> tuple[str, list[Any]]:
        if self.objects[path][u.MODEM]["State"].value < 6:
            raise Refuse(WRONG_STATE, "not enabled yet")
        if interface == u.SIGNAL:
            self.tell(path, u.SIGNAL, Rate=Variant("u", wanted[0]))
        else:
            self.tell(
                path,
                u.LOCATION,
                Enabled=Variant("u", wanted[0]),
                SignalsLocation=Variant("b", wanted[1]),
                Location=self.objects[path][u.LOCATION]["Location"],
            )
        return "", []

    def _answer_setup_thresholds(self, _path: str, _interface: str, _wanted: Any) -> tuple[str, list[Any]]:
        return "", []

    def _answer_get_cell_info(self, _path: str, _interface: str) -> tuple[str, list[Any]]:
        return "aa{sv}", [self.cells]

    def _answer_scan(self, _path: str, _interface: str) -> tuple[str, list[Any]]:
        return "aa{sv}", [self.networks]

    def _answer_connect(self, path: str, _interface: str, wanted: Mapping[str, Any]) -> tuple[str, list[Any]]:
        if "operator-id" in wanted:
            operator = str(wanted["operator-id"])
            self.tell(path, u.THREE_GPP, OperatorCode=Variant("s", operator))
            self.located(path, f"{operator[:3]},{operator[3:]},0,ABC,1")
        return "o", [self.connect(path, roaming=bool(wanted["allow-roaming"]))]

    def _answer_disconnect(self, path: str, _interface: str, which: str) -> tuple[str, list[Any]]:
        for bearer in self.objects[path][u.MODEM]["Bearers"].value:
            if which in {"/", bearer} and self.bearers[bearer]["Connected"].value:
                self.disconnect(path, bearer)
        return "", []

    def _answer_delete_bearer(self, path: str, _interface: str, bearer: str) -> tuple[str, list[Any]]:
        del self.bearers[bearer]
        left = [b for b in self.objects[path][u.MODEM]["Bearers"].value if b != bearer]
        self.tell(path, u.MODEM, Bearers=Variant("ao", left))
        return "", []

    def _answer_send_pin(self, _path: str, _interface: str, pin: str) -> tuple[str, list[Any]]:
        (modem,) = self.objects
        if pin != self.pin:
            self.tell(modem, u.MODEM, UnlockRetries=Variant("a{uu}", {2: 2}))
            raise Refuse(f"{u.NAME}.Error.MobileEquipment.IncorrectPassword", "Incorrect password")
        self.state(modem, 2, 1, 3)
        return "", []


def _snake(member: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", member).lower()


def serve(address: str) -> tuple[FakeService, FakeModems]:
    """Both on a bus; the service is an asynchronous context."""

    def emit(path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        service.emit(path, interface, member, signature, body)

    def waiting() -> int:
        wire = service._wire
        return 0 if wire is None else int(wire._writer.messages.qsize())

    modems = FakeModems(emit)
    modems.waiting = waiting

    def answer(call: Message) -> tuple[str, list[Any]] | None:
        return modems.call(call.path, call.interface, call.member, call.body)

    methods = {
        (interface, member): answer
        for interface in (
            u.MODEM,
            u.SIMPLE,
            u.THREE_GPP,
            u.SIGNAL,
            u.LOCATION,
            u.SIM,
            u.PROPERTIES,
            u.OBJECT_MANAGER,
        )
        for member in (
            "GetManagedObjects",
            "GetAll",
            "Setup",
            "SetupThresholds",
            "GetCellInfo",
            "Scan",
            "Connect",
            "Disconnect",
            "DeleteBearer",
            "SendPin",
        )
    }
    service = FakeService(address, u.NAME, methods)
    return service, modems
