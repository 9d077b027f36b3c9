"""Bytes on the wire: every class round-trips, and anything else is a MalformedMessage."""

from typing import Any

import msgspec
import pytest
from event_strategies import values
from hypothesis import given, settings
from hypothesis import strategies as st

from lies.bus.frames import bus_frames, decode, primitive_frames
from lies.bus.messages import BUS_MESSAGES
from lies.errors import MalformedMessage
from lies.events import (
    Header,
    Link,
    LinkGoingDown,
    LinkUp,
    LinkUpRequest,
    PrimitiveClass,
    Technology,
)
from lies.events.wire import (
    CLASSES,
    MAX_BODY,
    VERSION,
    Tag,
    decode_body,
    decode_tag,
    encode_body,
    tag_of,
)

HEADER = Header("simwifi", 1, 2, 3, 4, Link("wlan0", Technology.WIFI))
LINK_UP = Tag("L2", "wifi", PrimitiveClass.INDICATION, "link_up")
KEYS = st.sampled_from(sorted(CLASSES))


@pytest.mark.parametrize("cls", CLASSES.values(), ids=lambda cls: cls.__name__)
def test_round_trip(cls: type[Any]) -> None:
    """A message of every class comes back equal, of the same class, with the same tag."""

    @settings(max_examples=30)
    @given(values(cls))
    def check(message: object) -> None:
        tag = tag_of(message, layer="L2", protocol="wifi")
        assert decode_tag(tag.encode()) == tag
        back = decode_body(tag, encode_body(message))
        assert type(back) is cls
        assert back == message
        received = decode(primitive_frames(message, layer="L2", protocol="wifi"))
        assert received.message == message
        assert received.tag == tag

    check()


@pytest.mark.parametrize("cls", BUS_MESSAGES.values(), ids=lambda cls: cls.__name__)
def test_round_trip_of_the_bus(cls: type[Any]) -> None:
    """The bus's own messages come back equal and of the same class."""

    @settings(max_examples=30)
    @given(values(cls))
    def check(message: object) -> None:
        received = decode(bus_frames(message))
        assert type(received.message) is cls
        assert received.message == message

    check()


def test_tag_is_readable() -> None:
    """The tag is LAYER:PROTOCOL:CLASS:NAME in ASCII (RFC 5184 section 3)."""
    message = LinkUpRequest(1, "wlan0")
    assert tag_of(message, layer="L2", protocol="wifi").encode() == b"L2:wifi:request:link_up"
    with pytest.raises(KeyError):
        tag_of(object(), layer="L2", protocol="wifi")


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_garbage_tags(data: bytes) -> None:
    """Whatever the octets: a tag that encodes to them again, or MalformedMessage."""
    try:
        tag = decode_tag(data)
    except MalformedMessage:
        return
    assert tag.encode() == data


@settings(max_examples=500)
@given(KEYS, st.binary(max_size=200))
def test_garbage_bodies(key: tuple[PrimitiveClass, str], data: bytes) -> None:
    """Whatever the octets: a message of the tag's class, or MalformedMessage."""
    try:
        message = decode_body(Tag("L2", "wifi", *key), data)
    except MalformedMessage:
        return
    assert type(message) is CLASSES[key]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.data())
def test_wrong_types_in_bodies(data: st.DataObject) -> None:
    """One field replaced by any other msgpack value: still a message of the class, or MalformedMessage."""
    key = data.draw(KEYS)
    body = msgspec.to_builtins(data.draw(values(CLASSES[key])), builtin_types=(bytes,))
    body[data.draw(st.sampled_from(sorted(body)))] = data.draw(JUNK)
    try:
        message = decode_body(Tag("L2", "wifi", *key), msgspec.msgpack.encode(body))
    except MalformedMessage:
        return
    assert type(message) is CLASSES[key]


@pytest.mark.parametrize("cls", CLASSES.values(), ids=lambda cls: cls.__name__)
def test_truncated_bodies(cls: type[Any]) -> None:
    """A body cut at any length is refused, and so is one with an octet too many."""

    @settings(max_examples=2)
    @given(values(cls))
    def check(message: object) -> None:
        tag, body = tag_of(message, layer="L2", protocol="wifi"), encode_body(message)
        for length in range(len(body)):
            with pytest.raises(MalformedMessage):
                decode_body(tag, body[:length])
        with pytest.raises(MalformedMessage):
            decode_body(tag, body + b"\x00")

    check()


def test_missing_field() -> None:
    """A body without a field that has no default is refused with the field's name."""
    body = msgspec.to_builtins(LinkUp(HEADER, "ap1"))
    del body["poa"]
    with pytest.raises(MalformedMessage, match="poa"):
        decode_body(LINK_UP, msgspec.msgpack.encode(body))


def test_later_versions_may_add_fields() -> None:
    """A field that this version does not know is skipped."""
    body = {**msgspec.to_builtins(LinkUp(HEADER, "ap1")), "new": 1}
    assert decode_body(LINK_UP, msgspec.msgpack.encode(body)) == LinkUp(HEADER, "ap1")


def test_unknown_names_and_classes() -> None:
    """A tag of a primitive that is not in the table is refused, and so is a class that it has not."""
    with pytest.raises(MalformedMessage, match="unknown primitive"):
        decode_body(Tag("L2", "wifi", PrimitiveClass.INDICATION, "link_upp"), b"\x80")
    with pytest.raises(MalformedMessage, match="unknown primitive"):
        decode_body(Tag("L2", "wifi", PrimitiveClass.INDICATION, "link_status"), b"\x80")
    with pytest.raises(MalformedMessage, match="not a tag"):
        decode_tag(b"L2:wifi:order:link_up")


def test_size_bounds() -> None:
    """A tag of 256 octets and a body above MAX_BODY are refused before anything is decoded."""
    with pytest.raises(MalformedMessage, match="255"):
        decode_tag(b"L2:" + b"w" * 237 + b":request:link_up")
    assert decode_tag(b"L2:" + b"w" * 236 + b":request:link_up").name == "link_up"
    message = LinkUp(HEADER, "a" * (MAX_BODY - len(encode_body(LinkUp(HEADER, ""))) - 4))
    body = encode_body(message)
    assert len(body) == MAX_BODY
    assert decode_body(LINK_UP, body) == message
    with pytest.raises(MalformedMessage, match=str(MAX_BODY + 1)):
        decode_body(LINK_UP, body + b"\x00")


def test_version_is_checked() -> None:
    """A message of another version is refused, whatever follows."""
    frames = primitive_frames(LinkUp(HEADER, "ap1"), layer="L2", protocol="wifi")
    assert frames[0] == VERSION
    for version in (b"", b"LIES0", b"LIES2", b"LIES1 "):
        with pytest.raises(MalformedMessage):
            decode([version, *frames[1:]])
    assert decode(frames).message == LinkUp(HEADER, "ap1")


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_frames(frames: list[bytes]) -> None:
    """Whatever the frames, with a right version too: a message or MalformedMessage."""
    for given_frames in (frames, [VERSION, *frames], [VERSION, b"L2:wifi:request:link_up", *frames]):
        try:
            decode(given_frames)
        except MalformedMessage:
            continue


def test_nesting_is_bounded() -> None:
    """A body nested a hundred thousand deep is refused, not a crash."""
    with pytest.raises(MalformedMessage):
        decode_body(LINK_UP, b"\x91" * 100_000 + b"\xc0")


def test_not_a_number_stays_one_value() -> None:
    """A NaN in a float field is no reason to fail: it is for the reader of the field to judge."""
    tag = Tag("L2", "wifi", PrimitiveClass.INDICATION, "link_going_down")
    body = msgspec.to_builtins(
        decode_body(tag, encode_body(LinkGoingDown(HEADER, "ap1", float("nan"), 0.5, "fading")))  # type: ignore[arg-type] # a plain word is what the wire has
    )
    assert body["time_to_down_ms"] != body["time_to_down_ms"]
