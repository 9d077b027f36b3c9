"""The daemon's side of a plugin in a child process (`isolate = true`)."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable

from lies._keeper import Ended, Ending
from lies._orders import MAX_LINE, Order, Report, State, decode_report, encode
from lies.errors import LiesError, MalformedMessage

_log = logging.getLogger("lies.daemon")


class ChildRoom:
    """Runs `python -m lies._isolated`, which gets its order on stdin; gone: tells the bus that it died."""

    def __init__(self, order: Order, gone: Callable[[], None]) -> None:
        self.pid: int | None = None
        self._order = order
        self._gone = gone
        self._process: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """Start the child; returns when its plugin runs, LiesError when it cannot."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lies._isolated",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
            process_group=0,  # Ctrl-C is the daemon's: it stops its children in order
        )
        self.pid = self._process.pid
        assert self._process.stdin is not None
        self._process.stdin.write(encode(self._order))
        report = await self._report()
        if report.state is not State.RUNNING:
            raise LiesError(report.detail)

    async def ended(self) -> Ended:
        """Wait until its plugin ends or the process does."""
        report = await self._report()
        while report.state is State.RUNNING:
            report = await self._report()
        ending = Ending.FINISHED if report.state is State.FINISHED else Ending.FAILED
        return Ended(ending, report.detail)

    async def stop(self) -> None:
        """Close its stdin and wait for the process to end; kill it after the order's stop_s."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(self._order.stop_s):
                await self._process.wait()
        except TimeoutError:
            self._kill()
            await self._process.wait()

    def lost(self) -> None:
        """Its links go down now, not when the bus has missed its heartbeats."""
        self._gone()

    def release(self) -> None:
        """End by force what is still there."""
        self._kill()
        self._gone()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            _log.error(
                "%s: the child process %d did not stop and is killed", self._order.name, self._process.pid
            )
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _report(self) -> Report:
        """The child's next report; FAILED when the process ends without one."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        try:
            line = await process.stdout.readline()
            if line:
                return decode_report(line)
        except (MalformedMessage, ValueError) as error:
            return Report(State.FAILED, f"the child process {process.pid} makes no sense: {error}")
        return Report(State.FAILED, f"the child process {process.pid} {_how(await process.wait())}")


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
