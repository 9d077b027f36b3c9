"""Figures of a bench: a row of the table for each, with its floor and its goal."""

import math
import statistics
from collections.abc import Sequence

from attrs import frozen


@frozen
class Row:
    """One figure: medians over all rounds; ratio: of each round's own, so that the machine's noise cancels.

    name: of its fields in JSON; figure: what is measured; unit: of ours and floor; goal: of the ratio, or of
    ours where there is no floor; at_least: the goal is a lower limit, else an upper one; ratios: of each
    round. None: not measured, or no goal.
    """

    name: str
    figure: str
    unit: str
    ours: float | None
    floor: float | None = None
    ratios: tuple[float, ...] = ()
    goal: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        """Median of all rounds."""
        return median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one, or where nothing was measured."""
        value = self.ours if self.floor is None else self.ratio
        if self.goal is None or value is None:
            return None
        return value >= self.goal if self.at_least else value <= self.goal

    def figures(self) -> dict[str, float | str | int | None]:
        """Its fields in the JSON object: the figure by its name, its floor and ratio where it has them."""
        if self.floor is None:
            return {self.name: rounded(self.ours)}
        unit = "_per_s" if self.unit.endswith("/s") else f"_{self.unit}"
        return {
            f"{self.name}_ratio": rounded(self.ratio),
            f"{self.name}{unit}": rounded(self.ours),
            f"{self.name}_floor{unit}": rounded(self.floor),
        }


def compare(
    name: str,
    figure: str,
    unit: str,
    ours: Sequence[float],
    floor: Sequence[float],
    *,
    goal: float | None = None,
    at_least: bool = False,
) -> Row:
    """A row from the values of each round."""
    ratios = [a / b for a, b in zip(ours, floor, strict=True) if 0 < b < math.inf]
    return Row(name, figure, unit, median(ours), median(floor), tuple(ratios), goal, at_least)


def rounded(value: float | None) -> float | None:
    """To four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def median(values: Sequence[float]) -> float | None:
    """The middle one; None of none."""
    return statistics.median(values) if values else None


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed; infinite of none, so that what never came is not fast."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.inf
