"""What a consumer is: an upper-layer protocol entity that registers, is indicated to, and requests.

Order of calls, all on one asyncio loop: __init__, start, stop (also after a failed start). The bus client
is connected when start is called; `stop` clears what the consumer set up in the kernel. __init__ only looks
at its configuration (ConfigError if it is of no use) and calls nothing of the bus but on_event: a consumer
is also made to check a configuration, and then not started.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from lies.capabilities import NO_CAPABILITIES, Capability
from lies.events import (
    Crossing,
    Indication,
    LinkStatusConfirm,
    PoAListConfirm,
    Quality,
    Raw,
)

if TYPE_CHECKING:
    from lies.sim import Part


class BusClient(Protocol):
    """The verbs of the bus; the same over a socket and inside the daemon's process.

    Requests return awaitables of their Confirm's data and raise LinkError(reason) on Confirm(Error),
    NotPermitted without the right, TimedOut when nobody answers.
    """

    def on_event(self, callback: Callable[[Indication | Raw], None]) -> None:
        """Call back for every delivered indication, in order, on the loop, without a task switch."""
        ...

    async def register(
        self,
        primitive: str,
        link: str = "*",
        *,
        event: Crossing = Crossing.ANY,
        threshold: Quality | None = None,
        min_confidence: float = 0.0,
    ) -> int:
        """Request(Enable) -> Confirm(Ack): the registration's number."""
        ...

    async def disable(self, registration: int) -> None:
        """Request(Disable): nothing more is indicated for that registration."""
        ...

    async def link_status(self, link: str) -> LinkStatusConfirm:
        """L2-LinkStatus (RFC 5184 section 4.1)."""
        ...

    async def poa_list(self, link: str) -> PoAListConfirm:
        """L2-PoAList (RFC 5184 section 4.2)."""
        ...

    async def link_connect(self, link: str, poa: str) -> None:
        """L2-LinkConnect: returns at the Confirm(Ack) (RFC 5184 section 4.8)."""
        ...

    async def link_disconnect(self, link: str, poa: str | None = None) -> None:
        """L2-LinkDisconnect: returns at the Confirm(Ack) (RFC 5184 section 4.9)."""
        ...

    def publish(self, report: Indication) -> None:
        """Publish an L3 report; its header's publisher, epoch and sequence are set by the client."""
        ...


class Consumer(ABC):
    """Base class of consumers; found through the entry point group `lies.consumers`.

    Config: a frozen attrs class, decoded from the consumer's TOML table `[consumers.NAME]`. capabilities:
    what of the kernel's it cannot do without; the daemon gives up what no plugin declares.
    """

    Config: ClassVar[type[Any]]
    capabilities: ClassVar[frozenset[Capability]] = NO_CAPABILITIES

    def __init__(self, name: str, config: Any, bus: BusClient) -> None:  # noqa: ANN401 - its own Config
        self.name = name
        self.config = config
        self.bus = bus

    @classmethod
    def needs(cls, config: Any) -> frozenset[Capability]:  # noqa: ANN401 - its own Config
        """The capabilities that it needs with this configuration; all that it declares unless overridden."""
        del config
        return cls.capabilities

    @classmethod
    def simulation(cls) -> "Part | None":
        """What the consumer does on the virtual network of `lies sim`; None: it has no part in it."""
        return None

    @abstractmethod
    async def start(self) -> None:
        """Register and begin; return when running."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop, and clear what was set up in the kernel."""
