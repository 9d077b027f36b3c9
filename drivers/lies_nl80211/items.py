"""What drives the follower, and what it wants done: plain values. All times are ns of CLOCK_MONOTONIC."""

from collections.abc import Mapping
from enum import Enum

from attrs import frozen

from lies.driver import Thresholds
from lies.events import LinkAction
from lies.link_steps import LinkStep
from lies_nl80211.interfaces import NetState
from lies_nl80211.messages import Bss, Interface, Message, Station, Survey
from lies_nl80211.pending import Order
from lies_nl80211.rfkill import Switch


class Query(Enum):
    """A dump."""

    INTERFACES = "interfaces"
    STATIONS = "stations"
    SCAN = "the scan table"
    SURVEY = "the noise"


# ---- in


@frozen
class Begin:
    """The sockets are open; nothing is known."""


@frozen
class Told:
    """A multicast message of nl80211."""

    t_ns: int
    message: Message


@frozen
class NetTold:
    """A message of route netlink."""

    t_ns: int
    state: NetState


@frozen
class SwitchTold:
    """A radio's switch, and the radio it belongs to (None: it cannot be told)."""

    t_ns: int
    switch: Switch
    wiphy: int | None


@frozen
class Answer:
    """What an Ask brought; entries None: nothing, the request was refused or timed out."""

    ask: "Ask"
    t_ns: int
    entries: tuple[Interface | Station | Bss | Survey, ...] | None


@frozen
class Overrun:
    """Messages were lost: nothing that was believed is sure any more."""

    t_ns: int


@frozen
class Wanted:
    """A LinkConnect to a PoA, or a LinkDisconnect (of it, or None: of whichever it is)."""

    link: str
    action: LinkAction
    poa: str | None


@frozen
class LevelsAsked:
    """What registrations ask of a link has changed."""

    link: str
    thresholds: Thresholds


@frozen
class OwnersTold:
    """Who says on D-Bus that it manages which interface: link -> name; missing: why nobody can say so."""

    owners: Mapping[str, str]
    missing: str = ""


@frozen
class Taken:
    """The order of that number has been accepted, or (why is not None) refused."""

    link: str
    number: int
    why: str | None


Item = Begin | Told | NetTold | SwitchTold | Answer | Overrun | Wanted | LevelsAsked | OwnersTold | Taken


# ---- out


@frozen
class Ask:
    """Dump something and feed the Answer back, whatever comes; index: of the interface, 0 for all.

    stamp: of the interface's associations when it was asked.
    """

    query: Query
    index: int
    stamp: int = 0


@frozen
class Watch:
    """Have the kernel tell when the signal crosses these levels; none: no more."""

    index: int
    link: str
    levels_dbm: tuple[int, ...]


@frozen
class Scan:
    """Look for a network."""

    index: int
    ssid: bytes
    frequencies_mhz: tuple[int, ...]


@frozen
class Steer:
    """Announce anew whether requests of a link can be followed."""

    link: str
    controllable: bool


@frozen
class Instruct:
    """Have the owner of an interface follow an order, and feed Taken back."""

    owner: str
    number: int
    order: Order


@frozen
class Carry:
    """Have the kernel follow an order by these requests, and feed Taken back."""

    number: int
    order: Order
    requests: tuple[bytes, ...]


@frozen
class Settle:
    """The order of a link has come true or to nothing: what was changed for it alone is changed back."""

    link: str


@frozen
class Missed:
    """Something may have happened to any link that nobody is told of any more."""


ControlAction = Steer | Instruct | Carry | Settle
Action = LinkStep | Ask | Watch | Scan | ControlAction | Missed
