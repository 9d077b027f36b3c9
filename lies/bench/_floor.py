"""The floor: the same frames from one process to another by pyzmq alone, ROUTER to DEALER, over ipc.

What a program without LIES would have to do is done here: encode, send, receive, decode; nothing is
registered, repaired, kept or checked.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import chain
from typing import Any

import zmq
import zmq.asyncio

from lies.bench._board import Board
from lies.bench._frames import Deliveries, confirm_frames, request_frames, take_confirm, take_delivery
from lies.bench._orders import Ask, Asked, Confirm, Done, Receive, Received, Send, Sent, Style
from lies.bench._pace import Pace, Tally, total
from lies.bench._patience import together
from lies.errors import TimedOut
from lies.runtime import monotonic_ns

Ready = Callable[[], None]
_HELLO, _GOODBYE = [b"hello"], [b"goodbye"]
_LINGER_MS = 2000


def send(order: Send, board: Board, ready: Ready) -> Sent:
    """Send a segment to as many receivers as there are slots; TimedOut if they do not come."""
    if order.style is Style.ASYNCIO:
        return asyncio.run(_send_on_loop(order, board, ready))
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        _bind(socket, order.endpoint, order.patience_s)
        ready()
        with _patient():
            peers = [socket.recv_multipart()[0] for _ in order.slots]
        deliveries, pace = Deliveries(), Pace(order, board)
        for step in chain(
            pace.steps(), pace.rest()
        ):  # libzmq may lose the tail at a close, for all its LINGER
            if isinstance(step, float):
                time.sleep(step)
                continue
            for _ in range(step):
                frames = deliveries.next()
                for peer in peers:
                    socket.send_multipart([peer, *frames])
        return pace.sent


async def _send_on_loop(order: Send, board: Board, ready: Ready) -> Sent:
    with zmq.asyncio.Context() as context, context.socket(zmq.ROUTER) as socket:
        _bind(socket, order.endpoint)
        ready()
        async with _patient_on_loop(order.patience_s):
            peers = [(await socket.recv_multipart())[0] for _ in order.slots]
        deliveries, pace = Deliveries(), Pace(order, board)
        for step in chain(pace.steps(), pace.rest()):
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            for _ in range(step):
                frames = deliveries.next()
                for peer in peers:
                    await socket.send_multipart([peer, *frames])
            await asyncio.sleep(0)
        return pace.sent


def receive(order: Receive, board: Board, ready: Ready) -> Received:
    """Receive a segment at each slot."""
    tallies = [Tally(order, slot, board) for slot in order.slots]
    if order.style is Style.ASYNCIO:
        asyncio.run(_receive_on_loop(order, tallies, ready))
        return total(t.received for t in tallies)
    (tally,) = tallies
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        _connect(socket, order.where, order.patience_s)
        socket.send_multipart(_HELLO)
        ready()
        with suppress(zmq.Again):
            while not tally.complete:
                header = take_delivery(socket.recv_multipart())
                tally.take(header.sequence, header.mono_ns)
    return tally.received


async def _receive_on_loop(order: Receive, tallies: list[Tally], ready: Ready) -> None:
    with zmq.asyncio.Context() as context:

        async def one(tally: Tally) -> None:
            with context.socket(zmq.DEALER) as socket:
                _connect(socket, order.where)
                await socket.send_multipart(_HELLO)
                while not tally.complete:
                    header = take_delivery(await socket.recv_multipart())
                    tally.take(header.sequence, header.mono_ns)

        ready()
        await together([one(t) for t in tallies], lambda: sum(t.came for t in tallies), order.patience_s)


def confirm(order: Confirm, ready: Ready) -> Done:
    """Answer requests until the asker has said goodbye."""
    if order.style is Style.ASYNCIO:
        return asyncio.run(_confirm_on_loop(order, ready))
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket, _patient():
        _bind(socket, order.endpoint, order.patience_s)
        ready()
        while True:
            peer, *frames = socket.recv_multipart()
            if frames == _GOODBYE:
                return Done()
            socket.send_multipart([peer, *confirm_frames(frames)])


async def _confirm_on_loop(order: Confirm, ready: Ready) -> Done:
    with zmq.asyncio.Context() as context, context.socket(zmq.ROUTER) as socket:
        _bind(socket, order.endpoint)
        ready()
        async with _patient_on_loop(order.patience_s):
            while True:
                peer, *frames = await socket.recv_multipart()
                if frames == _GOODBYE:
                    return Done()
                await socket.send_multipart([peer, *confirm_frames(frames)])


def ask(order: Ask, ready: Ready) -> Asked:
    """Make requests of `confirm`."""
    if order.style is Style.ASYNCIO:
        return asyncio.run(_ask_on_loop(order, ready))
    times = []
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket, _patient():
        _connect(socket, order.where, order.patience_s)
        ready()
        for number in range(order.count):
            begun_ns = monotonic_ns()
            socket.send_multipart(request_frames(order, number))
            take_confirm(socket.recv_multipart())
            times.append(monotonic_ns() - begun_ns)
        socket.send_multipart(_GOODBYE)
    return Asked(tuple(times))


async def _ask_on_loop(order: Ask, ready: Ready) -> Asked:
    times = []
    with zmq.asyncio.Context() as context, context.socket(zmq.DEALER) as socket:
        _connect(socket, order.where)
        ready()
        async with _patient_on_loop(order.patience_s):
            for number in range(order.count):
                begun_ns = monotonic_ns()
                await socket.send_multipart(request_frames(order, number))
                take_confirm(await socket.recv_multipart())
                times.append(monotonic_ns() - begun_ns)
            await socket.send_multipart(_GOODBYE)
    return Asked(tuple(times))


def _bind(socket: "zmq.Socket[Any]", endpoint: str, patience_s: float | None = None) -> None:
    _prepare(socket, patience_s)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.bind(endpoint)


def _connect(socket: "zmq.Socket[Any]", endpoint: str, patience_s: float | None = None) -> None:
    _prepare(socket, patience_s)
    socket.connect(endpoint)


def _prepare(socket: "zmq.Socket[Any]", patience_s: float | None) -> None:
    """Limits of a blocking socket; one on a loop has none, as zmq.asyncio takes a timer for each message."""
    if patience_s is not None:
        for option in (zmq.RCVTIMEO, zmq.SNDTIMEO):
            socket.setsockopt(option, round(patience_s * 1000))
    socket.setsockopt(zmq.LINGER, _LINGER_MS)


@contextmanager
def _patient() -> Iterator[None]:
    try:
        yield
    except zmq.Again:
        raise TimedOut("nobody came to the floor's other end") from None


@asynccontextmanager
async def _patient_on_loop(patience_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(patience_s):
            yield
    except TimeoutError:
        raise TimedOut("nobody came to the floor's other end") from None
