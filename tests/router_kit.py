"""Helpers for tests of an access router's engine: its neighbour's HI and a node's UNA."""

from ipaddress import IPv6Address, IPv6Network
from typing import Any

from lies_fmipv6.items import Received
from lies_fmipv6.messages import HandoverInitiate, UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES

OWN, NEXT = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
MN, OTHER = b"\2\0\0\0\x99\0", b"\2\0\0\0\x66\0"
HERE, THERE = OWN[0x99], NEXT[0x99]


def hi(sequence: int = 1, code: int = 0, ncoa: IPv6Address = HERE, lla: bytes = MN, **more: Any) -> Received:
    """An HI of the neighbour."""
    message = HandoverInitiate(sequence, code, bool(more.get("assigned")), code == 0, lla, THERE, ncoa)
    return Received(message, more.get("source", NEXT[1]), OWN[1])


def una(lla: bytes = MN, source: IPv6Address = HERE, target: IPv6Address = HERE) -> Received:
    """A UNA on the access link."""
    return Received(UnsolicitedNeighbourAdvertisement(target, lla), source, ALL_NODES, lla)
