"""Processes of the testbed: forked, each in its namespace, ended with their parent.

A fork of a process that has loaded everything starts in milliseconds; a fresh interpreter per router would
not. What runs in a node is the same `lies.supervisor.run` that `lies run` runs.
"""

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from attrs import define, field

from lies.errors import LiesError
from lies.kernel.netns import die_with_parent, enter
from lies.runtime import now_s

_READY = b"+"


class NodeFailed(LiesError):
    """A process of the testbed ended or did not become ready."""


@define
class Node:
    """A running process of the testbed; name is its namespace's."""

    name: str
    pid: int
    ready_fd: int
    exit_status: int | None = None
    _ready: bool = field(default=False, init=False)

    def wait_ready(self, deadline_s: float) -> None:
        """Wait until the process has said that it is ready; NodeFailed if it ends or `deadline_s` passes."""
        if self._ready:
            return
        left = max(0.0, deadline_s - now_s())
        readable, _, _ = select.select([self.ready_fd], [], [], left)
        said = os.read(self.ready_fd, 4096) if readable else b""
        if said[:1] != _READY:
            why = said.decode("utf-8", "replace") or ("it ended" if readable else "it did not become ready")
            raise NodeFailed(f"{self.name}: {why}")
        self._ready = True

    def poll(self) -> int | None:
        """The exit status if the process has ended."""
        if self.exit_status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_status = os.waitstatus_to_exitcode(status)
        return self.exit_status

    def ask_to_stop(self) -> None:
        """SIGTERM, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def finish(self, deadline_s: float) -> int:
        """Wait for the end until `deadline_s`, then SIGKILL; the exit status."""
        while self.poll() is None:
            if now_s() > deadline_s:
                os.kill(self.pid, signal.SIGKILL)
                _, status = os.waitpid(self.pid, 0)
                self.exit_status = os.waitstatus_to_exitcode(status)
                break
            select.select([], [], [], 0.005)
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1
        return self.exit_status if self.exit_status is not None else -1


def spawn(
    name: str, namespace: int, main: Callable[[Callable[[], None]], int], *, log_fd: int | None = None
) -> Node:
    """Fork a process into a namespace and run `main(ready)` in it; main's result is the exit status.

    main calls ready() once it works. log_fd takes the process's stdout and stderr.
    """
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(write_fd)
        return Node(name, pid, read_fd)
    status = 1
    say = _Voice(write_fd)
    try:
        os.close(read_fd)
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which stops us in its order
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if log_fd is not None:
            os.dup2(log_fd, 1)
            os.dup2(log_fd, 2)
            # what the parent had put in place of its streams (a live display) is not for us
            sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
        enter(namespace)
        status = main(lambda: say(_READY))
    except BaseException as error:  # noqa: BLE001 - the last frame of a process: say why, then end
        traceback.print_exc()
        say(f"{type(error).__name__}: {error}".encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Voice:
    """Says one thing to the parent; later calls say nothing, for the descriptor may be somebody else's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def __call__(self, words: bytes) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with suppress(OSError):  # nobody listens any more
            os.write(descriptor, words)
        os.close(descriptor)


def stop_all(nodes: list[Node], *, within_s: float = 5.0) -> None:
    """Stop nodes in the reverse order of their start."""
    for node in reversed(nodes):
        node.ask_to_stop()
    deadline = now_s() + within_s
    for node in reversed(nodes):
        node.finish(deadline)
