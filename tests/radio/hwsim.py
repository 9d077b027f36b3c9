"""The generic netlink family MAC80211_HWSIM: frames of simulated radios, to whom carries them.

Numbers and layouts are those of drivers/net/wireless/mac80211_hwsim.h of Linux 6.1.
"""

import socket
import struct
from collections.abc import Iterator
from enum import IntEnum

_NETLINK_GENERIC = 16
_HEAD, _GENERIC = struct.Struct("=IHHII"), struct.Struct("=BBH")
_GENL_ID_CTRL, _GETFAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2
_NLMSG_ERROR, _REQUEST, _ACK = 2, 1, 4
_BUFFER_OCTETS = 4 << 20
_FRAME_OCTETS = 8192  # and more than a frame has
_NUMBER = struct.Struct("=I")
# each of one piece: in the machine the making of messages is most of what a frame costs
_HEARD = struct.Struct("=IHHIIBBH HH6s2x HHI HHi HH4s HH")
_SENT = struct.Struct("=IHHIIBBH HH6s2x HHI HHi HH8s HH")
_TYPE = 0x3FFF  # without the flags for nested and for byte order

TX_STAT_ACK = 4
NO_RATE = b"\xff\0"  # index -1, no try


class Cmd(IntEnum):
    """Commands."""

    REGISTER = 1
    FRAME = 2
    TX_INFO_FRAME = 3


class Attr(IntEnum):
    """Attributes."""

    ADDR_RECEIVER = 1
    ADDR_TRANSMITTER = 2
    FRAME = 3
    FLAGS = 4
    RX_RATE = 5
    SIGNAL = 6
    TX_INFO = 7
    COOKIE = 8
    FREQ = 19


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by their type."""
    found = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & _TYPE] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


class Hwsim:
    """A socket that every frame of the radios made in this network namespace goes through."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC
        )
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
            self._socket.bind((0, 0))
            self._family = 0
            name = attribute(_FAMILY_NAME, b"MAC80211_HWSIM\0")
            self._send(_GENL_ID_CTRL, _GETFAMILY, name)
            found = attributes(self._answer()[_GENERIC.size :])
            (self._family,) = struct.unpack("=H", found[_FAMILY_ID])
            self._send(self._family, Cmd.REGISTER, b"", _REQUEST | _ACK)
            self._answer()
        except BaseException:
            self._socket.close()
            raise
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let the kernel carry the frames itself again."""
        self._socket.close()

    def frames(self) -> Iterator[dict[int, bytes]]:
        """The frames that were sent and wait here; OSError (ENOBUFS) where some were lost."""
        while True:
            try:
                data = self._socket.recv(_FRAME_OCTETS)
            except BlockingIOError:
                return
            length, kind, _, _, _ = _HEAD.unpack_from(data)
            if kind == self._family and data[_HEAD.size] == Cmd.FRAME:
                yield attributes(data[_HEAD.size + _GENERIC.size : length])

    def deliver(self, receiver: bytes, frame: bytes, dbm: int, frequency: bytes) -> bytes:
        """A message that has a radio hear a frame; frequency: as its attribute came."""
        octets = _HEARD.size + len(frame)
        told = _HEARD.pack(
            *(octets, self._family, _REQUEST, 0, 0, Cmd.FRAME, 1, 0),
            *(10, Attr.ADDR_RECEIVER, receiver),
            *(8, Attr.RX_RATE, 0),
            *(8, Attr.SIGNAL, dbm),
            *(8, Attr.FREQ, frequency),
            *(4 + len(frame), Attr.FRAME),
        )
        return told + frame + bytes(-octets % 4)

    def sent(self, told: dict[int, bytes], acknowledged_dbm: int | None, tries: int) -> bytes:
        """A message to the sender, how it went: after so many tries at its first rate.

        acknowledged_dbm: at which level the answer came; None: it was not acknowledged.
        """
        (flags,) = _NUMBER.unpack(told[Attr.FLAGS])
        if acknowledged_dbm is None:
            flags, acknowledged_dbm = flags & ~TX_STAT_ACK, -100
        else:
            flags |= TX_STAT_ACK
        rates = told.get(Attr.TX_INFO, b"")
        used = rates[:1] + bytes((tries,)) + NO_RATE * (len(rates) // 2 - 1) if rates else b""
        return (
            _SENT.pack(
                *(_SENT.size + len(used), self._family, _REQUEST, 0, 0, Cmd.TX_INFO_FRAME, 1, 0),
                *(10, Attr.ADDR_TRANSMITTER, told[Attr.ADDR_TRANSMITTER]),
                *(8, Attr.FLAGS, flags),
                *(8, Attr.SIGNAL, acknowledged_dbm),
                *(12, Attr.COOKIE, told[Attr.COOKIE]),
                *(4 + len(used), Attr.TX_INFO),
            )
            + used
        )

    def tell(self, messages: bytes) -> None:
        """Send the kernel messages, one behind the other."""
        self._socket.send(messages)

    def _send(self, family: int, command: int, body: bytes, flags: int = _REQUEST) -> None:
        message = _GENERIC.pack(command, 1, 0) + body
        self._socket.send(_HEAD.pack(_HEAD.size + len(message), family, flags, 0, 0) + message)

    def _answer(self) -> bytes:
        """The body of the next message; OSError where it is a refusal."""
        data = self._socket.recv(65536)
        length, kind, _, _, _ = _HEAD.unpack_from(data)
        if kind == _NLMSG_ERROR:
            (number,) = struct.unpack_from("=i", data, _HEAD.size)
            if number:
                raise OSError(-number, "the kernel refused to give the frames of its simulated radios")
        return data[_HEAD.size : length]
