"""The kernel's part of a handover, moved by hand: no engine, no bus, no signalling but the UNA."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from drives import until

from lies.attachment import Moved, PortConfig
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies.kernel.packets import PacketSender
from lies.runtime import now_s
from lies.testbed import topology as t
from lies.testbed.flows import FlowProcess
from lies.testbed.node import Node, spawn, stop_all
from lies.testbed.port import BridgePort
from lies.testbed.traffic import Flow
from lies_fmipv6.codec import encode
from lies_fmipv6.messages import UnsolicitedNeighbourAdvertisement
from lies_fmipv6.mobile_plane import MobilePlane
from lies_fmipv6.router_plane import RouterPlane
from lies_mipv6.home_plane import HomePlane
from lies_mipv6.mobile_plane import MobilePlane as HomeMobilePlane

pytestmark = pytest.mark.netns

_ALL_NODES = IPv6Address("ff02::1")
_L2_GAP_MS = 50.0


class Hands:
    """A testbed of two routers whose kernels are moved by hand."""

    def __init__(self, net: t.Topology, stack: ExitStack, folder: Path) -> None:
        self.net = net
        self._folder = folder
        self._stack = stack
        self.one, self.two = net.routers
        self.first, self.second = self.one.prefix[0x99], self.two.prefix[0x99]
        with entered(net.descriptor("ha")):
            self.home = HomePlane(self._netlink(), backbone="bb", address=t.HOME_AGENT)
        self.par, self.nar = (self._router(router) for router in net.routers)
        with entered(net.descriptor("mn")):
            self.mobile = MobilePlane(self._netlink(), t.MOBILE_LINK)
            self.mip = HomeMobilePlane(
                self._netlink(), link=t.MOBILE_LINK, home_address=t.HOME_ADDRESS, mtu=1420
            )
            bridges = {r.bssid: f"air{r.number}" for r in net.routers}
            self.port = BridgePort(PortConfig(net.path("radio"), "mn", t.MOBILE_LINK, bridges), _L2_GAP_MS)
            self._sender = PacketSender(t.MOBILE_LINK)
            stack.callback(self._sender.close)
        stack.callback(lambda: asyncio.run(self.port.close()))

    def _netlink(self) -> Netlink:
        netlink = Netlink()
        self._stack.callback(netlink.close)
        return netlink

    def _router(self, router: t.Router) -> RouterPlane:
        with entered(self.net.descriptor(router.name)):
            return RouterPlane(
                self._netlink(), access="ap", backbone="bb", address=router.address, buffer_octets=4 << 20
            )

    def move(self, router: t.Router) -> Moved:
        """Move the port, as the radio would."""
        return asyncio.run(self.port.move(router.bssid, lambda _: None))

    def announce(self) -> None:
        """Send the UNA for the second care-of address."""
        message = UnsolicitedNeighbourAdvertisement(self.second, t.MOBILE_MAC)
        self._sender.send(encode(message, self.second, _ALL_NODES), _ALL_NODES)

    def traffic(self) -> tuple[FlowProcess, FlowProcess]:
        """Start 1,000 packets a second each way; returns (correspondent, mobile node)."""
        ends = (("cn", t.CORRESPONDENT, t.HOME_ADDRESS), ("mn", t.HOME_ADDRESS, t.CORRESPONDENT))
        nodes: list[Node] = []
        self._stack.callback(lambda: stop_all([n for n in nodes if n.exit_status is None]))

        def start(name: str, local: IPv6Address, remote: IPv6Address) -> FlowProcess:
            flow = Flow(local, remote, 5001, 1200, 1000)
            process = FlowProcess.start(
                name, flow, self._folder, lambda n, main: spawn(n, self.net.descriptor(n), main)
            )
            nodes.append(process.node)
            self._stack.callback(process.close)
            process.node.wait_ready(now_s() + 10)
            return process

        cn, mn = (start(*end) for end in ends)
        return cn, mn


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    """A testbed, torn down after the test."""
    net = t.Topology(2)
    try:
        with ExitStack() as stack:
            yield Hands(net, stack, tmp_path)
    finally:
        net.close()


def _arrivals(flows: tuple[FlowProcess, FlowProcess]) -> int:
    return min(flow.poll()[1] for flow in flows)


def test_a_handover_by_hand_loses_nothing(hands: Hands) -> None:
    """Tunnel, hold and neighbour queue carry 1,000 packets/s each way over an L2 gap of 50 ms unharmed."""
    flows = hands.traffic()

    def packets_pass() -> None:
        before = _arrivals(flows)
        until(lambda: _arrivals(flows) > before + 100, within_s=10, what="packets pass both ways")

    hands.move(hands.one)
    hands.mobile.use_router(hands.first, hands.one.address, hands.one.access_mac)
    hands.mip.use_tunnel(t.HOME_AGENT, hands.first)
    hands.home.set_binding(t.HOME_ADDRESS, hands.first)
    for flow in flows:
        flow.order(b"g")
    packets_pass()
    # what RtSolPr, FBU, HI, HAck and FBack bring about
    two = hands.two
    hands.mobile.prepare(hands.first, hands.second, hands.one.address, two.address, two.access_mac)
    hands.nar.expect(hands.second)
    hands.par.add_tunnel(hands.first, hands.second)
    hands.mobile.hold(hands.first)
    moved = hands.move(two)
    assert moved.port_out_ns is not None
    assert moved.port_in_ns - moved.port_out_ns >= _L2_GAP_MS * 1e6
    hands.announce()
    hands.mobile.complete(
        hands.first, hands.second, hands.one.address, two.address, two.access_mac, tunnel=True
    )
    hands.nar.admit(hands.second, t.MOBILE_MAC)
    packets_pass()
    # what BU and BA bring about
    hands.mip.accept(hands.second, t.HOME_AGENT)
    hands.home.set_binding(t.HOME_ADDRESS, hands.second)
    hands.mip.use_tunnel(t.HOME_AGENT, hands.second)
    packets_pass()
    # the grace is over
    hands.home.refuse_from(t.HOME_ADDRESS, hands.first)
    hands.par.remove_tunnel(hands.first, hands.second)
    hands.mip.drop(hands.first)
    hands.mobile.end_tunnel(hands.first, hands.second, hands.one.address, keep_address=False)
    packets_pass()
    for flow in flows:
        flow.order(b"s")
    until(
        lambda: sum(f.poll()[0] for f in flows) == sum(f.poll()[1] for f in flows),
        within_s=5,
        what="as many arrived as were sent",
    )
    for flow in flows:
        flow.order(b"q")
        assert flow.node.finish(now_s() + 5) == 0
    for sender, receiver in (flows, flows[::-1]):
        numbers = [number for number, _, _ in receiver.log().received]
        assert sorted(numbers) == list(range(len(sender.log().sent_ns)))
