"""Which packets wake a consumer of signalling: a program of classic BPF over the IPv6 header.

The kernel runs it for each packet of an interface, data too; a process is woken only for what is meant for
it. Whatever is not sure by the first headers is let through, and judged by the consumer's decoder.
"""

import struct
from collections.abc import Iterable
from ipaddress import IPv6Address

from attrs import frozen

# linux/bpf_common.h
_LD_W, _LD_B, _LD_B_X, _LSH, _TAX, _JEQ, _RET = 0x20, 0x30, 0x50, 0x64, 0x07, 0x15, 0x06
_ANY = 0xFFFF_FFFF
_NEXT_HEADER, _DESTINATION, _PAYLOAD = 6, 24, 40
_MULTICAST = 0xFF
_ICMPV6, _MOBILITY = 58, 135
_EXTENSIONS = (43, 60)  # routing header, destination options
_TYPE_OF_MH = 2
_INSTRUCTION = struct.Struct("=HBBI")
_MOST = 65575  # octets of a packet
_MOST_JUMP = 255


@frozen
class Wanted:
    """What a consumer is to hear.

    mobility: types of Mobility Headers (RFC 6275 section 6.1), also behind one routing header or one of
    destination options, None for all; icmpv6: types of ICMPv6; addresses: own ones, besides multicast, None
    for whatever comes by.
    """

    mobility: frozenset[int] | None = None
    icmpv6: frozenset[int] = frozenset({133, 134, 136, 154})
    addresses: frozenset[IPv6Address] | None = None


EVERYTHING = Wanted()


def program(wanted: Wanted) -> bytes:
    """The filter as instructions of struct sock_filter; ValueError if it would be too long."""
    code = _Code()
    if wanted.addresses is not None:
        code.load(_DESTINATION)
        code.jump_if(_MULTICAST, "for us")
        for address in sorted(wanted.addresses):
            code.if_address(address, _DESTINATION, then="for us")
        code.refuse()
        code.label("for us")
    code.load(_NEXT_HEADER)
    code.jump_if(_MOBILITY, "mobility")
    for extension in _EXTENSIONS:
        code.jump_if(extension, "extension")
    code.jump_unless(_ICMPV6, "refused")
    code.load(_PAYLOAD)
    code.one_of(wanted.icmpv6)
    code.label("mobility")
    code.load(_PAYLOAD + _TYPE_OF_MH)
    code.one_of(wanted.mobility)
    code.label("extension")
    code.load(_PAYLOAD)
    code.jump_unless(_MOBILITY, "taken")
    code.load_behind(_PAYLOAD)
    code.one_of(wanted.mobility)
    code.label("refused")
    code.refuse()
    code.label("taken")
    code.take()
    return code.octets()


class _Code:
    """Instructions whose jumps go to labels that come later."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str | None, str | None, int]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._lines)

    def load(self, offset: int) -> None:
        self._lines.append((_LD_B, None, None, offset))

    def load_behind(self, offset: int) -> None:
        """The type of the Mobility Header behind the extension header at an offset (RFC 8200 section 4)."""
        self._lines += [
            (_LD_B, None, None, offset + 1),
            (_LSH, None, None, 3),
            (_TAX, None, None, 0),
            (_LD_B_X, None, None, offset + 8 + _TYPE_OF_MH),
        ]

    def jump_if(self, value: int, label: str) -> None:
        self._lines.append((_JEQ, label, None, value))

    def jump_unless(self, value: int, label: str) -> None:
        self._lines.append((_JEQ, None, label, value))

    def if_address(self, address: IPv6Address, offset: int, *, then: str) -> None:
        """On with `then` if the address stands there, else with what follows."""
        otherwise = f"not {address}"
        words = struct.unpack("!4I", address.packed)
        for number, word in enumerate(words):
            self._lines.append((_LD_W, None, None, offset + 4 * number))
            self._lines.append((_JEQ, then if number == len(words) - 1 else None, otherwise, word))
        self.label(otherwise)

    def one_of(self, values: Iterable[int] | None) -> None:
        """The end: take what has one of the values; whatever it is for None."""
        if values is None:
            self.take()
            return
        for value in sorted(values):
            self.jump_if(value, "taken")
        self.refuse()

    def refuse(self) -> None:
        self._lines.append((_RET, None, None, 0))

    def take(self) -> None:
        self._lines.append((_RET, None, None, _MOST))

    def octets(self) -> bytes:
        return b"".join(
            _INSTRUCTION.pack(code, self._distance(at, yes), self._distance(at, no), value & _ANY)
            for at, (code, yes, no, value) in enumerate(self._lines)
        )

    def _distance(self, at: int, label: str | None) -> int:
        if label is None:
            return 0
        distance = self._labels[label] - at - 1
        if not 0 <= distance <= _MOST_JUMP:
            raise ValueError("too many addresses or types for a packet filter")
        return distance
