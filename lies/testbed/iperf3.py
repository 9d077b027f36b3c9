"""iperf3 on a drive: UDP both ways in one test, and TCP each way, with what both ends counted per 100 ms.

Every UDP datagram and TCP segment is iperf3's own; what is read are the JSON reports of its two ends. TCP has
a test for each way, because a pace is kept only by the end that asks for the test (`--fq-rate`).
"""

import asyncio
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from attrs import define, field, frozen

from lies.kernel.netns import entered
from lies.runtime import now_s, wall_ns
from lies.testbed import topology as t
from lies.testbed.application import ApplicationFailed, Site, executes
from lies.testbed.node import Node
from lies.testbed.plan import DATAGRAM
from lies.testbed.rates import Interval, Resent, Stream, empty_runs, whole

_PORT = 5201

_BLOCK = 8192  # what TCP reads at once: small beside what comes in an interval
_BUFFER = 4 << 20  # of a UDP socket, where the system allows it: what was held for a second comes at once
_LISTENING, _ESTABLISHED = "0A", "01"  # include/net/tcp_states.h, as in /proc/net/tcp6
_START_LIMIT_S = 20.0
_POLL_S = 0.005
_IMPOSSIBLE = 1e15  # for any number in a report
_WRAPPED = 1 << 64  # what a negative number is printed as is just below
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


class Iperf3Missing(ApplicationFailed):
    """iperf3 is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "iperf3 was not found, and `--app iperf3` runs it: install it (Debian, Ubuntu: "
            "apt-get install iperf3), or take `--app http`, which needs nothing"
        )


def find_iperf3() -> str:
    """The path of iperf3; Iperf3Missing if there is none."""
    path = shutil.which("iperf3")
    if path is None:
        raise Iperf3Missing
    return path


# ---- its reports


class _Part(msgspec.Struct):
    """One stream in one interval."""

    start: float
    end: float
    bytes: float
    sender: bool
    lost_packets: float = 0
    packets: float = 0
    retransmits: float = 0


class _Interval(msgspec.Struct):
    streams: list[_Part]


class _Sum(msgspec.Struct):
    """A UDP stream at its end."""

    sender: bool
    lost_packets: float = 0
    out_of_order: float = 0


class _Ended(msgspec.Struct):
    udp: _Sum | None = None


class _End(msgspec.Struct):
    streams: list[_Ended] = []
    sender_tcp_congestion: str | None = None


class _Document(msgspec.Struct):
    intervals: list[_Interval] = []
    end: _End = msgspec.field(default_factory=_End)
    error: str | None = None


@frozen
class Report:
    """What one end of a test counted: its parts as receiver and as sender, in order; times in s of the test.

    received: (start, end, octets, datagrams that are missing, datagrams); resent: (start, end, segments);
    reordered: datagrams that came after later ones, None where it does not say.
    """

    received: tuple[tuple[float, float, int, int, int], ...]
    resent: tuple[tuple[float, float, int], ...]
    congestion: str | None
    reordered: int | None
    error: str | None


def read_report(text: bytes, who: str) -> Report:
    """Read what `iperf3 -J` printed; who: whose report it is, for ApplicationFailed if it is none."""
    try:
        document = msgspec.json.decode(text, type=_Document)
    except msgspec.DecodeError as error:
        said = text.decode("utf-8", "replace").strip().splitlines()
        what = f"printed no report ({error}): {said[0][:200]}" if said else "printed nothing"
        raise ApplicationFailed(f"{who} {what}") from error
    received, resent, missing = [], [], []
    for part in (part for interval in document.intervals for part in interval.streams):
        numbers = (part.start, part.end, part.bytes, part.packets, part.retransmits)
        possible = all(math.isfinite(n) and 0 <= n < _IMPOSSIBLE for n in numbers) and part.start <= part.end
        if not possible or not abs(part.lost_packets) <= _WRAPPED:
            raise ApplicationFailed(f"{who} printed an interval with impossible numbers: {part}")
        if part.sender:
            resent.append((part.start, part.end, int(part.retransmits)))
        else:
            received.append((part.start, part.end, int(part.bytes), int(part.packets)))
            missing.append(int(part.lost_packets))
    sums = [e.udp for e in document.end.streams if e.udp is not None and not e.udp.sender]
    lost = corrected(missing, round(sums[0].lost_packets) if sums else None)
    return Report(
        tuple((*r[:3], n, r[3]) for r, n in zip(received, lost, strict=True)),
        tuple(resent),
        document.end.sender_tcp_congestion,
        round(sums[0].out_of_order) if sums else None,
        document.error,
    )


def corrected(missing: Sequence[int], total: int | None) -> list[int]:
    """Datagrams that are missing per interval, without those that came later after all.

    iperf3 takes one for lost as soon as a later one is there, and takes it back when it comes. In an interval
    in which it takes back more than it counts, it prints a number near 2^64, without its last digits. What
    there is too much, beside its total, is taken off from such an interval backwards.
    """
    counts = [0 if n >= _WRAPPED // 2 else n for n in missing]
    excess = sum(counts) - total if total is not None else 0
    for at in (n for n, count in enumerate(missing) if count >= _WRAPPED // 2):
        for earlier in range(at, -1, -1):
            off = max(0, min(counts[earlier], excess))
            counts[earlier] -= off
            excess -= off
    return counts


def stream_of(
    protocol: str,
    direction: str,
    receiver: Report,
    sender: Report,
    start_ns: int,
    *,
    dropped: int | None = None,
) -> Stream:
    """A stream out of the reports of its two ends; start_ns: when the test began."""
    intervals = whole(
        [
            Interval(start_ns + round(start * 1e9), start_ns + round(end * 1e9), octets, lost)
            for start, end, octets, lost, _ in receiver.received
        ]
    )
    udp = protocol == "udp"
    resent = tuple(
        Resent(start_ns + round(start * 1e9), start_ns + round(end * 1e9), count)
        for start, end, count in sender.resent
    )
    return Stream(
        app="iperf3",
        protocol=protocol,
        direction=direction,
        intervals=intervals,
        packets=sum(r[4] for r in receiver.received) if udp else None,
        lost=sum(r[3] for r in receiver.received) if udp else None,
        dropped=dropped if udp else None,
        reordered=receiver.reordered if udp else None,
        resent=None if udp else resent,
        congestion=None if udp else sender.congestion,
        stalls=empty_runs(intervals),
        error=sender.error or receiver.error,
    )


# ---- its processes


@define
class _Test:
    """One test: its server and its client, their namespaces, and when it began.

    sockets: how many of the client's sockets of `table` to the server are there once the data flows.
    """

    protocol: str
    port: int
    server_at: str
    client_at: str
    words: tuple[str, ...]
    table: str
    sockets: int
    start_ns: int = 0
    server: Node | None = None
    client: Node | None = None

    @property
    def name(self) -> str:
        """Of its files."""
        return f"iperf3-{self.port}"


@define
class Iperf3:
    """iperf3 as an application of a drive; protocols: of `udp` and `tcp`, at the same time."""

    path: str
    protocols: Sequence[str]
    _tests: list[_Test] = field(factory=list)

    def prepare(self, site: Site) -> list[Node]:
        """Start its servers."""
        rate = str(round(site.rate_mbps * 1e6))
        if "udp" in self.protocols:
            datagrams = ("-u", "-b", rate, "-l", str(DATAGRAM), "--bidir", *_window())
            self._tests.append(_Test("udp", _PORT, "cn", "mn", datagrams, "udp6", 2))
        if "tcp" in self.protocols:
            segments = ("--fq-rate", rate, "-l", str(_BLOCK))
            self._tests.append(_Test("tcp", _PORT + 1, "cn", "mn", segments, "tcp6", 2))
            self._tests.append(_Test("tcp", _PORT + 2, "mn", "cn", segments, "tcp6", 2))
        servers = []
        for test in self._tests:
            words = ("-s", "-1", "-J", "-i", "0.1", "-p", str(test.port))
            test.server = site.spawn(
                test.server_at, executes(self.path, words, self._output(site, test, "server"))
            )
            servers.append(test.server)
        return servers

    async def start(self, site: Site, left_s: float) -> list[Node]:
        """Start its clients, one after the other, each when its server listens."""
        clients = []
        for test in self._tests:
            await self._until(site, test, _listens)
            there = t.CORRESPONDENT if test.server_at == "cn" else t.HOME_ADDRESS
            here = t.HOME_ADDRESS if test.client_at == "mn" else t.CORRESPONDENT
            length = ("-t", str(math.ceil(left_s)), "-i", "0.1", "-J", "--connect-timeout", "10000")
            words = ("-c", str(there), "-B", str(here), "-p", str(test.port), *length, *test.words)
            test.client = site.spawn(
                test.client_at, executes(self.path, words, self._output(site, test, "client"))
            )
            clients.append(test.client)
            await self._until(site, test, _flows)
            test.start_ns = wall_ns()
        return clients

    def ended(self, site: Site, node: Node) -> None:
        """A client that was killed or could not even begin leaves nothing to see."""
        test = next(test for test in self._tests if test.client is node)
        self._report(site, test, "client", node)

    def streams(self, site: Site) -> list[Stream]:
        """What both ends of every test counted."""
        found = []
        for test in self._tests:
            client = self._report(site, test, "client", test.client)
            server = self._report(site, test, "server", test.server)
            if test.protocol == "udp":
                drops = {name: receive_buffer_errors(site.descriptor(name)) for name in ("mn", "cn")}
                found.append(stream_of("udp", "downlink", client, server, test.start_ns, dropped=drops["mn"]))
                found.append(stream_of("udp", "uplink", server, client, test.start_ns, dropped=drops["cn"]))
            else:
                direction = "uplink" if test.client_at == "mn" else "downlink"
                found.append(stream_of("tcp", direction, server, client, test.start_ns))
        return found

    def _output(self, site: Site, test: _Test, end: str) -> Path:
        return site.folder / f"{test.name}-{end}.json"

    def _report(self, site: Site, test: _Test, end: str, node: Node | None) -> Report:
        where = test.client_at if end == "client" else test.server_at
        status = None if node is None else node.poll()
        who = (
            f"the iperf3 {end} at {where} (which ended with {status})"
            if status
            else f"the iperf3 {end} at {where}"
        )
        report = read_report(self._output(site, test, end).read_bytes(), who)
        if not report.received and not report.resent:
            raise ApplicationFailed(f"{who} saw no traffic: {report.error or 'it says nothing of why'}")
        return report

    async def _until(self, site: Site, test: _Test, condition: Callable[[_Test], bool]) -> None:
        """Poll a condition of a test's processes, of which none may end meanwhile."""
        limit = now_s() + _START_LIMIT_S
        while not condition(test):
            for end, node in (("server", test.server), ("client", test.client)):
                if node is not None and node.poll() is not None:
                    self._report(site, test, end, node)
                    raise ApplicationFailed(f"the iperf3 {end} ended with {node.poll()} before the drive")
            if now_s() > limit:
                raise ApplicationFailed(
                    f"iperf3 did not begin its {test.protocol} test in {_START_LIMIT_S:g} s"
                )
            await asyncio.sleep(_POLL_S)


def _listens(test: _Test) -> bool:
    return test.server is not None and bool(
        sockets(test.server.pid, "tcp6", local=test.port, state=_LISTENING)
    )


def _flows(test: _Test) -> bool:
    """Whether the sockets of the data are there, and for TCP connected; UDP ones are born so."""
    return test.client is not None and (
        sockets(test.client.pid, test.table, remote=test.port, state=_ESTABLISHED) >= test.sockets
    )


def sockets(pid: int, table: str, *, state: str, local: int | None = None, remote: int | None = None) -> int:
    """How many sockets of a table (tcp6, udp6) of a process's namespace have this state and these ports."""
    try:
        lines = Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]
    except OSError:  # it has just ended
        return 0
    rows = [line.split() for line in lines]
    return sum(
        row[3] == state
        and (local is None or int(row[1].rpartition(":")[2], 16) == local)
        and (remote is None or int(row[2].rpartition(":")[2], 16) == remote)
        for row in rows
    )


def receive_buffer_errors(namespace: int) -> int:
    """How many datagrams found their socket full in a namespace: an application that came too late."""
    with entered(namespace):
        text = Path("/proc/thread-self/net/snmp6").read_text("ascii")
    counters = dict(line.split()[:2] for line in text.splitlines())
    return int(counters.get("Udp6RcvbufErrors", "0"))


def _window() -> tuple[str, ...]:
    """A larger socket buffer as far as the system lets anybody have one; iperf3 ends where it does not."""
    try:
        limit = int(_RMEM_MAX.read_text("ascii"))
    except (OSError, ValueError):
        return ()
    return ("-w", str(min(_BUFFER, limit)))
