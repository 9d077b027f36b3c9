"""What consumers use: the same verbs over a socket and in the daemon's process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bus_rig import WLAN, Daemon, Driver, daemon, hear, on_loop, until

from lies.bus import BusCore, Client, Gap, LocalClient, Right, Rights
from lies.errors import LinkError, LinkErrorReason, NotPermitted, TimedOut
from lies.events import CareOfAddressChanged, Crossing, Header, LinkUp, Quality

Join = Callable[[Daemon, str], Awaitable[Any]]


async def over_socket(d: Daemon, name: str) -> Client:
    """A client in another process, as far as the daemon can tell."""
    return await Client.connect(d.directory, name=name)


async def in_process(d: Daemon, name: str) -> LocalClient:
    """A client in the daemon's process."""
    return LocalClient(d.core, name)


BOTH = pytest.mark.parametrize("join", [over_socket, in_process])


@asynccontextmanager
async def joined(tmp_path: Path, join: Join, name: str = "mn") -> AsyncIterator[tuple[Daemon, Any]]:
    """A daemon and a client of one kind."""
    async with daemon(tmp_path / "run") as d:
        client = await join(d, name)
        try:
            yield d, client
        finally:
            client.close()
            client.close()


@BOTH
@on_loop
async def test_verbs_are_the_same(tmp_path: Path, join: Join) -> None:
    """Registering, asking, acting and disabling give the same answers in both kinds of client."""
    async with joined(tmp_path, join) as (d, client):
        heard = hear(client)
        first = await client.register("link_status_changed", event=Crossing.BELOW, threshold=Quality.GOOD)
        again = await client.register("link_status_changed", event=Crossing.BELOW, threshold=Quality.FAIR)
        other = await client.register("link_up", "wlan0")
        assert first == again != other
        d.driver.up("ap1")
        for quality in (Quality.GOOD, Quality.FAIR, Quality.BAD):
            d.driver.level(quality)
        status = await client.link_status("wlan0")
        assert (status.link, status.poa, status.condition.quality) == (WLAN, "ap1", Quality.BAD)
        assert (await client.poa_list("wlan0")).poas == ()
        assert [type(m).__name__ for m in heard.events] == ["LinkUp", "LinkStatusChanged"]
        await client.link_connect("wlan0", "ap2")
        await client.link_disconnect("wlan0", "ap1")
        assert [a.poa for a in d.driver.port.actions] == ["ap2", "ap1"]
        await client.disable(other)
        d.driver.up("ap2")
        assert (await client.links("wlan0"))[0].poa == "ap2"
        assert await client.links("eth9") == ()
        assert len(heard.events) == 2
        assert [s.registration for s in heard.snapshots[:3]] == [first, first, other]


@BOTH
@on_loop
async def test_errors_are_the_same(tmp_path: Path, join: Join) -> None:
    """Refusals raise the same errors in both kinds of client."""
    async with joined(tmp_path, join) as (_, client):
        for refused in (
            client.link_status("eth9"),
            client.poa_list("eth9"),
            client.register("link_up", "eth9"),
            client.link_connect("eth9", "ap1"),
        ):
            with pytest.raises(LinkError) as error:
                await refused
            assert error.value.reason is LinkErrorReason.UNKNOWN_LINK
            assert not str(error.value).startswith("unknown_link")
        with pytest.raises(LinkError) as error:
            await client.register("link_going_down", min_confidence=7.0)
        assert error.value.reason is LinkErrorReason.INVALID


@BOTH
@on_loop
async def test_reports(tmp_path: Path, join: Join) -> None:
    """A report reaches who registered for it, with the header's publisher and numbers set by the client."""
    async with joined(tmp_path, join) as (d, client):
        watcher = LocalClient(d.core, "watcher")
        heard = hear(watcher)
        await watcher.register("report", "wlan0")
        header = Header("anything", 0, 0, 5, 6, WLAN)
        for coa in ("2001:db8::1", "2001:db8::2"):
            client.publish(CareOfAddressChanged(header, coa, None, "fe80::1", None))
        await until(lambda: len(heard.events) == 2)
        assert [m.coa for m in heard.events] == ["2001:db8::1", "2001:db8::2"]
        assert [(m.header.publisher, m.header.sequence) for m in heard.events] == [("mn", 1), ("mn", 2)]
        assert heard.events[0].header.epoch == heard.events[1].header.epoch > 0
        watcher.close()


@BOTH
@on_loop
async def test_stream_of_events(tmp_path: Path, join: Join) -> None:
    """`async for` gives every event from its creation on, in order, and ends with the client."""
    async with joined(tmp_path, join) as (d, client):
        await client.register("link_up")
        stream, other = client.events(), client.events()
        for i in range(5):
            d.driver.up(f"ap{i}")
        assert [(await anext(stream)).poa for _ in range(5)] == [f"ap{i}" for i in range(5)]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not waiting.done()
        d.driver.up("last")
        assert (await waiting).poa == "last"
        client.close()
        assert [m.poa async for m in stream] == []
        assert len([m async for m in other]) == 6


@BOTH
@on_loop
async def test_slow_stream_is_told_its_gap(tmp_path: Path, join: Join) -> None:
    """An `async for` that lags too far loses what waits; on_gap says exactly what, a snapshot follows."""
    async with joined(tmp_path, join) as (d, client):
        heard = hear(client)
        number = await client.register("link_up")
        stream = client.events(limit=10)
        for i in range(1, 26):
            d.driver.up(f"ap{i}")
        await until(lambda: len(heard.events) == 25)
        assert heard.gaps == [
            Gap(number, "link_up", "*", None, 1, 10),
            Gap(number, "link_up", "*", None, 11, 20),
        ]
        assert [(await anext(stream)).poa for _ in range(5)] == [f"ap{i}" for i in range(21, 26)]
        await until(lambda: len(heard.snapshots) == 3)


@BOTH
@on_loop
async def test_failing_callback_harms_nobody(tmp_path: Path, join: Join) -> None:
    """What a callback raises goes to on_failure; the driver, later events and other callbacks go on."""
    failures: list[Exception] = []
    async with daemon(tmp_path / "run") as d:
        client: Any
        if join is in_process:
            client = LocalClient(d.core, "mn", on_failure=failures.append)
        else:
            client = await Client.connect(d.directory, name="mn", on_failure=failures.append)

        def fail(message: Any) -> None:
            raise KeyError(message.poa)

        client.on_event(fail)
        heard = hear(client)
        await client.register("link_up")
        d.driver.up("ap1")
        d.driver.up("ap2")
        await until(lambda: len(heard.events) == 2)
        assert [repr(f) for f in failures] == ["KeyError('ap1')", "KeyError('ap2')"]
        client.close()


@BOTH
@on_loop
async def test_closing_from_within_a_callback(tmp_path: Path, join: Join) -> None:
    """A client that closes itself in a callback gets nothing more."""
    async with joined(tmp_path, join) as (d, client):
        heard = hear(client)
        client.on_event(lambda _: client.close())
        await client.register("link_up")
        d.driver.up("ap1")
        d.driver.up("ap2")
        await until(lambda: not d.core.sessions)
        assert [m.poa for m in heard.events] == ["ap1"]
        with pytest.raises(TimedOut):
            await client.link_status("wlan0")


@on_loop
async def test_known_links_are_those_of_the_snapshots(tmp_path: Path) -> None:
    """known_links holds what the last snapshots said, and forgets links that are in none of all links."""
    async with joined(tmp_path, over_socket) as (d, client):
        modem = Driver(d.core, "modem", type(WLAN)("wwan0", WLAN.technology))
        await client.register("link_up", "wlan0")
        assert set(client.known_links) == {"wlan0"}
        await client.links()
        assert set(client.known_links) == {"wlan0", "wwan0"}
        d.core.remove_link(modem.publisher, "wwan0")
        await client.register("link_up", "wlan0")
        assert set(client.known_links) == {"wlan0", "wwan0"}
        await client.register("link_up", "*")
        assert set(client.known_links) == {"wlan0"}


@on_loop
async def test_request_that_nobody_answers(tmp_path: Path) -> None:
    """A request to a daemon that does not answer in time is TimedOut."""
    async with joined(tmp_path, over_socket) as (d, _):
        client = await Client.connect(d.directory, name="b", request_timeout_s=0.05)
        for endpoint in d.server._endpoints:
            endpoint.take = lambda *_: None  # type: ignore[method-assign]  # a daemon that hears and does nothing
        with pytest.raises(TimedOut):
            await client.links()
        assert not client._pending
        client.close()


@on_loop
async def test_local_client_has_the_rights_of_its_user() -> None:
    """A consumer in the daemon's process that runs for another user has that user's rights."""
    core = BusCore(epoch=1, rights=Rights({7: {Right.LISTEN}}))
    driver = Driver(core)
    with pytest.raises(NotPermitted):
        LocalClient(core, "x", uid=8)
    client = LocalClient(core, "mn", uid=7)
    await client.register("link_up")
    with pytest.raises(NotPermitted):
        await client.link_connect("wlan0", "ap1")
    with pytest.raises(NotPermitted):
        client.publish(CareOfAddressChanged(driver.stamp(), "2001:db8::1", None, "fe80::1", None))
    client.close()


@on_loop
async def test_cancelled_request_leaves_nothing(tmp_path: Path) -> None:
    """A request that is cancelled is forgotten; a registration is disabled again."""
    async with joined(tmp_path, over_socket) as (d, client):
        asking = asyncio.ensure_future(client.link_status("wlan0"))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        registering = asyncio.ensure_future(client.register("link_up"))
        await asyncio.sleep(0)
        registering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await registering
        assert (await client.link_status("wlan0")).poa is None
        assert not client._pending
        assert [s.registrations for s in d.core.sessions] == [{}]


@pytest.mark.parametrize("moment", ["_take_confirm", "_hear_snapshot", "_end_registering"])
@on_loop
async def test_cancelled_while_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """A registration that is cancelled while its answer comes in is disabled too, at whatever step of it."""
    async with joined(tmp_path, over_socket) as (d, client):
        step = getattr(client, moment)

        def cancelled_after(*args: Any, **kwargs: Any) -> None:
            step(*args, **kwargs)
            registering.cancel()

        monkeypatch.setattr(client, moment, cancelled_after)
        registering = asyncio.ensure_future(client.register("link_up"))
        with pytest.raises(asyncio.CancelledError):
            await registering
        monkeypatch.undo()
        assert (await client.link_status("wlan0")).poa is None
        assert [s.registrations for s in d.core.sessions] == [{}]
        assert not client._registered
        kept = await client.register("link_up")
        registering = asyncio.ensure_future(client.register("link_up"))
        await asyncio.sleep(0)
        registering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await registering
        assert (await client.link_status("wlan0")).poa is None
        assert [set(s.registrations) for s in d.core.sessions] == [{("link_up", "*")}]
        await client.disable(kept)


@on_loop
async def test_no_detour_in_process() -> None:
    """In the daemon's process an event is delivered before the driver's call returns."""
    core = BusCore(epoch=1)
    driver, client = Driver(core), LocalClient(core, "mn")
    heard = hear(client)
    await client.register("link_up")
    driver.up("ap1")
    assert heard.events == [LinkUp(driver.header(), "ap1")]
