"""nl80211 messages: octets as the kernel makes them, and as nobody should."""

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.nl80211 import nl80211cmd
from wifi_kit import (
    INDEX,
    A,
    bss_body,
    connect_body,
    cqm_body,
    deauthenticate_body,
    disconnect_body,
    element,
    gone_body,
    interface_body,
    parsed,
    station_body,
    survey_body,
    told,
    turned_body,
)

from lies.errors import MalformedMessage
from lies.events import DownReason
from lies_nl80211 import messages as m
from lies_nl80211 import requests
from lies_nl80211.attributes import (
    attribute,
    attributes,
    frames,
    generic,
    mac_octets,
    message,
    u32,
)
from lies_nl80211.elements import BssLoad, Elements, MobilityDomain, read_elements, ssid_text
from lies_nl80211.interfaces import NetState, read_link
from lies_nl80211.reader import read
from lies_nl80211.reasons import code_text, down_reason
from lies_nl80211.rfkill import Switch, read_switch
from lies_nl80211.uapi import Attr, Cmd, Cqm


def judged(body: bytes) -> Any:
    """A body as pyroute2 decodes it."""
    found = nl80211cmd(message(0x1C, 0, body))
    found.decode()
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (connect_body(A), m.Connected(INDEX, A, 0, protected=False)),
        (connect_body(A, protected=True), m.Connected(INDEX, A, 0, protected=True)),
        (connect_body(A, status=17), m.Connected(INDEX, A, 17, protected=False)),
        (disconnect_body(3), m.Disconnected(INDEX, by_peer=False, reason=3)),
        (disconnect_body(2, by_peer=True), m.Disconnected(INDEX, by_peer=True, reason=2)),
        (deauthenticate_body(A, 4, by_peer=False), m.Parted(INDEX, A, by_peer=False, reason=4)),
        (deauthenticate_body(A, 7, by_peer=True), m.Parted(INDEX, A, by_peer=True, reason=7)),
        (turned_body(A, 1), m.Turned(INDEX, A, "authentication", 1)),
        (turned_body(A, 17, command=Cmd.ASSOCIATE), m.Turned(INDEX, A, "association", 17)),
        (turned_body(A, 0), None),
        (turned_body(A, 126), None),
        (told(Cmd.AUTHENTICATE, attribute(Attr.TIMED_OUT, b"")), None),
        (gone_body(A), m.StationGone(INDEX, A)),
        (interface_body(), m.Interface(INDEX, "wlan0", 2, "02:00:00:00:00:01", 0)),
        (station_body(A, retries=5), m.Station(INDEX, A, -50, 54.0, 5, authorised=True, associated=True)),
        (
            station_body(A, associated_ns=7),
            m.Station(INDEX, A, -50, 54.0, 0, authorised=True, associated=True, associated_ns=7),
        ),
        (station_body(A, authorised=None), m.Station(INDEX, A, -50, 54.0, 0, None, associated=True)),
        (survey_body(-92), m.Survey(INDEX, 2437, -92, in_use=True)),
        (
            cqm_body(Cqm.RSSI_THRESHOLD_EVENT, 0, level_dbm=-71),
            m.SignalCrossed(INDEX, low=True, level_dbm=-71),
        ),
        (cqm_body(Cqm.RSSI_THRESHOLD_EVENT, 1), m.SignalCrossed(INDEX, low=False, level_dbm=None)),
        (cqm_body(Cqm.RSSI_THRESHOLD_EVENT, 2), m.BeaconsLost(INDEX)),
        (
            told(Cmd.NOTIFY_CQM, attribute(Attr.CQM, attribute(Cqm.BEACON_LOSS_EVENT, b""))),
            m.BeaconsLost(INDEX),
        ),
        (cqm_body(Cqm.PKT_LOSS_EVENT, 50), m.PacketsLost(INDEX, None, 50)),
        (told(Cmd.CH_SWITCH_NOTIFY, u32(Attr.WIPHY_FREQ, 2412)), m.ChannelSwitched(INDEX, 2412, done=True)),
        (told(Cmd.SCAN_ABORTED), m.ScanDone(INDEX, aborted=True)),
        (told(Cmd.NEW_SCAN_RESULTS), m.ScanDone(INDEX, aborted=False)),
        (told(Cmd.DEL_INTERFACE), m.InterfaceGone(INDEX)),
        (told(200), None),
    ],
)
def test_each_message_is_read(body: bytes, expected: m.Message | None) -> None:
    """Every message of concern becomes one value, others none."""
    assert parsed(body) == expected


def test_scan_entry_is_read() -> None:
    """A scan entry has address, channel, level, age and what its beacon says."""
    extra = element(11, struct.pack("<HBH", 7, 51, 0)) + element(54, struct.pack("<HB", 0xA1B2, 1))
    body = bss_body(
        A, "Küche".encode(), rssi_dbm=-63.5, seen_ms_ago=40, seen_ns=9, associated=True, extra=extra
    )
    elements = Elements("Küche".encode(), 6, BssLoad(7, 0.2), MobilityDomain(0xA1B2, over_ds=True))
    assert parsed(body) == m.Bss(INDEX, A, 2437, -63.5, True, False, 40, 9, elements)


def test_pyroute2_reads_the_same() -> None:
    """What pyroute2 decodes too, of stations and scan entries, has the same values there."""
    sta = judged(station_body(A, rssi_dbm=-71, retries=12)).get_attr("NL80211_ATTR_STA_INFO")
    ours = parsed(station_body(A, rssi_dbm=-71, retries=12))
    assert isinstance(ours, m.Station)
    assert sta.get_attr("NL80211_STA_INFO_SIGNAL") == ours.rssi_dbm == -71
    assert sta.get_attr("NL80211_STA_INFO_TX_RETRIES") == ours.retries == 12
    assert sta.get_attr("NL80211_STA_INFO_STA_FLAGS")["AUTHORIZED"] is ours.authorised is True
    rate = sta.get_attr("NL80211_STA_INFO_TX_BITRATE")
    assert rate.get_attr("NL80211_RATE_INFO_BITRATE32") == 540
    bss = judged(bss_body(A, rssi_dbm=-63.5, seen_ms_ago=40)).get_attr("NL80211_ATTR_BSS")
    heard = parsed(bss_body(A, rssi_dbm=-63.5, seen_ms_ago=40))
    assert isinstance(heard, m.Bss)
    assert bss.get_attr("NL80211_BSS_BSSID") == heard.bssid
    assert bss.get_attr("NL80211_BSS_FREQUENCY") == heard.frequency_mhz
    assert bss.get_attr("NL80211_BSS_SIGNAL_MBM")["VALUE"] == (heard.rssi_dbm or 0) * 100
    assert bss.get_attr("NL80211_BSS_SEEN_MS_AGO") == heard.seen_ms_ago


def test_what_pyroute2_writes_is_read() -> None:
    """Messages that pyroute2 builds are read."""
    built = nl80211cmd()
    built["cmd"] = Cmd.NEW_INTERFACE
    built["attrs"] = [
        ("NL80211_ATTR_IFINDEX", 3),
        ("NL80211_ATTR_IFNAME", "wlp2s0"),
        ("NL80211_ATTR_WIPHY", 1),
        ("NL80211_ATTR_IFTYPE", 3),
        ("NL80211_ATTR_MAC", A),
    ]
    built.encode()
    (frame,) = frames(bytes(built.data))
    parsed_frame = generic(frame.body)
    assert parsed_frame is not None
    assert read(*parsed_frame) == m.Interface(3, "wlp2s0", 3, A, 1)


def test_requests_are_what_pyroute2_reads() -> None:
    """Requests decode to what they were built from, also nested."""
    sent = judged(requests.connect(3, b"net", bytes(6), 2412, None))
    assert sent.get_attr("NL80211_ATTR_SSID") == "net"
    assert sent.get_attr("NL80211_ATTR_WIPHY_FREQ") == 2412
    found = generic(requests.set_thresholds(3, (-80, -70), 2))
    assert found is not None
    assert found[0] == Cmd.SET_CQM
    said = dict(attributes(found[1][Attr.CQM]))
    assert said == {1: struct.pack("=ii", -80, -70), 2: struct.pack("=I", 2)}
    scan = generic(requests.trigger_scan(3, b"net", (2412, 2437)))
    assert scan is not None
    assert dict(attributes(scan[1][Attr.SCAN_SSIDS])) == {1: b"net"}
    assert Attr.SCAN_FLAGS not in scan[1]  # of low priority it would end at the first frame that waits
    assert [v for _, v in attributes(scan[1][Attr.SCAN_FREQUENCIES])] == [
        struct.pack("=I", f) for f in (2412, 2437)
    ]


@pytest.mark.parametrize(
    "body",
    [
        told(Cmd.DEAUTHENTICATE, attribute(Attr.FRAME, bytes(25))),
        told(Cmd.DEL_STATION),
        told(Cmd.NEW_STATION, attribute(Attr.MAC, bytes(5))),
        told(Cmd.ROAM),
        told(Cmd.NEW_INTERFACE),
        told(Cmd.NEW_SCAN_RESULTS, attribute(Attr.BSS, b"")),
    ],
)
def test_messages_that_lack_something_are_malformed(body: bytes) -> None:
    """A message without what its kind needs is malformed, in one sentence."""
    with pytest.raises(MalformedMessage, match="nl80211: a"):
        parsed(body)


@pytest.mark.parametrize("length", range(len(bss_body(A, privacy=True))))
def test_cut_messages_do_not_raise(length: int) -> None:
    """A scan entry that is cut anywhere is read as far as it is whole, or is malformed."""
    found = generic(bss_body(A, privacy=True)[:length])
    if found is not None:
        with suppress(MalformedMessage):
            read(*found)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (element(0, b""), Elements()),
        (element(0, bytes(8)), Elements()),
        (element(0, bytes(33)), Elements()),
        (element(0, b"a") + element(0, b"b"), Elements(b"a")),
        (element(3, b""), Elements()),
        (element(61, b"\x24" + bytes(21)), Elements(channel=36)),
        (element(11, bytes(4)), Elements()),
        (element(54, bytes(2)), Elements()),
        (element(221, b"\x00\x50\xf2\x01\x01\x00"), Elements(protected=True)),
        (element(221, b"\x00\x50\xf2\x02"), Elements()),
        (element(0, b"net") + b"\x03", Elements(b"net")),
        (element(0, b"net") + b"\x03\x05\x01", Elements(b"net")),
    ],
)
def test_malformed_elements_are_left_out(data: bytes, expected: Elements) -> None:
    """An element of a wrong size, or cut short, is left out; hidden networks have no SSID."""
    assert read_elements(data) == expected


@given(st.binary(max_size=600))
def test_any_elements(data: bytes) -> None:
    """No octets of a beacon raise, and what is read is within its bounds."""
    found = read_elements(data)
    assert found.ssid is None or 0 < len(found.ssid) <= 32
    assert found.channel is None or 0 <= found.channel <= 255
    assert found.load is None or 0.0 <= found.load.busy <= 1.0
    if found.ssid is not None:
        assert ssid_text(found.ssid).isprintable()


@given(st.binary(max_size=300), st.integers(0, 255))
def test_any_message(data: bytes, command: int) -> None:
    """Any octets behind any command are a value, nothing, or malformed."""
    for frame in frames(data):
        read_link(frame)
    read_switch(data)
    found = generic(bytes((command, 0, 0, 0)) + data)
    assert found is not None
    with suppress(MalformedMessage):
        read(*found)


_VALUES = st.one_of(st.binary(max_size=40), st.sampled_from([bytes(4), b"\xff" * 4, bytes(6), b"\xff" * 8]))
_NESTED = st.lists(st.tuples(st.integers(0, 32), _VALUES), max_size=6).map(
    lambda found: b"".join(attribute(kind, value) for kind, value in found)
)


@given(
    st.sampled_from(list(Cmd)),
    st.dictionaries(st.sampled_from(list(Attr)), st.one_of(_VALUES, _NESTED), max_size=8),
)
def test_any_attributes(command: Cmd, found: dict[Attr, bytes]) -> None:
    """Any values in the attributes of any command are a value, nothing, or malformed."""
    with suppress(MalformedMessage):
        read(command, {int(kind): value for kind, value in found.items()})


def test_link_states_are_read() -> None:
    """Route netlink tells name, switch, operational state and link mode."""
    body = struct.pack("=BxHiII", 0, 1, 7, 0x1, 0)
    body += attribute(3, b"wlan0\0") + attribute(16, b"\x06") + attribute(17, b"\x01")
    (frame,) = frames(message(16, 0, body))
    assert read_link(frame) == NetState(7, "wlan0", up=True, passing=True, owned=True)
    (frame,) = frames(message(17, 0, body))
    assert read_link(frame) == NetState(7, None, up=False, passing=True, owned=True)
    (frame,) = frames(message(16, 0, b"\x07" + body[1:]))
    assert read_link(frame) is None


def test_switches_are_read() -> None:
    """Radio switches are Wi-Fi's only, blocked by a program or by hand."""
    assert read_switch(struct.pack("=IBBBB", 3, 1, 2, 1, 0)) == Switch(3, soft=True, hard=False)
    assert read_switch(struct.pack("=IBBBBB", 3, 1, 2, 0, 0, 0)) == Switch(3, soft=False, hard=False)
    assert read_switch(struct.pack("=IBBBB", 3, 2, 2, 1, 0)) is None
    assert read_switch(b"\x00") is None


@pytest.mark.parametrize(
    ("by_peer", "code", "reason"),
    [
        (True, 4, DownReason.PEER),
        (False, 4, DownReason.SIGNAL_LOST),
        (False, 34, DownReason.SIGNAL_LOST),
        (False, 3, DownReason.REQUESTED),
        (False, 0, DownReason.REQUESTED),
    ],
)
def test_reason_codes(by_peer: bool, code: int, reason: DownReason) -> None:
    """Who ended the association, and with which code, is why the link is down."""
    assert down_reason(by_peer, code) is reason
    assert code_text(by_peer, code).startswith(f"reason {code} (")


@pytest.mark.parametrize("text", ["", "02", "02:00:00:00:00", "02:00:00:00:00:zz", "+2:00:00:00:00:01"])
def test_what_is_no_address(text: str) -> None:
    """A text that is no MAC address is none."""
    assert mac_octets(text) is None
