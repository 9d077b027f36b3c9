"""Bursts over a socket: whoever reads Batch gets fewer messages, and both kinds of peers get everything."""

import asyncio
import threading
from itertools import islice
from pathlib import Path

import pytest
from bus_rig import Dealer, daemon, hear, on_loop, until

from lies.bus import BlockingClient, Client
from lies.bus import _blocking as blocking_module
from lies.bus import _connection as connection_module
from lies.bus.frames import decode_all, primitive_frames
from lies.bus.messages import Goodbye, Hello, Snapshot
from lies.events import LinkUp, LinkUpRequest

BURST = 1000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A runtime directory with a short name."""
    return tmp_path / "r"


async def _registered(peer: Dealer, *, batches: bool) -> None:
    peer.say(Hello("bare", "ipv6", batches=batches))
    peer.send(*primitive_frames(LinkUpRequest(1, "*"), layer="L2", protocol="*"))
    await peer.until_received(Snapshot)


@on_loop
async def test_burst_reaches_both_kinds_of_peers(directory: Path) -> None:
    """1,000 indications of one go: in some 17 messages to who reads Batch, in 1,000 to who does not."""
    async with daemon(directory, heartbeat_s=5.0) as d:
        with Dealer(directory, receive_limit=0) as old, Dealer(directory, receive_limit=0) as new:
            await _registered(old, batches=False)
            await _registered(new, batches=True)
            for _ in range(BURST):
                d.driver.up()
            counts = {}
            for peer in (old, new):
                places: list[int] = []
                messages = 0
                while len(places) < BURST:
                    await until(peer.readable)
                    received = decode_all(peer.socket.recv_multipart())
                    places += [r.place[1] for r in received if r.place is not None]
                    messages += 1
                assert places == list(range(1, BURST + 1))
                counts[peer] = messages
            assert counts[old] == BURST
            assert counts[new] < BURST / 16


@on_loop
async def test_client_takes_bursts_in_order(directory: Path) -> None:
    """The client hands out each indication of a burst once, in order."""
    async with daemon(directory) as d, await Client.connect(directory, name="mn") as client:
        heard = hear(client)
        await client.register("link_up")
        for _ in range(BURST):
            d.driver.up()
        await until(lambda: len(heard.events) == BURST)
        assert [m.header.sequence for m in heard.events] == list(range(1, BURST + 1))
        assert heard.gaps == []


@on_loop
async def test_burst_comes_before_goodbye(directory: Path) -> None:
    """A daemon that ends in the same go as a burst sends the burst first."""
    async with daemon(directory) as d:
        with Dealer(directory) as peer:
            await _registered(peer, batches=True)
            for _ in range(10):
                d.driver.up()
            await d.server.stop()
            told: list[object] = []
            while not told or told[-1] != Goodbye("the daemon ends"):
                await until(peer.readable)
                told += [r.message for r in decode_all(peer.socket.recv_multipart())]
            assert sum(isinstance(m, LinkUp) for m in told) == 10


@pytest.mark.parametrize("module", [connection_module, blocking_module], ids=["asyncio", "blocking"])
def test_batch_that_cannot_be_read_is_repaired(
    module: object, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Batch that arrives broken is dropped whole and asked for again: nothing is missing in the end."""
    spoilt: list[list[bytes]] = []

    def spoil(frames: list[bytes], **options: int) -> object:
        if b":batch" in frames[1] and not spoilt:
            spoilt.append(frames)
            frames = [*frames[:2], frames[2][:-1]]
        return decode_all(frames, **options)

    monkeypatch.setattr(module, "decode_all", spoil)

    @on_loop
    async def over_asyncio() -> None:
        async with daemon(directory) as d, await Client.connect(directory, name="mn") as client:
            heard = hear(client)
            await client.register("link_up")
            for _ in range(100):
                d.driver.up()
            await until(lambda: len(heard.events) == 100)
            assert [m.header.sequence for m in heard.events] == list(range(1, 101))

    @on_loop
    async def over_a_thread() -> None:
        def consume() -> list[int]:
            with BlockingClient.connect(directory, name="mn") as client:
                client.register("link_up")
                ready.set()
                return [message.header.sequence for message in islice(client.events(timeout_s=20), 100)]

        async with daemon(directory) as d:
            loop = asyncio.get_running_loop()
            ready = threading.Event()
            taking = loop.run_in_executor(None, consume)
            await until(ready.is_set)
            for _ in range(100):
                d.driver.up()
            assert await taking == list(range(1, 101))

    (over_asyncio if module is connection_module else over_a_thread)()
    assert spoilt
