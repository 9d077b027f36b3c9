"""Messages compiled once and filled in later: what a handover needs at once is not built then.

Encoding a message with pyroute2 takes many times as long as filling in a template.
"""

import os
import random
import struct
from collections.abc import Callable, Iterator
from functools import wraps
from ipaddress import IPv6Address, IPv6Network
from typing import Any, ParamSpec

Value = IPv6Address | bytes | int
Kind = type[IPv6Address] | type[int] | int
P = ParamSpec("P")
_NUMBER = struct.Struct("=I")
_NUMBERS = range(1 << 24, 1 << 31)  # markers; also what is signed in a message holds them
_MANY_SHAPES = 1024
_SMALL = 256  # a number below is part of the shape: a flag, a protocol, a table with a place in the header


class Template:
    """A message whose addresses are left open.

    build(*values) compiles one with any addresses; kinds says what each is: IPv6Address, int for a number of
    32 bits, or the number of octets of a link-layer address. Calling the template with values gives the same
    octets as build would.
    Raises ValueError if a value does not stand in the message as it is.
    """

    def __init__(self, build: Callable[..., bytes], *kinds: Kind) -> None:
        markers = [_marker(kind) for kind in kinds]
        octets = build(*markers)
        places: list[tuple[int, int, int]] = []  # (offset, length, which value)
        for which, marker in enumerate(markers):
            found = _octets(marker)
            at = octets.find(found)
            if at < 0:
                raise ValueError(f"value {which} does not stand in the message as it is")
            while at >= 0:
                places.append((at, len(found), which))
                at = octets.find(found, at + len(found))
        self._parts: list[bytes] = []  # of the message, in order; those that are left open are empty
        self._open: list[tuple[int, int, int]] = []  # (which part, length, which value)
        end = 0
        for at, length, which in sorted(places):
            self._parts += [octets[end:at], b""]
            self._open.append((len(self._parts) - 1, length, which))
            end = at + length
        self._parts.append(octets[end:])

    def __call__(self, *values: Value) -> bytes:
        """The message with these values."""
        parts = self._parts.copy()
        for part, length, which in self._open:
            value = values[which]
            octets = value.packed if isinstance(value, IPv6Address) else _octets(value)
            if len(octets) != length:
                raise ValueError(f"value {which} has {len(octets)} octets, not {length}")
            parts[part] = octets
        return b"".join(parts)


def compiled_once(build: Callable[P, bytes]) -> Callable[P, bytes]:
    """Make a function that encodes a message encode each shape of it once.

    Calls that differ in IPv6 addresses, in networks of one address (/128), in octets or in numbers from 256
    on are of one shape: their values are put into the octets that the first such call gave.
    """
    shapes: dict[object, Template] = {}

    @wraps(build)
    def fill(*args: P.args, **kwargs: P.kwargs) -> bytes:
        values: list[Value] = []
        shape = (
            tuple([_shape(value, values) for value in args]),
            tuple(kwargs),
            tuple([_shape(value, values) for value in kwargs.values()]),
        )
        template = shapes.get(shape)
        if template is None:
            if len(shapes) >= _MANY_SHAPES:
                shapes.clear()
            template = shapes[shape] = _template_of(build, args, kwargs, values)
        return template(*values)

    return fill


def _template_of(
    build: Callable[..., bytes], args: tuple[Any, ...], kwargs: dict[str, Any], values: list[Value]
) -> Template:
    def rebuild(*markers: Value) -> bytes:
        rest = iter(markers)
        positional = [_with_marker(value, rest) for value in args]
        return build(*positional, **{name: _with_marker(value, rest) for name, value in kwargs.items()})

    return Template(rebuild, *(len(v) if isinstance(v, bytes) else type(v) for v in values))


def _shape(value: object, values: list[Value]) -> object:
    """What is left of a value when it is left open; those that are left open are added to `values`."""
    kind = type(value)
    if isinstance(value, IPv6Address):
        values.append(value)
        return kind
    if isinstance(value, IPv6Network) and value.prefixlen == value.max_prefixlen:
        values.append(value.network_address)
        return kind
    if isinstance(value, bytes):
        values.append(value)
        return kind, len(value)
    if kind is int and isinstance(value, int) and value >= _SMALL:
        values.append(value)
        return kind
    return value


def _with_marker(value: object, markers: Iterator[Value]) -> object:
    """The same value, or a marker where it is left open."""
    left_open: list[Value] = []
    _shape(value, left_open)
    if not left_open:
        return value
    marker = next(markers)
    return IPv6Network((marker, 128)) if isinstance(value, IPv6Network) else marker


def _marker(kind: Kind) -> Value:
    if not isinstance(kind, type):
        return os.urandom(kind)
    if kind is int:
        return random.choice(_NUMBERS)  # noqa: S311 - found again in octets, nothing secret
    return IPv6Address(b"\x20\x01" + os.urandom(14))


def _octets(value: Value) -> bytes:
    if isinstance(value, IPv6Address):
        return value.packed
    return value if isinstance(value, bytes) else _NUMBER.pack(value)
