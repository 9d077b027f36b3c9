"""What commands print: JSON lines, tables on a terminal, aligned text on a pipe."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


def on_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def colour() -> bool:
    """Whether colours are wanted: a terminal, and neither NO_COLOR nor TERM=dumb."""
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on one line; NaN and infinities come out as null."""
    print(_encoder.encode(data).decode("utf-8"))


def clean(text: str) -> str:
    """Text without control characters: a PoA's name may come from the air and must not steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: drawn on a terminal, else columns of plain aligned text under a line of heads."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if on_terminal():
        _draw(heads, rows)
        return
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _draw(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(no_color=not colour(), highlight=False).print(table)
