"""Writing everything that the daemon says into a recording."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lies.bus.messages import Gap, Snapshot
from lies.cli._client import connected
from lies.cli._events import REGISTRABLE
from lies.errors import LiesError
from lies.events import Indication, Raw, RawState
from lies.runtime import now_s
from lies.trace.recording import RecordingWriter

PROGRESS_S = 0.5
HOLD_S = 1.0  # by then every driver that is there has answered the wish for raw messages


class Recorder:
    """Takes what the bus says into the file; `ended` is set when it cannot, with the `failure`.

    A recording of a link that is there already begins with its raw_state, from which a replay computes every
    later indication: what is indicated between the registrations and the raw_state is part of the
    beginning's state and left out. A link that gives no raw_state within HOLD_S is recorded all the same.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self.events = 0
        self.lost = 0
        self.failure: LiesError | None = None
        self.ended = asyncio.Event()
        self._writer = writer
        self._awaited: set[str] | None = None  # links of the first snapshot that have given no raw_state
        self._held: list[Indication | Raw] = []

    def event(self, event: Indication | Raw) -> None:
        """Keep an event."""
        link = event.header.link.name
        if self._awaited is not None and isinstance(event, RawState) and link in self._awaited:
            self._awaited.discard(link)
            self._held = [e for e in self._held if e.header.link.name != link]
        if self._awaited is None or link in self._awaited:
            self._held.append(event)
        else:
            self._write(event)

    def release(self) -> None:
        """Hold nothing back any more."""
        self._awaited = set()
        held, self._held = self._held, []
        for event in held:
            self._write(event)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Keep the states of links."""
        with self._guard():
            self._writer.snapshot(msgspec.to_builtins(snapshot))
        if self._awaited is None:
            self._awaited = {state.link.name for state in snapshot.links if state.lost is None}
            held, self._held = self._held, []
            for event in held:
                self.event(event)

    def gap(self, gap: Gap) -> None:
        """Keep that events were lost; the snapshot that follows says how things stand."""
        self.lost += 1 if gap.last is None else gap.last - gap.first + 1
        with self._guard():
            self._writer.snapshot({"gap": msgspec.to_builtins(gap), "links": []})

    def _write(self, event: Indication | Raw) -> None:
        with self._guard():
            self._writer.write(event)
            self.events += 1

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        if self.failure is not None:
            return
        try:
            yield
        except LiesError as error:  # raised in a callback it would be the bus's; the command ends with it
            self.failure = error
            self.ended.set()


async def record_all(path: Path, *, append: bool) -> None:
    """Record until SIGTERM or Ctrl-C; LiesError when the file cannot be written any more."""
    loop = asyncio.get_running_loop()
    async with connected("record") as client:
        links = [state.link for state in await client.links()]
        with RecordingWriter(path, links=links, overwrite=not append) as writer:
            recorder = Recorder(writer)
            loop.add_signal_handler(signal.SIGTERM, recorder.ended.set)
            client.on_event(recorder.event)
            client.on_gap(recorder.gap)
            try:
                for primitive in REGISTRABLE:
                    if primitive != "raw":
                        await client.register(primitive)
                await client.links()  # the answer comes after the snapshots of those registrations
                client.on_snapshot(recorder.snapshot)  # the next is that of `raw`: the recording's first
                await client.register("raw")
                loop.call_later(HOLD_S, recorder.release)
                await _progress(recorder)
            finally:
                with contextlib.suppress(LiesError):  # the daemon may have ended
                    await client.links()  # what it sent before the answer belongs together and is kept
                recorder.release()
                _last_line(path, recorder)
    if recorder.failure is not None:
        raise recorder.failure


async def _progress(recorder: Recorder) -> None:
    """Wait for the end; on a terminal, count along."""
    began_s = now_s()
    while not recorder.ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(recorder.ended.wait(), PROGRESS_S)
        if sys.stderr.isatty():
            print(
                f"\r{recorder.events} events, {now_s() - began_s:.0f} s ", end="", file=sys.stderr, flush=True
            )


def _last_line(path: Path, recorder: Recorder) -> None:
    begin = "\r" if sys.stderr.isatty() else ""
    lost = f", {recorder.lost} lost" if recorder.lost else ""
    print(f"{begin}{path}: {recorder.events} events{lost}", file=sys.stderr)
