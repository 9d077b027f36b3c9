"""Following events of the bus and printing them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from lies.bus.messages import Gap
from lies.cli._client import connected_blocking, piped_stdout, saying
from lies.cli._events import Lines, TimeStyle
from lies.cli._output import print_json
from lies.errors import TimedOut
from lies.events import Indication, Raw, indication_name
from lies.events.json import to_json_object
from lies.runtime import now_s


class Printer:
    """Prints events of some names, as JSON (style None) or text; `done` after `count` of them, or a failure.

    on_done is called then.
    """

    def __init__(
        self,
        names: Collection[str],
        style: TimeStyle | None,
        count: int | None = None,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        self.seen = 0
        self.done = False
        self._on_done = on_done
        self.failure: OSError | None = None
        self._names = names
        self._lines = Lines(style) if style is not None else None
        self._count = count

    def event(self, event: Indication | Raw) -> None:
        """Print an event if its name is wanted."""
        if self.done or indication_name(event) not in self._names:
            return
        self._print(to_json_object(event) if self._lines is None else self._lines.of(event))
        self.seen += 1
        if self.seen == self._count:
            self._end()

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
            self._end()

    def _end(self) -> None:
        self.done = True
        self._on_done()


def follow(
    primitives: Sequence[str],
    names: Collection[str],
    *,
    link: str,
    style: TimeStyle | None,
    count: int | None,
    wait_s: float | None,
) -> None:
    """Print until `count` events, or until nobody reads a piped stdout; TimedOut after wait_s."""
    printer = Printer(names, style, count)
    reader = piped_stdout()
    with saying(), connected_blocking("trace") as client:
        client.on_event(printer.event)
        client.on_gap(printer.gap)
        for primitive in primitives:
            client.register(primitive, link)
        end_s = None if wait_s is None else now_s() + wait_s
        while not printer.done:
            left_s = None if end_s is None else end_s - now_s()
            if left_s is not None and left_s <= 0:
                break
            event = client.next_event(left_s, descriptors=reader)
            if event is None and (end_s is None or now_s() < end_s):
                return  # the reader has left
    if printer.failure is not None:
        raise printer.failure
    if not printer.done:
        wanted = "events" if count is None else f"of {count} events"
        raise TimedOut(f"timed out after {wait_s:g} s and {printer.seen} {wanted}")
