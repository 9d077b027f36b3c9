"""From a request's call to its Confirm, beside a raw ROUTER/DEALER round trip with the same bodies."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import product

from lies.bench._figures import Row, compare, percentile, rounded
from lies.bench._lanes import Contest, Lanes
from lies.bench._orders import Ask, Asked, Confirm, Done
from lies.bench._rooms import Room, Value

GOAL = 2.0  # times the floor
_STRETCHES = 4  # they take a few ms, in which a machine may do something else
KINDS = {"link_status": "LinkStatus", "link_connect": "LinkConnect"}


class Requests(Room):
    """count: requests of each kind, one after the other, in each of a few stretches of a round."""

    name = "requests"

    def __init__(self, lanes: Lanes, *, count: int) -> None:
        self._contests = (lanes.blocking, lanes.on_loop)
        self._count = count
        self._ours_us: dict[str, list[float]] = defaultdict(list)
        self._floor_us: dict[str, list[float]] = defaultdict(list)

    def round(self) -> None:
        """Each kind in both styles, the floor and then ours, and all that again."""
        for contest, kind in list(product(self._contests, KINDS)) * _STRETCHES:
            key = f"{contest.prefix}{kind}"
            self._floor_us[key].append(self._floor(contest, kind))
            self._ours_us[key].append(self._ours(contest, kind))

    def rows(self) -> list[Row]:
        """Median round trips of each kind, each beside the floor of its style."""
        return [
            compare(
                f"{contest.prefix}request_{kind}",
                f"{shown} -> confirm, {contest.ours.style} client",
                "us",
                self._ours_us[f"{contest.prefix}{kind}"],
                self._floor_us[f"{contest.prefix}{kind}"],
                goal=GOAL,
            )
            for contest in self._contests
            for kind, shown in KINDS.items()
        ]

    def figures(self) -> Mapping[str, Value]:
        """request_ratio: the worse of the blocking client's two kinds; async_request_ratio: the same."""
        found: dict[str, Value] = {}
        for contest in self._contests:
            ratios = [r.ratio for r in self.rows() if r.name.startswith(f"{contest.prefix}request_")]
            worst = max((r for r in ratios if r is not None), default=None)
            found[f"{contest.prefix}request_ratio"] = rounded(worst)
        return found

    def _floor(self, contest: Contest, kind: str) -> float:
        lane = contest.floor
        lane.sender.begin(Confirm(lane.where, lane.style))
        (asker,) = lane.receivers
        asker.begin(Ask(self._count, kind, lane.where, lane.link, lane.style))
        asked = asker.reply(Asked)
        lane.sender.reply(Done)
        return _median_us(asked)

    def _ours(self, contest: Contest, kind: str) -> float:
        lane = contest.ours
        (asker,) = lane.receivers
        asker.begin(Ask(self._count, kind, lane.where, lane.link, lane.style))
        return _median_us(asker.reply(Asked))


def _median_us(asked: Asked) -> float:
    return percentile(asked.round_trips_ns, 0.5) / 1e3
