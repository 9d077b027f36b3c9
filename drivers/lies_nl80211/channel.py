"""Netlink on the asyncio loop: questions with a time limit, and a listener that notices what was lost."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable

from attrs import define, field

from lies.errors import LiesError, TimedOut
from lies_nl80211 import uapi
from lies_nl80211.attributes import Frame, attributes, frames, message

LIMIT_S = 2.0  # for an answer; the kernel's own take milliseconds
_RECEIVE_OCTETS = 1 << 16  # the kernel fills at most 32 KiB at once; more is mapped anew each time
_AT_A_TIME = 16  # datagrams until others on the loop have their turn
_MSG = 1  # NLMSGERR_ATTR_MSG


class Refused(LiesError, OSError):
    """The kernel refused a request; errno, and its own words."""

    def __init__(self, number: int, detail: str) -> None:
        LiesError.__init__(self, detail or os.strerror(number))
        self.errno = number


@define
class _Open:
    """The question that waits; interrupted: its answer changed while it was given."""

    sequence: int
    take: Callable[[Frame], None]
    done: asyncio.Future[None]
    interrupted: bool = field(default=False)


class Channel:
    """One socket for questions, one at a time, in order."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._turn = asyncio.Lock()
        self._sequence = 0
        self._open: _Open | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(opened.fileno(), self._readable)

    def close(self) -> None:
        """Close the socket; who waits is told."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._fail(LiesError("closed"))

    async def ask(self, kind: int, flags: int, body: bytes, take: Callable[[Frame], None]) -> bool:
        """Send a request and give `take` each message of the answer.

        True if the answer is of one moment. Raises Refused, TimedOut, OSError.
        """
        async with self._turn:
            self._sequence += 1
            waiting = _Open(self._sequence, take, self._loop.create_future())
            self._open = waiting
            try:
                self._socket.send(
                    message(
                        kind, flags | uapi.NLM_F_REQUEST | uapi.NLM_F_ACK, body, sequence=waiting.sequence
                    )
                )
                async with asyncio.timeout(LIMIT_S):
                    await waiting.done
            except TimeoutError as error:
                raise TimedOut(f"the kernel did not answer within {LIMIT_S:g} s") from error
            finally:
                self._open = None
                waiting.done.cancel()
            return not waiting.interrupted

    def _readable(self) -> None:
        for _ in range(_AT_A_TIME):
            try:
                data = self._socket.recv(_RECEIVE_OCTETS)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(error)
                return
            if not data:
                return
            for frame in frames(data):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        waiting = self._open
        if waiting is None or frame.sequence != waiting.sequence or waiting.done.done():
            return
        if frame.flags & uapi.NLM_F_DUMP_INTR:
            waiting.interrupted = True
        if frame.kind in {uapi.NLMSG_ERROR, uapi.NLMSG_DONE}:
            code = -struct.unpack_from("=i", frame.body)[0] if len(frame.body) >= 4 else 0
            if code > 0:
                waiting.done.set_exception(Refused(code, _words(frame)))
            else:
                waiting.done.set_result(None)
            return
        waiting.take(frame)

    def _fail(self, error: Exception) -> None:
        if self._open is not None and not self._open.done.done():
            self._open.done.set_exception(error)


class Listener:
    """One socket for what is told unasked; lost: called when the kernel had to drop some of it."""

    def __init__(
        self,
        opened: socket.socket,
        told: Callable[[Frame], None],
        lost: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._socket = opened
        self._told = told
        self._lost = lost
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(opened.fileno(), self.drain)

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def drain(self, most: int = _AT_A_TIME) -> None:
        """Take what is there, of at most so many datagrams."""
        for _ in range(most):
            try:
                data = self._socket.recv(_RECEIVE_OCTETS)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._lost()
                    continue
                self._loop.remove_reader(self._socket.fileno())
                self._failed(error)
                return
            if not data:
                self._loop.remove_reader(self._socket.fileno())
                self._failed(ConnectionError("the kernel's socket was closed"))
                return
            for frame in frames(data):
                self._told(frame)


def _words(frame: Frame) -> str:
    """The kernel's own words, behind the error code and what it quotes of the request."""
    if frame.kind != uapi.NLMSG_ERROR or not frame.flags & uapi.NLM_F_ACK_TLVS or len(frame.body) < 20:
        return ""
    quoted = 16 if frame.flags & uapi.NLM_F_CAPPED else struct.unpack_from("=I", frame.body, 4)[0]
    for kind, value in attributes(frame.body, 4 + ((quoted + 3) & ~3)):
        if kind == _MSG:
            return value.rstrip(b"\0").decode("utf-8", "replace")
    return ""
