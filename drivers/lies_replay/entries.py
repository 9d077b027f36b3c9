"""What a replay feeds and when: traces and recordings as one kind of stream.

Only raw samples and driver inputs come out, never a recorded indication. Times are offsets from the
first item played, in ns, exactly as recorded.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, frozen

from lies.errors import TraceFormatError
from lies.events import (
    Attached,
    Detached,
    Link,
    RawAttached,
    RawDetached,
    RawItem,
    RawSample,
    RawState,
    Sample,
)
from lies.trace import Trace
from lies.trace.recording import HEADER, header_of, read_recording


@frozen
class Entry:
    """One item of one link; offset_ns: from the first item played; recorded_ns: its own recorded time."""

    offset_ns: int
    recorded_ns: int
    link: Link
    item: RawItem | RawState


def shifted(item: RawItem, by_ns: int) -> RawItem:
    """The item with all its times moved."""
    if not isinstance(item, Attached):
        return evolve(item, t_ns=item.t_ns + by_ns)
    moved = (None if ns is None else ns + by_ns for ns in (item.port_out_ns, item.port_in_ns))
    return Attached(item.t_ns + by_ns, item.poa, *moved)


def renamed(item: RawItem, names: Mapping[str, str]) -> RawItem:
    """The item with its PoAs renamed."""
    if not names:
        return item
    if not isinstance(item, Sample):
        return evolve(item, poa=names.get(item.poa, item.poa))
    heard = item.neighbours
    return evolve(
        item,
        poa=names.get(item.poa, item.poa) if item.poa is not None else None,
        neighbours=None if heard is None else tuple(evolve(n, poa=names.get(n.poa, n.poa)) for n in heard),
    )


def trace_entries(trace: Trace, link: Link) -> Iterator[Entry]:
    """The items of one trace."""
    first_ns: int | None = None
    for t_ns, item in trace.items():
        first_ns = t_ns if first_ns is None else first_ns
        yield Entry(t_ns - first_ns, t_ns, link, item)


class RecordingPlayer:
    """One pass over a recording.

    with_state: recorded memories of the abstract entity are given out, so that indications go on exactly
    where the recording began; otherwise, and when start_s skips them, a link that was attached when the
    part played begins is Attached at its first item.
    """

    def __init__(
        self, path: Path, *, link: str | None, start_s: float, duration_s: float | None, with_state: bool
    ) -> None:
        self._path = path
        self._wanted = link
        self._start_ns = round(start_s * 1e9)
        self._end_ns = None if duration_s is None else self._start_ns + round(duration_s * 1e9)
        self._with_state = with_state and self._start_ns == 0
        self._exact = False  # the header names the wanted link: others are left out
        self._renamed: Link | None = None
        self._serving: dict[Link, str | None] = {}  # as of the last item, if it is known
        self._begun: dict[Link, int] = {}  # links that have had something given out -> publisher's epoch

    def entries(self) -> Iterator[Entry]:
        """The entries in file order; TraceFormatError if there is nothing to play."""
        first_ns: int | None = None
        base_ns = last_ns = 0  # of this session: offset = base + recorded - first
        count, new_session = 0, False
        pending: list[RawState] = []
        for record in read_recording(self._path):
            if record.type == HEADER:
                new_session = record.number > 1
                self._begun.clear()
                self._header_links(header_of(record.data).links)
            event = record.event
            if isinstance(event, RawState):
                pending.append(event)
            if not isinstance(event, RawSample | RawAttached | RawDetached):
                continue
            item = _item_of(event)
            if first_ns is None or (new_session and item.t_ns < last_ns):
                base_ns = 0 if first_ns is None else base_ns + last_ns - first_ns
                first_ns = item.t_ns
            new_session, last_ns = False, item.t_ns
            offset_ns = base_ns + item.t_ns - first_ns
            if self._end_ns is not None and offset_ns > self._end_ns:
                break
            for entry in self._entries(offset_ns - self._start_ns, item, event, pending):
                count += 1
                yield entry
            pending.clear()
        if not count:
            raise TraceFormatError("has no raw line to play in that part", file=str(self._path))

    def _entries(
        self,
        offset_ns: int,
        item: RawItem,
        event: RawSample | RawAttached | RawDetached,
        states: list[RawState],
    ) -> Iterator[Entry]:
        for state in states:
            link = self._link(state.header.link)
            # A later state of one epoch says nothing that the raw lines between have not said.
            if link is not None and self._with_state and self._begun.get(link) != state.header.epoch:
                self._begun[link] = state.header.epoch
                yield Entry(offset_ns, item.t_ns, link, state)
        link = self._link(event.header.link)
        if link is None:
            return
        before = self._serving.get(link)
        self._serving[link] = None if isinstance(item, Detached) else item.poa or before
        if offset_ns < 0:
            return
        if link not in self._begun:
            self._begun[link] = event.header.epoch
            serving = before or (item.poa if isinstance(item, Sample) else None)
            if isinstance(item, Detached):
                serving = item.poa
            if serving is not None and not isinstance(item, Attached):
                yield Entry(offset_ns, item.t_ns, link, Attached(item.t_ns, serving))
        yield Entry(offset_ns, item.t_ns, link, item)

    def _header_links(self, links: tuple[Link, ...]) -> None:
        names = {n.name for n in links}
        self._exact = self._wanted in names
        if self._wanted is not None and len(names) > 1 and not self._exact:
            problem = f"has no link {self._wanted!r}, but {', '.join(sorted(names))}"
            raise TraceFormatError(problem, file=str(self._path))

    def _link(self, recorded: Link) -> Link | None:
        """The link under its replayed name, None if it is not to be played."""
        if self._wanted is None or recorded.name == self._wanted:
            return recorded
        if self._exact:
            return None
        if self._renamed is None:
            self._renamed = recorded
        return Link(self._wanted, recorded.technology) if recorded == self._renamed else None


def _item_of(event: RawSample | RawAttached | RawDetached) -> RawItem:
    match event:
        case RawSample():
            return event.sample
        case RawAttached():
            return event.attached
        case RawDetached():
            return event.detached
