"""Processes of the testbed: how they say that they are ready, why they are not, and that they end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from polling import wait_until

from lies.kernel.netns import new_namespace
from lies.runtime import now_s
from lies.testbed.node import Node, NodeFailed, spawn, stop_all

pytestmark = pytest.mark.netns

Main = Callable[[Callable[[], None]], int]


@pytest.fixture(scope="module")
def namespace() -> Iterator[int]:
    """A network namespace for the nodes."""
    descriptor = new_namespace()
    yield descriptor
    os.close(descriptor)


@contextmanager
def running(namespace: int, main: Main) -> Iterator[Node]:
    """A node, killed at the end if need be."""
    node = spawn("test", namespace, main)
    try:
        yield node
    finally:
        if node.poll() is None:
            os.kill(node.pid, signal.SIGKILL)
        node.finish(now_s() + 5)


def forever(ready: Callable[[], None]) -> int:
    """A main that works until it is ended."""
    ready()
    threading.Event().wait()
    return 0


def deaf(ready: Callable[[], None]) -> int:
    """A main that does not care for SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return forever(ready)


def test_a_node_says_when_it_is_ready(namespace: int) -> None:
    """wait_ready returns once main has called ready, and again at once."""
    with running(namespace, forever) as node:
        node.wait_ready(now_s() + 10)
        node.wait_ready(now_s())
        assert node.poll() is None


def test_a_node_runs_in_its_namespace(namespace: int, tmp_path: Path) -> None:
    """The process is in the namespace that it was spawned into, and in a process group of its own."""
    path = tmp_path / "where"

    def main(ready: Callable[[], None]) -> int:
        path.write_text(f"{Path('/proc/self/ns/net').stat().st_ino} {os.getpgid(0) == os.getpid()}")
        ready()
        return 0

    with running(namespace, main) as node:
        node.wait_ready(now_s() + 10)
        assert path.read_text() == f"{os.fstat(namespace).st_ino} True"
        assert node.finish(now_s() + 10) == 0


def test_the_result_of_main_is_the_exit_status(namespace: int) -> None:
    """What main returns is what finish and poll return; finish may be asked twice."""
    with running(namespace, lambda _ready: 7) as node:
        assert node.finish(now_s() + 10) == 7
        assert node.finish(now_s() + 10) == 7
        assert node.poll() == 7


def test_a_main_that_fails_says_why(namespace: int) -> None:
    """The error of a main that fails before it is ready is in NodeFailed; the exit status is 1."""

    def main(_ready: Callable[[], None]) -> int:
        raise ValueError("no such road")

    with running(namespace, main) as node:
        with pytest.raises(NodeFailed, match=r"^test: ValueError: no such road$"):
            node.wait_ready(now_s() + 10)
        assert node.finish(now_s() + 10) == 1


def test_a_main_that_ends_without_a_word_failed(namespace: int) -> None:
    """Ending before ready is a failure, whatever the exit status."""
    with (
        running(namespace, lambda _ready: 0) as node,
        pytest.raises(NodeFailed, match="test: it ended"),
    ):
        node.wait_ready(now_s() + 10)


def test_waiting_for_ready_has_an_end(namespace: int) -> None:
    """A node that never gets ready is given up at the deadline."""

    def main(_ready: Callable[[], None]) -> int:
        threading.Event().wait()
        return 0

    with (
        running(namespace, main) as node,
        pytest.raises(NodeFailed, match="did not become ready"),
    ):
        node.wait_ready(now_s() + 0.1)


def test_a_failure_after_ready_is_written_nowhere_else(namespace: int, tmp_path: Path) -> None:
    """A file that got the number of the closed pipe does not get the last words of a failing main."""
    path = tmp_path / "innocent"

    def main(ready: Callable[[], None]) -> int:
        ready()
        files = [os.open(path, os.O_WRONLY | os.O_CREAT) for _ in range(8)]
        assert files
        raise ValueError("too late")

    with running(namespace, main) as node:
        node.wait_ready(now_s() + 10)
        assert node.finish(now_s() + 10) == 1
    assert path.read_bytes() == b""


def test_output_goes_to_the_log(namespace: int, tmp_path: Path) -> None:
    """Stdout and stderr of a node are in its log, a failing main's traceback too."""
    path = tmp_path / "log"
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def main(_ready: Callable[[], None]) -> int:
        os.write(1, b"on stdout\n")
        os.write(2, b"on stderr\n")
        raise ValueError("the last word")

    node = spawn("test", namespace, main, log_fd=log)
    os.close(log)
    assert node.finish(now_s() + 10) == 1
    said = path.read_text()
    assert "on stdout\n" in said
    assert "on stderr\n" in said
    assert "ValueError: the last word" in said


def test_stop_all_ends_all_nodes(namespace: int) -> None:
    """Nodes that obey SIGTERM end by it."""
    nodes = [spawn(f"n{k}", namespace, forever) for k in range(3)]
    for node in nodes:
        node.wait_ready(now_s() + 10)
    stop_all(nodes)
    assert [n.poll() for n in nodes] == [-signal.SIGTERM] * 3


def test_stop_all_kills_what_does_not_stop(namespace: int) -> None:
    """A node that ignores SIGTERM is killed at the limit; the others are not made to wait for it twice."""
    nodes = [
        spawn("deaf", namespace, deaf),
        spawn("good", namespace, forever),
        spawn("deaf", namespace, deaf),
    ]
    for node in nodes:
        node.wait_ready(now_s() + 10)
    begun = now_s()
    stop_all(nodes, within_s=0.2)
    assert now_s() - begun < 5
    assert [n.poll() for n in nodes] == [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGKILL]


def test_stopping_a_node_that_has_ended_is_nothing(namespace: int) -> None:
    """stop_all takes nodes that ended by themselves, reaped or not."""
    nodes = [spawn("one", namespace, lambda _ready: 3), spawn("two", namespace, lambda _ready: 4)]
    wait_until(lambda: nodes[0].poll() is not None, 10)
    os.waitid(os.P_PID, nodes[1].pid, os.WEXITED | os.WNOWAIT)
    stop_all(nodes)
    assert [n.poll() for n in nodes] == [3, 4]


_PARENT = """
import os, threading
from lies.kernel.netns import new_namespace
from lies.runtime import now_s
from lies.testbed.node import spawn

def main(ready):
    ready()
    threading.Event().wait()
    return 0

node = spawn("orphan", new_namespace(), main)
node.wait_ready(now_s() + 10)
print(node.pid, flush=True)
threading.Event().wait()
"""


def test_a_node_ends_with_its_parent() -> None:
    """Whatever ends the parent, SIGKILL too, ends the node."""
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait(10)
        wait_until(lambda: not _alive(pid), 10)


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
