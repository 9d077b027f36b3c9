"""A download over HTTP that lasts a drive: one TCP connection, and content whose digest is checked.

Server and client are those of Python's library, each in a process of its own. The kernel paces what the
server sends (SO_MAX_PACING_RATE). The server names the content's SHA-256 in advance (RFC 9530, Repr-Digest).
"""

import array
import base64
import binascii
import hashlib
import http.client
import json
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

from attrs import define

from lies.runtime import wall_ns
from lies.testbed import topology as t
from lies.testbed.application import ApplicationFailed, Site
from lies.testbed.node import Node
from lies.testbed.rates import INTERVAL_NS, Resent, Stream, counted, whole

_PORT = 8080
_CHUNK = 16384
_READ = 65536
_CLIENT_TIMEOUT_S = 60.0  # without an octet
_SO_MAX_PACING_RATE = 47  # include/uapi/asm-generic/socket.h; octets/s
_IPV6_FREEBIND = 78
_TOTAL_RETRANS = struct.Struct("=100xI")  # of struct tcp_info, include/uapi/linux/tcp.h
_DIGITS = 15  # of a length
_STALL_NS = 50_000_000  # shorter times without an octet are no stalls


def content(length: int) -> Iterator[bytes]:
    """The content, `length` octets in pieces, each with its number: none can stand in another's place."""
    filling = hashlib.shake_256(b"lies").digest(_CHUNK - 8)
    for number in range(-(-length // _CHUNK)):
        yield (number.to_bytes(8) + filling)[: length - number * _CHUNK]


def digest_of(length: int) -> bytes:
    """SHA-256 of the content."""
    total = hashlib.sha256()
    for piece in content(length):
        total.update(piece)
    return total.digest()


# ---- the server


class _Server(HTTPServer):
    """Serves one content, once, as long as its path says; resent: (time, segments sent again so far)."""

    address_family = socket.AF_INET6
    allow_reuse_address = True

    def __init__(self, octets_per_s: int) -> None:
        super().__init__(("::", _PORT), _Handler)
        self.octets_per_s = octets_per_s
        self.resent: list[tuple[int, int]] = []
        self.congestion = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The content at the pace of the drive, and a look at TCP's counters ten times a second."""
        server, connection = self._of(), self.connection
        number = self.path.removeprefix("/")
        if not number.isdecimal() or len(number) > _DIGITS:
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return
        length = int(number)
        connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, server.octets_per_s)
        name = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        server.congestion = name.rstrip(b"\0").decode("ascii", "replace")
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(length))
        digest = base64.b64encode(digest_of(length)).decode("ascii")
        self.send_header("Repr-Digest", f"sha-256=:{digest}:")
        self.end_headers()
        self._count()
        connection.setblocking(False)
        for piece in content(length):
            left = memoryview(piece)
            while left:
                if wall_ns() - server.resent[-1][0] >= INTERVAL_NS:
                    self._count()
                select.select([], [connection], [], INTERVAL_NS / 1e9)
                try:
                    left = left[connection.send(left) :]
                except BlockingIOError:
                    continue
        connection.settimeout(_CLIENT_TIMEOUT_S)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(_READ):  # until the client has all and closes
            continue
        self._count()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: the report says it."""

    def _of(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def _count(self) -> None:
        info = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOTAL_RETRANS.size)
        self._of().resent.append((wall_ns(), _TOTAL_RETRANS.unpack(info)[0]))


def serve(octets_per_s: int, report: Path, ready: Callable[[], None]) -> int:
    """Serve one download, then write what TCP had to send again."""
    _stop_by_exception()
    with _Server(octets_per_s) as server:
        ready()
        with suppress(TimeoutError):
            server.handle_request()
        found = {"resent": server.resent, "congestion": server.congestion}
        report.write_text(json.dumps(found), "ascii")
    return 0


# ---- the client


def fetch(source: str, server: str, octets: int, report: Path, ready: Callable[[], None]) -> int:
    """Download so many octets; writes a line of JSON and then the pairs (time, octets) of what came when."""
    _stop_by_exception()
    arrivals = array.array("q")
    total = hashlib.sha256()
    wanted, error = "", None
    ready()
    connection = http.client.HTTPConnection(server, _PORT, timeout=_CLIENT_TIMEOUT_S)
    try:
        connection.sock = _connect(source, server)
        connection.request("GET", f"/{octets}")
        response = connection.getresponse()
        arrivals.extend((wall_ns(), 0))
        wanted = response.headers.get("Repr-Digest") or ""
        if response.status != http.HTTPStatus.OK:
            error = f"the server answered {response.status}"
        while data := response.read1(_READ):
            arrivals.extend((wall_ns(), len(data)))
            total.update(data)
    except (OSError, ValueError, http.client.HTTPException) as failed:
        error = f"{type(failed).__name__}: {failed}"
    finally:
        connection.close()
    found = {
        "error": error,
        "length": octets,
        "digest": wanted,
        "sha256": total.hexdigest(),
        "end_ns": wall_ns(),
    }
    with report.open("wb") as file:
        file.write(json.dumps(found).encode("ascii") + b"\n")
        arrivals.tofile(file)
    return 0


def _stop_by_exception() -> None:
    """Have SIGTERM end a wait, so that what was seen until then is written."""

    def stop(_number: int, _frame: object) -> None:
        raise TimeoutError("it was not over when the drive was")

    signal.signal(signal.SIGTERM, stop)


def _connect(source: str, server: str) -> socket.socket:
    link = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        link.settimeout(_CLIENT_TIMEOUT_S)
        link.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        link.bind((source, 0))
        link.connect((server, _PORT))
    except BaseException:
        link.close()
        raise
    return link


# ---- the application


@define
class Download:
    """A download as an application of a drive; it ends when all has come, a little after the car stops."""

    _octets_per_s: int = 0

    def prepare(self, site: Site) -> list[Node]:
        """Start the server."""
        self._octets_per_s = max(1, round(site.rate_mbps * 1e6 / 8))
        report = self._report(site, "server")
        return [site.spawn("cn", lambda ready: serve(self._octets_per_s, report, ready))]

    async def start(self, site: Site, left_s: float) -> list[Node]:
        """Start the client; what it asks for takes as long as the drive."""
        ends = str(t.HOME_ADDRESS), str(t.CORRESPONDENT)
        octets = round(self._octets_per_s * max(0.0, left_s)) + 1
        report = self._report(site, "client")
        return [site.spawn("mn", lambda ready: fetch(*ends, octets, report, ready))]

    def ended(self, site: Site, node: Node) -> None:
        """Without a report there is nothing to see."""
        if node.poll() != 0:
            raise ApplicationFailed(f"the download's client ended with {node.poll()}")
        stream = read_download(self._report(site, "client").read_bytes(), None)
        if stream.octets == 0:
            raise ApplicationFailed(f"the download did not begin: {stream.error or 'it is empty'}")

    def streams(self, site: Site) -> list[Stream]:
        """What the client saw, and what the server sent again."""
        client, server = self._report(site, "client"), self._report(site, "server")
        if not client.exists():
            raise ApplicationFailed("the download did not end, and its client left no report")
        return [read_download(client.read_bytes(), server.read_bytes() if server.exists() else None)]

    def _report(self, site: Site, end: str) -> Path:
        return site.folder / f"http-{end}"


def read_download(client: bytes, server: bytes | None) -> Stream:
    """What the two ends of a download wrote; server: None if it wrote nothing."""
    try:
        head, _, tail = client.partition(b"\n")
        found = json.loads(head)
        flat = array.array("q", tail)
        end_ns = int(found["end_ns"])
        complete = found["error"] is None and sum(flat[1::2]) == found["length"]
        intact = complete and _digest(found["digest"]) == bytes.fromhex(found["sha256"])
        error = found["error"]
        of_server = json.loads(server) if server is not None else {"resent": [], "congestion": None}
        counts = [(int(at), int(total)) for at, total in of_server["resent"]]
        congestion = of_server["congestion"]
    except (ValueError, KeyError, TypeError, AttributeError) as failed:
        raise ApplicationFailed(f"the download's report cannot be read: {failed}") from failed
    arrivals = list(zip(flat[0::2], flat[1::2], strict=True))
    times = [*flat[0::2], end_ns]  # if nothing came, there is the end alone
    return Stream(
        app="http",
        protocol="http",
        direction="downlink",
        intervals=whole(counted(arrivals, times[0], end_ns)),
        resent=None
        if server is None
        else tuple(Resent(a[0], b[0], b[1] - a[1]) for a, b in pairwise(counts)),
        congestion=congestion,
        intact=intact,
        stalls=tuple((a, b) for a, b in pairwise(times) if b - a >= _STALL_NS),
        least_stall_ms=_STALL_NS / 1e6,
        error=error,
    )


def _digest(field_value: str) -> bytes | None:
    """The SHA-256 in a Repr-Digest field (RFC 9530 section 2); None if there is none."""
    name, _, value = field_value.partition("=")
    if name != "sha-256" or len(value) < 2 or value[0] != ":" or value[-1] != ":":
        return None
    try:
        return base64.b64decode(value[1:-1], validate=True)
    except binascii.Error:
        return None
