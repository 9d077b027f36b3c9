"""Parameters of the primitives (RFC 5184 sections 5 and 6)."""

from enum import StrEnum
from functools import total_ordering

from attrs import frozen


class Technology(StrEnum):
    """Kind of network interface (RFC 5184 section 5.1)."""

    WIFI = "wifi"  # IEEE 802.11
    LTE = "lte"
    NR = "nr"  # 5G, also 5G NSA on an LTE anchor
    UMTS = "umts"
    GSM = "gsm"
    ETHERNET = "ethernet"  # IEEE 802.3
    OTHER = "other"


@total_ordering
class Quality(StrEnum):
    """Link quality level, ordered: NONE < BAD < FAIR < GOOD < EXCELLENT (RFC 5184 section 6.2)."""

    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"
    NONE = "none"

    rank: int
    """0 for NONE up to 4 for EXCELLENT."""

    def __lt__(self, other: str) -> bool:
        return self.rank < (other if isinstance(other, Quality) else Quality(other)).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= (other if isinstance(other, Quality) else Quality(other)).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > (other if isinstance(other, Quality) else Quality(other)).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= (other if isinstance(other, Quality) else Quality(other)).rank


for _rank, _quality in enumerate(reversed(Quality)):
    _quality.rank = _rank


class Crossing(StrEnum):
    """Event type of a LinkStatusChanged registration (RFC 5184 section 4.7)."""

    ANY = "any"  # every change of level
    BELOW = "below"  # the level fell below the threshold
    ABOVE = "above"  # the level rose to the threshold or above it


class DownReason(StrEnum):
    """Why a link is, or is about to be, down."""

    REQUESTED = "requested"  # LinkConnect elsewhere or LinkDisconnect
    SIGNAL_LOST = "signal_lost"
    PEER = "peer"  # the point of attachment ended it
    CARRIER = "carrier"  # the interface lost its carrier, cause unknown
    ADMIN_DOWN = "admin_down"  # the interface was set down, or put elsewhere, by command
    REMOVED = "removed"  # the interface is gone: deleted, unplugged, renamed, in another namespace
    DRIVER_LOST = "driver_lost"  # nobody watches the link any more
    MOVED = "moved"  # the network moved it to another PoA; IP goes on there, with the same addresses
    DENIED = "denied"  # the network does not serve it: registration denied, roaming not allowed
    FADING = "fading"  # the signal is falling (LinkGoingDown)


class LinkAction(StrEnum):
    """What a type 3 request asks for (RFC 5184 sections 4.8 and 4.9)."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"


class ChangeReason(StrEnum):
    """Why LinkStatusChanged is indicated."""

    LEVEL = "level"  # the quality level is another one
    TECHNOLOGY = "technology"  # another radio technology serves the link
    REGISTRATION = "registration"  # the network registers the link in another way


@frozen
class Link:
    """Network Interface ID: the interface and its technology (RFC 5184 section 5.1)."""

    name: str
    technology: Technology


@frozen
class Condition:
    """Link condition (RFC 5184 section 6.2); bandwidth_mbps: available bandwidth, None if unknown."""

    quality: Quality
    bandwidth_mbps: float | None = None


@frozen
class PoACondition:
    """One couple of a PoA List (RFC 5184 section 6.3); poa: unique identifier of the PoA (section 6.1).

    Ours, both None where the driver does not know: network: the name of what the PoA belongs to (Wi-Fi: the
    SSID, escaped), frequency_mhz: of its channel.
    """

    poa: str
    condition: Condition
    network: str | None = None
    frequency_mhz: float | None = None


@frozen
class Header:
    """What every indication carries.

    publisher: who measured (driver or consumer name); epoch: changes when the publisher restarts;
    sequence: counts this publisher's indications from 1; mono_ns, wall_ns: monotonic and wall time of
    the measurement; link: the Network Interface ID.
    """

    publisher: str
    epoch: int
    sequence: int
    mono_ns: int
    wall_ns: int
    link: Link
