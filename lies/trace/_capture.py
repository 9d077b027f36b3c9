"""Writing a recording into a capture: its packets stay as they are, comments come between them."""

import struct
from collections.abc import Iterator
from pathlib import Path

from lies.errors import TraceFormatError
from lies.trace._append import AppendFile
from lies.trace._pcapng import (
    EPB,
    IDB,
    ISB,
    OPB,
    SHB,
    Block,
    Interface,
    Torn,
    blocks,
    comment_block,
    interface_block,
    interface_of,
    section_block,
)


class CaptureWriter:
    """Writes a pcapng file; packets: the capture to be copied into it, or None.

    Comments are put where their time is among the packets of the capture, whose own order is kept.
    """

    def __init__(self, path: Path, packets: Path | None) -> None:
        self.torn_octets = 0  # at the end of the capture
        self._source = iter((section_block(),)) if packets is None else self._blocks(packets)
        self._next = next(self._source, None)
        self._order = "<"
        self._interfaces: list[Interface] = []  # of the section, without ours
        self._ours: int | None = None  # our interface's number in the section
        if self._next is None:
            raise TraceFormatError("is empty", file=str(packets))
        self._file = AppendFile(path, overwrite=True)

    def comment(self, wall_ns: int, text: bytes) -> None:
        """Put a comment behind the packets up to its time."""
        while self._next is not None:
            if self._next.type not in {SHB, IDB}:
                self._open_interface()
                if self._time_ns(self._next) > wall_ns:
                    break
            self._copy()
        self._open_interface()
        assert self._ours is not None
        self._file.append(comment_block(self._order, self._ours, wall_ns, text).encode())

    def close(self) -> None:
        """Copy the packets that are left, and close the file."""
        while self._next is not None and not self._file.closed:
            self._copy()
        self._file.close()

    def _blocks(self, packets: Path) -> Iterator[Block]:
        try:
            with packets.open("rb") as file:
                yield from blocks(file, packets)
        except Torn as torn:
            self.torn_octets = torn.args[0]
        except OSError as error:
            raise TraceFormatError(f"cannot be read: {error.strerror or error}", file=str(packets)) from error

    def _open_interface(self) -> None:
        """Our interface comes behind those with which the section begins; later ones are counted up."""
        if self._ours is None:
            self._ours = len(self._interfaces)
            self._file.append(interface_block(self._order).encode())

    def _copy(self) -> None:
        block = self._next
        assert block is not None
        self._next = next(self._source, None)
        if block.type == SHB:
            self._order, self._ours = block.order, None
            self._interfaces.clear()
            # The section gets longer: its length is not known (-1).
            block = Block(block.order, SHB, block.body[:8] + b"\xff" * 8 + block.body[16:])
        elif block.type == IDB:
            self._interfaces.append(interface_of(block))
        elif block.type in {EPB, ISB} and len(block.body) >= 4:
            block = self._renumbered(block, "I")
        elif block.type == OPB and len(block.body) >= 2:
            block = self._renumbered(block, "H")
        self._file.append(block.encode())

    def _renumbered(self, block: Block, width: str) -> Block:
        (number,) = struct.unpack_from(block.order + width, block.body)
        if self._ours is None or number < self._ours:
            return block
        changed = struct.pack(block.order + width, number + 1)
        return Block(block.order, block.type, changed + block.body[len(changed) :])

    def _time_ns(self, block: Block) -> int:
        """When a packet was captured; what has no time is as old as can be."""
        if block.type == EPB and len(block.body) >= 12:
            number, high, low = struct.unpack_from(block.order + "III", block.body)
        elif block.type == OPB and len(block.body) >= 12:
            number, _, high, low = struct.unpack_from(block.order + "HHII", block.body)
        else:
            return -(2**64)
        return self._interfaces[number].wall_ns(high, low) if number < len(self._interfaces) else -(2**64)
