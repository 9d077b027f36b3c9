"""What the driver asks of the kernel and sets in it: each thing once at a time, the pressing ones first."""

import asyncio
import errno
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial

from lies.errors import LiesError, MalformedMessage
from lies.runtime import monotonic_ns
from lies_nl80211 import interfaces, requests, uapi
from lies_nl80211.attributes import Frame, attributes, generic, text, unsigned
from lies_nl80211.channel import Channel, Refused
from lies_nl80211.config import Nl80211Config
from lies_nl80211.door import Door
from lies_nl80211.items import Answer, Ask, Carry, Query, Scan, Taken, Watch
from lies_nl80211.messages import Bss, Interface, Station, Survey
from lies_nl80211.reader import read

log = logging.getLogger(__name__)

_Entry = Interface | Station | Bss | Survey
_BODIES: dict[Query, Callable[[int], bytes]] = {
    Query.INTERFACES: lambda _: requests.get_interfaces(),
    Query.STATIONS: requests.get_stations,
    Query.SCAN: requests.get_scan,
    Query.SURVEY: requests.get_survey,
}
MOST_ENTRIES = 16384  # of one dump; the kernel's scan table has 1000 for a radio
_NOT_PERMITTED = {errno.EPERM, errno.EACCES}
RETRY_S = 1.0  # after a question that must be answered
_USUAL = {errno.EBUSY, errno.ENETDOWN, errno.ENODEV, errno.EAGAIN}  # of a scan that cannot be made just then


class Questions:
    """Two channels, so that a long scan table holds up no question about the link itself.

    answered: gets every Answer; failed: what the driver cannot go on after.
    """

    def __init__(
        self,
        door: Door,
        config: Nl80211Config,
        answered: Callable[[Answer], None],
        failed: Callable[[Exception], None],
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._door = door
        self._config = config
        self._answered = answered
        self._failed = failed
        self._now_ns = now_ns
        self._quick: Channel | None = None
        self._slow: Channel | None = None
        self._route: Channel | None = None
        self._family = 0
        self._waiting: dict[tuple[Query, int], Ask] = {}
        self._work = {True: asyncio.Event(), False: asyncio.Event()}  # by whether it is quick
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: set[int] = set()
        self._levels: dict[int, tuple[int, ...]] = {}  # as wanted last
        self._said: set[str] = set()

    async def open(self) -> list[int]:
        """Find nl80211; the numbers of its multicast groups. LiesError where there is none."""
        self._quick = Channel(self._door.generic())  # one by one: what is open is closed if the next fails
        self._slow = Channel(self._door.generic())
        self._route = Channel(self._door.route())
        answer: list[dict[int, bytes]] = []

        def take(frame: Frame) -> None:
            parsed = generic(frame.body)
            if parsed is not None:
                answer.append(parsed[1])

        try:
            await self._quick.ask(uapi.GENL_ID_CTRL, 0, requests.get_family(), take)
        except Refused as error:
            if error.errno in _NOT_PERMITTED:
                raise LiesError(
                    "this process may not use nl80211: run the daemon as root or with CAP_NET_ADMIN in the "
                    "network namespace of the wireless interfaces"
                ) from error
            raise LiesError(
                "this kernel has no nl80211: load it (modprobe cfg80211, or your radio's module), or take "
                "the driver nl80211 out of the configuration"
            ) from error
        found = answer[0] if answer else {}
        self._family = unsigned(found.get(uapi.CTRL_ATTR_FAMILY_ID)) or 0
        if not self._family:
            raise LiesError("the kernel's answer about nl80211 has no family number: update the kernel")
        self._spawn(self._run(self._quick, quick=True))
        self._spawn(self._run(self._slow, quick=False))
        return _groups(found.get(uapi.CTRL_ATTR_MCAST_GROUPS, b""))

    async def close(self) -> None:
        """Have the kernel forget the thresholds that were set; close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for index in self._watched:
            with suppress(LiesError, OSError):
                await self._set(requests.set_thresholds(index, (), 0))
        self._watched.clear()
        for channel in (self._quick, self._slow, self._route):
            if channel is not None:
                channel.close()
        self._quick = self._slow = self._route = None

    def put(self, action: Ask | Watch | Scan) -> None:
        """Do it as soon as its turn comes; a question that waits already is replaced."""
        match action:
            case Ask(query=query, index=index):
                self._waiting[query, index] = action
                self._work[_is_quick(query)].set()
            case Watch():
                self._spawn(self._watch(action))
            case Scan():
                self._spawn(self._scan(action))

    def carry_out(self, carry: Carry, taken: Callable[[Taken], None]) -> None:
        """Send the requests of an order in order, and say whether one is refused."""
        self._spawn(self._carry_out(carry, taken))

    async def links(self, take: Callable[[Frame], None]) -> None:
        """Every interface as route netlink has it."""
        if self._route is not None:
            await self._route.ask(uapi.RTM_GETLINK, uapi.NLM_F_DUMP, interfaces.get_links(), take)

    def links_again(self, take: Callable[[Frame], None]) -> None:
        """As `links`, at some time soon."""

        async def again() -> None:
            while True:
                try:
                    return await self.links(take)
                except (LiesError, OSError) as error:
                    log.debug("the interfaces of route netlink: %s", error)
                await asyncio.sleep(RETRY_S)

        self._spawn(again())

    # ---- dumps

    async def _run(self, channel: Channel, *, quick: bool) -> None:
        work = self._work[quick]
        while True:
            await work.wait()
            key = min((k for k in self._waiting if _is_quick(k[0]) is quick), key=_order, default=None)
            if key is None:
                work.clear()
                continue
            ask = self._waiting.pop(key)
            self._answered(await self._dump(channel, ask))

    async def _dump(self, channel: Channel, ask: Ask) -> Answer:
        body = _BODIES[ask.query](ask.index)
        entries: list[_Entry] = []
        try:
            for _ in range(3):
                entries.clear()
                if await channel.ask(self._family, uapi.NLM_F_DUMP, body, partial(self._take, entries)):
                    break
        except (LiesError, OSError) as error:
            log.debug("%s of interface %d: %s", ask.query.value, ask.index, error)
            return Answer(ask, self._now_ns(), None)
        return Answer(ask, self._now_ns(), tuple(entries))

    def _take(self, entries: list[_Entry], frame: Frame) -> None:
        parsed = generic(frame.body) if frame.kind == self._family else None
        if parsed is None or len(entries) >= MOST_ENTRIES:
            return
        try:
            found = read(*parsed)
        except MalformedMessage as error:
            self._say(logging.WARNING, f"a part of the kernel's answer is left out: {error}")
            return
        if isinstance(found, _Entry):
            entries.append(found)

    # ---- settings

    async def _set(self, body: bytes) -> None:
        if self._quick is not None:
            await self._quick.ask(self._family, 0, body, lambda _: None)

    async def _watch(self, watch: Watch) -> None:
        """All thresholds, or the one that matters most, where the radio has room for one only."""
        levels = self._levels[watch.index] = watch.levels_dbm
        nearest = sorted(levels, key=lambda level: abs(level - self._config.near_dbm))[:1]
        why = ""
        for tried in (levels, tuple(nearest)):
            if self._levels[watch.index] != levels:
                return  # others are wanted by now
            try:
                await self._set(requests.set_thresholds(watch.index, tried, self._config.cqm_hysteresis_db))
            except (LiesError, OSError) as error:
                if _errno(error) in _NOT_PERMITTED:
                    self._say(
                        logging.WARNING,
                        "the kernel does not let this process set signal thresholds: links are sampled "
                        "instead; run the daemon with CAP_NET_ADMIN, or set cqm_dbm = []",
                    )
                    return
                why = str(error)
            else:
                self._watched.add(watch.index)
                return
            if not levels:
                return  # it was told of none before either, then
        self._say(logging.INFO, f"{watch.link} does not tell of signal levels ({why}): it is sampled instead")

    async def _scan(self, scan: Scan) -> None:
        try:
            await self._set(requests.trigger_scan(scan.index, scan.ssid, scan.frequencies_mhz))
        except (LiesError, OSError) as error:
            if _errno(error) in _NOT_PERMITTED:
                self._say(
                    logging.WARNING,
                    "the kernel does not let this process scan: only what others' scans find is known; run "
                    "the daemon with CAP_NET_ADMIN, or set scan_s = 0",
                )
            elif _errno(error) not in _USUAL:
                self._say(logging.INFO, f"no own scan: {error}")

    async def _carry_out(self, carry: Carry, taken: Callable[[Taken], None]) -> None:
        why = None
        try:
            for body in carry.requests:
                await self._set(body)
        except (LiesError, OSError) as error:
            hint = "; run the daemon with CAP_NET_ADMIN" if _errno(error) in _NOT_PERMITTED else ""
            why = f"the kernel refused it: {error}{hint}"
        taken(Taken(carry.order.link, carry.number, why))

    def _say(self, level: int, sentence: str) -> None:
        """Once for each sentence."""
        if sentence not in self._said and len(self._said) < 100:
            self._said.add(sentence)
            log.log(level, "%s", sentence)

    # ---- tasks

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error if isinstance(error, Exception) else RuntimeError(str(error)))


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _is_quick(query: Query) -> bool:
    return query in {Query.INTERFACES, Query.STATIONS}


def _order(key: tuple[Query, int]) -> tuple[int, int]:
    return list(Query).index(key[0]), key[1]


def _groups(value: bytes) -> list[int]:
    """The numbers of the groups that the driver listens to."""
    found = []
    for _, entry in attributes(value):
        group = dict(attributes(entry))
        number = unsigned(group.get(uapi.CTRL_ATTR_MCAST_GRP_ID))
        if number is not None and text(group.get(uapi.CTRL_ATTR_MCAST_GRP_NAME)) in uapi.GROUPS:
            found.append(number)
    return found
