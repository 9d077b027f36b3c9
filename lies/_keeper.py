"""Keeps one driver or consumer running: starts it, waits for its end, starts it again with back-off."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from lies.bus.messages import PluginStatus
from lies.runtime import now_s

KILL_S = 1.0  # beyond the time a room has to stop: a child that did not is killed, and waited for
_log = logging.getLogger("lies.daemon")


class Ending(StrEnum):
    """Why a room ended by itself."""

    FINISHED = "finished"  # its input has ended; it is not started again
    FAILED = "failed"


@frozen
class Ended:
    """How a room ended by itself; detail: one sentence."""

    ending: Ending
    detail: str = ""


class Room(Protocol):
    """Where one driver or consumer runs, in this process or in a child; made anew for each start."""

    async def open(self) -> None:
        """Start it; raises when it cannot. `stop` and `release` follow in any case."""
        ...

    async def ended(self) -> Ended:
        """Wait until it ends by itself."""
        ...

    async def stop(self) -> None:
        """Ask it to stop and wait until it has."""
        ...

    def lost(self) -> None:
        """It failed: its links go down (driver_lost) at once. `stop` and `release` follow."""
        ...

    def release(self) -> None:
        """After `stop`, or after it took too long: leave the bus, and end by force what still runs."""
        ...


@frozen
class Patience:
    """How long things may take, in s.

    Restarts pause from restart_min_s, doubled up to restart_max_s; who ran for settled_s begins anew.
    """

    start_s: float = 10.0
    stop_s: float = 5.0
    restart_min_s: float = 0.5
    restart_max_s: float = 30.0
    settled_s: float = 60.0


class Keeper:
    """Runs the rooms of one plugin, one after the other, until told to stop.

    Why it does not start is logged once, not at every attempt, until it is another reason or it has run.
    """

    def __init__(self, name: str, new_room: Callable[[], Room], patience: Patience) -> None:
        self.name = name
        self.starts = 0
        self.status = PluginStatus.STARTING
        self.reason = ""  # what it failed with last
        self.retry_s: float | None = None  # when it is started again, on the clock of lies.runtime
        self.room: Room | None = None
        self.patience = patience  # may be replaced: what is under way goes by the old one
        self._new_room = new_room
        self._ran = False  # in this start
        self._about = {"plugin": name}
        self._tried = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; returns after the first attempt, whether it went well or not, or after start_s."""
        self._task = asyncio.create_task(self._run(), name=f"lies:{self.name}")
        start_s = self.patience.start_s
        if not await _within(self._tried, start_s):
            _log.warning("still starting; the others go on", extra={**self._about, "after_s": start_s})

    async def done(self) -> None:
        """Wait until nothing is to be started again: it finished, or was stopped."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def stop(self) -> None:
        """End it; returns within little more than Patience.stop_s."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=self.patience.stop_s + 1.0)

    async def _run(self) -> None:
        pause_s, said = self.patience.restart_min_s, ""
        while not self._stop.is_set():
            began_s = now_s()
            ended = await self._once()
            if ended is None:
                return
            if ended.ending is Ending.FINISHED:
                _log.info("finished", extra=self._about)
                return
            if now_s() - began_s >= self.patience.settled_s:
                pause_s = self.patience.restart_min_s
            self.retry_s = now_s() + pause_s
            told = {**self._about, "reason": ended.detail, "starts": self.starts, "pause_s": pause_s}
            news = self._ran or ended.detail != said  # else it will be so until somebody changes something
            said = ended.detail
            _log.log(logging.ERROR if news else logging.DEBUG, "failed; it is started again", extra=told)
            if await _within(self._stop, pause_s):
                return
            pause_s = min(2.0 * pause_s, self.patience.restart_max_s)

    async def _once(self) -> Ended | None:
        """One room from open to the end; None when it was told to stop."""
        self.starts += 1
        self.status, self.retry_s, self._ran = PluginStatus.STARTING, None, False
        room = self.room = self._new_room()
        ended: Ended | None = None
        try:
            ended = await self._life(room)
        finally:
            if ended is not None:
                self._note(ended)
                room.lost()
            await self._bounded_stop(room)
            room.release()
            self.room = None
            self._tried.set()
        return ended

    def _note(self, ended: Ended) -> None:
        """Say why it does not run."""
        if ended.ending is Ending.FINISHED:
            self.status, self.reason = PluginStatus.FINISHED, ""
        else:
            self.status, self.reason = PluginStatus.FAILED, ended.detail

    async def _life(self, room: Room) -> Ended | None:
        opening = asyncio.create_task(room.open(), name=f"lies:{self.name}:start")
        if await self._stopped_before(opening):
            return None
        if (error := opening.exception()) is not None:
            _log.debug("did not start", extra=self._about, exc_info=error)
            return Ended(Ending.FAILED, f"did not start: {describe(error)}")
        _log.info("running", extra=self._about)
        self.status, self._ran = PluginStatus.RUNNING, True
        self._tried.set()
        ended = asyncio.create_task(room.ended(), name=f"lies:{self.name}:end")
        return None if await self._stopped_before(ended) else ended.result()

    async def _stopped_before(self, task: "asyncio.Task[object]") -> bool:
        """Wait for the task or for the order to stop, which cancels it."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            task.cancel()  # nothing happens if it is done
        return not task.done() or task.cancelled()

    async def _bounded_stop(self, room: Room) -> None:
        stopping = asyncio.create_task(room.stop(), name=f"lies:{self.name}:stop")
        stop_s = self.patience.stop_s
        _, late = await asyncio.wait({stopping}, timeout=stop_s + KILL_S)
        if late:
            stopping.cancel()
            _log.error("did not stop in time; it is left behind", extra={**self._about, "after_s": stop_s})
        elif (error := stopping.exception()) is not None:
            _log.error("did not stop cleanly", extra={**self._about, "reason": describe(error)})


def describe(error: BaseException) -> str:
    """An error in one line; its type too where it is no error of ours."""
    text = " ".join(str(error).split()) or "no reason given"
    return text if type(error).__module__ == "lies.errors" else f"{type(error).__name__}: {text}"


async def _within(event: asyncio.Event, limit_s: float) -> bool:
    """Whether the event came within the limit."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
    return event.is_set()
