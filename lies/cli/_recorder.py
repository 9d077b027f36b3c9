"""From the bus into files: where a recording begins, and where it goes on in the next file."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

import msgspec

from lies.bus.messages import Gap, Snapshot
from lies.errors import LiesError
from lies.events import Indication, Link, Raw, RawState
from lies.trace.recording import RecordingWriter
from lies.trace.series import Rotation, Series


class Recorder:
    """Takes what the bus says into the file; `ended` is set when it cannot, with the `failure`.

    A recording of a link that is there already begins with its raw_state, from which a replay computes every
    later indication: what is indicated between the registrations and the raw_state is part of the
    beginning's state and left out of the first file. A link that gives no raw_state until `release` is
    recorded all the same.

    A further file begins the same way, with the snapshot that follows `expect`. Until its raw_state comes, a
    link's events go to the file before: nothing is lost between the two, and nothing stands in both.
    """

    def __init__(
        self, path: Path, links: Iterable[Link], *, append: bool, rotation: Rotation | None = None
    ) -> None:
        self.events = 0
        self.lost = 0
        self.files = 1
        self.failure: LiesError | None = None
        self.ended = asyncio.Event()
        self._path = path
        self._rotation = rotation
        self._series = Series(path, keep=rotation.keep if rotation is not None else None)
        if rotation is not None and not append:
            self._series.put_away()
        self._writer = RecordingWriter(path, links=links, overwrite=not append)
        self._before: RecordingWriter | None = None
        self._expected = False  # a snapshot that begins a file comes next
        self._awaited: set[str] | None = None  # links of the first snapshot that have given no raw_state
        self._moving: set[str] = set()  # links whose events still go to the file before
        self._held: list[Indication | Raw] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_before()
        try:
            self._writer.close()
        except LiesError as error:
            self._failed(error)

    @property
    def full(self) -> bool:
        """Whether it is time for the next file."""
        if self._rotation is None or self._expected or self._before is not None or self._awaited != set():
            return False
        return self.failure is None and self._writer.size >= self._rotation.size

    def expect(self, *, on: bool = True) -> None:
        """The next snapshot of a registration begins a file; or does not after all."""
        self._expected = on

    def event(self, event: Indication | Raw) -> None:
        """Keep an event."""
        link = event.header.link.name
        if isinstance(event, RawState):
            self._begun(link)
        if self._awaited is None or link in self._awaited:
            self._held.append(event)
        else:
            self._write(event)

    def release(self, file: int | None = None) -> None:
        """Hold nothing back any more, and end the file before; `file`: unless another one has begun since."""
        if file is not None and file != self.files:
            return
        if self._awaited is None or self._awaited:
            self._awaited = set()
            held, self._held = self._held, []
            for event in held:
                self._write(event)
        self._moving.clear()
        self._end_before()

    def flush(self) -> None:
        """Write what waits in the writers."""
        self._try(self._writer.flush)
        if self._before is not None:
            self._try(self._before.flush)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Keep the states of links."""
        there = {state.link.name for state in snapshot.links if state.lost is None}
        begins = self._expected and snapshot.registration is not None
        if begins and self._awaited is not None:
            self._next_file([state.link for state in snapshot.links], there)
        self._try(lambda: self._writer.snapshot(msgspec.to_builtins(snapshot)))
        if not begins:
            return
        self._expected = False
        if self._awaited is None:
            self._awaited = there
            held, self._held = self._held, []
            for event in held:
                self.event(event)

    def gap(self, gap: Gap) -> None:
        """Keep that events were lost; the snapshot that follows says how things stand."""
        self.lost += 1 if gap.last is None else gap.last - gap.first + 1
        self._try(lambda: self._writer.snapshot({"gap": msgspec.to_builtins(gap), "links": []}))

    def _begun(self, link: str) -> None:
        """A link's memory is there: what it says from now on builds on it."""
        if self._awaited is not None and link in self._awaited:
            self._awaited.discard(link)
            self._held = [e for e in self._held if e.header.link.name != link]
        self._moving.discard(link)
        if self._before is not None and not self._moving:
            self._end_before()

    def _next_file(self, links: list[Link], there: set[str]) -> None:
        def begin() -> None:
            self._series.put_away()
            writer = RecordingWriter(self._path, links=links, overwrite=True)
            self._before, self._writer = self._writer, writer
            self._moving = there
            self.files += 1

        self._try(begin)
        if not there:
            self._end_before()

    def _end_before(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            try:
                before.close()
            except LiesError as error:
                self._failed(error)

    def _write(self, event: Indication | Raw) -> None:
        before = self._before if event.header.link.name in self._moving else None
        writer = before or self._writer

        def write() -> None:
            writer.write(event)
            self.events += 1

        self._try(write)

    def _try(self, do: Callable[[], None]) -> None:
        """Do it unless something failed before: raised in a callback an error would be the bus's matter."""
        if self.failure is None:
            try:
                do()
            except LiesError as error:
                self._failed(error)

    def _failed(self, error: LiesError) -> None:
        """The command ends with the first failure."""
        self.failure = self.failure or error
        self.ended.set()
