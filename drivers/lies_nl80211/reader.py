"""nl80211 messages to values: `read` turns a command and its attributes into one of lies_nl80211.messages.

They are the kernel's words, but beacons and frames in them are strangers'. Nothing raises but
MalformedMessage, for a message that lacks what its kind cannot be without.
"""

import struct
from collections.abc import Callable, Mapping

from lies.errors import MalformedMessage
from lies_nl80211 import uapi
from lies_nl80211.attributes import attributes, mac, signed, text, unsigned
from lies_nl80211.elements import read_elements
from lies_nl80211.messages import (
    AccessPointChanged,
    BeaconsLost,
    Bss,
    ChannelSwitched,
    Connected,
    Disconnected,
    Interface,
    InterfaceGone,
    Message,
    PacketsLost,
    Parted,
    PortAuthorised,
    RegulatoryChanged,
    Roamed,
    ScanDone,
    SignalCrossed,
    Station,
    StationGone,
    Survey,
    Turned,
)
from lies_nl80211.uapi import Attr, Cmd

Attributes = Mapping[int, bytes]


def read(command: int, found: Attributes) -> Message | None:
    """The message; None if it is of no concern here. MalformedMessage if it lacks something."""
    reader = _READERS.get(command)
    return None if reader is None else reader(found)


def _need(value: int | None, what: str) -> int:
    if value is None:
        raise MalformedMessage(f"nl80211: a message without {what}")
    return value


def _need_mac(value: bytes | None, what: str) -> str:
    address = mac(value)
    if address is None:
        raise MalformedMessage(f"nl80211: a message without {what}")
    return address


def _index(found: Attributes) -> int:
    return _need(unsigned(found.get(Attr.IFINDEX)), "an interface")


def _interface(found: Attributes) -> Interface | None:
    if Attr.IFINDEX not in found:
        return None  # a P2P device: no network interface
    name = text(found.get(Attr.IFNAME))
    if name is None:
        raise MalformedMessage("nl80211: an interface without a name")
    return Interface(
        _index(found),
        name,
        unsigned(found.get(Attr.IFTYPE)) or 0,
        mac(found.get(Attr.MAC)) or "",
        unsigned(found.get(Attr.WIPHY)) or 0,
        found.get(Attr.SSID),
        unsigned(found.get(Attr.WIPHY_FREQ)),
    )


def _interface_gone(found: Attributes) -> InterfaceGone | None:
    return InterfaceGone(_index(found)) if Attr.IFINDEX in found else None


def _station(found: Attributes) -> Station:
    info = dict(attributes(found.get(Attr.STA_INFO, b"")))
    flags = info.get(uapi.Sta.STA_FLAGS, b"")
    mask, is_set = struct.unpack_from("=II", flags) if len(flags) >= 8 else (0, 0)

    def flag(bit: int) -> bool | None:
        return bool(is_set & bit) if mask & bit else None

    return Station(
        _index(found),
        _need_mac(found.get(Attr.MAC), "a station's address"),
        _rssi(info),
        _bitrate(info.get(uapi.Sta.TX_BITRATE)),
        unsigned(info.get(uapi.Sta.TX_RETRIES)),
        flag(uapi.FLAG_AUTHORIZED),
        flag(uapi.FLAG_ASSOCIATED),
        bool(flag(uapi.FLAG_TDLS_PEER)),
        unsigned(info.get(uapi.Sta.ASSOC_AT_BOOTTIME)) or None,  # 0 while it is not associated
    )


def _rssi(info: Attributes) -> int | None:
    """The last frame's signal, else an average; 0 dBm is what drivers say that do not know."""
    for kind in (uapi.Sta.SIGNAL, uapi.Sta.SIGNAL_AVG, uapi.Sta.BEACON_SIGNAL_AVG):
        level = signed(info.get(kind))
        if level is not None and level < 0:
            return level
    return None


def _bitrate(value: bytes | None) -> float | None:
    rate = dict(attributes(value or b""))
    tenths = unsigned(rate.get(uapi.RATE_BITRATE32)) or unsigned(rate.get(uapi.RATE_BITRATE))
    return tenths / 10 if tenths else None


def _station_gone(found: Attributes) -> StationGone:
    return StationGone(_index(found), _need_mac(found.get(Attr.MAC), "a station's address"))


def _connected(found: Attributes) -> Connected:
    status = 1 if Attr.TIMED_OUT in found else unsigned(found.get(Attr.STATUS_CODE)) or 0
    asked = read_elements(found.get(Attr.REQ_IE, b""))
    return Connected(_index(found), mac(found.get(Attr.MAC)), status, asked.protected)


def _authentication(found: Attributes) -> Turned | None:
    return _turned(found, "authentication", 28)  # behind algorithm and number (IEEE 802.11-2020, 9.3.3.11)


def _association(found: Attributes) -> Turned | None:
    return _turned(found, "association", 26)  # behind the capabilities (IEEE 802.11-2020, 9.3.3.6)


def _turned(found: Attributes, what: str, at: int) -> Turned | None:
    """An access point's answer, if it is no; a status of 0 or one that asks for the next step is none."""
    frame = found.get(Attr.FRAME, b"")
    status = int.from_bytes(frame[at : at + 2], "little")
    if len(frame) < at + 2 or frame[10:16] != frame[16:22] or status in uapi.STATUS_GO_ON:
        return None
    return Turned(_index(found), frame[16:22].hex(":"), what, status)


def _roamed(found: Attributes) -> Roamed:
    bssid = _need_mac(found.get(Attr.MAC), "an access point")
    return Roamed(_index(found), bssid, Attr.PORT_AUTHORIZED in found)


def _port_authorised(found: Attributes) -> PortAuthorised:
    return PortAuthorised(_index(found), mac(found.get(Attr.MAC)))


def _disconnected(found: Attributes) -> Disconnected:
    reason = unsigned(found.get(Attr.REASON_CODE)) or 0
    return Disconnected(_index(found), Attr.DISCONNECTED_BY_AP in found, reason)


def _parted(found: Attributes) -> Parted:
    """The frame: control, duration, to, from, BSSID, sequence, reason (IEEE 802.11-2020, 9.3.3.1)."""
    frame = found.get(Attr.FRAME, b"")
    if len(frame) < 26:
        raise MalformedMessage("nl80211: a deauthentication without its frame")
    sender, bssid = frame[10:16], frame[16:22]
    reason = int.from_bytes(frame[24:26], "little")
    return Parted(_index(found), bssid.hex(":"), sender == bssid, reason)


def _scan_results(found: Attributes) -> Bss | ScanDone | None:
    if Attr.BSS in found:
        return _bss(found)
    return _scan_done(found, aborted=False)


def _scan_aborted(found: Attributes) -> ScanDone | None:
    return _scan_done(found, aborted=True)


def _scan_done(found: Attributes, *, aborted: bool) -> ScanDone | None:
    if Attr.IFINDEX not in found:
        return None
    scanned = (unsigned(value) for _, value in attributes(found.get(Attr.SCAN_FREQUENCIES, b"")))
    return ScanDone(_index(found), aborted, tuple(mhz for mhz in scanned if mhz))


def _bss(found: Attributes) -> Bss:
    said = dict(attributes(found[Attr.BSS]))
    mbm = signed(said.get(uapi.Bss.SIGNAL_MBM))
    elements = read_elements(said.get(uapi.Bss.INFORMATION_ELEMENTS) or said.get(uapi.Bss.BEACON_IES) or b"")
    private = (unsigned(said.get(uapi.Bss.CAPABILITY)) or 0) & uapi.CAPABILITY_PRIVACY
    return Bss(
        _index(found),
        _need_mac(said.get(uapi.Bss.BSSID), "an access point"),
        unsigned(said.get(uapi.Bss.FREQUENCY)) or 0,
        None if mbm is None or not -20000 < mbm < 0 else mbm / 100,
        unsigned(said.get(uapi.Bss.STATUS)) == uapi.BSS_ASSOCIATED,
        bool(private) or elements.protected,
        unsigned(said.get(uapi.Bss.SEEN_MS_AGO)) or 0,
        unsigned(said.get(uapi.Bss.LAST_SEEN_BOOTTIME)),
        elements,
    )


def _cqm(found: Attributes) -> SignalCrossed | BeaconsLost | PacketsLost | None:
    index = _index(found)
    said = dict(attributes(found.get(Attr.CQM, b"")))
    if uapi.Cqm.BEACON_LOSS_EVENT in said:
        return BeaconsLost(index)
    lost = unsigned(said.get(uapi.Cqm.PKT_LOSS_EVENT))
    if lost is not None:
        return PacketsLost(index, mac(found.get(Attr.MAC)), lost)
    crossed = unsigned(said.get(uapi.Cqm.RSSI_THRESHOLD_EVENT))
    if crossed == uapi.CQM_BEACON_LOSS:
        return BeaconsLost(index)
    if crossed not in {uapi.CQM_LOW, uapi.CQM_HIGH}:
        return None
    level = signed(said.get(uapi.Cqm.RSSI_LEVEL))
    usable = level is not None and -150 < level < 0
    return SignalCrossed(index, crossed == uapi.CQM_LOW, level if usable else None)


def _switched(found: Attributes) -> ChannelSwitched:
    return ChannelSwitched(_index(found), unsigned(found.get(Attr.WIPHY_FREQ)), done=True)


def _switching(found: Attributes) -> ChannelSwitched:
    return ChannelSwitched(_index(found), unsigned(found.get(Attr.WIPHY_FREQ)), done=False)


def _survey(found: Attributes) -> Survey:
    said = dict(attributes(found.get(Attr.SURVEY_INFO, b"")))
    noise = signed(said.get(uapi.Survey.NOISE))
    usable = noise is not None and -130 < noise < -30
    return Survey(
        _index(found),
        unsigned(said.get(uapi.Survey.FREQUENCY)) or 0,
        noise if usable else None,
        uapi.Survey.IN_USE in said,
    )


def _access_point(found: Attributes) -> AccessPointChanged:
    return AccessPointChanged(_index(found))


def _regulatory(_: Attributes) -> RegulatoryChanged:
    return RegulatoryChanged()


_READERS: dict[int, Callable[[Attributes], Message | None]] = {
    Cmd.NEW_INTERFACE: _interface,
    Cmd.DEL_INTERFACE: _interface_gone,
    Cmd.NEW_STATION: _station,
    Cmd.DEL_STATION: _station_gone,
    Cmd.CONNECT: _connected,
    Cmd.ROAM: _roamed,
    Cmd.PORT_AUTHORIZED: _port_authorised,
    Cmd.DISCONNECT: _disconnected,
    Cmd.AUTHENTICATE: _authentication,
    Cmd.ASSOCIATE: _association,
    Cmd.DEAUTHENTICATE: _parted,
    Cmd.DISASSOCIATE: _parted,
    Cmd.NEW_SCAN_RESULTS: _scan_results,
    Cmd.SCAN_ABORTED: _scan_aborted,
    Cmd.NOTIFY_CQM: _cqm,
    Cmd.CH_SWITCH_NOTIFY: _switched,
    Cmd.CH_SWITCH_STARTED_NOTIFY: _switching,
    Cmd.NEW_SURVEY_RESULTS: _survey,
    Cmd.START_AP: _access_point,
    Cmd.STOP_AP: _access_point,
    Cmd.REG_CHANGE: _regulatory,
    Cmd.WIPHY_REG_CHANGE: _regulatory,
}
