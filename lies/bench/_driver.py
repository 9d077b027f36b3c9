"""LIES from the publisher's side: a driver that does what it is told, and a consumer in the daemon itself."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from attrs import frozen

from lies.bench._board import Board
from lies.bench._clients import PRIMITIVES
from lies.bench._names import POA
from lies.bench._orders import Failed, Ready, Receive, Reply, Send, decode, encode
from lies.bench._pace import Pace, Tally
from lies.bench._patience import together
from lies.consumer import BusClient, Consumer
from lies.driver import Driver, DriverHost, LinkPort
from lies.errors import LiesError
from lies.events import Attached, Detached, DownReason, Indication, Link, Raw, Technology


@frozen
class Wires:
    """Of a plugin of the bench: descriptors that its orders come from and its replies go to; the board."""

    orders: int
    replies: int
    board: Path
    link: str


class Post:
    """Takes orders one after the other from a descriptor, on the loop; `follow` answers each."""

    def __init__(self, wires: Wires, follow: Callable[[object], Awaitable[Reply]]) -> None:
        self._wires = wires
        self._follow = follow
        self._line = b""
        self._orders: asyncio.Queue[bytes] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().add_reader(self._wires.orders, self._read)
        self._task = asyncio.create_task(self._serve())

    def close(self) -> None:
        """Listen no more; safe to call twice."""
        asyncio.get_running_loop().remove_reader(self._wires.orders)
        if self._task is not None:
            self._task.cancel()

    def say(self, reply: Reply) -> None:
        """Answer."""
        octets = encode(reply)
        while octets:
            octets = octets[os.write(self._wires.replies, octets) :]

    def _read(self) -> None:
        octets = os.read(self._wires.orders, 65536)
        if not octets:  # who gave the orders is gone: so goes the process, as `lies run` does when told to
            self.close()
            os.kill(os.getpid(), signal.SIGTERM)
        *lines, self._line = (self._line + octets).split(b"\n")
        for line in lines:
            self._orders.put_nowait(line)

    async def _serve(self) -> None:
        while True:
            line = await self._orders.get()
            try:
                self.say(await self._follow(decode(line)))
            except LiesError as error:
                self.say(Failed(str(error)))


class BenchDriver(Driver):
    """Indicates LinkUp and LinkDown by turns, at the pace it is told; each item is one indication."""

    Config = Wires

    def __init__(self, name: str, config: Wires, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self._port: LinkPort | None = None
        self._up = False
        self._post = Post(config, self._follow)

    async def start(self) -> None:
        """Announce the link and take orders."""
        self._port = self.host.add_link(Link(self.config.link, Technology.WIFI), controllable=True)
        self.feed()  # its first item also finds the PoA
        self._board = Board(self.config.board)
        self._post.open()

    async def stop(self) -> None:
        """Take no more orders."""
        self._post.close()

    def feed(self) -> None:
        """The next item, measured now."""
        assert self._port is not None
        now_ns = self.host.now_ns()
        self._up = not self._up
        if self._up:
            self._port.feed(Attached(now_ns, POA))
        else:
            self._port.feed(Detached(now_ns, POA, DownReason.SIGNAL_LOST))

    async def _follow(self, order: object) -> Reply:
        if not isinstance(order, Send):
            return Failed(f"a driver cannot {type(order).__name__}")
        self._post.say(Ready())
        pace = Pace(order, self._board)
        for step in pace.steps():
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            for _ in range(step):
                self.feed()
            await asyncio.sleep(0)
        return pace.sent


class BenchEar(Consumer):
    """A consumer in the daemon's own process: it needs no socket."""

    Config = Wires

    def __init__(self, name: str, config: Wires, bus: BusClient) -> None:
        super().__init__(name, config, bus)
        self._tally: Tally | None = None
        self._complete = asyncio.Event()
        self._post = Post(config, self._follow)
        bus.on_event(self._hear)

    async def start(self) -> None:
        """Take orders."""
        self._board = Board(self.config.board)
        self._post.open()

    async def stop(self) -> None:
        """Take no more orders."""
        self._post.close()

    def _hear(self, event: Indication | Raw) -> None:
        tally = self._tally
        if tally is not None:
            tally.take(event.header.sequence, event.header.mono_ns)
            if tally.complete:
                self._complete.set()

    async def _follow(self, order: object) -> Reply:
        if not isinstance(order, Receive):
            return Failed(f"a consumer in the daemon cannot {type(order).__name__}")
        (slot,) = order.slots
        tally = self._tally = Tally(order, slot, self._board)
        self._complete.clear()
        registrations = [await self.bus.register(p, order.link) for p in PRIMITIVES]
        self._post.say(Ready())
        await together([self._until_complete()], lambda: tally.came, order.patience_s)
        for registration in registrations:
            await self.bus.disable(registration)
        self._tally = None
        return tally.received

    async def _until_complete(self) -> None:
        await self._complete.wait()
