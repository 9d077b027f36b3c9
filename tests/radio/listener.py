"""A consumer that writes what it is told, and when it was: `python -m radio.listener FILE [LINK]`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from lies.bus import Client, Gap, Snapshot
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
            kinds: dict[int, str] = {}

            def gap(told: Gap) -> None:
                write({"type": "gap", "of": told.primitive, "first": told.first, "last": told.last})

            def snapshot(told: Snapshot) -> None:
                poas = {state.link.name: state.poa for state in told.links}
                of = None if told.registration is None else kinds.get(told.registration)
                write({"type": "snapshot", "of": of, "poas": poas})

            bus.on_gap(gap)
            bus.on_snapshot(snapshot)
            for kind in KINDS:
                for link in links or ["*"]:
                    kinds[await bus.register(kind, link)] = kind
            part.rename(file)
            async for event in events:
                write(to_json_object(event))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
