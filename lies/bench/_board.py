"""How far each receiver has come, in a file that all processes of a bench have mapped."""

import mmap
from collections.abc import Iterable
from pathlib import Path

SLOTS = 64  # receivers at one time
_START = SLOTS
_OCTETS = 8


class Board:
    """Counters by slot, shared between processes; each slot has one writer. And the time when senders start.

    Each is written as one aligned word, so that a reader sees the old value or the new one.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._words = memoryview(self._map).cast("Q")

    @classmethod
    def create(cls, path: Path) -> "Board":
        """A new file, all 0."""
        path.write_bytes(bytes((SLOTS + 1) * _OCTETS))
        return cls(path)

    @property
    def start_ns(self) -> int:
        """When senders that take turns begin, CLOCK_MONOTONIC; 0 while that is not known."""
        return self._words[_START]

    @start_ns.setter
    def start_ns(self, value: int) -> None:
        self._words[_START] = value

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
