"""Runs the nl80211 driver on what stands for the kernel."""

import asyncio
from collections.abc import Awaitable, Callable

from radio_host import RecordingHost
from wifi_kernel import SimKernel, a_good_link
from wifi_kit import (
    NAME,
    connect_body,
)

from lies.events import Attached, Detached, RawItem
from lies_nl80211 import Nl80211
from lies_nl80211.config import Nl80211Config

LIMIT_S = 30.0
Play = Callable[[SimKernel, Nl80211, RecordingHost], Awaitable[None]]


def run(
    play: Play,
    config: Nl80211Config | None = None,
    kernel: SimKernel | None = None,
    dbus: str = "unix:path=/nonexistent/bus",
) -> RecordingHost:
    """Start the driver on a kernel, play, stop; nothing stays open. dbus: its bus, none unless given."""

    async def main() -> RecordingHost:
        there = kernel or SimKernel()
        host = RecordingHost()
        driver = Nl80211("radio", config or Nl80211Config(), host, door=there, dbus=dbus)
        try:
            async with asyncio.timeout(LIMIT_S):
                await driver.start()
                await play(there, driver, host)
        finally:
            await driver.stop()
            assert there.all_closed
            there.close()
        if host.error is not None:
            raise host.error
        return host

    return asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; the caller's limit ends it."""
    while not holds():  # noqa: ASYNC110 - what is waited for is in the driver, which signals nothing
        await asyncio.sleep(0.005)


def moves(items: list[RawItem]) -> list[tuple[str, str]]:
    """Attached and Detached in order."""
    return [(type(i).__name__, i.poa) for i in items if isinstance(i, Attached | Detached)]


def of(host: RecordingHost, link: str = NAME) -> list[RawItem]:
    """What a link was fed."""
    port = host.ports.get(link)
    return port.items if port is not None else []


async def join(kernel: SimKernel, host: RecordingHost, bssid: str) -> None:
    """Associate, and wait until the host knows."""
    a_good_link(kernel, bssid)
    kernel.tell(connect_body(bssid))
    await until(lambda: moves(of(host))[-1:] == [("Attached", bssid)])
