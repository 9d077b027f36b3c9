"""The metrics' small HTTP server: what it answers, and who cannot hold it up."""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bus_rig import on_loop, until

from lies import _scrape
from lies._listen import Listen, listen_of
from lies._scrape import CONNECTIONS, ScrapeServer
from lies.config import parse
from lies.errors import ConfigError, EndpointInUse


async def page(accept: str) -> tuple[str, bytes]:
    """The page of these tests."""
    return "text/plain; version=0.0.4", f"accepted {accept}\n".encode()


@asynccontextmanager
async def serving(listen: Listen | None = None) -> AsyncIterator[ScrapeServer]:
    """A server, on a free port unless told otherwise."""
    server = ScrapeServer(listen or Listen("127.0.0.1", 0), page)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def connect(server: ScrapeServer) -> socket.socket:
    """A connection to it."""
    path = server.listen.path
    sock = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
    sock.setblocking(False)
    address = (server.listen.host, server.listen.port) if path is None else str(path)
    await asyncio.get_running_loop().sock_connect(sock, address)
    return sock


async def rest(sock: socket.socket) -> bytes:
    """What comes until the other side ends."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while octets := await asyncio.get_running_loop().sock_recv(sock, 65536):
            found += octets
    return found


async def ask(server: ScrapeServer, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer."""
    with await connect(server) as sock:
        await asyncio.get_running_loop().sock_sendall(sock, request)
        head, _, body = (await rest(sock)).partition(b"\r\n\r\n")
    return head, body


GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (GET, b"200 OK", b"accepted \n"),
        (GET.replace(b"/metrics", b"/metrics?name=x"), b"200 OK", b"accepted \n"),
        (GET.replace(b"Host", b"Accept: application/openmetrics-text;q=1,*/*\r\nHost"), b"200 OK", None),
        (GET.replace(b"GET", b"HEAD"), b"200 OK", b""),
        (GET.replace(b"GET", b"POST"), b"405 Method Not Allowed", None),
        (GET.replace(b"metrics", b""), b"404 Not Found", None),
        (b"\r\n\r\n", b"400 Bad Request", None),
        (b"\xff\x00\x80\r\nx\r\n\r\n", b"400 Bad Request", None),
        (b"GET /metrics SPDY/3\r\n\r\n", b"400 Bad Request", None),
        (b"x" * 20000, b"431 Request Header Fields Too Large", None),
    ],
)
def test_answers(request_: bytes, status: bytes, body: bytes | None) -> None:
    """Only GET and HEAD of /metrics get the page; what is no HTTP gets a sentence and an end."""

    @on_loop
    async def run() -> None:
        async with serving() as server:
            head, text = await ask(server, request_)
            assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
            assert b"Connection: close" in head
            if body is not None:
                assert text == body
            if b"openmetrics" in request_:
                assert text == f"accepted {_scrape.OPENMETRICS}\n".encode()

    run()


@on_loop
async def test_who_says_nothing_holds_nobody_up() -> None:
    """Connections that hang are bounded; the rest is turned away, and all are let go in time."""
    async with serving() as server:
        hanging = [await connect(server) for _ in range(CONNECTIONS - 1)]
        await until(lambda: len(server._talks) == CONNECTIONS - 1)
        assert (await ask(server, GET))[0].startswith(b"HTTP/1.1 200")
        await until(lambda: len(server._talks) == CONNECTIONS - 1)
        hanging.append(await connect(server))
        await until(lambda: len(server._talks) == CONNECTIONS)
        with await connect(server) as late:
            assert await rest(late) == b""
        for waiting in hanging:
            waiting.close()
        await until(lambda: not server._talks)


@on_loop
async def test_who_is_slow_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not ask, or does not read the answer, is let go after a while."""
    monkeypatch.setattr(_scrape, "_ASK_S", 0.05)
    monkeypatch.setattr(_scrape, "_ANSWER_S", 0.05)

    async def long_page(accept: str) -> tuple[str, bytes]:
        return accept, bytes(50_000_000)

    server = ScrapeServer(Listen("127.0.0.1", 0), long_page)
    await server.start()
    with await connect(server) as silent, await connect(server) as greedy:
        await asyncio.get_running_loop().sock_sendall(greedy, GET)
        assert await rest(silent) == b""
        await until(lambda: not server._talks)
    await server.stop()


@on_loop
async def test_the_page_is_made_once_a_second_at_most() -> None:
    """Who asks without pause gets the same page, each form made once."""
    made: list[str] = []

    async def counted(accept: str) -> tuple[str, bytes]:
        made.append(accept)
        await asyncio.sleep(0.01)
        return "text/plain", b"x"

    server = ScrapeServer(Listen("127.0.0.1", 0), counted)
    await server.start()
    for wish in (b"", b"Accept: application/openmetrics-text\r\n", b"Accept: text/x%d\r\n"):
        request = GET.replace(b"Host", wish + b"Host")
        await asyncio.gather(*(ask(server, request) for _ in range(10)))
    await server.stop()
    assert set(made) == {"", _scrape.OPENMETRICS}
    assert len(made) < 10  # of 30, however slow the machine: ten at once are one


@on_loop
async def test_socket_file(tmp_path: Path) -> None:
    """A socket file has mode 0660, replaces one that a dead daemon left, and is gone afterwards."""
    path = tmp_path / "metrics"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(Listen(path=path)) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert (await ask(server, GET))[1] == b"accepted \n"
        with pytest.raises(EndpointInUse, match="another program has"):
            await ScrapeServer(Listen(path=path), page).start()
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is no socket"):
        await ScrapeServer(Listen(path=path), page).start()
    assert path.read_text() == "precious"
    with pytest.raises(ConfigError, match="cannot be opened: No such file"):
        await ScrapeServer(Listen(path=tmp_path / "no" / "where"), page).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@on_loop
async def test_socket_file_is_given_away(tmp_path: Path) -> None:
    """Owner and group of the endpoints own it."""
    path = tmp_path / "metrics"
    server = ScrapeServer(Listen(path=path), page, uid=4711, gid=4712)
    await server.start()
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)
    await server.stop()


@on_loop
async def test_port_in_use() -> None:
    """A port that another program has is EndpointInUse; a free one is named once it is open."""
    async with serving() as server:
        assert server.listen.port > 0
        with pytest.raises(EndpointInUse, match=r"another program has http://127\.0\.0\.1:"):
            await ScrapeServer(server.listen, page).start()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:9464", Listen("127.0.0.1", 9464)),
        ("localhost:9464", Listen("127.0.0.1", 9464)),
        ("[::1]:0", Listen("::1", 0)),
        ("/run/lies/metrics", Listen(path=Path("/run/lies/metrics"))),
        ("unix:/run/lies/metrics", Listen(path=Path("/run/lies/metrics"))),
        ("./metrics", Listen(path=Path("/etc/lies/metrics"))),
    ],
)
def test_where_to_listen(text: str, meant: Listen) -> None:
    """An address with a port, or a path, relative to the configuration."""
    config = parse(f'[daemon.metrics]\nlisten = "{text}"\n', file="/etc/lies/lies.toml")
    assert listen_of(config) == meant
    assert listen_of(parse("")) is None


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("", "listen: a key that must be given"),
        ('listen = "9464"', "'9464' is neither ADDRESS:PORT nor the path of a socket"),
        ('listen = "127.0.0.1:70000"', "neither ADDRESS:PORT"),
        ('listen = "::1:9464"', "neither ADDRESS:PORT"),
        ('listen = "[127.0.0.1]:9464"', "an IPv6 address is written in brackets"),
        ('listen = "example.org:9464"', "'example.org' is no address"),
        ('listen = "0.0.0.0:9464"', "write allow_remote = true"),
        ('listen = "[::]:9464"', "write allow_remote = true"),
        ('listen = "192.0.2.1:9464"', "other hosts reach 192.0.2.1"),
        (f'listen = "/{"x" * 120}"', "is too long for a socket"),
    ],
)
def test_where_not_to_listen(table: str, problem: str) -> None:
    """What is no address is refused; so is one that other hosts reach, unless a line allows it."""
    with pytest.raises(ConfigError) as caught:
        listen_of(parse(f"[daemon.metrics]\n{table}\n", file="/lies.toml"))
    assert str(caught.value).startswith("/lies.toml: [daemon.metrics]: listen: ")
    assert problem in str(caught.value)
    if "allow_remote" in problem:
        assert listen_of(parse(f"[daemon.metrics]\nallow_remote = true\n{table}\n")) is not None
