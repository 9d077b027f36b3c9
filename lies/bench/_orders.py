"""What the bench tells its processes, and what they answer: one JSON line each."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from attrs import frozen

from lies.errors import MalformedMessage

BURST = 50
PATIENCE_S = 30.0  # without any progress for so long, a sender or receiver gives up


class Style(StrEnum):
    """How a process waits for its socket."""

    BLOCKING = "blocking"
    ASYNCIO = "asyncio"


@frozen
class Turn:
    """A sender's place among `senders` that take turns: `events` of the first, as many of the second, ..."""

    events: int
    senders: int
    place: int


@frozen
class Send:
    """Send `count` indications, after one that opens the segment.

    slots: of the receivers on the board; every_ns: between two of them, 0 for as fast as it goes with at
    most `window` under way to the slowest receiver (0: no limit); burst: sent at most before the sender
    lets others on its loop run; turn: with every_ns, when it may send; endpoint: the floor's own.
    """

    count: int
    slots: tuple[int, ...]
    every_ns: int = 0
    window: int = 0
    burst: int = BURST
    turn: Turn | None = None
    style: Style = Style.BLOCKING
    endpoint: str = ""
    patience_s: float = PATIENCE_S


@frozen
class Sent:
    """How many were sent, when the first of them was, and whether the receivers stood still."""

    sent: int
    first_ns: int
    stalled: bool


@frozen
class Receive:
    """Receive `count` indications at each slot; where: the floor's endpoint or a runtime directory.

    keep: give back every latency.
    """

    count: int
    slots: tuple[int, ...]
    where: str = ""
    link: str = ""
    style: Style = Style.BLOCKING
    keep: bool = False
    patience_s: float = PATIENCE_S


@frozen
class Received:
    """What came, summed over all slots.

    received: how many of the segment's sequence numbers came, doubled: how many came again; gaps: how many
    the bus told; last_ns: when the last one came at the last slot.
    """

    received: int
    doubled: int
    gaps: int
    last_ns: int
    latencies_ns: tuple[int, ...] = ()


@frozen
class Ask:
    """Make `count` requests one after the other; kind: link_status or link_connect."""

    count: int
    kind: str
    where: str
    link: str = ""
    style: Style = Style.BLOCKING
    patience_s: float = PATIENCE_S


@frozen
class Asked:
    """How long each took from call to Confirm."""

    round_trips_ns: tuple[int, ...]


@frozen
class Confirm:
    """Answer requests at the floor's endpoint."""

    endpoint: str
    style: Style = Style.BLOCKING
    patience_s: float = PATIENCE_S


@frozen
class Ready:
    """What the order needs is there: sockets bound, registrations confirmed."""


@frozen
class Done:
    """Nothing to tell."""


@frozen
class Failed:
    """The order could not be followed; reason: one sentence."""

    reason: str


@frozen
class Feed:
    """Feed `samples` items to an abstract entity: of the traces in a folder, else of a made one."""

    samples: int
    traces: Path | None = None
    seed: int = 1


@frozen
class Fed:
    """How many were fed in each part and what they took of a processor; resident memory after each, in kB."""

    items: tuple[int, ...]
    cpu_s: tuple[float, ...]
    rss_kb: tuple[int, ...]
    indications: int


Order = Send | Receive | Ask | Confirm | Feed
Reply = Sent | Received | Asked | Fed | Ready | Done | Failed

_CLASSES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (Send, Receive, Ask, Confirm, Feed, Sent, Received, Asked, Fed, Ready, Done, Failed)
}


def encode(message: Order | Reply) -> bytes:
    """An order or reply as one line."""
    return msgspec.json.encode([type(message).__name__, message], enc_hook=str) + b"\n"


def decode(line: bytes) -> Any:  # noqa: ANN401 - an order or a reply, the reader knows which it expects
    """The order or reply in a line; MalformedMessage if it is none."""
    try:
        name, body = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
        return msgspec.json.decode(body, type=_CLASSES[name], dec_hook=lambda kind, text: kind(text))
    except (msgspec.DecodeError, KeyError) as error:
        raise MalformedMessage(f"no order of the bench: {line[:80]!r}") from error
