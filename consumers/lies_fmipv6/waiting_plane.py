"""Packets that wait on an access router for a node, and go when it is there: RFC 5568 section 5.4 at work.

While a node is awaited a route leads its packets into an intake of ours (lies.kernel.intake). The first five
wait at the next hop instead, where the kernel sends them in the moment the node's own UNA resolves it; the
others wait here (lies_fmipv6.pacing). What comes while they go queues behind them, and when nothing waits any
more the kernel's path takes over.
"""

import asyncio
import errno
import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from ipaddress import IPv6Address

from attrs import define

from lies.kernel import messages as m
from lies.kernel.alarm import Alarm
from lies.kernel.intake import Intake, open_intake
from lies.kernel.interfaces import index_of, mtu_of
from lies.kernel.kinds import IntakeKind
from lies.kernel.netlink import KernelError, Netlink
from lies.kernel.packets import LinkSender, PacketSender
from lies.kernel.template import Template
from lies.kernel.tunnels import GONE, host
from lies.packet import address_of
from lies.runtime import now_s
from lies_fmipv6.pacing import Limits, PacedBuffer, Tally

_log = logging.getLogger("lies.fmipv6")
METRIC = 512  # before the routes of tunnels and links, which stay where they are
_BURST = 64  # packets read before others have a turn
_ALL = 4096  # more than an intake holds
_RETRY_S = 0.002  # after which a full device is tried again
_DESTINATION = slice(24, 40)  # of an IPv6 header
_REMEMBERED = 64
_LOOKS = 64  # into the intake for a moment in which nothing comes

OnTally = Callable[[IPv6Address, Tally], None]


@define(eq=False)
class _Wait:
    """How one node's packets go on: by the access link, or (away) through its tunnel.

    ahead: packets may wait at the next hop; lla: the node's link-layer address, where it is known.
    """

    away: bool = False
    ahead: bool = True
    lla: bytes | None = None


class WaitingRoom:
    """Waits of nodes by address. `start` before the first packet; on_tally is told how each wait ended.

    access: the interface of nodes that are here; away: the one by which routes lead into tunnels.

    unsent counts packets that the kernel did not take, by cause.
    """

    def __init__(
        self,
        netlink: Netlink,
        *,
        access: str,
        away: str,
        limits: Limits,
        intake: IntakeKind = IntakeKind.AUTO,
        on_tally: OnTally | None = None,
    ) -> None:
        self._netlink = netlink
        self._on_tally = on_tally
        self.unsent: Counter[str] = Counter()
        self._buffer: PacedBuffer[IPv6Address] = PacedBuffer(limits)
        self._waits: dict[IPv6Address, _Wait] = {}
        self._ended: dict[IPv6Address, bool] = {}  # of late, with the way that the last packets went
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost = 0
        with ExitStack() as undo:
            self._intake: Intake = undo.enter_context(
                closing(open_intake(netlink, kind=intake, mtu=mtu_of(access)))
            )
            self._alarm = undo.enter_context(closing(Alarm()))
            self._senders = {
                gone: undo.enter_context(closing(PacketSender(name)))
                for gone, name in ((False, access), (True, away))
            }
            self._direct = undo.enter_context(closing(LinkSender(access)))
            index, route = index_of(access), self._intake.route
            self._stop = Template(lambda n: m.neighbour(index, n, state=m.NUD_INCOMPLETE), IPv6Address)
            self._go_on = Template(
                lambda n, lla: m.neighbour(index, n, lla, state=m.NUD_STALE), IPv6Address, 6
            )
            self._divert = Template(lambda n: route(host(n), metric=METRIC), IPv6Address)
            self._undivert = Template(lambda n: route(host(n), metric=METRIC, add=False), IPv6Address)
            self._undo = undo.pop_all()

    def __contains__(self, node: object) -> bool:
        return node in self._waits

    def start(self) -> None:
        """Begin to serve on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._intake.fileno(), self._on_packets)
        self._loop.add_reader(self._alarm.fileno(), self._on_alarm)

    def close(self) -> None:
        """Drop what waits, and remove the intake with all its routes."""
        for node in tuple(self._waits):
            self._end(node)
        if self._loop is not None:
            self._loop.remove_reader(self._intake.fileno())
            self._loop.remove_reader(self._alarm.fileno())
        self._undo.close()

    def begin(self, node: IPv6Address, *, ahead: bool) -> list[bytes]:
        """Messages after which packets to the node wait; `ahead`: the first ones at its neighbour entry."""
        self._ended.pop(node, None)
        self._waits[node] = _Wait(ahead=ahead)
        self._buffer.begin(node, now_s())
        return [self._divert(node)]

    def arrived(self, node: IPv6Address, lla: bytes | None = None) -> None:
        """The node is on the access link, and its neighbour entry is valid: what waits goes there.

        lla: its link-layer address; without, a packet that comes in the last moment may overtake another.
        """
        self._go(node, away=False, lla=lla)

    def left(self, node: IPv6Address) -> None:
        """The node is behind its tunnel, whose route is there: what waits goes through it."""
        self._go(node, away=True, lla=None)

    def drop(self, node: IPv6Address) -> None:
        """The node did not come."""
        if node in self._waits:
            self._netlink.execute([self._undivert(node)], ignore=GONE)
            self._end(node)

    def _go(self, node: IPv6Address, *, away: bool, lla: bytes | None) -> None:
        wait = self._waits.get(node)
        if wait is None:
            return
        wait.away, wait.ahead, wait.lla = away, False, lla
        self._buffer.open(node, now_s())
        self._serve([node])

    def _on_packets(self) -> None:
        self._read(_BURST)
        self._serve(self._buffer.due(now_s()))

    def _on_alarm(self) -> None:
        self._alarm.rung()
        self._serve(self._buffer.due(now_s()))

    def _read(self, most: int) -> None:
        now = now_s()
        for packet in self._intake.receive(most):
            node = address_of(packet[_DESTINATION])
            wait = self._waits.get(node)
            if wait is not None:
                if self._buffer.enter(node, packet, now, ahead=wait.ahead):
                    self._send(node, packet, away=False)
            elif (away := self._ended.get(node)) is not None:  # it was on its way when the wait ended
                self._send(node, packet, away=away)

    def _serve(self, nodes: list[IPv6Address]) -> None:
        """Send what may go, end what is through, and set the alarm."""
        now = now_s()
        for node in nodes:
            away = self._waits[node].away
            while (packet := self._buffer.head(node, now)) is not None:
                if not self._send(node, packet, away=away):
                    self._buffer.defer(node, now + _RETRY_S)
                    break
                self._buffer.gone(node, now)
            if self._buffer.idle(node):
                self._hand_over(node)
        self._alarm.set(self._buffer.next_due())

    def _hand_over(self, node: IPv6Address) -> None:
        """Nothing waits: let the kernel forward by itself again, and let none overtake another.

        What comes by the kernel's way before the last of ours is sent waits in the neighbour entry's queue,
        which is INCOMPLETE until then; ours pass it by. Without the node's link-layer address, and into a
        tunnel, which has no such queue, a look into the intake is the last thing before the route ends.
        """
        wait = self._waits[node]
        undivert = [self._undivert(node)]
        if wait.lla is not None:
            undivert.insert(0, self._stop(node))
        else:
            for _ in range(_LOOKS):
                self._read(_BURST)
                if not self._send_rest(node, wait):
                    break
        ended = self._told(node, undivert)
        self._read(_ALL)
        self._send_rest(node, wait)
        if wait.lla is not None:
            self._told(node, [self._go_on(node, wait.lla)])
        if ended:
            self._end(node, remember=True)

    def _told(self, node: IPv6Address, messages: list[bytes]) -> bool:
        try:
            self._netlink.execute(messages, ignore=GONE)
        except KernelError as error:
            _log.error("the end of the wait for %s: %s", node, error)
            return False
        return True

    def _send_rest(self, node: IPv6Address, wait: _Wait) -> bool:
        """Send all that waits, without a pace: a few that came just now. False if nothing did."""
        some = False
        while (packet := self._buffer.rest(node)) is not None:
            if not self._send(node, packet, away=wait.away, lla=wait.lla):
                self.unsent[os.strerror(errno.EAGAIN)] += 1
            some = True
        return some

    def _end(self, node: IPv6Address, *, remember: bool = False) -> None:
        wait = self._waits.pop(node)
        if remember:
            self._ended[node] = wait.away
            if len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]
        tally = self._buffer.end(node, now_s())
        lost = self._intake.lost()
        if tally.overflowed or lost > self._lost:
            _log.warning(
                "packets to %s: %d did not fit into the buffer, %d were not read in time",
                node,
                tally.overflowed,
                lost - self._lost,
            )
        self._lost = lost
        if self._on_tally is not None:
            self._on_tally(node, tally)

    def _send(self, node: IPv6Address, packet: bytes, *, away: bool, lla: bytes | None = None) -> bool:
        """False where there is no room now; what cannot be sent at all is counted and gone.

        lla: sent to it, whatever the state of the neighbour entry.
        """
        try:
            if lla is not None:
                self._direct.send(packet, lla)
            else:
                self._senders[away].send(packet, node)
        except BlockingIOError:
            return False
        except OSError as error:
            self.unsent[error.strerror or str(error)] += 1
        return True
