"""The public API as its users write it: read by type checkers only, never run."""

from pathlib import Path
from typing import Any, assert_type

from attrs import frozen

from lies.bus import BlockingClient, Client, Gap, LinkState, Snapshot
from lies.consumer import BusClient, Consumer
from lies.driver import Driver, DriverHost, LinkPort
from lies.errors import LiesError, LinkError, LinkErrorReason
from lies.events import (
    Attached,
    Condition,
    Crossing,
    Detached,
    DownReason,
    HandoverDone,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkStatusChanged,
    LinkStatusConfirm,
    LinkUp,
    PoACondition,
    PoAListConfirm,
    Quality,
    Raw,
    RawItem,
    Sample,
    Technology,
)
from lies.events.json import from_json_object, to_json_object
from lies.runtime import Runtime
from lies.sim import Part, SimOptions, Simulation, Verdict, summary


async def consumer(directory: Path) -> None:
    """All verbs of a client, with the types of what they return."""
    async with await Client.connect(directory, name="mine") as client:
        as_protocol: BusClient = client
        assert_type(await client.register("link_up"), int)
        number = await as_protocol.register(
            "link_status_changed", "wlan0", event=Crossing.BELOW, threshold=Quality.FAIR
        )
        await client.register("link_going_down", min_confidence=0.5)
        assert_type(await client.link_status("wlan0"), LinkStatusConfirm)
        candidates = await client.poa_list("wlan0")
        assert_type(candidates, PoAListConfirm)
        assert_type(candidates.poas, tuple[PoACondition, ...])
        assert_type(await client.links(), tuple[LinkState, ...])
        try:
            await client.link_connect("wlan0", candidates.poas[0].poa)
            await client.link_disconnect("wlan0")
        except LinkError as error:
            assert_type(error.reason, LinkErrorReason)
        client.on_gap(on_gap)
        client.on_snapshot(on_snapshot)
        async for event in client.events():
            assert_type(event, Indication | Raw)
            match event:
                case LinkGoingDown(poa=poa, time_to_down_ms=left_ms, confidence=confidence):
                    assert_type(poa, str)
                    assert_type(left_ms, float)
                    assert_type(confidence, float)
                case LinkDown(reason=reason):
                    assert_type(reason, DownReason)
                case LinkStatusChanged(condition=condition):
                    assert_type(condition, Condition)
                case HandoverDone(fbu_ns=fbu_ns):
                    assert_type(fbu_ns, int | None)
                case _:
                    assert_type(event.header, Header)
        await client.disable(number)


def blocking_consumer(directory: Path) -> None:
    """All verbs of a client without an event loop, with the types of what they return."""
    with BlockingClient.connect(directory, name="mine", timeout_s=1.0) as client:
        assert_type(client, BlockingClient)
        number = client.register("link_status_changed", "wlan0", event=Crossing.ABOVE, threshold=Quality.GOOD)
        assert_type(number, int)
        assert_type(client.link_status("wlan0"), LinkStatusConfirm)
        assert_type(client.poa_list("wlan0").poas, tuple[PoACondition, ...])
        assert_type(client.links(), tuple[LinkState, ...])
        client.on_gap(on_gap)
        client.on_snapshot(on_snapshot)
        for event in client.events(timeout_s=5.0):
            assert_type(event, Indication | Raw)
        assert_type(client.next_event(0.5), Indication | Raw | None)
        assert_type(client.serve(1.0, descriptors=[0]), bool)
        client.link_connect("wlan0", "ap2")
        client.link_disconnect("wlan0")
        client.disable(number)


def on_gap(gap: Gap) -> None:
    """What a gap says."""
    assert_type(gap.last, int | None)


def on_snapshot(snapshot: Snapshot) -> None:
    """What a snapshot says."""
    for state in snapshot.links:
        assert_type(state.condition.quality, Quality)
        assert_type(state.condition.bandwidth_mbps, float | None)


@frozen
class MyConfig:
    """Options of a driver or consumer."""

    link: str = "wlan0"


class MyDriver(Driver):
    """A driver of a third party."""

    Config = MyConfig

    def __init__(self, name: str, config: MyConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self.port: LinkPort | None = None

    async def start(self) -> None:
        """Feed every kind of raw item."""
        self.port = self.host.add_link(Link("wlan0", Technology.WIFI), controllable=True)
        now_ns = self.host.now_ns()
        items: list[RawItem] = [
            Attached(now_ns, "ap1"),
            Sample(now_ns, poa="ap1", rssi_dbm=-60.0, snr_db=None),
            Detached(now_ns, "ap1", DownReason.SIGNAL_LOST),
        ]
        for item in items:
            self.port.feed(item)

    async def stop(self) -> None:
        """Clear up."""

    def link_connect(self, link: str, poa: str) -> None:
        """Follow L2-LinkConnect."""


class MyConsumer(Consumer):
    """A consumer of a third party."""

    Config = MyConfig

    async def start(self) -> None:
        """Register."""
        self.bus.on_event(self.note)
        await self.bus.register("link_up")

    async def stop(self) -> None:
        """Clear up."""

    def note(self, event: Indication | Raw) -> None:
        """An event in its JSON form, and back."""
        line = to_json_object(event)
        assert_type(from_json_object(line), Indication | Raw)


class MyEngine:
    """An engine of a third party: no I/O, no clock."""

    def receive(self, item: LinkUp | LinkDown, now: float, /) -> list[str]:
        """What follows from an item."""
        return [f"{now} {item.poa}"]

    def next_timeout(self) -> float | None:
        """No timer."""
        return None

    def handle_timeout(self, now: float, /) -> list[str]:
        """Nothing follows."""
        del now
        return []


def runtime(event: LinkUp) -> None:
    """An engine on the runtime: items and actions keep their types."""
    running = Runtime(MyEngine(), print)
    running.feed(event)
    running.close()
    error: Exception = LiesError("")
    assert_type(LiesError("").exit_code, int)
    raise error


def simulation(parts: list[Part]) -> None:
    """A simulation from options to summary."""
    run = Simulation(SimOptions(nodes=10, mode="reactive", loss=0.1), parts)
    shares: list[float] = []
    verdict = run.run(shares.append)
    assert_type(verdict, Verdict)
    assert_type(verdict.good, bool)
    assert_type(summary(run, verdict), dict[str, Any])
