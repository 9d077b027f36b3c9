"""Figures that tests measure, printed once at the end."""

import pytest

KEY = pytest.StashKey[list[tuple[str, str, str]]]()


class Figures:
    """Keeps name, value and goal of each figure."""

    def __init__(self, config: pytest.Config) -> None:
        self._lines = config.stash.setdefault(KEY, [])

    def add(self, name: str, value: str, goal: str) -> None:
        """One line of the table."""
        self._lines.append((name, value, goal))
