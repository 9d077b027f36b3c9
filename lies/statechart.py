"""State machines as tables, and the Mermaid diagram of them: docs made from what runs cannot go stale."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from attrs import frozen


@frozen
class Machine:
    """One machine: its name, where it begins, and (state, event) -> state."""

    name: str
    start: StrEnum
    table: Mapping[tuple[Any, Any], Any]


def mermaid(machines: Iterable[Machine]) -> str:
    """The machines as a Mermaid state diagram, one composite state each."""
    lines = ["stateDiagram-v2"]
    for machine in machines:
        name, table = machine.name, machine.table
        lines += [f"  state {name} {{", f"    [*] --> {name}_{machine.start.value}"]
        states = dict.fromkeys(s for (a, _), b in table.items() for s in (a, b))
        lines += [f"    {name}_{s.value}: {s.value}" for s in states]
        lines += [f"    {name}_{a.value} --> {name}_{b.value}: {e.value}" for (a, e), b in table.items()]
        lines.append("  }")
    return "\n".join(lines) + "\n"
