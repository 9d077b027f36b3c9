"""The experiments' results: each machine is booted once, when the first test of this folder asks."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from radio.figures import KEY, Figures
from radio.laboratory import experiments
from radio.results import Results

EXPERIMENTS = ("handovers", "signal", "roams", "faults", "protected", "orders")  # the longest first


@pytest.fixture(scope="session")
def found() -> Iterator[Mapping[str, Results]]:
    """The results of each experiment by its name."""
    with (
        tempfile.TemporaryDirectory(prefix="lies-radio-") as folder,
        experiments(EXPERIMENTS, Path(folder)) as results,
    ):
        yield results


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> Figures:
    """Where a test tells what it measured."""
    return Figures(pytestconfig)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures."""
    lines = config.stash.get(KEY, [])
    if not lines:
        return
    terminalreporter.section("radio: figures")
    for name, value, goal in sorted(lines):
        terminalreporter.write_line(f"{name}: {value} (goal: {goal})")
