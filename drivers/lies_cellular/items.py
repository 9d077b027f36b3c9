"""What drives the follower, and what it wants done: plain values. All times are ns of CLOCK_MONOTONIC."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import frozen

from lies.link_steps import LinkStep

Values = Mapping[str, Any]
"""Properties of one interface that were read, by name: each of the type that `reader` gives it."""
Objects = Mapping[str, Mapping[str, Values]]
"""Path of an object -> name of an interface -> its properties."""


class Purpose(Enum):
    """What a call is for."""

    OBJECTS = "list its modems"
    BEARER = "look at a connection"
    LOCATION = "have it tell the cell"
    RATE = "have it measure the signal"
    THRESHOLDS = "have it tell changes of the signal"
    CELLS = "list the cells that it hears"
    SCAN = "look for networks"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    DELETE = "forget a connection that has ended"
    PIN = "unlock the SIM"


class Secret(Enum):
    """What the shell puts into a call's arguments, so that nothing else ever holds it."""

    PIN = "pin_file"  # the last argument
    PASSWORD = "password_file"  # noqa: S105 - the name of an option; the key "password" of the last argument


# ---- in


@frozen
class Present:
    """ModemManager is on the bus now, or is not: it ended, or the bus did."""

    t_ns: int
    there: bool


@frozen
class Added:
    """InterfacesAdded."""

    t_ns: int
    path: str
    interfaces: Mapping[str, Values]


@frozen
class Removed:
    """InterfacesRemoved."""

    t_ns: int
    path: str
    interfaces: tuple[str, ...]


@frozen
class Changed:
    """PropertiesChanged."""

    t_ns: int
    path: str
    interface: str
    values: Values


@frozen
class Answer:
    """What a Call brought: a value as `reader` reads it for the purpose, or the error's name and text."""

    t_ns: int
    call: "Call"
    value: Any = None
    error: str = ""
    why: str = ""


@frozen
class Connect:
    """L2-LinkConnect."""

    t_ns: int
    link: str
    poa: str


@frozen
class Disconnect:
    """L2-LinkDisconnect."""

    t_ns: int
    link: str
    poa: str | None


Item = Present | Added | Removed | Changed | Answer | Connect | Disconnect


# ---- out


@frozen
class Call:
    """Call ModemManager, and feed the Answer back, whatever comes.

    modem: path of the modem that it is for.
    """

    purpose: Purpose
    modem: str
    path: str
    interface: str
    member: str
    limit_s: float
    signature: str = ""
    arguments: tuple[Any, ...] = ()
    secret: Secret | None = None


Action = LinkStep | Call
