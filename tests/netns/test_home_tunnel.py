"""The tunnel to the home agent changes its source and its way, and no packet sees half of that."""

import socket
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import frozen
from netns_kit import waiting
from polling import wait_until
from tunnel_kit import Pair

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.netlink import Netlink
from lies.kernel.tunnels import DEFAULT, host
from lies_mipv6.mobile_plane import MobilePlane

pytestmark = pytest.mark.netns
HOME, AGENT = IPv6Address("2001:db8:99::99"), IPv6Address("2001:db8:98::1")
PCOA, NCOA = IPv6Address("2001:db8:6::1"), IPv6Address("2001:db8:7::1")
PAR, CORRESPONDENT = IPv6Address("2001:db8:6::ffff"), IPv6Address("2001:db8:97::1")
_PCOA_TABLE, _NCOA_TABLE = 7001, 7002
_IN_TUNNEL = 41


@frozen
class Seen:
    """A packet as it left: by way of the previous router or not, and the source of the home tunnel."""

    by_par: bool
    source: IPv6Address
    number: int


def seen(pair: Pair) -> list[Seen]:
    """What left by b0 until now."""
    found = []
    for frame in waiting(pair.behind):
        packet = frame[14:]
        if packet[6] != _IN_TUNNEL:
            continue
        by_par = IPv6Address(packet[24:40]) == PAR
        tunnel = packet[40:] if by_par else packet
        assert IPv6Address(tunnel[24:40]) == AGENT
        inner = tunnel[40:]
        found.append(Seen(by_par, IPv6Address(tunnel[8:24]), int.from_bytes(inner[48:52])))
    return found


def ways(kernel: Netlink) -> None:
    """PCoA's packets leave in a tunnel to the previous router, NCoA's straight."""
    b0, mac = index_of("b0"), b"\x02\0\0\0\0\x09"
    gate = IPv6Address("fe80::9")
    kernel.execute(
        [
            *[m.address(b0, coa) for coa in (PCOA, NCOA)],
            m.neighbour(b0, gate, mac),
            m.route(host(PAR), oif=b0, via=gate),
            m.rule(90, table=_PCOA_TABLE, source=PCOA),
            m.rule(90, table=_NCOA_TABLE, source=NCOA),
            m.route(DEFAULT, table=_PCOA_TABLE, oif=b0, encap=PAR),
            m.route(DEFAULT, table=_NCOA_TABLE, oif=b0, via=gate),
            m.route(IPv6Network("2001:db8::/32"), oif=b0, via=gate),
        ]
    )


class Stepwise:
    """A netlink socket that sends a packet from the home address after every single message."""

    def __init__(self, kernel: Netlink, sender: socket.socket) -> None:
        self._kernel = kernel
        self._sender = sender
        self.count = 0

    def send(self) -> None:
        """The next packet."""
        self._sender.sendto(self.count.to_bytes(4), (str(CORRESPONDENT), 9))
        self.count += 1

    def execute(self, messages: Any, **more: Any) -> None:
        """As Netlink.execute, with a packet behind each message."""
        for message in messages:
            self._kernel.execute([message], **more)
            self.send()


def test_no_packet_goes_the_old_way_with_the_new_source(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent after every step of a change: all arrive, in order, first the old way and then the new one."""
    ways(pair.kernel)
    plane = MobilePlane(pair.kernel, link="b0", home_address=HOME, mtu=1400)
    sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sender.bind((str(HOME), 0))
    steps = Stepwise(pair.kernel, sender)
    try:
        plane.use_tunnel(AGENT, PCOA)
        plane.settle()
        for _ in range(3):
            steps.send()
        monkeypatch.setattr(plane, "_netlink", steps)
        plane.use_tunnel(AGENT, NCOA)
        for _ in range(3):
            steps.send()
        plane.settle()
        monkeypatch.undo()
        for _ in range(3):
            steps.send()
        found: list[Seen] = []

        def all_came() -> bool:
            found.extend(seen(pair))
            return len(found) >= steps.count

        wait_until(all_came, 20)
    finally:
        sender.close()
        plane.close()
    assert [packet.number for packet in found] == list(range(steps.count))
    ways_taken = [(packet.by_par, packet.source) for packet in found]
    old, new = (True, PCOA), (False, NCOA)
    assert set(ways_taken) == {old, new}
    assert ways_taken == sorted(ways_taken, key=[old, new].index)
