"""What judges handovers in the radio machine: echoes by number, and packets in captures."""

import struct
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from radio import pcap
from radio.pings import Pings
from scapy.layers import ipsec
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

A, B, C, D = (IPv6Address(f"2001:db8::{n}") for n in (1, 2, 3, 4))
LINES = [
    "s 1 0",
    "r 1 1000000",
    "s 2 10000000",
    "s 3 20000000",
    "r 3 31000000",
    "r 3 40000000",
    "s 4 30000000",
]


def test_what_was_not_answered_is_lost() -> None:
    """By the time of the request; a copy of an answer is none."""
    pings = Pings.read(LINES)
    assert pings.lost(0, 30_000_000) == [2]
    assert pings.lost(0, 30_000_001) == [2, 4]
    assert pings.lost(15_000_000, 30_000_000) == []


def test_the_gap_is_the_longest_time_without_an_answer() -> None:
    """Between answers, of which the second one lies within; without any it is the whole time."""
    pings = Pings.read(LINES)
    assert pings.gap_ms(0, 40_000_000) == 30.0
    assert pings.gap_ms(32_000_000, 82_000_000) == 50.0


def _mobility(kind: int) -> bytes:
    return bytes((59, 0, kind, 0, 0, 0, 0, 0))


def test_packets_of_a_capture(tmp_path: Path) -> None:
    """Tunnels, ESP and Mobility Headers behind options are told apart; a torn end is left out."""
    file = tmp_path / "x.pcap"
    inner = IPv6(src=str(C), dst=str(D)) / ICMPv6EchoRequest()
    outer = IPv6(src=str(A), dst=str(B))
    wrpcap(
        str(file),
        [
            Ether() / outer / inner,
            Ether() / IPv6(src=str(A), dst=str(B), nh=pcap.ESP) / ipsec.ESP(spi=7, seq=1, data=b"x" * 16),
            Ether() / outer / IPv6ExtHdrDestOpt(nh=pcap.MOBILITY) / _mobility(pcap.HI),
            Ether() / IPv6(src=str(B), dst=str(A), nh=pcap.MOBILITY) / _mobility(pcap.HACK),
        ],
    )
    tunnelled, hidden, hi, hack = pcap.packets(file)
    assert tunnelled.inner is not None
    assert (tunnelled.source, tunnelled.inner.source, tunnelled.inner.destination) == (A, C, D)
    assert (hidden.protocol, hidden.mobility, hidden.inner) == (pcap.ESP, None, None)
    assert (hi.mobility, hack.mobility, hack.source) == (pcap.HI, pcap.HACK, B)
    with file.open("r+b") as whole:
        whole.truncate(file.stat().st_size - 1)
    assert len(list(pcap.packets(file))) == 3


def test_another_kind_of_file_is_no_capture(tmp_path: Path) -> None:
    """It is said."""
    file = tmp_path / "x.pcap"
    file.write_bytes(struct.pack("=IHHiIII", 1, 2, 4, 0, 0, 0, 0))
    with pytest.raises(ValueError, match="no capture"):
        list(pcap.packets(file))
