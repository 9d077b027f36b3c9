"""Bytes on the wire: msgpack bodies, and the tag that says which class a body is.

A message is a list of ZeroMQ frames: VERSION, tag, body, and for deliveries a fourth frame (see
lies.bus.frames). The tag holds the four leading fields of a primitive (RFC 5184 section 3):
`LAYER:PROTOCOL:CLASS:NAME`, e.g. `L2:wifi:request:link_up`; the body holds its parameters.
"""

from typing import Any

import msgspec
from attrs import frozen

from lies.errors import MalformedMessage
from lies.events._table import PRIMITIVES, PrimitiveClass

VERSION = b"LIES1"
MAX_BODY = 1 << 20  # octets; a PoA list of thousands fits, a 100 MB frame does not


@frozen
class Tag:
    """Protocol layer ID, protocol ID, class and name of a primitive (RFC 5184 section 3)."""

    layer: str
    protocol: str
    cls: PrimitiveClass
    name: str

    def encode(self) -> bytes:
        """`LAYER:PROTOCOL:CLASS:NAME` in ASCII."""
        return f"{self.layer}:{self.protocol}:{self.cls.value}:{self.name}".encode("ascii")


def _classes() -> dict[tuple[PrimitiveClass, str], type[Any]]:
    table: dict[tuple[PrimitiveClass, str], type[Any]] = {}
    for p in PRIMITIVES.values():
        table[PrimitiveClass.REQUEST, p.name] = p.request
        table[PrimitiveClass.CONFIRM, p.name] = p.confirm
        if p.response is not None:
            table[PrimitiveClass.RESPONSE, p.name] = p.response
        for name, cls in p.indications.items():
            table[PrimitiveClass.INDICATION, name] = cls
    return table


CLASSES: dict[tuple[PrimitiveClass, str], type[Any]] = _classes()
KEYS: dict[type[Any], tuple[PrimitiveClass, str]] = {c: k for k, c in CLASSES.items()}
_decoders: dict[type[Any], msgspec.msgpack.Decoder[Any]] = {}
_encoder = msgspec.msgpack.Encoder()


def decode_tag(data: bytes) -> Tag:
    """The tag in `data`; MalformedMessage if it is none."""
    if len(data) > 255:
        raise MalformedMessage("a tag of more than 255 octets")
    try:
        layer, protocol, cls, name = data.decode("ascii").split(":")
        return Tag(layer, protocol, PrimitiveClass(cls), name)
    except ValueError as error:
        raise MalformedMessage(f"not a tag: {data[:40]!r}") from error


def decoder_of(cls: type[Any]) -> "msgspec.msgpack.Decoder[Any]":
    """The decoder of a wire class, made when it is first needed: making all of them takes a while."""
    decoder = _decoders.get(cls)
    if decoder is None:
        decoder = _decoders[cls] = msgspec.msgpack.Decoder(cls)
    return decoder


def encode_body(message: object) -> bytes:
    """The msgpack body of any wire class."""
    return _encoder.encode(message)


def decode_body(tag: Tag, data: bytes) -> Any:  # noqa: ANN401 - the tag picks the class
    """The message that `tag` names; MalformedMessage if the body is too long or not that class."""
    if len(data) > MAX_BODY:
        raise MalformedMessage(f"a body of {len(data)} octets; {MAX_BODY} are allowed")
    cls = CLASSES.get((tag.cls, tag.name))
    if cls is None:
        raise MalformedMessage(f"unknown primitive {tag.cls.value} {tag.name[:40]!r}")
    try:
        return decoder_of(cls).decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"{tag.cls.value} {tag.name}: {error}") from error


def tag_of(message: object, *, layer: str, protocol: str) -> Tag:
    """The tag of a message; KeyError if it is no wire class."""
    cls, name = KEYS[type(message)]
    return Tag(layer, protocol, cls, name)
