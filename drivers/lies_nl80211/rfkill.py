"""Radio switches: what /dev/rfkill tells (linux/rfkill.h)."""

import struct

from attrs import frozen

_EVENT = struct.Struct("=IBBBB")  # index, type, operation, soft, hard
_TYPE_WLAN = 1
_OP_DEL = 1


@frozen
class Switch:
    """One radio's switch; soft: blocked by a program, hard: by a switch of the machine."""

    number: int
    soft: bool
    hard: bool

    @property
    def blocked(self) -> bool:
        """Whether the radio is off."""
        return self.soft or self.hard


def read_switch(data: bytes) -> Switch | None:
    """The switch in one read; None if it is not Wi-Fi's, or gone."""
    if len(data) < _EVENT.size:
        return None
    number, kind, operation, soft, hard = _EVENT.unpack_from(data)
    if kind != _TYPE_WLAN or operation == _OP_DEL:
        return None
    return Switch(number, bool(soft), bool(hard))
