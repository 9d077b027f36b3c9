"""The shell of the cellular driver: ModemManager on one side, follower and host on the other."""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ClassVar

from attrs import evolve

from lies.driver import Driver, DriverHost
from lies.errors import LiesError
from lies.events import LinkAction
from lies.link_steps import Fail, Links
from lies.runtime import Runtime
from lies_cellular.config import CellularConfig
from lies_cellular.follow import Follower
from lies_cellular.items import Action, Answer, Call, Connect, Disconnect, Item, Present, Purpose
from lies_cellular.service import Service, address_of, is_there

log = logging.getLogger(__name__)

_BACK_S = 2.0  # for putting a modem back as it was


class Cellular(Driver):
    """Every modem of ModemManager as a link. It needs no capability: ModemManager's own rules decide."""

    Config = CellularConfig
    _tried: ClassVar[set[str]] = set()  # SIMs whose PIN was tried: once for as long as this process lives

    @classmethod
    def discover(cls) -> Mapping[str, Mapping[str, Any]]:
        """One table for all modems, where ModemManager runs."""
        with ThreadPoolExecutor(1) as thread:  # whoever asks may have a loop in this one
            return {"cellular": {}} if thread.submit(is_there).result() else {}

    def __init__(self, name: str, config: CellularConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        address_of(config.bus)
        self._follower = Follower(config, self._tried)
        self._links = Links(name, host, log)
        self._runtime: Runtime[Item, Action] | None = None
        self._service: Service | None = None
        self._known = asyncio.Event()  # what there is, or that there is nothing
        self._left_out = 0

    async def start(self) -> None:
        """Learn what modems there are, and follow them; without bus or ModemManager wait for it, running."""
        config: CellularConfig = self.config
        self._runtime = Runtime(self._follower, self._perform, clock=lambda: self.host.now_ns() / 1e9)
        self._service = Service(config, self._feed, self.host.now_ns)
        if not await self._service.start():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(config.call_s):
                await self._known.wait()

    async def stop(self) -> None:
        """Put the modems back as they were; connections stay."""
        if self._runtime is not None:
            self._runtime.close()
        if self._service is not None:
            calls = (evolve(call, limit_s=_BACK_S) for call in self._follower.taken_back())
            for answer in await asyncio.gather(
                *(self._service.make(call) for call in calls), return_exceptions=True
            ):
                if isinstance(answer, LiesError):
                    log.debug("%s: a modem is not put back as it was: %s", self.name, answer)
            await self._service.stop()
            self._service = None

    def link_connect(self, link: str, poa: str) -> None:
        """Connect through a network."""
        if self._may(link, LinkAction.CONNECT, poa):
            self._feed(Connect(self.host.now_ns(), link, poa))

    def link_disconnect(self, link: str, poa: str | None) -> None:
        """End the connection."""
        if self._may(link, LinkAction.DISCONNECT, poa):
            self._feed(Disconnect(self.host.now_ns(), link, poa))

    def _may(self, link: str, action: LinkAction, poa: str | None) -> bool:
        if not self.config.control:
            self._links.perform(Fail(link, action, poa, "control = false in the configuration"))
        return bool(self.config.control)

    # ---- in

    def _feed(self, item: Item) -> None:
        if self._runtime is None:
            return
        self._runtime.feed(item)
        match item:
            case Present(there=False) | Answer(call=Call(purpose=Purpose.OBJECTS)):
                self._known.set()
            case _:
                pass
        self._say_lies()

    def _say_lies(self) -> None:
        """What ModemManager told and nobody can believe, the first time."""
        reader = self._service.reader if self._service is not None else None
        if reader is not None and len(reader.lies) > self._left_out:
            for sentence in list(reader.lies.values())[self._left_out :]:
                log.warning("%s: %s", self.name, sentence)
            self._left_out = len(reader.lies)

    # ---- out

    def _perform(self, action: Action) -> None:
        if not isinstance(action, Call):
            self._links.perform(action)
        elif self._service is not None:
            self._service.perform(action)
