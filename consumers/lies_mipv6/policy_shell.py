"""Finds the policy between links that a configuration names, and makes it with its options.

Policies of one's own are found through the entry point group `lies.mipv6.policies`. A policy is a frozen
attrs class: its fields are the keys of its table, its methods those of lies_mipv6.link_policy.LinkPolicy.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import Any, TypeGuard

import attrs

from lies._decode import decode
from lies.errors import ConfigError
from lies.registry import installed, load_named
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
    """The policy of a table `[consumers.NAME.policy]`: `use` names it, else "preferred"; the rest is its own.

    Raises UnknownPlugin, PluginUnavailable, and ConfigError for options that it does not take.
    """
    where = f"consumers.{name}.policy" if name else "policy"
    options = dict(table)
    use = options.pop("use", "preferred")
    if not isinstance(use, str):
        raise ConfigError("expected a string", table=where, key="use")
    cls = _OURS.get(use) or load_named("policy", GROUP, use, ours=_OURS, find=find)
    if not _is_policy(cls):
        methods = " and ".join(_METHODS)
        raise ConfigError(f"{use!r} is no attrs class with the methods {methods}", table=where, key="use")
    return decode(cls, options, table=where)


def _is_policy(cls: object) -> TypeGuard[type[LinkPolicy]]:
    is_class = isinstance(cls, type) and attrs.has(cls)
    return is_class and all(callable(getattr(cls, method, None)) for method in _METHODS)
