"""Handovers with faults in mid-way: lost messages, routers that restart or refuse; every packet counted."""

import pytest
from faults import ACCESS, BACKBONE, Faults, ends_connected
from kernel_losses import FBACK, FBU, HACK, HI, UNA, Kind

from lies.testbed import topology as t

pytestmark = [pytest.mark.netns, pytest.mark.slow]


@pytest.mark.parametrize(
    ("namespace", "interface", "kind"),
    [
        ("ar1", ACCESS, FBU),
        ("ar2", BACKBONE, HI),
        ("ar1", BACKBONE, HACK),
        ("mn", t.MOBILE_LINK, FBACK),
        ("ar2", ACCESS, UNA),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_one_lost_message_costs_no_packet(namespace: str, interface: str, kind: Kind) -> None:
    """FBU, HI, HAck, FBack, UNA are repeated after 100 ms, and the rest waits for them: nothing is lost."""
    faults = Faults(losses=[(namespace, interface, kind, 1)])
    result = faults.run()
    assert faults.counted == {(namespace, kind.name): 1}
    assert faults.modes == ["predictive"]
    assert result.packets_sent > 1000
    assert result.packets_lost == 0
    assert sum(direction.duplicated for direction in result.directions) == 0
    assert ends_connected(result)
