"""Time for engines in tests: it passes from one deadline to the next."""

from typing import Any, Protocol


class Timed(Protocol):
    """An engine, as far as time drives it."""

    def next_timeout(self) -> float | None:
        """When it wants to be called."""
        ...

    def handle_timeout(self, now: float, /) -> list[Any]:
        """What follows from the time."""
        ...


def until(engine: Timed, end: float) -> list[tuple[float, Any]]:
    """Let time pass; what happened, with times."""
    log: list[tuple[float, Any]] = []
    while (due := engine.next_timeout()) is not None and due <= end:
        log += [(round(due, 6), a) for a in engine.handle_timeout(due)]
    return log
