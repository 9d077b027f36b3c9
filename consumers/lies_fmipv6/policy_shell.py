"""The policy of a configuration; others are found through the entry points `lies.fmipv6.policies`."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from lies import policies
from lies.registry import installed
from lies_fmipv6.policy import LevelPolicy, Policy

GROUP = "lies.fmipv6.policies"
_OURS: Mapping[str, type[Policy]] = {"level": LevelPolicy}
_METHODS = ("wants_to_leave", "choose")


def make_policy(
    table: Mapping[str, Any],
    *,
    name: str = "",
    find: Callable[[str], Iterable[EntryPoint]] = installed,
) -> Policy:
    """The policy of a table `[consumers.NAME.policy]`; raises what lies.policies.make_policy does."""
    return policies.make_policy(table, group=GROUP, ours=_OURS, methods=_METHODS, name=name, find=find)
