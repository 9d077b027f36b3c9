"""Information elements of beacons and probe responses (IEEE 802.11-2020, 9.4.2), as far as they matter here.

They come from whoever transmits: every length is checked, what is cut short or of a wrong size is left out.
"""

import struct
from collections.abc import Iterator

from attrs import frozen

_SSID, _DS, _BSS_LOAD, _RSN, _MOBILITY, _HT_OPERATION, _VENDOR = 0, 3, 11, 48, 54, 61, 221
_WPA = b"\x00\x50\xf2\x01"  # the element of WPA before RSN
_MAX_SSID = 32


@frozen
class BssLoad:
    """The access point's load (9.4.2.27); busy: share of time its channel is busy, 0.0..1.0."""

    stations: int
    busy: float


@frozen
class MobilityDomain:
    """Where fast transitions are possible (9.4.2.46); over_ds: through the present access point."""

    number: int
    over_ds: bool


@frozen
class Elements:
    """What a beacon says of itself; ssid: None where it is hidden or absent."""

    ssid: bytes | None = None
    channel: int | None = None
    load: BssLoad | None = None
    mobility: MobilityDomain | None = None
    protected: bool = False


def read_elements(data: bytes) -> Elements:
    """The elements in `data`; the first of a kind counts."""
    found: dict[int, bytes] = {}
    protected = False
    for kind, value in _split(data):
        protected = protected or kind == _RSN or (kind == _VENDOR and value.startswith(_WPA))
        found.setdefault(kind, value)
    return Elements(_ssid(found), _channel(found), _load(found), _mobility(found), protected)


def ssid_text(ssid: bytes) -> str:
    r"""An SSID as text, another one for each: UTF-8 that can be printed, and octets as \xNN; \ is \\."""
    shown = ssid.decode("utf-8", "surrogateescape").replace("\\", "\\\\")
    return "".join(c if c.isprintable() else _escaped(c) for c in shown)


def _escaped(character: str) -> str:
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", "surrogateescape"))


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 2 <= len(data):
        kind, length = data[offset], data[offset + 1]
        value = data[offset + 2 : offset + 2 + length]
        if len(value) < length:
            return
        yield kind, value
        offset += 2 + length


def _ssid(found: dict[int, bytes]) -> bytes | None:
    ssid = found.get(_SSID)
    if ssid is None or len(ssid) > _MAX_SSID or not any(ssid):  # hidden: empty, or zeros
        return None
    return ssid


def _channel(found: dict[int, bytes]) -> int | None:
    said = found.get(_DS)
    if said is not None and len(said) == 1:
        return said[0]
    operation = found.get(_HT_OPERATION)
    return operation[0] if operation else None  # its first octet is the primary channel


def _load(found: dict[int, bytes]) -> BssLoad | None:
    said = found.get(_BSS_LOAD)
    if said is None or len(said) != 5:
        return None
    stations, busy, _ = struct.unpack("<HBH", said)
    return BssLoad(stations, busy / 255)


def _mobility(found: dict[int, bytes]) -> MobilityDomain | None:
    said = found.get(_MOBILITY)
    if said is None or len(said) != 3:
        return None
    number, policy = struct.unpack("<HB", said)
    return MobilityDomain(number, bool(policy & 1))
