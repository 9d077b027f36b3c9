"""A constant flow of data between a mobile node and its correspondent, counted exactly and at little cost.

As long as nothing on its way changes, every packet of a flow goes where the one before it went. So nobody
carries them one by one: the network calls `touch` before anything changes, and then those that arrived are
counted, and those in flight are put on their way as packets of their own, from where each of them is.
"""

from collections.abc import Callable
from math import ceil, floor
from typing import TYPE_CHECKING

from attrs import frozen

from lies.sim.packets import Data, Here, Hop, Kept, Lost, Step, walk

if TYPE_CHECKING:
    from lies.sim.network import Network

_EPSILON = 1e-9  # of an interval: sums of floats are not exact


@frozen
class _Way:
    """The way of a packet: hops with the time of each one's end, and the step behind the last."""

    hops: tuple[tuple[float, Hop], ...]
    takes_s: float
    end: Step


class Flow:
    """Packets at a constant rate, from `first_s` until `stop` is called.

    emit: the first step of a packet, given its Data. expected: whether a packet that is somewhere is where
    it ought to be. Counters: sent, arrived, lost by the network's tally, duplicated, reordered (RFC 4737
    section 3), misdelivered; path_difference_s: the most by which an overtaken packet's way was longer than
    that of the newest packet that had arrived, None if none was overtaken; gap_s: the longest pause since
    open_window, beyond the interval.
    """

    __slots__ = (
        "_emit",
        "_epoch",
        "_expected",
        "_highest",
        "_highest_took_s",
        "_last_s",
        "_loose",
        "_net",
        "_next",
        "_way",
        "arrived",
        "duplicated",
        "first_s",
        "gap_s",
        "interval_s",
        "lost",
        "misdelivered",
        "path_difference_s",
        "reordered",
        "stopped_s",
    )

    def __init__(
        self,
        net: "Network",
        interval_s: float,
        first_s: float,
        emit: Callable[[Data], Step],
        expected: Callable[[Here], bool],
    ) -> None:
        self._net = net
        self._emit = emit
        self._expected = expected
        self.interval_s = interval_s
        self.first_s = first_s
        self.stopped_s: float | None = None
        self._next = 0  # number of the first packet that is neither counted nor on its way
        self._way: _Way | None = None
        self._loose: set[int] = set()  # numbers of those that are carried one by one
        self._highest = -1  # number of the latest packet that arrived
        self._highest_took_s = 0.0
        self._last_s: float | None = None  # when a packet last arrived
        self.arrived = self.lost = self.duplicated = self.reordered = self.misdelivered = 0
        self.path_difference_s: float | None = None
        self.gap_s = 0.0

    @property
    def sent(self) -> int:
        """How many packets left the sender."""
        return self._sent_before(self._net.clock.now)

    @property
    def under_way(self) -> int:
        """How many have neither arrived nor been lost."""
        return len(self._loose) + self.sent - self._next

    @property
    def heard(self) -> bool:
        """Whether a packet has arrived yet."""
        return self._last_s is not None

    def stop(self) -> None:
        """No packet is sent any more."""
        self.touch()
        self.stopped_s = self._net.clock.now

    def open_window(self) -> None:
        """Begin to look for the longest pause anew."""
        self.touch()
        self.gap_s = 0.0

    def touch(self) -> None:
        """Something on the way is about to change."""
        now = self._net.clock.now
        end = self._sent_before(now)
        if end > self._next:
            self._settle(now)
            way = self._way
            assert way is not None
            for number in range(self._next, end):
                self._release(way, number, now)
            self._next = end
        self._way = None

    def landed(self, number: int, here: Here) -> None:
        """A packet that was carried by itself is at a host that takes it."""
        now = self._net.clock.now
        if self._sent_before(now) > self._next:
            self._settle(now, with_now=False)
        if not self._expected(here):
            self.misdelivered += 1
        if number not in self._loose:
            self.duplicated += 1
            return
        self._loose.discard(number)
        self.arrived += 1
        took_s = now - self._time_of(number)
        if number < self._highest:
            self.reordered += 1
            self.path_difference_s = max(self.path_difference_s or 0.0, took_s - self._highest_took_s)
        else:
            self._highest, self._highest_took_s = number, took_s
        self._pause_ends(now)
        self._last_s = now

    def strayed(self) -> None:
        """A packet reached a mobile node that it is not for."""
        self.misdelivered += 1

    def gone(self, number: int) -> None:
        """A packet that was carried by itself is lost."""
        if number in self._loose:
            self._loose.discard(number)
            self.lost += 1

    def _sent_before(self, now: float) -> int:
        end = now if self.stopped_s is None else min(now, self.stopped_s)
        return max(0, ceil((end - self.first_s) / self.interval_s - _EPSILON))

    def _time_of(self, number: int) -> float:
        return self.first_s + number * self.interval_s

    def _find(self) -> _Way:
        """Where packets go now."""
        hops, end = walk(self._emit(Data(self, -1)))
        return _Way(tuple(hops), hops[-1][0] if hops else 0.0, end)

    def _settle(self, now: float, *, with_now: bool = True) -> None:
        """Count those that are at the end of their way by now.

        with_now: also those that get there in this very moment; of two at one time the older one is first.
        """
        way = self._way
        if way is None:
            way = self._way = self._find()
        behind = (now - way.takes_s - self.first_s) / self.interval_s
        through = floor(behind + _EPSILON) + 1 if with_now else ceil(behind - _EPSILON)
        through = min(through, self._sent_before(now))
        if through <= self._next:
            return
        first, self._next = self._next, through
        match way.end:
            case Here():
                self._count(first, through, way.takes_s, way.end)
            case Lost(_, cause):
                self.lost += through - first
                self._net.note_lost(cause, through - first)
                self._strays(way, through - first)
            case Kept(buffer, packet):
                for number in range(first, through):
                    self._loose.add(number)
                    Kept(buffer, packet.renumbered(number)).go(self._net)
            case _:
                raise AssertionError("a way does not end in a hop")

    def _count(self, first: int, through: int, takes_s: float, here: Here) -> None:
        self.arrived += through - first
        if not self._expected(here):
            self.misdelivered += through - first
        if through - 1 > self._highest:
            self._highest, self._highest_took_s = through - 1, takes_s
        self._pause_ends(self._time_of(first) + takes_s)
        self._last_s = self._time_of(through - 1) + takes_s

    def _strays(self, way: _Way, count: int) -> None:
        """Packets that reach a mobile node which drops them have been delivered wrongly all the same."""
        if way.hops:
            last = way.hops[-1][1]
            if self._net.is_stray(last.host, self):
                self.misdelivered += count

    def _pause_ends(self, now: float) -> None:
        if self._last_s is not None:
            self.gap_s = max(self.gap_s, now - self._last_s - self.interval_s)

    def _release(self, way: _Way, number: int, now: float) -> None:
        """Put a packet on its way from where it is."""
        self._loose.add(number)
        sent = self._time_of(number)
        for ends, hop in way.hops:
            if sent + ends > now:
                packet = hop.packet.renumbered(number)
                flying = Hop(hop.host, packet, hop.delay_s, hop.air, hop.generation, hop.sender)
                self._net.clock.at(sent + ends, self._net.land, flying)
                return
        raise AssertionError("a packet that is at its end was not counted")
