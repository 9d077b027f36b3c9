"""FBU and HI read at one look: the same as read octet by octet, for whatever comes."""

from ipaddress import IPv6Address
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lies.errors import MalformedMessage, ProtocolViolation
from lies_fmipv6 import codec
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.messages import FastBindingUpdate, HandoverInitiate
from lies_fmipv6.mh_shapes import READERS

PCOA, NCOA = IPv6Address("2001:db8:1::99"), IPv6Address("2001:db8:2::99")
PAR, NAR = IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:2::1")
NODE, KEY = bytes.fromhex("020000009900"), bytes(range(20))
FBU = FastBindingUpdate(7, 20, PCOA, NCOA, NODE)
HI = HandoverInitiate(7, 0, False, True, NODE, PCOA, NCOA)
PACKETS = {
    "FBU": encode(FBU, PCOA, PAR),
    "FBU with BADF": encode(FBU, PCOA, PAR, key=KEY),
    "FBU from NCoA": encode(FBU, NCOA, PAR, key=KEY),
    "HI": encode(HI, PAR, NAR),
}


def keys(peer: IPv6Address) -> bytes | None:
    """The node's key."""
    return KEY if peer == PCOA else None


def read(packet: bytes) -> Any:
    """What the codec says of a packet: a message, or what is wrong with it."""
    try:
        return decode(packet, key_for=keys)
    except MalformedMessage as error:
        return str(error)


def read_by_octets(packet: bytes) -> Any:
    """The same without a look at the whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "READERS", {})
        return read(packet)


def at_one_look(packet: bytes) -> bool:
    """Whether a packet needs no other reader."""
    reader = READERS.get(len(packet))
    return reader is not None and reader(packet, keys) is not None


@pytest.mark.parametrize("name", PACKETS)
def test_what_our_nodes_send_is_read_at_one_look(name: str) -> None:
    """FBU with and without BADF, from the old and the new link, and HI; routers count down the hop limit."""
    packet = PACKETS[name]
    assert at_one_look(packet)
    assert at_one_look(packet[:7] + b"\x01" + packet[8:])
    assert read(packet) == read_by_octets(packet)
    assert read(packet).authenticated is ("BADF" in name or "NCoA" in name)


@pytest.mark.parametrize("name", PACKETS)
def test_every_octet_may_be_another(name: str) -> None:
    """Each octet changed by each bit, alone: the same message, or the same cause to drop it."""
    packet = PACKETS[name]
    for at in range(len(packet)):
        for bit in range(8):
            changed = packet[:at] + bytes((packet[at] ^ 1 << bit,)) + packet[at + 1 :]
            assert read(changed) == read_by_octets(changed), (at, bit)


def sealed(packet: bytes, at: int) -> bytes:
    """A packet whose Mobility Header, at an offset, has the right checksum."""
    home = packet[48:64] if packet[6] == 60 else packet[8:24]
    header = packet[at : at + 4] + b"\0\0" + packet[at + 6 :]
    total = int.from_bytes(home + packet[24:40] + header) + len(header) + 135
    return packet[: at + 4] + (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2) + packet[at + 6 :]


@given(
    name=st.sampled_from(sorted(PACKETS)),
    changes=st.lists(st.tuples(st.integers(0, 127), st.binary(min_size=1, max_size=16)), max_size=3),
)
def test_whatever_is_in_it(name: str, changes: list[tuple[int, bytes]]) -> None:
    """Octets changed at will and the checksum put right, so that it is the values that are judged."""
    packet = PACKETS[name]
    for at, octets in changes:
        packet = (packet[:at] + octets + packet[at + len(octets) :])[: len(PACKETS[name])]
    packet = sealed(packet, 40 if name == "HI" else 64)
    assert read(packet) == read_by_octets(packet)


octets_8 = st.binary(min_size=8, max_size=8)
addresses = st.builds(lambda head, end: IPv6Address(bytes((0x20,)) + head[1:] + end), octets_8, octets_8)
any_address = st.one_of(addresses, st.binary(min_size=16, max_size=16).map(IPv6Address))


@given(
    home=any_address,
    new=any_address,
    sequence=st.integers(0, 65535),
    lifetime_s=st.integers(0, 65535),
    lla=st.binary(min_size=5, max_size=7),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_any_message(
    home: IPv6Address, new: IPv6Address, sequence: int, lifetime_s: int, lla: bytes, flags: tuple[bool, ...]
) -> None:
    """Whatever the codec can write, lifetime 0 and other flags too."""
    a, h, ll, k = flags
    update = FastBindingUpdate(sequence, lifetime_s, home, new, lla, a, h, ll, k)
    initiate = HandoverInitiate(sequence, int(a), h and not a, k, lla, home, new)
    messages: list[Any] = [update, evolve(update, acknowledge=True), initiate]
    for message in messages:
        for key in (None, KEY):
            try:
                packet = encode(message, PCOA, PAR, key=key)
            except ProtocolViolation:
                continue
            assert read(packet) == read_by_octets(packet)
