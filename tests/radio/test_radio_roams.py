"""Roams between real access points, as the driver tells of them and as iw and hostapd do."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from radio.results import Results

pytestmark = pytest.mark.radio


@pytest.fixture
def roams(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.roams."""
    return found["roams"]


def test_every_roam_is_told(roams: Results) -> None:
    """The driver tells of the associations that iw tells of: those, no other, in that order."""
    told = [(o["type"], o["poa"]) for o in roams.objects("heard") if o["type"] in {"link_up", "link_down"}]
    connected = [e.what.split()[-1] for e in roams.iw("wlan2") if e.what.startswith("connected to")]
    assert len(connected) == 1 + len(roams.marks("roamed"))
    expected = [("link_up", connected[0])]
    for old, new in pairwise(connected):
        expected += [("link_down", old), ("link_up", new)]
    assert told == expected
