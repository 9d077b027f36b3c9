"""The daemon's side of a plugin in a child process (`isolate = true`)."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection

from attrs import evolve

from lies._keeper import Ended, Ending
from lies._orders import MAX_LINE, Logging, Order, Report, State, decode_report, encode
from lies.errors import LiesError, MalformedMessage

ANNOUNCED_WITHIN_S = 5.0  # its links take another way than its report; refused ones never come
_NOT_THEIRS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")  # the daemon alone speaks to systemd

_log = logging.getLogger("lies.daemon")


class ChildRoom:
    """Runs `python -m lies._isolated`, which gets its order on stdin.

    gone: tells the bus that it died; announced: whether the bus knows all of some links as its driver's.
    """

    def __init__(
        self, order: Order, gone: Callable[[], None], announced: Callable[[Collection[str]], bool]
    ) -> None:
        self.pid: int | None = None
        self._order = order
        self._gone = gone
        self._announced = announced
        self._process: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """Start the child; returns when its plugin runs and its links are known, LiesError when it cannot."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lies._isolated",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
            env={name: value for name, value in os.environ.items() if name not in _NOT_THEIRS},
            process_group=0,  # Ctrl-C is the daemon's: it stops its children in order
        )
        self.pid = self._process.pid
        assert self._process.stdin is not None
        self._process.stdin.write(encode(self._order))
        report = await self._report()
        if report.state is not State.RUNNING:
            raise LiesError(report.detail)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCED_WITHIN_S):
                while not self._announced(report.links):  # noqa: ASYNC110 - they come over the bus, for any number of drivers
                    await asyncio.sleep(0.01)

    def log_as(self, how: Logging) -> None:
        """Tell it how to log from now on."""
        self._order = evolve(self._order, log_level=how.log_level, log_format=how.log_format)
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(encode(how))

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
                "the child process did not stop and is killed",
                extra={"plugin": self._order.name, "pid": self._process.pid},
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
