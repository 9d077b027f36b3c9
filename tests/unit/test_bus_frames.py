"""Frames of the bus: what is written is read, and nothing else."""

from typing import Any

import msgspec
import pytest
from bus_rig import WLAN, poas
from event_strategies import EVENTS
from hypothesis import example, given
from hypothesis import strategies as st

from lies.bus import LinkState
from lies.bus.frames import (
    MAX_FRAMES,
    Event,
    UnknownVersion,
    batch_frames,
    bus_frames,
    decode,
    decode_all,
    delivery_frames,
    event_tag,
    primitive_frames,
    publish_frames,
    request_id_in,
)
from lies.bus.messages import (
    BUS_MESSAGES,
    Action,
    ActionKind,
    Batch,
    Gap,
    Goodbye,
    Heartbeat,
    Hello,
    LevelsWanted,
    Plugins,
    PluginsRequest,
    PluginState,
    PluginStatus,
    Publish,
    PublishLink,
    RawWanted,
    Refusal,
    Refused,
    RemoveLink,
    Repair,
    Snapshot,
    SnapshotRequest,
    Welcome,
)
from lies.errors import MalformedMessage
from lies.events import (
    PRIMITIVES,
    Condition,
    DownReason,
    Header,
    LinkConnectRequest,
    LinkDown,
    LinkGoingDown,
    LinkUp,
    Primitive,
    Quality,
)
from lies.events.wire import MAX_BODY, VERSION

HEADER = Header("sim", 7, 3, 1000, 2000, WLAN)
GOING_DOWN = LinkGoingDown(HEADER, "ap1", 900.0, 0.75, DownReason.FADING)
STATE = LinkState(
    WLAN,
    "sim",
    up=True,
    poa="ap1",
    condition=Condition(Quality.GOOD, 12.5),
    poas=poas(ap1=Quality.GOOD, ap2=Quality.BAD),
    going_down=GOING_DOWN,
    controllable=True,
    lost=DownReason.DRIVER_LOST,
)
MESSAGES = [
    Hello("mn", "ipv6", 5, batches=True),
    Welcome(42, 250),
    Refused(Refusal.INVALID, "no", 9),
    Heartbeat(42, {1: 2, 3: 4}),
    Gap(1, "link_up", "*", "sim", 2, 3),
    Snapshot((STATE,), 1, None),
    SnapshotRequest(3, "wlan0"),
    Repair(1, 2, 3),
    PluginsRequest(4),
    Plugins(4, (PluginState("car", "driver", "simwifi", PluginStatus.FAILED, True, 2, "no", 500),)),
    Batch(((b"L3:ipv6:indication:link_up", b"body", b"place"),)),
    Goodbye("bye"),
    PublishLink(HEADER, STATE),
    RemoveLink("wlan0"),
    Publish(HEADER, STATE),
    Action(ActionKind.CONNECT, "wlan0", "ap1"),
    RawWanted("wlan0", on=True),
    LevelsWanted("wlan0", (Quality.GOOD, Quality.BAD), going_down=True),
]


def test_every_message_of_the_bus_is_tried() -> None:
    """The list above names every class of the bus's own table."""
    assert {type(m) for m in MESSAGES} == set(BUS_MESSAGES.values())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_messages_of_the_bus(message: object) -> None:
    """Each message of the bus is read as it was written."""
    received = decode(bus_frames(message))
    assert received.message == message
    assert (received.tag.layer, received.tag.protocol) == ("BUS", "lies")


def test_tag_names_layer_protocol_class_and_name() -> None:
    """The four leading fields of a primitive are in the tag (RFC 5184 section 3)."""
    frames = primitive_frames(LinkConnectRequest(1, "wlan0", "ap2"), layer="L2", protocol="wifi")
    assert frames[:2] == [b"LIES1", b"L2:wifi:request:link_connect"]


@given(EVENTS, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_deliveries(message: Any, registration: int, sequence: int) -> None:
    """A delivery carries registration and sequence beside a body that it shares with others."""
    event = Event(message)
    tag = event_tag(event.name, layer="L3", protocol="ipv6")
    frames = delivery_frames(tag, event, registration, sequence)
    received = decode(frames)
    assert received.message == message
    assert received.place == (registration, sequence)
    assert delivery_frames(tag, event, 1, 1)[2] is frames[2]


@given(st.lists(EVENTS, max_size=5))
def test_publish_carries_its_events(messages: list[Any]) -> None:
    """A Publish brings its events in order, and their bodies as they came."""
    events = [Event(m) for m in messages]
    received = decode(publish_frames(Publish(HEADER, None), events, protocol="*"))
    assert received.message == Publish(HEADER, None)
    assert [e.message for e in received.events] == messages
    assert [e.body for e in received.events] == [e.body for e in events]


GOOD = delivery_frames(event_tag("link_up", layer="L3", protocol="ipv6"), Event(LinkUp(HEADER, "ap1")), 1, 1)
DOWN = Event(LinkDown(HEADER, "ap1", DownReason.PEER))


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"HTTP/1.1"],
        [VERSION],
        GOOD[:2],
        [VERSION, b"", b""],
        [VERSION, b"x" * 300, GOOD[2]],
        [VERSION, b"L3:ipv6:indication:nothing", GOOD[2]],
        [VERSION, b"BUS:lies:request:welcome", GOOD[2]],
        [VERSION, b"BUS:lies:indication:link_up", GOOD[2]],
        [*GOOD[:2], b"\xc1", GOOD[3]],
        [*GOOD[:2], GOOD[2][:-1], GOOD[3]],
        [*GOOD[:2], GOOD[2] + b"\x00", GOOD[3]],
        [*GOOD[:2], b"\x90" * 2_000, GOOD[3]],
        [*GOOD[:2], b"\x91" * 100_000, GOOD[3]],
        [*GOOD[:2], bytes(MAX_BODY + 1), GOOD[3]],
        [*GOOD[:3], b"short"],
        [*GOOD, b""],
        [*primitive_frames(LinkConnectRequest(1, "w", "a"), layer="L2", protocol="*"), GOOD[3]],
        [*bus_frames(Goodbye("x")), GOOD[1], GOOD[2]],
        [*bus_frames(Publish(HEADER)), GOOD[1]],
        [*bus_frames(Publish(HEADER)), *bus_frames(Goodbye("x"))[1:]],
        [*bus_frames(Publish(HEADER)), *[b""] * MAX_FRAMES],
        publish_frames(Publish(HEADER), [DOWN] * 129, protocol="*"),
    ],
)
def test_what_is_no_message(frames: list[bytes]) -> None:
    """Anything that is not a message of this bus is MalformedMessage and nothing else."""
    with pytest.raises(MalformedMessage):
        decode(frames)


PLACED = tuple(GOOD[1:])
NO_DELIVERIES = [
    PLACED[:2],
    (*PLACED, b""),
    (PLACED[0], b"\xc1", PLACED[2]),
    (PLACED[0], PLACED[1], b"short"),
    (PLACED[0], bytes(MAX_BODY + 1), PLACED[2]),
    (*bus_frames(Goodbye("x"))[1:], PLACED[2]),
    (*bus_frames(Batch((PLACED,)))[1:], PLACED[2]),
    (*primitive_frames(LinkConnectRequest(1, "w", "a"), layer="L2", protocol="*")[1:], PLACED[2]),
]


@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_batch_holds_deliveries(messages: list[Any]) -> None:
    """The deliveries of a Batch come out one by one as they would alone; other messages stay as they are."""
    alone = []
    for number, message in enumerate(messages):
        event = Event(message)
        alone.append(delivery_frames(event_tag(event.name, layer="L3", protocol="ipv6"), event, 7, number))
    assert list(decode_all(batch_frames(alone))) == [decode(frames) for frames in alone]
    assert [r.message for r in decode_all(bus_frames(Goodbye("x")))] == [Goodbye("x")]


@pytest.mark.parametrize("delivery", NO_DELIVERIES, ids=range(len(NO_DELIVERIES)))
def test_batch_of_what_is_no_delivery(delivery: tuple[bytes, ...]) -> None:
    """One bad delivery makes the whole Batch malformed: the others are asked for again by their numbers."""
    with pytest.raises(MalformedMessage):
        decode_all(bus_frames(Batch((PLACED, delivery))))


def test_most_events_of_one_publish() -> None:
    """128 events fit into one Publish."""
    assert len(decode(publish_frames(Publish(HEADER), [DOWN] * 128, protocol="*")).events) == 128


def test_other_versions_are_refused_by_number() -> None:
    """A message of another version names both versions in its refusal."""
    with pytest.raises(UnknownVersion, match=r"LIES2.*LIES1"):
        decode([b"LIES2", *GOOD[1:]])


@given(st.lists(st.binary(max_size=60), max_size=8))
@example([VERSION, GOOD[1], b"\x85"])
def test_random_frames_never_escape(frames: list[bytes]) -> None:
    """Random octets decode or are MalformedMessage."""
    for candidate in (frames, [VERSION, *frames], [*GOOD[:2], *frames]):
        try:
            decode(candidate)
        except MalformedMessage:
            continue


@given(st.data())
def test_mutated_frames_never_escape(data: st.DataObject) -> None:
    """A message with octets changed, cut or added decodes or is MalformedMessage."""
    message = data.draw(st.sampled_from(MESSAGES))
    frames = list(bus_frames(message))
    which = data.draw(st.integers(0, 2))
    octets = bytearray(frames[which])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets)))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    frames[which] = bytes(octets)
    try:
        decode(frames)
    except MalformedMessage:
        return


def test_request_id_of_what_is_not_understood() -> None:
    """The number of a request is found even where the request itself does not decode."""
    body = msgspec.msgpack.encode({"request_id": 77, "link": 5})
    assert request_id_in([VERSION, b"L2:*:request:link_up", body]) == 77
    assert request_id_in([VERSION, b"L2:*:confirm:link_up", body]) is None
    for other in (b"\xc1", b"\x01", msgspec.msgpack.encode({"request_id": "x"}), b"\x80"):
        assert request_id_in([VERSION, b"L2:*:request:link_up", other]) is None
    assert request_id_in([VERSION]) is None


@pytest.mark.parametrize("primitive", PRIMITIVES.values(), ids=lambda p: p.name)
def test_event_knows_its_primitive(primitive: Primitive) -> None:
    """Each indication belongs to the primitive that is registered for."""
    for name, cls in primitive.indications.items():
        message = object.__new__(cls)
        assert (Event(message).name, Event(message).primitive) == (name, primitive.name)
