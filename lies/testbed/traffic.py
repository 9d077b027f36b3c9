"""Constant-rate UDP both ways, each packet with its number and send time, received with kernel timestamps.

A flow's end point sends and receives in one thread: it sleeps until the next packet is due or one comes.
Times are CLOCK_REALTIME in ns, the clock of the kernel's receive timestamps; every namespace shares it.
"""

import array
import os
import select
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv6Address
from pathlib import Path

from attrs import frozen

from lies.runtime import wall_ns
from lies.testbed.stamps import ROOM, ask_for_stamps, stamp_ns

PACKET_HEADER = struct.Struct("!QQ")  # number from 0, send time
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_IPV6_FREEBIND = 78
_BUFFER = 8 << 20
_BURST = 64
_MAX_LAG_NS = 50_000_000  # a sender that was stopped does not make up for more than this
_PROGRESS = struct.Struct("!QQQ")
_PROGRESS_EVERY_NS = 200_000_000
_PROBE_EVERY_NS = 20_000_000
_FIRST_IMPOSSIBLE = 1 << 63  # neither as a number nor as a time in ns
_ASK, _ANSWER = (1 << 64) - 1, (1 << 64) - 2  # numbers of probes, which are not counted as traffic


@frozen
class Flow:
    """One end point: local and remote address, port, packet size in octets of payload, packets a second."""

    local: IPv6Address
    remote: IPv6Address
    port: int
    payload: int
    packets_per_s: float

    @property
    def interval_ns(self) -> float:
        """Nominal time between packets."""
        return 1e9 / self.packets_per_s


def rate_to_packets(rate_mbps: float, payload: int) -> float:
    """Packets a second that make `rate_mbps` of UDP payload."""
    return rate_mbps * 1e6 / 8 / payload


class Endpoint:
    """Sends and receives one flow until told to stop; what happened is kept in arrays."""

    def __init__(self, flow: Flow) -> None:
        if flow.payload < PACKET_HEADER.size:
            raise ValueError(f"a packet needs at least {PACKET_HEADER.size} octets")
        self.flow = flow
        self.sent_ns = array.array("q")
        self.received = array.array("q")  # number, send time, receive time, one after the other
        self.answers = 0
        self._padding = bytes(flow.payload - PACKET_HEADER.size)
        self._peer = socket.inet_ntop(socket.AF_INET6, flow.remote.packed)
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        for force in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):  # beyond the system's limit where allowed
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, force, _BUFFER)
            except PermissionError:
                break
        ask_for_stamps(self._socket)
        self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)  # the home address may come later
        self._socket.bind((str(flow.local), flow.port))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def run(self, control: int, progress: int | None = None) -> None:
        """Obey the control pipe: `p` probe, `g` go (send), `s` stop sending, `q` or its end: quit.

        A probe asks the far end for an answer, until it is told to go: whether packets pass at all.
        progress: a pipe that is told (sent, received, answers) five times a second.
        """
        sending = probing = False
        first_ns = probe_ns = 0
        count = burst = 0
        tell_ns = 0
        interval = self.flow.interval_ns
        while True:
            now = wall_ns()
            due = first_ns + round(count * interval)
            if sending and due <= now and burst < _BURST:  # also who cannot keep up listens in between
                if now - due > _MAX_LAG_NS:
                    first_ns = now - round(count * interval)
                self._send()
                count += 1
                burst += 1
                continue
            burst = 0
            if probing and now >= probe_ns:
                probe_ns = now + _PROBE_EVERY_NS
                self._put(_ASK, now)
            if progress is not None and now >= tell_ns:
                tell_ns = now + _PROGRESS_EVERY_NS
                self._tell(progress)
            wait = max(0, due - now) / 1e9 if sending else 0.02 if probing else 0.2
            readable, _, _ = select.select([self._socket.fileno(), control], [], [], min(wait, 0.2))
            if self._socket.fileno() in readable:
                self._receive()
            if control in readable:
                order = os.read(control, 1)
                if order == b"p":
                    probing = True
                elif order == b"g":
                    sending, probing, first_ns, count = True, False, wall_ns(), 0
                elif order == b"s":
                    sending = False
                else:
                    if progress is not None:
                        self._tell(progress)
                    return

    def save(self, path: Path) -> None:
        """Write what happened: the count of sent packets, their send times, then the received triples."""
        with path.open("wb") as file:
            file.write(struct.pack("=q", len(self.sent_ns)))
            self.sent_ns.tofile(file)
            self.received.tofile(file)

    def _send(self) -> None:
        number = len(self.sent_ns)
        now = wall_ns()
        self.sent_ns.append(now)
        self._put(number, now)

    def _put(self, number: int, now_ns: int) -> None:
        data = PACKET_HEADER.pack(number, now_ns) + self._padding
        try:
            self._socket.sendto(data, (self._peer, self.flow.port))
        except OSError:  # no route, no buffer: a packet that was sent and is lost
            return

    def _receive(self) -> None:
        for _ in range(_BURST):
            try:
                data, ancillary, _, sender = self._socket.recvmsg(65536, ROOM)
            except BlockingIOError:
                return
            except OSError:  # an ICMPv6 error about a packet of ours
                continue
            arrived = stamp_ns(ancillary, wall_ns())
            if len(data) < PACKET_HEADER.size or sender[:2] != (self._peer, self.flow.port):
                continue  # not of this flow
            number, sent = PACKET_HEADER.unpack_from(data)
            if number == _ASK:
                self._put(_ANSWER, arrived)
            elif number == _ANSWER:
                self.answers += 1
            elif max(number, sent) < _FIRST_IMPOSSIBLE:
                self.received.extend((number, sent, arrived))

    def _tell(self, progress: int) -> None:
        try:
            os.write(progress, _PROGRESS.pack(len(self.sent_ns), len(self.received) // 3, self.answers))
        except BlockingIOError:  # nobody read the last ones; they are only for show
            return


@frozen(eq=False)
class FlowLog:
    """What one end point saw; sent_ns: by number; received: (number, send time, receive time) in order."""

    sent_ns: Sequence[int]
    received: list[tuple[int, int, int]]

    @classmethod
    def load(cls, path: Path) -> "FlowLog":
        """Read what Endpoint.save wrote."""
        data = path.read_bytes()
        count = struct.unpack_from("=q", data)[0]
        sent = array.array("q", data[8 : 8 + 8 * count])
        flat = array.array("q", data[8 + 8 * count :])
        return cls(sent, list(zip(flat[0::3], flat[1::3], flat[2::3], strict=True)))


def read_progress(data: bytes) -> tuple[int, int, int] | None:
    """The newest (sent, received, answers) in what came through a progress pipe."""
    whole = len(data) // _PROGRESS.size
    if whole == 0:
        return None
    sent, received, answers = _PROGRESS.unpack_from(data, (whole - 1) * _PROGRESS.size)
    return sent, received, answers
