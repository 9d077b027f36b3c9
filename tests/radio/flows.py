"""What radio.flow has noted of one way: which datagrams went and came, and when."""

import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from attrs import frozen

_RECORD = struct.Struct("=QQ")


Span = tuple[int, int]  # from when until when, ns of CLOCK_MONOTONIC


@frozen
class Counts:
    """Of the datagrams that were sent within a time.

    lost: their times of sending; reordered: came first after one that was sent later (RFC 4737 section 3);
    duplicated: copies.
    """

    sent: int
    lost_ns: Sequence[int]
    duplicated: int
    reordered: int


@frozen
class Flow:
    """Times of sending by number; numbers and times of what came, in order."""

    sent_ns: Mapping[int, int]
    came: Sequence[tuple[int, int]]

    @classmethod
    def read(cls, sent: Path, came: Path) -> "Flow":
        """What the two files say."""
        return cls(dict(_RECORD.iter_unpack(sent.read_bytes())), [*_RECORD.iter_unpack(came.read_bytes())])

    def counts(self, span: Span) -> Counts:
        """Of what was sent within a time."""
        sent = {n: t_ns for n, t_ns in self.sent_ns.items() if span[0] <= t_ns < span[1]}
        came = [n for n, _ in self.came if n in sent]
        newest, reordered = -1, 0
        seen: set[int] = set()
        for number in came:
            reordered += number < newest and number not in seen
            seen.add(number)
            newest = max(newest, number)
        lost = [t_ns for n, t_ns in sent.items() if n not in seen]
        return Counts(len(sent), lost, len(came) - len(seen), reordered)

    def gap_ms(self, span: Span) -> float:
        """The longest time without one of those that end within a time."""
        gaps = [b - a for (_, a), (_, b) in pairwise(self.came) if span[0] <= b < span[1]]
        return max(gaps, default=span[1] - span[0]) / 1e6
