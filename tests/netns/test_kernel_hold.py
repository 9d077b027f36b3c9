"""Packets that wait in the kernel until their next hop is told: none leaks, all come out in order."""

import socket
from collections.abc import Iterator

import pytest
from attrs import frozen
from netns_kit import (
    ip,
)
from polling import wait_until
from tunnel_kit import BEYOND, INNER, INSIDE, PORT, Pair, beyond

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.tunnels import (
    DEFAULT,
    GONE,
    Hold,
)

netns = pytest.mark.netns
TABLE = 52000
PACKETS = 200


@frozen
class Holding:
    """A hold on what goes from a socket through TABLE; behind: where it goes when it is let go."""

    pair: Pair
    hold: Hold
    sock: socket.socket

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
    hold = Hold(pair.kernel, octets=4 << 20)
    pair.kernel.execute(
        [
            m.rule(90, table=TABLE, source=INSIDE),
            m.rule(89, table=m.TABLE_MAIN, source=INSIDE, iif=hold.out_name),
        ]
    )
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((str(INSIDE), 0))
        yield Holding(pair, hold, sock)
    hold.close()


def own_way() -> bytes:
    """The message that lets the table's packets go where they want."""
    return m.route(DEFAULT, table=TABLE, oif=index_of("b0"), via=BEYOND)


@netns
def test_held_packets_wait_and_come_out_in_order(holding: Holding) -> None:
    """200 packets wait, none leaks; released, all come out in the order in which they were sent."""
    kernel, hold = holding.pair.kernel, holding.hold
    kernel.execute(hold.messages(TABLE), ignore=GONE)
    holding.send(0, PACKETS)
    out: list[int] = []
    assert holding.arrived(out) == 0
    kernel.execute([hold.release, own_way()])
    holding.send(PACKETS, 1)
    wait_until(lambda: holding.arrived(out) > PACKETS, 10)
    assert out == list(range(PACKETS + 1))


@netns
def test_a_hold_can_be_used_again(holding: Holding) -> None:
    """After a release the next hold holds again; what the first let go does not come twice."""
    kernel, hold = holding.pair.kernel, holding.hold
    out: list[int] = []
    for turn in range(3):
        kernel.execute(hold.messages(TABLE), ignore=GONE)
        holding.send(turn * 10, 10)
        assert holding.arrived(out) == turn * 10
        kernel.execute([hold.release, own_way()])
        wait_until(lambda: holding.arrived(out) >= (turn + 1) * 10, 10)  # noqa: B023 - called within the turn
    assert out == list(range(30))


@netns
def test_what_is_forgotten_never_comes_out(holding: Holding) -> None:
    """A hold that is closed with packets in it drops them, and leaves no device."""
    kernel, hold = holding.pair.kernel, holding.hold
    kernel.execute(hold.messages(TABLE), ignore=GONE)
    holding.send(0, 50)
    hold.close()
    kernel.execute([own_way()])
    holding.send(50, 1)
    out: list[int] = []
    wait_until(lambda: holding.arrived(out) >= 1, 10)
    assert out == [50]
    assert not [line for line in ip("-o", "link") if "lies-" in line]


@netns
def test_a_hold_is_as_large_as_was_asked_for(holding: Holding) -> None:
    """Beyond its octets the oldest packets go, and the newest are kept (the kernel's own rule)."""
    kernel, hold = holding.pair.kernel, holding.hold
    small = Hold(kernel, octets=20_000)
    assert small.index == hold.index
    kernel.execute(small.messages(TABLE), ignore=GONE)
    holding.send(0, PACKETS)
    kernel.execute([small.release, own_way()])
    out: list[int] = []
    wait_until(lambda: holding.arrived(out) > 0 and out[-1] == PACKETS - 1, 10)
    assert 0 < len(out) < PACKETS
    assert out == list(range(PACKETS - len(out), PACKETS))


@netns
def test_two_tables_share_one_hold(holding: Holding) -> None:
    """A second table that begins to wait does not drop what waits for the first."""
    kernel, hold = holding.pair.kernel, holding.hold
    kernel.execute([m.rule(90, table=TABLE + 2, source=INNER)])
    kernel.execute(hold.messages(TABLE), ignore=GONE)
    holding.send(0, 10)
    kernel.execute(hold.messages(TABLE + 2)[1:])
    kernel.execute([hold.release, own_way()])
    out: list[int] = []
    holding.send(10, 1)
    wait_until(lambda: holding.arrived(out) > 0 and out[-1] == 10, 10)
    assert out == list(range(11))
