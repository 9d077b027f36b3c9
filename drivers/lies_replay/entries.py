"""What a replay feeds and when: traces and recordings as one kind of stream.

Only raw samples and driver inputs come out, never a recorded indication. Times are offsets from the
first item played, in ns, exactly as recorded.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, frozen

from lies.errors import TraceFormatError
from lies.events import Attached, Detached, Header, Link, RawItem, RawState, Sample, Served, Warned
from lies.trace import Timeline, Trace, attached_after, item_of
from lies.trace.recording import Position, header_of, read_recording

log = logging.getLogger(__name__)
DAMAGE = {
    "damaged": "%s: damaged at record %d: %d octets cannot be read and are left out",
    "torn": "%s: torn at record %d: the last %d octets are no whole record",
}


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
    out_ns, in_ns = (None if ns is None else ns + by_ns for ns in (item.port_out_ns, item.port_in_ns))
    return evolve(item, t_ns=item.t_ns + by_ns, port_out_ns=out_ns, port_in_ns=in_ns)


def renamed(item: RawItem, names: Mapping[str, str]) -> RawItem:
    """The item with its PoAs renamed."""
    if not names or isinstance(item, Served):
        return item
    if not isinstance(item, Sample):
        return evolve(item, poa=names.get(item.poa, item.poa))
    heard = item.neighbours
    return evolve(
        item,
        poa=names.get(item.poa, item.poa) if item.poa is not None else None,
        neighbours=None if heard is None else tuple(evolve(n, poa=names.get(n.poa, n.poa)) for n in heard),
    )


def poas_of(item: RawItem) -> set[str | None]:
    """The PoAs that an item names."""
    if isinstance(item, Served):
        return set()
    heard = item.neighbours if isinstance(item, Sample) else None
    return {item.poa, *(n.poa for n in heard or ())}


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
        timeline = Timeline()
        count = 0
        pending: list[RawState] = []
        for record in read_recording(self._path, start_ns=self._start_ns):
            match record.type:
                case "header":
                    timeline.begin_session()
                    self._begun.clear()
                    self._header_links(header_of(record.data).links)
                case "skipped":
                    timeline = self._skip_to(record.data["position"])
                case "damaged" | "torn":
                    log.warning(DAMAGE[record.type], self._path, record.number, record.data["octets"])
            event = record.event
            if isinstance(event, RawState):
                pending.append(event)
            item = item_of(event)
            if item is None or event is None:
                continue
            offset_ns = timeline.offset_ns(item.t_ns)
            if self._end_ns is not None and offset_ns > self._end_ns:
                break
            for entry in self._entries(offset_ns - self._start_ns, item, event.header, pending):
                count += 1
                yield entry
            pending.clear()
        if not count:
            raise TraceFormatError("has no raw line to play in that part", file=str(self._path))

    def _entries(
        self,
        offset_ns: int,
        item: RawItem,
        header: Header,
        states: list[RawState],
    ) -> Iterator[Entry]:
        for state in states:
            link = self._link(state.header.link)
            # A later state of one epoch says nothing that the raw lines between have not said.
            if link is not None and self._with_state and self._begun.get(link) != state.header.epoch:
                self._begun[link] = state.header.epoch
                yield Entry(offset_ns, item.t_ns, link, state)
        link = self._link(header.link)
        if link is None:
            return
        before = self._serving.get(link)
        self._serving[link] = attached_after(item, before)
        if offset_ns < 0:
            return
        if link not in self._begun:
            self._begun[link] = header.epoch
            serving = before or (item.poa if isinstance(item, Sample) else None)
            if isinstance(item, Detached | Warned):
                serving = item.poa
            if serving is not None and not isinstance(item, Attached):
                yield Entry(offset_ns, item.t_ns, link, Attached(item.t_ns, serving))
        yield Entry(offset_ns, item.t_ns, link, item)

    def _skip_to(self, position: Position) -> Timeline:
        """Take over what the part left out has shown."""
        for recorded, poa in position.serving.items():
            link = self._link(recorded)
            if link is not None:
                self._serving[link] = poa
        return position.timeline

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
