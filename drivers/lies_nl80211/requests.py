"""The requests of nl80211, as bodies of generic netlink messages."""

import struct
from collections.abc import Sequence

from lies_nl80211 import uapi
from lies_nl80211.attributes import attribute, generic_body, nested, u32
from lies_nl80211.uapi import Attr, Cmd, Cqm


def get_family() -> bytes:
    """The number of the family nl80211 and of its multicast groups (to GENL_ID_CTRL)."""
    name = attribute(uapi.CTRL_ATTR_FAMILY_NAME, uapi.FAMILY.encode() + b"\0")
    return generic_body(uapi.CTRL_CMD_GETFAMILY, name)


def get_interfaces() -> bytes:
    """Every wireless interface (a dump)."""
    return generic_body(Cmd.GET_INTERFACE)


def get_stations(index: int) -> bytes:
    """The other ends of an interface (a dump)."""
    return generic_body(Cmd.GET_STATION, u32(Attr.IFINDEX, index))


def get_scan(index: int) -> bytes:
    """The kernel's scan table (a dump)."""
    return generic_body(Cmd.GET_SCAN, u32(Attr.IFINDEX, index))


def get_survey(index: int) -> bytes:
    """Noise of each channel (a dump)."""
    return generic_body(Cmd.GET_SURVEY, u32(Attr.IFINDEX, index))


def set_thresholds(index: int, levels_dbm: Sequence[int], hysteresis_db: int) -> bytes:
    """CQM: wake us when the averaged signal crosses a level; no level: do not.

    More than one needs a radio with CQM_RSSI_LIST; the levels must rise.
    """
    levels = struct.pack(f"={len(levels_dbm)}i", *levels_dbm) if levels_dbm else struct.pack("=i", 0)
    hysteresis = u32(Cqm.RSSI_HYST, hysteresis_db if levels_dbm else 0)
    cqm = nested(Attr.CQM, attribute(Cqm.RSSI_THOLD, levels), hysteresis)
    return generic_body(Cmd.SET_CQM, u32(Attr.IFINDEX, index), cqm)


def trigger_scan(index: int, ssid: bytes, frequencies_mhz: Sequence[int]) -> bytes:
    """Ask for one SSID; no frequency: on all.

    Not with NL80211_SCAN_FLAG_LOW_PRIORITY: mac80211 ends such a scan after the first channel as soon as a
    frame waits to be sent. Without it the scan pauses for what waits, between two channels, and goes on.
    """
    parts = [u32(Attr.IFINDEX, index), nested(Attr.SCAN_SSIDS, attribute(1, ssid))]
    if frequencies_mhz:
        channels = (u32(number, mhz) for number, mhz in enumerate(frequencies_mhz, 1))
        parts.append(nested(Attr.SCAN_FREQUENCIES, *channels))
    return generic_body(Cmd.TRIGGER_SCAN, *parts)


def connect(index: int, ssid: bytes, bssid: bytes, frequency_mhz: int, previous: bytes | None) -> bytes:
    """Associate with an access point of an open network; previous: leave that one of the same network."""
    parts = [
        u32(Attr.IFINDEX, index),
        attribute(Attr.SSID, ssid),
        attribute(Attr.MAC, bssid),
        u32(Attr.WIPHY_FREQ, frequency_mhz),
        u32(Attr.AUTH_TYPE, uapi.AUTHTYPE_OPEN_SYSTEM),
    ]
    if previous is not None:
        parts.append(attribute(Attr.PREV_BSSID, previous))
    return generic_body(Cmd.CONNECT, *parts)


def disconnect(index: int) -> bytes:
    """Leave the access point; reason 3: this station leaves."""
    reason = attribute(Attr.REASON_CODE, struct.pack("=H", 3))
    return generic_body(Cmd.DISCONNECT, u32(Attr.IFINDEX, index), reason)
