"""Following events of the bus and printing them."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from lies.bus.messages import Gap
from lies.cli._client import connected, on_reader_gone
from lies.cli._events import Lines, TimeStyle
from lies.cli._output import print_json
from lies.errors import TimedOut
from lies.events import Indication, Raw, indication_name
from lies.events.json import to_json_object


class Printer:
    """Prints events of some names, as JSON (style None) or text; `done` after `count` of them."""

    def __init__(self, names: Collection[str], style: TimeStyle | None, count: int | None = None) -> None:
        self.seen = 0
        self.done = asyncio.Event()
        self.failure: OSError | None = None
        self._names = names
        self._lines = Lines(style) if style is not None else None
        self._count = count

    def event(self, event: Indication | Raw) -> None:
        """Print an event if its name is wanted."""
        if self.done.is_set() or indication_name(event) not in self._names:
            return
        self._print(to_json_object(event) if self._lines is None else self._lines.of(event))
        self.seen += 1
        if self.seen == self._count:
            self.done.set()

    def gap(self, gap: Gap) -> None:
        """Say that events were lost, and how many."""
        if self._lines is None:
            self._print({"type": "gap", **msgspec.to_builtins(gap)})
        else:
            lost = "some" if gap.last is None else str(gap.last - gap.first + 1)
            self._print(f"-- {lost} of {gap.primitive} lost on {gap.link} --")

    def _print(self, line: dict[str, Any] | str) -> None:
        try:
            if isinstance(line, str):
                print(line)
            else:
                print_json(line)
        except OSError as error:  # raised in a callback it would be the bus's; the command ends with it
            self.failure = error
            self.done.set()


async def follow(
    primitives: Sequence[str],
    names: Collection[str],
    *,
    link: str,
    style: TimeStyle | None,
    count: int | None,
    wait_s: float | None,
) -> None:
    """Print until `count` events; TimedOut after wait_s."""
    printer = Printer(names, style, count)
    async with connected("trace") as client:
        client.on_event(printer.event)
        client.on_gap(printer.gap)
        on_reader_gone(printer.done.set)
        for primitive in primitives:
            await client.register(primitive, link)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await printer.done.wait()
    if printer.failure is not None:
        raise printer.failure
    if not printer.done.is_set():
        wanted = "events" if count is None else f"of {count} events"
        raise TimedOut(f"timed out after {wait_s:g} s and {printer.seen} {wanted}")
