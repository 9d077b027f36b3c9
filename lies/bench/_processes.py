"""The processes of a bench, from the side of who started them."""

import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from lies.bench._board import Board
from lies.bench._orders import Failed, Order, Ready, decode, encode
from lies.errors import LiesError, TimedOut
from lies.runtime import now_s

ReplyT = TypeVar("ReplyT")
_STOP_S = 5.0
REPLY_S = 120.0


class Mailbox:
    """Where one process, or one plugin in it, gets orders and says what came of them."""

    def __init__(self, name: str, orders: int, replies: int, log: Path) -> None:
        self.name = name
        self._log = log
        self._orders = orders
        self._replies = replies
        self._lines: list[bytes] = []
        self._rest = b""

    def begin(self, order: Order) -> None:
        """Give an order; returns when what it needs is there."""
        with suppress(BrokenPipeError):  # its end is told by what it does not reply
            os.write(self._orders, encode(order))
        self.reply(Ready)

    def reply(self, kind: type[ReplyT], limit_s: float = REPLY_S) -> ReplyT:
        """The next reply; LiesError if it says why not or ends, TimedOut after limit_s."""
        reply: Any = decode(self._line(now_s() + limit_s))
        if isinstance(reply, Failed):
            raise LiesError(f"the bench's {self.name}: {reply.reason}")
        if not isinstance(reply, kind):
            raise LiesError(f"the bench's {self.name} answered {type(reply).__name__}")
        return reply

    def close(self) -> None:
        """Close both ends."""
        os.close(self._orders)
        os.close(self._replies)

    def _line(self, end_s: float) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._replies, selectors.EVENT_READ)
            while not self._lines:
                if not selector.select(max(0.0, end_s - now_s())):
                    raise TimedOut(f"the bench's {self.name} does not answer")
                octets = os.read(self._replies, 1 << 20)
                if not octets:
                    raise LiesError(f"the bench's {self.name} ended before it was done: {self._said()}")
                *lines, self._rest = (self._rest + octets).split(b"\n")
                self._lines += lines
        return self._lines.pop(0)

    def _said(self) -> str:
        """The last line that it wrote to stderr."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it did not say why")


class Child:
    """One process of the bench; use as a context manager."""

    def __init__(self, name: str, command: Sequence[str], log: Path, *, pass_fds: Sequence[int] = ()) -> None:
        with log.open("wb") as said:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                pass_fds=pass_fds,
                process_group=0,  # Ctrl-C is for who started us: it ends its processes in order
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.post = Mailbox(name, self.process.stdin.fileno(), self.process.stdout.fileno(), log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class Processes:
    """The processes of one bench, each started when it is first asked for; use as a context manager.

    directory: for their files and sockets; driver: entry point of the driver class.
    """

    def __init__(self, directory: Path, *, driver: str) -> None:
        self.directory = directory
        self.runtime_dir = directory / "run"
        self._board = directory / "board"
        self.board = Board.create(self._board)
        self._driver = driver
        self._stack = ExitStack()
        self._children: dict[str, Child] = {}
        self._ear: Mailbox | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self.board.close()

    def floor(self, name: str) -> Child:
        """A process of the floor of this name."""
        return self._plain("floor", name)

    def client(self, name: str) -> Child:
        """A process of this name that consumes."""
        return self._plain("client", name)

    @property
    def abstract(self) -> Child:
        """A process with an abstract entity."""
        return self._plain("abstract", "abstract")

    @property
    def daemon(self) -> Child:
        """The daemon, with the bench's driver in it; its mailbox is the driver's."""
        return self._both()[0]

    @property
    def ear(self) -> Mailbox:
        """The consumer in the daemon."""
        return self._both()[1]

    @property
    def isolated(self) -> Mailbox:
        """The driver in a process of its own."""
        if "isolated" not in self._children:
            assert self.daemon
            child = self._start("isolated", "isolated", str(self.runtime_dir), self._driver)
            child.post.reply(Ready)
        return self._children["isolated"].post

    def _plain(self, role: str, name: str) -> Child:
        return self._children.get(name) or self._start(name, role)

    def _both(self) -> tuple[Child, Mailbox]:
        if self._ear is None:
            orders_in, orders = os.pipe()
            replies, replies_out = os.pipe()
            self._ear = Mailbox("ear", orders, replies, self.directory / "daemon.log")
            self._stack.callback(self._ear.close)
            words = ("daemon", str(self.runtime_dir), self._driver, str(orders_in), str(replies_out))
            child = self._start("daemon", *words, pass_fds=(orders_in, replies_out))
            os.close(orders_in)
            os.close(replies_out)
            child.post.reply(Ready)
        return self._children["daemon"], self._ear

    def _start(self, name: str, role: str, *words: str, pass_fds: Sequence[int] = ()) -> Child:
        command = [sys.executable, "-m", "lies.bench.child", role, str(self._board), *words]
        log = self.directory / f"{name}.log"
        child = self._stack.enter_context(Child(name, command, log, pass_fds=pass_fds))
        self._children[name] = child
        return child
