"""The faults and attacks of docs/reliability.md at a tenth of their scale; `make soak` runs them in full."""

import tempfile
from pathlib import Path

import pytest
from soak.runs import RUNS, run

TENTH = 0.1


@pytest.mark.parametrize("name", RUNS)
def test_nothing_crashes_leaks_hangs_or_is_lost_silently(name: str) -> None:
    """A run ends without a fault of any kind."""
    with tempfile.TemporaryDirectory(prefix="lies-soak-") as directory:  # short: sockets are made in it
        figures = run(name, TENTH, Path(directory))
    if (skipped := figures.values.get("skipped")) is not None:
        pytest.skip(str(skipped))
    assert figures.faults == [], figures.line
