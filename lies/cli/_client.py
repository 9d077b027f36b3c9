"""The bus client of a command."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from lies.bus import Client, TcpDaemon
from lies.errors import NoDaemon
from lies.remote import find_daemon

T = TypeVar("T")
TCP_TIMEOUT_S = 10.0  # a handshake takes five round trips


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; Ctrl-C cancels it, so that it can clear up, and then raises."""
    return asyncio.run(main)


@asynccontextmanager
async def connected(command: str) -> AsyncIterator[Client]:
    """A client of the selected daemon, named after the command; NoDaemon without one."""
    where = find_daemon()
    name = f"lies-{command}-{os.getpid()}"
    if isinstance(where, TcpDaemon):
        client = await Client.connect(where, name=name, timeout_s=TCP_TIMEOUT_S)
    else:
        try:
            client = await Client.connect(where, name=name)
        except NoDaemon as error:
            raise NoDaemon(f"{error}; start one with `lies run`") from error
    try:
        yield client
    finally:
        client.close()


def on_reader_gone(callback: Callable[[], None]) -> None:
    """Call back when the reader of a piped stdout leaves, also while nothing is being printed."""
    try:
        number = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            asyncio.get_running_loop().add_reader(number, callback)  # epoll reports the error as readable
    except (OSError, ValueError):
        return  # no file descriptor, or one that cannot be watched: the next print finds out
