"""What ModemManager's values say: plain values of D-Bus in, properties that can be believed out.

A property that is of another type than ModemManager's documents say, or out of all bounds, is left out and
counted: nothing here raises, whatever comes.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from lies.dbus import values as v
from lies_cellular import uapi as u
from lies_cellular.items import Added, Changed, Item, Purpose, Removed, Values

MOST_ENTRIES = 256  # of any array
_MOST_NAME = 128
_MOST_DB = 200.0
_HEX = frozenset("0123456789ABCDEF")
_DIGITS = frozenset("0123456789")


@frozen
class Cell:
    """A cell; poa: its name; the serving one is not among neighbours."""

    poa: str
    serving: bool = False
    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    snr_db: float | None = None
    rssi_dbm: float | None = None


@frozen
class Place:
    """Where a modem is registered: area and cell in hexadecimal, no leading zeros; tracking: area is TAC."""

    operator: str
    area: str
    cell: str
    tracking: bool

    @property
    def poa(self) -> str:
        """The cell's name."""
        return f"{self.operator}-{self.area}-{self.cell}"

    def same_cell(self, other: "Place") -> bool:
        """LTE and NR number cells within the operator, GSM and UMTS within the area (TS 23.003)."""
        if (self.operator, self.cell) != (other.operator, other.cell):
            return False
        return self.area == other.area or (self.tracking and other.tracking)


@frozen
class Network:
    """A network that a scan found."""

    operator: str
    status: int
    name: str | None = None


def name(value: object) -> str | None:
    """A short text that can be printed."""
    said = v.text(value)
    return said if said is not None and len(said) <= _MOST_NAME and (not said or said.isprintable()) else None


def natural(value: object) -> int | None:
    """An unsigned number of 32 bits."""
    found = v.integer(value)
    return found if found is not None and 0 <= found < 1 << 32 else None


def decibels(value: object) -> float | None:
    """A level that there can be; ModemManager's own word for unknown is far below."""
    found = v.real(value)
    return found if found is not None and -_MOST_DB < found < _MOST_DB else None


def paths(value: object) -> tuple[str, ...] | None:
    """Objects, each once; those beyond the bound are left out."""
    if not isinstance(value, list):
        return None
    found = (v.path(item) for item in value[:MOST_ENTRIES])
    return tuple(dict.fromkeys(p for p in found if p is not None))


def object_path(value: object) -> str | None:
    """An object, "" for none."""
    return "" if value == "/" else v.path(value)


def percent(value: object) -> tuple[int, bool] | None:
    """Of SignalQuality: percent, and whether it was measured lately."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    quality, recent = v.integer(value[0]), v.flag(value[1])
    return None if quality is None or recent is None or not 0 <= quality <= 100 else (quality, recent)


def ports(value: object) -> tuple[str, ...] | None:
    """The network devices among a modem's ports."""
    if not isinstance(value, list):
        return None
    found = [
        (name(e[0]), v.integer(e[1])) for e in value[:MOST_ENTRIES] if isinstance(e, list) and len(e) == 2
    ]
    return tuple(sorted(n for n, kind in found if n and kind == u.PORT_NET))


def numbers(value: object) -> dict[int, int] | None:
    """a{uu}."""
    if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
        return None
    found = {natural(k): natural(n) for k, n in value.items()}
    return {k: n for k, n in found.items() if k is not None and n is not None}


def levels(value: object) -> dict[str, float] | None:
    """a{sv} of levels; what is unknown is left out."""
    if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
        return None
    found = {key: decibels(level) for key, level in v.table(value).items()}
    return {key: level for key, level in found.items() if level is not None}


def signed(value: object) -> int | None:
    """A number of 32 bits."""
    found = v.integer(value)
    return found if found is not None and -(1 << 31) <= found < 1 << 31 else None


def operator(value: object) -> str | None:
    """MCC and MNC as five or six digits, "" for none."""
    said = v.text(value)
    if said == "":
        return ""
    return said if said is not None and 5 <= len(said) <= 6 and set(said) <= _DIGITS else None


def hexadecimal(value: object) -> str | None:
    """An identity as ModemManager writes them, without leading zeros; "0" for none."""
    said = v.text(value)
    if said is None or len(said) > 16:
        return None
    said = said.upper()
    return (said.lstrip("0") or "0") if set(said) <= _HEX else None


def place(value: object) -> Place | None:
    """Of Location: "MCC,MNC,LAC,CI,TAC" under the key 1. None while no cell is known."""
    said = v.text(value.get(u.LOCATION_3GPP)) if isinstance(value, Mapping) else None
    parts = said.split(",") if said is not None else []
    if len(parts) < 4:
        return None
    home = operator(parts[0].strip() + parts[1].strip())
    lac, cell = hexadecimal(parts[2].strip()), hexadecimal(parts[3].strip())
    tac = hexadecimal(parts[4].strip()) if len(parts) > 4 else "0"
    if not home or lac is None or tac is None or cell is None or cell == "0":
        return None
    tracking = tac != "0"
    return Place(home, tac if tracking else lac, cell, tracking)


def located(value: object) -> tuple[Place | None] | None:
    """A location, in a tuple, so that one without a cell is not taken for a lie."""
    return (place(value),) if isinstance(value, Mapping) else None


def config(value: object) -> dict[str, Any] | None:
    """Properties of a bearer: whether it may roam."""
    if not isinstance(value, Mapping):
        return None
    return {"allow-roaming": v.flag(value.get("allow-roaming"))}


def speed(value: object) -> tuple[float | None] | None:
    """Of a bearer's Stats: Mbit/s towards the modem, in a tuple; None in it where it is not told."""
    if not isinstance(value, Mapping):
        return None
    bits = v.integer(value.get("downlink-speed"))
    return (bits / 1e6 if bits is not None and 0 < bits < 1 << 50 else None,)


def failure(value: object) -> tuple[str, str] | None:
    """A D-Bus error as (name, text); of empty texts where there is none."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    kind, said = v.text(value[0]), v.text(value[1])
    return None if kind is None or said is None else (v.shown(kind), v.shown(said))


_Read = Callable[[object], Any]
PROPERTIES: dict[str, dict[str, _Read]] = {
    u.MODEM: {
        "State": signed,
        "StateFailedReason": natural,
        "AccessTechnologies": natural,
        "SignalQuality": percent,
        "Bearers": paths,
        "Ports": ports,
        "PrimaryPort": name,
        "CurrentCapabilities": natural,
        "EquipmentIdentifier": name,
        "Device": name,
        "UnlockRequired": natural,
        "UnlockRetries": numbers,
        "Sim": object_path,
    },
    u.THREE_GPP: {"RegistrationState": natural, "OperatorCode": operator, "OperatorName": name},
    u.SIGNAL: {"Rate": natural, "Lte": levels, "Nr5g": levels, "Umts": levels, "Gsm": levels},
    u.LOCATION: {"Location": located, "Enabled": natural, "SignalsLocation": v.flag},
    u.BEARER: {
        "Connected": v.flag,
        "Suspended": v.flag,
        "Interface": name,
        "BearerType": natural,
        "ConnectionError": failure,
        "Properties": config,
        "Stats": speed,
    },
    u.SIMPLE: {},
}


class Reader:
    """Reads, and counts what it left out; lies: the first sentence about each property."""

    def __init__(self) -> None:
        self.left_out = 0
        self.lies: dict[str, str] = {}

    def properties(self, interface: str, said: object) -> Values:
        """The known properties of an interface that can be believed."""
        wanted = PROPERTIES.get(interface)
        if wanted is None or not isinstance(said, Mapping):
            return {}
        found: dict[str, Any] = {}
        for key, read in wanted.items():
            if key in said:
                value = read(said[key])
                if value is None:
                    self._lie(interface, key, said[key])
                else:
                    found[key] = value
        return found

    def interfaces(self, said: object) -> dict[str, Values]:
        """a{sa{sv}}: the known interfaces of an object."""
        if not isinstance(said, Mapping):
            return {}
        return {i: self.properties(i, said[i]) for i in PROPERTIES if i in said}

    def objects(self, said: object) -> dict[str, dict[str, Values]]:
        """a{oa{sa{sv}}}: every object."""
        if not isinstance(said, Mapping):
            return {}
        found = {}
        for key in list(said)[:MOST_ENTRIES]:
            path = v.path(key)
            if path is not None:
                found[path] = self.interfaces(said[key])
        return found

    def signal(self, t_ns: int, path: str, interface: str, member: str, body: tuple[Any, ...]) -> Item | None:
        """What a signal tells, None if that is nothing of use here."""
        match interface, member:
            case u.PROPERTIES, "PropertiesChanged" if len(body) >= 2 and isinstance(body[0], str):
                values = self.properties(body[0], body[1])
                return Changed(t_ns, path, body[0], values) if values else None
            case u.OBJECT_MANAGER, "InterfacesAdded" if len(body) == 2:
                added = v.path(body[0])
                return None if added is None else Added(t_ns, added, self.interfaces(body[1]))
            case u.OBJECT_MANAGER, "InterfacesRemoved" if len(body) == 2:
                removed = v.path(body[0])
                names = tuple(n for n in v.entries(body[1]) if isinstance(n, str))
                return None if removed is None else Removed(t_ns, removed, names)
        return None

    def answer(self, purpose: Purpose, body: tuple[Any, ...]) -> Any:  # noqa: ANN401 - by purpose
        """The value of a call's answer."""
        first = body[0] if body else None
        match purpose:
            case Purpose.OBJECTS:
                return self.objects(first)
            case Purpose.BEARER:
                return self.properties(u.BEARER, first)
            case Purpose.CELLS:
                return tuple(cells(first))
            case Purpose.SCAN:
                return tuple(networks(first))
            case Purpose.CONNECT:
                return v.path(first)
            case _:
                return None

    def _lie(self, interface: str, key: str, said: object) -> None:
        self.left_out += 1
        what = f"{interface.rpartition('.')[2]}.{key}"
        if what not in self.lies and len(self.lies) < MOST_ENTRIES:
            self.lies[what] = f"{what} is left out: {type(said).__name__} {v.shown(repr(said))[:60]}"


def cells(said: object) -> Iterable[Cell]:
    """Of GetCellInfo: those that can be named."""
    for entry in v.entries(said)[:MOST_ENTRIES]:
        told = v.table(entry)
        poa = _cell_name(told)
        if poa is None:
            continue
        rsrp = decibels(told.get("rsrp"))
        yield Cell(
            poa,
            serving=told.get("serving") is True,
            rsrp_dbm=rsrp if rsrp is not None else decibels(told.get("rscp")),
            rsrq_db=_first(told, "rsrq", "ecio"),
            snr_db=decibels(told.get("sinr")),
            rssi_dbm=_rx_level(told.get("rx-level")),
        )


def _cell_name(told: Mapping[str, Any]) -> str | None:
    """As a PoA while the cell tells its identity, else by its channel and physical identity."""
    home = operator(told.get("operator-id")) or None
    cell = hexadecimal(told.get("ci"))
    area = hexadecimal(told.get("tac", told.get("lac")))
    if home is not None and cell not in {None, "0"} and area is not None:
        return f"{home}-{area}-{cell}"
    physical = hexadecimal(told.get("physical-ci"))
    code = natural(told.get("psc")) if physical is None else None
    channel = next(
        (c for k in ("earfcn", "nrarfcn", "uarfcn") if (c := natural(told.get(k))) is not None), None
    )
    if channel is None or (physical is None and code is None):
        return None
    return f"{channel}/{physical if physical is not None else f'{code:X}'}"


def _first(told: Mapping[str, Any], *keys: str) -> float | None:
    return next((found for key in keys if (found := decibels(told.get(key))) is not None), None)


def _rx_level(value: object) -> float | None:
    """RxLev of TS 45.008 section 8.1.4: 0 is -110 dBm or less, and each step is 1 dB."""
    level = natural(value)
    return float(level - 111) if level is not None and level <= 63 else None


def networks(said: object) -> Iterable[Network]:
    """Of Scan: each operator once."""
    seen: set[str] = set()
    for entry in v.entries(said)[:MOST_ENTRIES]:
        told = v.table(entry)
        code, status = operator(told.get("operator-code")), natural(told.get("status"))
        if code and code not in seen:
            seen.add(code)
            yield Network(code, status or 0, name(told.get("operator-long")) or None)


def dbm_of_percent(percentage: int, ends: tuple[float, float]) -> float:
    """The RSSI behind a percentage: TS 27.007 section 8.5 counts -113 to -51 dBm in steps of 2 dB."""
    low, high = ends
    return round(low + (high - low) * percentage / 100, 1) if math.isfinite(low + high) else low
