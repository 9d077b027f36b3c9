"""Promises of the bus that two sides keep together, on real sockets and with the daemon's own settings."""

from pathlib import Path
from typing import Any

import pytest
from bus_rig import WLAN, daemon, hear, on_loop, until

from lies.bus import Client
from lies.bus._outbox import Outbox
from lies.bus.server import HEARTBEAT_S
from lies.events import Crossing, Quality

TOLD_WITHIN_S = 1.0  # DESIGN: a lost tail is noticed by then


@on_loop
async def test_heartbeats_reveal_a_lost_tail_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost tail is revealed by the next heartbeat, which by default comes in time, and repaired."""
    losing = False
    deliver, compare, repair = Outbox.deliver, Client._compare, Client._repair
    heartbeats = 0
    revealed: list[int] = []  # by which heartbeat after the loss

    def lossy(box: Outbox, *delivery: Any) -> None:
        if not losing:
            deliver(box, *delivery)

    def counted(client: Client, last: dict[int, int]) -> None:
        nonlocal heartbeats
        heartbeats += 1
        compare(client, last)

    def noted(client: Client, *missing: Any) -> None:
        revealed.append(heartbeats)
        repair(client, *missing)

    monkeypatch.setattr(Outbox, "deliver", lossy)
    monkeypatch.setattr(Client, "_compare", counted)
    monkeypatch.setattr(Client, "_repair", noted)
    async with (
        daemon(tmp_path / "run", heartbeat_s=HEARTBEAT_S) as d,
        await Client.connect(d.directory, name="mn") as client,
    ):
        heard = hear(client)
        await client.register("link_up")
        for n in range(3):
            d.driver.up(f"early{n}")
        await until(lambda: len(heard.events) == 3)
        losing = True
        for n in range(5):
            d.driver.up(f"tail{n}")
        losing, heartbeats = False, 0
        await until(lambda: len(heard.events) == 8)
        # One may have been on its way when the tail was lost.
        assert revealed[0] * HEARTBEAT_S < TOLD_WITHIN_S
        assert revealed[0] <= 2
        assert [m.poa for m in heard.events[3:]] == [f"tail{n}" for n in range(5)]
        assert heard.gaps == []


@on_loop
async def test_each_consumer_has_its_own_threshold(tmp_path: Path) -> None:
    """Two consumers with different thresholds on one link get each what crosses its own; a third gets all."""
    async with (
        daemon(tmp_path / "run") as d,
        await Client.connect(d.directory, name="early") as early,
        await Client.connect(d.directory, name="late") as late,
        await Client.connect(d.directory, name="all") as every,
    ):
        heard = [hear(client) for client in (early, late, every)]
        for client, threshold in ((early, Quality.GOOD), (late, Quality.BAD)):
            await client.register("link_status_changed", WLAN.name, event=Crossing.BELOW, threshold=threshold)
        await every.register("link_status_changed", WLAN.name)
        d.driver.up("ap1")
        levels = [Quality.EXCELLENT, Quality.GOOD, Quality.FAIR, Quality.BAD, Quality.NONE, Quality.GOOD]
        for level in levels:
            d.driver.level(level)
        await until(lambda: len(heard[2].events) == len(levels))
        await until(lambda: heard[0].events and heard[1].events)
        assert [m.condition.quality for m in heard[0].events] == [Quality.FAIR]
        assert [m.condition.quality for m in heard[1].events] == [Quality.NONE]
        assert [m.condition.quality for m in heard[2].events] == levels
        await early.disable(1)
        d.driver.level(Quality.NONE)
        await until(lambda: len(heard[1].events) == 2)
        assert len(heard[0].events) == 1
