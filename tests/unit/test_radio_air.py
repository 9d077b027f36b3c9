"""The air of the radio machine without the machine: levels over time, losses, forged frames."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from radio.beacons import forge
from radio.hwsim import TX_STAT_ACK, Attr, Cmd, Hwsim, attribute, attributes
from radio.medium import TRIES, Medium, answer
from radio.scenario import Level, Scenario, octets

AP, STA, OTHER = "42:00:00:00:00:00", "42:00:00:00:01:00", "42:00:00:00:02:00"
RADIOS = {"ap": AP, "sta": STA, "other": OTHER}
TO_STA, TO_ALL = bytes.fromhex("020000000100"), b"\xff" * 6


class SeenHwsim(Hwsim):
    """Keeps what the kernel would be told."""

    def __init__(self) -> None:
        self._family = 28
        self.waiting: list[dict[int, bytes]] = []
        self.told: list[tuple[Cmd, dict[int, bytes]]] = []

    def frames(self) -> Iterator[dict[int, bytes]]:
        """What was put there."""
        while self.waiting:
            yield self.waiting.pop(0)

    def tell(self, messages: bytes) -> None:
        """Keep each, as the kernel goes from one to the next."""
        while messages:
            length, family, flags, command = struct.unpack_from("=IHH8xB", messages)
            assert (family, flags) == (28, 1)
            self.told.append((Cmd(command), attributes(messages[20:length])))
            messages = messages[(length + 3) & ~3 :]


def level(points: list[list[float]], noise_db: float = 0.0, noise_s: float = 0.0) -> Level:
    """A level with a fixed seed."""
    return Level(points, noise_db, noise_s, random.Random(1))


def scenario(**path: Any) -> Scenario:
    """Both ways between the access point and the station."""
    paths = [{"from": "ap", "to": "sta", "both_ways": True, **path}]
    return Scenario({"radios": RADIOS, "floor_dbm": -90, "soft_db": 4, "paths": paths})


def test_level_follows_lines_and_steps() -> None:
    """Between two points a line, at equal times a step, before the first and after the last what they say."""
    one = level([[0, -40], [10, -90], [12, -90], [12, -50]])
    assert [one.at(t) for t in (-1, 0, 5, 10, 11, 12, 99)] == [-40, -40, -65, -90, -90, -50, -50]


def test_noise_stays_within_its_bounds() -> None:
    """It is anew for each frame, or for each noise_s, about the level."""
    one = level([[0, -60]], noise_db=6)
    seen = [one.at(t / 100) for t in range(2000)]
    assert max(seen) <= -54
    assert min(seen) >= -66
    assert abs(sum(seen) / len(seen) + 60) < 0.5
    assert len(set(seen)) > 1900
    slow = level([[0, -60]], noise_db=6, noise_s=1)
    assert len({slow.at(t / 100) for t in range(1000)}) == 10


@pytest.mark.parametrize("points", [[], [[0]], [[1, -40], [0, -50]]])
def test_bad_levels_are_refused(points: list[list[float]]) -> None:
    """Points must be pairs, rising in time."""
    with pytest.raises(ValueError, match="dbm must be a list"):
        level(points)


def test_frames_are_lost_near_the_floor() -> None:
    """At the floor none is heard, above the soft part all are; without a path nothing is."""

    def share(dbm: float) -> float:
        one = scenario(dbm=[[0, dbm]])
        heard = [one.received(octets(AP), octets(STA), t) for t in range(400)]
        return sum(h is not None for h in heard) / len(heard)

    assert share(-90) == 0
    assert 0.3 < share(-88) < 0.7
    assert share(-86) == 1
    assert scenario(dbm=[[0, -40]]).received(octets(AP), octets(OTHER), 0) is None
    assert scenario(dbm=[[0, -40]]).receivers(octets(AP)) == (octets(STA),)


def sent(to: bytes) -> dict[int, bytes]:
    """A frame of the access point as hwsim tells of it."""
    return {
        Attr.ADDR_TRANSMITTER: octets(AP),
        Attr.FRAME: struct.pack("<HH", 0x08, 0) + to + bytes(20),
        Attr.FLAGS: struct.pack("=I", 1 | TX_STAT_ACK),
        Attr.TX_INFO: b"\x00\x01\xff\x00\xff\x00\xff\x00",
        Attr.COOKIE: bytes(8),
        Attr.FREQ: struct.pack("=I", 2412),
    }


def carried(to: bytes, **path: Any) -> list[tuple[Cmd, dict[int, bytes]]]:
    """What the kernel is told of one frame."""
    medium = Medium(hwsim := SeenHwsim())
    medium.play(scenario(**path))
    hwsim.waiting.append(sent(to))
    medium.carry()
    return hwsim.told


def test_frame_is_delivered_and_acknowledged() -> None:
    """Its receiver has it with the level of the path, its sender the acknowledgement."""
    (first, heard), (second, result) = carried(TO_STA, dbm=[[0, -47]])
    assert (first, second) == (Cmd.FRAME, Cmd.TX_INFO_FRAME)
    assert heard[Attr.ADDR_RECEIVER] == octets(STA)
    assert heard[Attr.SIGNAL] == struct.pack("=i", -47)
    assert heard[Attr.FREQ] == struct.pack("=I", 2412)
    assert struct.unpack("=I", result[Attr.FLAGS])[0] & TX_STAT_ACK
    assert result[Attr.TX_INFO] == b"\x00\x01\xff\x00\xff\x00\xff\x00"


def test_lost_frame_is_tried_again_and_given_up() -> None:
    """Below the floor nobody has it, and the sender is told of no acknowledgement after all tries."""
    ((command, result),) = carried(TO_STA, dbm=[[0, -95]])
    assert command == Cmd.TX_INFO_FRAME
    assert not struct.unpack("=I", result[Attr.FLAGS])[0] & TX_STAT_ACK
    assert result[Attr.TX_INFO][1] == TRIES


def test_frame_to_all_is_not_acknowledged() -> None:
    """Whoever may hear it has it; its sender waits for nobody."""
    (_, heard), (_, result) = carried(TO_ALL, dbm=[[0, -47]])
    assert heard[Attr.ADDR_RECEIVER] == octets(STA)
    assert not struct.unpack("=I", result[Attr.FLAGS])[0] & TX_STAT_ACK


def test_forged_beacons_are_heard(tmp_path: Path) -> None:
    """A file of them is delivered a few at a time, each from another BSSID."""
    medium = Medium(hwsim := SeenHwsim())
    forge(tmp_path / "forged", STA, 50, ssid="orchard", channel=1, seed=3)
    assert answer(medium, f"forge {tmp_path / 'forged'}") == "50"
    while medium.busy:
        medium.some_forged()
    assert len({told[Attr.FRAME][16:22] for _, told in hwsim.told}) == 50
    assert {told[Attr.ADDR_RECEIVER] for _, told in hwsim.told} == {octets(STA)}


@pytest.mark.parametrize(
    ("line", "said"),
    [("stop now", "neither play nor forge"), ("play /nowhere/at.all", "FileNotFoundError"), ("", "neither")],
)
def test_medium_says_what_is_wrong(line: str, said: str) -> None:
    """A word or a file that it does not know ends nothing."""
    assert said in answer(Medium(SeenHwsim()), line)


def test_bad_scenario_is_refused(tmp_path: Path) -> None:
    """A radio that is not named, or an address that is none, is said, and the scenario before goes on."""
    file = tmp_path / "scenario.toml"
    medium = Medium(SeenHwsim())
    file.write_text('[radios]\nap = "42:00"\n')
    assert "is no address of a radio" in answer(medium, f"play {file}")
    file.write_text(f'[radios]\nap = "{AP}"\n[[paths]]\nfrom = "ap"\nto = "sta"\ndbm = [[0, -40]]\n')
    assert "KeyError" in answer(medium, f"play {file}")


def test_attributes_cut_short_end_the_list() -> None:
    """What is read of a message never raises."""
    whole = attribute(1, b"abc") + attribute(2, b"defg")
    for end in range(len(whole)):
        assert set(attributes(whole[:end])) <= {1, 2}
    assert attributes(whole) == {1: b"abc", 2: b"defg"}
