"""How a simulated or recorded radio attaches to networking: to the kernel's, or to none.

The radio says which PoA serves; the attachment makes it true. `AirOnly` has no kernel behind it.
The kernel's side is `lies.testbed.port.BridgePort`: the mobile node's port is in the serving access
point's bridge, and in no bridge and without carrier in between.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from attrs import field, frozen

from lies.capabilities import NO_CAPABILITIES, Capability
from lies.errors import ConfigError
from lies.pace import Pace


@frozen
class PortConfig:
    """The table `[drivers.NAME.port]`.

    radio_netns: path of the radio's network namespace; port: interface in it that moves between bridges;
    interface: the mobile node's own interface, the link; bridges: PoA -> bridge in the radio namespace.
    """

    radio_netns: str
    port: str
    interface: str
    bridges: Mapping[str, str] = field(factory=dict)


@frozen
class Moved:
    """A move that succeeded; all times are CLOCK_MONOTONIC (Pace.now_ns without a kernel).

    port_out_ns: when the old PoA was left, None if there was none; port_in_ns: when the new one was
    entered; up_ns: when frames passed.
    """

    port_out_ns: int | None
    port_in_ns: int
    up_ns: int


class Attachment(Protocol):
    """Where a radio's port is; one caller, one call at a time."""

    async def move(self, poa: str, on_out: Callable[[int], None]) -> Moved:
        """Leave where it is, stay out for the L2 gap or longer, enter `poa`, return when frames pass.

        on_out(port_out_ns) is called as soon as it is out, if it was attached. Raises LinkError or OSError.
        """
        ...

    async def detach(self) -> int:
        """Leave every PoA: port_out_ns."""
        ...

    async def close(self) -> None:
        """Give back what was opened; the port ends detached."""
        ...


class AirOnly:
    """A radio without a network behind it: only the L2 gap is real."""

    def __init__(self, l2_gap_ms: float, pace: Pace) -> None:
        self._gap_ns = round(l2_gap_ms * 1e6)
        self._pace = pace
        self._poa: str | None = None

    async def move(self, poa: str, on_out: Callable[[int], None]) -> Moved:
        """Be in no PoA for the L2 gap, then in `poa`."""
        out_ns = None
        if self._poa is not None:
            out_ns = await self.detach()
            on_out(out_ns)
        await self._pace.sleep(self._gap_ns)
        self._poa = poa
        in_ns = self._pace.now_ns()
        return Moved(out_ns, in_ns, in_ns)

    async def detach(self) -> int:
        """Be in no PoA."""
        self._poa = None
        return self._pace.now_ns()

    async def close(self) -> None:
        """Be in no PoA."""
        self._poa = None


def attachment_needs(port: PortConfig | None) -> frozenset[Capability]:
    """The capabilities that it takes to move a port; a radio alone takes none."""
    return NO_CAPABILITIES if port is None else frozenset(Capability)


def open_attachment(port: PortConfig | None, *, l2_gap_ms: float, pace: Pace | None = None) -> Attachment:
    """The attachment of a radio; port None: no kernel. pace: the driver's clock, live if not given.

    Raises ConfigError where a kernel port is asked for on a clock that is not live.
    """
    if pace is None:
        pace = Pace()
    if port is None:
        return AirOnly(l2_gap_ms, pace)
    if pace.rate != 1:
        raise ConfigError("a kernel port needs rate = 1: the kernel's time cannot run faster", key="rate")
    from lies.testbed.port import BridgePort  # noqa: PLC0415 - netlink is loaded where a port is moved

    return cast(Attachment, BridgePort(port, l2_gap_ms))
