"""The shell of the route netlink driver: the kernel's messages in, attachments out."""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from lies.capabilities import NO_CAPABILITIES, Capability
from lies.driver import Driver, DriverHost, LinkPort
from lies.errors import LiesError, LinkError
from lies.events import Attached, Detached, Link, Sample, Technology
from lies.kernel import messages as m
from lies_rtnetlink.config import RtnetlinkConfig
from lies_rtnetlink.device import is_there, is_wireless, may_administer, speed_mbps
from lies_rtnetlink.interfaces import Appeared, Change, Down, Gone, Interfaces, Up, poa_of
from lies_rtnetlink.listener import Listener
from lies_rtnetlink.messages import (
    ARPHRD_ETHER,
    IFF_LOOPBACK,
    IFF_LOWER_UP,
    IFF_UP,
    Answered,
    DumpEnded,
    LinkTold,
    Told,
)

log = logging.getLogger(__name__)

_START_S = 30.0  # for the first telling of all interfaces
_LOOPBACK = "lo"


class Rtnetlink(Driver):
    """Every interface that the kernel knows as a plain link: up, or down and why. Needs no permission.

    Driven by the kernel's link messages alone; nothing is polled. A level is not measured: Ethernet is
    EXCELLENT while it is up, other technologies have no scale.
    """

    Config = RtnetlinkConfig
    capabilities = frozenset({Capability.NET_ADMIN})

    @classmethod
    def needs(cls, config: RtnetlinkConfig) -> frozenset[Capability]:
        """None, unless it is to set interfaces up and down."""
        return cls.capabilities if config.control else NO_CAPABILITIES

    @classmethod
    def discover(cls) -> Mapping[str, Mapping[str, Any]]:
        """Itself, where there is an interface that it would serve."""
        config = RtnetlinkConfig()
        for index, name in socket.if_nameindex():
            if name != _LOOPBACK and config.names(name) and not is_wireless(LinkTold(index, name, 0, 0)):
                return {"rtnetlink": {}}
        return {}

    def __init__(self, name: str, config: RtnetlinkConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self._interfaces = Interfaces(self._wanted, self._is_there)
        self._listener: Listener | None = None
        self._ports: dict[int, LinkPort] = {}
        self._names: dict[int, str] = {}
        self._attachments: dict[int, int] = {}  # counts what a speed belongs to
        self._speeds: set[asyncio.Task[None]] = set()
        self._asked: dict[int, tuple[int, str]] = {}  # request -> interface and what was asked
        self._dump: int | None = None
        self._again = False
        self._controls = False
        self._ready: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Hear of every interface there is, then of what changes."""
        config: RtnetlinkConfig = self.config
        self._controls = config.control and may_administer()
        if config.control and not self._controls:
            log.warning("%s has no CAP_NET_ADMIN: its links cannot be set up and down", self.name)
        self._ready = asyncio.get_running_loop().create_future()
        try:
            self._listener = Listener(
                config.receive_octets,
                on_told=self._take,
                on_overrun=self._overrun,
                on_drained=self._drained,
                on_error=self._fail,
            )
        except OSError as error:
            raise _unreadable(error) from error
        self._listener.start()
        self._tell_all()
        async with asyncio.timeout(_START_S):
            await self._ready

    async def stop(self) -> None:
        """Hear no more; interfaces stay as they are."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for task in self._speeds:
            task.cancel()
        await asyncio.gather(*self._speeds, return_exceptions=True)
        if self._ready is not None:
            self._ready.cancel()

    def link_connect(self, link: str, poa: str) -> None:
        """Set the interface up; a wire leads to the one place that it leads to."""
        told = self._interfaces.find(link)
        if told is None or self._listener is None:
            return
        if poa != poa_of(told):
            log.warning("LinkConnect to %s is not followed: %s leads to %s", poa, link, poa_of(told))
        elif not told.flags & IFF_UP:
            self._set(told, up=True)
        elif not told.flags & IFF_LOWER_UP:
            log.warning("LinkConnect of %s: it is set up, and has no carrier", link)

    def link_disconnect(self, link: str, poa: str | None) -> None:
        """Set the interface down."""
        del poa
        told = self._interfaces.find(link)
        if told is not None and self._listener is not None and told.flags & IFF_UP:
            self._interfaces.asked_down(told.index)
            self._set(told, up=False)

    def _set(self, told: LinkTold, *, up: bool) -> None:
        assert self._listener is not None
        what = f"to set {told.name} {'up' if up else 'down'}"
        try:
            self._asked[self._listener.send(m.set_link(told.index, up=up))] = told.index, what
        except OSError as error:
            self._refused(told.index, what, error.errno or 0)

    def _refused(self, index: int, what: str, error: int) -> None:
        self._interfaces.refused(index)
        log.warning("the kernel refused %s: %s", what, os.strerror(error))

    # ---- from the socket

    def _take(self, batch: Sequence[Told]) -> None:
        t_ns = self.host.now_ns()
        untold = self._interfaces.untold
        for change in self._interfaces.take(batch):
            self._follow(change, t_ns)
        if self._interfaces.untold > untold:
            log.warning("%d more changes of carriers are only counted", self._interfaces.untold - untold)
        for told in batch:
            if isinstance(told, DumpEnded) and told.sequence == self._dump:
                self._all_told()
            elif isinstance(told, Answered):
                self._answered(told)

    def _overrun(self) -> None:
        """The kernel had more to tell than there was room for."""
        log.warning(
            "%s: the kernel's messages came too fast and some are lost; every interface is read anew",
            self.name,
        )
        self._interfaces.lost()

    def _drained(self) -> None:
        """What of it was kept is told."""
        if self._dump is not None:
            self._again = True
        else:
            self._tell_all()

    def _tell_all(self) -> None:
        if self._listener is None:
            return
        self._interfaces.telling()
        try:
            self._dump = self._listener.ask_for_all()
        except OSError as error:
            self._fail(error)

    def _all_told(self) -> None:
        self._dump = None
        if self._again or not self._interfaces.complete:
            if self._again:
                self._interfaces.lost()
            self._again = False
            self._tell_all()
        elif self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _answered(self, told: Answered) -> None:
        if told.sequence == self._dump:
            if told.error:
                self._fail(OSError(told.error, os.strerror(told.error)))
        elif (asked := self._asked.pop(told.sequence, None)) is not None and told.error:
            self._refused(*asked, told.error)

    def _fail(self, error: OSError) -> None:
        problem = _unreadable(error)
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(problem)
            return
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.host.failed(problem)

    # ---- to the host

    def _follow(self, change: Change, t_ns: int) -> None:
        if isinstance(change, Appeared):
            self._add(change.told)
            return
        port = self._ports.get(change.index)
        if port is None:
            return
        match change:
            case Up():
                port.feed(Attached(t_ns, change.poa))
                self._attachments[change.index] += 1
                log.debug("%s is up at %s", self._names[change.index], change.poa)
                self._ask_speed(change.index, change.poa)
            case Down():
                port.feed(Detached(t_ns, change.poa, change.reason))
                self._attachments[change.index] += 1
            case Gone():
                del self._ports[change.index], self._names[change.index], self._attachments[change.index]
                port.remove()

    def _add(self, told: LinkTold) -> None:
        technology = Technology.ETHERNET if told.kind == ARPHRD_ETHER else Technology.OTHER
        try:
            port = self.host.add_link(Link(told.name, technology), controllable=self._controls)
        except LinkError as error:
            log.warning("%s is not served: %s", told.name, error)
            return
        self._ports[told.index] = port
        self._names[told.index] = told.name
        self._attachments[told.index] = 0

    def _wanted(self, told: LinkTold) -> bool:
        config: RtnetlinkConfig = self.config
        if told.flags & IFF_LOOPBACK or not config.names(told.name):
            return False
        if is_wireless(told):
            log.info("%s is wireless: it is left to the driver nl80211", told.name)
            return False
        return True

    def _is_there(self, index: int) -> bool:
        return self._listener is None or is_there(self._listener.descriptor, index)

    def _ask_speed(self, index: int, poa: str) -> None:
        """Ask in a thread: the answer may have to wait for the hardware, and no event waits for it."""
        task = asyncio.create_task(self._tell_speed(index, poa, self._attachments[index]))
        self._speeds.add(task)
        task.add_done_callback(self._speeds.discard)

    async def _tell_speed(self, index: int, poa: str, attachment: int) -> None:
        if self._listener is None or self._attachments.get(index) != attachment:
            return  # it is down again
        mbps = await asyncio.to_thread(speed_mbps, self._listener.descriptor, self._names[index])
        if mbps is not None and self._attachments.get(index) == attachment:
            self._ports[index].feed(Sample(self.host.now_ns(), poa=poa, bitrate_mbps=mbps))


def _unreadable(error: OSError) -> LiesError:
    return LiesError(f"the kernel's messages about links cannot be read: {error.strerror or error}")
