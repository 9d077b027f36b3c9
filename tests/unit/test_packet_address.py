"""Addresses between octets, objects and text."""

from ipaddress import IPv6Address

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lies.packet import address_of, forget_addresses, read_address, text_of
from lies.packet._address import _REMEMBERED, _by_octets, _by_text
from lies.values import value

HEXTETS = st.sampled_from((b"\0\0", b"\0\0", b"\0\1", b"\x0a\0", b"\xff\xff")) | st.binary(
    min_size=2, max_size=2
)
OCTETS = st.lists(HEXTETS, min_size=8, max_size=8).map(b"".join)


@given(OCTETS)
def test_text_is_that_of_the_standard_class(octets: bytes) -> None:
    """text_of writes every address as str(IPv6Address) does, and read_address reads that."""
    text = text_of(address_of(octets))
    assert text == str(IPv6Address(octets))
    assert read_address(text) == IPv6Address(octets)


@pytest.mark.parametrize(
    "text",
    ["::", "::1", "1::", "1:0:0:2::", "1:0:0:2:0:0:0:3", "0:1:2:3:4:5:6:7", "1:0:2:3:4:5:6:0", "2001:db8::1"],
)
def test_runs_of_zeros(text: str) -> None:
    """The longest run of zeros is left out, the first of equal ones, and a single zero is not (RFC 5952)."""
    assert text_of(IPv6Address(text)) == str(IPv6Address(text))


def test_what_is_read_need_not_have_been_written() -> None:
    """Any text of an address is read, also when nothing is remembered; what is none is refused."""
    forget_addresses()
    assert read_address("2001:DB8:0::1") == IPv6Address("2001:db8::1")
    assert read_address("2001:db8::1").packed == IPv6Address("2001:db8::1").packed
    with pytest.raises(ValueError, match="At least 3 parts"):
        read_address("no address")


def test_what_is_remembered_is_bounded() -> None:
    """Whoever makes up addresses fills no memory; what is met often stays, the same object as before."""
    often = address_of(bytes(15) + b"\x07")
    assert text_of(often) == "::7"
    for number in range(100_000):
        text_of(address_of(number.to_bytes(16, "big")))
        if number % 1000 == 0:
            assert address_of(often.packed) is often
    assert len(_by_octets) + len(_by_octets.before) <= 2 * _REMEMBERED
    assert len(_by_text) <= _REMEMBERED
    assert read_address("::7") == often


@given(OCTETS, OCTETS)
def test_addresses_are_equal_to_the_standard_ones(one: bytes, other: bytes) -> None:
    """An address equals any other object of its value, hashes like it, and differs from all others."""
    address = address_of(one)
    assert address == IPv6Address(one)
    assert IPv6Address(one) == address
    assert hash(address) == hash(IPv6Address(one))
    assert (address == address_of(other)) == (one == other)
    assert (address == IPv6Address(other)) == (one == other)


def test_values_are_compared_and_hashed_by_their_fields() -> None:
    """Values are equal and have equal hashes if their fields are equal, and have no other attributes."""

    @value
    class Pair:
        one: int
        other: str = ""

    assert Pair(1, "x") == Pair(1, "x") != Pair(1)
    assert len({Pair(1), Pair(1), Pair(2)}) == 2
    assert attrs.evolve(Pair(1), other="x") == Pair(1, "x")
    assert not hasattr(Pair(1), "__dict__")
