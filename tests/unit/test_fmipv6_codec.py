"""What RFC 5568 allows in FMIPv6 messages and what it does not, in the struct codec."""

import hashlib
import hmac
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve

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
from lies_fmipv6.codec import Received, decode, encode
from lies_fmipv6.messages import (
    AccessPointInfo,
    FastBindingAck,
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    Naack,
    PrefixInformation,
    PrRtAdv,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)

PCOA, NCOA, PAR, NAR = (IPv6Address(f"2001:db8:{n}") for n in ("1::10", "2::10", "1::1", "2::1"))
HOST, ROUTER, ALL_NODES = (IPv6Address(a) for a in ("fe80::10", "fe80::1", "ff02::1"))
MAC, AP = bytes.fromhex("02ff00000010"), bytes.fromhex("0a0000000001")
KEY = b"a handover key"
UNKNOWN_ND = build_nd_option(250, b"anything")
UNKNOWN_MH = MobilityOption(250, b"anything")
ADDRESS_34 = (8, 4)


def icmp(kind: int, code: int, body: bytes, source: IPv6Address = HOST, hop_limit: int = 255) -> bytes:
    """A packet with an ICMPv6 message written by hand."""
    message = build_icmpv6(kind, code, body, source.packed, ROUTER.packed)
    return build_ipv6(source.packed, ROUTER.packed, 58, hop_limit, message)


def mobility(kind: int, data: bytes, *options: MobilityOption, pcoa: IPv6Address | None = None) -> bytes:
    """A packet with a Mobility Header written by hand, from NCoA to the PAR."""
    header = build_mobility_header(kind, data, options)
    seal_mobility_header(header, (pcoa or NCOA).packed, PAR.packed)
    home_address = None if pcoa is None else pcoa.packed
    return build_ipv6(NCOA.packed, PAR.packed, 135, 64, header, home_address=home_address)


def lla(code: int, identifier: bytes = AP) -> bytes:
    """An LLA option."""
    return build_nd_option(19, bytes((code,)) + identifier)


def address(code: int, length: int, value: str) -> bytes:
    """An IP Address/Prefix option."""
    return build_nd_option(17, bytes((code, length, 0, 0, 0, 0)) + IPv6Address(value).packed)


def away_from_home() -> bytes:
    """An RtSolPr with a Home Address option; neighbour discovery never has one (RFC 6275 11.3.1)."""
    message = build_icmpv6(154, 0, b"\2\0\0\7" + lla(1), PCOA.packed, ROUTER.packed)
    return build_ipv6(HOST.packed, ROUTER.packed, 58, 255, message, home_address=PCOA.packed)


RTSOLPR = b"\2\0\0\7"
PRRTADV = b"\3\0\0\7"
FBU = bytes.fromhex("0001 c000 000a")
FBACK = bytes.fromhex("00 00 0001 000a")
RA = bytes(12)


def test_reserved_fields_are_ignored() -> None:
    """What is reserved is sent as zero and not looked at when received (F01)."""
    assert decode(icmp(154, 0, b"\2\xff\0\7" + lla(1))).message == RtSolPr(7, None, (AP,))
    assert decode(mobility(15, bytes.fromhex("0003 ff 00"))).message == HandoverAcknowledge(3, 0)
    update = decode(mobility(8, bytes.fromhex("0001 cfff 000a"), pcoa=PCOA)).message
    assert update == FastBindingUpdate(1, 10, PCOA)
    assert decode(mobility(9, bytes.fromhex("00 7f 0001 000a"))).message == FastBindingAck(0, 1, 10)


def test_unknown_options_are_skipped() -> None:
    """Options of other types and codes are skipped, and the rest is read (F05, M04)."""
    assert decode(icmp(154, 0, RTSOLPR + UNKNOWN_ND + lla(200) + lla(1))).message == RtSolPr(7, None, (AP,))
    answer = decode(icmp(154, 2, PRRTADV + lla(6) + UNKNOWN_ND + lla(99), ROUTER)).message
    assert answer == PrRtAdv(2, 7, None, (AccessPointInfo(AP, 6),))
    update = mobility(8, FBU, UNKNOWN_MH, MobilityOption(7, b"\x09abc"), pcoa=PCOA)
    assert decode(update).message == FastBindingUpdate(1, 10, PCOA)
    prefix_of_nar = MobilityOption(34, bytes((4, 64)) + NAR.packed, *ADDRESS_34)
    acknowledge = mobility(15, bytes.fromhex("0003 00 00"), prefix_of_nar, UNKNOWN_MH)
    assert decode(acknowledge).message == HandoverAcknowledge(3, 0)


def test_option_17_is_no_address_in_a_mobility_header() -> None:
    """Only option 34 carries addresses in HI and HAck; 17 belongs to another protocol."""
    option_17 = MobilityOption(17, bytes((2, 128)) + NCOA.packed, *ADDRESS_34)
    assert decode(mobility(15, bytes.fromhex("0003 00 00"), option_17)).message == HandoverAcknowledge(3, 0)


def test_the_first_of_repeated_options_counts() -> None:
    """A second option of a kind changes nothing."""
    second = MobilityOption(34, bytes((2, 128)) + NAR.packed, *ADDRESS_34)
    first = MobilityOption(34, bytes((2, 128)) + NCOA.packed, *ADDRESS_34)
    assert decode(mobility(15, bytes(4), first, second)).message == HandoverAcknowledge(0, 0, NCOA)


def test_options_are_read_in_any_order() -> None:
    """An FBU is read alike whichever option is first, and also behind other padding than ours."""
    alternate = alternate_coa_option(NCOA.packed)
    lla_of_mn = MobilityOption(7, b"\2" + MAC)
    data = bytes.fromhex("0001 c000 000a")
    wanted = FastBindingUpdate(1, 10, PCOA, NCOA, MAC)
    for options in ((alternate, lla_of_mn), (lla_of_mn, alternate), (UNKNOWN_MH, alternate, lla_of_mn)):
        assert decode(mobility(8, data, *options, pcoa=PCOA)).message == wanted
    pad1 = mobility(8, data + bytes(2), alternate, lla_of_mn, pcoa=PCOA)
    assert decode(pad1).message == wanted
    for first, second in ((NCOA, NAR), (NAR, NCOA)):
        both = (alternate_coa_option(first.packed), alternate_coa_option(second.packed))
        assert decode(mobility(8, data, *both, pcoa=PCOA)).message.alternate_coa == first
    with pytest.raises(MalformedMessage, match="no routable unicast address"):
        decode(mobility(8, data, alternate, alternate_coa_option(bytes(16)), pcoa=PCOA))


def test_prefix_may_be_that_of_the_router_address() -> None:
    """Without a prefix option the router's address option says the prefix (RFC 5568 section 6.1.2, F10)."""
    body = PRRTADV + lla(1) + lla(3, MAC) + address(3, 64, "2001:db8:2::1")
    (info,) = decode(icmp(154, 0, body, ROUTER)).message.access_points
    assert (info.router_address, info.prefix) == (NAR, IPv6Network("2001:db8:2::/64"))


def test_bits_behind_a_prefix_are_ignored() -> None:
    """The bits of a prefix behind its length are reserved (RFC 5568 section 6.4.1)."""
    (info,) = decode(
        icmp(154, 2, PRRTADV + lla(6) + address(4, 61, "2001:db8::ffff:1"), ROUTER)
    ).message.access_points
    assert info.prefix == IPv6Network("2001:db8::/61")


def test_contradictory_prefix_lifetimes_void_the_prefix() -> None:
    """A prefix preferred for longer than it is valid is ignored (RFC 4862 section 5.5.3 c)."""
    body = bytes((64, 0xC0)) + (5).to_bytes(4, "big") + (6).to_bytes(4, "big") + bytes(4) + NAR.packed
    assert decode(icmp(134, 0, RA + build_nd_option(3, body), ROUTER)).message.prefixes == ()


def test_s_is_ignored_in_an_hi_with_code_1() -> None:
    """A NAR assigns no address to a mobile node that has already moved (F32)."""
    packet = mobility(14, bytes.fromhex("0003 80 01"), MobilityOption(7, b"\2" + MAC))
    assert decode(packet).message == HandoverInitiate(3, 1, False, False, MAC)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (icmp(154, 0, RTSOLPR + lla(1), hop_limit=254), "hop limit"),
        (icmp(134, 0, RA, ROUTER, hop_limit=64), "hop limit"),
        (build_ipv6(HOST.packed, ROUTER.packed, 58, 255, b"\x9a\0"), "cut off"),
        (away_from_home(), "carries a home address"),
        (icmp(154, 0, RTSOLPR), "neither access points nor the wildcard"),
        (icmp(154, 0, RTSOLPR + lla(4)), "neither access points nor the wildcard"),
        (icmp(154, 0, RTSOLPR + lla(0, b"") + lla(1)), "or both"),
        (icmp(154, 1, RTSOLPR + lla(1)), "code of an RtSolPr"),
        (icmp(154, 0, RTSOLPR + lla(1, b"")), "has not 1 to"),
        (icmp(154, 0, RTSOLPR + lla(1), IPv6Address("::")), "unspecified"),
        (icmp(154, 0, RTSOLPR + lla(1) + b"\x13\0"), "length 0"),
        (icmp(154, 6, PRRTADV + lla(6), ROUTER), "code of a PrRtAdv"),
        (icmp(154, 2, PRRTADV + lla(6), PAR), "not come from a link-local"),
        (icmp(154, 2, PRRTADV + lla(4), ROUTER), "names no access point"),
        (icmp(154, 0, PRRTADV + lla(1) + lla(3), ROUTER), "lacks the router"),
        (icmp(154, 1, PRRTADV + lla(1) + address(3, 128, "2001:db8::1"), ROUTER), "lacks the router"),
        (icmp(154, 2, PRRTADV + lla(6) + address(3, 128, "ff02::1"), ROUTER), "not unicast"),
        (icmp(154, 2, PRRTADV + lla(6) + address(4, 129, "2001:db8::"), ROUTER), "128 bits"),
        (icmp(154, 2, PRRTADV + lla(6) + build_nd_option(17, bytes(6)), ROUTER), "not length 3"),
        (icmp(134, 1, RA, ROUTER), "code"),
        (icmp(134, 0, RA, PAR), "link-local"),
        (icmp(134, 0, RA[:8], ROUTER), "shorter than its type"),
        (icmp(134, 0, RA + build_nd_option(3, bytes((129, 0)) + bytes(28)), ROUTER), "128 bits"),
        (icmp(134, 0, RA + build_nd_option(3, bytes(22)), ROUTER), "not length 4"),
        (icmp(134, 0, RA + build_nd_option(5, bytes(14)), ROUTER), "not length 1"),
        (icmp(134, 0, RA + build_nd_option(20, bytes((0, 2, 0, 0, 0, 0))), ROUTER), "no care-of address"),
        (icmp(134, 0, RA + build_nd_option(20, bytes((0, 2)) + bytes(28)), ROUTER), "length 1 nor 3"),
        (icmp(134, 0, RA + build_nd_option(20, bytes((0, 2)) + bytes(20)), ROUTER), "routable unicast"),
        (icmp(133, 0, bytes(4) + build_nd_option(1, MAC), IPv6Address("::")), "unspecified"),
        (icmp(136, 0, bytes(4) + NCOA.packed, NCOA), "no link-layer address"),
        (icmp(136, 0, bytes(4) + NCOA.packed[:8], NCOA), "shorter than its type"),
        (mobility(8, FBU), "no Home Address option"),
        (mobility(8, FBU[:2], pcoa=PCOA), "too short"),
        (mobility(8, FBU, alternate_coa_option(PCOA.packed), pcoa=PCOA), "other than PCoA"),
        (mobility(8, FBU, alternate_coa_option(HOST.packed), pcoa=PCOA), "routable unicast"),
        (mobility(8, FBU, MobilityOption(3, NCOA.packed[:15]), pcoa=PCOA), "routable unicast"),
        (mobility(8, FBU, MobilityOption(7, b"\2"), pcoa=PCOA), "has no address"),
        (mobility(8, FBU, MobilityOption(21, bytes(16), 8, 6), UNKNOWN_MH, pcoa=PCOA), "not the last"),
        (mobility(8, FBU, MobilityOption(21, bytes(16), 8, 0), pcoa=PCOA), "not the last"),
        (mobility(8, FBU, MobilityOption(21, bytes(12)), pcoa=PCOA), "not the last"),
        (mobility(9, bytes.fromhex("01 00 0001 000a")), "no alternate care-of address"),
        (mobility(14, bytes.fromhex("0003 00 00")), "no link-layer address"),
        (mobility(14, bytes.fromhex("0003 00 02"), MobilityOption(7, b"\2" + MAC)), "neither 0 nor 1"),
        (mobility(15, bytes.fromhex("0003 00 02")), "no care-of address"),
        (mobility(15, bytes(4), MobilityOption(34, bytes((2, 129)) + NCOA.packed, 8, 4)), "128 bits"),
        (
            mobility(15, bytes(4), MobilityOption(34, bytes((2, 128)) + NCOA.packed[:8], 8, 4)),
            "not length 18",
        ),
        (mobility(15, bytes(4), MobilityOption(34, bytes((2, 128)) + HOST.packed, 8, 4)), "routable unicast"),
    ],
)
def test_malformed(packet: bytes, why: str) -> None:
    """A message that the RFC forbids is malformed, and the reason is said."""
    with pytest.raises(MalformedMessage, match=why):
        decode(packet, key_for=lambda _: KEY)


@pytest.mark.parametrize(
    ("packet", "protocol", "kind"),
    [
        (icmp(135, 0, bytes(20)), 58, 135),
        (icmp(154, 0, b"\4\0\0\7"), 58, 154),  # HI of RFC 4068, never sent today (F26)
        (icmp(135, 0, bytes(4) + NCOA.packed, PCOA), 58, 135),
        (icmp(136, 0, b"\x20\0\0\0" + NCOA.packed, NCOA), 58, 136),
        (icmp(136, 0, b"\x20\0\0\0" + HOST.packed + build_nd_option(2, MAC), HOST), 58, 136),
        (icmp(136, 0, bytes(4) + NAR.packed + build_nd_option(2, MAC), NCOA), 58, 136),
        (icmp(136, 0, bytes(4) + HOST.packed + build_nd_option(2, MAC), HOST), 58, 136),
        (mobility(5, FBU), 135, 5),
        (build_ipv6(PCOA.packed, PAR.packed, 17, 64, bytes(8)), 17, -1),
    ],
)
def test_messages_of_others(packet: bytes, protocol: int, kind: int) -> None:
    """Sound packets that are no FMIPv6 message are told apart from broken ones."""
    with pytest.raises(OtherProtocol) as error:
        decode(packet)
    assert (error.value.protocol, error.value.kind) == (protocol, kind)


INFO = AccessPointInfo(AP, 1, MAC, NAR)


@pytest.mark.parametrize(
    ("message", "source", "why"),
    [
        (RtSolPr(1, MAC), HOST, "names access points"),
        (RtSolPr(1, MAC, (AP,), wildcard=True), HOST, "names access points"),
        (RtSolPr(1, MAC, (b"x\0",)), HOST, "cannot be sent"),
        (RtSolPr(65536, MAC, (AP,)), HOST, "does not fit"),
        (RtSolPr(1, MAC, (AP,)), IPv6Address("::"), "address of the interface"),
        (PrRtAdv(0, 1, MAC, (INFO,)), PAR, "link-local"),
        (PrRtAdv(6, 1, MAC, (INFO,)), ROUTER, "code from 0 to 5"),
        (PrRtAdv(0, 1, MAC), ROUTER, "names access points"),
        (PrRtAdv(1, 1, MAC, (INFO,)), ROUTER, "identifier 0"),
        (PrRtAdv(0, 1, MAC, (evolve(INFO, router_lla=None),)), ROUTER, "needs the router"),
        (PrRtAdv(0, 1, MAC, (evolve(INFO, router_address=None),)), ROUTER, "needs the router"),
        (PrRtAdv(0, 1, MAC, (evolve(INFO, option_code=2),)), ROUTER, "option-code"),
        (FastBindingUpdate(1, 10, PCOA), PCOA, "needs an alternate"),
        (FastBindingUpdate(1, 10, PCOA, PCOA), NCOA, "needs an alternate"),
        (FastBindingUpdate(1, 10, HOST, NCOA), NCOA, "routable unicast"),
        (FastBindingUpdate(1, 10, PCOA), HOST, "routable unicast"),
        (FastBindingUpdate(1, -1, PCOA, NCOA), PCOA, "does not fit"),
        (FastBindingUpdate(1, 10, PCOA, NCOA, b""), PCOA, "1 to 254 octets"),
        (FastBindingAck(1, 1, 10), PAR, "needs an alternate"),
        (FastBindingAck(0, 1, 10, HOST), PAR, "cannot be a care-of address"),
        (FastBindingAck(256, 1, 10), PAR, "does not fit"),
        (HandoverInitiate(1, 2, False, False, MAC), PAR, "0 or 1"),
        (HandoverInitiate(1, 1, True, False, MAC), PAR, "assigned address"),
        (HandoverInitiate(1, 0, False, False, b"x" * 255), PAR, "1 to 254 octets"),
        (HandoverInitiate(1, 0, False, False, MAC, ALL_NODES), PAR, "cannot be a care-of address"),
        (HandoverAcknowledge(1, 2), NAR, "needs the assigned"),
        (UnsolicitedNeighbourAdvertisement(NCOA, MAC), PCOA, "its target"),
        (UnsolicitedNeighbourAdvertisement(NCOA, b"short"), NCOA, "cannot be sent"),
        (RouterSolicitation(MAC), IPv6Address("::"), "unspecified"),
        (RouterAdvertisement(), PAR, "link-local"),
        (RouterAdvertisement(naack=Naack(2)), ROUTER, "needs the care-of address"),
        (RouterAdvertisement(prefixes=(PrefixInformation(IPv6Network("::/64"), 1, 2),)), ROUTER, "preferred"),
        (RouterAdvertisement(mtu=2**32), ROUTER, "does not fit"),
        (RouterSolicitation(), ALL_NODES, "multicast"),
    ],
)
def test_our_own_misuse(message: Any, source: IPv6Address, why: str) -> None:
    """A message that the RFC forbids is refused before it is sent."""
    with pytest.raises(ProtocolViolation, match=why):
        encode(message, source, PAR, key=KEY)


def authenticator(key: bytes, coa: IPv6Address, par: IPv6Address, packet: bytes) -> bytes:
    """RFC 6275 section 6.2.7 over the Mobility Header at the packet's end, computed apart from the codec."""
    header = bytearray(packet[40 + (24 if packet[6] == 60 else 0) : -12])
    header[4:6] = b"\0\0"
    return hmac.new(key, coa.packed + par.packed + header, hashlib.sha1).digest()[:12]


@pytest.mark.parametrize(
    ("message", "source", "destination", "coa"),
    [
        (FastBindingUpdate(1, 10, PCOA, NCOA, MAC), PCOA, PAR, NCOA),
        (FastBindingUpdate(1, 10, PCOA), NCOA, PAR, NCOA),
        (FastBindingUpdate(1, 0, PCOA, NCOA), NCOA, PAR, PCOA),
        (FastBindingUpdate(1, 0, PCOA), PCOA, PAR, PCOA),
        (FastBindingAck(0, 1, 10), PAR, NCOA, NCOA),
        (FastBindingAck(0, 1, 10), PAR, PCOA, PCOA),
        (FastBindingAck(1, 1, 10, NCOA), PAR, PCOA, NCOA),
    ],
)
def test_authenticator(message: Any, source: IPv6Address, destination: IPv6Address, coa: IPv6Address) -> None:
    """The authenticator covers CoA (PCoA in a de-registration), the PAR's address and the header (F47)."""
    packet = encode(message, source, destination, key=KEY, spi=0x01020304)
    assert packet[-18:-12] == bytes.fromhex("1510 01020304")
    assert packet[-12:] == authenticator(KEY, coa, PAR, packet)
    asked: list[IPv6Address] = []

    def key_for(peer: IPv6Address) -> bytes:
        asked.append(peer)
        return KEY

    assert decode(packet, key_for=key_for) == Received(message, source, destination, 64, True, True)
    assert asked == [PCOA if isinstance(message, FastBindingUpdate) else PAR]


def test_a_changed_message_is_not_authenticated() -> None:
    """Every octet of the header that the MAC covers is protected, even under a right checksum."""
    packet = encode(FastBindingUpdate(1, 10, PCOA, NCOA, MAC), PCOA, PAR, key=KEY)
    sealed = bytearray(packet[64:])
    for at in (7, 11, 29, 38):
        header = bytearray(sealed)
        header[at] ^= 1
        seal_mobility_header(header, PCOA.packed, PAR.packed)
        changed = build_ipv6(PCOA.packed, PAR.packed, 135, 64, header, home_address=PCOA.packed)
        received = decode(changed, key_for=lambda _: KEY)
        assert (received.badf_present, received.authenticated) == (True, False), at


def test_spi_0_and_other_algorithms_are_not_trusted() -> None:
    """SPI 0 belongs to SEND-derived keys, and a longer authenticator to another algorithm (6.4.5)."""
    with pytest.raises(ProtocolViolation, match="SEND"):
        encode(FastBindingAck(0, 1, 10), PAR, NCOA, key=KEY, spi=0)
    for value in (bytes(16), bytes(3) + b"\1" + bytes(20)):
        option = MobilityOption(21, value, 8, (-2 - len(value)) % 8)
        received = decode(mobility(9, FBACK, option), key_for=lambda _: KEY)
        assert (received.badf_present, received.authenticated) == (True, False)


def test_hi_and_hack_have_no_badf() -> None:
    """HI and HAck are protected by IPsec; a key changes nothing in them (F48)."""
    message = HandoverAcknowledge(3, 0, NCOA)
    assert encode(message, NAR, PAR, key=KEY) == encode(message, NAR, PAR)


def test_lifetime_is_in_seconds_on_the_wire() -> None:
    """10 s are sent as 10, in FBU and FBack (RFC 5568 sections 6.2.2 and 6.2.3)."""
    assert encode(FastBindingUpdate(1, 10, PCOA, NCOA), PCOA, PAR)[64 + 10 : 64 + 12] == b"\0\x0a"
    assert encode(FastBindingAck(0, 1, 10), PAR, NCOA)[40 + 10 : 40 + 12] == b"\0\x0a"


def test_a_type_2_routing_header_does_not_disturb_an_fback() -> None:
    """An FBack that is routed as a Binding Acknowledgement would be is read, its CoA the outer address."""
    plain = encode(FastBindingAck(0, 1, 10), PAR, NCOA, key=KEY)
    header = bytearray(plain[40:])
    seal_mobility_header(header, PAR.packed, PCOA.packed)
    packet = build_ipv6(PAR.packed, NCOA.packed, 135, 64, header, routing_address=PCOA.packed)
    received = decode(packet, key_for=lambda _: KEY)
    assert received == Received(FastBindingAck(0, 1, 10), PAR, NCOA, 64, True, True)
