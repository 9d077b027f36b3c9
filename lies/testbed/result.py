"""What a drive comes to."""

from collections.abc import Sequence

from attrs import frozen

from lies.events import HandoverDone
from lies.testbed.measure import Direction, Move, Verdict
from lies.testbed.plan import Plan
from lies.testbed.rates import Stream
from lies.testbed.vertical import LinkChange

_NEAR_NS = 1_000_000_000


@frozen(eq=False)
class DriveResult:
    """What a drive came to. handovers: one verdict and report each, in order; times in ns, wall clock."""

    plan: Plan
    verdicts: tuple[Verdict, ...]
    reports: tuple[HandoverDone | None, ...]
    directions: tuple[Direction, ...]
    setup_s: float = 0.0
    teardown_s: float = 0.0
    streams: tuple[Stream, ...] = ()  # of the application
    changes: tuple[LinkChange, ...] = ()  # of links; verdicts and reports have them too, in the order of time
    cellular: str | None = None  # where a second link came from
    floor_ns: tuple[int, ...] = ()  # round trips of a bare message MN - PAR - NAR - PAR - MN
    realtime: bool = False  # whether the daemons went before the ordinary work of the host

    @property
    def packets_sent(self) -> int:
        """Both directions."""
        return sum(len(d.sent_ns) for d in self.directions)

    @property
    def packets_lost(self) -> int:
        """Both directions: sent minus distinct received."""
        return sum(len(d.lost) for d in self.directions)


def matching(
    moves: Sequence[Move], reports: Sequence[HandoverDone], to_wall_ns: int
) -> list[HandoverDone | None]:
    """The report of each move; to_wall_ns: the wall clock less the reports' own."""
    return [
        next(
            (
                r
                for r in reports
                if r.to_poa == move.to_poa
                and r.link_up_ns is not None
                and abs(r.link_up_ns + to_wall_ns - move.in_ns) < _NEAR_NS
            ),
            None,
        )
        for move in moves
    ]
