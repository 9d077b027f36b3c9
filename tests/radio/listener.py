"""A consumer that writes every event and when it had it: `python -m radio.listener FILE [LINK]`."""

import asyncio
import sys
from pathlib import Path

import msgspec

from lies.bus import Client
from lies.events.json import to_json_object
from lies.remote import find_daemon
from lies.runtime import monotonic_ns

KINDS = (
    "link_up",
    "link_down",
    "link_status_changed",
    "link_going_down",
    "poa_found",
    "poa_lost",
)


async def main(file: Path, links: list[str]) -> None:
    """Listen until killed; the file is there once every registration is made."""
    async with await Client.connect(find_daemon(), name="listener", timeout_s=60) as bus:
        events = bus.events()
        for kind in KINDS:
            for link in links or ["*"]:
                await bus.register(kind, link)
        with file.open("wb", buffering=0) as out:
            async for event in events:
                came_ns = monotonic_ns()
                out.write(msgspec.json.encode({"came_ns": came_ns, **to_json_object(event)}) + b"\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
