"""The shell of lies_mipv6.links: indications of several links in, LinkConnect and care-of addresses out."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import assert_never

from lies.consumer import BusClient
from lies.events import (
    CareOfAddressChanged,
    Header,
    Indication,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    PoALost,
    Raw,
)
from lies.link_policy import LinkPolicy
from lies.links import OtherLink, Raise
from lies.links_shell import catch_up, connect, find_address
from lies.packet import text_of
from lies.runtime import Runtime
from lies_mipv6.config import Config
from lies_mipv6.links import CareOfFound, Links, LinksAction, LinksItem, Move

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


class LinksShell:
    """Runs lies_mipv6.links.Links; use: called with the care-of address to use from now on."""

    def __init__(
        self, config: Config, bus: BusClient, policy: LinkPolicy, use: Callable[[Move], None]
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
        for primitive in _PRIMITIVES:
            await self._bus.register(primitive)  # of every link: one of ours may be announced later
        for name in self._names:
            for event in await catch_up(self._bus, name, "mipv6"):
                if not (isinstance(event, LinkUp) and name in self._up):
                    self.on_event(event)

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

    async def _find_address(self, name: str, up: LinkUp) -> None:
        """The kernel's address there, as soon as there is one."""
        found = await find_address(
            name, lambda address: address == self._home_address, lambda: self._up.get(name) == up.poa
        )
        if found is not None:
            router = self._others[name].router
            told = CareOfFound(self._heads[name], text_of(found), text_of(router) if router else "")
            self._runtime.feed(told)

    def _perform(self, action: LinksAction) -> None:
        match action:
            case Raise(link):
                if link in self._others:  # the first link connects by itself
                    self._spawn(connect(self._bus, action, self._others[link]))
            case Move(link):
                _log.info("%s carries the traffic now", link)
                self._use(action)
            case _:
                assert_never(action)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
