"""The driver host: from a driver's raw items to stamped indications on the bus, in process and remote."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bus_rig import LTE, WLAN, Daemon, FakeEntity, Heard, daemon, hear, on_loop, until

from lies.bus import Client, LocalClient, LocalPublisher, RemotePublisher
from lies.driver import Driver, DriverHost
from lies.driver_host import DriverHostBase
from lies.errors import LinkError, MalformedMessage
from lies.events import (
    Attached,
    Detached,
    DownReason,
    Header,
    Link,
    LinkDown,
    LinkUp,
    RawState,
    Sample,
    Technology,
)

Publish = Callable[[Daemon], Awaitable[Any]]


async def local(d: Daemon) -> LocalPublisher:
    """In the daemon's process."""
    return LocalPublisher(d.core, "radio")


async def remote(d: Daemon) -> RemotePublisher:
    """In another process, as far as the daemon can tell."""
    return await RemotePublisher.connect(d.directory, name="radio")


BOTH = pytest.mark.parametrize("publish", [local, remote])


class Radio(Driver):
    """A driver that notes what it is asked for."""

    def __init__(self, name: str, config: Any, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self.asked: list[tuple[Any, ...]] = []
        self.fail = False

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def link_connect(self, link: str, poa: str) -> None:
        """Note it, or fail."""
        self.asked.append(("connect", link, poa))
        if self.fail:
            raise OSError("the radio is on fire")

    def link_disconnect(self, link: str, poa: str | None) -> None:
        """Note it."""
        self.asked.append(("disconnect", link, poa))


class Setup:
    """A daemon, a driver host on it, and a consumer in process."""

    def __init__(self, d: Daemon, publisher: Any) -> None:
        self.d = d
        self.publisher = publisher
        self.failures: list[Exception] = []
        self.finished: list[bool] = []
        self.entities: list[FakeEntity] = []
        self.host = DriverHostBase(
            "radio",
            publisher,
            entity=self.make,
            on_failed=self.failures.append,
            on_finished=lambda: self.finished.append(True),
            wall_offset_ns=1_000_000,
        )
        self.radio = Radio("radio", None, self.host)
        self.host.attach(self.radio)
        self.consumer = LocalClient(d.core, "mn")
        self.heard: Heard = hear(self.consumer)

    def make(self, link: Any, stamp: Callable[[int], Header]) -> FakeEntity:
        """An entity that is remembered."""
        self.entities.append(FakeEntity(link, stamp))
        return self.entities[-1]

    async def port(self, *, controllable: bool = True) -> Any:
        """The link wwan0, known to the bus."""
        port = self.host.add_link(LTE, controllable=controllable)
        await until(lambda: "wwan0" in self.d.core.links)
        return port


@asynccontextmanager
async def setup(tmp_path: Path, publish: Publish) -> AsyncIterator[Setup]:
    """All of it, closed in the end."""
    async with daemon(tmp_path / "run") as d:
        s = Setup(d, await publish(d))
        try:
            yield s
        finally:
            s.consumer.close()
            s.publisher.close()


@BOTH
@on_loop
async def test_items_become_stamped_indications(tmp_path: Path, publish: Publish) -> None:
    """A fed item's indications carry publisher, epoch, number, and both times of the measurement."""
    async with setup(tmp_path, publish) as s:
        port = await s.port()
        await s.consumer.register("link_up")
        await s.consumer.register("link_down")
        port.feed(Attached(5_000, "cell7"))
        port.feed(Detached(7_000, "cell7", DownReason.PEER))
        await until(lambda: len(s.heard.events) == 2)
        epoch = s.publisher.epoch
        assert s.heard.events == [
            LinkUp(Header("radio", epoch, 1, 5_000, 1_005_000, LTE), "cell7"),
            LinkDown(Header("radio", epoch, 2, 7_000, 1_007_000, LTE), "cell7", DownReason.PEER),
        ]


@BOTH
@on_loop
async def test_state_follows_every_item(tmp_path: Path, publish: Publish) -> None:
    """The bus holds what the entity holds true, also where nothing was indicated."""
    async with setup(tmp_path, publish) as s:
        port = await s.port(controllable=False)
        assert not s.d.core.links["wwan0"].controllable
        port.feed(Attached(5_000, "cell7"))
        await until(lambda: s.d.core.links["wwan0"].poa == "cell7")
        state = s.d.core.links["wwan0"]
        assert (state.up, state.publisher, state.condition) == (True, "radio", s.entities[0].status.condition)
        port.restore(b"cell9")
        await until(lambda: s.d.core.links["wwan0"].poa == "cell9")


@BOTH
@on_loop
async def test_what_a_driver_missed_is_a_gap(tmp_path: Path, publish: Publish) -> None:
    """A driver that could not take all that its radio told has a Gap and a snapshot told, at once."""
    async with setup(tmp_path, publish) as s:
        port = await s.port()
        number = await s.consumer.register("link_up")
        await s.consumer.register("link_down")
        port.feed(Attached(5_000, "cell7"))
        s.host.missed()
        await until(lambda: len(s.heard.gaps) == 2)
        gaps = [(g.registration, g.primitive, g.publisher, g.first, g.last) for g in s.heard.gaps]
        assert gaps[0] == (number, "link_up", "radio", 2, 2)
        assert {state.link.name: state.poa for state in s.heard.snapshots[-1].links}["wwan0"] == "cell7"
        port.feed(Detached(7_000, "cell7", DownReason.PEER))
        await until(lambda: len(s.heard.events) == 2)
        assert s.heard.events[1].header.sequence == 3


@BOTH
@on_loop
async def test_raw_only_while_somebody_wants_it(tmp_path: Path, publish: Publish) -> None:
    """Raw messages begin with RawState for every new registration, and end with the last."""
    async with setup(tmp_path, publish) as s:
        port = await s.port()
        port.feed(Sample(1_000, rssi_dbm=-50.0))
        first = await s.consumer.register("raw", "wwan0")
        await until(lambda: len(s.heard.events) == 1)
        port.feed(Sample(2_000, rssi_dbm=-51.0))
        port.feed(Attached(3_000, "cell7"))
        port.feed(Detached(4_000, "cell7", DownReason.PEER))
        await until(lambda: len(s.heard.events) == 4)
        assert isinstance(s.heard.events[0], RawState)
        assert s.heard.events[0].state == b"1"
        assert [type(m).__name__ for m in s.heard.events[1:]] == ["RawSample", "RawAttached", "RawDetached"]
        assert s.heard.events[1].sample == Sample(2_000, rssi_dbm=-51.0)
        late = LocalClient(s.d.core, "late")
        heard = hear(late)
        await late.register("raw", "*")
        await until(lambda: heard.events)
        assert heard.events[0].state == b"4"
        late.close()
        await s.consumer.disable(first)
        before = s.d.core.counters.published
        await until(lambda: not port._raw)
        port.feed(Sample(5_000, rssi_dbm=-52.0))
        await until(lambda: s.d.core.counters.published > before)
        assert s.d.core.counters.published == before + 1  # the LinkUp, and no raw sample


@on_loop
async def test_raw_item_precedes_what_it_causes(tmp_path: Path) -> None:
    """A raw item has a number below those of the indications it causes."""
    async with setup(tmp_path, local) as s:
        port = await s.port()
        await s.consumer.register("raw")
        await s.consumer.register("link_up")
        port.feed(Attached(3_000, "cell7"))
        assert [(type(m).__name__, m.header.sequence) for m in s.heard.events] == [
            ("RawState", 1),
            ("RawAttached", 2),
            ("LinkUp", 3),
        ]


@BOTH
@on_loop
async def test_actions_reach_the_driver(tmp_path: Path, publish: Publish) -> None:
    """Type 3 requests are handed to the driver after their Confirm; a driver that raises has failed."""
    async with setup(tmp_path, publish) as s:
        await s.port()
        await s.consumer.link_connect("wwan0", "cell9")
        assert s.radio.asked == []
        await s.consumer.link_disconnect("wwan0")
        await until(lambda: len(s.radio.asked) == 2)
        assert s.radio.asked == [("connect", "wwan0", "cell9"), ("disconnect", "wwan0", None)]
        s.radio.fail = True
        await s.consumer.link_connect("wwan0", "cell9")
        await until(lambda: s.failures)
        assert [str(f) for f in s.failures] == ["the radio is on fire"]
        s.host.finished()
        assert s.finished == [True]


@BOTH
@on_loop
async def test_removed_link(tmp_path: Path, publish: Publish) -> None:
    """Removing a link that is up indicates LinkDown first; then the bus forgets it, and it may come back."""
    async with setup(tmp_path, publish) as s:
        port = await s.port()
        await s.consumer.register("link_down")
        port.feed(Attached(5_000, "cell7"))
        port.remove()
        port.remove()
        port.feed(Attached(6_000, "cell7"))
        await until(lambda: "wwan0" not in s.d.core.links)
        assert [(m.poa, m.reason) for m in s.heard.events] == [("cell7", DownReason.REMOVED)]
        again = await s.port()
        again.feed(Attached(7_000, "cell8"))
        await until(lambda: s.d.core.links["wwan0"].poa == "cell8")


@BOTH
@on_loop
async def test_closing_loses_the_links(tmp_path: Path, publish: Publish) -> None:
    """A publisher that closes with a link up leaves it Down with DRIVER_LOST; what comes later is ignored."""
    async with setup(tmp_path, publish) as s:
        port = await s.port()
        await s.consumer.register("link_down")
        port.feed(Attached(5_000, "cell7"))
        await until(lambda: s.d.core.links["wwan0"].up)
        s.publisher.close()
        await until(lambda: s.heard.events)
        assert s.heard.events[0].reason is DownReason.DRIVER_LOST
        port.feed(Attached(6_000, "cell8"))
        port.remove()
        assert s.d.core.links["wwan0"].lost is DownReason.DRIVER_LOST


@on_loop
async def test_links_are_announced_once(tmp_path: Path) -> None:
    """The same link twice, or another driver's, is refused at once in the daemon's process."""
    async with setup(tmp_path, local) as s:
        await s.port()
        with pytest.raises(LinkError, match="already"):
            s.host.add_link(LTE, controllable=True)
        with pytest.raises(LinkError, match="another driver"):
            s.host.add_link(WLAN, controllable=True)
        assert s.d.core.links["wlan0"].publisher == "sim"


@on_loop
async def test_link_with_a_bad_name_is_refused(tmp_path: Path) -> None:
    """A name that the bus does not take (kernels allow an interface "*") is refused, the driver goes on."""
    async with setup(tmp_path, local) as s:
        with pytest.raises(LinkError, match="is no name"):
            s.host.add_link(Link("wl*n", Technology.WIFI), controllable=True)
        assert "wl*n" not in s.d.core.links
        assert s.host.add_link(Link("wl-n", Technology.WIFI), controllable=True)


@on_loop
async def test_refused_link_fails_the_driver(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Over the socket a link that another driver has is refused later: the driver fails, and stays quiet."""
    async with daemon(tmp_path / "run") as d:
        failures: list[Exception] = []
        publisher = await RemotePublisher.connect(d.directory, name="second")
        host = DriverHostBase("second", publisher, entity=FakeEntity, on_failed=failures.append)
        port = host.add_link(WLAN, controllable=True)
        await until(lambda: failures)
        assert isinstance(failures[0], LinkError)
        assert "wlan0 is announced by another driver" in str(failures[0])
        refused = d.core.counters.refused
        for n in range(100):
            port.feed(Attached(n, "ap1"))
        other = host.add_link(LTE, controllable=True)
        other.feed(Attached(1, "cell7"))
        await until(lambda: "wwan0" in d.core.links and d.core.links["wwan0"].up)
        assert d.core.counters.refused == refused, "nothing was sent for the link that is not ours"
        assert len(failures) == 1
        assert (
            sum("another driver" in r.getMessage() for r in caplog.records if "second" in r.getMessage()) == 1
        )
        publisher.close()


@on_loop
async def test_abstract_entity_of_every_day(tmp_path: Path) -> None:
    """Without an entity of a test's own, the host uses lies.abstract; a broken memory is MalformedMessage."""
    async with daemon(tmp_path / "run") as d:
        host = DriverHostBase("radio", LocalPublisher(d.core, "radio"))
        client = LocalClient(d.core, "mn")
        heard = hear(client)
        await client.register("link_up")
        port = host.add_link(LTE, controllable=False)
        port.feed(Attached(host.now_ns(), "cell7"))
        assert [m.poa for m in heard.events] == ["cell7"]
        with pytest.raises(MalformedMessage):
            port.restore(b"\xc1")
        client.close()


@on_loop
async def test_remote_host_end_to_end(tmp_path: Path) -> None:
    """From a driver host on the publish endpoint to a consumer on the bus endpoint."""
    async with (
        setup(tmp_path, remote) as s,
        await Client.connect(s.d.directory, name="far") as far,
    ):
        heard = hear(far)
        port = await s.port()
        await far.register("link_up", "wwan0")
        for i in range(100):
            port.feed(Sample(i, poa=f"cell{i}"))
        await until(lambda: len(heard.events) == 100)
        assert [m.header.sequence for m in heard.events] == list(range(1, 101))


@BOTH
@on_loop
async def test_lost_driver_is_stamped_on_its_own_clock(tmp_path: Path, publish: Publish) -> None:
    """The LinkDown of a lost driver goes on from its last header: a replay has a clock of its own."""
    async with setup(tmp_path, publish) as s:
        port = await s.port()
        await s.consumer.register("link_up")
        await s.consumer.register("link_down")
        for ahead_s in (86_400, 2 * 86_400):  # much faster than real time
            port.feed(Attached(s.host.now_ns() + ahead_s * 10**9, f"ap{ahead_s}"))
        await until(lambda: len(s.heard.events) == 2)
        s.publisher.close()
        await until(lambda: len(s.heard.events) == 3)
        _, last, down = (m.header for m in s.heard.events)
        assert s.heard.events[2].reason is DownReason.DRIVER_LOST
        passed_ns = down.mono_ns - last.mono_ns
        assert 0 <= passed_ns < 3600 * 10**9
        assert down.wall_ns - last.wall_ns == passed_ns
