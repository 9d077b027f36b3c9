"""What nl80211 tells, as values; lies_nl80211.reader makes them of a command and its attributes."""

from attrs import frozen

from lies_nl80211.elements import Elements


@frozen
class Interface:
    """A wireless interface; kind: enum nl80211_iftype; wiphy: its radio."""

    index: int
    name: str
    kind: int
    address: str
    wiphy: int
    ssid: bytes | None = None
    frequency_mhz: int | None = None


@frozen
class InterfaceGone:
    """A wireless interface was removed."""

    index: int


@frozen
class Station:
    """The other end of a link, as a dump or a NEW_STATION tells.

    authorised, associated: None where the interface's driver does not say; retries: transmissions repeated
    since the association; bitrate_mbps: of the last frame sent; associated_ns: when it was associated
    (CLOCK_BOOTTIME), None with older kernels.
    """

    index: int
    address: str
    rssi_dbm: int | None = None
    bitrate_mbps: float | None = None
    retries: int | None = None
    authorised: bool | None = None
    associated: bool | None = None
    tdls: bool = False
    associated_ns: int | None = None


@frozen
class StationGone:
    """The kernel forgot the other end; no frame passes from here on."""

    index: int
    address: str


@frozen
class Connected:
    """An association that was tried ended well (status 0) or not; protected: keys must follow."""

    index: int
    bssid: str | None
    status: int
    protected: bool


@frozen
class Turned:
    """An access point refuses what this side asks for; what: "authentication" or "association"."""

    index: int
    bssid: str
    what: str
    status: int


@frozen
class Roamed:
    """The interface's firmware went to another access point by itself."""

    index: int
    bssid: str
    authorised: bool


@frozen
class PortAuthorised:
    """The interface's firmware has finished the handshake."""

    index: int
    bssid: str | None


@frozen
class Disconnected:
    """The association ended; reason: IEEE 802.11-2020 9.4.1.7, 0 where it is not known."""

    index: int
    by_peer: bool
    reason: int


@frozen
class Parted:
    """A deauthentication or disassociation that the kernel has accepted, or sent itself."""

    index: int
    bssid: str
    by_peer: bool
    reason: int


@frozen
class Bss:
    """One access point of the kernel's scan table; seen_ns: CLOCK_BOOTTIME, None with older kernels."""

    index: int
    bssid: str
    frequency_mhz: int
    rssi_dbm: float | None
    associated: bool
    protected: bool
    seen_ms_ago: int
    seen_ns: int | None
    elements: Elements


@frozen
class ScanDone:
    """Somebody's scan ended, or was aborted; what it heard is in the scan table. On these channels."""

    index: int
    aborted: bool
    frequencies_mhz: tuple[int, ...] = ()


@frozen
class SignalCrossed:
    """CQM: the averaged signal went below a threshold, or above it."""

    index: int
    low: bool
    level_dbm: int | None


@frozen
class BeaconsLost:
    """CQM: the access point's beacons are not heard."""

    index: int


@frozen
class PacketsLost:
    """CQM: this many packets in a row were not acknowledged by a station."""

    index: int
    address: str | None
    count: int


@frozen
class ChannelSwitched:
    """The access point moves to another channel; done: it has."""

    index: int
    frequency_mhz: int | None
    done: bool


@frozen
class Survey:
    """The noise on a channel."""

    index: int
    frequency_mhz: int
    noise_dbm: int | None
    in_use: bool


@frozen
class AccessPointChanged:
    """An access point was started or stopped on an interface."""

    index: int


@frozen
class RegulatoryChanged:
    """Other channels or powers are allowed now."""


Message = (
    Interface
    | InterfaceGone
    | Station
    | StationGone
    | Connected
    | Turned
    | Roamed
    | PortAuthorised
    | Disconnected
    | Parted
    | Bss
    | ScanDone
    | SignalCrossed
    | BeaconsLost
    | PacketsLost
    | ChannelSwitched
    | Survey
    | AccessPointChanged
    | RegulatoryChanged
)
