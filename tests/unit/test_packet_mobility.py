"""The Mobility Header and neighbour discovery options as octets."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lies.errors import MalformedMessage, ProtocolViolation
from lies.packet import (
    Ipv6Packet,
    MobilityOption,
    OtherProtocol,
    build_icmpv6,
    build_mobility_header,
    build_nd_option,
    pack_identifier,
    parse_mobility_header,
    parse_mobility_options,
    parse_nd_message,
    parse_nd_options,
    seal_mobility_header,
    unpack_identifier,
)

SOURCE, DESTINATION, HOME = (IPv6Address(f"2001:db8::{n}").packed for n in (1, 2, 3))
options = st.builds(
    lambda kind, value, alignment: MobilityOption(kind, value, *alignment),
    st.integers(2, 255),
    st.binary(max_size=40),
    st.sampled_from([(1, 0), (2, 0), (8, 2), (8, 4), (8, 6)]),
)


def carried(header: bytes, home_address: bytes | None = None, next_header: int = 135) -> Ipv6Packet:
    """A parsed packet with the header as its payload."""
    return Ipv6Packet(SOURCE, DESTINATION, 64, next_header, header, home_address)


@given(st.binary(max_size=20), st.lists(options, max_size=5))
def test_options_are_aligned_and_come_back(data: bytes, sent: list[MobilityOption]) -> None:
    """Every option stands where its alignment wants it, and the whole is a multiple of 8 octets."""
    header = bytes(build_mobility_header(200, data, sent))
    assert len(header) % 8 == 0
    assert header[1] == len(header) // 8 - 1
    got = parse_mobility_options(header, 6 + len(data))
    assert [(kind, value) for kind, value, _ in got] == [(option.kind, option.value) for option in sent]
    for option, (_, value, end) in zip(sent, got, strict=True):
        assert (end - len(value) - 2) % option.modulus == option.remainder


def test_padding_is_pad1_or_one_padn() -> None:
    """One octet is padded with Pad1 and more with one PadN of zeros (RFC 6275 sections 6.2.2 and 6.2.3)."""
    lengths = {bytes(build_mobility_header(5, bytes(n)))[6 + n :] for n in range(2, 10)}
    assert lengths == {b"", b"\0", *(bytes((1, n - 2)) + bytes(n - 2) for n in range(2, 8))}


def test_a_header_can_be_too_long() -> None:
    """More than 2048 octets are refused."""
    with pytest.raises(ProtocolViolation, match="do not fit"):
        build_mobility_header(5, b"", [MobilityOption(9, bytes(250))] * 9)


def test_checksum_covers_the_home_address() -> None:
    """The pseudo-header has the home address as source where there is one (RFC 6275 section 6.1.1)."""
    header = build_mobility_header(5, b"\0\1\0\0\0\0")
    seal_mobility_header(header, HOME, DESTINATION)
    assert parse_mobility_header(carried(bytes(header), HOME)) == bytes(header)
    with pytest.raises(MalformedMessage, match="checksum"):
        parse_mobility_header(carried(bytes(header)))


def test_octets_behind_the_header_are_ignored() -> None:
    """No Next Header ends the packet, whatever stands behind (RFC 8200 section 4.7)."""
    header = build_mobility_header(5, b"\0\1\0\0\0\0")
    seal_mobility_header(header, SOURCE, DESTINATION)
    assert parse_mobility_header(carried(bytes(header) + b"more")) == bytes(header)


def test_something_behind_the_header() -> None:
    """A payload protocol other than 59 is malformed (RFC 6275 section 9.2)."""
    header = build_mobility_header(5, b"\0\1\0\0\0\0")
    header[0] = 58
    seal_mobility_header(header, SOURCE, DESTINATION)
    with pytest.raises(MalformedMessage, match="follows"):
        parse_mobility_header(carried(bytes(header)))


def test_other_protocols_are_told_apart() -> None:
    """What is no Mobility Header or no known ICMPv6 type is OtherProtocol with its numbers."""
    with pytest.raises(OtherProtocol) as none:
        parse_mobility_header(carried(b"", next_header=17))
    assert (none.value.protocol, none.value.kind, none.value.source) == (17, -1, SOURCE)
    echo = build_icmpv6(128, 0, bytes(4), SOURCE, DESTINATION)
    with pytest.raises(OtherProtocol) as request:
        parse_nd_message(carried(echo, next_header=58), {136: 24})
    assert (request.value.protocol, request.value.kind) == (58, 128)


@pytest.mark.parametrize("octets", ["02", "0210", "021000000000", "0000000003100102"])
def test_cut_mobility_options(octets: str) -> None:
    """An option that runs over the header's end is malformed."""
    with pytest.raises(MalformedMessage, match="cut off"):
        parse_mobility_options(bytes.fromhex(octets), 0)


@pytest.mark.parametrize("octets", ["01", "0101", "0100000000000000", "01020000000000000000"])
def test_cut_neighbour_discovery_options(octets: str) -> None:
    """An option of length 0 or one that runs over the message's end is malformed (RFC 4861 section 4.6)."""
    with pytest.raises(MalformedMessage):
        parse_nd_options(bytes.fromhex(octets), 0)


def test_neighbour_discovery_options_are_padded() -> None:
    """An option fills a multiple of 8 octets, and no more than 255 of them."""
    assert build_nd_option(1, bytes(6)) == b"\1\1" + bytes(6)
    assert build_nd_option(19, bytes(7)) == b"\x13\2" + bytes(14)
    with pytest.raises(ProtocolViolation, match="do not fit"):
        build_nd_option(1, bytes(2039))


@pytest.mark.parametrize("identifier", [b"", b"a\0", b"a" * 254, bytes(7), bytes(5)])
def test_identifiers_that_would_not_come_back(identifier: bytes) -> None:
    """Empty, overlong, and zero-ended identifiers other than an EUI-48 are refused."""
    with pytest.raises(ProtocolViolation, match="cannot be sent"):
        pack_identifier(identifier)


@pytest.mark.parametrize("identifier", [bytes(6), b"\2\0\0\0\1\0", b"ap", b"26201-1A2B-3", b"x" * 253])
def test_identifiers_come_back_from_padding(identifier: bytes) -> None:
    """An EUI-48 keeps its zeros at the end, and other identifiers lose the padding only."""
    padded = build_nd_option(19, b"\1" + pack_identifier(identifier))
    ((_, body),) = parse_nd_options(padded, 0)
    assert unpack_identifier(body[1:]) == identifier


@pytest.mark.parametrize("padded", [bytes(5), b"x" * 254])
def test_identifiers_that_are_none(padded: bytes) -> None:
    """Nothing but padding, and more than can be sent again, is malformed."""
    with pytest.raises(MalformedMessage):
        unpack_identifier(padded)
