"""LIES from a consumer's side: what is received and asked with the public clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from lies.bench._board import Board
from lies.bench._names import POA
from lies.bench._orders import Ask, Asked, Receive, Received, Style
from lies.bench._pace import Tally, total
from lies.bench._patience import together
from lies.bus import BlockingClient, Client
from lies.events import Indication, Raw
from lies.runtime import monotonic_ns

PRIMITIVES = ("link_up", "link_down")  # all that the bench's driver indicates: its numbers leave no hole
_CONNECT_S = 30.0
Ready = Callable[[], None]


def receive(order: Receive, board: Board, ready: Ready) -> Received:
    """Register and receive a segment at each slot."""
    tallies = [Tally(order, slot, board) for slot in order.slots]
    if order.style is Style.ASYNCIO:
        asyncio.run(_receive_on_loop(order, tallies, ready))
        return total(t.received for t in tallies)
    (tally,) = tallies
    with BlockingClient.connect(Path(order.where), name="bench-blocking", timeout_s=_CONNECT_S) as client:
        client.on_gap(tally.gap)
        for primitive in PRIMITIVES:
            client.register(primitive, order.link)
        ready()
        while not tally.complete:
            event = client.next_event(order.patience_s)
            if event is None:
                break
            tally.take(event.header.sequence, event.header.mono_ns)
    return total(t.received for t in tallies)


async def _receive_on_loop(order: Receive, tallies: list[Tally], ready: Ready) -> None:
    async with AsyncExitStack() as stack:
        clients = []
        for tally in tallies:
            client = await Client.connect(Path(order.where), name=f"bench-{tally.slot}", timeout_s=_CONNECT_S)
            clients.append(await stack.enter_async_context(client))

        async def one(tally: Tally, events: AsyncIterator[Indication | Raw]) -> None:
            async for event in events:
                tally.take(event.header.sequence, event.header.mono_ns)
                if tally.complete:
                    return

        work = []
        for client, tally in zip(clients, tallies, strict=True):
            client.on_gap(tally.gap)
            work.append(one(tally, client.events()))
            for primitive in PRIMITIVES:
                await client.register(primitive, order.link)
        ready()
        await together(work, lambda: sum(t.came for t in tallies), order.patience_s)


def ask(order: Ask, ready: Ready) -> Asked:
    """Make requests of the daemon."""
    if order.style is Style.ASYNCIO:
        return asyncio.run(_ask_on_loop(order, ready))
    times = []
    with BlockingClient.connect(
        Path(order.where),
        name="bench-blocking",
        timeout_s=_CONNECT_S,
        request_timeout_s=order.patience_s,
    ) as client:
        ready()
        for _ in range(order.count):
            begun_ns = monotonic_ns()
            if order.kind == "link_connect":
                client.link_connect(order.link, POA)
            else:
                client.link_status(order.link)
            times.append(monotonic_ns() - begun_ns)
    return Asked(tuple(times))


async def _ask_on_loop(order: Ask, ready: Ready) -> Asked:
    times = []
    async with await Client.connect(
        Path(order.where),
        name="bench-asyncio",
        timeout_s=_CONNECT_S,
        request_timeout_s=order.patience_s,
    ) as client:
        ready()
        for _ in range(order.count):
            begun_ns = monotonic_ns()
            if order.kind == "link_connect":
                await client.link_connect(order.link, POA)
            else:
                await client.link_status(order.link)
            times.append(monotonic_ns() - begun_ns)
    return Asked(tuple(times))
