"""The air between the machine's radios: `python -m radio.medium`, a process in the namespace that made them.

Each line of its standard input is a word and a file, and is answered with a line. `play FILE`: a scenario
(radio.scenario), played from then on; answered with the time, ns of CLOCK_MONOTONIC. `forge FILE`: frames
that nobody sends (radio.beacons), heard between the others; answered with their number. Any other answer says
what is wrong with it. It ends with its standard input.
"""

import errno
import os
import selectors
import struct
import sys
from collections import deque
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns

from radio.hwsim import Attr, Hwsim
from radio.scenario import Scenario, octets

TRIES = 4  # of a frame that wants to be acknowledged
AT_ONCE = 20  # forged frames


class Medium:
    """Carries frames as the scenario has it."""

    def __init__(self, hwsim: Hwsim) -> None:
        self._hwsim = hwsim
        self._scenario = Scenario({"radios": {}})
        self._began_ns = 0
        self.overruns = 0
        self._forged: deque[tuple[bytes, int, bytes, bytes]] = deque()

    @property
    def busy(self) -> bool:
        """Whether there are forged frames to deliver."""
        return bool(self._forged)

    def play(self, scenario: Scenario) -> int:
        """From now on; when that is."""
        self._scenario = scenario
        self._began_ns = clock_gettime_ns(CLOCK_MONOTONIC)
        return self._began_ns

    def carry(self) -> None:
        """All frames that wait."""
        try:
            for told in self._hwsim.frames():
                self._one(told)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self.overruns += 1

    def forge(self, file: Path) -> int:
        """Deliver the frames of a file one after another; how many there are."""
        for line in file.read_text(encoding="ascii").splitlines():
            radio, dbm, mhz, frame = line.split()
            frequency = struct.pack("=I", int(mhz))
            self._forged.append((octets(radio), int(dbm), frequency, bytes.fromhex(frame)))
        return len(self._forged)

    def some_forged(self) -> None:
        """A few of them."""
        for _ in range(min(AT_ONCE, len(self._forged))):
            radio, dbm, frequency, frame = self._forged.popleft()
            self._hwsim.tell(self._hwsim.deliver(radio, frame, dbm, frequency))

    def _one(self, told: dict[int, bytes]) -> None:
        sender, frame, frequency = told[Attr.ADDR_TRANSMITTER], told[Attr.FRAME], told[Attr.FREQ]
        hwsim, received = self._hwsim, self._scenario.received
        t_s = (clock_gettime_ns(CLOCK_MONOTONIC) - self._began_ns) / 1e9
        if frame[4] & 1:  # to many: nobody acknowledges
            messages = [
                hwsim.deliver(receiver, frame, dbm, frequency)
                for receiver in self._scenario.receivers(sender)
                if (dbm := received(sender, receiver, t_s)) is not None
            ]
            hwsim.tell(b"".join((*messages, hwsim.sent(told, None, 1))))
            return
        receiver = bytes((frame[4] | 0x40,)) + frame[5:10]  # hwsim's address of the radio with that one
        for number in range(1, TRIES + 1):
            dbm = received(sender, receiver, t_s)
            back_dbm = received(receiver, sender, t_s) if dbm is not None else None
            if dbm is not None and back_dbm is not None:
                heard = hwsim.deliver(receiver, frame, dbm, frequency)
                hwsim.tell(heard + hwsim.sent(told, back_dbm, number))
                return
        hwsim.tell(hwsim.sent(told, None, TRIES))


def main() -> None:
    """Carry frames until the standard input ends."""
    medium = Medium(hwsim := Hwsim())
    selector = selectors.DefaultSelector()
    selector.register(hwsim, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print("ready", flush=True)
    rest = b""
    while True:
        for key, _ in selector.select(0 if medium.busy else None):
            if key.fileobj is hwsim:
                medium.carry()
                continue
            data = os.read(sys.stdin.fileno(), 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                print(answer(medium, os.fsdecode(line)), flush=True)
        medium.some_forged()


def answer(medium: Medium, line: str) -> str:
    """Do what a line says."""
    word, _, name = line.partition(" ")
    try:
        match word:
            case "play":
                return str(medium.play(Scenario.load(Path(name))))
            case "forge":
                return str(medium.forge(Path(name)))
            case _:
                return f"{word!r} is neither play nor forge"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{name}: {error!r}"


if __name__ == "__main__":
    main()
