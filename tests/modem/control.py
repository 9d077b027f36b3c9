"""The handle with which a test does things to the modem.

In a shell in a rig, `python -m modem.control signal csq=20` does the same.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from polling import wait_until

PATIENCE_S = 30.0
VARIABLE = "LIES_MODEM_CONTROL"  # names the control socket to commands in a rig


class ModemControl:
    """Does things to the modem's surroundings; each call returns when it began (CLOCK_MONOTONIC, ns)."""

    def __init__(self, path: Path) -> None:
        wait_until(path.exists, PATIENCE_S)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(str(path))
        self._answers = self._socket.makefile("r")

    def close(self) -> None:
        """Let go of the socket."""
        self._answers.close()
        self._socket.close()

    def ask(self, action: str, **options: object) -> dict[str, Any]:
        """Do it, and the whole answer; AssertionError if the modem could not."""
        self._socket.sendall(json.dumps({"do": action, **options}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._answers.readline())
        assert "error" not in answer, answer
        return answer

    def signal(self, **levels: int) -> int:
        """Change csq (0 to 31, 99), rsrp (dBm), rsrq (dB)."""
        return self._at("signal", **levels)

    def burst(self, count: int) -> int:
        """Change the bars so many times at once."""
        return self._at("burst", count=count)

    def cell(self, cell: str, area: str | None = None) -> int:
        """Another serving cell, in hexadecimal digits."""
        return self._at("camp", cell=cell, **({} if area is None else {"area": area}))

    def technology(self, act: int) -> int:
        """Another access technology, as <AcT> of TS 27.007."""
        return self._at("camp", act=act)

    def registration(self, stat: int) -> int:
        """Another state of registration, as <stat> of TS 27.007."""
        return self._at("camp", registration=stat)

    def drop(self, *, silent: bool = False) -> int:
        """The network ends the data connection; silent: without saying so."""
        return self._at("drop", silent=silent)

    def refuse(self, *, on: bool = True) -> int:
        """The network takes no data connection."""
        return self._at("refuse", on=on)

    def card(self, state: str, **options: str) -> int:
        """The SIM card: READY, PIN, PUK or MISSING; with pin: what it is unlocked by."""
        return self._at("card", state=state, **options)

    def mute(self, *, on: bool = True) -> int:
        """Answer nothing any more."""
        return self._at("mute", on=on)

    def renew(self) -> int:
        """Everything around the modem is again as it was at the start."""
        return self._at("renew")

    def state(self) -> dict[str, Any]:
        """What the modem is and did."""
        return self.ask("state")

    def _at(self, action: str, **options: object) -> int:
        t_ns = self.ask(action, **options)["t_ns"]
        assert isinstance(t_ns, int)
        return t_ns


def main() -> None:
    """Do one thing to the modem of the rig that this runs in, and print the answer."""
    action, *options = sys.argv[1:]
    values = {name: _value(text) for name, text in (word.split("=", 1) for word in options)}
    answer = ModemControl(Path(os.environ[VARIABLE])).ask(action, **values)
    sys.stdout.write(f"{json.dumps(answer)}\n")


def _value(text: str) -> object:
    """A number, true and false as JSON has them; a word stays one."""
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
