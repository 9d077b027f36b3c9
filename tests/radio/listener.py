"""A consumer that writes what it is told, and when it was: `python -m radio.listener FILE [LINK]`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

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
    "report",
)


async def main(file: Path, links: list[str]) -> None:
    """Listen until killed; the file is there once every registration is made."""
    part = file.with_suffix(".part")
    async with await Client.connect(find_daemon(), name="listener", timeout_s=60) as bus:
        with part.open("wb", buffering=0) as out:

            def write(line: dict[str, Any]) -> None:
                out.write(msgspec.json.encode({"came_ns": monotonic_ns(), **line}) + b"\n")

            events = bus.events()
            bus.on_gap(lambda gap: write({"type": "gap", "last": gap.last}))
            bus.on_snapshot(lambda snapshot: write({"type": "snapshot", "links": len(snapshot.links)}))
            for kind in KINDS:
                for link in links or ["*"]:
                    await bus.register(kind, link)
            part.rename(file)
            async for event in events:
                write(to_json_object(event))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
