"""One connection to D-Bus that is kept up: owners and signals of watched names, calls with a time limit."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self

from attrs import frozen

from lies.dbus import values
from lies.dbus._wire import Message, MessageType, Wire, open_wire, plain, request, system_address
from lies.errors import DBusRefused, NoDBus, TimedOut

log = logging.getLogger(__name__)

CALL_S = 5.0  # limit of a call unless it names another
OPEN_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # between attempts to connect, doubled from one to the other
MOST_CALLS = 256  # under way at once
_BUS = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"
_OWNER_RULE = f"type='signal',sender='{_BUS}',interface='{_BUS}',member='NameOwnerChanged'"
_SERVICE_UNKNOWN = "org.freedesktop.DBus.Error.ServiceUnknown"

Body = tuple[Any, ...]
_OnReply = Callable[[Body | Exception], None]


@frozen
class Signal:
    """A signal of a watched name, which the present owner of the name has sent; body: plain values."""

    name: str
    path: str
    interface: str
    member: str
    body: Body


class DBusConnection:
    """Watches services on a bus: `start`, `call` as often as wanted, `stop`; or `async with`.

    watch: well-known name -> further parts of match rules, each for a set of signals (such as
    "interface='org.example.Modem'"); none: every signal of that service. on_owner(name, owner): the service
    came (its unique name) or went (None), also because the bus itself went; told for each watched name after
    each connecting. on_signal(signal): sent by a present owner. Answers of calls, owners and signals are
    given in the order in which they came. address: of the system's bus unless given; level: of the message
    that there is no bus. Nothing here waits for longer than its limit, and no service is started by being
    called.
    """

    def __init__(
        self,
        watch: Mapping[str, Sequence[str]],
        *,
        on_owner: Callable[[str, str | None], None],
        on_signal: Callable[[Signal], None],
        address: str | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
        level: int = logging.WARNING,
    ) -> None:
        self._watch = {name: tuple(parts) or ("",) for name, parts in watch.items()}
        self._on_owner = on_owner
        self._on_signal = on_signal
        self._address = address
        self._first_pause_s = first_pause_s
        self._level = level
        self._wire: Wire | None = None
        self._owners: dict[str, str] = {}
        self._calls: dict[int, tuple[str, _OnReply]] = {}
        self._tried = asyncio.Event()
        self._broken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._why = "it was not started"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- for users

    @property
    def connected(self) -> bool:
        """Whether the bus is there."""
        return self._wire is not None

    def owner(self, name: str) -> str | None:
        """The unique name of a watched service, None while it does not run."""
        return self._owners.get(name)

    async def start(self) -> bool:
        """Begin; returns after the first attempt, and whether it went well. If not, others follow."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        await self._tried.wait()
        return self.connected

    async def stop(self) -> None:
        """Close; calls that are under way raise NoDBus, and nothing is told any more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._owners.clear()
        self._end("it was stopped")

    async def call(
        self,
        name: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *body: Any,  # noqa: ANN401 - any value of D-Bus
        limit_s: float = CALL_S,
    ) -> Body:
        """Call a method; its answer as plain values.

        A watched name is called by its present owner: who takes its place meanwhile never gets what was meant
        for it. Raises DBusRefused when the service says no, or there is none, TimedOut, or NoDBus.
        """
        to = self._owners.get(name, name)
        if name in self._watch and name not in self._owners:
            if self._wire is None:
                raise NoDBus(f"{member}: {self._why}")
            raise DBusRefused(_SERVICE_UNKNOWN, f"{name} does not run")
        answer: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        serial = self._ask(partial(_settle, answer), to, path, interface, member, signature, body)
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError as error:
            raise TimedOut(f"{name} did not answer {member} within {limit_s:g} s") from error
        finally:
            self._calls.pop(serial, None)

    async def get_all(
        self, name: str, path: str, interface: str, *, limit_s: float = CALL_S
    ) -> dict[str, Any]:
        """The properties of an object; raises as `call` does."""
        found = await self.call(
            name, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface, limit_s=limit_s
        )
        return values.table(found[0]) if found else {}

    # ---- the connection

    async def _run(self) -> None:
        pause_s = self._first_pause_s
        said = False
        while True:
            self._broken.clear()
            try:
                await self._connect()
            except NoDBus as error:
                self._end(str(error))
                if not said:
                    log.log(self._level, "%s; it is tried again", error)
                said = True
            else:
                if said:
                    log.info("D-Bus is there")
                self._tried.set()
                await self._broken.wait()
                log.warning("the connection to D-Bus is lost: %s; it is made again", self._why)
                said = True
                pause_s = self._first_pause_s
            self._tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _connect(self) -> None:
        address = self._address or system_address()
        self._wire = await open_wire(address, self._take, self._lost, OPEN_S)
        self._why = ""
        try:
            for name, parts in self._watch.items():
                for part in parts:
                    rule = f"type='signal',sender='{name}'" + (f",{part}" if part else "")
                    await self._of_bus("AddMatch", rule)
                await self._of_bus("AddMatch", f"{_OWNER_RULE},arg0='{name}'")
                self._ask(
                    partial(self._owner_told, name), _BUS, _BUS_PATH, _BUS, "GetNameOwner", "s", (name,)
                )
        except (DBusRefused, TimedOut) as error:
            raise NoDBus(f"D-Bus at {address} cannot be used: {error}") from error

    async def _of_bus(self, member: str, argument: str) -> None:
        await self.call(_BUS, _BUS_PATH, _BUS, member, "s", argument, limit_s=OPEN_S)

    def _lost(self, why: str) -> None:
        self._end(why)
        self._broken.set()

    def _end(self, why: str) -> None:
        """No connection any more: every call fails, every service is gone."""
        self._why = why
        if self._wire is not None:
            self._wire.end()
            self._wire = None
        calls, self._calls = self._calls, {}
        for _, on_reply in calls.values():
            on_reply(NoDBus(why))
        for name in list(self._owners):
            self._now_owns(name, None)

    # ---- messages out

    def _ask(
        self,
        on_reply: _OnReply,
        to: str,
        path: str,
        interface: str,
        member: str,
        signature: str,
        body: Body,
    ) -> int:
        wire = self._wire
        if wire is None:
            raise NoDBus(f"{member}: {self._why}")
        if len(self._calls) >= MOST_CALLS:
            raise NoDBus(f"{member}: {MOST_CALLS} calls wait for their answers already")
        serial = wire.next_serial()
        try:
            wire.put(request(serial, to, path, interface, member, signature, body))
        except (ValueError, TypeError) as error:  # a path or name that came from elsewhere, most likely
            raise DBusRefused("org.freedesktop.DBus.Error.InvalidArgs", f"{member}: {error}") from error
        self._calls[serial] = (to, on_reply)
        return serial

    # ---- messages in

    def _take(self, message: Message) -> None:
        match message.message_type:
            case MessageType.METHOD_RETURN | MessageType.ERROR:
                self._reply(message)
            case MessageType.SIGNAL:
                self._signal(message)
            case _:
                pass  # nobody has anything to call here

    def _reply(self, message: Message) -> None:
        to, on_reply = self._calls.get(message.reply_serial, ("", None))
        if on_reply is None or (to.startswith(":") and message.sender not in {to, _BUS}):
            return  # the bus itself answers for who dies
        del self._calls[message.reply_serial]
        body = tuple(plain(v) for v in message.body)
        if message.message_type is MessageType.ERROR:
            said = body[0] if body and isinstance(body[0], str) else ""
            on_reply(DBusRefused(str(message.error_name), values.shown(said) or "no reason given"))
        else:
            on_reply(body)

    def _signal(self, message: Message) -> None:
        if message.sender == _BUS:
            if message.member == "NameOwnerChanged" and len(message.body) == 3:
                name, _, owner = message.body
                if name in self._watch:
                    self._now_owns(name, values.text(owner) or None)
            return
        for name, owner in self._owners.items():
            if owner == message.sender:
                body = tuple(plain(v) for v in message.body)
                signal = Signal(name, message.path, message.interface, message.member, body)
                self._later(self._on_signal, signal)
                return

    def _owner_told(self, name: str, answer: Body | Exception) -> None:
        if not isinstance(answer, Exception) and answer and isinstance(answer[0], str):
            self._now_owns(name, answer[0])
        elif name not in self._owners:
            self._later(self._on_owner, name, None)

    def _now_owns(self, name: str, owner: str | None) -> None:
        if owner == self._owners.get(name):
            return
        if owner is None:
            del self._owners[name]
        else:
            self._owners[name] = owner
        self._later(self._on_owner, name, owner)

    def _later(self, tell: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401 - of `tell`
        """Behind the answers that came before it: who waits for one is woken in this turn of the loop."""
        if self._task is not None:
            asyncio.get_running_loop().call_soon(self._tell, tell, arguments)

    def _tell(self, tell: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if self._task is not None:
            tell(*arguments)


def _settle(answer: "asyncio.Future[Body]", reply: Body | Exception) -> None:
    if answer.done():
        return
    if isinstance(reply, Exception):
        answer.set_exception(reply)
    else:
        answer.set_result(reply)
