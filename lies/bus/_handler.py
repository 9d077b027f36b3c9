"""What the asyncio and the blocking client have in common: limits, times, and what a connection calls.

Imports no event loop, so that a command that needs none starts without one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from lies.bus.frames import Received
from lies.bus.messages import Hello, Welcome
from lies.events import Indication, Raw
from lies.events.wire import MAX_BODY

SILENCE_S = 3.0  # a daemon not heard for this long is taken for gone
QUEUE_LIMIT = 4096  # messages to the daemon that wait
BATCH = 256  # messages taken in one go, so that a flood does not starve the rest
FLUSH_MS = 200  # how long libzmq goes on sending what it was given before a close
MAX_FROM_DAEMON = 64 * MAX_BODY  # a snapshot holds the states of many links
FIRST_INTERVAL_S = 0.25  # of ticks, until Welcome tells the daemon's
REQUEST_TIMEOUT_S = 2.0
STREAM_LIMIT = 16384  # events that may wait for who takes them one by one, before a Gap is told

EventCallback = Callable[[Indication | Raw], None]


class Handler(ABC):
    """What a Connection calls; every method on the loop, none may raise."""

    @abstractmethod
    def hello(self) -> Hello:
        """What to say first."""

    @abstractmethod
    def welcome(self, welcome: Welcome) -> None:
        """The daemon, perhaps a new one, knows us; nothing of before is known to it."""

    @abstractmethod
    def disconnected(self, reason: str) -> None:
        """The daemon does not know us any more; the connection tries again by itself."""

    @abstractmethod
    def received(self, received: Received) -> None:
        """A message that is not the connection's own; Heartbeats come here too."""

    @abstractmethod
    def last(self) -> dict[int, int]:
        """What heartbeats say: registration -> last sequence received."""

    @abstractmethod
    def tick(self) -> None:
        """Once per heartbeat interval while connected."""

    @abstractmethod
    def writable(self) -> None:
        """What was waiting has been sent."""
