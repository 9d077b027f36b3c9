"""nl80211 as tests speak it: octets as linux/nl80211.h has them, and a follower on a virtual clock."""

import struct

from followed_links import FollowedLinks

from lies.events import Attached, Detached
from lies.link_steps import Feed
from lies_nl80211 import messages as m
from lies_nl80211.attributes import attribute, generic, generic_body, mac_octets, u32
from lies_nl80211.config import Nl80211Config
from lies_nl80211.elements import Elements
from lies_nl80211.follow import Follower
from lies_nl80211.interfaces import NetState
from lies_nl80211.items import Action, Answer, Ask, Begin, Item, Missed, NetTold, Query, Scan, Steer, Told
from lies_nl80211.reader import read
from lies_nl80211.uapi import Attr, Bss, Cmd, Cqm, IfType, Sta, Survey

INDEX, NAME = 7, "wlan0"
OWN = "02:00:00:00:00:01"
A, B, C = "02:00:00:00:0a:01", "02:00:00:00:0b:01", "02:00:00:00:0c:01"
_S = 1_000_000_000


# ---- octets


def octets(address: str) -> bytes:
    """A MAC address."""
    found = mac_octets(address)
    assert found is not None
    return found


def dashed(address: str) -> str:
    """A MAC address as it stands in a link's name."""
    return address.replace(":", "-")


def told(command: int, *parts: bytes, index: int = INDEX) -> bytes:
    """The body of an event of an interface."""
    return generic_body(command, u32(Attr.IFINDEX, index), *parts)


def parsed(body: bytes) -> m.Message | None:
    """What the driver reads in a body."""
    found = generic(body)
    assert found is not None
    return read(*found)


def interface_body(
    name: str = NAME, kind: int = IfType.STATION, *, index: int = INDEX, address: str = OWN, wiphy: int = 0
) -> bytes:
    """NEW_INTERFACE, as in a dump."""
    return told(
        Cmd.NEW_INTERFACE,
        attribute(Attr.IFNAME, name.encode() + b"\0"),
        u32(Attr.WIPHY, wiphy),
        u32(Attr.IFTYPE, kind),
        attribute(Attr.MAC, octets(address)),
        index=index,
    )


def station_body(
    address: str,
    *,
    rssi_dbm: int = -50,
    authorised: bool | None = True,
    retries: int = 0,
    mbps: float = 54.0,
    associated_ns: int = 0,
    command: int = Cmd.NEW_STATION,
    index: int = INDEX,
) -> bytes:
    """NEW_STATION, as in a dump."""
    mask = 0xC2 if authorised is not None else 0xC0
    flags = struct.pack("=II", mask, 0x80 | (0x02 if authorised else 0))
    info = (
        attribute(Sta.SIGNAL, struct.pack("=b", rssi_dbm))
        + attribute(Sta.TX_BITRATE, u32(5, round(mbps * 10)))
        + u32(Sta.TX_RETRIES, retries)
        + attribute(Sta.STA_FLAGS, flags)
        + attribute(Sta.ASSOC_AT_BOOTTIME, struct.pack("=Q", associated_ns))
    )
    return told(command, attribute(Attr.MAC, octets(address)), attribute(Attr.STA_INFO, info), index=index)


def element(kind: int, value: bytes) -> bytes:
    """One information element."""
    return bytes((kind, len(value))) + value


def bss_body(
    bssid: str,
    ssid: bytes = b"net",
    *,
    rssi_dbm: float = -60.0,
    seen_ms_ago: int = 0,
    seen_ns: int = 1,
    associated: bool = False,
    privacy: bool = False,
    extra: bytes = b"",
) -> bytes:
    """NEW_SCAN_RESULTS, as in a dump."""
    said = (
        attribute(Bss.BSSID, octets(bssid))
        + u32(Bss.FREQUENCY, 2437)
        + attribute(Bss.CAPABILITY, struct.pack("=H", 0x11 if privacy else 0x01))
        + attribute(Bss.INFORMATION_ELEMENTS, element(0, ssid) + element(3, b"\x06") + extra)
        + attribute(Bss.SIGNAL_MBM, struct.pack("=i", round(rssi_dbm * 100)))
        + u32(Bss.SEEN_MS_AGO, seen_ms_ago)
        + attribute(Bss.LAST_SEEN_BOOTTIME, struct.pack("=Q", seen_ns))
        + (u32(Bss.STATUS, 1) if associated else b"")
    )
    return told(Cmd.NEW_SCAN_RESULTS, attribute(Attr.BSS, said))


def survey_body(noise_dbm: int) -> bytes:
    """NEW_SURVEY_RESULTS of the channel in use."""
    said = u32(Survey.FREQUENCY, 2437) + attribute(Survey.NOISE, struct.pack("=b", noise_dbm))
    return told(Cmd.NEW_SURVEY_RESULTS, attribute(Attr.SURVEY_INFO, said + attribute(Survey.IN_USE, b"")))


def connect_body(bssid: str, *, status: int = 0, protected: bool = False) -> bytes:
    """CONNECT."""
    asked = element(0, b"net") + (element(48, b"\x01\x00") if protected else b"")
    return told(
        Cmd.CONNECT,
        attribute(Attr.MAC, octets(bssid)),
        attribute(Attr.STATUS_CODE, struct.pack("=H", status)),
        attribute(Attr.REQ_IE, asked),
    )


def disconnect_body(reason: int, *, by_peer: bool = False) -> bytes:
    """DISCONNECT."""
    code = attribute(Attr.REASON_CODE, struct.pack("=H", reason))
    return told(Cmd.DISCONNECT, code, *([attribute(Attr.DISCONNECTED_BY_AP, b"")] if by_peer else []))


def deauthenticate_body(bssid: str, reason: int, *, by_peer: bool) -> bytes:
    """DEAUTHENTICATE with the frame that was sent or received."""
    ap, own = octets(bssid), octets(OWN)
    to, sender = (own, ap) if by_peer else (ap, own)
    frame = struct.pack("<HH", 0xC0, 0) + to + sender + ap + struct.pack("<HH", 0, reason)
    return told(Cmd.DEAUTHENTICATE, attribute(Attr.FRAME, frame))


def turned_body(bssid: str, status: int, *, command: int = Cmd.AUTHENTICATE) -> bytes:
    """AUTHENTICATE or ASSOCIATE with the access point's answer."""
    ap, own = octets(bssid), octets(OWN)
    kind, said = (0xB0, (0, 2, status)) if command == Cmd.AUTHENTICATE else (0x10, (0x421, status, 0xC001))
    frame = struct.pack("<HH", kind, 0) + own + ap + ap + struct.pack("<HHHH", 0, *said)
    return told(command, attribute(Attr.FRAME, frame))


def gone_body(address: str) -> bytes:
    """DEL_STATION."""
    return told(Cmd.DEL_STATION, attribute(Attr.MAC, octets(address)))


def cqm_body(kind: int, value: int, *, level_dbm: int | None = None) -> bytes:
    """NOTIFY_CQM."""
    said = u32(kind, value)
    if level_dbm is not None:
        said += attribute(Cqm.RSSI_LEVEL, struct.pack("=i", level_dbm))
    return told(Cmd.NOTIFY_CQM, attribute(Attr.CQM, said))


def bss_of(bssid: str, ssid: bytes = b"net", *, rssi_dbm: float = -60.0, associated: bool = False) -> m.Bss:
    """An entry of the scan table, heard just then."""
    return m.Bss(INDEX, bssid, 2437, rssi_dbm, associated, False, 0, None, Elements(ssid, 6))


# ---- a follower on a virtual clock


class World(FollowedLinks):
    """A follower, the dumps that its kernel would answer with, and the abstract entities behind it.

    stations, scan: what is true; every Ask is answered from them, at once or when `answer` is called.
    """

    def __init__(self, config: Nl80211Config | None = None, *, auto: bool = True) -> None:
        super().__init__()
        self.follower = Follower(config or Nl80211Config())
        self.now = 100.0
        self.auto = auto
        self.interfaces: list[m.Interface] = [m.Interface(INDEX, NAME, IfType.STATION, OWN, 0)]
        self.stations: dict[int, list[m.Station]] = {}
        self.scan: list[m.Bss] = []
        self.surveys: list[m.Survey] = []
        self.open: list[Ask] = []
        self.asks: list[tuple[float, Ask]] = []
        self.scans: list[tuple[float, Scan]] = []

    @property
    def t_ns(self) -> int:
        """The clock in ns."""
        return round(self.now * _S)

    def begin(self) -> "World":
        """Start following."""
        self.feed(Begin())
        return self

    def feed(self, item: Item) -> None:
        """Give the follower an item."""
        self._perform(list(self.follower.receive(item, self.now)))

    def tell(self, body: bytes) -> None:
        """An event."""
        message = parsed(body)
        if message is not None:
            self.feed(Told(self.t_ns, message))

    def net(
        self, *, up: bool = True, passing: bool = True, owned: bool = False, name: str | None = NAME
    ) -> None:
        """A route netlink message of the interface."""
        self.feed(NetTold(self.t_ns, NetState(INDEX, name, up, passing, owned)))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (due := self.follower.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self._perform(list(self.follower.handle_timeout(self.now)))
        self.now = end

    def answer(self) -> None:
        """Answer every question that is open."""
        while self.open:
            ask = self.open.pop(0)
            entries: tuple[m.Interface | m.Station | m.Bss | m.Survey, ...]
            match ask.query:
                case Query.INTERFACES:
                    entries = tuple(self.interfaces)
                case Query.STATIONS:
                    entries = tuple(self.stations.get(ask.index, ()))
                case Query.SCAN:
                    entries = tuple(self.scan)
                case Query.SURVEY:
                    entries = tuple(self.surveys)
            self.feed(Answer(ask, self.t_ns, entries))

    def at(
        self,
        bssid: str,
        *,
        rssi_dbm: int = -50,
        authorised: bool | None = True,
        associated_ns: int | None = None,
    ) -> None:
        """The other end as dumps tell it from now on."""
        end = m.Station(
            INDEX,
            bssid,
            rssi_dbm,
            54.0,
            0,
            authorised=authorised,
            associated=True,
            associated_ns=associated_ns,
        )
        self.stations[INDEX] = [end]

    def join(self, bssid: str, **kwargs: bool) -> None:
        """The station associates, and may pass frames at once."""
        self.at(bssid)
        self.tell(connect_body(bssid, **kwargs))

    def part(self, bssid: str, reason: int = 3, *, by_peer: bool = False) -> None:
        """The events of an association that ends, in the kernel's order."""
        self.stations[INDEX] = []
        self.tell(gone_body(bssid))
        self.tell(deauthenticate_body(bssid, reason, by_peer=by_peer))
        self.tell(disconnect_body(reason, by_peer=by_peer))

    def moves(self, link: str = NAME) -> list[tuple[str, str]]:
        """Attached and Detached of a link in order."""
        return [
            (type(i).__name__, i.poa) for i in self.items.get(link, []) if isinstance(i, Attached | Detached)
        ]

    def gaps(self, link: str = NAME) -> list[int]:
        """After how many moves of a link consumers were told of a gap, each time."""
        moves, found = 0, []
        for action in self.actions:
            if isinstance(action, Missed):
                found.append(moves)
            elif isinstance(action, Feed) and action.link == link:
                moves += isinstance(action.item, Attached | Detached)
        return found

    def _perform(self, actions: list[Action]) -> None:
        self.actions += actions
        for action in actions:
            match action:
                case Steer(link=link, controllable=controllable):
                    assert self.links[link] != controllable
                    self.links[link] = controllable
                case Ask():
                    self.asks.append((self.now, action))
                    self.open.append(action)
                case Scan():
                    self.scans.append((self.now, action))
                case _:
                    self.step(action)
        if self.auto:
            self.answer()
