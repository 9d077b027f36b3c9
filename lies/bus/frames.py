"""Frames of the bus: messages to lists of octet strings and back.

Every message is [VERSION, tag, body]. A delivery has a fourth frame, the registration's number and the
sequence number of the indication in it (`!IQ`). A Publish has pairs (tag, body) behind it, one for each
indication or raw message. A Batch holds the frames of several deliveries. A body is encoded once for all
who get it.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import msgspec
from attrs import define

from lies.bus.messages import BUS_MESSAGES, Batch
from lies.errors import MalformedMessage
from lies.events import INDICATION_NAMES, PRIMITIVE_OF_INDICATION, PrimitiveClass
from lies.events.wire import CLASSES, KEYS, MAX_BODY, VERSION, Tag, decode_tag, decoder_of, encode_body

BUS_LAYER = "BUS"
BUS_PROTOCOL = "lies"
MAX_FRAMES = 259  # VERSION, tag, body and 128 pairs
DELIVERY = struct.Struct("!IQ")  # registration, sequence
_TAGS_KEPT = 512

_BUS_KEYS = {cls: key for key, cls in BUS_MESSAGES.items()}
_BUS_TAGS = {cls: Tag(BUS_LAYER, BUS_PROTOCOL, *key).encode() for cls, key in _BUS_KEYS.items()}
_tags: dict[tuple[str, str, type[Any]], bytes] = {}
_known_tags: dict[bytes, tuple[Tag, msgspec.msgpack.Decoder[Any]]] = {}


class UnknownVersion(MalformedMessage):
    """A message of a version that is not spoken here."""


class Event:
    """One indication, raw message or report on its way to many; its body is encoded at most once."""

    __slots__ = ("_body", "message", "name", "primitive")

    def __init__(self, message: Any, body: bytes | None = None) -> None:  # noqa: ANN401 - any indication
        self.message = message
        self.name = INDICATION_NAMES[type(message)]
        self.primitive = PRIMITIVE_OF_INDICATION[self.name]
        self._body = body

    @property
    def body(self) -> bytes:
        """The msgpack body."""
        if self._body is None:
            self._body = encode_body(self.message)
        return self._body


@define  # one for every message: setting the attributes of a frozen class takes three times as long
class Received:
    """A decoded message; place: registration and sequence of a delivery; events: behind a Publish."""

    tag: Tag
    message: Any
    place: tuple[int, int] | None = None
    events: tuple[Event, ...] = ()
    body: bytes = b""


def bus_frames(message: object) -> list[bytes]:
    """Frames of a message of the bus itself."""
    return [VERSION, _BUS_TAGS[type(message)], encode_body(message)]


def primitive_frames(message: object, *, layer: str, protocol: str) -> list[bytes]:
    """Frames of a request, confirm, response or report, addressed to a protocol entity."""
    return [VERSION, _tag(layer, protocol, type(message)), encode_body(message)]


def _tag(layer: str, protocol: str, cls: type[Any]) -> bytes:
    tag = _tags.get((layer, protocol, cls))
    if tag is None:
        tag = Tag(layer, protocol, *KEYS[cls]).encode()
        if len(_tags) < _TAGS_KEPT:  # as below
            _tags[layer, protocol, cls] = tag
    return tag


def event_tag(name: str, *, layer: str, protocol: str) -> bytes:
    """Tag of the indication `name`."""
    return Tag(layer, protocol, PrimitiveClass.INDICATION, name).encode()


def delivery_frames(tag: bytes, event: Event, registration: int, sequence: int) -> list[bytes]:
    """Frames of an indication for one registration."""
    return [VERSION, tag, event.body, DELIVERY.pack(registration, sequence)]


def batch_frames(deliveries: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Frames of a Batch of these deliveries, each as `delivery_frames` gives them."""
    return bus_frames(Batch(tuple([tuple(frames[1:]) for frames in deliveries])))


def publish_frames(message: object, events: Sequence[Event], *, protocol: str) -> list[bytes]:
    """Frames of a Publish and its events."""
    frames = bus_frames(message)
    for event in events:
        frames += (event_tag(event.name, layer="L3", protocol=protocol), event.body)
    return frames


def decode(frames: Sequence[bytes], *, max_body: int = MAX_BODY) -> Received:
    """The message in `frames`; UnknownVersion or MalformedMessage if it is none.

    max_body: longest body, in octets.
    """
    if not frames or frames[0] != VERSION:
        _refuse_version(frames[0][:16] if frames else b"")
    if not 3 <= len(frames) <= MAX_FRAMES:
        raise MalformedMessage(f"{len(frames)} frames; 3 to {MAX_FRAMES} are allowed")
    tag, message = _decode_pair(frames[1], frames[2], max_body)
    if len(frames) == 3:
        return Received(tag, message, body=frames[2])
    if tag.layer == BUS_LAYER:
        if tag.name != "publish" or len(frames) % 2 == 0:
            raise MalformedMessage(f"{len(frames)} frames for {tag.name}")
        return Received(tag, message, events=_decode_events(frames))
    if len(frames) != 4 or tag.cls is not PrimitiveClass.INDICATION or len(frames[3]) != DELIVERY.size:
        raise MalformedMessage(f"{len(frames)} frames for {tag.cls.value} {tag.name}")
    return Received(tag, message, DELIVERY.unpack(frames[3]), body=frames[2])


def decode_all(frames: Sequence[bytes], *, max_body: int = MAX_BODY) -> Sequence[Received]:
    """The messages in `frames`: one, or the deliveries of a Batch; raises what `decode` does."""
    received = decode(frames, max_body=max_body)
    if type(received.message) is not Batch:
        return (received,)
    return [_decode_delivery(delivery, max_body) for delivery in received.message.deliveries]


def _decode_delivery(frames: Sequence[bytes], max_body: int) -> Received:
    if len(frames) != 3 or len(frames[2]) != DELIVERY.size:
        raise MalformedMessage(f"{len(frames)} frames of a delivery in a batch")
    tag, message = _decode_pair(frames[0], frames[1], max_body)
    if tag.cls is not PrimitiveClass.INDICATION or tag.layer == BUS_LAYER:
        raise MalformedMessage(f"{tag.cls.value} {tag.name} in a batch")
    return Received(tag, message, DELIVERY.unpack(frames[2]), body=frames[1])


def request_id_in(frames: Sequence[bytes]) -> int | None:
    """The request_id of a request that is otherwise not understood, so that it can be answered."""
    if len(frames) < 3 or b":request:" not in frames[1][:255] or len(frames[2]) > MAX_BODY:
        return None
    try:
        number = msgspec.msgpack.decode(frames[2])["request_id"]
    except (msgspec.DecodeError, ValueError, RecursionError, TypeError, KeyError, IndexError):
        return None
    return number if type(number) is int and abs(number) < 1 << 63 else None


def _refuse_version(first: bytes) -> NoReturn:
    if first.startswith(b"LIES"):
        raise UnknownVersion(f"version {first!r} is not spoken here, {VERSION.decode()} is")
    raise MalformedMessage(f"no message of this bus: it begins with {first!r}")


def _decode_pair(tag_bytes: bytes, body: bytes, max_body: int = MAX_BODY) -> tuple[Tag, Any]:
    known = _known_tags.get(tag_bytes)
    if known is None:
        known = _learn(tag_bytes)
    tag, decoder = known
    if len(body) > max_body:
        raise MalformedMessage(f"a body of {len(body)} octets; {max_body} are allowed")
    try:
        return tag, decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"{tag.cls.value} {tag.name}: {error}") from error


def _learn(tag_bytes: bytes) -> tuple[Tag, msgspec.msgpack.Decoder[Any]]:
    tag = decode_tag(tag_bytes)
    table = BUS_MESSAGES if tag.layer == BUS_LAYER else CLASSES
    cls = table.get((tag.cls, tag.name))
    if cls is None:
        raise MalformedMessage(f"unknown {tag.layer[:8]!r} {tag.cls.value} {tag.name[:40]!r}")
    decoder = decoder_of(cls)
    if len(_known_tags) < _TAGS_KEPT:  # protocol names are the peer's choice: never keep all
        _known_tags[tag_bytes] = (tag, decoder)
    return tag, decoder


def _decode_events(frames: Sequence[bytes]) -> tuple[Event, ...]:
    events = []
    for i in range(3, len(frames), 2):
        tag, message = _decode_pair(frames[i], frames[i + 1])
        if tag.cls is not PrimitiveClass.INDICATION or tag.layer == BUS_LAYER:
            raise MalformedMessage(f"{tag.cls.value} {tag.name} behind a publish")
        events.append(Event(message, frames[i + 1]))
    return tuple(events)
