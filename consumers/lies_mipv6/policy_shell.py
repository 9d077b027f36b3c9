"""The policy between links of a configuration; others: entry points `lies.mipv6.policies`."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from lies import policies
from lies.registry import installed
from lies_mipv6.link_policy import LinkPolicy, PreferredLinks

GROUP = "lies.mipv6.policies"
_OURS: Mapping[str, type[LinkPolicy]] = {"preferred": PreferredLinks}
_METHODS = ("choose", "wanted")


def make_link_policy(
    table: Mapping[str, Any],
    *,
    name: str = "",
    find: Callable[[str], Iterable[EntryPoint]] = installed,
) -> LinkPolicy:
    """The policy of a table `[consumers.NAME.policy]`; raises what lies.policies.make_policy does."""
    return policies.make_policy(table, group=GROUP, ours=_OURS, methods=_METHODS, name=name, find=find)
