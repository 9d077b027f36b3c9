"""What the route netlink driver reads out of the kernel's messages."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtnetlink_kit import (
    AF_BRIDGE,
    BRIDGE_POA,
    DONE,
    ERROR,
    LOWER_UP,
    RUNNING,
    UP,
    LinksHost,
    attribute,
    bridges_word,
    dellink,
    message,
    newlink,
)

from lies_rtnetlink import Rtnetlink
from lies_rtnetlink.config import RtnetlinkConfig
from lies_rtnetlink.messages import Answered, BridgePort, DumpEnded, LinkGone, LinkTold, read


def test_a_link_as_pyroute2_writes_it() -> None:
    """Index, name, kind, flags, operational state, master, port and counts are read."""
    (told,) = read(newlink(counts=(3, 2), port=3, master=9))
    assert told == LinkTold(
        7,
        "eth0",
        1,
        UP | LOWER_UP | RUNNING,
        operstate=6,
        master=9,
        port=BridgePort(3, BRIDGE_POA),
        ups=3,
        downs=2,
    )
    (told,) = read(newlink(oper=None, up=False))
    assert told == LinkTold(7, "eth0", 1, LOWER_UP)


def test_a_bridges_word_of_its_port() -> None:
    """AF_BRIDGE messages are partial: flags, state and bridge; leaving the bridge is no removal."""
    (told,) = read(bridges_word(3))
    assert isinstance(told, LinkTold)
    assert (told.partial, told.port, told.master) == (True, BridgePort(3, BRIDGE_POA), 9)
    assert read(dellink(family=AF_BRIDGE)) == []
    assert read(dellink()) == [LinkGone(7)]


def test_answers_and_the_end_of_a_telling() -> None:
    """An error carries its number and request; a telling that was disturbed is not whole."""
    assert read(message(ERROR, struct.pack("=i", -1), sequence=4)) == [Answered(4, 1)]
    assert read(message(DONE, bytes(4), sequence=5)) == [DumpEnded(5)]
    assert read(message(DONE, struct.pack("=i", -12), sequence=5)) == [Answered(5, 12)]
    assert read(message(DONE, bytes(4), flags=0x10, sequence=5)) == [DumpEnded(5, torn=True)]


def test_several_messages_in_one_datagram() -> None:
    """They are read in order; one of another kind is left out."""
    data = newlink() + message(24, bytes(12)) + dellink() + newlink(8, "eth1")
    assert [type(told).__name__ for told in read(data)] == ["LinkTold", "LinkGone", "LinkTold"]


@pytest.mark.parametrize("whole", [newlink(counts=(1, 1), port=3, master=9), bridges_word(3), dellink()])
def test_every_cut_is_quiet(whole: bytes) -> None:
    """A datagram cut off anywhere tells nothing; what was whole before the cut is told."""
    for length in range(len(whole)):
        assert read(whole[:length]) == []
        assert read(whole + whole[:length]) == read(whole)


def test_odd_names_are_readable_and_distinct() -> None:
    """An interface's name may be any octets; what comes of it can be sent on the bus."""
    raw = newlink(name="ethX")
    names = {
        t.name for o in (b"\xff", b"\xfe") for t in read(raw.replace(b"X", o)) if isinstance(t, LinkTold)
    }
    assert names == {"eth\\xff", "eth\\xfe"}
    assert read(raw.replace(b"ethX", b"\0thX")) == []


parts = st.one_of(
    st.binary(max_size=64),
    st.builds(attribute, st.integers(0, 65535), st.binary(max_size=40)),
    st.builds(
        lambda index, name, flags, family: (
            struct.pack("=BxHiII", family, 1, index, flags, 0) + attribute(3, name)
        ),
        st.integers(-2, 3),
        st.binary(max_size=17),
        st.integers(0, 0xFFFFFFFF),
        st.sampled_from([0, AF_BRIDGE]),
    ),
)
messages = st.builds(
    lambda kind, some, flags, sequence: message(kind, b"".join(some), flags=flags, sequence=sequence),
    st.sampled_from([2, 3, 16, 17, 24]),
    st.lists(parts, max_size=6),
    st.integers(0, 65535),
    st.integers(0, 3),
)


@given(st.lists(st.one_of(messages, st.binary(max_size=200)), max_size=8))
def test_no_octets_raise_out_of_the_driver(datagrams: list[bytes]) -> None:
    """Whatever comes, the driver goes on; every Down follows an Up of the same PoA, and so on in turn."""
    host = LinksHost()
    driver = Rtnetlink("eth", RtnetlinkConfig(), host)
    driver._ask_speed = lambda *_: None  # type: ignore[method-assign]  # there is no loop here
    for data in datagrams:
        driver._take(read(data))
    assert host.error is None
    for port in host.ports.values():
        assert port.entity.refused == 0
    driver._take(read(newlink(1000, "sound0")))
    assert host.story("sound0") == [("up", "port:sound0")]
