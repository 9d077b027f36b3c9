"""Intakes: where routes lead packets to a program of ours, by TUN or by a packet socket."""

import socket
from ipaddress import IPv6Address
from itertools import pairwise
from pathlib import Path

import pytest
from netns_kit import ip, udp, waiting
from tunnel_kit import NET, OTHER_INNER, Pair

from lies.errors import LiesError
from lies.kernel import intake
from lies.kernel import messages as m
from lies.kernel.interfaces import index_of, mtu_of
from lies.kernel.kinds import IntakeKind
from lies.kernel.netns import entered
from lies.kernel.packets import ETH_P_IPV6
from lies.kernel.tunnels import host, link_address

pytestmark = pytest.mark.netns

NODE = IPv6Address(f"{NET}99")
MAC = b"\x02\0\0\0\0\x99"


def test_where_tun_is_closed_a_packet_socket_does(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTO falls back without a word; TUN by force says in one sentence what is the matter."""
    monkeypatch.setattr(intake, "_TUN", Path("/dev/net/nothing-here"))
    found = intake.open_intake(pair.kernel, mtu=1500)
    assert isinstance(found, intake.PacketIntake)
    found.close()
    with pytest.raises(LiesError, match=r"nothing-here cannot be used .*; a packet socket can"):
        intake.open_intake(pair.kernel, kind=IntakeKind.TUN, mtu=1500)
    assert pair.more() == {}


@pytest.mark.parametrize("kind", [IntakeKind.TUN, IntakeKind.PACKET])
def test_what_an_intake_cannot_keep_is_counted(pair: Pair, kind: IntakeKind) -> None:
    """Of packets that nobody reads in time, those that are read later and those that are lost make up all."""
    found = intake.open_intake(pair.kernel, kind=kind, mtu=mtu_of("v0"))
    try:
        pair.kernel.execute([found.route(host(NODE), metric=512)])
        far_mac = link_address("b0")
        with entered(pair.far), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as source:
            for number in range(40_000):
                packet = udp(OTHER_INNER, NODE, number.to_bytes(4))
                source.sendto(packet, ("b1", ETH_P_IPV6, 0, 0, far_mac))
        read = [int.from_bytes(packet[48:52]) for packet in found.receive(40_000)]
        assert 0 < len(read) < 40_000
        assert all(a < b for a, b in pairwise(read))
        assert 40_000 <= len(read) + found.lost() <= 40_004  # the kernel's own reports of groups count, too
        assert found.lost() == found.lost()
    finally:
        found.close()
    assert pair.more() == {}


def test_a_packet_that_is_too_big_is_answered_as_ever(pair: Pair) -> None:
    """The intake has the access link's MTU, so that the kernel says Packet Too Big to the sender."""
    found = intake.open_intake(pair.kernel, mtu=1400)
    try:
        pair.kernel.execute(
            [
                found.route(host(NODE), metric=512),
                m.route(host(OTHER_INNER), oif=index_of("b0")),
                m.neighbour(index_of("b0"), OTHER_INNER, MAC),
            ]
        )
        far_mac = link_address("b0")
        with entered(pair.far), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as source:
            source.sendto(udp(OTHER_INNER, NODE, bytes(1400)), ("b1", ETH_P_IPV6, 0, 0, far_mac))
        (answer,) = [f for f in waiting(pair.behind) if f[20] == 58 and f[54] == 2]
        assert int.from_bytes(answer[58:62]) == 1400
        assert list(found.receive(10)) == []
    finally:
        found.close()
        assert ip("-6", "route", "del", str(OTHER_INNER)) == []
