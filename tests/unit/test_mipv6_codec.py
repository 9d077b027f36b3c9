"""What RFC 6275 allows in the messages of a home registration and what it does not, in the struct codec."""

from ipaddress import IPv6Address
from typing import Any

import pytest

from lies.errors import MalformedMessage, ProtocolViolation
from lies.packet import (
    MobilityOption,
    OtherProtocol,
    alternate_coa_option,
    build_icmpv6,
    build_ipv6,
    build_mobility_header,
    build_nd_option,
    seal_mobility_header,
)
from lies_mipv6.codec import decode, encode
from lies_mipv6.messages import BindingAcknowledgement, BindingError, BindingUpdate, NeighbourAdvertisement

COA, HA, HOA = (IPv6Address(f"2001:db8:{n}") for n in ("2::10", "a::1", "a::99"))
LINK_LOCAL, ALL_NODES = IPv6Address("fe80::1"), IPv6Address("ff02::1")
BU = bytes.fromhex("0001 c000 000f")
BA = bytes.fromhex("00 00 0001 000f")


def mobility(kind: int, data: bytes, *options: MobilityOption, source: IPv6Address = COA) -> bytes:
    """A packet with a Mobility Header written by hand, without Home Address option."""
    header = build_mobility_header(kind, data, options)
    seal_mobility_header(header, source.packed, HA.packed)
    return build_ipv6(source.packed, HA.packed, 135, 64, header)


def advertisement(body: bytes, *, source: IPv6Address = HA, hop_limit: int = 255, code: int = 0) -> bytes:
    """A packet with a Neighbour Advertisement written by hand."""
    icmp = build_icmpv6(136, code, body, source.packed, ALL_NODES.packed)
    return build_ipv6(source.packed, ALL_NODES.packed, 58, hop_limit, icmp)


def test_lifetimes_count_in_units_of_4_s() -> None:
    """60 s are sent as 15, in BU and BA (RFC 6275 sections 6.1.7 and 6.1.8)."""
    assert encode(BindingUpdate(1, 60, HOA, COA), COA, HA)[64 + 10 : 64 + 12] == b"\0\x0f"
    assert encode(BindingAcknowledgement(0, 1, 60), HA, HOA)[40 + 10 : 40 + 12] == b"\0\x0f"


def test_home_address_option_only_away_from_home() -> None:
    """A Binding Update from the home address itself has no Home Address option, and still names it (M42)."""
    away = encode(BindingUpdate(1, 60, HOA, COA), COA, HA)
    home = encode(BindingUpdate(1, 0, HOA), HOA, HA)
    assert (away[6], home[6]) == (60, 135)
    assert decode(home).message == BindingUpdate(1, 0, HOA)


def test_unknown_options_are_skipped() -> None:
    """Mobility options of other types are skipped in all messages (M04); the first alternate CoA counts."""
    unknown = MobilityOption(250, b"anything")
    coas = (alternate_coa_option(COA.packed), alternate_coa_option(HA.packed))
    assert decode(mobility(5, BU, unknown, *coas, source=HOA)).message == BindingUpdate(1, 60, HOA, COA)
    assert decode(mobility(6, BA, unknown)).message == BindingAcknowledgement(0, 1, 60)
    assert decode(mobility(7, b"\1\0" + HOA.packed, unknown)).message == BindingError(1, HOA)


def test_reserved_fields_are_ignored() -> None:
    """Bits that RFC 6275 reserves change nothing when received."""
    assert decode(mobility(5, bytes.fromhex("0001 cfff 000f"))).message == BindingUpdate(1, 60, COA)
    assert decode(mobility(6, bytes.fromhex("00 7f 0001 000f"))).message == BindingAcknowledgement(0, 1, 60)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (mobility(5, BU[:2]), "too short"),
        (mobility(6, BA[:2]), "too short"),
        (mobility(7, b"\1\0" + HOA.packed[:8]), "too short"),
        (mobility(5, BU, alternate_coa_option(ALL_NODES.packed)), "care-of address"),
        (mobility(5, BU, MobilityOption(3, COA.packed[:8])), "not length 16"),
        (mobility(5, BU, source=LINK_LOCAL), "care-of address"),
        (mobility(5, BU, alternate_coa_option(COA.packed), source=LINK_LOCAL), "home address"),
        (mobility(5, BU)[:-1] + b"\1", "checksum"),
        (advertisement(bytes(4) + HOA.packed, hop_limit=254), "hop limit"),
        (advertisement(bytes(4) + HOA.packed, code=1), "code"),
        (advertisement(bytes(4) + ALL_NODES.packed), "multicast target"),
        (advertisement(bytes(4) + HOA.packed, source=IPv6Address("::")), "no source"),
        (advertisement(b"\x40\0\0\0" + HOA.packed), "has S"),
        (advertisement(bytes(4) + HOA.packed + b"\2\0"), "length 0"),
    ],
)
def test_malformed(packet: bytes, why: str) -> None:
    """A message that the RFC forbids is malformed, and the reason is said."""
    with pytest.raises(MalformedMessage, match=why):
        decode(packet)


def test_unknown_types_say_where_a_binding_error_goes() -> None:
    """An unknown Mobility Header type names its source and home address (M02)."""
    header = build_mobility_header(99, b"\0\0")
    seal_mobility_header(header, HOA.packed, HA.packed)
    packet = build_ipv6(COA.packed, HA.packed, 135, 64, header, home_address=HOA.packed)
    with pytest.raises(OtherProtocol) as error:
        decode(packet)
    assert (error.value.protocol, error.value.kind) == (135, 99)
    assert (error.value.source, error.value.home_address) == (COA.packed, HOA.packed)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (BindingUpdate(1, 61, HOA, COA), "multiple of 4"),
        (BindingUpdate(1, 262144, HOA, COA), "does not fit"),
        (BindingUpdate(70000, 60, HOA, COA), "does not fit"),
        (BindingUpdate(1, 60, LINK_LOCAL, COA), "routable unicast"),
        (BindingUpdate(1, 60, HOA, ALL_NODES), "routable unicast"),
        (BindingAcknowledgement(0, 1, 2), "multiple of 4"),
        (BindingAcknowledgement(0, 1, 60, LINK_LOCAL), "cannot be a home address"),
        (BindingError(256, HOA), "does not fit"),
        (NeighbourAdvertisement(ALL_NODES), "multicast target"),
        (NeighbourAdvertisement(HOA, solicited=True), "S to a multicast group"),
        (NeighbourAdvertisement(HOA, b"short"), "cannot be sent"),
    ],
)
def test_our_own_misuse(message: Any, why: str) -> None:
    """A message that the RFC forbids is refused before it is sent."""
    with pytest.raises(ProtocolViolation, match=why):
        encode(message, COA, ALL_NODES if isinstance(message, NeighbourAdvertisement) else HA)


def test_only_the_target_link_layer_address_counts() -> None:
    """Other options of a Neighbour Advertisement are skipped."""
    body = b"\x20\0\0\0" + HOA.packed + build_nd_option(1, bytes(6)) + build_nd_option(2, b"\2\0\0\0\0\1")
    assert decode(advertisement(body)).message == NeighbourAdvertisement(HOA, b"\2\0\0\0\0\1")
