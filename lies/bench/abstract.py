"""Samples per second through an abstract entity, and its memory while a trace goes on."""

from collections.abc import Mapping
from pathlib import Path

from lies.bench._figures import Row, median
from lies.bench._orders import Fed, Feed
from lies.bench._processes import REPLY_S, Processes
from lies.bench._rooms import Room, Value

GOAL_PER_S = 50_000.0  # of one core
GOAL_GROWTH_MB = 1.0
_SLOWEST_S = 0.001  # for one sample: what is slower still is given up


class Abstract(Room):
    """samples: in five parts; traces: folder of recorded ones, None for a made one."""

    name = "abstract entity"

    def __init__(self, processes: Processes, *, samples: int, traces: Path | None, seed: int) -> None:
        self._processes = processes
        self._order = Feed(samples, traces, seed)
        self._fed = Fed((), (), (), 0)

    def round(self) -> None:
        """The whole trace."""
        post = self._processes.abstract.post
        post.begin(self._order)
        self._fed = post.reply(Fed, REPLY_S + self._order.samples * _SLOWEST_S)

    def rows(self) -> list[Row]:
        """Samples per second of processor time, median of the parts; growth after the first part."""
        fed = self._fed
        rates = [n / s for n, s in zip(fed.items, fed.cpu_s, strict=True) if n and s > 0]
        growth_mb = (fed.rss_kb[-1] - fed.rss_kb[0]) / 1024 if fed.rss_kb else None
        source = "a made trace" if self._order.traces is None else "recorded traces"
        return [
            Row(
                "ae_samples_per_s",
                f"abstract entity, on {source}, one core",
                "samples/s",
                median(rates),
                goal=GOAL_PER_S,
                at_least=True,
            ),
            Row(
                "ae_growth_mb",
                f"abstract entity's memory, growth over {sum(fed.items[1:])} samples",
                "MB",
                growth_mb,
                goal=GOAL_GROWTH_MB,
            ),
        ]

    def figures(self) -> Mapping[str, Value]:
        """Which trace it was."""
        return {
            "ae_samples": sum(self._fed.items),
            "ae_indications": self._fed.indications,
            "ae_trace": "made" if self._order.traces is None else str(self._order.traces),
        }
