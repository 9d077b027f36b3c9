"""How fast indications go to one consumer with nothing lost, beside the floor.

A driver never waits for a consumer, and a consumer that falls behind is told a Gap. The rate measured is
therefore that of a sender which is never more than a window ahead of its receiver, the same on the floor.
The bus packs what a driver feeds it in one go into fewer messages, the floor sends each by itself: so there
is also a driver that feeds one item at a time.
"""

from collections import defaultdict
from collections.abc import Mapping

from lies.bench._figures import Row, compare
from lies.bench._lanes import Lanes, Load
from lies.bench._pace import WINDOW
from lies.bench._rooms import Losses, Room, Value

GOAL = 0.5  # of the floor


class Throughput(Room):
    """events: in each segment of a round."""

    name = "throughput"

    def __init__(self, lanes: Lanes, losses: Losses, *, events: int) -> None:
        self._contests = (*lanes.contests, lanes.single)
        self._losses = losses
        self._events = events
        self._ours: dict[str, list[float]] = defaultdict(list)
        self._floor: dict[str, list[float]] = defaultdict(list)

    def round(self) -> None:
        """Every lane, each right after its floor."""
        load = Load(self._events, window=WINDOW)
        for contest in self._contests:
            for lane, values in ((contest.floor, self._floor), (contest.ours, self._ours)):
                segment = self._losses.note(lane, lane.run(load))
                values[contest.prefix].append(segment.per_s)

    def rows(self) -> list[Row]:
        """Events per second, each beside the floor of its style."""
        return [
            compare(
                f"{contest.prefix}throughput",
                f"throughput: {contest.shown}",
                "events/s",
                self._ours[contest.prefix],
                self._floor[contest.prefix],
                goal=GOAL if contest.judged else None,
                at_least=True,
            )
            for contest in self._contests
        ]

    def figures(self) -> Mapping[str, Value]:
        """Nothing beyond the rows."""
        return {"throughput_window": WINDOW}
