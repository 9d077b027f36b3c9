"""The outer form of a `.lies` file: chunks with checksums, which survive a tear and damage around them.

A file is MAGIC and chunks. A chunk is a head of 24 octets, all numbers big-endian, and a payload:

    octets  0..3   MARK
            4      kind: 1 begins a segment, 2 goes on with it, 3 is the index
            5..7   0
            8..11  octets of the payload
           12..15  octets of the payload once it is unpacked
           16..19  records in it
           20..23  CRC-32 of the octets before and of the payload
"""

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import zstandard
from attrs import frozen

from lies.errors import TraceFormatError

MAGIC = b"\x93LIES\x01\r\n"  # no text file begins so, and a transfer as text breaks it
MARK = b"\xc1LiC"  # 0xc1 is used neither by msgpack nor by UTF-8
MAX_UNPACKED = 1 << 23  # octets
MAX_PACKED = MAX_UNPACKED + (1 << 16)  # what does not compress grows a little
MAX_CANDIDATES = 1 << 10  # marks without a whole chunk behind one damage
_HEAD = struct.Struct(">4sB3xIII")
_CRC = struct.Struct(">I")
_HEAD_SIZE = _HEAD.size + _CRC.size
_WINDOW = 1 << 16  # octets searched at a time
_SLICE = 512  # packed octets that unpack to at most 16 MiB (zstd: 128 KiB from 4 octets)


class Kind(IntEnum):
    """Kinds of chunks."""

    BEGIN = 1  # its payload begins a zstandard stream
    MORE = 2  # its payload is the next piece of it
    INDEX = 3


@frozen
class Chunk:
    """One whole chunk; offset: of its head in the file."""

    offset: int
    kind: Kind
    payload: bytes
    unpacked: int
    records: int

    @property
    def size(self) -> int:
        """Octets in the file."""
        return _HEAD_SIZE + len(self.payload)

    @property
    def end(self) -> int:
        """Where the next chunk begins."""
        return self.offset + self.size


@frozen
class Damage:
    """Octets that are no chunk; last: nothing readable comes after them."""

    offset: int
    octets: int
    last: bool


def chunk_bytes(kind: Kind, payload: bytes, unpacked: int, records: int) -> bytes:
    """A chunk as it stands in the file."""
    head = _HEAD.pack(MARK, kind, len(payload), unpacked, records)
    return head + _CRC.pack(zlib.crc32(payload, zlib.crc32(head))) + payload


def begins_with(path: Path, magic: bytes) -> bool:
    """Whether these are a file's first octets; TraceFormatError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise TraceFormatError(f"cannot be read: {error.strerror or error}", file=str(path)) from error


def is_chunked(path: Path) -> bool:
    """Whether a file begins as a `.lies` file does; TraceFormatError if it cannot be read."""
    return begins_with(path, MAGIC)


def walk(file: BinaryIO, offset: int = len(MAGIC)) -> Iterator[Chunk | Damage]:
    """The chunks from an offset on; between them, and at the end, what is none.

    OSError as the system raises it; TraceFormatError for a file that would keep a reader busy for ever.
    """
    while True:
        chunk = chunk_at(file, offset)
        if chunk is None:
            file.seek(0, 2)
            size = file.tell()
            if offset >= size:
                return
            chunk = _next_chunk(file, offset + 1)
            end = size if chunk is None else chunk.offset
            yield Damage(offset, end - offset, chunk is None)
            if chunk is None:
                return
        yield chunk
        offset = chunk.end


def chunk_at(file: BinaryIO, offset: int) -> Chunk | None:
    """The chunk at an offset; None if no whole one is there."""
    file.seek(offset)
    head = file.read(_HEAD_SIZE)
    if len(head) < _HEAD_SIZE:
        return None
    mark, kind, packed, unpacked, records = _HEAD.unpack_from(head)
    if mark != MARK or not Kind.BEGIN <= kind <= Kind.INDEX or packed > MAX_PACKED or unpacked > MAX_UNPACKED:
        return None
    payload = file.read(packed)
    (crc,) = _CRC.unpack_from(head, _HEAD.size)
    if len(payload) < packed or zlib.crc32(payload, zlib.crc32(head[: _HEAD.size])) != crc:
        return None
    return Chunk(offset, Kind(kind), payload, unpacked, records)


def _next_chunk(file: BinaryIO, offset: int) -> Chunk | None:
    """The first whole chunk that begins at an offset or later."""
    candidates = 0
    while True:
        file.seek(offset)
        window = file.read(_WINDOW)
        at = window.find(MARK)
        while at >= 0:
            chunk = chunk_at(file, offset + at)
            if chunk is not None:
                return chunk
            candidates += 1
            if candidates > MAX_CANDIDATES:
                raise TraceFormatError("is damaged beyond reading", file=str(file.name))
            at = window.find(MARK, at + 1)
        if len(window) < _WINDOW:
            return None
        offset += len(window) - len(MARK) + 1


class Unpacker:
    """The zstandard stream of one segment, piece by piece; never more memory than a chunk may have."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=MAX_UNPACKED).decompressobj()

    def unpack(self, chunk: Chunk) -> bytes | None:
        """The payload unpacked; None if it is not what its head says."""
        pieces: list[bytes] = []
        size = 0
        try:
            for at in range(0, len(chunk.payload), _SLICE):
                pieces.append(self._stream.decompress(chunk.payload[at : at + _SLICE]))
                size += len(pieces[-1])
                if size > chunk.unpacked:
                    return None
        except zstandard.ZstdError:
            return None
        return b"".join(pieces) if size == chunk.unpacked else None
