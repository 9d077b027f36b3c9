"""Recordings as pcapng: each record is a comment on a packet of no octets, beside the packets of a capture.

Formats: draft-ietf-opsawg-pcapng, sections 4.1 (Section Header), 4.2 (Interface Description), 4.3 (Enhanced
Packet), 3.5 (options). The packets stand on an interface of their own, named `lies`.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import msgspec
from attrs import define, frozen

from lies.errors import MalformedMessage, TraceFormatError
from lies.trace._lines import record_of
from lies.trace._record import TORN, Record

SHB_MAGIC = b"\x0a\x0d\x0d\x0a"
SHB, IDB, EPB, ISB, SPB, OPB = 0x0A0D0D0A, 1, 6, 5, 3, 2  # OPB: the obsolete Packet Block
BYTE_ORDER = 0x1A2B3C4D
OPT_END, OPT_COMMENT, SHB_USERAPPL, IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_TSOFFSET = 0, 1, 4, 2, 3, 9, 14
LINKTYPE_USER0 = 147  # private use: no dissector is asked about a packet of no octets
NAME = b"lies"
MAX_BLOCK = 1 << 26  # octets
MAX_COMMENT = 60_000  # octets; an option's length has 16 bits
_PIECE = re.compile(r"\[(\d+)/(\d+)\] ")


@frozen
class Block:
    """One block; order: "<" or ">", of its section; body: without type and lengths."""

    order: str
    type: int
    body: bytes

    def encode(self) -> bytes:
        """The block as it stands in a file."""
        size = struct.pack(self.order + "I", len(self.body) + 12)
        return struct.pack(self.order + "I", self.type) + size + self.body + size


@define
class Interface:
    """How the times of an interface's packets are to be read."""

    name: bytes
    per_second: int = 10**6
    offset_s: int = 0

    def wall_ns(self, high: int, low: int) -> int:
        """A packet's Unix time in ns."""
        return self.offset_s * 10**9 + (high << 32 | low) * 10**9 // self.per_second


class Torn(Exception):
    """The file ends inside a block; args: how many octets of it there are."""


def blocks(file: BinaryIO, path: Path) -> Iterator[Block]:
    """The blocks of a capture; Torn at the end of one that is cut; TraceFormatError for what is none."""
    order = "<"
    number = 0
    while head := file.read(8):
        number += 1
        if len(head) < 8:
            raise Torn(len(head))
        begin = b""
        if head[:4] == SHB_MAGIC:
            begin = file.read(4)
            if len(begin) < 4:
                raise Torn(len(head) + len(begin))
            order = "<" if begin == struct.pack("<I", BYTE_ORDER) else ">"
            if begin != struct.pack(order + "I", BYTE_ORDER):
                raise TraceFormatError("is not a pcapng capture", file=str(path), record=number)
        elif number == 1:
            raise TraceFormatError("is not a pcapng capture", file=str(path), record=number)
        kind, size = struct.unpack(order + "II", head)
        if size % 4 or not 12 + len(begin) <= size <= MAX_BLOCK:
            raise TraceFormatError(f"a block of {size} octets", file=str(path), record=number)
        rest = file.read(size - 8 - len(begin))
        if len(rest) < size - 8 - len(begin):
            raise Torn(len(head) + len(begin) + len(rest))
        if rest[-4:] != head[4:]:
            raise TraceFormatError("a block whose two lengths differ", file=str(path), record=number)
        yield Block(order, kind, begin + rest[:-4])


def options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    """(code, value) of a block's options; what is cut short is left out."""
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        if code == OPT_END or at + 4 + size > len(data):
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4


def option_bytes(order: str, given: Iterable[tuple[int, bytes]]) -> bytes:
    """A block's options, with the end."""
    parts = [struct.pack(order + "HH", code, len(value)) + _padded(value) for code, value in given]
    return b"".join((*parts, struct.pack(order + "HH", OPT_END, 0)))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def interface_of(block: Block) -> Interface:
    """What an Interface Description Block says."""
    found = Interface(b"")
    for code, value in options(block.order, block.body[8:]):
        if code == IF_NAME:
            found.name = value
        elif code == IF_TSRESOL and value:
            exponent = min(value[0] & 0x7F, 40)
            found.per_second = 2**exponent if value[0] & 0x80 else 10**exponent
        elif code == IF_TSOFFSET and len(value) == 8:
            (found.offset_s,) = struct.unpack(block.order + "q", value)
    return found


def section_block() -> Block:
    """The Section Header Block of a file of our own."""
    body = struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)
    return Block("<", SHB, body + option_bytes("<", [(SHB_USERAPPL, f"lies {version('lies')}".encode())]))


def interface_block(order: str) -> Block:
    """The interface of our comments; its times are in ns."""
    given = [(IF_NAME, NAME), (IF_DESCRIPTION, b"events of the LIES bus"), (IF_TSRESOL, b"\x09")]
    return Block(order, IDB, struct.pack(order + "HHI", LINKTYPE_USER0, 0, 0) + option_bytes(order, given))


def comment_block(order: str, interface: int, wall_ns: int, text: bytes) -> Block:
    """A packet of no octets with a comment; a long one in pieces, each led by [n/of]."""
    stamp = min(max(wall_ns, 0), 2**64 - 1)
    head = struct.pack(order + "IIIII", interface, stamp >> 32, stamp & 0xFFFFFFFF, 0, 0)
    return Block(order, EPB, head + option_bytes(order, [(OPT_COMMENT, p) for p in _pieces(text)]))


def _pieces(text: bytes) -> list[bytes]:
    if len(text) <= MAX_COMMENT:
        return [text]
    cuts = [0]
    while len(text) - cuts[-1] > MAX_COMMENT:
        at = cuts[-1] + MAX_COMMENT
        while text[at] & 0xC0 == 0x80:  # not inside a character
            at -= 1
        cuts.append(at)
    parts = (text[a:b] for a, b in pairwise((*cuts, len(text))))
    return [b"[%d/%d] " % (n, len(cuts)) + part for n, part in enumerate(parts, 1)]


def _joined(comments: Iterable[bytes]) -> str | None:
    """The record's line in a packet's comments; None if there is none. Other comments may stand beside it."""
    whole = ""
    for comment in comments:
        text = comment.decode("utf-8", "replace")
        piece = _PIECE.match(text)
        if piece is not None:
            whole += text[piece.end() :]
        elif text.startswith("{") and not whole:
            return text
    return whole or None


def read_pcapng(path: Path) -> Iterator[Record]:
    """The records in the comments of a capture; TraceFormatError if there is none, or a bad one."""
    number = 0
    try:
        with path.open("rb") as file:
            for line in _comments(file, path):
                number += 1
                try:
                    yield record_of(line, number)
                except (msgspec.DecodeError, MalformedMessage, RecursionError) as error:
                    raise TraceFormatError(str(error), file=str(path), record=number) from error
    except Torn as torn:
        if number:
            yield Record(number + 1, TORN, {"octets": torn.args[0]})
    except OSError as error:
        raise TraceFormatError(f"cannot be read: {error.strerror or error}", file=str(path)) from error
    if not number:
        raise TraceFormatError("is a capture without events of LIES", file=str(path))


def _comments(file: BinaryIO, path: Path) -> Iterator[str]:
    names: list[bytes] = []
    for block in blocks(file, path):
        if block.type == SHB:
            names.clear()
        elif block.type == IDB:
            names.append(interface_of(block).name)
        elif block.type == EPB and len(block.body) >= 20:
            interface, _, _, captured, _ = struct.unpack_from(block.order + "5I", block.body)
            if interface < len(names) and names[interface] == NAME:
                given = options(block.order, block.body[20 + captured + -captured % 4 :])
                line = _joined(value for code, value in given if code == OPT_COMMENT)
                if line is not None:
                    yield line
