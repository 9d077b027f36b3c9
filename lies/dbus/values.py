"""Values of D-Bus as plain Python: what is sent in a variant, and readers of what came, for types that lie.

What came is made of str, int, float, bool, bytes (an array of octets), list (arrays, structs) and dict. A
reader gives the value if it is what was hoped for, and None (or nothing) otherwise.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

MOST_TEXT = 4096  # characters of a text that is believed
_MOST_SHOWN = 300
_PATH = re.compile(r"/|(/[A-Za-z0-9_]+)+")


@frozen
class Variant:
    """A value to be sent where a signature says `v`; signature: its own."""

    signature: str
    value: Any


def text(value: object) -> str | None:
    """A text, not longer than MOST_TEXT."""
    return value if isinstance(value, str) and len(value) <= MOST_TEXT else None


def shown(said: str) -> str:
    """A text on one line, with everything that cannot be printed left out."""
    return "".join(c if c.isprintable() else " " for c in said[:_MOST_SHOWN])


def path(value: object) -> str | None:
    """The path of an object; None too for "/", by which services say that there is none."""
    found = text(value)
    return found if found is not None and found != "/" and _PATH.fullmatch(found) else None


def integer(value: object) -> int | None:
    """A whole number; a boolean is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def real(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def flag(value: object) -> bool | None:
    """A boolean."""
    return value if isinstance(value, bool) else None


def octets(value: object) -> bytes | None:
    """An array of octets."""
    return value if isinstance(value, bytes) else None


def entries(value: object) -> list[Any]:
    """An array or struct; empty if it is none."""
    return value if isinstance(value, list) else []


def table(value: object) -> dict[str, Any]:
    """A dictionary whose keys are texts; what has another key is left out."""
    if not isinstance(value, Mapping):
        return {}
    return {key: held for key, held in value.items() if isinstance(key, str)}
