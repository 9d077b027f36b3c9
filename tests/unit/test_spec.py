"""spec/ and the tables of docs/: made from the code, and true of every instance."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_spec
import msgspec
import pytest
import yaml
from event_strategies import EVENTS, values
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from lies.bus.messages import BUS_MESSAGES
from lies.errors import MalformedMessage
from lies.events import INDICATION_CLASSES, Indication, Raw
from lies.events.json import from_json_object, to_json_object
from lies.events.wire import CLASSES, decode_tag, tag_of

SCHEMA = make_spec.events_schema()
ASYNCAPI = make_spec.asyncapi()
BODIES = sorted({*CLASSES.values(), *BUS_MESSAGES.values()}, key=lambda c: c.__name__)


def body_of(name: str) -> Draft202012Validator:
    """The validator of one definition."""
    return Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{name}"}]})


@pytest.mark.parametrize("path", make_spec.files(), ids=lambda path: str(path.relative_to(make_spec.ROOT)))
def test_committed_is_generated(path: Path) -> None:
    """What is committed is what the code makes: `make spec` writes it anew."""
    assert path.read_text(encoding="utf-8") == make_spec.files()[path]


def test_schema_is_a_schema() -> None:
    """The schema is valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(SCHEMA)


@settings(max_examples=200)
@given(EVENTS)
def test_every_line_is_valid(event: Indication | Raw) -> None:
    """Every event's JSON line is valid, and has no key that the schema does not know."""
    line = json.loads(json.dumps(to_json_object(event)))
    Draft202012Validator(SCHEMA).validate(line)
    assert line.keys() == SCHEMA["$defs"][f"line.{line['type']}"]["properties"].keys()


@pytest.mark.parametrize("name", INDICATION_CLASSES)
def test_schema_and_reader_refuse_alike(name: str) -> None:
    """A line without a required key, or with a key of a wrong type, is refused by both."""
    definition = SCHEMA["$defs"][f"line.{name}"]
    good = json.loads(json.dumps(to_json_object(_example(INDICATION_CLASSES[name]))))
    validator = Draft202012Validator(SCHEMA)
    for key in definition["properties"]:
        bad: list[dict[str, Any]] = [{**good, key: {"no": "such"}}]
        if key in definition["required"]:
            bad.append({k: v for k, v in good.items() if k != key})
        for line in bad:
            assert not validator.is_valid(line), (key, line)
            with pytest.raises(MalformedMessage):
                from_json_object(line)


@pytest.mark.parametrize("cls", BODIES, ids=lambda cls: cls.__name__)
def test_every_body_is_valid(cls: type[Any]) -> None:
    """Instances of every class on the wire are valid bodies and use no unknown key."""

    @settings(max_examples=30)
    @given(values(cls))
    def check(message: object) -> None:
        body = msgspec.json.decode(msgspec.json.encode(message))
        body_of(cls.__name__).validate(body)
        assert body.keys() == SCHEMA["$defs"][cls.__name__]["properties"].keys()

    check()


def test_every_class_has_its_message() -> None:
    """The AsyncAPI document names every class of the table and of the bus once, by title and schema."""
    messages = ASYNCAPI["components"]["messages"]
    assert sorted(m["title"] for m in messages.values()) == [c.__name__ for c in BODIES]
    for message in messages.values():
        assert message["payload"]["schema"]["$ref"].endswith(f"#/$defs/{message['title']}")
        assert message["summary"]


def test_every_tag_matches_its_pattern() -> None:
    """The tag that the code gives a class matches the pattern of its message, and of no other."""
    messages = ASYNCAPI["components"]["messages"]
    for cls in CLASSES.values():
        tag = tag_of(_example(cls), layer="L2", protocol="wifi").encode()
        decode_tag(tag)
        hits = [
            m["title"]
            for m in messages.values()
            if Draft202012Validator(m["headers"]).is_valid({"version": "LIES1", "tag": tag.decode()})
        ]
        assert hits == [cls.__name__]


def test_every_reference_resolves() -> None:
    """No $ref of the AsyncAPI document leads nowhere."""
    for ref in _references(ASYNCAPI):
        file, _, pointer = ref.partition("#")
        place: Any = SCHEMA if file == "./events.schema.json" else ASYNCAPI
        for part in pointer.strip("/").split("/"):
            place = place[part]
        assert place, ref


def test_yaml_is_read_back_whole() -> None:
    """The YAML file says what the generator meant."""
    assert yaml.safe_load((make_spec.ROOT / "spec" / "asyncapi.yaml").read_text(encoding="utf-8")) == ASYNCAPI


def test_every_message_travels_somewhere() -> None:
    """Every message of the document is in an operation on one of the two endpoints."""
    carried = {
        ref["$ref"].rpartition("/")[2]
        for operation in ASYNCAPI["operations"].values()
        for ref in operation["messages"]
    }
    assert carried == ASYNCAPI["components"]["messages"].keys()


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _example(cls: type[Any]) -> Any:
    """One instance of a class, the simplest that its strategy has."""
    found: list[Any] = []

    @settings(max_examples=1, database=None)
    @given(values(cls))
    def keep(message: object) -> None:
        found.append(message)

    keep()
    return found[0]
