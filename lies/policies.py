"""Finds the policy that a consumer's configuration names, and makes it with its options.

A policy is a frozen attrs class: its fields are the keys of its table. Policies of one's own are found
through the consumer's entry point group.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import Any, TypeVar, cast

import attrs

from lies._decode import decode
from lies.errors import ConfigError
from lies.link_policy import LinkPolicy, PreferredLinks, ReportedLinks
from lies.registry import installed, load_named

PolicyT = TypeVar("PolicyT")
LINK_POLICIES = "lies.link_policies"  # entry point group
_LINK_POLICIES: Mapping[str, type[LinkPolicy]] = {"preferred": PreferredLinks, "reported": ReportedLinks}


def make_policy(
    table: Mapping[str, Any],
    *,
    group: str,
    ours: Mapping[str, type[PolicyT]],
    methods: tuple[str, ...],
    name: str = "",
    key: str = "policy",
    find: Callable[[str], Iterable[EntryPoint]] = installed,
) -> PolicyT:
    """The policy of a table `[consumers.NAME.KEY]`: `use` names it, the rest is its own.

    group: of the entry points; ours: the first one is the default; methods: that a policy must have. Raises
    UnknownPlugin, PluginUnavailable, and ConfigError for options that it does not take.
    """
    where = f"consumers.{name}.{key}" if name else key
    options = dict(table)
    use = options.pop("use", next(iter(ours)))
    if not isinstance(use, str):
        raise ConfigError("expected a string", table=where, key="use")
    cls = ours.get(use) or load_named("policy", group, use, ours=ours, find=find)
    is_class = isinstance(cls, type) and attrs.has(cls)
    if not (is_class and all(callable(getattr(cls, method, None)) for method in methods)):
        wanted = " and ".join(methods)
        raise ConfigError(f"{use!r} is no attrs class with the methods {wanted}", table=where, key="use")
    return decode(cast("type[PolicyT]", cls), options, table=where)


def make_link_policy(
    table: Mapping[str, Any],
    *,
    name: str = "",
    key: str = "policy",
    find: Callable[[str], Iterable[EntryPoint]] = installed,
) -> LinkPolicy:
    """The policy between links of a table, for every consumer that has several; raises as make_policy."""
    methods = ("choose", "wanted")
    return make_policy(
        table, group=LINK_POLICIES, ours=_LINK_POLICIES, methods=methods, name=name, key=key, find=find
    )
