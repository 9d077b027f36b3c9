"""One driver or consumer in a process of its own, as a child of the daemon; lies._isolated begins it.

The order comes on stdin, and later how to log; reports go where stdout was, while prints of the plugin go to
stderr. The child ends when stdin does, when the daemon dies, or on SIGTERM.
"""

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from lies._keeper import Ended, Ending, describe
from lies._orders import MAX_LINE, Order, Report, State, decode_logging, decode_order, encode
from lies._privileges import keep_only
from lies._scheduling import try_to_go_first
from lies._stopping import StopSignals
from lies.bus.client import Client
from lies.bus.publisher import RemotePublisher
from lies.errors import LiesError
from lies.logs import bare_line, set_up_logs
from lies.plugins import resolve
from lies.registry import Registry
from lies.rooms import ConsumerRoom, DriverRoom, Failed, OpenClient, OpenPublisher

_log = logging.getLogger("lies.worker")


def main() -> int:
    """Read the order and run it; 0 when told to stop or finished, 1 when the plugin failed."""
    channel = os.dup(1)
    os.dup2(2, 1)
    try:
        line, begun = _read_line(0)
        order = decode_order(line)
    except LiesError as error:
        _tell(channel, Report(State.FAILED, str(error)))
        return 1
    set_up_logs(order.log_level, order.log_format, plugin=order.name)
    try:
        keep_only(order.capabilities)
    except OSError as error:
        _log.warning("capabilities cannot be given up", extra={"reason": str(error)})
    try_to_go_first(wanted=order.realtime)
    return asyncio.run(_work(order, begun, channel))


async def _work(order: Order, begun: bytes, channel: int) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with StopSignals(loop, stop, limit_s=order.stop_s, line=bare_line) as signals:
        loop.add_reader(0, _Stdin(order.name, begun, signals).read)
        try:
            room = _room(order)
        except LiesError as error:
            _tell(channel, Report(State.FAILED, str(error)))
            return 1
        try:
            ended = await _life(room, stop, channel)
        finally:
            try:
                await room.stop()
            except Exception as error:  # noqa: BLE001 - the process ends anyway; a plugin may raise anything
                _log.error("did not stop cleanly", extra={"reason": describe(error)})
            room.release()
    if ended is None:
        return 0
    finished = ended.ending is Ending.FINISHED
    _tell(channel, Report(State.FINISHED if finished else State.FAILED, ended.detail))
    return 0 if finished else 1


async def _life(room: DriverRoom | ConsumerRoom, stop: asyncio.Event, channel: int) -> Ended | None:
    """Run until stopped (None) or until the plugin ends."""
    stopped = asyncio.create_task(stop.wait())
    opening = asyncio.create_task(room.open())
    ended = asyncio.create_task(room.ended())
    try:
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return None
        if (error := opening.exception()) is not None:
            _log.debug("did not start", exc_info=error)
            return Ended(Ending.FAILED, describe(error))
        _tell(channel, Report(State.RUNNING, links=room.links))
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() else ended.result()
    finally:
        for task in (stopped, opening, ended):
            task.cancel()


def _room(order: Order) -> DriverRoom | ConsumerRoom:
    plugins = resolve(order.config(), Registry())
    directory = Path(order.directory)

    async def publisher() -> OpenPublisher:
        return await RemotePublisher.connect(directory, name=order.name)

    async def client(failed: Failed) -> OpenClient:
        return await Client.connect(directory, name=order.name, on_failure=failed)

    if plugins.drivers:
        return DriverRoom(plugins.drivers[0], publisher)
    return ConsumerRoom(plugins.consumers[0], client)


class _Stdin:
    """What the daemon says after the order; begun: what of it was read with the order."""

    def __init__(self, name: str, begun: bytes, signals: StopSignals) -> None:
        self._name = name
        self._signals = signals
        self._begun = b""
        self._take(begun)

    def read(self) -> None:
        """Take what is there; its end is the order to stop."""
        octets = os.read(0, 65536)
        if not octets:
            asyncio.get_running_loop().remove_reader(0)
            self._signals.ask()
            return
        self._take(octets)

    def _take(self, octets: bytes) -> None:
        *lines, self._begun = (self._begun + octets).split(b"\n")
        for line in lines:
            with contextlib.suppress(LiesError):  # the daemon writes nothing else
                how = decode_logging(line)
                set_up_logs(how.log_level, how.log_format, plugin=self._name)


def _read_line(number: int) -> tuple[bytes, bytes]:
    """The first line, and what came with it of the next."""
    read = bytearray()
    while b"\n" not in read and len(read) < MAX_LINE:
        octets = os.read(number, 65536)
        if not octets:
            break
        read += octets
    line, _, begun = bytes(read).partition(b"\n")
    return line, begun


def _tell(channel: int, report: Report) -> None:
    with contextlib.suppress(BrokenPipeError):  # the daemon has died: stdin tells us so too
        os.write(channel, encode(report))
