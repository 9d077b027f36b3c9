"""A delay line in user space between the two halves of the backbone, for kernels without netem.

The delay counts from when the kernel received a frame: reading it late does not delay it more.
"""

import heapq
import itertools
import os
import select
import socket
from collections.abc import Callable

from lies.kernel.netns import keep_time
from lies.runtime import WallOffset, monotonic_ns, wall_ns
from lies.testbed.stamps import ROOM, ask_for_stamps, stamp_ns

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_MAX_FRAME = 65536
_BUFFER = 16 << 20
_SO_RCVBUFFORCE = 33
_BURST = 64


def run(ends: tuple[str, str], delay_ms: float, ready: Callable[[], None], control: int) -> int:
    """Carry every frame from each interface to the other, `delay_ms` later and in order, until told to end.

    control: a descriptor whose readability (or end) is the end.
    """
    with _open(ends[0]) as one, _open(ends[1]) as other:
        _carry([one, other], round(delay_ms * 1e6), ready, control)
    return 0


def _carry(sockets: list[socket.socket], delay_ns: int, ready: Callable[[], None], control: int) -> None:
    waiting: list[tuple[int, int, socket.socket, bytes]] = []
    order = itertools.count()
    offset = WallOffset()
    last_ns = dict.fromkeys(sockets, 0)
    keep_time()
    ready()
    while True:
        now = monotonic_ns()
        while waiting and waiting[0][0] <= now:
            _, _, out, frame = heapq.heappop(waiting)
            _send(out, frame)
            now = monotonic_ns()
        timeout = max(0.0, (waiting[0][0] - now) / 1e9) if waiting else 1.0
        readable, _, _ = select.select([*(s.fileno() for s in sockets), control], [], [], timeout)
        if control in readable:
            os.read(control, 1)
            return
        for this, other in (sockets, sockets[::-1]):
            if this.fileno() in readable:
                for came_ns, frame in _receive(this):
                    due_ns = came_ns - offset.ns() + delay_ns
                    last_ns[this] = due_ns = max(
                        due_ns, last_ns[this]
                    )  # none overtakes, whatever the clocks say
                    heapq.heappush(waiting, (due_ns, next(order), other, frame))


def _open(name: str) -> socket.socket:
    # protocol 0: until it is bound the socket must not collect the frames of every interface
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    sock.setblocking(False)
    sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    ask_for_stamps(sock)
    for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        except PermissionError:
            continue
    sock.bind((name, _ETH_P_ALL))
    return sock


def _receive(sock: socket.socket) -> list[tuple[int, bytes]]:
    """Frames with the time in ns at which each came, on CLOCK_REALTIME."""
    frames = []
    for _ in range(_BURST):
        try:
            frame, ancillary, _, _ = sock.recvmsg(_MAX_FRAME, ROOM)
        except OSError:  # nothing more; or ENETDOWN, which an interface that went down says once
            break
        frames.append((stamp_ns(ancillary, wall_ns()), frame))
    return frames


def _send(sock: socket.socket, frame: bytes) -> None:
    try:
        sock.send(frame)
    except OSError:  # a full queue: the frame is lost, as on any line
        return
