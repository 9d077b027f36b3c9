"""The bus over TCP: rights by key, and everybody who is not let in."""

import socket
from functools import partial
from pathlib import Path

import pytest
from bus_rig import LTE, WLAN, Heard, hear, on_loop, until
from curve_kit import Ring, tcp_daemon
from garbage import garbage

from lies.bus import ALL_RIGHTS, BusCore, BusServer, Client, RemotePublisher, Right, TcpDaemon, TcpEndpoints
from lies.bus.frames import Event, bus_frames, primitive_frames, publish_frames
from lies.bus.messages import Action, Hello, LinkState, Publish, Refusal, Refused, Welcome
from lies.errors import ConfigError, EndpointInUse, NoDaemon, NotPermitted
from lies.events import DownReason, Header, LinkDown
from lies.events.wire import MAX_BODY, VERSION

ACT, LISTEN, PUBLISH = Right.ACT, Right.LISTEN, Right.PUBLISH


def _has(heard: Heard, count: int) -> bool:
    return len(heard.events) >= count


async def granted(where: TcpDaemon) -> set[Right]:
    """Which rights the daemon grants to a key, by trying each."""
    found = set()
    try:
        async with await Client.connect(where, name="mn", timeout_s=10) as client:
            try:
                await client.register("link_down")
                await client.links()
                found.add(LISTEN)
            except NotPermitted:
                pass
            try:
                await client.link_connect("wlan0", "ap2")
                found.add(ACT)
            except NotPermitted:
                pass
    except NotPermitted:
        pass
    try:
        publisher = await RemotePublisher.connect(where, name="child", timeout_s=10)
        found.add(PUBLISH)
        publisher.close()
    except NotPermitted:
        pass
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@on_loop
async def test_contract_over_tcp(tmp_path: Path, host: str) -> None:
    """Registration, type 1 and type 3 do over IPv4 and IPv6 what they do on this machine."""
    address = f"tcp://{host}:0"
    async with tcp_daemon(tmp_path, bus=address, publish=address) as d:
        assert d.server.addresses["bus"].startswith(f"tcp://{host}:")
        async with await Client.connect(d.where("friend"), name="mn") as client:
            heard = hear(client)
            d.driver.up("ap1")
            await client.register("link_up", "wlan0")
            d.driver.up("ap2")
            await until(lambda: heard.events)
            assert [s.poa for s in heard.snapshots[0].links] == ["ap1"]
            assert [m.poa for m in heard.events] == ["ap2"]
            assert (await client.link_status("wlan0")).poa == "ap2"
            await client.link_connect("wlan0", "ap3")
            assert [a.poa for a in d.driver.port.actions] == ["ap3"]
            assert d.server.consumers == 1


@pytest.mark.parametrize("rights", [set(), {LISTEN}, {ACT}, {PUBLISH}, {LISTEN, ACT}, set(ALL_RIGHTS)])
@on_loop
async def test_a_key_has_its_rights_and_no_other(tmp_path: Path, rights: set[Right]) -> None:
    """Listening, acting and publishing are granted per key, and none of them includes another."""
    async with tcp_daemon(tmp_path, friend=rights, other=ALL_RIGHTS) as d:
        assert await granted(d.where("friend")) == rights
        assert bool(d.driver.port.actions) == (ACT in rights)
        assert bool(d.core.counters.refused) == (rights != ALL_RIGHTS)


@on_loop
async def test_forged_link_down_over_tcp(tmp_path: Path) -> None:
    """Whose key may listen only can forge no LinkDown, on either endpoint; a witness hears of none."""
    async with (
        tcp_daemon(tmp_path, witness={LISTEN}, forger={LISTEN}) as d,
        await Client.connect(d.where("witness"), name="witness") as witness,
    ):
        heard = hear(witness)
        d.driver.up()
        await witness.register("link_down")
        forged = LinkDown(Header("sim", 1, 99, 5, 5, WLAN), "ap1", DownReason.PEER)
        with d.dealer("forger", "publish") as driver, d.dealer("forger") as consumer:
            driver.say(Hello("sim", "wifi", 1))
            driver.send(*publish_frames(Publish(forged.header), [Event(forged)], protocol="*"))
            refused = await driver.until_received(Refused)
            assert refused.code is Refusal.NOT_PERMITTED
            assert refused.reason == "key forger has no right to publish on this bus"
            consumer.say(Hello("mn", "ipv6"))
            consumer.send(*primitive_frames(forged, layer="L3", protocol="ipv6"))
            assert (await consumer.until_received(Refused)).code is Refusal.NOT_PERMITTED
        assert len(await witness.links()) == 1
        assert heard.events == []
        assert d.core.links["wlan0"].up


@on_loop
async def test_driver_on_another_host(tmp_path: Path) -> None:
    """A driver whose key may publish announces a link, is told actions, and is lost when it goes."""
    async with (
        tcp_daemon(tmp_path, car={PUBLISH}, mn={LISTEN, ACT}) as d,
        await Client.connect(d.where("mn"), name="mn") as client,
    ):
        heard = hear(client)
        actions: list[Action] = []
        publisher = await RemotePublisher.connect(d.where("car"), name="car")
        publisher.bind(actions.append, lambda *_: None)
        header = Header("car", publisher.epoch, 1, 1, 1, LTE)
        await client.register("link_up")
        await client.register("link_down")
        publisher.announce(header, LinkState(LTE, "car", up=True, poa="cell7", controllable=True))
        await until(lambda: heard.events)
        await client.link_connect("wwan0", "cell8")
        await until(lambda: actions)
        publisher.close()
        await until(partial(_has, heard, 2))
        up, down = heard.events
        assert (up.poa, actions[0].poa) == ("cell7", "cell8")
        assert (down.poa, down.reason) == ("cell7", DownReason.DRIVER_LOST)


@pytest.mark.parametrize("endpoint", ["bus", "publish"])
@on_loop
async def test_unknown_version_over_tcp(tmp_path: Path, endpoint: str) -> None:
    """Another version of the messages is refused by number over TCP too, counted, and harms nobody."""
    async with tcp_daemon(tmp_path) as d:
        with d.dealer("friend", endpoint) as peer:
            peer.send(b"LIES9", *bus_frames(Hello("x", "ipv6"))[1:])
            refused = await peer.until_received(Refused)
            assert refused.code is Refusal.UNKNOWN_VERSION
            assert "LIES9" in refused.reason
            assert "LIES1" in refused.reason
            peer.say(Hello("x", "ipv6", 1))
            assert isinstance((await peer.receive()).message, Welcome)
        assert d.core.counters.unknown_version == 1


@on_loop
async def test_frames_are_bounded_over_tcp(tmp_path: Path) -> None:
    """The largest body passes, one octet more costs its sender the connection; a witness misses nothing."""
    async with (
        tcp_daemon(tmp_path, friend=set(ALL_RIGHTS), witness={LISTEN}) as d,
        await Client.connect(d.where("witness"), name="witness") as witness,
    ):
        heard = hear(witness)
        await witness.register("link_up")
        with d.dealer("friend") as big:
            big.say(Hello("big", "ipv6"))
            await big.until_received(Welcome)
            big.send(VERSION, b"L2:*:request:link_up", bytes(MAX_BODY))
            assert (await big.until_received(Refused)).code is Refusal.MALFORMED
            d.driver.up("ap1")
            big.send(VERSION, b"L2:*:request:link_up", bytes(MAX_BODY + 1))
            await until(lambda: d.server.consumers == 1)
        d.driver.up("ap2")
        await until(partial(_has, heard, 2))
        assert [m.poa for m in heard.events] == ["ap1", "ap2"]
        assert heard.gaps == []


@on_loop
async def test_restart_of_the_daemon_over_tcp(tmp_path: Path) -> None:
    """After a restart a consumer on TCP registers again by itself; a key no more listed is refused."""
    ring = Ring(tmp_path / "keys")
    async with tcp_daemon(tmp_path, ring=ring) as first:
        client = await Client.connect(first.where("friend"), name="mn", timeout_s=10)
        heard = hear(client)
        await client.register("link_up", "wlan0")
        address = first.server.addresses["bus"]
    await until(lambda: heard.gaps)
    async with tcp_daemon(tmp_path, ring=ring, bus=address) as second:
        await until(lambda: client.connected)
        await until(lambda: any(s.registrations for s in second.core.sessions))
        second.driver.up("ap2")
        await until(lambda: heard.events)
        assert [m.poa for m in heard.events] == ["ap2"]
    await until(lambda: not client.connected)
    async with tcp_daemon(tmp_path, ring=ring, bus=address, other={LISTEN}) as third:
        await until(lambda: third.core.counters.unlisted_keys)
        assert not client.connected
    client.close()


@on_loop
async def test_rights_that_change(tmp_path: Path) -> None:
    """Who loses a right is let go at once, a key that is listed now is let in, and others notice nothing."""
    async with (
        tcp_daemon(tmp_path, friend={LISTEN}, thief={LISTEN, ACT}) as d,
        await Client.connect(d.where("friend"), name="friend") as friend,
        await Client.connect(d.where("thief"), name="thief") as thief,
    ):
        heard, stolen = hear(friend), hear(thief)
        for client in (friend, thief):
            await client.register("link_up")
        d.driver.up("ap1")
        await until(lambda: heard.events and stolen.events)
        d.core.rights.become(d.ring.rights(friend={LISTEN, ACT}, late={LISTEN}))
        d.server.recheck()
        d.driver.up("ap2")
        await until(lambda: d.core.counters.unlisted_keys and not thief.connected)
        async with await Client.connect(d.where("late"), name="late", timeout_s=10) as late:
            assert len(await late.links()) == 1
        await friend.link_connect("wlan0", "ap3")
        assert [m.poa for m in heard.events] == ["ap1", "ap2"]
        assert [m.poa for m in stolen.events] == ["ap1"]
        assert heard.gaps == []


@on_loop
async def test_addresses_that_cannot_be_had(tmp_path: Path) -> None:
    """A port in use or an address of another host ends the start in one sentence, and nothing is left."""
    ring = Ring(tmp_path / "keys")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        server = BusServer(BusCore(epoch=1), tmp_path / "run", tcp=TcpEndpoints(ring.server, address))
        with pytest.raises(EndpointInUse, match=address):
            await server.start()
    foreign = TcpEndpoints(ring.server, "tcp://192.0.2.77:5184")
    with pytest.raises(ConfigError, match=r"tcp://192\.0\.2\.77:5184 cannot be opened"):
        await BusServer(BusCore(epoch=1), tmp_path / "run", tcp=foreign).start()
    assert not (tmp_path / "run").exists()


@on_loop
async def test_nobody_answers(tmp_path: Path) -> None:
    """Without a daemon at the address, or without one for drivers there, a client is told at once."""
    ring = Ring(tmp_path / "keys")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NoDaemon, match=address):
        await Client.connect(TcpDaemon(address, ring.server.public, ring.key("a")), name="mn", timeout_s=10)
    where = TcpDaemon(address, ring.server.public, ring.key("a"))
    with pytest.raises(ConfigError, match=r"publish endpoint .* is not given"):
        await RemotePublisher.connect(where, name="car")
    with pytest.raises(ConfigError, match="needs CURVE keys"):
        await Client.connect(address, name="mn")


@on_loop
async def test_garbage_of_a_listed_key(tmp_path: Path) -> None:
    """Mutated messages of a peer with every right are counted and dropped; a witness misses nothing."""
    async with (
        tcp_daemon(tmp_path, friend=set(ALL_RIGHTS), witness={LISTEN}) as d,
        await Client.connect(d.where("witness"), name="witness") as witness,
    ):
        heard = hear(witness)
        await witness.register("link_up", "wlan0")
        with d.dealer("friend") as a, d.dealer("friend", "publish") as b:
            for i, frames in enumerate(garbage(5213, 1000)):
                (a if i % 2 else b).send(*frames)
                if i % 5 == 0:
                    d.driver.up(f"ap{i}")
                    await until(partial(_has, heard, i // 5 + 1))
            await until(lambda: d.core.counters.malformed > 100)
        await witness.links()
        assert [m.poa for m in heard.events] == [f"ap{i}" for i in range(0, 1000, 5)]
        assert heard.gaps == []
