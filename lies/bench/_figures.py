"""Figures of a bench: a row of the table for each, with its floor and its goal."""

import statistics
from collections.abc import Sequence

from attrs import frozen


@frozen
class Row:
    """One figure: medians over `rounds`; ratio: median of each round's own, so that noise of the machine cancels.

    name: of its fields in JSON; figure: what is measured; unit: of ours and floor; goal: of the ratio, or of ours where there is no
    floor; at_least: the goal is a lower limit, else an upper one. None: not measured, or no goal.
    """

    name: str
    figure: str
    unit: str
    ours: float | None
    floor: float | None = None
    ratio: float | None = None
    goal: float | None = None
    at_least: bool = False
    rounds: int = 1

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
        unit = "" if self.unit not in {"us", "ms"} or self.name.endswith(f"_{self.unit}") else f"_{self.unit}"
        if self.unit.endswith("/s"):
            unit = "_per_s"
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
    ratios = [a / b for a, b in zip(ours, floor, strict=True) if b > 0]
    return Row(name, figure, unit, median(ours), median(floor), median(ratios), goal, at_least, len(ours))


def rounded(value: float | None) -> float | None:
    """To four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def median(values: Sequence[float]) -> float | None:
    """The middle one; None of none."""
    return statistics.median(values) if values else None


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
