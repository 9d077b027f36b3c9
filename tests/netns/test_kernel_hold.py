"""Packets that wait in the kernel until their next hop is told: none leaks, all come out in order."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen
from netns_kit import ip, kernel_state, left, settle
from polling import wait_until
from tunnel_kit import BEYOND, INNER, INSIDE, PORT, Pair, beyond

from lies.errors import LiesError
from lies.kernel import messages as m
from lies.kernel import tunnels
from lies.kernel.interfaces import index_of
from lies.kernel.netns import sysctl
from lies.kernel.tunnels import DEFAULT, Hold, Lane

netns = pytest.mark.netns
TABLE = 52000
PACKETS = 200


@frozen
class Holding:
    """A hold on what goes from a socket through TABLE; behind: where it goes when it is let go."""

    pair: Pair
    hold: Hold
    lane: Lane
    sock: socket.socket

    def take(self) -> None:
        """Let the table's packets wait."""
        self.pair.kernel.execute(self.lane.take)

    def let_go(self) -> None:
        """What waits goes, then what comes."""
        self.pair.kernel.execute([*self.lane.let_go, own_way()])

    def send(self, first: int, count: int) -> None:
        """Send numbered datagrams."""
        for number in range(first, first + count):
            self.sock.sendto(number.to_bytes(4), (str(BEYOND), PORT))

    def arrived(self, into: list[int]) -> int:
        """How many numbers have come out behind; they are appended."""
        into.extend(int.from_bytes(data) for data in beyond(self.pair))
        return len(into)


@pytest.fixture
def holding(pair: Pair) -> Iterator[Holding]:
    """A hold, and a socket whose packets take the table."""
    with held(pair) as holding:
        yield holding


@contextmanager
def held(pair: Pair) -> Iterator[Holding]:
    """The same for a block."""
    hold = Hold(pair.kernel, octets=4 << 20)
    pair.kernel.execute(
        [
            m.rule(90, table=TABLE, source=INSIDE),
            m.rule(89, table=m.TABLE_MAIN, source=INSIDE, iif=hold.out_name),
        ]
    )
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((str(INSIDE), 0))
        yield Holding(pair, hold, hold.lane(TABLE), sock)
    hold.close()


def own_way() -> bytes:
    """The message that lets the table's packets go where they want."""
    return m.route(DEFAULT, table=TABLE, oif=index_of("b0"), via=BEYOND)


@netns
def test_what_a_host_holds_goes_though_it_forwards_nothing_else(pair: Pair) -> None:
    """Where the kernel can (Linux 6.17), held packets leave a host that is no router; else it is said."""
    sysctl("ipv6/conf/all/forwarding", 0)
    if not Path("/proc/sys/net/ipv6/conf/all/force_forwarding").exists():
        with pytest.raises(LiesError, match="forwarding"):
            Hold(pair.kernel, octets=4 << 20)
        return
    with held(pair) as holding:
        holding.take()
        holding.send(0, PACKETS)
        holding.let_go()
        out: list[int] = []
        wait_until(lambda: holding.arrived(out) == PACKETS, 20)
        assert out == list(range(PACKETS))


@netns
def test_an_older_kernel_needs_to_be_told_to_forward(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 6.17 a host that forwards nothing is told what to set; nothing is left; set, it holds."""
    monkeypatch.setattr(tunnels, "sysctl", without_force_forwarding)
    sysctl("ipv6/conf/all/forwarding", 0)
    before = kernel_state()
    with pytest.raises(LiesError, match=r"net\.ipv6\.conf\.all\.forwarding = 1"):
        Hold(pair.kernel, octets=4 << 20)
    assert left(before, kernel_state()) == {}
    sysctl("ipv6/conf/all/forwarding", 1)
    Hold(pair.kernel, octets=4 << 20).close()


def without_force_forwarding(name: str, value: int | str) -> None:
    """What a kernel without that sysctl does."""
    if name.endswith("/force_forwarding"):
        raise FileNotFoundError(name)
    sysctl(name, value)


@netns
def test_held_packets_wait_and_come_out_in_order(holding: Holding) -> None:
    """200 packets wait, none leaks; released, all come out in the order in which they were sent."""
    holding.take()
    holding.send(0, PACKETS)
    out: list[int] = []
    assert holding.arrived(out) == 0
    holding.let_go()
    holding.send(PACKETS, 1)
    wait_until(lambda: holding.arrived(out) > PACKETS, 10)
    assert out == list(range(PACKETS + 1))


@netns
def test_a_hold_can_be_used_again(holding: Holding) -> None:
    """After a release the next hold holds again; what the first let go does not come twice."""
    out: list[int] = []
    for turn in range(3):
        holding.take()
        holding.send(turn * 10, 10)
        assert holding.arrived(out) == turn * 10
        holding.let_go()
        wait_until(lambda: holding.arrived(out) >= (turn + 1) * 10, 10)  # noqa: B023 - called within the turn
    assert out == list(range(30))


@netns
def test_what_is_forgotten_never_comes_out(holding: Holding) -> None:
    """A hold that is closed with packets in it drops them, and leaves no device."""
    holding.take()
    holding.send(0, 50)
    holding.hold.close()
    holding.pair.kernel.execute([own_way()])
    holding.send(50, 1)
    out: list[int] = []
    wait_until(lambda: holding.arrived(out) >= 1, 10)
    assert out == [50]
    assert not [line for line in ip("-o", "link") if "lies-" in line]


@netns
def test_a_lane_is_as_large_as_was_asked_for(holding: Holding) -> None:
    """Beyond its octets the oldest packets go, and the newest are kept (the kernel's own rule)."""
    small = Hold(holding.pair.kernel, octets=20_000)
    assert small.lane(TABLE) == holding.lane
    holding.take()
    holding.send(0, PACKETS)
    holding.let_go()
    out: list[int] = []
    wait_until(lambda: holding.arrived(out) > 0 and out[-1] == PACKETS - 1, 10)
    assert 0 < len(out) < PACKETS
    assert out == list(range(PACKETS - len(out), PACKETS))


@netns
@pytest.mark.parametrize("forgotten", [False, True])
def test_each_lane_waits_and_goes_alone(holding: Holding, forgotten: bool) -> None:
    """Two tables wait; what is let go, or dropped, of one of them does not touch the other's."""
    kernel = holding.pair.kernel
    other = holding.hold.lane(TABLE + 2)
    kernel.execute(
        [
            m.address(1, INNER, owner=m.OWNER_ADMINISTRATOR),
            m.rule(90, table=TABLE + 2, source=INNER),
            m.rule(89, table=m.TABLE_MAIN, source=INNER, iif=holding.hold.out_name),
        ]
    )
    settle()
    holding.take()
    holding.send(0, 10)
    kernel.execute(other.take)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((str(INNER), 0))
        for number in range(100, 110):
            sock.sendto(number.to_bytes(4), (str(BEYOND), PORT))
    kernel.execute(other.forget if forgotten else other.let_go)
    out: list[int] = []
    if not forgotten:
        wait_until(lambda: holding.arrived(out) >= 10, 10)
    assert out == ([] if forgotten else list(range(100, 110)))
    holding.let_go()
    holding.send(10, 1)
    wait_until(lambda: holding.arrived(out) > 0 and 10 in out, 10)
    assert [number for number in out if number < 100] == list(range(11))
    assert [number for number in out if number >= 100] == ([] if forgotten else list(range(100, 110)))
