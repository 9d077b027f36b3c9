"""The bus client of a command."""

import logging
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lies.bus._route import TcpDaemon, Where
from lies.bus.blocking import BlockingClient
from lies.errors import NoDaemon
from lies.remote import find_daemon

if TYPE_CHECKING:
    from lies.bus.client import Client

T = TypeVar("T")
TCP_TIMEOUT_S = 10.0  # a handshake takes five round trips


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; Ctrl-C cancels it, so that it can clear up, and then raises."""
    import asyncio  # here, as in the rest: commands that follow events need no loop and start without it

    with saying():
        return asyncio.run(main)


@contextmanager
def saying() -> Iterator[None]:
    """What is logged on the way, such as that the daemon went away, comes to stderr in plain sentences."""
    log, handler = logging.getLogger("lies"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("lies: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)


@asynccontextmanager
async def connected(command: str) -> "AsyncIterator[Client]":
    """A client of the selected daemon, named after the command; NoDaemon without one."""
    from lies.bus.client import Client

    where = find_daemon()
    with _saying_what_to_do(where):
        client = await Client.connect(where, name=_name(command), timeout_s=_timeout_s(where))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def connected_blocking(command: str) -> Iterator[BlockingClient]:
    """The same without an event loop."""
    where = find_daemon()
    with _saying_what_to_do(where):
        client = BlockingClient.connect(where, name=_name(command), timeout_s=_timeout_s(where))
    with client:
        yield client


def _name(command: str) -> str:
    return f"lies-{command}-{os.getpid()}"


def _timeout_s(where: Where) -> float:
    return TCP_TIMEOUT_S if isinstance(where, TcpDaemon) else 2.0


@contextmanager
def _saying_what_to_do(where: Where) -> Iterator[None]:
    try:
        yield
    except NoDaemon as error:
        if isinstance(where, TcpDaemon):
            raise
        raise NoDaemon(f"{error}; start one with `lies run`") from error


def piped_stdout() -> tuple[int, ...]:
    """The descriptor of a piped stdout: it becomes readable, by an error, when the reader leaves."""
    try:
        number = sys.stdout.fileno()
        return (number,) if stat.S_ISFIFO(os.fstat(number).st_mode) else ()
    except (OSError, ValueError):
        return ()  # no file descriptor: the next print finds out


def on_reader_gone(callback: Callable[[], None]) -> None:
    """Call back when the reader of a piped stdout leaves, also while nothing is being printed."""
    import asyncio

    for number in piped_stdout():
        asyncio.get_running_loop().add_reader(number, callback)
