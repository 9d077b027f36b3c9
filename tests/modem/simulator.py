"""The modem as a process: `python -m modem.simulator --control SOCKET (--pty LINK | --socket NAME)...`.

On the control socket one JSON object a line says what happens to the modem: {"do": "signal", "csq": 20}.
The answer is one JSON object: {"t_ns": when it began, CLOCK_MONOTONIC}, with more for "state"; {"error": why}
where it could not be done.
"""

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import asdict

from lies.runtime import monotonic_ns, now_s
from modem.device import Modem
from modem.lines import PtyLine, SocketLine
from modem.network import Card


class Simulator:
    """A modem, what its ports are carried by, and what may be done to it."""

    def __init__(self, ttys: list[Path], sockets: list[str], log: Path) -> None:
        self._log = log.open("w", buffering=1)
        self._began_s = now_s()
        self._ttys = ttys
        self.modem = Modem([path.name for path in ttys] or sockets, self._note)
        self._sockets = [SocketLine(p, n) for p, n in zip(self.modem.ports, sockets, strict=False)]
        self._plugged: list[PtyLine] = []
        self._actions: dict[str, Callable[..., object]] = {
            "signal": self.modem.signal,
            "burst": self.modem.burst,
            "camp": self.modem.camp,
            "drop": self.modem.drop,
            "card": self._card,
            "mute": self._mute,
            "force": self._force,
            "refuse": self._refuse,
            "plug": self.plug,
            "unplug": self.unplug,
            "renew": self.modem.renew,
            "state": self._state,
        }

    async def open(self) -> None:
        """Open all ports."""
        for line in self._sockets:
            await line.open()
        self.plug()

    def plug(self) -> None:
        """Put the terminals there."""
        if not self._plugged:
            self._plugged = [PtyLine(p, t) for p, t in zip(self.modem.ports, self._ttys, strict=False)]

    def unplug(self) -> None:
        """Take every port away."""
        for terminal in self._plugged:
            terminal.close()
        for line in self._sockets:
            line.close()
        self._plugged = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what one connection of the control socket asks for."""
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self._do(line)).encode() + b"\n")
        finally:
            writer.close()

    def _do(self, line: bytes) -> dict[str, Any]:
        t_ns = monotonic_ns()
        try:
            asked = json.loads(line)
            found = self._actions[asked.pop("do")](**asked)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return {"t_ns": t_ns, **(found if isinstance(found, dict) else {})}

    def _note(self, port: str, mark: str, text: str) -> None:
        self._log.write(f"{now_s() - self._began_s:8.3f} {port} {mark} {text!r}\n")

    def _card(self, state: str, pin: str | None = None) -> None:
        self.modem.sim.card = Card[state]
        self.modem.sim.pin = self.modem.sim.pin if pin is None else pin

    def _mute(self, *, on: bool = True) -> None:
        self.modem.mute = on

    def _force(self, line: str, final: str | None = None) -> None:
        self.modem.forced.pop(line.upper(), None)
        if final is not None:
            self.modem.forced[line.upper()] = final

    def _refuse(self, *, on: bool = True) -> None:
        self.modem.network.refuses = on

    def _state(self) -> dict[str, Any]:
        modem = self.modem
        return {
            "network": asdict(modem.network),
            "card": modem.sim.card.name,
            "tries": modem.sim.tries,
            "unlocks": modem.card.unlocks,
            "defined": {str(n): list(what) for n, what in modem.contexts.defined.items()},
            "active": sorted(modem.contexts.active),
            "counts": dict(modem.counts),
        }


async def main() -> None:
    """Run the modem until it is killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pty", type=Path, action="append", default=[])
    parser.add_argument("--socket", action="append", default=[])
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    simulator = Simulator(options.pty, options.socket, options.log)
    await simulator.open()
    server = await asyncio.start_unix_server(simulator.serve, options.control)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
