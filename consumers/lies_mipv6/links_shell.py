"""The shell of lies_mipv6.links: indications of several links in, LinkConnect and care-of addresses out."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import assert_never

from lies.consumer import BusClient
from lies.errors import LiesError, LinkError
from lies.events import (
    CareOfAddressChanged,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    PoALost,
    Raw,
    Technology,
)
from lies.kernel.interfaces import global_addresses
from lies.packet import text_of
from lies.runtime import Runtime, monotonic_ns, wall_ns
from lies_mipv6.config import Config, OtherLink
from lies_mipv6.items import LinkMoved
from lies_mipv6.link_policy import LinkPolicy
from lies_mipv6.links import CareOfFound, Links, LinksAction, LinksItem, Move, Raise

_log = logging.getLogger("lies.mipv6")
_PRIMITIVES = ("link_up", "link_down", "link_status_changed", "link_going_down", "poa_found", "poa_lost")
_EVENTS = (
    LinkUp,
    LinkDown,
    LinkStatusChanged,
    LinkGoingDown,
    LinkGoingDownCancelled,
    PoAFound,
    PoALost,
    CareOfAddressChanged,
)
_LOOK_S = 0.1  # for the address of a link that has come up
_LOOK_LIMIT_S = 60.0


class LinksShell:
    """Runs lies_mipv6.links.Links; use(link, moved): the care-of address to use from now on."""

    def __init__(
        self, config: Config, bus: BusClient, policy: LinkPolicy, use: Callable[[str, LinkMoved], None]
    ) -> None:
        self._others: dict[str, OtherLink] = {other.link: other for other in config.others}
        self._names = (config.link or "", *self._others)
        self._home_address = config.home_address
        self._bus = bus
        self._use = use
        self._runtime: Runtime[LinksItem, LinksAction] = Runtime(Links(self._names, policy), self._perform)
        self._tasks: set[asyncio.Task[None]] = set()
        self._up: dict[str, str] = {}  # link -> PoA
        self._heads: dict[str, Header] = {}

    async def start(self) -> None:
        """Register for the links, and catch up with those that are up already."""
        self._runtime.start()
        for name in self._names:
            for primitive in _PRIMITIVES:
                await self._bus.register(primitive, name)
        for name in self._names:
            await self._catch_up(name)

    async def stop(self) -> None:
        """Stop."""
        self._runtime.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_event(self, event: Indication | Raw) -> None:
        """An indication or report of the bus."""
        if not isinstance(event, _EVENTS) or event.header.link.name not in self._names:
            return
        name = event.header.link.name
        self._heads[name] = event.header
        if isinstance(event, LinkUp):
            if self._up.get(name) == event.poa:
                return  # it was caught up with
            self._up[name] = event.poa
        elif isinstance(event, LinkDown):
            self._up.pop(name, None)
        self._runtime.feed(event)
        if isinstance(event, LinkUp) and name in self._others:
            self._spawn(self._find_address(name, event))

    async def _catch_up(self, name: str) -> None:
        try:
            status = await self._bus.link_status(name)
        except LinkError:  # its driver has not announced it yet: its LinkUp will come
            return
        link = status.link or Link(name, Technology.OTHER)
        header = Header("mipv6", 0, 0, monotonic_ns(), wall_ns(), link)
        if status.poa is not None and name not in self._up:
            self.on_event(LinkUp(header, status.poa))
        heard = (await self._bus.poa_list(name)).poas
        if heard:
            self.on_event(PoAFound(header, heard))

    async def _find_address(self, name: str, up: LinkUp) -> None:
        """The kernel's address there, as soon as there is one: who sets it is another program."""
        other = self._others[name]
        for _ in range(round(_LOOK_LIMIT_S / _LOOK_S)):
            found = [a for a in global_addresses(name) if a != self._home_address]
            if self._up.get(name) != up.poa:
                return
            if found:
                router = text_of(other.router) if other.router is not None else ""
                self._runtime.feed(CareOfFound(self._heads[name], text_of(found[0]), router))
                return
            await asyncio.sleep(_LOOK_S)
        _log.warning("%s is up, and has no address", name)

    def _perform(self, action: LinksAction) -> None:
        match action:
            case Raise(link, poas):
                self._spawn(self._raise(link, poas))
            case Move(link, moved):
                _log.info("%s carries the traffic now", link)
                self._use(link, moved)
            case _:
                assert_never(action)

    async def _raise(self, link: str, poas: tuple[str, ...]) -> None:
        other = self._others.get(link)
        if other is None:
            return  # the first link connects by itself
        try:
            poa = other.poa or next(iter(poas), None) or await self._best(link)
            if poa is not None:
                await self._bus.link_connect(link, poa)
        except LiesError as error:
            _log.warning("%s cannot be connected: %s", link, error)

    async def _best(self, link: str) -> str | None:
        """The best PoA that is heard, whoever was told of it."""
        heard = (await self._bus.poa_list(link)).poas
        return heard[0].poa if heard else None

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
