"""Processes of a bench that are LIES itself: the daemon, and a driver on its publish endpoint."""

import asyncio
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

from lies.bench._names import EAR, LINK_IN_DAEMON, LINK_ISOLATED
from lies.bench._orders import Ready, encode
from lies.bus import RemotePublisher
from lies.config import Config, ConsumerConfig, DaemonConfig, DriverConfig, LogLevel
from lies.logs import set_up_logs
from lies.plugins import driver_plan
from lies.registry import Registry
from lies.rooms import DriverRoom, OpenPublisher
from lies.supervisor import run_daemon


def run_bench_daemon(board: Path, directory: Path, driver: str, ear: tuple[int, int]) -> int:
    """The daemon of `lies run`, with the bench's driver and consumer; `driver`: entry point of its class."""
    config = Config(
        daemon=DaemonConfig(runtime_dir=directory, log_level=LogLevel.WARNING),
        drivers=(DriverConfig("bench", "bench", options=_wires(0, 1, board, LINK_IN_DAEMON)),),
        consumers=(ConsumerConfig("ear", "ear", options=_wires(*ear, board, LINK_IN_DAEMON)),),
    )
    return run_daemon(config, ready=_ready, registry=_registry(driver))


def run_isolated_driver(board: Path, directory: Path, driver: str) -> int:
    """A driver as `isolate = true` runs it: a process of its own, on the publish endpoint."""
    set_up_logs("warning", plugin="isolated")
    return asyncio.run(_isolated(board, directory, driver))


async def _isolated(board: Path, directory: Path, driver: str) -> int:
    config = DriverConfig("isolated", "bench", options=_wires(0, 1, board, LINK_ISOLATED))

    async def connect() -> OpenPublisher:
        return await RemotePublisher.connect(directory, name=config.name)

    room = DriverRoom(driver_plan(config, Config(drivers=(config,)), _registry(driver)), connect)
    try:
        await room.open()
        _ready()
        await room.ended()
    finally:
        await room.stop()
        room.release()
    return 0


def _wires(orders: int, replies: int, board: Path, link: str) -> dict[str, object]:
    return {"orders": orders, "replies": replies, "board": str(board), "link": link}


def _registry(driver: str) -> Registry:
    points = (EntryPoint("bench", driver, "lies.drivers"), EntryPoint("ear", EAR, "lies.consumers"))

    def find(group: str) -> list[EntryPoint]:
        return [point for point in points if point.group == group]

    return Registry(find)


def _ready() -> None:
    sys.stdout.buffer.write(encode(Ready()))
    sys.stdout.buffer.flush()
