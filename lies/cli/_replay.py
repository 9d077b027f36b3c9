"""Hosting the driver `replay` in this process: on the daemon's publish endpoint, or on a bus of its own."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import typer

from lies._keeper import Ended, Ending
from lies.bus.core import BusCore
from lies.bus.local import LocalClient
from lies.bus.publisher import LocalPublisher, RemotePublisher
from lies.cli._client import connected, on_reader_gone
from lies.cli._events import TimeStyle, kinds
from lies.cli._keys import Keys
from lies.cli._trace import Printer
from lies.config import Config, DriverConfig
from lies.driver import Driver
from lies.errors import LiesError
from lies.plugins import DriverPlan, resolve
from lies.remote import find_daemon
from lies.rooms import DriverRoom, OpenPublisher
from lies.runtime import wall_ns


@runtime_checkable
class Pausable(Protocol):
    """A driver that can stand still."""

    def pause(self) -> None:
        """Feed nothing until `resume`."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


async def play(name: str, options: Mapping[str, Any]) -> None:
    """Play as a driver of the running daemon; ends when the file does."""
    plan = _plan(name, options)
    async with connected("replay") as client:  # NoDaemon comes from here
        taken = [s.link.name for s in await client.links() if s.publisher == name and s.lost is None]
        if taken:
            raise LiesError(
                f"a driver {name!r} is on the bus already, with {taken[0]}; choose another --name"
            )

    async def connect() -> OpenPublisher:
        return await RemotePublisher.connect(find_daemon(), name=name)

    room = DriverRoom(plan, connect)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        await room.open()
        await _until_end(room, stop, paused=bool(options["paused"]))
    finally:
        await room.stop()
        room.release()


async def play_alone(name: str, options: Mapping[str, Any], *, json: bool) -> None:
    """Play on a bus of this process's own and print the events."""
    core = BusCore(epoch=wall_ns())
    primitives, names = kinds([])
    done = asyncio.Event()
    printer = Printer(names, None if json else TimeStyle.WALL, on_done=done.set)
    client = LocalClient(core, "lies-replay")
    client.on_event(printer.event)
    on_reader_gone(done.set)
    for primitive in primitives:
        await client.register(primitive)

    async def connect() -> OpenPublisher:
        return LocalPublisher(core, name)

    room = DriverRoom(_plan(name, options), connect)
    try:
        await room.open()
        await _until_end(room, done, paused=bool(options["paused"]))
    finally:
        client.close()  # that the driver ends is none of the file's events
        await room.stop()
        room.release()
    if printer.failure is not None:
        raise printer.failure


def _plan(name: str, options: Mapping[str, Any]) -> DriverPlan:
    return resolve(Config(drivers=(DriverConfig(name, "replay", options=options),))).drivers[0]


async def _until_end(room: DriverRoom, stop: asyncio.Event, *, paused: bool) -> None:
    """Wait for the end of the file, or for `stop`; raises what the driver failed with."""
    ended = asyncio.create_task(room.ended())
    stopped = asyncio.create_task(stop.wait())
    restore = _toggle_on_request(room.driver, paused=paused)
    try:
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        restore()
        ended.cancel()
        stopped.cancel()
    if stop.is_set():
        return
    outcome: Ended = ended.result()
    if outcome.ending is Ending.FAILED:
        raise room.error if isinstance(room.error, LiesError) else LiesError(outcome.detail)


def _toggle_on_request(driver: Driver | None, *, paused: bool) -> Callable[[], None]:
    """Let SIGUSR1, and space or Enter on a terminal, pause the driver or play; returns what undoes that."""
    if not isinstance(driver, Pausable):
        return lambda: None
    loop = asyncio.get_running_loop()

    def toggle() -> None:
        nonlocal paused
        paused = not paused
        if paused:
            driver.pause()
        else:
            driver.resume()
        if keys.watched:
            typer.echo("paused; space plays" if paused else "playing; space pauses", err=True)

    keys = Keys(toggle)
    keys.watch()
    loop.add_signal_handler(signal.SIGUSR1, toggle)
    if paused:
        typer.echo(f"paused; space or `kill -USR1 {os.getpid()}` plays", err=True)
    elif keys.watched:
        typer.echo("playing; space pauses", err=True)

    def undo() -> None:
        loop.remove_signal_handler(signal.SIGUSR1)
        keys.leave()

    return undo
