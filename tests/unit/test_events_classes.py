"""The vocabulary: RFC 5184's names and types, and the rules that every class on the wire keeps."""

import itertools
import types
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
import pytest

from lies.bus.messages import BUS_MESSAGES
from lies.events import (
    INDICATION_CLASSES,
    PRIMITIVE_OF_INDICATION,
    PRIMITIVES,
    Header,
    PrimitiveClass,
    PrimitiveType,
    Quality,
    Technology,
    indication_name,
)
from lies.events.wire import CLASSES, KEYS

WIRE_CLASSES = sorted({*CLASSES.values(), *BUS_MESSAGES.values()}, key=lambda c: c.__name__)
ROUNDS = [
    ("link_status", "L2-LinkStatus", 1),
    ("poa_list", "L2-PoAList", 1),
    ("poa_found", "L2-PoAFound", 2),
    ("poa_lost", "L2-PoALost", 2),
    ("link_up", "L2-LinkUp", 2),
    ("link_down", "L2-LinkDown", 2),
    ("link_status_changed", "L2-LinkStatusChanged", 2),
    ("link_connect", "L2-LinkConnect", 3),
    ("link_disconnect", "L2-LinkDisconnect", 3),
]


def reached(cls: type[Any]) -> set[type[Any]]:
    """The class and every attrs class that its fields lead to."""
    found, todo = set(), [cls]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += [k for hint in get_type_hints(one).values() for k in leaves(hint) if attrs.has(k)]
    return found


def leaves(hint: Any) -> list[Any]:
    """The plain types in an annotation."""
    if get_origin(hint) in {Union, types.UnionType, tuple, dict}:
        return [leaf for part in get_args(hint) if part is not Ellipsis for leaf in leaves(part)]
    return [hint]


EVERY_CLASS = sorted(set().union(*map(reached, WIRE_CLASSES)), key=lambda c: c.__name__)


@pytest.mark.parametrize(("name", "rfc5184", "kind"), ROUNDS)
def test_rfc5184_primitives(name: str, rfc5184: str, kind: int) -> None:
    """The nine primitives of RFC 5184 section 4 have their names and types."""
    primitive = PRIMITIVES[name]
    assert primitive.rfc5184 == rfc5184
    assert primitive.kind is PrimitiveType(kind)
    stem = rfc5184.removeprefix("L2-")
    assert primitive.request.__name__ == f"{stem}Request"
    assert primitive.confirm.__name__ == f"{stem}Confirm"


def test_no_other_primitive_claims_the_rfc() -> None:
    """What RFC 5184 does not have names no RFC 5184 primitive."""
    assert {p.name for p in PRIMITIVES.values() if p.rfc5184} == {name for name, _, _ in ROUNDS}


def test_only_events_are_indicated() -> None:
    """Types 1 and 3 have no indication and no response; every event has an indication (section 3)."""
    for primitive in PRIMITIVES.values():
        assert bool(primitive.indications) is (primitive.kind is PrimitiveType.EVENT)
        if primitive.kind is not PrimitiveType.EVENT:
            assert primitive.response is None


def test_link_going_down_is_withdrawn_by_its_own_registration() -> None:
    """Whoever registers for link_going_down also hears of the withdrawal."""
    assert PRIMITIVE_OF_INDICATION["link_going_down_cancelled"] == "link_going_down"


def test_indications_of_rfc5184_events_are_named_alike() -> None:
    """An event of RFC 5184 and its indication have one name, and its class is the name without L2."""
    for name, rfc5184, kind in ROUNDS:
        if kind == 2:
            (indication,) = PRIMITIVES[name].indications.items()
            assert indication[0] == name
            assert indication[1].__name__ == rfc5184.removeprefix("L2-")


def test_every_indication_has_the_header_first() -> None:
    """The header of every indication is its first field: publisher, epoch, sequence, times, link."""
    for cls in INDICATION_CLASSES.values():
        assert get_type_hints(cls)["header"] is Header
        assert attrs.fields(cls)[0].name == "header"
    names = [field.name for field in attrs.fields(Header)]
    assert names == ["publisher", "epoch", "sequence", "mono_ns", "wall_ns", "link"]


def test_keys_are_one_to_one() -> None:
    """A class stands for one name in one class of primitives, so a tag picks one decoder."""
    assert len(KEYS) == len(CLASSES)
    assert {name for cls, name in CLASSES if cls is PrimitiveClass.INDICATION} == set(INDICATION_CLASSES)


def test_indication_name_is_for_indications_only() -> None:
    """Anything else than an indication or raw message has no name."""
    with pytest.raises(KeyError):
        indication_name("link_up")


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_wire_class_rules(cls: type[Any]) -> None:
    """No leading underscore, no init=False, no converter: msgspec would drop, overwrite or skip them."""
    for field in attrs.fields(cls):
        assert not field.name.startswith("_"), field.name
        assert field.init, field.name
        assert field.converter is None, field.name
        assert field.alias == field.name, field.name


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_wire_class_is_frozen(cls: type[Any]) -> None:
    """No field can be assigned, and instances are compared by value."""
    instance = object.__new__(cls)
    for field in attrs.fields(cls):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(instance, field.name, None)
    assert "__eq__" in vars(cls)
    assert "__hash__" in vars(cls)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_wire_class_fields_are_leaves(cls: type[Any]) -> None:
    """No field is typed as a base class, a list or Any: the leaf's extra fields would be lost."""
    plain = {str, int, float, bool, bytes, type(None)}
    for name, hint in get_type_hints(cls).items():
        for leaf in leaves(hint):
            if leaf in plain or issubclass(leaf, Enum):
                continue
            assert attrs.has(leaf), f"{name}: {leaf}"
            assert not [c for c in leaf.__subclasses__() if c.__dict__.get("__attrs_attrs__")], name


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_wire_class_says_what_it_is(cls: type[Any]) -> None:
    """Every class has a docstring of one sentence first."""
    first = (cls.__doc__ or "").partition("\n\n")[0]
    assert first.rstrip().endswith((".", ".)", ":")), first


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_numbers_name_their_unit(cls: type[Any]) -> None:
    """A field of type float ends in its unit, or is a confidence between 0 and 1."""
    units = ("_ms", "_s", "_dbm", "_db", "_mbps", "_mps", "_mhz", "confidence")
    for name, hint in get_type_hints(cls).items():
        if float in leaves(hint):
            assert name.endswith(units), name


def test_quality_is_ordered() -> None:
    """NONE < BAD < FAIR < GOOD < EXCELLENT (RFC 5184 section 6.2)."""
    order = [Quality.NONE, Quality.BAD, Quality.FAIR, Quality.GOOD, Quality.EXCELLENT]
    assert sorted(Quality) == order
    assert [q.rank for q in order] == [0, 1, 2, 3, 4]
    for low, high in itertools.pairwise(order):
        assert low < high
        assert low <= high
        assert high > low
        assert high >= low
        assert not low > high
        assert not low >= high
    assert Quality.BAD <= Quality.BAD
    assert Quality.BAD >= Quality.BAD


def test_technology_names_are_lower_case() -> None:
    """Technologies are told apart by lower-case words, as tags and files have them."""
    for technology in Technology:
        assert technology.value.isascii()
        assert technology.value.islower()
