"""The experiments' results: every machine is booted once, when the first test of this folder asks."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from radio.laboratory import experiments
from radio.results import Results


@pytest.fixture(scope="session")
def found() -> Iterator[Mapping[str, Results]]:
    """The results of each experiment by its name."""
    with (
        tempfile.TemporaryDirectory(prefix="lies-radio-") as folder,
        experiments(("roams",), Path(folder)) as results,
    ):
        yield results
