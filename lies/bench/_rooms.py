"""What every room of the bench has, and where losses are counted."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from lies.bench._figures import Row
from lies.bench._lanes import Lane, Segment

Value = float | int | str | None


class Losses:
    """What was sent through LIES and did not come, over all rooms; the floor's losses beside it."""

    def __init__(self) -> None:
        self.events = 0
        self.lost = 0
        self.doubled = 0
        self.gaps = 0
        self.floor_lost = 0

    def note(self, lane: Lane, segment: Segment) -> Segment:
        """Count a segment."""
        received = segment.received
        if lane.is_floor:
            self.floor_lost += segment.lost
            return segment
        self.events += received.received + segment.lost
        self.lost += segment.lost
        self.doubled += received.doubled
        self.gaps += received.gaps
        return segment

    def row(self) -> Row:
        """The table's last row."""
        shown = f"events lost, of {self.events} through LIES"
        return Row("events_lost", shown, "events", float(self.lost), goal=0.0)


class Room(ABC):
    """One figure or several that are measured together, a round at a time."""

    name: str  # said while it is at work

    @abstractmethod
    def round(self) -> None:
        """Measure floor and ours once, one right after the other."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """The table's rows, of the rounds so far: at least one."""

    @abstractmethod
    def figures(self) -> Mapping[str, Value]:
        """The same for the JSON object."""
