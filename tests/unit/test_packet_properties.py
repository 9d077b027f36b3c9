"""What holds of any message and any octets: round trips, and no error but MalformedMessage."""

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectorfile import vectors

import lies_fmipv6.codec
import lies_fmipv6.messages as fm
import lies_mipv6.codec
import lies_mipv6.messages as mm
from lies.errors import MalformedMessage
from lies.packet import build_icmpv6, build_ipv6, is_routable_unicast, parse_ipv6, seal_mobility_header
from lies_fmipv6.parameters import solicited_node

LINK_LOCAL = IPv6Address("fe80::a")
ALL_NODES = IPv6Address("ff02::1")
u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
addresses = st.binary(min_size=16, max_size=16).filter(is_routable_unicast).map(IPv6Address)
identifiers = st.binary(min_size=6, max_size=6) | st.binary(min_size=1, max_size=40).filter(
    lambda i: i[-1] > 0
)
link_layer_addresses = st.binary(min_size=6, max_size=6) | st.binary(min_size=6, max_size=20).filter(
    lambda lla: lla[-1] > 0
)
networks = st.builds(
    lambda address, length: IPv6Network((int(address) >> (128 - length) << (128 - length), length)),
    addresses,
    st.integers(0, 128),
)
keys = st.none() | st.binary(min_size=1, max_size=64)
maybe_address = st.none() | addresses


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    """The strategy's values, or None."""
    return st.none() | strategy


rtsolprs = st.builds(
    fm.RtSolPr, u16, maybe(identifiers), st.lists(identifiers, min_size=1, max_size=9).map(tuple)
) | st.builds(fm.RtSolPr, u16, maybe(identifiers), wildcard=st.just(value=True))
tuples = st.builds(
    fm.AccessPointInfo, identifiers, st.just(1), identifiers, addresses, maybe(networks), maybe_address
)
outcomes = st.builds(fm.AccessPointInfo, identifiers, st.sampled_from([5, 6, 7]))
prrtadvs = st.builds(
    lambda code, identifier, lla, infos: fm.PrRtAdv(code, 0 if code in {1, 4} else identifier, lla, infos),
    st.integers(0, 5),
    u16,
    maybe(identifiers),
    st.lists(tuples | outcomes, min_size=1, max_size=9).map(tuple),
)
flags = st.booleans()
fbus = st.builds(
    fm.FastBindingUpdate, u16, u16, addresses, addresses, maybe(identifiers), flags, flags, flags, flags
).filter(lambda fbu: fbu.alternate_coa != fbu.home_address)
fbacks = st.builds(fm.FastBindingAck, u8, u16, u16, addresses, flags) | st.builds(
    fm.FastBindingAck, u8.filter(lambda status: status != 1), u16, u16, st.none(), flags
)
his = st.builds(
    fm.HandoverInitiate, u16, st.just(0), flags, flags, identifiers, maybe_address, maybe_address
) | st.builds(
    fm.HandoverInitiate,
    u16,
    st.just(1),
    st.just(value=False),
    flags,
    identifiers,
    maybe_address,
    maybe_address,
)
hacks = st.builds(fm.HandoverAcknowledge, u16, u8, addresses) | st.builds(
    fm.HandoverAcknowledge, u16, u8.filter(lambda code: code != 2)
)
unas = st.builds(fm.UnsolicitedNeighbourAdvertisement, addresses, link_layer_addresses)
any_flag = st.tuples(flags, flags, flags).filter(any)
fast_nas = st.builds(
    lambda target, lla, rso: fm.NeighbourAdvertisement(target, lla, *rso),
    addresses,
    link_layer_addresses,
    any_flag,
)
probes = st.builds(fm.NeighbourSolicitation, addresses)
rss = st.builds(fm.RouterSolicitation, maybe(link_layer_addresses))
prefixes = st.builds(
    lambda prefix, lifetimes, on_link, autonomous: fm.PrefixInformation(
        prefix, max(lifetimes), min(lifetimes), on_link, autonomous
    ),
    networks,
    st.tuples(u32, u32),
    flags,
    flags,
)
naacks = st.builds(fm.Naack, u8, addresses) | st.builds(fm.Naack, u8.filter(lambda status: status != 2))
ras = st.builds(
    fm.RouterAdvertisement,
    u8,
    u16,
    maybe(link_layer_addresses),
    st.lists(prefixes, max_size=5).map(tuple),
    maybe(naacks),
    maybe(u32),
)
lifetimes = st.integers(0, 65535).map(lambda units: 4 * units)
bus = st.builds(mm.BindingUpdate, u16, lifetimes, addresses, maybe_address, flags, flags, flags, flags)
bas = st.builds(mm.BindingAcknowledgement, u8, u16, lifetimes, maybe_address, flags)
bes = st.builds(mm.BindingError, u8, st.just(IPv6Address("::")) | addresses)
nas = st.builds(mm.NeighbourAdvertisement, addresses, maybe(link_layer_addresses), flags, flags, flags)


@pytest.mark.parametrize("messages", [fbus, fbacks, his, hacks], ids=["fbu", "fback", "hi", "hack"])
def test_fmipv6_mobility_round_trip(messages: st.SearchStrategy) -> None:
    """Any FBU, FBack, HI and HAck comes back from the wire, and its BADF holds for its key only."""

    @given(messages, addresses, addresses, keys, st.integers(1, 2**32 - 1))
    def check(
        message: fm.Message, source: IPv6Address, destination: IPv6Address, key: bytes | None, spi: int
    ) -> None:
        packet = lies_fmipv6.codec.encode(message, source, destination, key=key, spi=spi)
        received = lies_fmipv6.codec.decode(packet, key_for=lambda _: key)
        bound = key is not None and isinstance(message, fm.FastBindingUpdate | fm.FastBindingAck)
        assert received == lies_fmipv6.codec.Received(message, source, destination, 64, bound, bound)
        other = lies_fmipv6.codec.decode(packet, key_for=lambda _: b"\x01" + (key or b""))
        assert not other.authenticated

    check()


@pytest.mark.parametrize("messages", [rtsolprs, prrtadvs, rss, ras], ids=["rtsolpr", "prrtadv", "rs", "ra"])
def test_fmipv6_discovery_round_trip(messages: st.SearchStrategy) -> None:
    """Any RtSolPr, PrRtAdv, RS and RA comes back from the wire."""

    @given(messages)
    def check(message: fm.Message) -> None:
        packet = lies_fmipv6.codec.encode(message, LINK_LOCAL, ALL_NODES)
        received = lies_fmipv6.codec.decode(packet)
        assert received == lies_fmipv6.codec.Received(message, LINK_LOCAL, ALL_NODES, 255, False, False)

    check()


@given(unas)
def test_una_round_trip(message: fm.UnsolicitedNeighbourAdvertisement) -> None:
    """Any UNA comes back from the wire."""
    packet = lies_fmipv6.codec.encode(message, message.target, ALL_NODES)
    assert lies_fmipv6.codec.decode(packet).message == message


@given(fast_nas)
def test_na_that_is_no_una_round_trip(message: fm.NeighbourAdvertisement) -> None:
    """Any Neighbour Advertisement with a flag comes back from the wire."""
    packet = lies_fmipv6.codec.encode(message, LINK_LOCAL, ALL_NODES)
    assert lies_fmipv6.codec.decode(packet).message == message


@given(probes)
def test_probe_round_trip(message: fm.NeighbourSolicitation) -> None:
    """Any Neighbour Solicitation of duplicate address detection comes back from the wire."""
    packet = lies_fmipv6.codec.encode(message, IPv6Address("::"), solicited_node(message.target))
    received = lies_fmipv6.codec.decode(packet)
    assert (received.message, received.source) == (message, IPv6Address("::"))


@given(st.one_of(bus, bas, bes), addresses, addresses)
def test_mipv6_mobility_round_trip(
    message: mm.Message, source: IPv6Address, destination: IPv6Address
) -> None:
    """Any BU, BA and BE comes back from the wire."""
    packet = lies_mipv6.codec.encode(message, source, destination)
    assert lies_mipv6.codec.decode(packet) == lies_mipv6.codec.Received(message, source, destination, 64)


@given(nas, addresses, addresses)
def test_na_round_trip(
    message: mm.NeighbourAdvertisement, source: IPv6Address, destination: IPv6Address
) -> None:
    """Any Neighbour Advertisement comes back from the wire."""
    packet = lies_mipv6.codec.encode(message, source, destination)
    assert lies_mipv6.codec.decode(packet) == lies_mipv6.codec.Received(message, source, destination, 255)


def decode_with_both(packet: bytes) -> None:
    """Run both decoders; MalformedMessage is their only error."""
    for decode in (lies_fmipv6.codec.decode, lies_mipv6.codec.decode):
        try:
            decode(packet)
        except MalformedMessage:
            continue


@given(st.binary(max_size=300))
def test_garbage(octets: bytes) -> None:
    """Random octets raise nothing but MalformedMessage."""
    decode_with_both(octets)


@given(st.binary(max_size=200), st.sampled_from([0, 43, 58, 59, 60, 135]) | u8, u8)
def test_garbage_behind_an_ipv6_header(octets: bytes, next_header: int, hop_limit: int) -> None:
    """Random octets behind a sound IPv6 header raise nothing but MalformedMessage."""
    source = IPv6Address("2001:db8::1").packed
    decode_with_both(build_ipv6(source, source, next_header, hop_limit, octets))


@given(
    st.sampled_from([133, 134, 136, 154]),
    u8,
    st.binary(max_size=200),
    st.sampled_from(["fe80::a", "2001:db8::1"]),
)
def test_garbage_with_a_right_icmpv6_checksum(kind: int, code: int, body: bytes, source: str) -> None:
    """Random ICMPv6 bodies with a right checksum raise nothing but MalformedMessage."""
    octets = IPv6Address(source).packed
    icmp = build_icmpv6(kind, code, body, octets, octets)
    decode_with_both(build_ipv6(octets, octets, 58, 255, icmp))


@given(st.sampled_from([5, 6, 7, 8, 9, 14, 15]), st.binary(min_size=2, max_size=130), st.booleans())
def test_garbage_with_a_right_mobility_checksum(kind: int, body: bytes, with_home_address: bool) -> None:
    """Random Mobility Header data with a right checksum raise nothing but MalformedMessage."""
    source, destination, home_address = (IPv6Address(f"2001:db8::{n}").packed for n in (1, 2, 3))
    body = body[: len(body) - (len(body) + 6) % 8]
    header = bytearray((59, (len(body) + 6) // 8 - 1, kind, 0, 0, 0)) + body
    option = home_address if with_home_address else None
    if len(header) >= 8:
        seal_mobility_header(header, option or source, destination)
    decode_with_both(build_ipv6(source, destination, 135, 64, header, home_address=option))


VECTORS = [*vectors("fmipv6"), *vectors("mipv6")]


@given(st.sampled_from(VECTORS), st.lists(st.tuples(st.integers(0, 1000), u8), min_size=1, max_size=4))
def test_changed_octets_under_a_right_checksum(vector: object, changes: list[tuple[int, int]]) -> None:
    """A vector with other octets but a right checksum raises nothing but MalformedMessage."""
    parsed = parse_ipv6(vector.packet)  # type: ignore[attr-defined]  # a Vector
    body = bytearray(parsed.payload)
    for at, value in changes:
        body[at % len(body)] = value
    source, destination = parsed.upper_source, parsed.upper_destination
    if parsed.next_header == 135:
        seal_mobility_header(body, source, destination)
    else:
        body[:] = build_icmpv6(body[0], body[1], bytes(body[4:]), source, destination)
    packet = build_ipv6(
        parsed.source,
        parsed.destination,
        parsed.next_header,
        parsed.hop_limit,
        body,
        home_address=parsed.home_address,
        routing_address=parsed.routing_address,
    )
    decode_with_both(packet)


@given(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=3))
def test_what_a_router_must_echo_can_be_sent(identifiers_on_the_wire: list[bytes]) -> None:
    """Access point identifiers of an RtSolPr that decodes fit into the PrRtAdv that answers it."""
    body = b"\x02\x00\x00\x07"
    for octets in identifiers_on_the_wire:
        padded = b"\x01" + octets + bytes(-(len(octets) + 3) % 8)
        body += bytes((19, (len(padded) + 2) // 8)) + padded
    icmp = build_icmpv6(154, 0, body, LINK_LOCAL.packed, ALL_NODES.packed)
    packet = build_ipv6(LINK_LOCAL.packed, ALL_NODES.packed, 58, 255, icmp)
    try:
        message = lies_fmipv6.codec.decode(packet).message
    except MalformedMessage:
        return
    assert isinstance(message, fm.RtSolPr)
    answer = fm.PrRtAdv(2, 7, None, tuple(fm.AccessPointInfo(point, 6) for point in message.access_points))
    assert lies_fmipv6.codec.decode(lies_fmipv6.codec.encode(answer, LINK_LOCAL, ALL_NODES)).message == answer
