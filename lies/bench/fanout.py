"""Indications to 1, 10 and 50 consumers with nothing lost, beside a ROUTER that sends to as many DEALERs."""

from collections import defaultdict
from collections.abc import Mapping

from lies.bench._figures import Row, compare
from lies.bench._lanes import Lanes, Load
from lies.bench._pace import WINDOW
from lies.bench._rooms import Losses, Room, Value

CLIENTS = (1, 10, 50)  # in two processes: fifty of them would measure how the machine shares its processors


class FanOut(Room):
    """deliveries: in each segment, over all consumers together."""

    name = "fan-out"

    def __init__(self, lanes: Lanes, losses: Losses, *, deliveries: int) -> None:
        self._contest = lanes.to_many()
        self._losses = losses
        self._deliveries = deliveries
        self._per_s: dict[tuple[str, int], list[float]] = defaultdict(list)

    def round(self) -> None:
        """Each number of consumers, the floor and then ours."""
        for clients in CLIENTS:
            for lane in (self._contest.floor, self._contest.ours):
                count = max(50, self._deliveries // clients)
                segment = self._losses.note(lane, lane.run(Load(count, window=WINDOW, clients=clients)))
                self._per_s[lane.name, clients].append(segment.per_s)

    def rows(self) -> list[Row]:
        """Deliveries per second, over all consumers together."""
        return [
            compare(
                f"fanout_{clients}",
                f"fan-out to {clients}, {self._contest.shown}",
                "deliveries/s",
                self._per_s[self._contest.ours.name, clients],
                self._per_s[self._contest.floor.name, clients],
                at_least=True,
            )
            for clients in CLIENTS
        ]

    def figures(self) -> Mapping[str, Value]:
        """Nothing beyond the rows."""
        return {}
