"""What an engine is: rules of a protocol, without sockets and without a clock."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

ItemT_contra = TypeVar("ItemT_contra", contravariant=True)
ActionT_co = TypeVar("ActionT_co", covariant=True)


class Engine(Protocol[ItemT_contra, ActionT_co]):
    """A protocol engine: no I/O, no clock. `now` and timeouts are in s on one monotonic clock."""

    def receive(self, item: ItemT_contra, now: float, /) -> Sequence[ActionT_co]:
        """What follows from an item: a link event, a message, a confirm."""
        ...

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called, absolute; None for never."""
        ...

    def handle_timeout(self, now: float, /) -> Sequence[ActionT_co]:
        """What follows from time having come to `now`."""
        ...
