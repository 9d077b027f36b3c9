"""Handovers back to back between two access routers, as `lies bench --handover` makes them."""

import pytest
from drives import Onlooker
from scheduling_kit import may_go_first

from lies.testbed.handovers import back_to_back, shuttle_options

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("mode", ["predictive", "reactive"])
def test_back_to_back(mode: str) -> None:
    """As many handovers as asked for, in the mode asked for, every packet accounted for, the floor beside."""
    options = shuttle_options(mode, 4, rate_mbps=2.0, l2_gap_ms=2.0, backbone_ms=0.0)
    found = back_to_back(options, Onlooker())
    assert found["type"] == "summary"
    assert found["mode"] == mode
    assert 2 <= found["handovers"] <= 4, "a busy machine may miss one"
    assert found[mode] >= 1
    assert found["packets_sent"] > 500
    assert found["duplicated"] == 0
    assert 0 < found["fbu_fback_floor_ms"] < found["fbu_fback_median_ms"] * 100
    assert found["fbu_fback_floor_ratio"] == pytest.approx(
        found["fbu_fback_median_ms"] / found["fbu_fback_floor_ms"], rel=0.05
    )
    assert found["l3_gap_median_ms"] <= found["l3_gap_p99_ms"]
    if mode == "predictive":
        assert found["buffered_max"] >= 1, "what waited at the new router"
    assert found["realtime"] is may_go_first()
