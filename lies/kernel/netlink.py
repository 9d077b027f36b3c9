"""A route netlink socket that executes finished messages.

Messages are compiled beforehand (lies.kernel.messages) and sent as they are: many in one system call, each
acknowledged by the kernel, so that nothing is built while packets wait.
"""

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence

from lies.errors import LiesError

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id (linux/netlink.h)
_SEQUENCE = struct.Struct("=I")
_FLAGS_AT, _SEQUENCE_AT = 6, 8  # in a header
_NLM_F_ACK = 4
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_SOL_NETLINK = 270
_NETLINK_EXT_ACK = 11
_NETLINK_CAP_ACK = 10
_NLMSGERR_ATTR_MSG = 1
_RECEIVE_OCTETS = 1 << 16  # the kernel fills at most 32 KiB at once


class KernelError(LiesError, OSError):
    """The kernel refused a message; errno and the kernel's own words."""

    def __init__(self, number: int, what: str, detail: str) -> None:
        text = os.strerror(number)
        LiesError.__init__(self, f"the kernel refused {what}: {detail or text}")
        self.errno = number
        self.exit_code = 5 if number in {errno.EPERM, errno.EACCES} else 1


class Netlink:
    """One netlink socket in the network namespace that the thread is in when it is made.

    family: NETLINK_ROUTE for lies.kernel.messages, NETLINK_XFRM for lies.kernel.xfrm.
    """

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._family = family
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((0, 0))
        self._sequence = 0
        self._posted: dict[int, tuple[bytes, Collection[int]]] = {}  # since the last answer, by number
        self._untold: KernelError | None = None  # of what was posted
        self._buffer = bytearray(_RECEIVE_OCTETS)  # made once: a new one for each answer is mapped anew

    def close(self) -> None:
        """Close the socket."""
        self._posted.clear()
        self._socket.close()

    def post(self, messages: Sequence[bytes], *, ignore: Collection[int] = ()) -> None:
        """Send finished messages in one call; they have been carried out when this returns.

        What the kernel refused is told by `confirm`, so that nobody waits for that now.
        """
        parts = bytearray()
        for message in messages:
            at = len(parts)
            self._sequence += 1
            parts += message
            _SEQUENCE.pack_into(parts, at + _SEQUENCE_AT, self._sequence)
            parts[at + _FLAGS_AT] &= ~_NLM_F_ACK
            self._posted[self._sequence] = message, ignore
        self._socket.send(parts)

    def confirm(self) -> None:
        """KernelError if the kernel refused what was posted."""
        while self._posted:
            try:
                answers = self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:  # refusals come at once
                self._posted.clear()
                break
            for kind, sequence, body in answers:
                if kind == _NLMSG_ERROR:
                    self._note(sequence, body)
        untold, self._untold = self._untold, None
        if untold is not None:
            raise untold

    def execute(self, messages: Sequence[bytes], *, ignore: Collection[int] = ()) -> None:
        """Send finished messages in one call and read the kernel's answers.

        All are carried out, in order, also after one was refused; then KernelError is raised for the
        first refusal whose errno is not in `ignore`.
        """
        if not messages:
            return
        first = self._sequence + 1
        parts = bytearray()
        at = 0
        for message in messages:
            at = len(parts)
            self._sequence += 1
            parts += message
            _SEQUENCE.pack_into(parts, at + _SEQUENCE_AT, self._sequence)
            parts[at + _FLAGS_AT] &= ~_NLM_F_ACK  # refused ones are told anyway, and the last one comes last
        parts[at + _FLAGS_AT] |= _NLM_F_ACK
        self._socket.send(parts)
        refusal: KernelError | None = None
        sequence = 0
        while sequence != self._sequence:
            for kind, sequence, body in self._receive():
                if kind != _NLMSG_ERROR:
                    continue
                if sequence < first:
                    self._note(sequence, body)
                    continue
                code = -struct.unpack_from("=i", body)[0]
                if code and code not in ignore and refusal is None:
                    what = self._describe(messages[sequence - first])
                    refusal = KernelError(code, what, _extended(body))
        self._posted.clear()
        if refusal is not None:
            raise refusal

    def _note(self, sequence: int, body: bytes) -> None:
        """Keep the first refusal of what was posted, unless it was to be ignored."""
        message, ignore = self._posted.get(sequence, (b"", ()))
        code = -struct.unpack_from("=i", body)[0]
        if message and code and code not in ignore and self._untold is None:
            self._untold = KernelError(code, self._describe(message), _extended(body))

    def dump(self, message: bytes) -> Iterator[tuple[int, bytes]]:
        """Send a dump request; yields (type, body) of each answer."""
        self._sequence += 1
        sequence = self._sequence
        self._socket.send(message[:8] + struct.pack("=I", sequence) + message[12:])
        while True:
            for kind, answered, body in self._receive():
                if answered != sequence:
                    if kind == _NLMSG_ERROR:
                        self._note(answered, body)
                    continue
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise KernelError(code, self._describe(message), _extended(body))
                    return
                yield kind, body

    def _describe(self, message: bytes) -> str:
        return _describe(message) if self._family == socket.NETLINK_ROUTE else "an IPsec message"

    def _receive(self, flags: int = 0) -> Iterable[tuple[int, int, bytes]]:
        data = self._buffer
        end = self._socket.recv_into(data, 0, flags)
        offset = 0
        found = []
        while offset + _HEADER.size <= end:
            length, kind, _flags, sequence, _port = _HEADER.unpack_from(data, offset)
            found.append((kind, sequence, bytes(data[offset + _HEADER.size : offset + length])))
            offset += (length + 3) & ~3
        return found


_NAMES = {
    16: "a new link",
    17: "removing a link",
    19: "a link's setting",
    20: "an address",
    21: "removing an address",
    24: "a route",
    25: "removing a route",
    28: "a neighbour entry",
    29: "removing a neighbour entry",
    32: "a rule",
    33: "removing a rule",
    72: "an address label",
    73: "removing an address label",
}


def _describe(message: bytes) -> str:
    kind = struct.unpack_from("=H", message, 4)[0]
    return _NAMES.get(kind, f"netlink message {kind}")


def _extended(body: bytes) -> str:
    """The kernel's own words (NLMSGERR_ATTR_MSG), behind the error code and the capped header."""
    offset = 4 + _HEADER.size
    while offset + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, offset)
        if length < 4:
            break
        if kind & 0x3FFF == _NLMSGERR_ATTR_MSG:
            return body[offset + 4 : offset + length].rstrip(b"\0").decode("utf-8", "replace")
        offset += (length + 3) & ~3
    return ""
