"""A consumer that is stopped, and a crowd of consumers that come and go: nobody else pays for them."""

import asyncio
import random
import signal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from polling import wait_until

from lies.bus import Client
from soak.account import Book
from soak.metronome_config import metronome
from soak.rig import PATIENCE_S, Bed, Watched

RATE_HZ = 1000.0


def _late_us(file: Path) -> dict[int, int]:
    """Number -> how late it was."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {int(n): int(us) for n, us in (line.split() for line in lines)}


def _spread(late: dict[int, int], first: int, last: int) -> dict[str, float]:
    part = [us / 1000 for n, us in late.items() if first <= n <= last]
    return {"median": median(part), "p99": quantiles(part, n=100)[98], "max": max(part)}


def stopped_consumer(bed: Bed) -> None:
    """SIGSTOP for 10 s at 1,000 events/s: no driver waits, nobody else misses anything, no count is wrong."""
    beats = bed.part(10_000)
    late_file = bed.directory / "late"
    one = bed.daemon(metronome("a", rate_hz=RATE_HZ, link="tick0", late_file=late_file))
    witness = bed.witness()
    stopped = bed.consumer("stopped")
    wait_until(lambda: stopped.report()["ready"], PATIENCE_S)
    watched = Watched(one.process.pid)
    descriptors = watched.descriptors

    free_from = witness.link()["last"] + 1
    witness.wait_beyond(free_from + beats)
    free_to = witness.link()["last"]
    rss_mb = watched.rss_mb
    stopped.process.send_signal(signal.SIGSTOP)
    held_from = witness.link()["last"] + 1
    witness.wait_beyond(held_from + beats)  # so many beats while it is stopped: the driver did not wait
    held_to = witness.link()["last"]
    grown_mb = watched.rss_mb - rss_mb
    stopped.process.send_signal(signal.SIGCONT)
    stopped.wait_beyond(held_to)

    wait_until(lambda: max(_late_us(late_file), default=0) > held_to, PATIENCE_S)
    late = _late_us(late_file)
    free, held = _spread(late, free_from, free_to), _spread(late, held_from, held_to)
    seen = bed.nothing_missed(witness)
    account = bed.nothing_missed(stopped, told=True)
    check, values = bed.figures.check, bed.figures.values
    check(account["inexact"] == 0, f"{account['inexact']} gaps of another length than the hole")
    check(account["resets"] == 0, "the stopped consumer lost its session")
    check(grown_mb < 32, f"the daemon grew by {grown_mb:.1f} MB")
    check(watched.descriptors == descriptors, f"{watched.descriptors} descriptors, {descriptors} before")
    values.update({f"late_{key}_ms": ms for key, ms in free.items()})
    values.update({f"late_stopped_{key}_ms": ms for key, ms in held.items()})
    values.update(
        events_while_stopped=held_to - held_from + 1,
        witness_missed=seen["told"],
        stopped_got=account["events"],
        stopped_told_lost=account["told"],
        grown_mb=grown_mb,
    )
    if bed.scale >= 1:  # on a loaded machine a tenth says nothing of time
        check(account["told"], "ten seconds were too short to overflow: no gap was tried")
        check(held["median"] < 2 * free["median"] + 2, "the driver was later while a consumer was stopped")
        check(held["max"] < 1000, "the driver waited while a consumer was stopped")
    bed.end(one, stopped, witness)


class _Guest:
    """One of the crowd: joins, stays for a while, leaves."""

    def __init__(self, name: str, directory: Path, rng: random.Random) -> None:
        self.name = name
        self.directory = directory
        self.rng = rng
        self.visits: list[dict[str, Any]] = []

    async def come_and_go(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            book = Book()
            async with await Client.connect(
                self.directory, name=self.name, timeout_s=PATIENCE_S, request_timeout_s=PATIENCE_S
            ) as client:
                client.on_event(book.event)
                client.on_gap(book.gap)
                client.on_snapshot(book.snapshot)
                await client.register("link_up")
                await self._wait(stop, self.rng.uniform(0.0, 2.0))
            self.visits.append(book.report())
            await self._wait(stop, self.rng.uniform(0.0, 1.0))

    async def _wait(self, stop: asyncio.Event, pause_s: float) -> None:
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting}, timeout=pause_s)
        waiting.cancel()


def crowd(bed: Bed) -> None:
    """20 consumers join and leave at random for a minute: each sees the snapshot and what follows it."""
    one = bed.daemon(metronome("a", rate_hz=200.0, link="tick0"))
    witness = bed.witness()
    watched = Watched(one.process.pid)
    descriptors, rss_mb = watched.descriptors, watched.rss_mb
    length_s = 60.0 * bed.scale
    guests = [_Guest(f"guest{n}", one.run_dir, random.Random(n)) for n in range(20)]

    async def party() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(length_s, stop.set)
        async with asyncio.TaskGroup() as group:
            for guest in guests:
                group.create_task(guest.come_and_go(stop))

    asyncio.run(party())
    visits = [visit for guest in guests for visit in guest.visits]
    accounts = [visit["links"]["tick0"] for visit in visits]
    check = bed.figures.check
    for fault in ("holes", "doubles", "early", "told", "resets"):
        found = sum(account[fault] for account in accounts)
        check(not found, f"{found} {fault} among {len(accounts)} visits")
    check(all(account["snapshots"] == 1 for account in accounts), "a visit without its snapshot")
    check(len(visits) >= len(guests), "not everybody came")
    seen = bed.nothing_missed(witness)
    wait_until(lambda: watched.descriptors <= descriptors, PATIENCE_S)
    grown_mb = watched.rss_mb - rss_mb
    check(grown_mb < 16, f"the daemon grew by {grown_mb:.1f} MB")
    bed.figures.values.update(
        guests=len(guests),
        visits=len(visits),
        events=sum(account["events"] for account in accounts),
        witness_events=seen["events"],
        witness_missed=seen["told"],
        grown_mb=grown_mb,
    )
    bed.end(one, witness)
