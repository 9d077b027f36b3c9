"""The counted flow of the radio machine: datagrams in batches, and what is judged of them."""

import socket
import sys
from pathlib import Path

import pytest
from radio.flow import PAYLOAD, Batch, Log
from radio.flows import Flow


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    """Of 0 to 9, one each ms: 3 is lost, 5 comes after 6, 7 comes twice, and 8 comes 20 ms late."""
    sent, came = Log(), Log()
    for first in (0, 5):
        sent.keep(range(first, first + 5), first * 1_000_000)
    for t_ms, numbers in ((1, [0, 1, 2, 4]), (6, [6, 5, 7, 7]), (26, [8, 9])):
        came.keep(numbers, t_ms * 1_000_000)
    for name, log in (("sent", sent), ("came", came)):
        log.write(tmp_path / name)
    return Flow.read(tmp_path / "sent", tmp_path / "came")


def test_what_is_lost_late_and_twice(flow: Flow) -> None:
    """Lost, copied and overtaken datagrams are counted where they were sent; gaps where they end."""
    whole = flow.counts((0, 10_000_000))
    assert (whole.sent, whole.lost_ns, whole.duplicated, whole.reordered) == (10, [0], 1, 1)
    first, second = flow.counts((0, 5_000_000)), flow.counts((5_000_000, 10_000_000))
    assert (first.sent, len(first.lost_ns), first.duplicated, first.reordered) == (5, 1, 0, 0)
    assert (second.sent, len(second.lost_ns), second.duplicated, second.reordered) == (5, 0, 1, 1)
    assert flow.gap_ms((0, 10_000_000)) == 5.0
    assert flow.gap_ms((0, 30_000_000)) == 20.0
    assert flow.gap_ms((30_000_000, 40_000_000)) == 10.0


def test_batches_go_whole() -> None:
    """What is sent in one call arrives as so many datagrams, with their numbers, in order."""
    receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind(("::1", 0))
        sender.connect(receiver.getsockname()[:2])
        out, into = Batch(4, PAYLOAD), Batch(64, 8)
        numbers = memoryview(into.data).cast("Q")
        assert into.receive(receiver) == 0
        for first in (1 << 40, 4):
            for n in range(4):
                out.data[n * PAYLOAD : n * PAYLOAD + 8] = (first + n).to_bytes(8, sys.byteorder)
            out.send(sender)
        taken: list[int] = []
        receiver.settimeout(20)
        while len(taken) < 8:
            assert receiver.recv(1, socket.MSG_PEEK) is not None
            taken += numbers[: into.receive(receiver)].tolist()
        assert taken == [(1 << 40) + n for n in range(4)] + [4, 5, 6, 7]
        assert len(out.data) == 4 * PAYLOAD


def test_refused_datagrams_hold_up_nothing() -> None:
    """A datagram that the kernel refuses counts as sent: the next ones go."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        Batch(4, PAYLOAD).send(sender)  # to nowhere: each is refused
