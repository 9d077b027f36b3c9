"""Packets that wait at an access router for a node: bounded, in order, paced, and none astray."""

import asyncio
import socket
from ipaddress import IPv6Network

import pytest
from bus_rig import on_loop
from netns_kit import frames, waiting
from tunnel_kit import BEYOND, ENDPOINT, NET, Pair
from waiting_kit import MAC, NODE, OTHER, SIZE, Router, announced, router

from lies.events import PacketsBuffered
from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.netns import entered
from lies.kernel.tunnels import link_address
from lies_fmipv6 import actions as a
from lies_fmipv6.config import Config, Role
from lies_fmipv6.pacing import BURST, Buffering, Limits
from lies_fmipv6.router_plane import RouterPlane
from lies_fmipv6.router_shell import RouterShell

pytestmark = pytest.mark.netns

PAUSE_S = 0.001
BOTH = pytest.mark.parametrize("buffering", [Buffering.TUN, Buffering.PACKET])


@BOTH
@on_loop
async def test_packets_wait_and_come_out_in_order(pair: Pair, buffering: Buffering) -> None:
    """60 packets wait and none leaks; then all come out, and after them those that came behind."""
    async with router(pair, buffering) as r:
        announced(r.plane, NODE)
        r.send(0, 60)
        await r.until_waiting(60)
        assert r.numbers() == []
        r.plane.admit(NODE, MAC)
        r.send(60, 60)
        tally = await r.until_ended()
        r.send(120, 1)
        await r.until(lambda: len(r.numbers()) == 121)
        assert r.numbers() == list(range(121))
        assert (tally.overflowed, tally.abandoned) == (0, 0)
        assert tally.entered >= 60
        assert 60 <= tally.peak_packets <= 120
        assert r.plane._room is not None
        assert not r.plane._room.unsent


@BOTH
@on_loop
async def test_a_full_buffer_drops_the_oldest_and_counts_them(pair: Pair, buffering: Buffering) -> None:
    """What is sent is what arrives and what is counted as overflow; the first five and the newest stay."""
    async with router(pair, buffering, Limits(node_octets=20 * SIZE)) as r:
        announced(r.plane, NODE)
        r.send(0, 100)
        await r.until_waiting(100)
        r.plane.admit(NODE, MAC)
        tally = await r.until_ended()
        await r.until(lambda: len(r.numbers()) >= 20)
        assert r.numbers() == [*range(BURST), *range(85, 100)]
        assert tally.overflowed == 80 == 100 - len(r.numbers())
        assert tally.peak_octets == 20 * SIZE


@BOTH
@on_loop
async def test_all_nodes_together_are_bounded(pair: Pair, buffering: Buffering) -> None:
    """Where the room for all is used up, a node's packets displace its own, and not another node's."""
    async with router(pair, buffering, Limits(total_octets=30 * SIZE)) as r:
        for node in (NODE, OTHER):
            announced(r.plane, node)
        r.send(0, 20)
        await r.until_waiting(20)
        r.send(0, 50, OTHER)
        await r.until_waiting(50, OTHER)
        for node in (NODE, OTHER):
            r.plane.admit(node, MAC)
        assert (await r.until_ended(NODE)).overflowed == 0
        assert (await r.until_ended(OTHER)).overflowed == 40
        await r.until(lambda: len(r.numbers()) + len(r.numbers(OTHER)) >= 30)
        assert r.numbers() == list(range(20))
        assert r.numbers(OTHER) == [*range(BURST), *range(45, 50)]


@on_loop
async def test_five_go_at_once_and_the_others_at_their_own_pace(pair: Pair) -> None:
    """Packets that came one a millisecond do not go much faster than that, but for the first five."""
    async with router(pair, Buffering.AUTO) as r:
        announced(r.plane, NODE)
        for number in range(200):
            r.send(number)
            await r.until_waiting(number + 1)
            await asyncio.sleep(PAUSE_S)
        r.plane.admit(NODE, MAC)
        await r.until(lambda: len(r.numbers()) == 200)
        assert r.numbers() == list(range(200))
        went = [at for at, _, _ in r.out]
        fastest = (len(went) - BURST) * PAUSE_S  # in which they can have come
        assert fastest / (went[-1] - went[BURST]) < 2  # 1.25; without a pace it would be a hundred


@on_loop
async def test_a_buffer_ends_though_packets_come_all_the_time(pair: Pair) -> None:
    """What comes while the buffer is drained queues behind, and yet the wait ends: it is drained faster."""
    async with router(pair, Buffering.AUTO) as r:
        announced(r.plane, NODE)
        sent = 0
        while NODE not in r.tallies:
            r.numbers()
            r.send(sent)
            sent += 1
            if sent == 100:
                r.plane.admit(NODE, MAC)
            assert sent < 60_000
            await asyncio.sleep(0.001)
        seen = len(r.numbers())
        assert r.numbers()[:seen] == list(range(seen))
        assert r.tallies[NODE].entered > 200
        await r.until(lambda: len(r.numbers()) == sent)
        assert sorted(r.numbers()) == list(range(sent))


@BOTH
@on_loop
async def test_a_node_that_does_not_come_gets_nothing(pair: Pair, buffering: Buffering) -> None:
    """What waited for a node that is forgotten is dropped and counted, and never comes out."""
    async with router(pair, buffering) as r:
        announced(r.plane, NODE)
        r.send(0, 50)
        await r.until_waiting(50)
        r.plane.forget(NODE)
        assert r.tallies[NODE].abandoned == 50
        assert r.tallies[NODE].opened_s is None
        announced(r.plane, NODE)
        r.send(50, 10)
        await r.until_waiting(10)
        r.plane.admit(NODE, MAC)
        await r.until_ended()
        await r.until(lambda: len(r.numbers()) >= 10)
        assert r.numbers() == list(range(50, 60))


@on_loop
async def test_a_node_that_leaves_is_followed_by_what_waits(pair: Pair) -> None:
    """A node that goes on before its buffer is empty gets the rest, and what comes, through its tunnel."""
    async with router(pair, Buffering.AUTO) as r:
        pair.kernel.execute([m.rule(100, table=m.TABLE_MAIN, source=ENDPOINT)])
        announced(r.plane, NODE)
        r.send(0, 80)
        await r.until_waiting(80)
        r.plane.admit(NODE, MAC)
        r.plane.add_tunnel(NODE, BEYOND)
        r.send(80, 10)
        inner: list[int] = []

        def through() -> bool:
            inner.extend(int.from_bytes(f[102:106]) for f in waiting(pair.behind) if f[20] == 41)
            return NODE in r.tallies

        await r.until(through)
        assert inner[-1] >= 80
        assert [*r.numbers(), *inner] == list(range(len(r.numbers()) + len(inner)))
        r.plane.remove_tunnel(NODE, BEYOND)
        pair.kernel.execute([m.rule(100, table=m.TABLE_MAIN, source=ENDPOINT, add=False)])
        pair.kernel.execute([m.neighbour(index_of("v0"), NODE, add=False)])


@on_loop
async def test_a_node_that_has_left_is_waited_for_until_its_tunnel_stands(pair: Pair) -> None:
    """Held packets go through the tunnel in order, then what comes; without a tunnel they go to the link."""
    async with router(pair, Buffering.AUTO) as r:
        r.plane.hold(NODE)
        r.plane.hold(NODE)
        r.send(0, 100)
        await r.until_waiting(100)
        r.plane.add_tunnel(NODE, BEYOND)
        inner: list[int] = []

        def through(count: int) -> bool:
            inner.extend(int.from_bytes(f[102:106]) for f in waiting(pair.behind) if f[20] == 41)
            return NODE in r.tallies and len(inner) >= count

        await r.until(lambda: through(100))
        r.plane.hold(NODE)  # it goes on, and nobody takes it
        del r.tallies[NODE]
        r.send(100, 10)
        await r.until_waiting(10)
        r.plane.release(NODE)
        await r.until(lambda: through(110))
        assert inner == list(range(110))
        assert r.numbers() == []
        r.plane.remove_tunnel(NODE, BEYOND)
        r.plane.hold(NODE)
        del r.tallies[NODE]
        r.send(110, 10)
        await r.until_waiting(10)
        pair.kernel.execute([m.neighbour(index_of("v0"), NODE, MAC)])
        r.plane.release(NODE)
        await r.until_ended()
        await r.until(lambda: len(r.numbers()) == 10)
        pair.kernel.execute([m.neighbour(index_of("v0"), NODE, add=False)])


@pytest.mark.parametrize("buffering", list(Buffering))
@on_loop
async def test_a_node_that_comes_back_is_waited_for(pair: Pair, buffering: Buffering) -> None:
    """Packets of a tunnelled node wait while it is expected here; forgotten, they take the tunnel again."""
    async with router(pair, buffering) as r:
        r.plane.add_tunnel(NODE, BEYOND)
        announced(r.plane, NODE)
        r.send(0, 20)
        r.plane.forget(NODE)
        r.send(20, 10)
        inner: list[int] = []

        def through() -> bool:
            inner.extend(int.from_bytes(f[102:106]) for f in waiting(pair.behind) if f[20] == 41)
            return 29 in inner

        await r.until(through)
        assert inner == list(range(20, 30))
        r.plane.remove_tunnel(NODE, BEYOND)
        assert r.numbers() == []


@on_loop
async def test_without_the_wish_for_a_buffer_the_kernel_keeps_them(pair: Pair) -> None:
    """An HI without U begins no wait of ours: the neighbour's own queue keeps packets, and UNA sends them."""
    async with router(pair, Buffering.AUTO) as r:
        announced(r.plane, NODE, buffer=False)
        r.send(0, 10)
        r.plane.admit(NODE, MAC)
        await r.until(lambda: len(r.numbers()) == 10)
        assert r.numbers() == list(range(10))
        assert r.tallies == {}


@on_loop
async def test_what_became_of_a_wait_is_reported(pair: Pair) -> None:
    """The router's shell tells the bus how many packets waited, how long, and how many found no room."""
    told: list[PacketsBuffered] = []
    config = Config(
        role=Role.ACCESS_ROUTER,
        insecure=True,
        access="v0",
        backbone="b0",
        address=ENDPOINT,
        prefix=IPv6Network(f"{NET}/64"),
        buffer_octets=20 * SIZE,
    )
    shell = RouterShell(config, {}, told.append)
    await shell.start()
    with entered(pair.far):
        air = frames("v1", incoming_only=True)
        source = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    with air, source:
        assert isinstance(shell._plane, RouterPlane)
        r = Router(pair, shell._plane, {}, source, air, link_address("b0"))
        shell._dispatch.perform(a.ExpectNode(NODE, MAC, buffer=True))
        shell._dispatch.perform(a.DefendNode(NODE, MAC))
        r.send(0, 50)
        await r.until_waiting(50)
        shell._dispatch.perform(a.AdmitNode(NODE, MAC))
        await r.until(lambda: told != [])
        shell._dispatch.perform(a.ExpectNode(OTHER, MAC, buffer=True))
        shell._dispatch.perform(a.DefendNode(OTHER, MAC))
        shell._dispatch.perform(a.ForgetNode(OTHER))
    await shell.stop()
    (report,) = told
    assert (report.address, report.packets, report.lost, report.abandoned) == (str(NODE), 50, 30, 0)
    assert (report.peak_packets, report.peak_octets) == (20, 20 * SIZE)
    assert report.opened_ms is not None
    assert report.drained_ms is not None
    assert report.delay_max_ms > 0
    assert report.header.link.name == "v0"
    assert pair.more() == {}
