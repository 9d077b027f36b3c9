"""Print every link that is about to break: `python examples/consumer.py` beside a running daemon."""

import asyncio

from lies.bus import Client
from lies.events import LinkGoingDown
from lies.remote import find_daemon


async def main() -> None:
    """Register with the daemon and print."""
    async with await Client.connect(find_daemon(), name="watcher") as bus:
        events = bus.events()
        await bus.register("link_going_down")  # L2-LinkGoingDown of every link, from now on
        async for event in events:
            if isinstance(event, LinkGoingDown):
                print(
                    f"{event.header.link.name} leaves {event.poa} in {event.time_to_down_ms:.0f} ms",
                    flush=True,
                )


asyncio.run(main())
