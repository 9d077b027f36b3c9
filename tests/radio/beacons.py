"""Forged beacons: of access points that are not there, and of such that no standard knows."""

import random
import struct
from pathlib import Path

_HEAD = struct.Struct(
    "<HH6s6s6sHQHH"
)  # control, duration, to, from, BSSID, sequence, time, interval, capability
_BEACON, _EVERYBODY, _ESS = 0x0080, b"\xff" * 6, 0x0001
_RATES = bytes((1, 4, 0x82, 0x84, 0x8B, 0x96))


def element(kind: int, value: bytes) -> bytes:
    """One information element (IEEE 802.11-2020, 9.4.2.1)."""
    return bytes((kind, len(value))) + value


def beacon(bssid: bytes, elements: bytes) -> bytes:
    """The frame."""
    return _HEAD.pack(_BEACON, 0, _EVERYBODY, bssid, bssid, 0, 0, 100, _ESS) + elements


def forge(file: Path, radio: str, count: int, *, ssid: str, channel: int, seed: int) -> None:
    """Write what the medium is to have a radio hear, each beacon of another BSSID, half of them malformed.

    Those are elements with wrong lengths and random octets; a third of all call themselves by the SSID.
    """
    chance = random.Random(seed)
    lines = []
    for number in range(count):
        bssid = b"\x06" + chance.randbytes(1) + number.to_bytes(4, "big")
        name = ssid.encode() if number % 3 == 0 else chance.randbytes(chance.randrange(33))
        said = element(0, name) + _RATES + element(3, bytes((channel,)))
        if number % 2:
            said += b"".join(_malformed(chance) for _ in range(chance.randrange(1, 8)))
        dbm = chance.randrange(-85, -40)
        lines.append(f"{radio} {dbm} {2407 + 5 * channel} {beacon(bssid, said).hex()}\n")
    file.write_text("".join(lines), encoding="ascii")


def _malformed(chance: random.Random) -> bytes:
    kind = chance.choice(
        (0, 3, 11, 37, 45, 48, 54, 60, 61, 70, 127, 191, 201, 221, 255, chance.randrange(256))
    )
    value = chance.randbytes(chance.randrange(40))
    if chance.random() < 0.3:
        return bytes((kind, chance.randrange(256))) + value  # another length than it has
    return element(kind, value)
