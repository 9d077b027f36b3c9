"""The judge of a drive: what the packets say about each handover, and nothing else.

All times are CLOCK_REALTIME in ns. Numbers come from the logs of the flows' end points; the radio's port
times only say where to look.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from attrs import frozen

from lies.events import Indication, Raw, RawAttached, RawDetached
from lies.testbed.traffic import FlowLog

_MS = 1e6
_IN_TIME_NS = 1_000_000


@frozen(eq=False)
class Direction:
    """One direction of traffic; at_radio: the receiver sits on the radio link."""

    name: str
    sent_ns: Sequence[int]
    received: Sequence[tuple[int, int, int]]  # number, send time, receive time, in order of arrival
    interval_ns: float
    at_radio: bool

    @classmethod
    def of(
        cls, name: str, sender: FlowLog, receiver: FlowLog, interval_ns: float, *, at_radio: bool
    ) -> "Direction":
        """The direction from one end point's log to another's, in order of arrival."""
        arrived = sorted(receiver.received, key=lambda packet: packet[2])
        return cls(name, sender.sent_ns, arrived, interval_ns, at_radio)

    @property
    def lost(self) -> list[int]:
        """Numbers that were sent and never arrived."""
        arrived = {number for number, _, _ in self.received}
        return [number for number in range(len(self.sent_ns)) if number not in arrived]

    @property
    def duplicated(self) -> int:
        """Arrivals of numbers that had arrived before."""
        return len(self.received) - len({number for number, _, _ in self.received})

    @property
    def overtaken(self) -> list[tuple[int, int]]:
        """Packets that first arrived after one that was sent later (RFC 4737 section 3); copies count not.

        With each, by how many ns its way was longer than that of the newest packet that was there already:
        after a switch from one path to a shorter one that is the difference of the paths.
        """
        newest, newest_ns = -1, 0
        found: list[tuple[int, int]] = []
        seen: set[int] = set()
        for number, sent, arrived in self.received:
            if number not in seen and number < newest:
                found.append((number, arrived - sent - newest_ns))
            seen.add(number)
            if number > newest:
                newest, newest_ns = number, arrived - sent
        return found

    @property
    def reordered(self) -> int:
        """How many packets were overtaken."""
        return len(self.overtaken)

    @property
    def least_delay_ns(self) -> int:
        """The shortest time that any packet was on its way."""
        return min((arrived - sent for _, sent, arrived in self.received), default=0)

    def waited(self, out_ns: int, in_ns: int) -> int:
        """How many packets were sent early enough to arrive within a handover's gap, and came after it."""
        shift = 0 if self.at_radio else self.least_delay_ns
        low, high = out_ns + shift, in_ns + shift
        end = next((got for _, _, got in self.received if got > high), None)
        if end is None:
            return 0
        early = end - self.least_delay_ns
        return sum(sent < early and low < got and got >= end for _, sent, got in self.received)

    def drained_ns(self, in_ns: int) -> int:
        """How long after the end of a gap packets still came late, because others waited before them.

        Until the first that was on its way no longer than the quickest one and a millisecond; 0 if none was
        late.
        """
        shift = 0 if self.at_radio else self.least_delay_ns
        return max((got - in_ns - shift for _, got in self._late(in_ns + shift)), default=0)

    def extra_delay_ns(self, in_ns: int) -> int:
        """How much longer than the quickest any of those was on its way."""
        least = self.least_delay_ns
        shift = 0 if self.at_radio else least
        return max((got - sent - least for sent, got in self._late(in_ns + shift)), default=0)

    def _late(self, after_ns: int) -> Iterator[tuple[int, int]]:
        """(send time, receive time) of what was received from then on, before the first that was in time."""
        in_time = self.least_delay_ns + _IN_TIME_NS
        for _, sent, got in self.received[bisect_right(self.received, after_ns, key=itemgetter(2)) :]:
            if got - sent <= in_time:
                return
            yield sent, got

    def gap_ns(self, out_ns: int, in_ns: int) -> float | None:
        """The total gap of a handover whose port was out from out_ns to in_ns.

        None if nothing came before or nothing after: then there is no gap between packets.

        Among neighbouring arrivals a, b between which the outage falls (seen from the receiver, behind the
        path if that is not on the radio link): receive time of b minus that of a, minus what their send
        times differ by more than one nominal interval for each number from a to b: a sender that was late
        is not the handover's doing, packets that were lost are. The largest counts.
        """
        shift = 0 if self.at_radio else self.least_delay_ns
        low, high = out_ns + shift, in_ns + shift
        found: float | None = None
        for (a, sent_a, got_a), (b, sent_b, got_b) in zip(self.received, self.received[1:], strict=False):
            if got_b < low or got_a > high:
                continue
            late = max(0.0, (sent_b - sent_a) - max(1, b - a) * self.interval_ns)
            gap = (got_b - got_a) - late
            found = gap if found is None else max(found, gap)
        if not self.received or self.received[0][2] > low or self.received[-1][2] < high:
            return None
        return found


@frozen
class Move:
    """One change of PoA as the radio did it: when the port went out and came in."""

    from_poa: str
    to_poa: str
    out_ns: int
    in_ns: int


@frozen
class Verdict:
    """What one handover cost, in ms; lost: packets of both directions sent nearer to it than to another."""

    move: Move
    l2_gap_ms: float
    total_gap_ms: float | None
    lost: int

    @property
    def l3_gap_ms(self) -> float | None:
        """What the network layer added: total minus L2, never clipped."""
        return None if self.total_gap_ms is None else self.total_gap_ms - self.l2_gap_ms


def moves_of(
    events: Iterable[Indication | Raw], first_poa: str | None, link: str
) -> list[tuple[str, str, int, int]]:
    """(from, to, port out, port in) of every change of a link's PoA, in ns on the clock of the driver inputs.

    first_poa: where the node was before the first of them.
    """
    moves = []
    here = first_poa
    left_ns: int | None = None
    for event in events:
        if event.header.link.name != link:
            continue
        if isinstance(event, RawDetached):
            left_ns = event.detached.t_ns
        elif isinstance(event, RawAttached):
            a = event.attached
            in_ns = a.port_in_ns if a.port_in_ns is not None else a.t_ns
            out_ns = a.port_out_ns if a.port_out_ns is not None else left_ns
            if here is not None and here != a.poa and out_ns is not None:
                moves.append((here, a.poa, out_ns, in_ns))
            here = a.poa
    return moves


def path_difference_ms(directions: Sequence[Direction]) -> float | None:
    """The most by which an overtaken packet's way was longer than its overtaker's; None if there is none."""
    return max((longer / _MS for d in directions for _, longer in d.overtaken), default=None)


def judge(moves: Sequence[Move], directions: Sequence[Direction]) -> list[Verdict]:
    """The verdict on each move; the gap is the worse direction's."""
    lost = [0] * len(moves)
    for direction in directions:
        for number in direction.lost:
            if moves:
                sent = direction.sent_ns[number]
                nearest = min(range(len(moves)), key=lambda k: _distance(moves[k], sent))
                lost[nearest] += 1
    verdicts = []
    for move, missing in zip(moves, lost, strict=True):
        gaps = [d.gap_ns(move.out_ns, move.in_ns) for d in directions]
        known = [gap for gap in gaps if gap is not None]
        total = max(known) / _MS if known and len(known) == len(gaps) else None
        verdicts.append(Verdict(move, (move.in_ns - move.out_ns) / _MS, total, missing))
    return verdicts


def _distance(move: Move, at_ns: int) -> int:
    if move.out_ns <= at_ns <= move.in_ns:
        return 0
    return min(abs(at_ns - move.out_ns), abs(at_ns - move.in_ns))
