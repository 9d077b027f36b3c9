"""Writing everything that the daemon says into a recording."""

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from lies.bus.client import Client
from lies.cli._client import connected
from lies.cli._events import REGISTRABLE
from lies.cli._recorder import Recorder
from lies.errors import LiesError
from lies.runtime import now_s
from lies.trace.series import Rotation

log = logging.getLogger(__name__)
TICK_S = 0.5  # what waits for the file is never older, so that a crash costs less than a second
HOLD_S = 1.0  # by then every driver that is there has answered the wish for raw messages


async def record_all(path: Path, *, append: bool, rotation: Rotation | None = None) -> None:
    """Record until SIGTERM or Ctrl-C; LiesError when the file cannot be written any more."""
    loop = asyncio.get_running_loop()
    async with connected("record") as client:
        links = [state.link for state in await client.links()]
        with Recorder(path, links, append=append, rotation=rotation) as recorder:
            loop.add_signal_handler(signal.SIGTERM, recorder.ended.set)
            client.on_event(recorder.event)
            client.on_gap(recorder.gap)
            try:
                for primitive in REGISTRABLE:
                    if primitive != "raw":
                        await client.register(primitive)
                await client.links()  # the answer comes after the snapshots of those registrations
                client.on_snapshot(recorder.snapshot)  # the next is that of `raw`: the recording's first
                recorder.expect()
                await client.register("raw")
                loop.call_later(HOLD_S, recorder.release, recorder.files)
                await _follow(recorder, client)
            finally:
                with contextlib.suppress(LiesError):  # the daemon may have ended
                    await client.links()  # what it sent before the answer belongs together and is kept
                recorder.release()
                _last_line(path, recorder)
    if recorder.failure is not None:
        raise recorder.failure


async def _follow(recorder: Recorder, client: Client) -> None:
    """Flush, rotate, and on a terminal count along, until the end."""
    began_s = now_s()
    rotating: asyncio.Task[None] | None = None
    while not recorder.ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(recorder.ended.wait(), TICK_S)
        recorder.flush()
        if recorder.full and (rotating is None or rotating.done()):
            rotating = asyncio.create_task(_rotate(recorder, client))
        if sys.stderr.isatty():
            print(
                f"\r{recorder.events} events, {now_s() - began_s:.0f} s ", end="", file=sys.stderr, flush=True
            )
    if rotating is not None:
        await rotating


async def _rotate(recorder: Recorder, client: Client) -> None:
    """Ask for the links' memories once more: the next file begins with them, as the first one did."""
    recorder.expect()
    try:
        await client.register("raw")
    except LiesError as error:  # a daemon that restarts, or has much to do; it is asked again
        recorder.expect(on=False)
        log.warning("the recording goes on in the same file: %s", error)
    asyncio.get_running_loop().call_later(HOLD_S, recorder.release, recorder.files)


def _last_line(path: Path, recorder: Recorder) -> None:
    begin = "\r" if sys.stderr.isatty() else ""
    lost = f", {recorder.lost} lost" if recorder.lost else ""
    files = f" in {recorder.files} files" if recorder.files > 1 else ""
    print(f"{begin}{path}: {recorder.events} events{files}{lost}", file=sys.stderr)
