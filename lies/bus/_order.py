"""Puts deliveries of one registration in order, and knows what is missing."""

from typing import Generic, TypeVar

T = TypeVar("T")

MOST_AHEAD = 1024  # deliveries kept while a hole before them is repaired


class Order(Generic[T]):
    """Deliveries by sequence number: each comes out once, in order, when none before it is missing."""

    def __init__(self) -> None:
        self.last = 0  # every one up to this came out or was given up
        self._ahead: dict[int, T] = {}

    @property
    def missing(self) -> tuple[int, int] | None:
        """First and last of the first hole, None if there is none."""
        if not self._ahead:
            return None
        return self.last + 1, min(self._ahead) - 1

    @property
    def overfull(self) -> bool:
        """More is kept than a repair is worth."""
        return len(self._ahead) > MOST_AHEAD

    def is_next(self, sequence: int) -> bool:
        """Take the delivery that is expected, if nothing is missing, as nearly always; False: `take` it."""
        if sequence == self.last + 1 and not self._ahead:
            self.last = sequence
            return True
        return False

    def take(self, sequence: int, item: T) -> list[tuple[int, T]]:
        """Take a delivery; what can come out now. One that came before is dropped."""
        if self.is_next(sequence):
            return [(sequence, item)]
        if sequence <= self.last:
            return []
        self._ahead[sequence] = item
        return self._release()

    def give_up(self, first: int, last: int) -> tuple[tuple[int, int] | None, list[tuple[int, T]]]:
        """`first`..`last` will never come: what of it was missing, and what can come out now."""
        start = self.last + 1
        if last < start:
            return None, []
        out = [(sequence, self._ahead.pop(sequence)) for sequence in sorted(self._ahead) if sequence <= last]
        lost = (max(first, start), last)
        self.last = last
        return lost, out + self._release()

    def _release(self) -> list[tuple[int, T]]:
        out = []
        while self.last + 1 in self._ahead:
            self.last += 1
            out.append((self.last, self._ahead.pop(self.last)))
        return out
