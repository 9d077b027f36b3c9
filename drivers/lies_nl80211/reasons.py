"""Reason codes and status codes (IEEE 802.11-2020, tables 9-49 and 9-50) as reasons and in words."""

from lies.events import DownReason

_INACTIVITY = 4  # what mac80211 sends when beacons and probes went unanswered
_NAMES = {
    1: "unspecified",
    2: "authentication no longer valid",
    3: "the sender leaves",
    4: "inactivity or connection lost",
    5: "no room",
    6: "frame before authentication",
    7: "frame before association",
    8: "disassociated",
    14: "message integrity failure",
    15: "4-way handshake timeout",
    16: "group key handshake timeout",
    23: "IEEE 802.1X authentication failed",
    34: "too many frames unacknowledged",
}
_LOST = {_INACTIVITY, 34}
_STATUS = {
    1: "unspecified failure",
    11: "reassociation denied",
    12: "denied, for a reason outside the standard",
    13: "authentication algorithm not supported",
    15: "challenge failure",
    16: "timeout",
    17: "no room for another station",
    18: "basic rates not supported",
    30: "refused, to be tried again later",
    31: "robust management frames policy",
    34: "poor channel conditions",
    37: "declined",
    40: "invalid information element",
    43: "invalid key management",
    53: "invalid PMKID",
    82: "rejected with a suggested transition",
}


def down_reason(by_peer: bool, code: int) -> DownReason:
    """Why the link is down: the access point ended it, the signal was lost, or this side left."""
    if by_peer:
        return DownReason.PEER
    return DownReason.SIGNAL_LOST if code in _LOST else DownReason.REQUESTED


def code_text(by_peer: bool, code: int) -> str:
    """The code for people."""
    side = "told by the access point" if by_peer else "told here"
    return f"reason {code} ({_NAMES.get(code, 'see IEEE 802.11')}), {side}"


def status_text(status: int) -> str:
    """Why an access point does not let anybody in, for people."""
    return f"status {status} ({_STATUS.get(status, 'see IEEE 802.11')})"
