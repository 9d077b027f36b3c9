"""What drives the follower, and what it wants done: plain values. All times are ns of CLOCK_MONOTONIC."""

from enum import Enum

from attrs import frozen

from lies.events import Link, RawItem
from lies_nl80211.interfaces import NetState
from lies_nl80211.messages import Bss, Interface, Message, Station, Survey
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


Item = Begin | Told | NetTold | SwitchTold | Answer | Overrun


# ---- out


@frozen
class Open:
    """Announce a link."""

    link: Link
    controllable: bool


@frozen
class Close:
    """A link is no more."""

    link: str


@frozen
class Feed:
    """A raw item of a link."""

    link: str
    item: RawItem


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
    """Have the kernel tell when the signal crosses the thresholds."""

    index: int
    link: str


@frozen
class Scan:
    """Look for a network."""

    index: int
    ssid: bytes
    frequencies_mhz: tuple[int, ...]


@frozen
class Say:
    """A sentence for people; serious: as a warning."""

    sentence: str
    serious: bool = False


Action = Open | Close | Feed | Ask | Watch | Scan | Say
