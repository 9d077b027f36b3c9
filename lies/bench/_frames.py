"""The frames of the floor: octet for octet those of a delivery of the bus, made without the bus."""

import struct
from typing import Any

import msgspec

from lies.bench._names import LINK_IN_DAEMON, POA
from lies.bench._orders import Ask
from lies.events import (
    Condition,
    DownReason,
    Header,
    Link,
    LinkConnectConfirm,
    LinkConnectRequest,
    LinkDown,
    LinkStatusConfirm,
    LinkStatusRequest,
    LinkUp,
    PrimitiveClass,
    Quality,
    Result,
    Technology,
)
from lies.events.wire import VERSION, Tag, encode_body
from lies.runtime import monotonic_ns, wall_ns

LINK = Link(LINK_IN_DAEMON, Technology.WIFI)
_PLACE = struct.Struct("!IQ")
_TAGS = {
    cls: Tag("L3", "ipv6", PrimitiveClass.INDICATION, name).encode()
    for cls, name in ((LinkUp, "link_up"), (LinkDown, "link_down"))
}
_DECODERS: dict[bytes, msgspec.msgpack.Decoder[LinkUp | LinkDown]] = {
    _TAGS[LinkUp]: msgspec.msgpack.Decoder(LinkUp),
    _TAGS[LinkDown]: msgspec.msgpack.Decoder(LinkDown),
}


class Deliveries:
    """LinkUp and LinkDown by turns, numbered, as a driver's abstract entity and the bus would make them."""

    def __init__(self, publisher: str = "bench") -> None:
        self._publisher = publisher
        self._epoch = wall_ns()
        self._offset_ns = self._epoch - monotonic_ns()
        self._sequence = 0

    def next(self) -> list[bytes]:
        """The frames of the next one, measured now."""
        self._sequence = sequence = self._sequence + 1
        now_ns = monotonic_ns()
        header = Header(self._publisher, self._epoch, sequence, now_ns, now_ns + self._offset_ns, LINK)
        up = sequence % 2 == 1
        message = LinkUp(header, POA) if up else LinkDown(header, POA, DownReason.SIGNAL_LOST)
        place = _PLACE.pack(1 + sequence % 2, (sequence + 1) // 2)
        return [VERSION, _TAGS[type(message)], encode_body(message), place]


def take_delivery(frames: list[bytes]) -> Header:
    """Decode what a receiver of a delivery must; its header."""
    message = _DECODERS[frames[1]].decode(frames[2])
    _PLACE.unpack(frames[3])
    return message.header


_REQUESTS: dict[str, tuple[bytes, bytes, type[Any], type[Any]]] = {
    name: (
        Tag("L2", "wifi", PrimitiveClass.REQUEST, name).encode(),
        Tag("L3", "ipv6", PrimitiveClass.CONFIRM, name).encode(),
        request,
        confirm,
    )
    for name, request, confirm in (
        ("link_status", LinkStatusRequest, LinkStatusConfirm),
        ("link_connect", LinkConnectRequest, LinkConnectConfirm),
    )
}
REQUEST_KINDS = tuple(_REQUESTS)
_REQUEST_DECODERS = {tag: msgspec.msgpack.Decoder(cls) for tag, _, cls, _ in _REQUESTS.values()}
_CONFIRM_DECODERS = {tag: msgspec.msgpack.Decoder(cls) for _, tag, _, cls in _REQUESTS.values()}


def request_frames(order: Ask, number: int) -> list[bytes]:
    """A request as a client sends it."""
    request: LinkStatusRequest | LinkConnectRequest
    if order.kind == "link_connect":
        request = LinkConnectRequest(number, LINK.name, POA)
    else:
        request = LinkStatusRequest(number, LINK.name)
    return [VERSION, _REQUESTS[order.kind][0], encode_body(request)]


def confirm_frames(frames: list[bytes]) -> list[bytes]:
    """The Confirm of a request, as a daemon with one link would answer it."""
    request = _REQUEST_DECODERS[frames[1]].decode(frames[2])
    confirm: LinkStatusConfirm | LinkConnectConfirm
    if isinstance(request, LinkConnectRequest):
        confirm = LinkConnectConfirm(request.request_id, request.link, Result.ACK)
        return [VERSION, _REQUESTS["link_connect"][1], encode_body(confirm)]
    condition = Condition(Quality.GOOD, 54.0)
    confirm = LinkStatusConfirm(request.request_id, Result.ACK, LINK, POA, condition)
    return [VERSION, _REQUESTS["link_status"][1], encode_body(confirm)]


def take_confirm(frames: list[bytes]) -> int:
    """Decode a Confirm; its request_id."""
    number: int = _CONFIRM_DECODERS[frames[1]].decode(frames[2]).request_id
    return number
