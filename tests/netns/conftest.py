"""What the tests of the kernel's side share."""

from collections.abc import Iterator

import pytest
from tunnel_kit import Pair, paired


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The two namespaces of tunnel_kit."""
    with paired() as both:
        yield both
