"""The shell of the replay driver: recordings and traces in, raw items out, at their own pace or faster."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from functools import partial

from lies.association import AssociationRules
from lies.driver import DriverHost, LinkPort
from lies.errors import ConfigError, LiesError
from lies.events import Attached, Detached, DownReason, Link, RawState
from lies.pace import Pace
from lies.radio import RadioDriver, RadioShell
from lies.trace import FileKind, open_trace, rebase_state, sniff
from lies.trace.merge import Radio, merge
from lies_replay.config import ReplayConfig
from lies_replay.entries import Entry, RecordingPlayer, poas_of, renamed, shifted, trace_entries
from lies_replay.follow import TraceSource

log = logging.getLogger(__name__)

DEFAULT_LINK = "replay0"
LOOP_GAP_NS = 1_000_000_000  # between the last item of one pass and the first of the next


class Replay(RadioDriver):
    """Plays a recording or traces through the host's abstract entity.

    t_ns of an item is the time of the start plus what lies between it and the first item in the file, to
    the ns, at every rate; only the delivery is faster. In a part where the association rules decide
    (several traces, or follow_requests) t_ns are those of the driver's clock, which then runs faster.
    """

    Config = ReplayConfig  # TraceFormatError from __init__: a file that is no recording and no whole trace

    def __init__(self, name: str, config: ReplayConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self._recorded = FileKind.RECORDING in {sniff(path) for path in config.paths}
        if not self._recorded:
            for path in config.paths:  # what can never be played is said now, not tried again and again
                open_trace(path)
        self._pace = Pace(0.0 if config.asap else config.rate, clock=host.now_ns)
        self._ports: dict[Link, LinkPort] = {}
        self._attached: dict[Link, str] = {}
        self._link: Link | None = None  # of the shell
        self._unmapped = set(config.map)  # PoAs to be renamed that were not met yet

    async def start(self) -> None:
        """Read the traces, announce the links and begin to play."""
        config: ReplayConfig = self.config
        play: Callable[[], Coroutine[None, None, None]]
        if self._recorded:
            self._check_recording(config)
            play = partial(self._play_items, self._recording_pass)
        else:
            traces = [await asyncio.to_thread(open_trace, path) for path in config.paths]
            radio = merge(traces).window(config.start_s, config.duration_s)
            self._unmapped.difference_update(radio.poas)
            self._say_unmapped()
            link = Link(config.link or DEFAULT_LINK, radio.technology)
            if config.follow_requests or len(traces) > 1:
                play = partial(self._play_radio, radio, self._open(link))
            else:
                self._port(link)
                play = partial(self._play_items, lambda _: trace_entries(radio.traces[0], link))
        if config.paused:
            self.pause()
        self._begin(play)

    def pause(self) -> None:
        """Hold the next item back until `resume`."""
        self._pace.pause()

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        self._pace.resume()

    def _follows(self, link: str) -> bool:
        config: ReplayConfig = self.config
        return config.follow_requests and self._link is not None and link == self._link.name

    def _check_recording(self, config: ReplayConfig) -> None:
        table = f"drivers.{self.name}"
        if len(config.paths) > 1:
            raise ConfigError("a recording is played alone", table=table, key="files")
        if config.follow_requests:
            problem = "a recording's attachments are as recorded; requests can be followed on traces"
            raise ConfigError(problem, table=table, key="follow_requests")

    def _recording_pass(self, first: bool) -> Iterator[Entry]:
        config: ReplayConfig = self.config
        # Later passes begin with the links down: a memory of links that are up would contradict that.
        return RecordingPlayer(
            config.paths[0],
            link=config.link,
            start_s=config.start_s,
            duration_s=config.duration_s,
            with_state=first,
        ).entries()

    def _passes(self) -> Iterator[bool]:
        """One value a pass: whether it is the first."""
        config: ReplayConfig = self.config
        count = 0
        while config.loop == 0 or count < config.loop:
            yield count == 0
            count += 1

    async def _play_items(self, entries: Callable[[bool], Iterator[Entry]]) -> None:
        start_ns = self._pace.now_ns()
        for first in self._passes():
            if not first:
                self._detach_all(start_ns)
                start_ns += LOOP_GAP_NS
            last_ns = start_ns
            for entry in entries(first):
                t_ns = start_ns + entry.offset_ns
                while await self._pace.wait_until(t_ns):
                    continue
                self._feed(entry, t_ns - entry.recorded_ns)
                last_ns = max(last_ns, t_ns)
            start_ns = last_ns
            self._say_unmapped()

    def _say_unmapped(self) -> None:
        """Name what `map` renames and nothing had; once."""
        for poa in sorted(self._unmapped):
            log.warning("%s: map renames %s, but what is played has no such PoA", self.name, poa)
        self._unmapped.clear()

    def _feed(self, entry: Entry, by_ns: int) -> None:
        names, port = self.config.map, self._port(entry.link)
        if isinstance(entry.item, RawState):
            self._unmapped = {poa for poa in self._unmapped if poa.encode() not in entry.item.state}
            try:
                port.restore(rebase_state(entry.item.state, by_ns, names))
            except LiesError as error:
                log.warning("%s: the recorded state is left out: %s", self.name, error)
            return
        if self._unmapped:
            self._unmapped -= poas_of(entry.item)
        item = renamed(shifted(entry.item, by_ns), names)
        if isinstance(item, Attached):
            self._attached[entry.link] = item.poa
        elif isinstance(item, Detached):
            self._attached.pop(entry.link, None)
        port.feed(item)

    def _detach_all(self, t_ns: int) -> None:
        """The end of one pass: what was attached is watched no more."""
        for link, poa in self._attached.items():
            self._port(link).feed(Detached(t_ns, poa, DownReason.DRIVER_LOST))
        self._attached.clear()

    def _port(self, link: Link) -> LinkPort:
        if link not in self._ports:
            self._ports[link] = self.host.add_link(link, controllable=self.config.follow_requests)
        return self._ports[link]

    def _open(self, link: Link) -> RadioShell:
        f = self.config.association
        rules = AssociationRules(f.join_db, f.floor_db, f.lost_after_s, f.scan_delay_s, f.roam_db)
        self._link = link
        return self._open_radio(rules, self._pace, lambda: self._port(link))

    async def _play_radio(self, radio: Radio, shell: RadioShell) -> None:
        for first in self._passes():
            start_ns = self._pace.now_ns() + (0 if first else LOOP_GAP_NS)
            await shell.run(TraceSource(radio, start_ns, self.config.map))
