"""Messages that are compiled once for each shape: always what the encoder itself would give."""

from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from lies.kernel import messages as m
from lies.kernel.template import compiled_once

ADDRESSES = st.ip_addresses(v=6).map(lambda a: IPv6Address(int(a)))
NETWORKS = st.one_of(
    ADDRESSES.map(lambda a: IPv6Network((a, 128))),
    st.sampled_from([IPv6Network("::/0"), IPv6Network("2001:db8::/32")]),
)
NUMBERS = st.integers(1, (1 << 31) - 1)
LLAS = st.binary(min_size=6, max_size=6)
FLAGS = st.booleans()


def encoder(function: Callable[..., bytes]) -> Callable[..., bytes]:
    """The function as it was before it was wrapped."""
    wrapped: Callable[..., bytes] = function.__wrapped__  # type: ignore[attr-defined]  # set by functools.wraps
    return wrapped


@given(NETWORKS, NUMBERS, NUMBERS, st.none() | ADDRESSES, st.none() | ADDRESSES, FLAGS)
def test_a_route(
    to: IPv6Network, table: int, oif: int, via: IPv6Address | None, encap: IPv6Address | None, add: bool
) -> None:
    """Routes of any table, interface, next hop and tunnel."""
    found = m.route(to, table=table, oif=oif, via=via, encap=encap, add=add)
    assert found == encoder(m.route)(to, table=table, oif=oif, via=via, encap=encap, add=add)


@given(
    NUMBERS, NUMBERS, st.none() | ADDRESSES, st.none() | ADDRESSES, st.sampled_from([None, "a0", "lies-h1"])
)
def test_a_rule(
    preference: int, table: int, source: IPv6Address | None, to: IPv6Address | None, iif: str | None
) -> None:
    """Rules of any preference, table, source, destination and interface."""
    keywords = {"table": table, "source": source, "destination": to, "iif": iif}
    assert encoder(m.rule)(preference, **keywords) == m.rule(
        preference, table=table, source=source, destination=to, iif=iif
    )


@given(NUMBERS, ADDRESSES, st.none() | LLAS, FLAGS, FLAGS)
def test_a_neighbour_and_an_address(
    index: int, address: IPv6Address, lla: bytes | None, proxy: bool, add: bool
) -> None:
    """Neighbour entries, proxy entries and addresses of any interface."""
    found = m.neighbour(index, address, lla, proxy=proxy, add=add)
    assert found == encoder(m.neighbour)(index, address, lla, proxy=proxy, add=add)
    assert m.address(index, address, add=add) == encoder(m.address)(index, address, add=add)


@given(NETWORKS, st.integers(0, (1 << 31) - 1))
def test_a_label(prefix: IPv6Network, label: int) -> None:
    """Labels, small and large."""
    assert m.address_label(prefix, label) == encoder(m.address_label)(prefix, label)


def test_a_shape_is_encoded_once() -> None:
    """Other addresses, octets and numbers make no other shape; flags, names and absent values do."""
    encoded = 0

    @compiled_once
    def build(number: int, address: IPv6Address | None, octets: bytes = b"", *, flag: bool = True) -> bytes:
        nonlocal encoded
        encoded += 1
        return number.to_bytes(4, "little") + (address.packed if address else b"") + octets + bytes([flag])

    one, two = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
    assert build(1000, one, b"12") == (1000).to_bytes(4, "little") + one.packed + b"12\x01"
    assert build(2000, two, b"34") == (2000).to_bytes(4, "little") + two.packed + b"34\x01"
    assert encoded == 1
    assert build(2000, two, b"345")[-4:] == b"345\x01"
    assert build(2000, None, b"34") == (2000).to_bytes(4, "little") + b"34\x01"
    assert build(2000, two, b"34", flag=False)[-1] == 0
    assert encoded == 4


def test_shapes_are_bounded() -> None:
    """More shapes than are kept are encoded anew, and right."""

    @compiled_once
    def build(name: str, address: IPv6Address) -> bytes:
        return name.encode() + address.packed

    address = IPv6Address("2001:db8::1")
    for number in range(3000):
        assert build(f"a{number}", address) == f"a{number}".encode() + address.packed
    assert build("a0", address) == b"a0" + address.packed
