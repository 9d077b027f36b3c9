"""A private dbus-daemon, and services of ours on it that answer as a test says."""

import asyncio
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dbus_next.constants import MessageType
from dbus_next.message import Message
from tools import die_with_parent, need

from lies.dbus._wire import Wire, open_wire, packed, plain

WAIT_S = 30.0
_BUS = "org.freedesktop.DBus"


class PrivateBus:
    """A dbus-daemon of its own at a path in a folder; started again at the same address after a kill."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:path={folder / 'bus'}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it; returns when it listens."""
        command = [need("dbus-daemon"), "--session", "--nofork", "--nopidfile", "--print-address=1"]
        self._process = subprocess.Popen(
            [*command, f"--address={self.address}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls what was looked up before the fork
        )
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], WAIT_S)[0], "the dbus-daemon does not start"
        assert os.read(self._process.stdout.fileno(), 4096), "the dbus-daemon ended at once"

    def freeze(self, *, on: bool = True) -> None:
        """Have it answer nobody, or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(WAIT_S)
            assert process.stdout is not None
            process.stdout.close()
            (self._folder / "bus").unlink(missing_ok=True)


@contextmanager
def private_bus(folder: Path) -> Iterator[PrivateBus]:
    """A running dbus-daemon; without one installed the test is skipped, and fails where CI=true."""
    bus = PrivateBus(folder)
    bus.start()
    try:
        yield bus
    finally:
        bus.kill()


class Refuse(Exception):
    """What a method of a fake service raises to answer with an error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


Answer = tuple[str, list[Any]] | None
Method = Callable[[Message], Answer]


class FakeService:
    """A service on a bus: answers (interface, member) by `methods`; a method that gives None never answers.

    A method gets the call, its body as plain values, and gives the signature and body of the answer.
    """

    def __init__(
        self, address: str, name: str | None, methods: Mapping[tuple[str, str], Method] = {}
    ) -> None:
        self.methods = dict(methods)
        self.calls: list[tuple[str, str, list[Any]]] = []  # path, member, body
        self._address = address
        self._name = name
        self._wire: Wire | None = None
        self._replies: dict[int, asyncio.Future[Message]] = {}

    async def __aenter__(self) -> Self:
        self._wire = await open_wire(self._address, self._take, lambda _: None, WAIT_S)
        if self._name is not None:
            await self.ask(_BUS, "/org/freedesktop/DBus", _BUS, "RequestName", "su", [self._name, 4])
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Close the connection, as a service that dies."""
        if self._wire is not None:
            self._wire.end()
            self._wire = None

    @property
    def unique_name(self) -> str:
        """Of its connection."""
        assert self._wire is not None
        return str(self._wire.unique_name)

    async def ask(
        self, to: str, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> Message:
        """Call somebody."""
        assert self._wire is not None
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=packed(body),
            serial=self._wire.next_serial(),
        )
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[message.serial] = reply
        self._wire.put(message)
        async with asyncio.timeout(WAIT_S):
            return await reply

    def emit(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str,
        body: list[Any],
        *,
        to: str | None = None,
    ) -> None:
        """Send a signal, to all or to one connection."""
        assert self._wire is not None
        message = Message(
            message_type=MessageType.SIGNAL,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=packed(body),
            serial=self._wire.next_serial(),
        )
        if to is not None:
            message.destination = to
        self._wire.put(message)

    def answer(self, call: Message, signature: str, body: list[Any]) -> None:
        """Answer a call, later than at once."""
        assert self._wire is not None
        reply = Message.new_method_return(call, signature, packed(body))
        reply.serial = self._wire.next_serial()
        self._wire.put(reply)

    def _take(self, message: Message) -> None:
        if message.message_type is not MessageType.METHOD_CALL:
            reply = self._replies.pop(message.reply_serial, None)
            if reply is not None and not reply.done():
                reply.set_result(message)
            return
        message.body = [plain(v) for v in message.body]
        self.calls.append((message.path, message.member, message.body))
        method = self.methods.get((message.interface, message.member), _unknown)
        try:
            answer = method(message)
            if answer is not None:
                self.answer(message, *answer)
        except Refuse as refusal:
            assert self._wire is not None
            error = Message.new_error(message, refusal.name, str(refusal))
            error.serial = self._wire.next_serial()
            self._wire.put(error)


def _unknown(call: Message) -> Answer:
    raise Refuse(f"{_BUS}.Error.UnknownMethod", f"no method {call.member}")


async def until(fact: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not fact():  # noqa: ASYNC110 - what is waited for has nobody to tell of it
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None
