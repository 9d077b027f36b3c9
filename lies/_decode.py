"""Strict decoding of TOML tables into frozen attrs classes, with errors that name table and key.

msgspec checks the values; the walk here adds what it does not do for attrs classes: unknown keys are
errors with the nearest known key, and NaN and infinities are refused.
"""

import difflib
import ipaddress
import math
import re
import types
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from lies.errors import ConfigError

T = TypeVar("T")

_FROM_TEXT: tuple[type[Any], ...] = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv6Interface,
)
_PATH = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<path>\$[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>[^`]+)`")
_ENUM = re.compile(r"^Invalid enum value (?P<value>.*)$", re.DOTALL)
_QUOTED = re.compile(r"`([^`]+)`")
_TOML_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "a table",
}


def decode(
    cls: type[T], value: Mapping[str, Any], *, file: str = "", table: str = "", base: Path | None = None
) -> T:
    """An instance of the attrs class `cls` out of a TOML table.

    base: directory that relative paths are relative to. Raises ConfigError: unknown key, wrong type,
    missing key, a number that is not finite, or what the class's own validators say.
    """
    _walk(cls, value, file=file, table=table)

    def hook(kind: type[Any], item: object) -> object:
        if kind is Path and isinstance(item, str):
            return base / item if base is not None else Path(item)
        if kind in _FROM_TEXT and isinstance(item, str):
            try:
                return kind(item)
            except ValueError as error:
                raise ValueError(f"{item!r} is no {kind.__name__}: {error}") from error
        raise TypeError(f"Expected `{_name(kind)}`, got `{_name(type(item))}`")

    try:
        return msgspec.convert(value, cls, strict=True, dec_hook=hook)
    except msgspec.ValidationError as error:
        raise _config_error(str(error), file=file, table=table) from error


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence about a key that nobody knows, with the nearest known one."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; known are {', '.join(known)}" if known else "unknown key; there is none here"


def _walk(kind: Any, value: object, *, file: str, table: str, key: str = "") -> None:  # noqa: ANN401 - a type form
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError("not a finite number", file=file, table=table, key=key)
    if isinstance(value, str) and (words := _words(kind)) and value not in words:
        raise ConfigError(f"{value!r} is none of {', '.join(words)}", file=file, table=table, key=key)
    cls = _attrs_class(kind)
    if cls is not None and isinstance(value, Mapping):
        inner = ".".join(p for p in (table, key) if p)
        hints = get_type_hints(cls)
        for name, item in value.items():
            if name not in hints:
                raise ConfigError(unknown_key(name, hints), file=file, table=inner, key=name)
            _walk(hints[name], item, file=file, table=inner, key=name)
    elif isinstance(value, Mapping):
        inner_kind = (get_args(kind) or (Any,))[-1]
        for name, item in value.items():
            _walk(inner_kind, item, file=file, table=table, key=f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple):
        item_kind = _item_kind(kind)
        for index, item in enumerate(value):
            _walk(item_kind, item, file=file, table=table, key=f"{key}[{index}]")


def _words(kind: Any) -> list[str]:  # noqa: ANN401 - a type form
    """What an enum of words, or optionally one, allows; empty for anything else."""
    for alternative in (kind, *_alternatives(kind)):
        if isinstance(alternative, type) and issubclass(alternative, StrEnum):
            return [member.value for member in alternative]
    return []


def _attrs_class(kind: Any) -> type[Any] | None:  # noqa: ANN401 - a type form
    """The one attrs class that `kind` is or optionally is."""
    if isinstance(kind, type) and attrs.has(kind):
        return kind
    found = [a for a in _alternatives(kind) if isinstance(a, type) and attrs.has(a)]
    return found[0] if len(found) == 1 else None


def _item_kind(kind: Any) -> Any:  # noqa: ANN401 - a type form
    for alternative in (kind, *_alternatives(kind)):
        if get_origin(alternative) in {tuple, list} and get_args(alternative):
            return get_args(alternative)[0]
    return Any


def _alternatives(kind: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type form
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else ()


def _config_error(said: str, *, file: str, table: str) -> ConfigError:
    found = _PATH.match(said)
    problem, path = (found["problem"], found["path"] or "$") if found else (said, "$")
    *tables, key = path.removeprefix("$").replace("[...]", ".*").lstrip(".").split(".")
    if missing := _MISSING.match(problem):
        tables, key, problem = [*tables, *([key] if key else [])], missing["key"], "a key that must be given"
    if not_one := _ENUM.match(problem):
        problem = f"{not_one['value']} is none of the allowed values"
    problem = _QUOTED.sub(_toml_words, problem)
    problem = problem.removesuffix(".")
    if problem.startswith("Expected "):
        problem = "e" + problem[1:]
    return ConfigError(problem, file=file, table=".".join(p for p in (table, *tables) if p), key=key)


def _toml_words(quoted: re.Match[str]) -> str:
    words = (w for w in quoted[1].split(" | ") if w != "null")
    return " or ".join(_TOML_WORDS.get(w, f"`{w}`") for w in words)


def _name(kind: type[Any]) -> str:
    return "str" if kind is Path else kind.__name__
