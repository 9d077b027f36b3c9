"""Hypothesis strategies for every class on the wire, built from their annotations."""

import types
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st

from lies.events import INDICATION_CLASSES, Link, Technology

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    type(None): st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation that occurs in a class on the wire."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if get_origin(kind) in {Union, types.UnionType}:
        return st.one_of([values(k) for k in get_args(kind)])
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(*(values(k) for k in get_args(kind)), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    assert attrs.has(kind), f"no strategy for {kind}"
    hints = get_type_hints(kind)
    return st.builds(kind, **{a.name: values(hints[a.name]) for a in attrs.fields(kind)})


LINKS = st.builds(Link, _TEXT, st.sampled_from(Technology))
EVENTS = st.one_of([values(cls) for cls in INDICATION_CLASSES.values()])
