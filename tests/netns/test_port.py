"""The mobile node's port: in one bridge with carrier, or in none and without."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from attrs import evolve, frozen
from descriptors import open_descriptors
from netns_kit import frames, ip, netlink, waiting

from lies.attachment import PortConfig
from lies.errors import LinkError, LinkErrorReason
from lies.kernel import messages as m
from lies.kernel.netns import entered
from lies.runtime import monotonic_ns
from lies.testbed import topology as t
from lies.testbed.port import BridgePort

pytestmark = pytest.mark.netns

GAP_MS = 30.0
MS = 1_000_000


@frozen
class Radio:
    """A testbed's radio and mobile node, without daemons."""

    net: t.Topology

    @property
    def config(self) -> PortConfig:
        """The port, with a bridge for each access point."""
        bridges = {r.bssid: f"air{r.number}" for r in self.net.routers}
        return PortConfig(self.net.path("radio"), "mn", t.MOBILE_LINK, bridges)

    def open(self, *, limit_s: float = 5.0, config: PortConfig | None = None) -> BridgePort:
        """The port, opened as the driver does it: in the mobile node's namespace."""
        with entered(self.net.descriptor("mn")):
            return BridgePort(config or self.config, GAP_MS, limit_s=limit_s)

    def state(self) -> tuple[str | None, bool]:
        """(the bridge that the port is in, whether the mobile node has carrier), by iproute2."""
        with entered(self.net.descriptor("radio")):
            (port,) = ip("-d", "-o", "link", "show", "dev", "mn")
        with entered(self.net.descriptor("mn")):
            (node,) = ip("-d", "-o", "link", "show", "dev", t.MOBILE_LINK)
        master = re.search(r" master (\S+)", port)
        flags = node.partition("<")[2].partition(">")[0].split(",")
        assert ("NO-CARRIER" in flags) != ("LOWER_UP" in flags)
        return master[1] if master else None, "LOWER_UP" in flags

    def move(
        self, port: BridgePort, number: int, on_out: Callable[[int], None] = lambda _: None
    ) -> tuple[int | None, int, int]:
        """Move to a router's access point: port out, port in, up."""
        moved = asyncio.run(port.move(t.Router(number).bssid, on_out))
        return moved.port_out_ns, moved.port_in_ns, moved.up_ns

    def bridge_down(self, number: int, *, up: bool = False) -> None:
        """Take a router's access point out of service, or put it back."""
        with entered(self.net.descriptor("radio")), netlink() as kernel:
            kernel.execute([m.set_link(socket.if_nametoindex(f"air{number}"), up=up)])


@pytest.fixture(scope="module")
def net() -> Iterator[t.Topology]:
    """A testbed of two routers."""
    net = t.Topology(2)
    yield net
    net.close()


@pytest.fixture
def radio(net: t.Topology) -> Radio:
    """Its radio."""
    return Radio(net)


@pytest.fixture
def port(radio: Radio) -> Iterator[BridgePort]:
    """An open port."""
    port = radio.open()
    yield port
    asyncio.run(port.close())


def test_a_port_begins_outside(radio: Radio, port: BridgePort) -> None:
    """Opened, the port is in no bridge and the node has no carrier."""
    assert port is not None
    assert radio.state() == (None, False)


def test_attached_is_in_the_bridge_with_carrier(radio: Radio, port: BridgePort) -> None:
    """After move the port is in that access point's bridge, and the node has carrier."""
    out, into, up = radio.move(port, 1)
    assert out is None
    assert into <= up <= monotonic_ns()
    assert radio.state() == ("air1", True)


def test_detached_is_in_no_bridge_and_without_carrier(radio: Radio, port: BridgePort) -> None:
    """After detach the port is in no bridge and the node has no carrier."""
    radio.move(port, 1)
    before = monotonic_ns()
    out = asyncio.run(port.detach())
    assert before <= out <= monotonic_ns()
    assert radio.state() == (None, False)


def test_a_move_leaves_first_and_stays_out_for_the_gap(radio: Radio, port: BridgePort) -> None:
    """on_out is told as soon as the port is out, and it comes in no sooner than the L2 gap after that."""
    radio.move(port, 1)
    told: list[tuple[int, tuple[str | None, bool]]] = []

    out, into, _ = radio.move(port, 2, lambda out_ns: told.append((out_ns, radio.state())))
    assert told == [(out, (None, False))]
    assert out is not None
    assert into - out >= GAP_MS * MS
    assert radio.state() == ("air2", True)


def test_the_gap_counts_from_the_detachment(radio: Radio, port: BridgePort) -> None:
    """After a detach the next move keeps to the gap too, and tells of no leaving."""
    radio.move(port, 1)
    out = asyncio.run(port.detach())
    told: list[int] = []
    port_out, into, _ = radio.move(port, 2, told.append)
    assert (port_out, told) == (None, [])
    assert into - out >= GAP_MS * MS


def test_up_means_that_frames_have_passed_both_ways(radio: Radio, port: BridgePort) -> None:
    """Before move returns, the router's side has seen a frame of the node, and the node one from there."""
    with ExitStack() as stack:
        seen = []
        for name, interface in (("ar1", "ap"), ("mn", t.MOBILE_LINK)):
            with entered(radio.net.descriptor(name)):
                seen.append(stack.enter_context(frames(interface, incoming_only=True)))
        out, into, up = radio.move(port, 1)
        at_router, at_node = ([f for f in waiting(s) if f[12:14] == b"\x88\xb5"] for s in seen)
    assert out is None
    assert into <= up
    assert any(f[6:12] == t.MOBILE_MAC for f in at_router)
    assert at_node
    assert all(f[6:12] != t.MOBILE_MAC for f in at_node)


def test_an_unknown_access_point_is_refused_and_nothing_moves(radio: Radio, port: BridgePort) -> None:
    """LinkError(UNKNOWN_POA), and the port stays where it is."""
    radio.move(port, 1)
    with pytest.raises(LinkError, match="no bridge for the point of attachment nowhere") as caught:
        asyncio.run(port.move("nowhere", lambda _: None))
    assert caught.value.reason is LinkErrorReason.UNKNOWN_POA
    assert radio.state() == ("air1", True)


def test_a_bridge_that_passes_nothing_is_an_error_within_the_limit(radio: Radio) -> None:
    """A bridge that is down lets no frame pass: OSError at the limit, the port out, a later move works."""
    port = radio.open(limit_s=0.2)
    radio.move(port, 1)
    radio.bridge_down(2)
    begun = monotonic_ns()
    with pytest.raises(OSError, match=r"no frame passed from wlan0 and back within 0\.2 s"):
        radio.move(port, 2)
    assert 200 * MS <= monotonic_ns() - begun < 3000 * MS
    assert radio.state() == (None, False)
    radio.bridge_down(2, up=True)
    out, _, _ = radio.move(port, 2)
    assert out is None
    assert radio.state() == ("air2", True)
    asyncio.run(port.close())


def test_a_bridge_that_is_gone_is_an_error_and_the_port_is_out(radio: Radio) -> None:
    """What the kernel refuses is an OSError, and no half move is left: neither bridge nor carrier."""
    with entered(radio.net.descriptor("radio")), netlink() as kernel:
        kernel.execute([m.new_bridge("doomed")])
        doomed = socket.if_nametoindex("doomed")
    other = radio.open(config=PortConfig(radio.net.path("radio"), "mn", t.MOBILE_LINK, {"x": "doomed"}))
    with entered(radio.net.descriptor("radio")), netlink() as kernel:
        kernel.execute([m.delete_link(doomed)])
    with pytest.raises(OSError, match="the kernel refused"):
        asyncio.run(other.move("x", lambda _: None))
    assert radio.state() == (None, False)
    asyncio.run(other.close())


def test_a_cancelled_move_leaves_the_port_out(radio: Radio) -> None:
    """A driver that stops in the middle of a move leaves no port in a bridge."""
    port = radio.open()
    radio.bridge_down(1)

    async def cancelled() -> None:
        move = asyncio.create_task(port.move(t.Router(1).bssid, lambda _: None))
        while radio.state()[0] is None:  # noqa: ASYNC110 - the kernel tells nobody that a port has moved
            await asyncio.sleep(0)
        move.cancel()
        with pytest.raises(asyncio.CancelledError):
            await move

    asyncio.run(cancelled())
    radio.bridge_down(1, up=True)
    assert radio.state() == (None, False)
    asyncio.run(port.close())


@pytest.mark.parametrize(
    "wrong",
    [
        {"radio_netns": "/proc/self/nowhere"},
        {"port": "nowhere"},
        {"bridges": {"x": "nowhere"}},
        {"radio_netns": "/dev/null"},
    ],
    ids=["netns", "port", "bridge", "no netns"],
)
def test_a_port_that_is_not_there_is_an_error_and_nothing_stays_open(
    radio: Radio, wrong: dict[str, Any]
) -> None:
    """A namespace, port or bridge that does not exist is an OSError; no descriptor is left open."""
    before = open_descriptors()
    with pytest.raises(OSError, match=r"No such file|Invalid argument|no interface 'nowhere'"):
        radio.open(config=evolve(radio.config, **wrong))
    assert open_descriptors() == before


def test_closing_detaches(radio: Radio) -> None:
    """Close leaves the port in no bridge, without carrier, and its sockets closed."""
    before = open_descriptors()
    port = radio.open()
    radio.move(port, 1)
    asyncio.run(port.close())
    assert radio.state() == (None, False)
    assert open_descriptors() == before
