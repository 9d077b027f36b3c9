"""A consumer in a process of its own: `python -m soak.consumer NAME`.

It registers for LinkUp and LinkDown of every link and keeps a Book. For each line on its standard input it
prints its report as one JSON object; it ends when that input does.
"""

import asyncio
import json
import os
import resource
import sys

from lies.bus import Client
from lies.errors import NoDaemon, TimedOut
from lies.remote import find_daemon
from soak.account import Book


async def follow(client: Client, book: Book) -> None:
    """Register, LinkUp first, and keep the book; the daemon may go away and come back meanwhile."""
    client.on_event(book.event)
    client.on_gap(book.gap)
    client.on_snapshot(book.snapshot)
    for primitive in ("link_up", "link_down"):
        while True:
            try:
                await client.register(primitive)
            except TimedOut:
                continue
            break


async def connect(name: str) -> Client:
    """A client of the daemon that the environment names, as soon as there is one."""
    while True:
        try:
            return await Client.connect(find_daemon(), name=name, timeout_s=5.0)
        except (NoDaemon, TimedOut):
            await asyncio.sleep(0.02)


async def main(name: str) -> None:
    """Follow until the input ends."""
    book = Book()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with await connect(name) as client:
        following = asyncio.create_task(follow(client, book))
        while await reader.readline():
            report = {
                **book.report(),
                "ready": following.done(),
                "connected": client.connected,
                "fds": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - pathlib is refused in coroutines
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            print(json.dumps(report), flush=True)
        following.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
