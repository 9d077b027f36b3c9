"""The state tables of the engines, and the diagrams that are made from them."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

import lies_fmipv6.states as fmipv6
import lies_mipv6.states as mipv6

SPEC = Path(__file__).parents[2] / "spec"
TABLES = [
    (fmipv6.MobileNodeState, fmipv6.MobileNodeEvent, fmipv6.MOBILE_NODE, "detached"),
    (fmipv6.DiscoveryState, fmipv6.DiscoveryEvent, fmipv6.DISCOVERY, "idle"),
    (fmipv6.TunnelState, fmipv6.TunnelEvent, fmipv6.TUNNEL, "pending"),
    (fmipv6.BindingState, fmipv6.BindingEvent, fmipv6.BINDING, "ended"),
    (fmipv6.ExpectedState, fmipv6.ExpectedEvent, fmipv6.EXPECTED, "forgotten"),
    (mipv6.MobileNodeState, mipv6.MobileNodeEvent, mipv6.MOBILE_NODE, "idle"),
    (mipv6.BindingState, mipv6.BindingEvent, mipv6.BINDING, "absent"),
]


@pytest.mark.parametrize(("name", "module"), [("fmipv6", fmipv6), ("mipv6", mipv6)])
def test_the_diagrams_are_those_of_the_tables(name: str, module: Any) -> None:
    """spec/*.mmd is what the state tables give; `python scripts/make_diagrams.py` writes it."""
    assert (SPEC / f"{name}.mmd").read_text(encoding="utf-8") == module.diagram()


@pytest.mark.parametrize(("states", "events", "table", "start"), TABLES)
def test_every_state_and_event_is_in_its_table(
    states: type[StrEnum], events: type[StrEnum], table: Mapping[tuple[StrEnum, StrEnum], StrEnum], start: str
) -> None:
    """Every state can be reached from the first one, and every event moves something."""
    reached, todo = {states(start)}, [states(start)]
    while todo:
        here = todo.pop()
        for (source, _), target in table.items():
            if source is here and target not in reached:
                reached.add(target)
                todo.append(target)
    if states is fmipv6.TunnelState:  # a tunnel begins pending or, with an FBack from the old link, tunnelled
        reached |= {states("tunnelled")}
    assert reached == set(states)
    assert {event for _, event in table} == set(events)


@pytest.mark.parametrize("module", [fmipv6, mipv6])
def test_labels_are_safe_in_mermaid(module: Any) -> None:
    """No label has a colon or a semicolon, which end labels in Mermaid."""
    for line in module.diagram().splitlines():
        label = line.partition(": ")[2]
        assert ":" not in label
        assert ";" not in label
