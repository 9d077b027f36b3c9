"""The bus over its sockets: contract, rights, permissions and bad input."""

import asyncio
import os
import stat
from functools import partial
from pathlib import Path

import pytest
import zmq
from bus_rig import WLAN, Dealer, Heard, daemon, hear, on_loop, until
from garbage import garbage

from lies.bus import ALL_RIGHTS, BusCore, BusServer, Client, RemotePublisher, Right, Rights
from lies.bus.frames import Event, bus_frames, primitive_frames, publish_frames
from lies.bus.messages import (
    Hello,
    Publish,
    Refusal,
    Refused,
    Welcome,
)
from lies.bus.rights import Who
from lies.errors import ConfigError, EndpointInUse, LinkError, LinkErrorReason, NoDaemon, NotPermitted
from lies.events import (
    Condition,
    Crossing,
    DownReason,
    Header,
    LinkDown,
    LinkStatusRequest,
    LinkUpRequest,
    Quality,
)
from lies.events.wire import MAX_BODY, VERSION


class ChangingRights(Rights):
    """Everyone has `granted`."""

    granted = ALL_RIGHTS

    def of(self, who: Who) -> frozenset[Right]:
        """What everyone has, if the socket told who it is."""
        assert who in {0, os.geteuid()}
        return self.granted


def _more_than(heard: Heard, count: int) -> bool:
    return len(heard.events) > count


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A runtime directory that is not there yet."""
    return tmp_path / "run"


def mode(path: Path) -> int | None:
    """Permission bits of a file, None if there is none."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


@on_loop
async def test_contract_over_sockets(directory: Path) -> None:
    """Registration, type 1 and type 3 do over ipc what they do on the core."""
    async with daemon(directory) as d, await Client.connect(directory, name="mn") as client:
        heard = hear(client)
        d.driver.up("ap1")
        number = await client.register("link_up", "wlan0")
        assert [s.poa for s in heard.snapshots[0].links] == ["ap1"]
        assert heard.snapshots[0].registration == number
        d.driver.up("ap2")
        d.driver.hear(ap1=Quality.BAD, ap2=Quality.GOOD)
        await until(lambda: heard.events)
        assert [(m.poa, m.header.link) for m in heard.events] == [("ap2", WLAN)]
        assert (await client.link_status("wlan0")).poa == "ap2"
        assert [p.poa for p in (await client.poa_list("wlan0")).poas] == ["ap2", "ap1"]
        await client.link_connect("wlan0", "ap1")
        await client.link_disconnect("wlan0")
        assert [(a.kind.value, a.poa) for a in d.driver.port.actions] == [
            ("connect", "ap1"),
            ("disconnect", None),
        ]
        await client.disable(number)
        d.driver.up("ap4")
        assert [s.poa for s in await client.links()] == ["ap4"]
        assert len(heard.events) == 1


@on_loop
async def test_errors_over_sockets(directory: Path) -> None:
    """Confirm(Error) arrives as LinkError with its reason, before and after the wire."""
    async with daemon(directory), await Client.connect(directory, name="mn") as client:
        with pytest.raises(LinkError, match="known: wlan0") as unknown:
            await client.link_status("eth9")
        assert unknown.value.reason is LinkErrorReason.UNKNOWN_LINK
        with pytest.raises(LinkError) as invalid:
            await client.register("link_status_changed", "wlan0", event=Crossing.BELOW)
        assert invalid.value.reason is LinkErrorReason.INVALID
        for primitive in ("link_status", "nothing"):
            with pytest.raises(LinkError, match="cannot be registered for"):
                await client.register(primitive)
        with pytest.raises(LinkError, match="no registration 99"):
            await client.disable(99)


@on_loop
async def test_late_joiners_over_sockets(directory: Path) -> None:
    """Whenever a consumer joins a running stream, snapshot and events make one unbroken story."""
    async with daemon(directory) as d:
        for joiner in range(20):
            async with await Client.connect(directory, name=f"c{joiner}") as client:
                heard = hear(client)
                registering = asyncio.ensure_future(client.register("link_up", "wlan0"))
                while len(heard.events) < 20:
                    d.driver.up(f"ap{d.driver.sequence + 1}")
                    await asyncio.sleep(0)
                await registering
                first = heard.events[0].header.sequence
                known = heard.snapshots[0].links[0].poa
                assert known == (f"ap{first - 1}" if first > 1 else None)
                assert [m.header.sequence for m in heard.events] == list(
                    range(first, first + len(heard.events))
                )


@on_loop
async def test_two_consumers_each_get_their_threshold(directory: Path) -> None:
    """Two consumers with different thresholds on one link each get what they asked for."""
    async with (
        daemon(directory) as d,
        await Client.connect(directory, name="a") as a,
        await Client.connect(directory, name="b") as b,
    ):
        heard_a, heard_b = hear(a), hear(b)
        d.driver.up()
        d.driver.level(Quality.EXCELLENT)
        await a.register("link_status_changed", event=Crossing.BELOW, threshold=Quality.GOOD)
        await b.register("link_status_changed", event=Crossing.ABOVE, threshold=Quality.FAIR)
        for quality in (Quality.GOOD, Quality.FAIR, Quality.BAD, Quality.FAIR, Quality.EXCELLENT):
            d.driver.level(quality)
        await a.links()
        await b.links()
        assert [m.condition for m in heard_a.events] == [Condition(Quality.FAIR, 5.0)]
        assert [m.condition for m in heard_b.events] == [Condition(Quality.FAIR, 5.0)]
        assert [m.header.sequence for m in heard_a.events + heard_b.events] == [4, 6]


@on_loop
async def test_directory_and_sockets_are_closed_to_others(directory: Path) -> None:
    """The directory is 0750, the sockets 0660, and nothing is left behind."""
    async with daemon(directory, gid=os.getgid()):
        assert mode(directory) == 0o750
        assert mode(directory / "bus") == mode(directory / "publish") == 0o660
        assert mode(directory / "lock") == 0o600
    assert mode(directory) is None


@on_loop
async def test_endpoint_in_use(directory: Path) -> None:
    """A second daemon on the same directory is refused, and the first goes on."""
    async with daemon(directory) as d:
        with pytest.raises(EndpointInUse, match=f"pid {os.getpid()}"):
            await BusServer(BusCore(epoch=2), directory).start()
        async with await Client.connect(directory, name="mn") as client:
            assert await client.links() == d.core.snapshot().links


def test_leftovers_of_a_dead_daemon_are_taken_over(directory: Path) -> None:
    """Socket and lock files that nobody holds are replaced."""
    directory.mkdir()
    for name in ("bus", "publish", "lock"):
        (directory / name).write_text("999999")

    @on_loop
    async def use() -> None:
        async with daemon(directory), await Client.connect(directory, name="mn") as client:
            assert len(await client.links()) == 1

    use()


@pytest.mark.parametrize("kind", ["file", "foreign", "long"])
def test_directories_that_cannot_be_used(tmp_path: Path, kind: str) -> None:
    """A runtime directory that is a file, someone's open folder, or too long is refused in one sentence."""
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("")
    elif kind == "foreign":
        path.mkdir(mode=0o755)
        (path / "thesis.tex").write_text("")
    else:
        path = tmp_path / ("y" * 110)
    before = mode(path)

    @on_loop
    async def use() -> None:
        with pytest.raises(ConfigError, match=str(path)):
            await BusServer(BusCore(epoch=1), path).start()

    use()
    assert mode(path) == before


@on_loop
async def test_no_daemon(directory: Path) -> None:
    """Without a daemon, or with a dead one's socket, connecting is NoDaemon at once."""
    with pytest.raises(NoDaemon):
        await Client.connect(directory, name="mn")
    async with daemon(directory):
        pass
    with pytest.raises(NoDaemon):
        await RemotePublisher.connect(directory, name="sim")


@on_loop
async def test_silent_endpoint_is_no_daemon(tmp_path: Path) -> None:
    """Somebody who listens and does not answer Hello in time is no daemon."""
    mute: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    mute.bind(f"ipc://{tmp_path / 'bus'}")
    try:
        with pytest.raises(NoDaemon):
            await Client.connect(tmp_path, name="mn", timeout_s=0.05)
    finally:
        mute.close(linger=0)


@on_loop
async def test_uid_without_rights_is_not_let_in(directory: Path) -> None:
    """A user without any right gets NotPermitted, on either endpoint."""
    rights = ChangingRights()
    async with daemon(directory, rights=rights) as d:
        rights.granted = frozenset()
        with pytest.raises(NotPermitted, match=f"uid {os.geteuid()}"):
            await Client.connect(directory, name="mn")
        with pytest.raises(NotPermitted, match="publish"):
            await RemotePublisher.connect(directory, name="forger")
        assert (d.server.consumers, d.server.drivers) == (0, 0)


@on_loop
async def test_forged_link_down_reaches_nobody(directory: Path) -> None:
    """Who may listen but not publish can forge no LinkDown, nor act."""
    rights = ChangingRights()
    async with (
        daemon(directory, rights=rights) as d,
        await Client.connect(directory, name="witness") as witness,
    ):
        heard = hear(witness)
        d.driver.up()
        await witness.register("link_down")
        rights.granted = frozenset({Right.LISTEN})
        forged = LinkDown(Header("sim", 1, 99, 5, 5, WLAN), "ap1", DownReason.PEER)
        with Dealer(directory, "publish") as forger, Dealer(directory) as other:
            forger.say(Hello("sim2", "wifi", 1))
            forger.send(*publish_frames(Publish(forged.header), [Event(forged)], protocol="*"))
            assert (await forger.until_received(Refused)).code is Refusal.NOT_PERMITTED
            other.say(Hello("mn2", "ipv6"))
            other.send(*primitive_frames(forged, layer="L3", protocol="ipv6"))
            assert (await other.until_received(Refused)).code is Refusal.NOT_PERMITTED
        with pytest.raises(NotPermitted):
            await witness.link_connect("wlan0", "ap2")
        assert d.driver.port.actions == []
        assert d.core.links["wlan0"].up
        assert len(await witness.links()) == 1
        assert heard.events == []
        assert d.core.counters.refused >= 3


@pytest.mark.parametrize("name", ["bus", "publish"])
@on_loop
async def test_unknown_version(directory: Path, name: str) -> None:
    """Another version is refused by number, counted, and harms nobody."""
    async with daemon(directory) as d:
        with Dealer(directory, name) as peer:
            peer.send(b"LIES9", *bus_frames(Hello("x", "ipv6"))[1:])
            refused = await peer.until_received(Refused)
            assert refused.code is Refusal.UNKNOWN_VERSION
            assert "LIES9" in refused.reason
            assert "LIES1" in refused.reason
            peer.say(Hello("x", "ipv6", 1))
            assert isinstance((await peer.receive()).message, Welcome)
        assert d.core.counters.unknown_version == 1


@on_loop
async def test_invalid_request_gets_an_answer(directory: Path) -> None:
    """A request whose parameters do not decode is refused under its own number (RFC 5184 section 6.5)."""
    async with daemon(directory), await Client.connect(directory, name="mn") as client:
        with pytest.raises(LinkError, match="link_up"):
            await client._ask(LinkUpRequest(5, 17))  # type: ignore[arg-type]  # on purpose


@on_loop
async def test_nothing_without_hello(directory: Path) -> None:
    """A request of who did not say Hello is answered with UNKNOWN_SESSION."""
    async with daemon(directory):
        with Dealer(directory) as peer:
            peer.send(*primitive_frames(LinkStatusRequest(1, "wlan0"), layer="L2", protocol="*"))
            assert (await peer.receive()).message.code is Refusal.UNKNOWN_SESSION


@on_loop
async def test_routing_ids_are_not_the_peers_choice(directory: Path) -> None:
    """A peer that names itself, perhaps like another before it, is not heard."""
    async with daemon(directory) as d:
        with Dealer(directory, IDENTITY=b"mn") as peer:
            peer.say(Hello("mn", "ipv6"))
            await until(lambda: d.core.counters.malformed)
        assert d.server.consumers == 0


@on_loop
async def test_garbage_while_a_witness_misses_nothing(directory: Path) -> None:
    """Mutated messages on both endpoints are counted and dropped; a consumer of wlan0 misses nothing."""
    async with daemon(directory) as d, await Client.connect(directory, name="witness") as witness:
        heard = hear(witness)
        await witness.register("link_up", "wlan0")
        with Dealer(directory) as a, Dealer(directory, "publish") as b:
            for i, frames in enumerate(garbage(5184, 1000)):
                (a if i % 2 else b).send(*frames)
                if i % 5 == 0:
                    d.driver.up(f"ap{i}")
                    await until(partial(_more_than, heard, i // 5))
            await until(lambda: d.core.counters.malformed > 100)
        await witness.links()
        assert [m.poa for m in heard.events] == [f"ap{i}" for i in range(0, 1000, 5)]
        assert heard.gaps == []


@on_loop
async def test_oversized_frames_and_too_many(directory: Path) -> None:
    """A frame beyond the limit costs its sender the connection, too many frames are malformed."""
    async with daemon(directory) as d, await Client.connect(directory, name="witness") as witness:
        with Dealer(directory) as many, Dealer(directory) as big:
            many.say(Hello("many", "ipv6"))
            many.send(VERSION, *[b""] * 5000)
            assert (await many.until_received(Refused)).code is Refusal.MALFORMED
            big.say(Hello("big", "ipv6"))
            await until(lambda: d.server.consumers == 3)
            big.send(VERSION, b"L2:*:request:link_up", bytes(MAX_BODY + 1))
            await until(lambda: d.server.consumers == 2)
        assert len(await witness.links()) == 1


@on_loop
async def test_connections_opened_and_dropped(directory: Path) -> None:
    """Peers that come, say nothing or Hello, and go leave nothing behind."""
    async with daemon(directory) as d:
        for i in range(100):
            with Dealer(directory, "bus" if i % 2 else "publish") as peer:
                if i % 3 == 0:
                    peer.say(Hello(f"x{i}", "ipv6", 1))
                    await peer.until_received(Welcome)
        await until(lambda: (d.server.consumers, d.server.drivers) == (0, 0))
        assert not d.core.sessions
