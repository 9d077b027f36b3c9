"""What radio.flow has noted of one way: which datagrams went and came, and when."""

import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from attrs import frozen

_RECORD = struct.Struct("=QQ")


@frozen
class Counts:
    """Of the datagrams that were sent within a time.

    reordered: came first after one that was sent later (RFC 4737 section 3); duplicated: copies; gap_ms: the
    longest time without one.
    """

    sent: int
    lost: int
    duplicated: int
    reordered: int
    gap_ms: float


@frozen
class Flow:
    """Times of sending by number; numbers and times of what came, in order."""

    sent_ns: Mapping[int, int]
    came: Sequence[tuple[int, int]]

    @classmethod
    def read(cls, sent: Path, came: Path) -> "Flow":
        """What the two files say."""
        return cls(dict(_RECORD.iter_unpack(sent.read_bytes())), [*_RECORD.iter_unpack(came.read_bytes())])

    def counts(self, from_ns: int, to_ns: int) -> Counts:
        """Of what was sent from then until then."""
        numbers = {n for n, t_ns in self.sent_ns.items() if from_ns <= t_ns < to_ns}
        came = [(n, t_ns) for n, t_ns in self.came if n in numbers]
        newest, reordered = -1, 0
        seen: set[int] = set()
        for number, _ in came:
            reordered += number < newest and number not in seen
            seen.add(number)
            newest = max(newest, number)
        gap_ns = max((b - a for (_, a), (_, b) in pairwise(came)), default=to_ns - from_ns)
        return Counts(len(numbers), len(numbers) - len(seen), len(came) - len(seen), reordered, gap_ns / 1e6)
