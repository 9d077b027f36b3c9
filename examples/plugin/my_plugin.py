"""A driver, a consumer and a policy of one's own: install the folder, name them in a configuration."""

import asyncio
from pathlib import Path

from attrs import frozen

from lies.consumer import Consumer
from lies.driver import Driver, DriverHost
from lies.events import Attached, Detached, DownReason, Indication, Link, Quality, Raw, Sample, Technology
from lies_fmipv6.policy import Situation


@frozen
class ProcWifiConfig:
    """Keys of `[drivers.NAME]`; file: where the kernel lists its wireless interfaces and their signal."""

    link: str = "wlan0"
    file: Path = Path("/proc/net/wireless")
    every_s: float = 0.1


class ProcWifi(Driver):
    """The signal level that Linux shows in /proc/net/wireless; it names no access point."""

    Config = ProcWifiConfig

    def __init__(self, name: str, config: ProcWifiConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announce the link and begin to read."""
        self._task = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        port = self.host.add_link(Link(self.config.link, Technology.WIFI), controllable=False)
        up = False
        while True:
            level_dbm = self._level_dbm()
            now_ns = self.host.now_ns()
            if up and level_dbm is None:
                port.feed(Detached(now_ns, "unknown", DownReason.SIGNAL_LOST))
            elif level_dbm is not None:
                if not up:
                    port.feed(Attached(now_ns, "unknown"))
                port.feed(Sample(now_ns, poa="unknown", rssi_dbm=level_dbm))
            up = level_dbm is not None
            await asyncio.sleep(self.config.every_s)

    def _level_dbm(self) -> float | None:
        """The third number behind the interface's name, None where it is not listed."""
        try:
            for line in self.config.file.read_text(encoding="ascii").splitlines():
                name, _, numbers = line.partition(":")
                if name.strip() == self.config.link:
                    return float(numbers.split()[2])
        except (OSError, ValueError, IndexError):
            return None
        return None


@frozen
class DiaryConfig:
    """Keys of `[consumers.NAME]`; file: what it writes to."""

    file: Path


class Diary(Consumer):
    """Writes a line for every link that comes up, goes down or changes its level."""

    Config = DiaryConfig

    async def start(self) -> None:
        """Register for three events of every link."""
        self.bus.on_event(self._note)
        for primitive in ("link_up", "link_down", "link_status_changed"):
            await self.bus.register(primitive)
        self._write("begun")  # what happened before is in the snapshot: bus.link_status(link)

    async def stop(self) -> None:
        """Nothing was set up outside the bus."""

    def _note(self, event: Indication | Raw) -> None:
        self._write(f"{event.header.mono_ns} {event.header.link.name} {type(event).__name__}")

    def _write(self, line: str) -> None:
        with self.config.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


@frozen
class LastMoment:
    """Keys of `[consumers.NAME.policy]`: moves `lead_s` before the announced break, and not without one."""

    lead_s: float = 1.0

    def wants_to_leave(self, situation: Situation, /) -> bool:
        """Nothing but an announced break is a reason."""
        return situation.going_down

    def choose(self, situation: Situation, /) -> str | None:
        """The candidate with the most bandwidth, as soon as the break is near."""
        s = situation
        heard = [c for c in s.candidates if c.condition.quality > Quality.NONE]
        if s.down_at is None or s.down_at - s.now > self.lead_s or not heard:
            return None
        return max(heard, key=lambda c: (c.condition.bandwidth_mbps or 0.0, c.poa)).poa
