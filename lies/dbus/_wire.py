"""The adapter to dbus-next, and the only room that imports it.

dbus-next 0.2.3 connects a blocking socket in its constructor, spins for ever when the bus hangs up during
authentication, leaves calls without an answer when the bus dies, takes messages for as long as they come and
of any length, and never closes its socket. What does so is replaced here; of the library remain
authentication, marshalling and the writer. It routes no message: every one goes to `take`.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast
from urllib.parse import unquote

from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message
from dbus_next.signature import SignatureTree
from dbus_next.signature import Variant as WireVariant

from lies.dbus.values import Variant
from lies.errors import NoDBus

__all__ = ["Message", "MessageType", "Wire", "open_wire", "packed", "plain", "request", "system_address"]

MOST_WAITING = 256  # messages that the bus has not taken yet
_MOST_LINE = 1024  # octets of a line of the authentication
_AT_ONCE = 64  # messages taken before the loop has its turn
_DEEPEST = 32  # of variants in each other; D-Bus itself allows 64 levels
_MOST_OCTETS = (
    1 << 20
)  # of a message: anybody on the bus may send one to us, and its values take a hundred times that
_MOST_SIGNATURES = 1 << 10  # that the library remembers; it forgets none by itself


def system_address() -> str:
    """The address of the system's bus."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"


def _socket_name(address: str) -> str | bytes:
    """The name of the first Unix socket in an address; NoDBus if there is none."""
    for part in address.split(";"):
        transport, _, options = part.partition(":")
        given = dict(o.split("=", 1) for o in options.split(",") if "=" in o)
        if transport == "unix" and "path" in given:
            return unquote(given["path"])
        if transport == "unix" and "abstract" in given:
            return b"\0" + unquote(given["abstract"]).encode()
    raise NoDBus(f"{address[:200]!r} is no address of a bus on this machine: unix:path=FILE is wanted")


class _Reader(Unmarshaller):
    """Reads one message, if it is not too long."""

    def read(self, n: int, prefetch: bool = False) -> int:
        if n > _MOST_OCTETS:
            raise ValueError(f"a message of {n} octets; {_MOST_OCTETS} are read")
        return cast(int, super().read(n, prefetch))  # type: ignore[no-untyped-call] # of dbus-next


class Wire(MessageBus):
    """One connection, from open_wire to `end`; lost: called once, with the reason, when it breaks."""

    def __init__(
        self, sock: socket.socket, take: Callable[[Message], None], lost: Callable[[str], None]
    ) -> None:
        self._given = sock
        self._take = take
        self._lost = lost
        self._over = False
        super().__init__(bus_address="unix:path=/")  # not looked at: see _setup_socket

    def put(self, message: Message) -> None:
        """Send a message; NoDBus when it cannot be, or when too many wait."""
        if self._over:
            raise NoDBus("the connection to D-Bus is closed")
        if self._writer.messages.qsize() >= MOST_WAITING:
            raise NoDBus("D-Bus takes no messages: too many wait already")
        self._writer.schedule_write(message)

    def end(self) -> None:
        """Close; nothing is called any more."""
        self._over = True
        if not self._disconnected:
            self._finalize(None)
        with suppress(OSError):
            self._stream.close()
        self._sock.close()

    # ---- replaced in dbus-next

    def _setup_socket(self) -> None:
        self._sock = self._given
        self._stream = self._sock.makefile("rwb")
        self._fd = self._sock.fileno()

    async def _auth_readline(self) -> str:
        line = b""
        while not line.endswith(b"\r\n"):
            octet = await self._loop.sock_recv(self._sock, 1)
            if not octet or len(line) > _MOST_LINE:
                raise NoDBus("D-Bus hung up before this process could say who it is")
            line += octet
        return line[:-2].decode("ascii", "replace")

    def _message_reader(self) -> None:
        try:
            for _ in range(_AT_ONCE):
                if self._over or not self._unmarshaller.unmarshall():
                    return
                message, self._unmarshaller = self._unmarshaller.message, self._create_unmarshaller()
                self._on_message(cast(Message, message))
        except Exception as error:  # noqa: BLE001 - whatever a message makes of the reader, only the connection ends
            self._finalize(error)
        else:
            self._loop.call_soon(
                self._message_reader
            )  # more may be in the buffer, of which the kernel is silent

    def _create_unmarshaller(self) -> Unmarshaller:
        if len(SignatureTree._cache) > _MOST_SIGNATURES:  # noqa: SLF001 - the library's own memory, see above
            SignatureTree._cache.clear()  # noqa: SLF001 - likewise
        return _Reader(self._stream)  # type: ignore[no-untyped-call] # of dbus-next

    def _on_message(self, msg: Message) -> None:
        handler = self._method_return_handlers.pop(msg.reply_serial, None)
        if handler is not None:  # of the library's own Hello
            handler(msg, None)
        else:
            self._take(msg)

    def _finalize(self, err: Exception | None = None) -> None:
        if self._disconnected:
            return
        self._user_disconnect = True  # the reason is told here, not by a future that nobody waits for
        super()._finalize(err or ConnectionResetError())  # type: ignore[no-untyped-call] # of dbus-next
        if not self._over:
            self._over = True
            self._lost(_why(err))


def _why(error: Exception | None) -> str:
    if error is None or isinstance(error, EOFError):
        return "the bus hung up"
    return str(error) or type(error).__name__


async def open_wire(
    address: str, take: Callable[[Message], None], lost: Callable[[str], None], limit_s: float
) -> Wire:
    """Connect and say hello within the limit; NoDBus with one sentence if that cannot be."""
    name = _socket_name(address)
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    wire: Wire | None = None
    try:
        sock.setblocking(False)
        async with asyncio.timeout(limit_s):
            await loop.sock_connect(sock, name)
            wire = Wire(sock, take, lost)
            await wire.connect()
    except BaseException as error:
        if wire is not None:
            wire.end()
        sock.close()
        if isinstance(error, asyncio.CancelledError | NoDBus):
            raise
        if isinstance(error, TimeoutError):
            raise NoDBus(f"D-Bus at {address} does not answer") from error
        if isinstance(error, Exception):
            raise NoDBus(f"D-Bus at {address} cannot be used: {_why(error)}") from error
        raise
    return wire


# ---- messages


def request(
    serial: int, to: str, path: str, interface: str, member: str, signature: str, body: Iterable[Any]
) -> Message:
    """A method call that starts no service; ValueError or TypeError if it cannot be one."""
    return Message(
        destination=to,
        path=path,
        interface=interface,
        member=member,
        flags=MessageFlag.NO_AUTOSTART,
        signature=signature,
        body=packed(list(body)),
        serial=serial,
    )


def packed(value: Any) -> Any:  # noqa: ANN401 - any value of D-Bus
    """A value with the library's variants in place of ours."""
    match value:
        case Variant(signature=signature, value=held):
            return WireVariant(signature, packed(held))
        case list() | tuple():
            return [packed(v) for v in value]
        case dict():
            return {k: packed(v) for k, v in value.items()}
        case _:
            return value


def plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any value of D-Bus
    """A value without variants; what lies too deep is None."""
    if depth > _DEEPEST:
        return None
    match value:
        case WireVariant():
            return plain(value.value, depth + 1)
        case list() | tuple():
            return [plain(v, depth + 1) for v in value]
        case dict():
            return {k: plain(v, depth + 1) for k, v in value.items()}
        case _:
            return value
