"""Who manages the interfaces, on D-Bus: wpa_supplicant and iwd, found out and followed; orders to them.

The rooms that speak D-Bus are loaded when they are needed: without dbus-next the driver goes on without them.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Protocol

from lies.errors import DBusRefused, LiesError, NoDBus
from lies_nl80211.items import Instruct, OwnersTold, Taken
from lies_nl80211.pending import Order

if TYPE_CHECKING:
    from lies.dbus import DBusConnection, Signal

log = logging.getLogger(__name__)

START_S = 1.0  # that the start waits for the bus; what it says later is followed as well
WITHOUT_LIBRARY = 'dbus-next is not installed (pip install "lies[nl80211]")'
WITHOUT_BUS = "there is no D-Bus on this machine"
_DENIED = "org.freedesktop.DBus.Error.AccessDenied"


class Owner(Protocol):
    """A program that manages interfaces."""

    @property
    def links(self) -> tuple[str, ...]:
        """The interfaces that it manages."""
        ...

    def forget(self) -> None:
        """It has gone."""
        ...

    async def learn(self) -> None:
        """Ask what it manages."""
        ...

    def signal(self, signal: "Signal") -> None:
        """A signal of its own."""
        ...

    async def follow(self, order: Order) -> None:
        """Begin to follow an order."""
        ...

    async def settle(self, link: str) -> None:
        """The order has come true or to nothing."""
        ...


class Owners:
    """All of them. told: gets who manages what, at the start and when it changes; taken: answers to orders.

    failed: gets an error that is nobody's but ours; address: of the bus, the system's unless given.
    """

    def __init__(
        self,
        told: Callable[[OwnersTold], None],
        taken: Callable[[Taken], None],
        failed: Callable[[Exception], None],
        *,
        address: str | None = None,
    ) -> None:
        self._told = told
        self._taken = taken
        self._failed = failed
        self._address = address
        self._dbus: DBusConnection | None = None
        self._owners: dict[str, Owner] = {}  # service -> owner
        self._names: dict[str, str] = {}  # service -> its name for people
        self._tasks: set[asyncio.Task[None]] = set()
        self._orders: dict[str, asyncio.Task[None]] = {}
        self._denied: set[str] = set()
        self._last: OwnersTold | None = None

    async def start(self) -> None:
        """Find out who manages what; returns when that is known, or soon, if nobody answers."""
        try:
            from lies.dbus import DBusConnection  # noqa: PLC0415 - the extra may be missing, and it takes time
            from lies_nl80211 import iwd, wpa_supplicant  # noqa: PLC0415 - likewise
        except ImportError:
            self._told(OwnersTold({}, WITHOUT_LIBRARY))
            return
        self._dbus = DBusConnection(
            {wpa_supplicant.SERVICE: wpa_supplicant.RULES, iwd.SERVICE: iwd.RULES},
            on_owner=self._owner,
            on_signal=self._signal,
            address=self._address,
            level=logging.INFO,
        )
        self._owners = {
            wpa_supplicant.SERVICE: wpa_supplicant.WpaSupplicant(self._dbus, self._changed),
            iwd.SERVICE: iwd.Iwd(self._dbus, self._changed),
        }
        self._names = {wpa_supplicant.SERVICE: wpa_supplicant.NAME, iwd.SERVICE: iwd.NAME}
        begun = self._spawn(self._begin(self._dbus))
        await asyncio.wait({begun}, timeout=START_S)  # a bus that has stopped answering holds up no link

    async def _begin(self, dbus: "DBusConnection") -> None:
        await dbus.start()
        self._changed()

    async def stop(self) -> None:
        """Change back what was changed, and close."""
        for task in (*self._orders.values(), *self._tasks):
            task.cancel()
        await asyncio.gather(*self._orders.values(), *self._tasks, return_exceptions=True)
        if self._dbus is not None:
            for owner in self._owners.values():
                for link in owner.links:
                    await owner.settle(link)
            await self._dbus.stop()
            self._dbus = None

    def instruct(self, order: Instruct) -> None:
        """Have an owner follow an order, in the place of an earlier one; Taken follows."""
        before = self._orders.pop(order.order.link, None)
        if before is not None:
            before.cancel()
        service = next((s for s, n in self._names.items() if n == order.owner), "")
        task = self._spawn(self._follow(order, self._owners.get(service)))
        self._orders[order.order.link] = task

    def settle(self, link: str) -> None:
        """The order of a link has come true or to nothing."""
        for owner in self._owners.values():
            if link in owner.links:
                self._spawn(owner.settle(link))

    # ---- from the bus

    def _owner(self, service: str, owner: str | None) -> None:
        self._owners[service].forget()
        self._changed()
        if owner is not None:
            self._spawn(self._learn(service))

    def _signal(self, signal: "Signal") -> None:
        self._owners[signal.name].signal(signal)

    async def _learn(self, service: str) -> None:
        try:
            await self._owners[service].learn()
        except DBusRefused as error:
            if error.name == _DENIED:
                self._denied.add(service)
                self._changed()
            log.warning("%s does not say what it manages: %s", self._names[service], error)
        except LiesError as error:
            log.warning("%s does not say what it manages: %s", self._names[service], error)

    def _changed(self) -> None:
        dbus = self._dbus
        if dbus is None:
            return
        owners = {link: self._names[s] for s, owner in self._owners.items() for link in owner.links}
        missing = "" if dbus.connected else WITHOUT_BUS
        denied = [self._names[s] for s in sorted(self._denied) if dbus.owner(s) is not None]
        if denied:
            missing = f"{' and '.join(denied)} may be talked to by root only, or by a group of its own choice"
        now = OwnersTold(owners, missing)
        if now != self._last:
            self._last = now
            self._told(now)

    # ---- orders

    async def _follow(self, instruct: Instruct, owner: Owner | None) -> None:
        link, number = instruct.order.link, instruct.number
        try:
            if owner is None:
                raise NoDBus(WITHOUT_BUS)
            await owner.follow(instruct.order)
        except LiesError as error:
            self._taken(Taken(link, number, f"{instruct.owner} did not follow it: {error}"))
        else:
            self._taken(Taken(link, number, None))

    def _spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error if isinstance(error, Exception) else RuntimeError(str(error)))
