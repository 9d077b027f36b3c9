"""A driver and a consumer for tests of the supervisor: they do what their options say.

`install` writes the entry points that make them found, also by child processes.
"""

import asyncio
import logging
import os
from pathlib import Path

import pytest
from attrs import frozen

from lies.consumer import BusClient, Consumer
from lies.driver import Driver, DriverHost, LinkPort
from lies.events import Attached, Link, LinkUp, Technology

log = logging.getLogger("fake")
LOG: list[str] = []  # what happened in this process, in order


def install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `fake` an installed driver and `ear` an installed consumer, here and in child processes."""
    info = directory / "fake_plugins-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[lies.drivers]\nfake = fake_plugins:FakeDriver\nfinder = fake_plugins:Finder\n"
        "[lies.consumers]\near = fake_plugins:Ear\n"
    )
    monkeypatch.syspath_prepend(directory)
    before = os.environ.get("PYTHONPATH", "")
    path = [str(directory), str(Path(__file__).parent), *filter(None, before.split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    LOG.clear()


@frozen
class FakeConfig:
    """link: it announces; pid_file: where its process writes its number; the rest: when it fails.

    fail_while: start raises while this file is there; fail_when: it fails once this file is there, which it
    removes; finish: it has nothing to measure; hang_in_start, hang_in_stop: start, stop never return.
    """

    link: str = "fake0"
    pid_file: Path | None = None
    fail_while: Path | None = None
    fail_when: Path | None = None
    finish: bool = False
    hang_in_start: bool = False
    hang_in_stop: bool = False


class FakeDriver(Driver):
    """Announces a link that is up, and fails as told."""

    Config = FakeConfig

    def __init__(self, name: str, config: FakeConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self._port: LinkPort | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announce the link unless told to fail."""
        config: FakeConfig = self.config
        LOG.append(f"{self.name} start")
        if config.pid_file is not None:
            config.pid_file.write_text(str(os.getpid()))
        if config.fail_while is not None and config.fail_while.exists():
            raise OSError("the radio is switched off")
        if config.hang_in_start:
            await asyncio.Event().wait()
        self._port = self.host.add_link(Link(config.link, Technology.WIFI), controllable=True)
        self._port.feed(Attached(self.host.now_ns(), "ap1"))
        self._task = asyncio.create_task(self._run(config))

    async def _run(self, config: FakeConfig) -> None:
        if config.finish:
            self.host.finished()
        while config.fail_when is not None:
            await asyncio.sleep(0.01)
            if config.fail_when.exists():
                config.fail_when.unlink()
                self.host.failed(OSError("the radio was unplugged"))

    async def stop(self) -> None:
        """Stop, or hang."""
        LOG.append(f"{self.name} stop")
        if self._task is not None:
            self._task.cancel()
        if self.config.hang_in_stop:
            await asyncio.Event().wait()

    def link_connect(self, link: str, poa: str) -> None:
        """Be there at once; to the PoAs `crash` and `block`, raise and block the loop."""
        log.info("moving", extra={"link": link, "poa": poa})
        while poa == "block":
            pass
        if poa == "crash":
            raise RuntimeError("cannot")
        assert self._port is not None
        self._port.feed(Attached(self.host.now_ns(), poa))


class Finder(FakeDriver):
    """A driver that finds a link by itself, where the environment says so."""

    @classmethod
    def discover(cls) -> dict[str, dict[str, str]]:
        """The link in FAKE_LINK."""
        link = os.environ.get("FAKE_LINK")
        return {"found": {"link": link}} if link else {}


@frozen
class EarConfig:
    """file: where it writes each LinkUp it hears; choke_on: the PoA whose LinkUp makes its callback raise."""

    file: Path | None = None
    choke_on: str = ""


class Ear(Consumer):
    """Writes down links that come up."""

    Config = EarConfig

    def __init__(self, name: str, config: EarConfig, bus: BusClient) -> None:
        super().__init__(name, config, bus)
        bus.on_event(self._hear)

    async def start(self) -> None:
        """Register for LinkUp."""
        LOG.append(f"{self.name} start")
        await self.bus.register("link_up")

    async def stop(self) -> None:
        """Nothing to clear."""
        LOG.append(f"{self.name} stop")

    def _hear(self, event: object) -> None:
        assert isinstance(event, LinkUp)
        if event.poa == self.config.choke_on:
            raise ValueError(f"{event.poa} tastes bad")
        if self.config.file is not None:
            with self.config.file.open("a") as file:
                file.write(f"{event.header.link.name} {event.poa}\n")
