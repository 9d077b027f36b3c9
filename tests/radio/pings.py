"""What radio.pinger has noted: which requests were answered, and when."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from attrs import frozen


@frozen
class Pings:
    """Times in ns by number; a request without an answer is lost."""

    sent_ns: Mapping[int, int]
    answered_ns: Mapping[int, int]

    @classmethod
    def read(cls, lines: Iterable[str]) -> "Pings":
        """What the lines of its file say; of copies the first one counts."""
        sent: dict[int, int] = {}
        answered: dict[int, int] = {}
        for line in lines:
            kind, number, t_ns = line.split()
            (sent if kind == "s" else answered).setdefault(int(number), int(t_ns))
        return cls(sent, answered)

    def lost(self, from_ns: int, to_ns: int) -> Sequence[int]:
        """The requests of a time that were not answered."""
        return [
            n
            for n, t_ns in sorted(self.sent_ns.items())
            if from_ns <= t_ns < to_ns and n not in self.answered_ns
        ]

    def gap_ms(self, from_ns: int, to_ns: int) -> float:
        """The longest time without an answer of those that end within a time."""
        times = sorted(self.answered_ns.values())
        gaps = [b - a for a, b in pairwise(times) if from_ns <= b < to_ns]
        return max(gaps, default=to_ns - from_ns) / 1e6
