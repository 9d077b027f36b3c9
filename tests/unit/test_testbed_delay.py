"""The delay line between the halves of the backbone."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from attrs import frozen
from netns_kit import frames, namespace, netlink, waiting, wire
from polling import wait_until

from lies.kernel import messages as m
from lies.kernel.netns import enter
from lies.runtime import monotonic_ns, wall_ns
from lies.testbed import delay

pytestmark = pytest.mark.netns

DELAY_MS = 40.0
MS = 1_000_000
_HEAD = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5"


@frozen
class Line:
    """A running delay line between `left` and `right`, outer ends of two pairs; control: its pipe."""

    left: socket.socket
    right: socket.socket
    control: int
    thread: threading.Thread
    results: list[int]


@pytest.fixture
def line() -> Iterator[Line]:
    """A delay line in a namespace of its own."""
    with namespace() as here, netlink() as kernel:
        for name in ("l", "r"):
            wire(kernel, f"{name}out", f"{name}in")
        read, write = os.pipe()
        ready = threading.Event()
        results: list[int] = []

        def main() -> None:
            enter(here)
            results.append(delay.run(("lin", "rin"), DELAY_MS, ready.set, read))

        thread = threading.Thread(target=main)
        thread.start()
        assert ready.wait(10)
        with frames("lout", incoming_only=True) as left, frames("rout", incoming_only=True) as right:
            _until_it_carries(left, right)
            _until_it_carries(right, left)
            yield Line(left, right, write, thread, results)
        os.close(write)
        thread.join(10)
        os.close(read)


def _until_it_carries(into: socket.socket, out: socket.socket) -> None:
    """A new interface drops what it is given until the kernel has noticed its carrier."""
    frame = _HEAD[:12] + b"\x88\xb6" + bytes(60)

    def carried() -> bool:
        into.send(frame)
        return frame in waiting(out)

    wait_until(carried, 20)


def _numbered(count: int) -> list[bytes]:
    return [_HEAD + k.to_bytes(4) + bytes(60) for k in range(count)]


def _collect(sock: socket.socket, into: list[tuple[int, bytes]]) -> int:
    """Take what came, with the time, leaving out the kernel's own frames; how many there are now."""
    while True:
        try:
            frame = sock.recv(4096)
        except BlockingIOError:
            return len(into)
        if frame[12:14] == b"\x88\xb5":
            into.append((monotonic_ns(), frame))


@pytest.mark.parametrize("way", ["left to right", "right to left"])
def test_frames_come_out_after_the_delay_whole_and_in_order(line: Line, way: str) -> None:
    """Each of 100 frames comes out once, in order, no sooner than the delay after it went in."""
    into, out = (line.left, line.right) if way == "left to right" else (line.right, line.left)
    sent = _numbered(100)
    went: list[int] = []
    for frame in sent:
        went.append(monotonic_ns())
        into.send(frame)
    came: list[tuple[int, bytes]] = []
    wait_until(lambda: _collect(out, came) >= 100, 20)
    assert [frame for _, frame in came] == sent
    assert all(at - begun >= DELAY_MS * MS for begun, (at, _) in zip(went, came, strict=True))


def test_a_frame_that_is_read_late_has_waited_already(line: Line) -> None:
    """The time of a frame is the kernel's, whenever it is read: a busy machine does not lengthen the line."""
    with namespace(), netlink() as kernel:
        wire(kernel, "out", "in")
        with delay._open("in") as late, frames("out") as into:
            _until_it_carries(into, late)
            begun = wall_ns()
            into.send(_numbered(1)[0])
            sent = wall_ns()
            wait_until(lambda: wall_ns() > sent + 20 * MS, 20)
            (came_ns,) = [at for at, frame in delay._receive(late) if frame[12:14] == b"\x88\xb5"]
    assert begun <= came_ns <= sent
    assert line.thread.is_alive()


def test_both_directions_pass_at_once(line: Line) -> None:
    """Frames of both directions cross each other and none comes back to where it was sent."""
    sent = _numbered(50)
    for frame in sent:
        line.left.send(frame)
        line.right.send(frame)
    came: dict[str, list[tuple[int, bytes]]] = {"left": [], "right": []}
    wait_until(lambda: _collect(line.left, came["left"]) >= 50, 20)
    wait_until(lambda: _collect(line.right, came["right"]) >= 50, 20)
    assert [f for _, f in came["left"]] == sent
    assert [f for _, f in came["right"]] == sent


def test_an_end_that_goes_down_and_up_again_is_survived(line: Line) -> None:
    """While one end is down frames are lost, afterwards they pass again."""
    with netlink() as kernel:
        index = socket.if_nametoindex("rin")
        kernel.execute([m.set_link(index, up=False)])
        line.left.send(_numbered(1)[0])
        kernel.execute([m.set_link(index, up=True)])
    came: list[tuple[int, bytes]] = []

    def passes() -> bool:
        line.left.send(_numbered(2)[1])
        return _collect(line.right, came) > 0

    wait_until(passes, 20)


def test_a_delay_line_carries_only_the_frames_of_its_ends() -> None:
    """Before it is bound a socket collects no frames of other interfaces."""
    with namespace(), netlink() as kernel:
        wire(kernel, "other0", "other1")
        wire(kernel, "lout", "lin")
        with frames("other0") as other:
            seen = socket.socket.bind

            def bind(sock: socket.socket, address: tuple[str, int]) -> None:
                other.send(_numbered(1)[0])  # in the moment between socket() and bind()
                seen(sock, address)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(socket, "socket", type("Socket", (socket.socket,), {"bind": bind}))
                with delay._open("lin") as end:
                    assert [f for f in delay._receive(end) if f[12:14] == b"\x88\xb5"] == []


def test_the_line_ends_when_its_control_is_closed(line: Line) -> None:
    """Any order on its control pipe is the end, and it returns 0."""
    os.write(line.control, b"q")
    line.thread.join(10)
    assert line.results == [0]
