"""How far each receiver has come: counters in a file that sender and receivers have mapped."""

import mmap
from collections.abc import Iterable
from pathlib import Path

SLOTS = 64  # receivers at one time
_OCTETS = 8


class Board:
    """Counters by slot, shared between processes; each slot has one writer.

    A counter is written as one aligned word, so that a reader sees the old value or the new one.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._words = memoryview(self._map).cast("Q")

    @classmethod
    def create(cls, path: Path, slots: int) -> "Board":
        """A new file of so many counters, all 0."""
        path.write_bytes(bytes(slots * _OCTETS))
        return cls(path)

    def set(self, slot: int, value: int) -> None:
        """The receiver of this slot has come so far."""
        self._words[slot] = value

    def slowest(self, slots: Iterable[int]) -> int:
        """How far the slowest of these has come."""
        return min(self._words[slot] for slot in slots)

    def close(self) -> None:
        """Unmap the file."""
        self._words.release()
        self._map.close()
