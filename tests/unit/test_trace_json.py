"""The JSON form of indications and raw messages."""

from typing import Any

import msgspec
import pytest
from event_strategies import values
from hypothesis import given, settings
from hypothesis import strategies as st

from lies.errors import MalformedMessage
from lies.events import (
    INDICATION_CLASSES,
    Condition,
    Header,
    Link,
    LinkStatusChanged,
    Quality,
    RawState,
    Technology,
)
from lies.events.json import from_json_object, to_json_object

HEADER = Header("sim", 7, 3, 10, 20, Link("wlan0", Technology.WIFI))


@pytest.mark.parametrize("name", sorted(INDICATION_CLASSES))
@settings(max_examples=25)
@given(st.data())
def test_every_class_round_trips(name: str, data: st.DataObject) -> None:
    """to_json_object, JSON text and from_json_object give back every event of every class."""
    event = data.draw(values(INDICATION_CLASSES[name]))
    text = msgspec.json.encode(to_json_object(event))
    assert from_json_object(msgspec.json.decode(text)) == event


def test_the_object_is_flat() -> None:
    """Type, link, technology and the header's numbers stand beside the parameters."""
    changed = LinkStatusChanged(HEADER, "ap1", Condition(Quality.BAD, 6.0), Condition(Quality.FAIR))
    assert to_json_object(changed) == {
        "type": "link_status_changed",
        "link": "wlan0",
        "technology": "wifi",
        "publisher": "sim",
        "epoch": 7,
        "sequence": 3,
        "mono_ns": 10,
        "wall_ns": 20,
        "poa": "ap1",
        "condition": {"quality": "bad", "bandwidth_mbps": 6.0},
        "previous": {"quality": "fair", "bandwidth_mbps": None},
        "reason": "level",
        "detail": None,
    }
    assert to_json_object(RawState(HEADER, b"\xff\x00"))["state"] == "/wA="


def test_unknown_keys_are_left_out() -> None:
    """A later version's extra keys do not stop this one."""
    event = RawState(HEADER, b"x")
    assert from_json_object({**to_json_object(event), "colour": "red"}) == event


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "snapshot"}, "not an event"),
        ({"type": ["link_up"]}, "not an event"),
        ({"link": None}, "str"),
        ({"technology": "pigeon"}, "pigeon"),
        ({"mono_ns": "now"}, "int"),
        ({"poa": 3}, "str"),
        ({"condition": {}}, "quality"),
    ],
)
def test_a_wrong_object_is_malformed(change: dict[str, Any], said: str) -> None:
    """What is no event raises MalformedMessage and names what is wrong."""
    event = LinkStatusChanged(HEADER, "ap1", Condition(Quality.BAD), Condition(Quality.FAIR))
    with pytest.raises(MalformedMessage, match=said):
        from_json_object({**to_json_object(event), **change})


@pytest.mark.parametrize("key", ["link", "sequence", "poa"])
def test_a_missing_key_is_named(key: str) -> None:
    """MalformedMessage names a key that is not there."""
    event = LinkStatusChanged(HEADER, "ap1", Condition(Quality.BAD), Condition(Quality.FAIR))
    data = to_json_object(event)
    del data[key]
    with pytest.raises(MalformedMessage, match=key):
        from_json_object(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(INDICATION_CLASSES)),
    st.dictionaries(
        st.sampled_from(
            [
                "link",
                "technology",
                "publisher",
                "epoch",
                "sequence",
                "mono_ns",
                "wall_ns",
                "poa",
                "sample",
                "poas",
                "state",
            ]
        ),
        JSON,
    ),
)
def test_garbage_is_malformed_and_nothing_else(name: str, data: dict[str, Any]) -> None:
    """Any JSON object is an event or MalformedMessage."""
    try:
        from_json_object({**data, "type": name})
    except MalformedMessage:
        return
