"""Finds drivers and consumers by name among the installed entry points, and loads them when asked.

Ours are found as anyone's are. An entry point may name the extra that it needs in brackets
(`cellular = "lies_cellular:Cellular [cellular]"`); an extra of the plugin's own name is assumed otherwise.
"""

import difflib
from collections.abc import Callable, Iterable
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points

from lies.consumer import Consumer
from lies.driver import Driver
from lies.errors import PluginUnavailable, UnknownPlugin


class Kind(StrEnum):
    """What a plugin is; its entry point group is `lies.drivers` or `lies.consumers`."""

    DRIVER = "driver"
    CONSUMER = "consumer"

    @property
    def group(self) -> str:
        """The entry point group."""
        return f"lies.{self.value}s"

    @property
    def base(self) -> str:
        """Full name of the base class."""
        return f"lies.{self.value}.{self.value.capitalize()}"


def installed(group: str) -> Iterable[EntryPoint]:
    """The entry points of a group in this Python environment."""
    return entry_points(group=group)


class Registry:
    """The installed drivers and consumers; find: entry points of a group (tests give their own)."""

    def __init__(self, find: Callable[[str], Iterable[EntryPoint]] = installed) -> None:
        self._find = find

    def names(self, kind: Kind) -> list[str]:
        """The names of what is installed, sorted."""
        return sorted({e.name for e in self._find(kind.group)})

    def driver(self, name: str) -> type[Driver]:
        """The driver class of that name; UnknownPlugin or PluginUnavailable."""
        found = self._load(Kind.DRIVER, name)
        if isinstance(found, type) and issubclass(found, Driver):
            return found
        raise _no_plugin(Kind.DRIVER, name)

    def consumer(self, name: str) -> type[Consumer]:
        """The consumer class of that name; UnknownPlugin or PluginUnavailable."""
        found = self._load(Kind.CONSUMER, name)
        if isinstance(found, type) and issubclass(found, Consumer):
            return found
        raise _no_plugin(Kind.CONSUMER, name)

    def _load(self, kind: Kind, name: str) -> object:
        for point in self._find(kind.group):
            if point.name == name:
                return _load(kind, point)
        raise UnknownPlugin(_unknown(kind, name, self.names(kind)))


def load_named(
    what: str,
    group: str,
    name: str,
    *,
    ours: Iterable[str] = (),
    find: Callable[[str], Iterable[EntryPoint]] = installed,
) -> object:
    """What an entry point of a consumer's or driver's own group stands for; UnknownPlugin, PluginUnavailable.

    what: names it in the error; ours: names that need no entry point, for the same.
    """
    points = {point.name: point for point in find(group)}
    if name in points:
        return _load(what, points[name])
    raise UnknownPlugin(_unknown(what, name, sorted({*points, *ours})))


def _load(kind: str, point: EntryPoint) -> object:
    try:
        return point.load()
    except ImportError as error:
        raise PluginUnavailable(f"{kind} {point.name!r}", _remedy(point, error)) from error
    except AttributeError as error:
        raise PluginUnavailable(
            f"{kind} {point.name!r}", f"{point.value} does not exist; reinstall it"
        ) from error


def _no_plugin(kind: Kind, name: str) -> UnknownPlugin:
    return UnknownPlugin(f"{name!r} is installed as a {kind} but its class is not derived from {kind.base}")


def _unknown(kind: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    have = f"installed are {', '.join(known)}" if known else f"no {kind} is installed"
    return f"unknown {kind} {name!r}{hint}: {have}"


def _remedy(point: EntryPoint, error: ImportError) -> str:
    dist = point.dist.name if point.dist is not None else "lies"
    offered = (point.dist.metadata.get_all("Provides-Extra") or []) if point.dist is not None else []
    extra = next((e for e in [*point.extras, point.name] if e in offered or e in point.extras), None)
    wanted = f"{dist}[{extra}]" if extra else (error.name or "").partition(".")[0] or dist
    return f'pip install "{wanted}"'
