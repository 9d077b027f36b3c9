"""What an application saw of a drive: octets per interval, and what each handover did to them.

All times are CLOCK_REALTIME in ns.
"""

from collections.abc import Iterable, Sequence

from attrs import evolve, field, frozen

from lies.testbed.measure import Move

INTERVAL_NS = 100_000_000
_AROUND_NS = 1_000_000_000  # what counts as before a handover, and as after it
_EFFECT_NS = 500_000_000  # how long after a handover's end the lowest rate is still its doing


@frozen
class Interval:
    """One interval of a receiver: octets of payload that came, datagrams that are missing."""

    start_ns: int
    end_ns: int
    octets: int
    lost: int = 0

    @property
    def mbps(self) -> float:
        """The rate of payload in Mbit/s."""
        length = self.end_ns - self.start_ns
        return self.octets * 8e3 / length if length > 0 else 0.0


@frozen
class Resent:
    """Segments that a TCP sender sent again within an interval."""

    start_ns: int
    end_ns: int
    segments: int


@frozen(kw_only=True)
class Stream:
    """One direction of an application's traffic as its receiver saw it, and its sender's retransmissions.

    protocol: udp, tcp or http; packets, lost: datagrams, None where there are none to count; dropped: of
    those lost, how many had arrived and found the receiver's socket full; reordered: datagrams that came
    after later ones; resent: None where nothing is sent again; intact: whether the content was the one sent,
    None where nobody checks; stalls: (start, end) of the times without an octet, of those that last
    least_stall_ms or longer; error: how the application ended early, in its own words.
    """

    app: str
    protocol: str
    direction: str
    intervals: tuple[Interval, ...] = field(repr=False)
    packets: int | None = None
    lost: int | None = None
    dropped: int | None = None
    reordered: int | None = None
    resent: tuple[Resent, ...] | None = field(default=None, repr=False)
    congestion: str | None = None
    intact: bool | None = None
    stalls: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    least_stall_ms: float = INTERVAL_NS / 1e6
    error: str | None = None

    @property
    def name(self) -> str:
        """Protocol and direction."""
        return f"{self.protocol} {self.direction}"

    @property
    def octets(self) -> int:
        """What arrived."""
        return sum(i.octets for i in self.intervals)

    @property
    def start_ns(self) -> int:
        """When its first interval began; 0 if it has none."""
        return self.intervals[0].start_ns if self.intervals else 0

    @property
    def duration_s(self) -> float:
        """From the first interval's beginning to the last one's end."""
        return (self.intervals[-1].end_ns - self.start_ns) / 1e9 if self.intervals else 0.0

    @property
    def mbps(self) -> float:
        """The mean rate."""
        return self.octets * 8 / 1e6 / self.duration_s if self.duration_s > 0 else 0.0

    @property
    def retransmits(self) -> int | None:
        """Segments that were sent again."""
        return None if self.resent is None else sum(r.segments for r in self.resent)

    @property
    def longest_stall_ms(self) -> float:
        """The longest time without an octet."""
        return max(((end - start) / 1e6 for start, end in self.stalls), default=0.0)


def empty_runs(intervals: Sequence[Interval]) -> tuple[tuple[int, int], ...]:
    """(start, end) of every run of intervals in which nothing came: stalls, to an interval's length."""
    runs: list[tuple[int, int]] = []
    for interval in intervals:
        if interval.octets:
            continue
        if runs and runs[-1][1] >= interval.start_ns - INTERVAL_NS // 2:
            runs[-1] = runs[-1][0], interval.end_ns
        else:
            runs.append((interval.start_ns, interval.end_ns))
    return tuple(runs)


def whole(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """The intervals, with a last one that is a mere rest made part of the one before it."""
    if len(intervals) < 2 or intervals[-1].end_ns - intervals[-1].start_ns >= INTERVAL_NS // 2:
        return tuple(intervals)
    *others, last, rest = intervals
    octets, lost = last.octets + rest.octets, last.lost + rest.lost
    return (*others, evolve(last, end_ns=rest.end_ns, octets=octets, lost=lost))


def counted(arrivals: Iterable[tuple[int, int]], start_ns: int, end_ns: int) -> tuple[Interval, ...]:
    """Intervals of INTERVAL_NS out of (time, octets) of arrivals; the last one may be shorter."""
    if end_ns <= start_ns:
        return ()
    sums = [0] * ((end_ns - start_ns - 1) // INTERVAL_NS + 1)
    for at_ns, octets in arrivals:
        sums[min(max(0, at_ns - start_ns) // INTERVAL_NS, len(sums) - 1)] += octets
    starts = [start_ns + n * INTERVAL_NS for n in range(len(sums))]
    return tuple(
        Interval(start, min(start + INTERVAL_NS, end_ns), octets)
        for start, octets in zip(starts, sums, strict=True)
    )


@frozen
class Effect:
    """What one handover did to one stream; None where the stream has no interval there, or counts no such.

    before_mbps: in the second before it; lowest_mbps: of the intervals that touch it or the half second
    after it; after_mbps: in the second after these; stall_ms: the longest time without an octet of those
    that touch the same; lost, retransmits: of the intervals nearer to this handover than to another.
    """

    before_mbps: float | None
    lowest_mbps: float | None
    after_mbps: float | None
    stall_ms: float | None
    lost: int | None
    retransmits: int | None


def effects(stream: Stream, moves: Sequence[Move]) -> list[Effect]:
    """What each handover did to a stream."""
    lost = _nearest(moves, ((i.start_ns, i.end_ns, i.lost) for i in stream.intervals))
    resent = _nearest(moves, ((r.start_ns, r.end_ns, r.segments) for r in stream.resent or ()))
    found = []
    for number, move in enumerate(moves):
        end_ns = move.in_ns + _EFFECT_NS
        if number + 1 < len(moves):
            end_ns = max(move.in_ns, min(end_ns, moves[number + 1].out_ns))
        touched = [i for i in stream.intervals if i.end_ns > move.out_ns and i.start_ns < end_ns]
        # a stall that reaches beyond is this handover's as well, and so is the time after it
        stalls = [s for s in stream.stalls if s[1] > move.out_ns and s[0] < end_ns]
        end_ns = max([end_ns, *(s[1] for s in stalls)])
        before = _within(stream.intervals, move.out_ns - _AROUND_NS, move.out_ns)
        after = _within(stream.intervals, end_ns, end_ns + _AROUND_NS)
        found.append(
            Effect(
                _mean(before),
                min((i.mbps for i in touched), default=None),
                _mean(after),
                max(((b - a) / 1e6 for a, b in stalls), default=0.0) if touched else None,
                None if stream.lost is None else lost[number],
                None if stream.resent is None else resent[number],
            )
        )
    return found


def _within(intervals: Sequence[Interval], start_ns: int, end_ns: int) -> list[Interval]:
    return [i for i in intervals if i.start_ns >= start_ns and i.end_ns <= end_ns]


def _mean(intervals: Sequence[Interval]) -> float | None:
    length = sum(i.end_ns - i.start_ns for i in intervals)
    return sum(i.octets for i in intervals) * 8e3 / length if length > 0 else None


def _nearest(moves: Sequence[Move], counts: Iterable[tuple[int, int, int]]) -> list[int]:
    """Sums of (start, end, count), each at the move that is nearest to it."""
    sums = [0] * len(moves)
    for start_ns, end_ns, count in counts:
        if count and moves:
            distances = [max(0, m.out_ns - end_ns, start_ns - m.in_ns) for m in moves]
            sums[distances.index(min(distances))] += count
    return sums
