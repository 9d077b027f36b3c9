"""The packet filter in the kernel: a consumer hears what it wants and is not woken for anything else."""

from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv6Address

import pytest
from netns_kit import elsewhere, ipv6, namespace, netlink, settle, wire
from polling import wait_until
from signalling_kit import (
    DESTINATION,
    ICMPV6,
    MH,
    ROUTING,
    THEM,
    US,
    home_address_option,
    icmp,
    mobility,
    routing_type_2,
)

from lies.kernel.netns import entered
from lies.kernel.packet_filter import EVERYTHING, Wanted, program
from lies.kernel.packets import PacketSender, SignallingReceiver

pytestmark = pytest.mark.netns
LINK_LOCAL, ELSE = IPv6Address("fe80::a"), IPv6Address("2001:db8:5::b")
ALL_NODES, ALMOST = IPv6Address("ff02::1"), IPv6Address("2001:db8:5::1:a")
MARKER = ipv6(THEM, US, MH, mobility(8))
WANTED = Wanted(frozenset({8, 15}), frozenset({133, 154}), frozenset({US, LINK_LOCAL}))


@pytest.fixture
def far() -> Iterator[PacketSender]:
    """The far end of v0, which sends any packet by its interface."""
    with ExitStack() as stack:
        there = stack.enter_context(elsewhere())
        stack.enter_context(namespace())
        kernel = stack.enter_context(netlink())
        wire(kernel, "v0", "v1", into=there)
        with entered(there):
            sender = PacketSender("v1")
        stack.callback(sender.close)
        settle()
        yield sender


def heard(far: PacketSender, wanted: Wanted, packets: list[bytes]) -> list[bytes]:
    """Which of some packets a receiver hears."""
    receiver = SignallingReceiver("v0", wanted)
    found: list[bytes] = []

    def came() -> bool:
        found.extend(data for data, _ in receiver.receive())
        return MARKER in found

    try:
        for packet in (*packets, MARKER):
            far.send(packet, ALL_NODES)
        wait_until(came, 20)
    finally:
        receiver.close()
    return [packet for packet in found if packet != MARKER]


def test_types_of_mobility_headers(far: PacketSender) -> None:
    """Wanted types are heard, alone and behind an extension header of any length; others are not."""
    kinds = range(20)
    packets = {
        (header, kind): ipv6(THEM, US, header, before + mobility(kind))
        for header, before in (
            (MH, b""),
            (DESTINATION, home_address_option(MH)),
            (ROUTING, routing_type_2(MH)),
            (DESTINATION, bytes((MH, 0, 1, 4, 0, 0, 0, 0))),
        )
        for kind in kinds
        if (header, kind) != (MH, 8)
    }
    found = heard(far, WANTED, list(packets.values()))
    assert found == [packet for (_, kind), packet in packets.items() if kind in {8, 15}]
    assert heard(far, EVERYTHING, list(packets.values())) == list(packets.values())


def test_types_of_icmpv6(far: PacketSender) -> None:
    """Wanted types are heard, and none where none is wanted."""
    packets = {kind: ipv6(THEM, US, ICMPV6, icmp(kind)) for kind in range(256)}
    assert heard(far, WANTED, list(packets.values())) == [packets[133], packets[154]]
    assert heard(far, Wanted(icmpv6=frozenset()), list(packets.values())) == []


def test_destinations(far: PacketSender) -> None:
    """Own addresses and groups are heard; what is forwarded is not, nor what differs in one word."""
    packets = {to: ipv6(THEM, to, ICMPV6, icmp(154)) for to in (US, LINK_LOCAL, ELSE, ALL_NODES, ALMOST)}
    assert heard(far, WANTED, list(packets.values())) == [packets[to] for to in (US, LINK_LOCAL, ALL_NODES)]
    assert heard(far, EVERYTHING, list(packets.values())) == list(packets.values())


def test_what_is_cut_short_is_not_heard(far: PacketSender) -> None:
    """A packet that ends before what the filter reads is dropped by the kernel."""
    short = [
        ipv6(THEM, US, MH, b"\x3b\0"),
        ipv6(THEM, US, DESTINATION, bytes((MH, 4, 1, 4, 0, 0, 0, 0))),
        ipv6(THEM, US, ICMPV6, b""),
    ]
    assert heard(far, WANTED, short) == []


def test_a_filter_has_a_limit() -> None:
    """More addresses than jumps reach are refused, and many are not."""
    many = [US + n for n in range(400)]
    assert program(Wanted(addresses=frozenset(many[:25])))
    with pytest.raises(ValueError, match="too many addresses"):
        program(Wanted(addresses=frozenset(many)))
