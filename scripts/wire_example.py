"""What spec/wire-protocol.md shows of the code: a conversation octet by octet, messages, numbers.

test_wire_protocol.py lets a daemon answer the conversation, and compares it octet by octet.
"""

import inspect
import struct
from collections.abc import Iterator
from typing import Any

import attrs

from lies.bus import BusServer, LinkState, Snapshot
from lies.bus._delivery import MAX_REGISTRATIONS
from lies.bus._handler import MAX_FROM_DAEMON, SILENCE_S
from lies.bus._parties import MAX_NAME
from lies.bus._route import HELLO_AGAIN_S
from lies.bus.core import HISTORY
from lies.bus.frames import (
    DELIVERY,
    MAX_FRAMES,
    Event,
    bus_frames,
    delivery_frames,
    event_tag,
    primitive_frames,
)
from lies.bus.messages import BUS_MESSAGES, Goodbye, Heartbeat, Hello, Repair, Welcome
from lies.events import (
    PRIMITIVES,
    Header,
    Link,
    LinkConnectConfirm,
    LinkConnectRequest,
    LinkUp,
    LinkUpConfirm,
    LinkUpRequest,
    Result,
    Technology,
)
from lies.events.wire import MAX_BODY, VERSION

NAME, PROTOCOL, DRIVER = "mn", "ipv6", "car"
DAEMON_EPOCH, DRIVER_EPOCH = 1_795_000_000_000_000_000, 1_795_000_000_500_000_000
LINK = Link("wlan0", Technology.WIFI)
STATE = LinkState(LINK, DRIVER, controllable=True)
UP = LinkUp(Header(DRIVER, DRIVER_EPOCH, 1, 73_000_000_000, 1_795_000_003_000_000_000, LINK), "ap1")
HEARTBEAT_MS = 250
CONSUMER, DAEMON = "consumer -> daemon", "daemon -> consumer"
_WIDTH = 16  # octets a line
_COLUMN = 10 + 3 * _WIDTH  # where the meaning begins

Frames = list[bytes]


def conversation() -> list[tuple[str, str, Frames]]:
    """(who, what it is, frames) of a session: hello, a registration, an event, its repair, an action."""

    def asked(request: object) -> Frames:
        return primitive_frames(request, layer="L2", protocol="*")

    def confirmed(confirm: object) -> Frames:
        return primitive_frames(confirm, layer="L3", protocol=PROTOCOL)

    unknown = "unknown_link: no link is named 'eth9'; known: wlan0"
    tag = event_tag("link_up", layer="L3", protocol=PROTOCOL)
    return [
        (CONSUMER, "Hello", bus_frames(Hello(NAME, PROTOCOL))),
        (DAEMON, "Welcome", bus_frames(Welcome(DAEMON_EPOCH, HEARTBEAT_MS))),
        (CONSUMER, "LinkUpRequest: a registration", asked(LinkUpRequest(1, "wlan0"))),
        (DAEMON, "LinkUpConfirm: it is number 1", confirmed(LinkUpConfirm(1, "wlan0", Result.ACK, 1))),
        (DAEMON, "Snapshot: how the link is now", bus_frames(Snapshot((STATE,), registration=1))),
        (DAEMON, "LinkUp, delivered for registration 1", delivery_frames(tag, Event(UP), 1, 1)),
        (DAEMON, "Heartbeat: the last number sent", bus_frames(Heartbeat(DAEMON_EPOCH, {1: 1}))),
        (CONSUMER, "Heartbeat: the last number received", bus_frames(Heartbeat(DAEMON_EPOCH, {1: 1}))),
        (CONSUMER, "Repair: number 1 once more", bus_frames(Repair(1, 1, 1))),
        (DAEMON, "LinkUp again", delivery_frames(tag, Event(UP), 1, 1)),
        (CONSUMER, "LinkConnectRequest", asked(LinkConnectRequest(2, "wlan0", "ap2"))),
        (DAEMON, "LinkConnectConfirm", confirmed(LinkConnectConfirm(2, "wlan0", Result.ACK))),
        (CONSUMER, "LinkConnectRequest for no link", asked(LinkConnectRequest(3, "eth9", "ap2"))),
        (
            DAEMON,
            "LinkConnectConfirm(Error)",
            confirmed(LinkConnectConfirm(3, "eth9", Result.ERROR, unknown)),
        ),
        (CONSUMER, "Goodbye", bus_frames(Goodbye("the consumer ends"))),
    ]


# ---- octets


def dump() -> str:
    """The conversation in hexadecimal, with the meaning of every octet."""
    return "\n".join(line for part in conversation() for line in _message(*part)).rstrip()


def parse(text: str) -> list[tuple[str, Frames]]:
    """(who, frames) of each message in what `dump` makes."""
    messages: list[tuple[str, Frames]] = []
    for line in text.splitlines():
        if line.startswith((CONSUMER, DAEMON)):
            messages.append((line.partition(":")[0], []))
        elif line.strip():
            frames = messages[-1][1]
            if line.startswith("frame"):
                frames.append(b"")
            frames[-1] += bytes.fromhex(line[10:_COLUMN])
    return messages


def _message(who: str, what: str, frames: Frames) -> Iterator[str]:
    yield f"{who}: {what}"
    for number, frame in enumerate(frames, 1):
        lead = f"frame {number}"
        for octets, meaning in _meanings(number, frame):
            for i in range(0, len(octets), _WIDTH):
                shown = octets[i : i + _WIDTH].hex(" ")
                yield f"{lead:<10}{shown:<{_COLUMN - 10}}{'' if i else meaning}".rstrip()
                lead = ""
    yield ""


def _meanings(number: int, frame: bytes) -> Iterator[tuple[bytes, str]]:
    if number <= 2:
        yield frame, f'"{frame.decode()}"'
    elif number == 3:
        yield from _Body(frame).parts(0)
    else:
        registration, sequence = DELIVERY.unpack(frame)
        yield frame[:4], f"registration {registration}"
        yield frame[4:], f"sequence {sequence}"


class _Body:
    """Walks through msgpack, value by value; independent of the encoder."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def parts(self, depth: int) -> Iterator[tuple[bytes, str]]:
        """(octets, meaning) of the next value and what is in it."""
        code = self._octets[self._at]
        indent = "  " * depth
        if code & 0xF0 in {0x80, 0x90}:
            count, is_map = code & 0x0F, code & 0xF0 == 0x80
            yield self._take(1), f"{indent}{'map' if is_map else 'array'} of {count}"
            for _ in range(count):
                if is_map:
                    yield from self.parts(depth + 1)
                yield from self.parts(depth + 2 if is_map else depth + 1)
            return
        size, meaning = self._scalar(code)
        yield self._take(size), indent + meaning

    def _scalar(self, code: int) -> tuple[int, str]:
        """(octets, meaning) of a value that holds no other."""
        at = self._at + 1
        constants = {0xC0: "nil", 0xC2: "false", 0xC3: "true"}
        numbers = {0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b"}
        if code in constants:
            return 1, constants[code]
        if code < 0x80:
            return 1, str(code)
        if code & 0xE0 == 0xA0 or code == 0xD9:
            head, length = (1, code & 0x1F) if code != 0xD9 else (2, self._octets[at])
            text = self._octets[self._at + head : self._at + head + length].decode()
            return head + length, f'"{text}"'
        shape = struct.Struct(numbers[code])
        return 1 + shape.size, str(shape.unpack_from(self._octets, at)[0])

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._octets[self._at - size : self._at]


# ---- tables

_FROM = {  # who sends a message of the bus itself: consumer, daemon, driver
    "hello": "consumer, driver",
    "welcome": "daemon",
    "refused": "daemon",
    "heartbeat": "all",
    "gap": "daemon",
    "repair": "consumer",
    "batch": "daemon",
    "goodbye": "all",
    "publish_link": "driver",
    "remove_link": "driver",
    "publish": "driver",
    "action": "daemon",
    "raw_wanted": "daemon",
    "levels_wanted": "daemon",
}


def bus_table() -> str:
    """The messages of the layer BUS: tag, who sends it, fields, what it says."""
    rows = [["tag", "from", "fields", "what it says"]]
    for (cls, name), of in BUS_MESSAGES.items():
        sender = _FROM.get(name) or ("consumer" if cls.value == "request" else "daemon")
        said = " ".join(inspect.cleandoc(of.__doc__ or "").split())
        rows.append([f"`BUS:lies:{cls.value}:{name}`", sender, _fields(of), said])
    return _markdown(rows)


def request_table() -> str:
    """Every request with its fields, and those of its confirm."""
    rows = [["request and confirm", "fields of the request", "fields of the confirm"]]
    rows += [[f"`{p.name}`", _fields(p.request), _fields(p.confirm)] for p in PRIMITIVES.values()]
    return _markdown(rows)


def number_table() -> str:
    """Limits and times, from the code that keeps them."""
    defaults = {n: p.default for n, p in inspect.signature(BusServer.__init__).parameters.items()}
    rows = [
        ["number", "value"],
        ["version, the first frame", f"`{VERSION.decode()}`"],
        ["octets of a body, towards the daemon", f"{MAX_BODY}"],
        ["octets of a body, from the daemon (a Snapshot of many links)", f"{MAX_FROM_DAEMON}"],
        ["frames of a message", f"3 to {MAX_FRAMES}"],
        ["octets of a tag", "255"],
        ["characters of a name", f"1 to {MAX_NAME}, printable ASCII without `:`, `*` and space"],
        ["registrations of one consumer", f"{MAX_REGISTRATIONS}"],
        ["indications kept for repair, of each registration", f"{HISTORY}"],
        ["messages that wait for one consumer before some are lost", f"{defaults['queue_limit']}"],
        ["interval of heartbeats (`heartbeat_s`; Welcome tells)", f"{defaults['heartbeat_s']:g} s"],
        ["silence after which the daemon forgets a consumer", f"{defaults['consumer_timeout_s']:g} s"],
        ["silence after which the daemon takes a driver for lost", f"{defaults['driver_timeout_s']:g} s"],
        ["silence after which our clients take the daemon for gone", f"{SILENCE_S:g} s"],
        ["pause of our clients before an unanswered Hello is said again", f"{HELLO_AGAIN_S:g} s"],
    ]
    return _markdown(rows)


def _fields(cls: type[Any]) -> str:
    """The names of a class's fields; those that may be left out with a question mark."""
    return ", ".join(
        f"`{f.name}`" + ("?" if f.default is not attrs.NOTHING else "") for f in attrs.fields(cls)
    )


def _markdown(rows: list[list[str]]) -> str:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *rest])


def with_example(text: str) -> str:
    """The page with what stands between `<!-- NAME -->` and `<!-- end -->` made anew."""
    made = {
        "numbers": number_table(),
        "bus": bus_table(),
        "requests": request_table(),
        "octets": f"```text\n{dump()}\n```",
    }
    for name, new in made.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        text = f"{before}{mark}{new}\n{end}{after}"
    return text


if __name__ == "__main__":
    print(dump())
