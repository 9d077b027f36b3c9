"""How packets wait for a node and how they are let go: the default algorithm of RFC 5568 section 5.4.

Pure: packets and times in s go in, packets and a deadline come out.
"""

from collections import deque
from collections.abc import Hashable
from enum import StrEnum
from typing import Generic, TypeVar

from attrs import define, field, frozen

BURST = 5  # RFC 5568 section 5.4: "a maximum of 5 packets MAY be sent one after another"
_WINDOW_S = 0.25  # of recent arrivals, over which their rate is metered
_LEAST_ARRIVALS = 16  # metered over at least so many, however long ago the first of them came
_LEAST_WINDOW_S = 0.02  # what was read at once, because the program was busy, did not come at once
_SHORTEST_S = 0.002  # a wait that is younger: as if it had lasted so long
_LATE_S = 0.02  # a program that comes late makes up for so much, or its buffer would not end
_EPSILON = 1e-6  # of a packet: a deadline that was computed must have come when it has come

Node = TypeVar("Node", bound=Hashable)


class Buffering(StrEnum):
    """Where packets wait for a node that is to come."""

    AUTO = "auto"  # in a paced buffer, read from a TUN device, or from a packet socket where TUN is closed
    TUN = "tun"
    PACKET = "packet"
    KERNEL = "kernel"  # in the kernel's queue of its neighbour entry, which goes all at once


@frozen
class Limits:
    """How much may wait, and how fast it goes.

    node_octets: for one node; total_octets: for all together; excess: packets go by so much faster than they
    come (0.25: a quarter), so that a buffer which new packets enter becomes empty.
    """

    node_octets: int = 4 << 20
    total_octets: int = 64 << 20
    excess: float = 0.25

    def __attrs_post_init__(self) -> None:
        if not 0 < self.node_octets <= 1 << 30 or not 0 < self.total_octets <= 1 << 34:
            raise ValueError("a buffer holds between 1 octet and 1 GiB for a node, 16 GiB in all")
        if not 0 < self.excess <= 100:  # also refuses NaN; at 0 a buffer would never end
            raise ValueError("excess must be greater than 0, and at most 100")


@frozen
class Tally:
    """What became of one node's wait.

    entered: packets that came while it lasted; overflowed: of them, dropped for want of room; abandoned:
    dropped because the node did not come; peak_octets, peak_packets: most that waited at once; delay_max_s:
    longest that one waited; opened_s: how long until the node was there; drained_s: how long from then until
    nothing waited any more (both None if that did not come to be).
    """

    entered: int
    overflowed: int
    abandoned: int
    peak_octets: int
    peak_packets: int
    delay_max_s: float
    opened_s: float | None
    drained_s: float | None


@define(eq=False)
class _Queue:
    """One node's packets, oldest first, each with the time when it came; tokens: may go at once."""

    begun: float
    packets: deque[tuple[bytes, float]] = field(factory=deque)
    arrivals: deque[float] = field(factory=deque)
    ahead: int = 0  # octets that wait at the next hop
    ahead_packets: int = 0
    ahead_since: float = 0.0
    octets: int = 0
    opened: float | None = None
    tokens: float = BURST
    tokens_at: float = 0.0
    entered: int = 0
    overflowed: int = 0
    peak_octets: int = 0
    peak_packets: int = 0
    delay_max_s: float = 0.0

    def came(self, now: float) -> None:
        """Meter an arrival."""
        arrivals = self.arrivals
        arrivals.append(now)
        while len(arrivals) > _LEAST_ARRIVALS and arrivals[0] < now - _WINDOW_S:
            arrivals.popleft()

    @property
    def rate(self) -> float:
        """Packets a second at which they came of late; a pause since then does not lower it."""
        arrivals = self.arrivals
        if len(arrivals) < 2:
            return 1.0
        last = arrivals[-1]
        if last - self.begun <= _LEAST_WINDOW_S:  # all that came since the wait began
            return len(arrivals) / max(_SHORTEST_S, last - self.begun)
        return (len(arrivals) - 1) / max(_LEAST_WINDOW_S, last - arrivals[0])

    def refill(self, now: float, excess: float) -> None:
        """Let time pass for the tokens."""
        if now > self.tokens_at:
            a_second = self.rate * (1 + excess)
            most = max(BURST, a_second * _LATE_S)
            self.tokens = min(most, self.tokens + (now - self.tokens_at) * a_second)
            self.tokens_at = now

    def peak(self) -> None:
        """Remember how much waited."""
        self.peak_octets = max(self.peak_octets, self.octets)
        self.peak_packets = max(self.peak_packets, len(self.packets) + self.ahead_packets)


class PacedBuffer(Generic[Node]):
    """Packets that wait for nodes: a queue for each, first in, first out.

    `begin` a node, `enter` its packets; when it is there, `open` lets five go at once and the others at
    the rate at which they come, and a little faster. What comes meanwhile waits behind. When nothing
    waits (`idle`) the wait can `end`. Up to five packets may wait at the next hop instead, where they go
    without a word from here: `enter` tells which.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.octets = 0
        self._queues: dict[Node, _Queue] = {}
        self._open: dict[Node, None] = {}  # nodes that are there, in the order in which they came

    def __contains__(self, node: object) -> bool:
        return node in self._queues

    def begin(self, node: Node, now: float) -> None:
        """Packets to a node wait from now on; one that waits already goes on waiting, closed again."""
        queue = self._queues.get(node)
        if queue is None:
            self._queues[node] = _Queue(now)
        else:
            queue.opened = None
            self._open.pop(node, None)

    def enter(self, node: Node, packet: bytes, now: float, *, ahead: bool = False) -> bool:
        """A packet came; True if it is to wait at the next hop (`ahead`: there is one), or is to go at once.

        Where there is no room the node's oldest packets make it, as in the kernel's queues, never another
        node's; those at the next hop are out of reach.
        """
        queue = self._queues[node]
        queue.entered += 1
        queue.came(now)
        if not self._make_room(queue, len(packet)):
            queue.overflowed += 1
            return False
        if ahead and queue.opened is None and not queue.packets and queue.tokens >= 1:
            queue.tokens -= 1
            queue.ahead_since = queue.ahead_since if queue.ahead_packets else now
            queue.ahead += len(packet)
            queue.ahead_packets += 1
            self._grow(queue, len(packet))
            return True
        queue.packets.append((packet, now))
        self._grow(queue, len(packet))
        return False

    def open(self, node: Node, now: float) -> None:
        """The node is there."""
        queue = self._queues[node]
        if queue.opened is not None:
            return
        self._open[node] = None
        queue.opened = queue.tokens_at = now
        if queue.ahead_packets:  # they go now
            queue.delay_max_s = max(queue.delay_max_s, now - queue.ahead_since)
        self._grow(queue, -queue.ahead)
        queue.ahead = queue.ahead_packets = 0

    def head(self, node: Node, now: float) -> bytes | None:
        """The oldest packet, if it may go now; it is `gone` when it has been sent."""
        queue = self._queues[node]
        if queue.opened is None or not queue.packets:
            return None
        queue.refill(now, self.limits.excess)
        may_go = queue.tokens >= 1 - _EPSILON and queue.tokens_at <= now
        return queue.packets[0][0] if may_go else None

    def gone(self, node: Node, now: float) -> None:
        """The head has been sent."""
        queue = self._queues[node]
        queue.tokens -= 1
        packet, came = queue.packets.popleft()
        queue.delay_max_s = max(queue.delay_max_s, now - came)
        self._grow(queue, -len(packet))

    def rest(self, node: Node) -> bytes | None:
        """The oldest packet, taken out whether it may go or not: for what came while the wait was ended."""
        queue = self._queues[node]
        if not queue.packets:
            return None
        packet, _ = queue.packets.popleft()
        self._grow(queue, -len(packet))
        return packet

    def defer(self, node: Node, until: float) -> None:
        """The head could not be sent: nothing of the node's may go before then."""
        queue = self._queues[node]
        queue.tokens, queue.tokens_at = 1.0, until

    def next_due(self) -> float | None:
        """When the next packet of any node may go."""
        return min((d for n in self._open if (d := self._due(self._queues[n])) is not None), default=None)

    def due(self, now: float) -> list[Node]:
        """The nodes of which a packet may go."""
        return [n for n in self._open if (d := self._due(self._queues[n])) is not None and d <= now]

    def idle(self, node: Node) -> bool:
        """Whether the node is there and nothing waits for it."""
        queue = self._queues[node]
        return queue.opened is not None and not queue.packets

    def end(self, node: Node, now: float) -> Tally:
        """The wait is over: what still waits is dropped."""
        queue = self._queues.pop(node)
        self._open.pop(node, None)
        self.octets -= queue.octets
        drained = queue.opened is not None and not queue.packets
        return Tally(
            entered=queue.entered,
            overflowed=queue.overflowed,
            abandoned=len(queue.packets) + queue.ahead_packets,
            peak_octets=queue.peak_octets,
            peak_packets=queue.peak_packets,
            delay_max_s=queue.delay_max_s,
            opened_s=queue.opened - queue.begun if queue.opened is not None else None,
            drained_s=now - queue.opened if drained and queue.opened is not None else None,
        )

    def _due(self, queue: _Queue) -> float | None:
        if queue.opened is None or not queue.packets:
            return None
        wanting = 1 - queue.tokens
        if wanting <= _EPSILON:
            return queue.tokens_at
        return queue.tokens_at + wanting / (queue.rate * (1 + self.limits.excess))

    def _make_room(self, queue: _Queue, octets: int) -> bool:
        while (
            queue.octets + octets > self.limits.node_octets or self.octets + octets > self.limits.total_octets
        ):
            if not queue.packets:
                return False
            packet, _ = queue.packets.popleft()
            self._grow(queue, -len(packet))
            queue.overflowed += 1
        return True

    def _grow(self, queue: _Queue, octets: int) -> None:
        queue.octets += octets
        self.octets += octets
        queue.peak()
