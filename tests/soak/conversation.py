"""Conversations with a daemon, recorded frame by frame on the sockets themselves."""

import asyncio
from pathlib import Path

import zmq
import zmq.asyncio

from lies.bus import Client, RemotePublisher
from lies.bus.frames import bus_frames
from lies.bus.messages import Repair
from lies.consumer import BusClient
from lies.driver_host import DriverHostBase
from lies.events import (
    Attached,
    CareOfAddressChanged,
    Detached,
    DownReason,
    Header,
    Link,
    Neighbour,
    Sample,
    Technology,
)

LINK = Link("fuzz0", Technology.WIFI)
Message = list[bytes]


class Tap:
    """A socket file that passes one peer's messages on to the daemon's, and keeps them."""

    def __init__(self, directory: Path, real: Path, name: str) -> None:
        context = zmq.asyncio.Context.instance()
        self.heard: list[Message] = []
        self._near, self._far = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        self._near.bind(f"ipc://{directory / name}")
        self._far.connect(f"ipc://{real / name}")
        self._peer = b""
        self._tasks = [asyncio.create_task(self._inward()), asyncio.create_task(self._outward())]

    async def _inward(self) -> None:
        while True:
            self._peer, *frames = await self._near.recv_multipart()
            self.heard.append(frames)
            await self._far.send_multipart(frames)

    async def _outward(self) -> None:
        while True:
            frames = await self._far.recv_multipart()
            await self._near.send_multipart([self._peer, *frames])

    async def close(self) -> None:
        """Pass nothing on any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._near.close(linger=0)
        self._far.close(linger=0)


async def converse(directory: Path, real: Path) -> dict[str, list[Message]]:
    """What a consumer (`bus`) and a driver (`publish`) say that use all there is; directory: an empty one."""
    taps = {name: Tap(directory, real, name) for name in ("bus", "publish")}
    publisher = await RemotePublisher.connect(directory, name="fuzz", timeout_s=30)
    host = DriverHostBase("fuzz", publisher)
    port = host.add_link(LINK, controllable=True)
    async with await Client.connect(directory, name="fuzz", timeout_s=30, request_timeout_s=30) as client:
        await _ask(client, host.header(LINK, host.now_ns()))
        for n in range(40):
            now_ns = host.now_ns()
            poa = f"ap{n // 10}"
            if n % 10 == 0:
                port.feed(Attached(now_ns, poa))
            around = (Neighbour("ap8", rssi_dbm=-70.0), Neighbour("ap9", rsrp_dbm=-100.0, snr_db=9.5))
            port.feed(Sample(now_ns, poa=poa, rssi_dbm=-50.0 - n, snr_db=40.0 - n, neighbours=around))
        await client.links()
        port.feed(Detached(host.now_ns(), "ap3", DownReason.SIGNAL_LOST))
        while not any(b"heartbeat" in frames[1] for frames in taps["bus"].heard):
            await client.links()
    port.remove()
    publisher.close()
    while not all(b"goodbye" in tap.heard[-1][1] for tap in taps.values()):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    for tap in taps.values():
        await tap.close()
    taps["bus"].heard.insert(1, bus_frames(Repair(1, 1, 2)))  # nothing was lost that needed one
    return {name: tap.heard for name, tap in taps.items()}


async def _ask(client: BusClient, header: Header) -> None:
    for primitive in ("link_up", "link_down", "link_going_down", "raw", "report"):
        await client.register(primitive)
    await client.register("link_status_changed", LINK.name)
    await client.disable(await client.register("poa_found", LINK.name))
    await client.link_status(LINK.name)
    await client.poa_list(LINK.name)
    await client.link_connect(LINK.name, "ap1")
    await client.link_disconnect(LINK.name)
    client.publish(CareOfAddressChanged(header, "2001:db8::1", None, "2001:db8::2", None))
