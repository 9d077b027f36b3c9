"""A driver that moves its link to PoAs n1, n2, n3, ... at a fixed rate, so that every LinkUp is numbered."""

import asyncio
import os
import time
from pathlib import Path

from attrs import frozen

from lies.driver import Driver, DriverHost, LinkPort
from lies.events import Attached, Link, Technology

DIST_INFO = "lies_soak-1.0.dist-info"


def install(directory: Path) -> dict[str, str]:
    """Make `metronome` an installed driver; returns the environment in which it is one."""
    info = directory / DIST_INFO
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lies-soak\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lies.drivers]\nmetronome = soak.metronome:Metronome\n")
    path = [str(directory), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path))}


@frozen
class MetronomeConfig:
    """rate_hz: numbers a second; pid_file: gets the process's number; late_file: how late each was, in us.

    order_file: where requests to move the link are written; clock_file: a number of ns in it is added to the
    wall clock of this process from then on, as if an administrator had set the clock.
    """

    link: str = "tick0"
    rate_hz: float = 100.0
    pid_file: Path | None = None
    late_file: Path | None = None
    order_file: Path | None = None
    clock_file: Path | None = None


class Metronome(Driver):
    """Beats."""

    Config = MetronomeConfig

    def __init__(self, name: str, config: MetronomeConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announce the link and beat."""
        config: MetronomeConfig = self.config
        if config.pid_file is not None:
            config.pid_file.write_text(str(os.getpid()))
        port = self.host.add_link(Link(config.link, Technology.WIFI), controllable=True)
        self._task = asyncio.create_task(self._beat(config, port))

    async def stop(self) -> None:
        """Stand still."""
        if self._task is not None:
            self._task.cancel()

    def link_connect(self, link: str, poa: str) -> None:
        """Note the request and stay."""
        if self.config.order_file is not None:
            with self.config.order_file.open("a") as file:
                file.write(f"{link} {poa}\n")

    async def _beat(self, config: MetronomeConfig, port: LinkPort) -> None:
        began_ns, step_ns = self.host.now_ns(), round(1e9 / config.rate_hz)
        late: list[str] = []
        number = 0
        while True:
            number += 1
            due_ns = began_ns + number * step_ns
            # Once for every beat, also when late: others on this loop must get their turn.
            await asyncio.sleep(max(0.0, (due_ns - self.host.now_ns()) / 1e9))
            now_ns = self.host.now_ns()
            port.feed(Attached(now_ns, f"n{number}"))
            if config.late_file is not None:
                late.append(f"{number} {(self.host.now_ns() - due_ns) // 1000}\n")
                if len(late) >= 100:
                    with config.late_file.open("a") as file:
                        file.writelines(late)
                    late.clear()
            if config.clock_file is not None and number % 10 == 0 and config.clock_file.exists():
                set_wall_clock(int(config.clock_file.read_text()))


_real_ns, _real_s = time.time_ns, time.time  # noqa: TID251 - the clock that is set


def set_wall_clock(by_ns: int) -> None:
    """Set this process's wall clock so many ns from the host's: for it the same as clock_settime(2)."""
    time.time_ns = lambda: _real_ns() + by_ns  # noqa: TID251 - set, not read
    time.time = lambda: _real_s() + by_ns / 1e9  # noqa: TID251 - likewise
