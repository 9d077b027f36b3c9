"""The air between the machine's radios: `python -m radio.medium`, a process in the namespace that made them.

Each line of its standard input is the path of a scenario, played from then on; it answers each with a line:
when that began (ns of CLOCK_MONOTONIC), or what is wrong with it. It ends with its standard input.
"""

import errno
import os
import selectors
import sys
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns

from radio.hwsim import Attr, Hwsim
from radio.scenario import Scenario

TRIES = 4  # of a frame that wants to be acknowledged


class Medium:
    """Carries frames as the scenario has it."""

    def __init__(self, hwsim: Hwsim) -> None:
        self._hwsim = hwsim
        self._scenario = Scenario({"radios": {}})
        self._began_ns = 0
        self.overruns = 0

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

    def _one(self, told: dict[int, bytes]) -> None:
        sender, frame = told[Attr.ADDR_TRANSMITTER], told[Attr.FRAME]
        t_s = (clock_gettime_ns(CLOCK_MONOTONIC) - self._began_ns) / 1e9
        if frame[4] & 1:  # to many: nobody acknowledges
            for receiver in self._scenario.receivers(sender):
                dbm = self._scenario.received(sender, receiver, t_s)
                if dbm is not None:
                    self._deliver(receiver, told, dbm)
            self._hwsim.sent(told, None, 1)
            return
        receiver = bytes((frame[4] | 0x40,)) + frame[5:10]  # hwsim's address of the radio with that one
        for number in range(1, TRIES + 1):
            dbm = self._scenario.received(sender, receiver, t_s)
            back_dbm = self._scenario.received(receiver, sender, t_s) if dbm is not None else None
            if dbm is not None and back_dbm is not None:
                self._deliver(receiver, told, dbm)
                self._hwsim.sent(told, back_dbm, number)
                return
        self._hwsim.sent(told, None, TRIES)

    def _deliver(self, receiver: bytes, told: dict[int, bytes], dbm: int) -> None:
        self._hwsim.deliver(receiver, told[Attr.FRAME], dbm, told.get(Attr.FREQ))


def main() -> None:
    """Carry frames until the standard input ends."""
    medium = Medium(hwsim := Hwsim())
    selector = selectors.DefaultSelector()
    selector.register(hwsim, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print("ready", flush=True)
    rest = b""
    while True:
        for key, _ in selector.select():
            if key.fileobj is hwsim:
                medium.carry()
                continue
            data = os.read(sys.stdin.fileno(), 65536)
            if not data:
                print(f"{medium.overruns} overruns", flush=True)
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    print(medium.play(Scenario.load(Path(os.fsdecode(line)))), flush=True)
                except (OSError, ValueError, KeyError, TypeError) as error:
                    print(f"{line.decode()}: {error!r}", flush=True)


if __name__ == "__main__":
    main()
