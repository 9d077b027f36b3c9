"""What ping has seen: which of its numbers were answered, and when."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from attrs import frozen

_REPLY = re.compile(r"\[(\d+)\.(\d{6})\] \d+ bytes from \S+: icmp_seq=(\d+) ttl=\d+ time=([\d.]+) ms")
_NUMBERS = 1 << 16


@frozen
class Reply:
    """An answer; number: from 1, without a limit."""

    wall_ns: int
    number: int
    trip_ms: float


@frozen
class Hole:
    """What lies between two answers in a row of arrival; lost: the numbers between them without any answer."""

    before_ns: int
    after_ns: int
    lost: int

    @property
    def gap_ms(self) -> float:
        """How long nothing came."""
        return (self.after_ns - self.before_ns) / 1e6


def replies(lines: Iterable[str]) -> list[Reply]:
    """The answers in what `ping -D` printed, copies left out."""
    found: dict[int, Reply] = {}
    last = 0
    for line in lines:
        match = _REPLY.match(line)
        if match is None or "DUP!" in line:
            continue
        low = int(match[3])  # ping counts in 16 bits
        number = last + (low - last + _NUMBERS // 2) % _NUMBERS - _NUMBERS // 2
        last = max(last, number)
        wall_ns = int(match[1]) * 1_000_000_000 + int(match[2]) * 1000
        found.setdefault(number, Reply(wall_ns, number, float(match[4])))
    return list(found.values())


def holes(answered: Sequence[Reply]) -> list[Hole]:
    """Between each answer and the next one by number: how long nothing came, and how many were lost."""
    by_number = sorted(answered, key=lambda r: r.number)
    return [Hole(a.wall_ns, b.wall_ns, b.number - a.number - 1) for a, b in pairwise(by_number)]


def worst(all_holes: Iterable[Hole], from_ns: int, to_ns: int) -> tuple[int, float]:
    """(lost, longest gap in ms) of the holes that end within a time."""
    within = [h for h in all_holes if from_ns <= h.after_ns < to_ns]
    return sum(h.lost for h in within), max((h.gap_ms for h in within), default=0.0)
