"""Events as lines of text, and the kinds that can be asked for on the command line."""

import difflib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs
import typer

from lies.cli._output import clean
from lies.events import (
    INDICATION_NAMES,
    PRIMITIVE_OF_INDICATION,
    PRIMITIVES,
    Condition,
    Header,
    Indication,
    PoACondition,
    PrimitiveType,
    Raw,
)

_PLAIN = re.compile(r"[^\s\"'\\(){}=,]+")  # what needs no quotes: it can be taken for nothing else
REGISTRABLE = [p.name for p in PRIMITIVES.values() if p.kind is PrimitiveType.EVENT]


class TimeStyle(StrEnum):
    """How a line begins."""

    WALL = "wall"  # local date and time
    MONO = "mono"  # seconds of the monotonic clock
    DELTA = "delta"  # seconds since the line before
    NONE = "none"


def kinds(words: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """(primitives to register for, names to print) for KIND words; without any, all but raw messages.

    A word is an indication's name (link_up, handover_done, raw_sample) or a registration's (raw, report).
    """
    if not words:
        wanted = [name for name in REGISTRABLE if name != "raw"]
        return wanted, frozenset(n for n, p in PRIMITIVE_OF_INDICATION.items() if p in wanted)
    names: set[str] = set()
    for word in words:
        if word in PRIMITIVE_OF_INDICATION:
            names.add(word)
        elif word not in REGISTRABLE:
            raise typer.BadParameter(_unknown(word))
        if word in REGISTRABLE:
            names.update(PRIMITIVES[word].indications)
    return sorted({PRIMITIVE_OF_INDICATION[name] for name in names}), frozenset(names)


def _unknown(word: str) -> str:
    known = sorted({*PRIMITIVE_OF_INDICATION, *REGISTRABLE})
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown kind of event {word!r}; {hint}"


class Lines:
    """Events as text, one line each, without what is as usual; style: how a line begins."""

    def __init__(self, style: TimeStyle) -> None:
        self._style = style
        self._before_ns: int | None = None

    def of(self, event: Indication | Raw) -> str:
        """The line of an event."""
        header = event.header
        words = [f"{INDICATION_NAMES[type(event)]:<21}", header.link.name]
        for field in attrs.fields(type(event)):
            value = getattr(event, field.name)
            if field.name != "header" and value is not None and value != field.default:
                words.append(f"{field.name}={shown(value)}")
        return self._time(header) + clean(" ".join(words))

    def _time(self, header: Header) -> str:
        before_ns, self._before_ns = self._before_ns, header.mono_ns
        match self._style:
            case TimeStyle.WALL:
                return (
                    datetime.fromtimestamp(header.wall_ns / 1e9)
                    .astimezone()
                    .isoformat(" ", "microseconds")[:26]
                    + " "
                )
            case TimeStyle.MONO:
                return f"{header.mono_ns / 1e9:.6f} "
            case TimeStyle.DELTA:
                return f"{(header.mono_ns - (before_ns or header.mono_ns)) / 1e9:11.6f} "
            case TimeStyle.NONE:
                return ""


def shown(value: Any) -> str:  # noqa: ANN401 - any parameter of an event
    """One parameter as text."""
    match value:
        case Condition(quality=quality, bandwidth_mbps=bandwidth):
            text = quality.value if bandwidth is None else f"{quality.value}/{bandwidth:g}Mbps"
        case PoACondition(poa=poa, condition=condition):
            about = [] if value.network is None else [shown(value.network)]
            about += [] if value.frequency_mhz is None else [f"{value.frequency_mhz:g}MHz"]
            text = f"{shown(poa)}({' '.join([*about, shown(condition)])})"
        case bytes():
            text = f"{len(value)}octets"
        case StrEnum():
            text = value.value
        case str():
            text = value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        case tuple():
            text = ",".join(shown(v) for v in value)
        case float():
            text = f"{value:g}"
        case _ if attrs.has(type(value)):
            fields = ((f, getattr(value, f.name)) for f in attrs.fields(type(value)))
            said = (f"{f.name}={shown(v)}" for f, v in fields if v is not None and v != f.default)
            text = "{" + " ".join(said) + "}"
        case _:
            text = str(value)
    return text
