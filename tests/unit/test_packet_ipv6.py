"""The IPv6 header and the extension headers of mobility."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lies.errors import MalformedMessage, ProtocolViolation
from lies.packet import build_ipv6, checksum, is_link_local, is_routable_unicast, parse_ipv6

COA, HA, HOA = (IPv6Address(f"2001:db8:{net}::1").packed for net in "123")
HAO = bytes.fromhex("3a 02 0102 0000 c910") + HOA


def packet(next_header: int, payload: bytes) -> bytes:
    """A packet with extension headers written by hand."""
    return build_ipv6(COA, HA, next_header, 64, payload)


def naive_checksum(source: bytes, destination: bytes, next_header: int, payload: bytes) -> int:
    """RFC 1071 as it is written, word by word."""
    octets = source + destination + len(payload).to_bytes(4, "big") + bytes((0, 0, 0, next_header)) + payload
    octets += bytes(len(octets) % 2)
    total = 0
    for at in range(0, len(octets), 2):
        total += octets[at] << 8 | octets[at + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.integers(1, 255),
    st.binary(),
)
def test_checksum_is_that_of_rfc_1071(source: bytes, destination: bytes, kind: int, data: bytes) -> None:
    """The remainder modulo 65535 gives the checksum of RFC 1071, for odd lengths too."""
    assert checksum(source, destination, kind, data) == naive_checksum(source, destination, kind, data)


def test_checksum_of_a_sum_of_all_ones_is_zero() -> None:
    """A sum of 0xffff is a checksum of 0, not 0xffff."""
    payload = (0xFFFF - 2 - 58).to_bytes(2, "big")
    assert checksum(bytes(16), bytes(16), 58, payload) == 0


@pytest.mark.parametrize("home_address", [None, HOA])
@pytest.mark.parametrize("routing_address", [None, HOA])
@given(payload=st.binary(max_size=100), hop_limit=st.integers(0, 255))
def test_round_trip(
    home_address: bytes | None, routing_address: bytes | None, payload: bytes, hop_limit: int
) -> None:
    """A packet comes back with its Home Address option and type 2 routing header."""
    octets = build_ipv6(
        COA, HA, 135, hop_limit, payload, home_address=home_address, routing_address=routing_address
    )
    parsed = parse_ipv6(octets)
    assert (parsed.source, parsed.destination, parsed.hop_limit) == (COA, HA, hop_limit)
    assert (parsed.next_header, parsed.payload) == (135, payload)
    assert (parsed.home_address, parsed.routing_address) == (home_address, routing_address)
    assert parsed.upper_source == (home_address or COA)
    assert parsed.upper_destination == (routing_address or HA)


def test_a_home_address_is_found_wherever_it_is() -> None:
    """The header that every mobile node sends, one with other options, and two headers are read alike."""
    usual = HAO + b"payload."
    other = bytes.fromhex("3a 03 0104 00000000 c910") + HOA + bytes.fromhex("0104 00000000") + b"payload."
    skipped = bytes.fromhex("3c 00 0104 00000000") + usual
    for octets in (usual, other, skipped):
        got = parse_ipv6(packet(60, octets))
        assert (got.next_header, got.home_address, got.payload) == (58, HOA, b"payload.")
    with pytest.raises(MalformedMessage, match="two Home Address options"):
        parse_ipv6(packet(60, bytes((60,)) + HAO[1:] + usual))
    with pytest.raises(MalformedMessage, match="cut off"):
        parse_ipv6(packet(60, HAO)[:-1].replace(b"\x00\x18", b"\x00\x17", 1))


def test_home_address_option_is_aligned() -> None:
    """The Home Address option stands at 8n + 6, and behind the routing header (RFC 6275 section 6.3)."""
    octets = build_ipv6(COA, HA, 135, 64, b"", home_address=HOA, routing_address=HA)
    assert octets[6] == 43
    assert octets[40:48] == bytes.fromhex("3c 02 02 01 00000000")
    at = octets.index(b"\xc9\x10", 64)
    assert at % 8 == 6
    assert octets[at + 2 : at + 18] == HOA


@pytest.mark.parametrize(
    ("next_header", "payload", "why"),
    [
        (60, bytes.fromhex("3a 00 0102 0000 c9"), "cut off"),
        (60, bytes.fromhex("3a 01 0102 0000 c90f") + HOA[:8], "cut off"),
        (60, bytes.fromhex("3a 02 0102 0000 c90f") + HOA, "not length 16"),
        (60, HAO[:8] + IPv6Address("ff02::1").packed, "not a routable unicast"),
        (60, HAO[:8] + IPv6Address("fe80::1").packed, "not a routable unicast"),
        (60, HAO[:8] + bytes(16), "not a routable unicast"),
        (60, b"\x3c" + HAO[1:] + HAO, "two Home Address options"),
        (60, bytes.fromhex("3a 00 c9 04 00000000"), "not length 16"),
        (60, bytes.fromhex("3a 00 42 04 00000000"), "forbids processing"),
        (60, bytes.fromhex("3a 00 0105 0000 0000"), "cut off"),
        (60, bytes.fromhex("3a 00 0100 0100 01ff"), "cut off"),
        (60, bytes.fromhex("3a ff 010400000000"), "an extension header is cut off"),
        (0, HAO, "hop-by-hop"),
        (60, bytes.fromhex("00 00 010400000000 3a 00 010400000000"), "hop-by-hop"),
        (43, bytes.fromhex("3a 02 02 00 00000000") + HOA, "segments left 1"),
        (43, bytes.fromhex("3a 02 02 02 00000000") + HOA, "segments left 1"),
        (43, bytes.fromhex("3a 04 02 01 00000000") + HOA + HOA, "length 2"),
        (43, bytes.fromhex("3a 02 02 01 00000000") + bytes(16), "routable unicast"),
        (43, bytes.fromhex("3a 02 00 01 00000000") + HOA, "foreign type"),
        (43, (bytes.fromhex("2b 02 02 01 00000000") + HOA) * 2, "two type 2 routing headers"),
        (60, bytes.fromhex("3c 00 010400000000") * 9, "too many extension headers"),
    ],
)
def test_malformed_extension_headers(next_header: int, payload: bytes, why: str) -> None:
    """Extension headers that RFC 8200 or RFC 6275 forbid are named."""
    with pytest.raises(MalformedMessage, match=why):
        parse_ipv6(packet(next_header, payload))


def test_what_may_be_skipped_is() -> None:
    """Options whose type says so, and routing headers that are used up, are skipped."""
    payload = (
        bytes.fromhex("2b 00 05020000 0000 3c 02 00 00 00000000")
        + HOA
        + bytes.fromhex("3a 00 1e0400000000 aa")
    )
    parsed = parse_ipv6(packet(0, payload))
    assert (parsed.next_header, parsed.payload, parsed.home_address) == (58, b"\xaa", None)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "shorter than an IPv6 header"),
        (b"\x60" + bytes(38), "shorter than an IPv6 header"),
        (b"\x45" + bytes(60), "not IPv6"),
        (bytes.fromhex("6000000000013b40") + COA + HA, "shorter than its payload length"),
        (bytes.fromhex("6000000000003b40") + b"\xff" + COA[1:] + HA, "multicast"),
    ],
)
def test_malformed_header(octets: bytes, why: str) -> None:
    """A header that cannot be is named."""
    with pytest.raises(MalformedMessage, match=why):
        parse_ipv6(octets)


def test_too_long_or_from_multicast() -> None:
    """What cannot be a packet is refused before it is sent."""
    with pytest.raises(ProtocolViolation, match="do not fit"):
        build_ipv6(COA, HA, 59, 64, bytes(65536))
    with pytest.raises(ProtocolViolation, match="multicast"):
        build_ipv6(b"\xff" + COA[1:], HA, 59, 64, b"")


@pytest.mark.parametrize(
    ("address", "routable", "link_local"),
    [
        ("2001:db8::1", True, False),
        ("fd00::1", True, False),
        ("fe80::1", False, True),
        ("febf::1", False, True),
        ("fec0::1", True, False),
        ("ff02::1", False, False),
        ("::", False, False),
        ("::1", False, False),
        ("::ffff:192.0.2.1", False, False),
    ],
)
def test_scopes(address: str, routable: bool, link_local: bool) -> None:
    """Home and care-of addresses are unicast and not of the link alone."""
    octets = IPv6Address(address).packed
    assert (is_routable_unicast(octets), is_link_local(octets)) == (routable, link_local)
