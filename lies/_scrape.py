"""A small HTTP server for one page, on the daemon's loop: bounded in time, memory and connections.

Whoever connects and then does nothing, reads slowly or asks without pause costs a task and a few kilobytes,
and is let go after a while; the loop never waits for anybody.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from lies._listen import Listen
from lies.errors import ConfigError, EndpointInUse, NotPermitted
from lies.runtime import now_s

Render = Callable[[str], Awaitable[tuple[str, bytes]]]
"""What is accepted, OPENMETRICS or "" -> content type and body."""

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

CONNECTIONS = 16
FRESH_S = 1.0  # so long the same page is given: who asks without pause costs no more than who does not
_ASK_S = 5.0
_ANSWER_S = 10.0
_MOST_OCTETS = 8192  # of a request's head
_SOCKET_MODE = 0o660


class ScrapeServer:
    """Serves `GET /metrics`; uid, gid: who owns a socket file, None for those of the process."""

    def __init__(
        self, listen: Listen, render: Render, *, uid: int | None = None, gid: int | None = None
    ) -> None:
        self.listen = listen
        self._render = render
        self._owner = (-1 if uid is None else uid, -1 if gid is None else gid)
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._pages: dict[str, tuple[float, tuple[str, bytes]]] = {}
        self._rendering = asyncio.Lock()

    async def start(self) -> None:
        """Open the socket; EndpointInUse, NotPermitted or ConfigError if it cannot be had."""
        try:
            sock = self._socket()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise EndpointInUse(f"another program has {self.listen}") from error
            kind = NotPermitted if isinstance(error, PermissionError) else ConfigError
            raise kind(f"{self.listen} cannot be opened: {error.strerror}") from error
        try:
            if sock.family == socket.AF_UNIX:
                self._server = await asyncio.start_unix_server(self._talk, sock=sock, limit=_MOST_OCTETS)
            else:
                self._server = await asyncio.start_server(self._talk, sock=sock, limit=_MOST_OCTETS)
        except BaseException:
            sock.close()
            raise
        if self.listen.path is None:
            self.listen = Listen(self.listen.host, sock.getsockname()[1])

    async def stop(self) -> None:
        """Close the socket and whoever is connected; safe to call twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for talk in tuple(self._talks):
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)
        if self.listen.path is not None:
            with contextlib.suppress(OSError):
                self.listen.path.unlink()

    def _socket(self) -> socket.socket:
        path = self.listen.path
        if path is not None:
            return self._socket_file(path)
        sock = socket.socket(socket.AF_INET6 if ":" in self.listen.host else socket.AF_INET)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.listen.host, self.listen.port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _socket_file(self, path: Path) -> socket.socket:
        _clear(path)
        sock = socket.socket(socket.AF_UNIX)
        before = os.umask(0o777 & ~_SOCKET_MODE)
        try:
            sock.bind(str(path))
            os.chown(path, *self._owner, follow_symlinks=False)
        except BaseException:
            sock.close()
            raise
        finally:
            os.umask(before)
        return sock

    # ---- one connection

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._talks) >= CONNECTIONS:
            writer.transport.abort()
            return
        self._talks.add(task)
        try:
            async with asyncio.timeout(_ASK_S):
                head = await reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(_ANSWER_S):
                writer.write(await self._answer(head))
                writer.close()
                await writer.wait_closed()
        except asyncio.LimitOverrunError:
            writer.write(_reply("431 Request Header Fields Too Large", b"too long\n"))
            writer.close()
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            pass  # it went away, or was too slow
        finally:
            self._talks.discard(task)
            writer.transport.abort()

    async def _answer(self, head: bytes) -> bytes:
        first, _, rest = head.partition(b"\r\n")
        words = first.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _reply("400 Bad Request", b"this is HTTP/1.1\n")
        method, target, _ = words
        if target.partition(b"?")[0] != b"/metrics":
            return _reply("404 Not Found", b"it is /metrics\n")
        if method not in {b"GET", b"HEAD"}:
            return _reply("405 Method Not Allowed", b"only GET\n", ("Allow: GET, HEAD",))
        content_type, body = await self._page(_header(rest, "accept"))
        return _reply("200 OK", body, content_type=content_type, with_body=method == b"GET")

    async def _page(self, accept: str) -> tuple[str, bytes]:
        wanted = OPENMETRICS if "application/openmetrics-text" in accept else ""
        async with self._rendering:
            known = self._pages.get(wanted)
            if known is not None and now_s() - known[0] < FRESH_S:
                return known[1]
            page = await self._render(wanted)
            self._pages[wanted] = (now_s(), page)
            return page


def _reply(
    status: str,
    body: bytes,
    more: tuple[str, ...] = (),
    *,
    content_type: str = "text/plain; charset=utf-8",
    with_body: bool = True,
) -> bytes:
    head = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *more,
        "",
        "",
    )
    return "\r\n".join(head).encode("latin-1") + (body if with_body else b"")


def _header(lines: bytes, name: str) -> str:
    for line in lines.decode("latin-1").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _clear(path: Path) -> None:
    """Remove what a dead daemon left; EndpointInUse or ConfigError for anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"{path} is there already and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except BlockingIOError:
            raise EndpointInUse(f"another program has {path}") from None
        else:
            raise EndpointInUse(f"another program has {path}")
