"""The kernel's part of a handover, moved by hand: no engine, no bus, no signalling but the UNA."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest
from drives import until

from lies.attachment import Moved, PortConfig
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies.kernel.packets import PacketSender
from lies.runtime import now_s, wall_ns
from lies.testbed import topology as t
from lies.testbed.flows import FlowProcess
from lies.testbed.node import Node, spawn, stop_all
from lies.testbed.port import BridgePort
from lies.testbed.traffic import Flow
from lies_fmipv6.codec import encode
from lies_fmipv6.messages import UnsolicitedNeighbourAdvertisement
from lies_fmipv6.mobile_plane import MobilePlane
from lies_fmipv6.pacing import BURST, Buffering, Tally
from lies_fmipv6.router_plane import RouterPlane
from lies_mipv6.home_plane import HomePlane
from lies_mipv6.mobile_plane import MobilePlane as HomeMobilePlane

pytestmark = pytest.mark.netns
_STILL_S = 0.5  # longer than the flows take to tell of their last packet

_ALL_NODES = IPv6Address("ff02::1")
_PACKETS_PER_S = 1000
_T = TypeVar("_T")


class Loop:
    """An event loop in a thread; `call` runs something on it and waits for its result."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def call(self, work: Callable[[], _T]) -> _T:
        """The result of work() on the loop."""

        async def run() -> _T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def close(self) -> None:
        """Stop it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Hands:
    """A testbed of two routers whose kernels are moved by hand; tallies: how waits at them ended.

    switched_ns, ended_ns: when the home agent switched, and the wait ended; wall clock.
    """

    def __init__(
        self, net: t.Topology, stack: ExitStack, folder: Path, *, l2_gap_ms: float, buffering: Buffering
    ) -> None:
        self.net = net
        self.l2_gap_ms = l2_gap_ms
        self._buffering = buffering
        self.tallies: list[Tally] = []
        self.ended_ns = self.switched_ns = 0
        self._folder = folder
        self._stack = stack
        self.one, self.two = net.routers
        self.first, self.second = self.one.prefix[0x99], self.two.prefix[0x99]
        self.flows = self._traffic()  # it forks, which a process with two threads should not
        self.loop = Loop()
        stack.callback(self.loop.close)
        with entered(net.descriptor("ha")):
            self.home = HomePlane(self._netlink(), backbone="bb", address=t.HOME_AGENT)
        self.par, self.nar = (self._router(router) for router in net.routers)
        with entered(net.descriptor("mn")):
            self.mobile = MobilePlane(self._netlink(), t.MOBILE_LINK)
            self.mip = HomeMobilePlane(
                self._netlink(), link=t.MOBILE_LINK, home_address=t.HOME_ADDRESS, mtu=1420
            )
            bridges = {r.bssid: f"air{r.number}" for r in net.routers}
            config = PortConfig(net.path("radio"), "mn", t.MOBILE_LINK, bridges)
            self.port = BridgePort(config, l2_gap_ms)
            self._sender = PacketSender(t.MOBILE_LINK)
            stack.callback(self._sender.close)
        stack.callback(lambda: asyncio.run(self.port.close()))

    def _netlink(self) -> Netlink:
        netlink = Netlink()
        self._stack.callback(netlink.close)
        return netlink

    def _router(self, router: t.Router) -> RouterPlane:
        with entered(self.net.descriptor(router.name)):
            plane = RouterPlane(
                self._netlink(),
                access="ap",
                backbone="bb",
                address=router.address,
                buffering=self._buffering,
                on_tally=self._on_tally,
            )
        self.loop.call(plane.start)
        self._stack.callback(lambda: self.loop.call(lambda: _close(plane, self.net, router)))
        return plane

    def _on_tally(self, _node: IPv6Address, tally: Tally) -> None:
        self.tallies.append(tally)
        self.ended_ns = wall_ns()

    def move(self, router: t.Router) -> Moved:
        """Move the port, as the radio would."""
        return asyncio.run(self.port.move(router.bssid, lambda _: None))

    def announce(self, coa: IPv6Address) -> None:
        """Send the UNA for a care-of address."""
        message = UnsolicitedNeighbourAdvertisement(coa, t.MOBILE_MAC)
        self._sender.send(encode(message, coa, _ALL_NODES), _ALL_NODES)

    def settle(self) -> None:
        """Stop the traffic, and wait until all that was sent has arrived, if it does."""
        for flow in self.flows:
            flow.order(b"s")
        last, since = (-1, -1), 0.0

        def still() -> bool:
            """Counts come five times a second: the first that agree may be from before the end."""
            nonlocal last, since
            polled = [f.poll() for f in self.flows]
            counts = sum(p[0] for p in polled), sum(p[1] for p in polled)
            if counts != last:
                last, since = counts, now_s()
            return counts[0] == counts[1] and now_s() - since > _STILL_S

        until(still, within_s=60, what="as many arrived as were sent")
        for flow in self.flows:
            flow.order(b"q")
            assert flow.node.finish(now_s() + 60) == 0

    def _traffic(self) -> tuple[FlowProcess, FlowProcess]:
        """1,000 packets a second each way, when told to go: (correspondent, mobile node)."""
        ends = (("cn", t.CORRESPONDENT, t.HOME_ADDRESS), ("mn", t.HOME_ADDRESS, t.CORRESPONDENT))
        nodes: list[Node] = []
        self._stack.callback(lambda: stop_all([n for n in nodes if n.exit_status is None]))

        def start(name: str, local: IPv6Address, remote: IPv6Address) -> FlowProcess:
            flow = Flow(local, remote, 5001, 1200, _PACKETS_PER_S)
            process = FlowProcess.start(
                name, flow, self._folder, lambda n, main: spawn(n, self.net.descriptor(n), main)
            )
            nodes.append(process.node)
            self._stack.callback(process.close)
            process.node.wait_ready(now_s() + 60)
            return process

        cn, mn = (start(*end) for end in ends)
        return cn, mn


def _close(plane: RouterPlane, net: t.Topology, router: t.Router) -> None:
    with entered(net.descriptor(router.name)):  # it puts settings of the namespace back
        plane.close()


@contextmanager
def hands(folder: Path, l2_gap_ms: float, buffering: Buffering) -> Iterator[Hands]:
    """A testbed, torn down after the block."""
    net = t.Topology(2)
    try:
        with ExitStack() as stack:
            yield Hands(net, stack, folder, l2_gap_ms=l2_gap_ms, buffering=buffering)
    finally:
        net.close()


def _arrivals(flows: tuple[FlowProcess, FlowProcess]) -> int:
    return min(flow.poll()[1] for flow in flows)


def _packets_pass(flows: tuple[FlowProcess, FlowProcess]) -> None:
    before = _arrivals(flows)
    until(lambda: _arrivals(flows) > before + 100, within_s=60, what="packets pass both ways")


def _handover(hands: Hands, flows: tuple[FlowProcess, FlowProcess], *, bound: bool = True) -> None:
    """All that the engines would order, step by step; bound: the home agent hears of it."""
    one, two, first, second, loop = hands.one, hands.two, hands.first, hands.second, hands.loop
    hands.move(one)
    hands.mobile.use_router(first, one.address, one.access_mac)
    hands.mip.use_tunnel(t.HOME_AGENT, first)
    hands.home.set_binding(t.HOME_ADDRESS, first)
    flows[0].order(b"p")
    until(lambda: flows[0].poll()[2] > 0, within_s=60, what="the mobile node answers")
    for flow in flows:
        flow.order(b"g")
    _packets_pass(flows)
    # what RtSolPr, FBU, HI, HAck and FBack bring about
    hands.mobile.prepare(first, second, one.address, two.address, two.access_mac)
    loop.call(lambda: hands.nar.expect(second))
    loop.call(lambda: hands.nar.defend(second))
    loop.call(lambda: hands.par.add_tunnel(first, second))
    hands.mobile.hold(first)
    moved = hands.move(two)
    assert moved.port_out_ns is not None
    assert moved.port_in_ns - moved.port_out_ns >= hands.l2_gap_ms * 1e6
    hands.announce(second)
    hands.mobile.complete(first, second, one.address, two.address, two.access_mac, tunnel=True)
    loop.call(lambda: hands.nar.admit(second, t.MOBILE_MAC))
    _packets_pass(flows)
    hands.switched_ns = wall_ns()
    if not bound:
        return
    # what BU and BA bring about
    hands.mip.accept(second, t.HOME_AGENT)
    hands.home.set_binding(t.HOME_ADDRESS, second)
    hands.mip.use_tunnel(t.HOME_AGENT, second)
    _packets_pass(flows)


@pytest.mark.parametrize("l2_gap_ms", [1.0, 50.0, 300.0])
@pytest.mark.parametrize("buffering", [Buffering.TUN, Buffering.PACKET, Buffering.KERNEL])
def test_a_handover_by_hand_loses_nothing(tmp_path: Path, l2_gap_ms: float, buffering: Buffering) -> None:
    """1,000 packets/s each way get over an L2 gap unharmed, and from the paced buffer in order."""
    with hands(tmp_path, l2_gap_ms, buffering) as rig:
        flows = rig.flows
        _handover(rig, flows)
        if buffering is not Buffering.KERNEL:
            until(lambda: rig.tallies != [], within_s=60, what="nothing waits any more, though packets come")
        # the grace is over
        rig.home.refuse_from(t.HOME_ADDRESS, rig.first)
        rig.loop.call(lambda: rig.par.remove_tunnel(rig.first, rig.second))
        rig.mip.drop(rig.first)
        rig.mobile.end_tunnel(rig.first, rig.second, rig.one.address, keep_address=False)
        _packets_pass(flows)
        rig.settle()
        for sender, receiver in (flows, flows[::-1]):
            numbers = [number for number, _, _ in receiver.log().received]
            assert sorted(numbers) == list(range(len(sender.log().sent_ns)))
            if buffering is not Buffering.KERNEL:
                # until the home agent switched to the shorter way, and the kernel took over at the router
                kept = [
                    n
                    for n, sent, got in receiver.log().received
                    if sent < rig.switched_ns
                    if got < rig.ended_ns
                ]
                assert [(a, b) for a, b in pairwise(kept) if a > b] == []
    if buffering is not Buffering.KERNEL:
        (tally,) = rig.tallies
        assert (tally.overflowed, tally.abandoned) == (0, 0)
        assert tally.entered >= tally.peak_packets
        assert tally.peak_packets > BURST or l2_gap_ms < 300


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "unbound"])
def test_a_node_that_comes_straight_back_loses_nothing(tmp_path: Path, bound: bool) -> None:
    """Back at the first router while its tunnel still stands: what was held there and here gets through.

    Also where all packets are in that tunnel, because no home agent knows of the second address.
    """
    with hands(tmp_path, 20.0, Buffering.AUTO) as rig:
        one, two, first, second, loop = rig.one, rig.two, rig.first, rig.second, rig.loop
        _handover(rig, rig.flows, bound=bound)
        rig.mobile.prepare(second, first, two.address, one.address, one.access_mac)
        loop.call(lambda: rig.par.expect(first))
        loop.call(lambda: rig.par.defend(first))
        loop.call(lambda: rig.nar.add_tunnel(second, first))
        rig.mobile.hold(second)
        rig.move(one)
        rig.announce(first)
        # the shell completes first, and ends the tunnel when the engine says so
        rig.mobile.complete(second, first, two.address, one.address, one.access_mac, tunnel=True)
        loop.call(lambda: rig.par.remove_tunnel(first, second))
        loop.call(lambda: rig.par.admit(first, t.MOBILE_MAC))
        _packets_pass(rig.flows)
        rig.mobile.end_tunnel(first, second, one.address, keep_address=True)
        _packets_pass(rig.flows)
        rig.settle()
        for sender, receiver in (rig.flows, rig.flows[::-1]):
            numbers = {number for number, _, _ in receiver.log().received}
            assert numbers == set(range(len(sender.log().sent_ns)))
