"""A user without rights who tries: `python -m soak.forger DIRECTORY TRIES UID`.

He listens, which he may, so that what he forges has the very headers of the link's own driver. Prints how
many attempts were refused, and what became of the others.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from attrs import evolve

from lies.bus import Client, RemotePublisher
from lies.bus.frames import Event, bus_frames, decode, primitive_frames, publish_frames
from lies.bus.messages import Hello, Publish, Refused, Welcome
from lies.errors import LiesError, NotPermitted
from lies.events import DownReason, Header, LinkDown, LinkUp

PATIENCE_S = 60.0
LINK = "tick0"


class Forger:
    """His attempts and what came of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.refused = 0
        self.others: list[str] = []
        self.header: Header | None = None

    def heard(self, event: Any) -> None:
        """An event of the link that he wants to take down."""
        if isinstance(event, LinkUp):
            self.header = event.header

    async def attempt(self, deed: Awaitable[object]) -> None:
        """Try something through the client, which he has no right to."""
        try:
            await deed
            self.others.append("was let")
        except NotPermitted:
            self.refused += 1
        except LiesError as error:
            self.others.append(f"{type(error).__name__}: {error}")

    async def become_driver(self) -> None:
        """Say to be the link's driver."""
        (await RemotePublisher.connect(self.directory, name="a", timeout_s=PATIENCE_S)).close()

    async def send(self, endpoint: str, *messages: list[bytes]) -> None:
        """Send without a client what a driver would; the last one must be refused."""
        socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
        socket.connect(f"ipc://{self.directory / endpoint}")
        for frames in messages:
            await socket.send_multipart(frames)
        answers: list[Welcome | Refused] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(answers) < len(messages):
                message = decode(await socket.recv_multipart()).message
                if isinstance(message, Welcome | Refused):
                    answers.append(message)
        socket.close(linger=0)
        if isinstance(answers[-1], Refused):
            self.refused += 1
        else:
            self.others.append(f"{endpoint}: {answers[-1]}")

    async def once(self, client: Client) -> None:
        """Every way there is, once."""
        assert self.header is not None
        forged = LinkDown(
            evolve(self.header, sequence=self.header.sequence + 1000), "n1", DownReason.REQUESTED
        )
        hello = bus_frames(Hello("a", "ipv6", self.header.epoch))
        await self.attempt(client.link_connect(LINK, "elsewhere"))
        await self.attempt(client.link_disconnect(LINK))
        await self.attempt(self.become_driver())
        publish = publish_frames(Publish(forged.header), [Event(forged)], protocol="*")
        bare = primitive_frames(forged, layer="L3", protocol="*")
        await self.send("publish", publish)
        await self.send("publish", hello, bare)
        await self.send("bus", hello, bare)
        await self.send("bus", hello, publish)


WAYS = 7


async def main(directory: Path, tries: int) -> None:
    """Listen, then try."""
    forger = Forger(directory)
    async with await Client.connect(
        directory, name="forger", timeout_s=PATIENCE_S, request_timeout_s=PATIENCE_S
    ) as client:
        client.on_event(forger.heard)
        await client.register("link_up")
        while forger.header is None:  # noqa: ASYNC110 - a callback of ours sets it
            await asyncio.sleep(0.01)
        for _ in range(tries):
            await forger.once(client)
    print(json.dumps({"refused": forger.refused, "others": forger.others[:5]}))


if __name__ == "__main__":
    uid = int(sys.argv[3])
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
