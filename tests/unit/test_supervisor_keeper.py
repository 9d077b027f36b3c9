"""A keeper starts a plugin, starts it again when it fails, and stops it in bounded time."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from lies._keeper import Ended, Ending, Keeper, Patience
from lies.bus.messages import PluginStatus

QUICK = Patience(start_s=0.2, stop_s=0.1, restart_min_s=0.001, restart_max_s=0.004)


class FakeRoom:
    """A room that does what the test says and writes down what was asked of it."""

    def __init__(self, house: "House", number: int) -> None:
        self.house = house
        self.number = number
        self.end: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Start as the house says."""
        self.house.log.append(f"open {self.number}")
        if self.number <= self.house.broken_starts:
            raise OSError("no radio")
        if self.house.hang_in_start:
            await asyncio.Event().wait()
        self.house.opened.set()

    async def ended(self) -> Ended:
        """End when the test says so."""
        return await asyncio.shield(self.end)

    async def stop(self) -> None:
        """Stop as the house says."""
        self.house.log.append(f"stop {self.number}")
        if self.house.hang_in_stop:
            await asyncio.Event().wait()
        if self.house.broken_stop:
            raise RuntimeError("cannot clear")

    def lost(self) -> None:
        """Note that the links go down."""
        self.house.log.append(f"lost {self.number}")

    def release(self) -> None:
        """Note that the bus forgets the room."""
        self.house.log.append(f"release {self.number}")


class House:
    """Makes the rooms of one keeper."""

    def __init__(
        self,
        *,
        broken_starts: int = 0,
        hang_in_start: bool = False,
        hang_in_stop: bool = False,
        broken_stop: bool = False,
    ) -> None:
        self.broken_starts = broken_starts
        self.hang_in_start = hang_in_start
        self.hang_in_stop = hang_in_stop
        self.broken_stop = broken_stop
        self.log: list[str] = []
        self.rooms: list[FakeRoom] = []
        self.opened = asyncio.Event()

    def room(self) -> FakeRoom:
        """A new room."""
        self.rooms.append(FakeRoom(self, len(self.rooms) + 1))
        return self.rooms[-1]


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The keys of each time that an event was logged."""
    return [vars(record) for record in caplog.records if record.getMessage() == event]


def test_failed_starts_are_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that cannot start is an error once and tried again until it can; each try is cleared away."""
    caplog.set_level(logging.DEBUG)

    async def run() -> House:
        house = House(broken_starts=2)
        keeper = Keeper("wlan0", house.room, QUICK)
        await keeper.start()
        await asyncio.wait_for(house.opened.wait(), 2)
        await keeper.stop()
        return house

    house = asyncio.run(run())
    assert [entry for entry in house.log if entry.startswith(("open", "stop"))] == [
        "open 1",
        "stop 1",
        "open 2",
        "stop 2",
        "open 3",
        "stop 3",
    ]
    failed = said(caplog, "failed; it is started again")
    assert [(f["plugin"], f["reason"], f["starts"], f["pause_s"]) for f in failed] == [
        ("wlan0", "did not start: OSError: no radio", 1, 0.001),
        ("wlan0", "did not start: OSError: no radio", 2, 0.002),
    ]
    assert [f["levelname"] for f in failed] == ["ERROR", "DEBUG"]


def test_failures_of_what_ran_are_all_errors(caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that had started is an error each time that it fails, also for the same reason."""
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        house = House()
        keeper = Keeper("wlan0", house.room, QUICK)
        await keeper.start()
        for number in (1, 2):
            async with asyncio.timeout(20):
                while len(house.rooms) < number or keeper.status is not PluginStatus.RUNNING:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.001)
            house.rooms[-1].end.set_result(Ended(Ending.FAILED, "unplugged"))
            async with asyncio.timeout(20):
                while len(house.rooms) == number:  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.001)
        await keeper.stop()

    asyncio.run(run())
    failed = said(caplog, "failed; it is started again")
    assert [(f["levelname"], f["reason"]) for f in failed] == [("ERROR", "unplugged")] * 2


def test_start_returns_after_a_failed_attempt() -> None:
    """The others need not wait for a plugin that cannot start."""

    async def run() -> int:
        house = House(broken_starts=1000)
        keeper = Keeper("wlan0", house.room, Patience(restart_min_s=60.0, restart_max_s=60.0))
        await asyncio.wait_for(keeper.start(), 2)
        await asyncio.wait_for(keeper.stop(), 2)
        return keeper.starts

    assert asyncio.run(run()) == 1


def test_failure_takes_links_away_before_the_stop() -> None:
    """Who fails later loses its links at once and then is stopped and started again."""

    async def run() -> House:
        house = House()
        keeper = Keeper("wlan0", house.room, QUICK)
        await keeper.start()
        house.opened.clear()
        house.rooms[0].end.set_result(Ended(Ending.FAILED, "radio gone"))
        await asyncio.wait_for(house.opened.wait(), 2)
        await keeper.stop()
        return house

    house = asyncio.run(run())
    assert house.log[:4] == ["open 1", "lost 1", "stop 1", "release 1"]
    assert "open 2" in house.log
    assert house.log[-2:] == ["stop 2", "release 2"]


def test_finished_is_not_started_again() -> None:
    """A replay that came to its end stays ended."""

    async def run() -> tuple[House, Keeper]:
        house = House()
        keeper = Keeper("replay", house.room, QUICK)
        await keeper.start()
        house.rooms[0].end.set_result(Ended(Ending.FINISHED))
        await asyncio.wait_for(keeper.done(), 2)
        await keeper.stop()
        return house, keeper

    house, keeper = asyncio.run(run())
    assert keeper.starts == 1
    assert house.log == ["open 1", "lost 1", "stop 1", "release 1"]


@pytest.mark.parametrize("where", ["start", "stop"])
def test_hanging_plugin_is_left_behind(where: str, caplog: pytest.LogCaptureFixture) -> None:
    """Who hangs while starting or stopping holds up the daemon for a bounded time only."""

    async def run() -> House:
        house = House(hang_in_start=where == "start", hang_in_stop=where == "stop")
        keeper = Keeper("wlan0", house.room, QUICK)
        await asyncio.wait_for(keeper.start(), 2)
        await asyncio.wait_for(keeper.stop(), 2)
        return house

    house = asyncio.run(run())
    assert house.log[-1] == "release 1"
    if where == "start":
        (late,) = said(caplog, "still starting; the others go on")
    else:
        (late,) = said(caplog, "did not stop in time; it is left behind")
    assert (late["plugin"], late["after_s"]) == ("wlan0", 0.2 if where == "start" else 0.1)


def test_broken_stop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An error while stopping is logged and nothing else."""

    async def run() -> None:
        keeper = Keeper("wlan0", House(broken_stop=True).room, QUICK)
        await keeper.start()
        await keeper.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    (unclean,) = said(caplog, "did not stop cleanly")
    assert (unclean["plugin"], unclean["reason"]) == ("wlan0", "RuntimeError: cannot clear")


def test_keeper_says_how_its_plugin_is() -> None:
    """Status, reason and time of the next start are there for who asks; what runs has no next start."""

    async def run() -> list[tuple[PluginStatus, str, bool]]:
        house = House(broken_starts=1)
        keeper = Keeper("wlan0", house.room, Patience(restart_min_s=0.2, restart_max_s=0.2))
        seen = [(keeper.status, keeper.reason, keeper.retry_s is None)]
        await keeper.start()
        await eventually(lambda: keeper.retry_s is not None)
        seen.append((keeper.status, keeper.reason, keeper.retry_s is None))
        await eventually(lambda: keeper.status is PluginStatus.RUNNING)
        seen.append((keeper.status, keeper.reason, keeper.retry_s is None))
        await keeper.stop()
        return seen

    assert asyncio.run(run()) == [
        (PluginStatus.STARTING, "", True),
        (PluginStatus.FAILED, "did not start: OSError: no radio", False),
        (PluginStatus.RUNNING, "did not start: OSError: no radio", True),
    ]


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - a keeper tells nobody
            await asyncio.sleep(0.005)


def test_pause_grows_to_its_limit(caplog: pytest.LogCaptureFixture) -> None:
    """The pause between starts doubles up to restart_max_s."""
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        house = House(broken_starts=4)
        keeper = Keeper("wlan0", house.room, QUICK)
        await keeper.start()
        await asyncio.wait_for(house.opened.wait(), 2)
        await keeper.stop()

    asyncio.run(run())
    pauses = [failed["pause_s"] for failed in said(caplog, "failed; it is started again")]
    assert pauses == [0.001, 0.002, 0.004, 0.004]
