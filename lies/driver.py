"""What a driver is: the protocol entity of a link technology.

A driver translates: its radio's measurements into `Sample`s, its radio's associations into `Attached` and
`Detached`, and L2-LinkConnect/Disconnect into actions on its radio. The host that runs it (the daemon, or
a child process on the publish endpoint) owns the abstract entity, the bus and the numbering; the driver
sees none of them. Order of calls, all on one asyncio loop: __init__, start, then any number of
link_connect/link_disconnect, stop (also after a failed start). A driver clears what it set up in `stop`.
__init__ only looks at its configuration (ConfigError if it is of no use) and calls nothing of the host but
now_ns: a driver is also made to check a configuration, and then not started.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from attrs import frozen

from lies.capabilities import NO_CAPABILITIES, Capability
from lies.events import Link, LinkAction, RawItem


class LinkPort(Protocol):
    """Where the driver puts what one link measured; given out by DriverHost.add_link."""

    def feed(self, item: RawItem) -> None:
        """Take a raw sample or a driver input; items come in order of t_ns."""
        ...

    def remove(self) -> None:
        """The interface is gone: a LinkDown (reason removed) follows if the link was up."""
        ...

    def steer(self, *, controllable: bool) -> None:
        """Say anew whether LinkConnect/LinkDisconnect can be followed: who manages the link has changed."""
        ...

    def action_failed(self, action: LinkAction, poa: str | None, detail: str) -> None:
        """Say that a LinkConnect or LinkDisconnect came to nothing; detail: why, in one sentence."""
        ...

    def restore(self, state: bytes) -> None:
        """Set the abstract entity's memory, as a recording's raw_state has it."""
        ...


@frozen
class Thresholds:
    """Which signal a link's registrations ask to be told of, in dBm.

    The signal is RSSI for Wi-Fi, RSRP, RSCP or RxLev for cellular. levels_dbm: where a level that somebody
    registered for begins, rising; break_dbm: where the link breaks, if somebody registered for LinkGoingDown.
    """

    levels_dbm: tuple[float, ...] = ()
    break_dbm: float | None = None


class DriverHost(Protocol):
    """What the surroundings offer a driver."""

    def add_link(self, link: Link, *, controllable: bool) -> LinkPort:
        """Announce a link; controllable: LinkConnect/LinkDisconnect can be followed on it."""
        ...

    def now_ns(self) -> int:
        """The driver's clock for t_ns: CLOCK_MONOTONIC."""
        ...

    def missed(self) -> None:
        """Say that the radio told more than the driver could take: who is registered is told a gap.

        What is true now the driver feeds after it.
        """
        ...

    def failed(self, error: Exception) -> None:
        """Tell the supervisor that the driver cannot go on."""
        ...

    def finished(self) -> None:
        """Tell the supervisor that the driver's input has ended (a replay came to its end)."""
        ...


class Driver(ABC):
    """Base class of drivers; found through the entry point group `lies.drivers`.

    Config: a frozen attrs class, decoded from the driver's TOML table `[drivers.NAME]`. capabilities: what of
    the kernel's it cannot do without; the daemon gives up what no plugin declares.
    """

    Config: ClassVar[type[Any]]
    capabilities: ClassVar[frozenset[Capability]] = NO_CAPABILITIES

    def __init__(self, name: str, config: Any, host: DriverHost) -> None:  # noqa: ANN401 - its own Config
        self.name = name
        self.config = config
        self.host = host

    @classmethod
    def needs(cls, config: Any) -> frozenset[Capability]:  # noqa: ANN401 - its own Config
        """The capabilities that it needs with this configuration; all that it declares unless overridden."""
        del config
        return cls.capabilities

    @classmethod
    def discover(cls) -> Mapping[str, Mapping[str, Any]]:
        """The links on this machine that the driver would serve without a configuration.

        Returned are tables as in `[drivers.NAME]`: NAME -> the driver's own keys; none unless overridden.
        """
        return {}

    @abstractmethod
    async def start(self) -> None:
        """Open the radio, announce its links, begin to measure; return when running."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop measuring and clear what was set up."""

    def link_connect(self, link: str, poa: str) -> None:  # noqa: B027 - not every radio can be steered
        """Begin to move the link to a PoA; the Confirm(Ack) has already gone (RFC 5184 section 4.8).

        What becomes of it is an Attached there, or LinkPort.action_failed.
        """

    def link_disconnect(self, link: str, poa: str | None) -> None:  # noqa: B027 - likewise
        """Begin to take the link down (RFC 5184 section 4.9)."""

    def watch_levels(self, link: str, thresholds: Thresholds) -> None:  # noqa: B027 - not every radio can tell
        """What registrations ask of a link has changed: a radio that can tell by itself may be set to it.

        It is a hint: the abstract entity draws its conclusions from samples, however they came to be.
        """
