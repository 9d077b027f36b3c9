"""The end points of the traffic: numbers, kernel timestamps, orders, progress, and what they survive."""

import os
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv6Address
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import define, field, frozen
from polling import wait_until

from lies.runtime import wall_ns
from lies.testbed import traffic
from lies.testbed.traffic import PACKET_HEADER, Endpoint, Flow, FlowLog, rate_to_packets, read_progress

LOOPBACK = IPv6Address("::1")
S = 1_000_000_000


@pytest.fixture(autouse=True)
def _needs_ipv6() -> None:
    """Skip where the loopback has no IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"no IPv6 on the loopback: {error}")


@define
class Running:
    """An end point in a thread, with its pipes."""

    endpoint: Endpoint
    control: int
    progress: int
    thread: threading.Thread
    told: list[tuple[int, int, int]] = field(factory=list)

    def order(self, letters: bytes) -> None:
        """Give orders."""
        os.write(self.control, letters)

    def poll(self) -> tuple[int, int, int]:
        """The newest counts, (0, 0, 0) before the first."""
        while select.select([self.progress], [], [], 0)[0]:
            counts = read_progress(os.read(self.progress, 4096))
            if counts is None:
                break
            self.told.append(counts)
        return self.told[-1] if self.told else (0, 0, 0)

    def quit(self) -> None:
        """Order it to quit and wait until it has."""
        self.order(b"q")
        self.thread.join(10)
        assert not self.thread.is_alive()


class Bench:
    """Starts end points and ends them with the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def start(self, flow: Flow) -> Running:
        """An end point that runs."""
        endpoint = Endpoint(flow)
        control_read, control_write = os.pipe()
        progress_read, progress_write = os.pipe2(os.O_NONBLOCK)
        # a daemon, so that an end point that does not obey fails its test instead of hanging the run
        thread = threading.Thread(target=endpoint.run, args=(control_read, progress_write), daemon=True)
        running = Running(endpoint, control_write, progress_read, thread)

        def end() -> None:
            os.close(control_write)  # its end is an order to quit
            thread.join(10)
            endpoint.close()
            for descriptor in (control_read, progress_read, progress_write):
                os.close(descriptor)

        self._stack.callback(end)
        thread.start()
        return running


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench, cleared after the test."""
    with ExitStack() as stack:
        yield Bench(stack)


@frozen
class Far:
    """A plain socket that plays the other end of a flow."""

    socket: socket.socket
    port: int

    def send(self, data: bytes) -> None:
        """Send octets as the other end would."""
        self.socket.sendto(data, (str(LOOPBACK), self.port))


@pytest.fixture
def far() -> Iterator[Far]:
    """The address ::1 as both ends: the flow's own port on another address is what it hears from."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        yield Far(other, port)


def flow(port: int, *, packets_per_s: float = 1000, payload: int = 64) -> Flow:
    """A flow of ::1 with itself: what it sends comes back to it."""
    return Flow(LOOPBACK, LOOPBACK, port, payload, packets_per_s)


def test_packets_are_numbered_timed_and_stamped_by_the_kernel(bench: Bench, far: Far) -> None:
    """Numbers run from 0 without hole; each arrives with its send time, stamped by the kernel after it."""
    before = wall_ns()
    running = bench.start(flow(far.port))
    running.order(b"g")
    wait_until(lambda: running.poll()[1] >= 200, 10)
    running.order(b"s")
    wait_until(lambda: running.poll()[0] == running.poll()[1], 10)
    running.quit()
    received = running.endpoint.received
    numbers, sent, arrived = received[0::3], received[1::3], received[2::3]
    assert list(numbers) == list(range(len(numbers)))
    assert sent == running.endpoint.sent_ns
    assert all(s <= r for s, r in zip(sent, arrived, strict=True))
    assert before < sent[0]
    assert arrived[-1] <= wall_ns()


def test_packets_are_as_long_as_was_asked_for(bench: Bench, far: Far) -> None:
    """A packet's UDP payload has the flow's octets, header included; less than a header is refused."""
    running = bench.start(Flow(LOOPBACK, LOOPBACK, far.port, 300, 1000))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sink:
        sink.bind(("::1", 0))
        running.endpoint.flow = Flow(LOOPBACK, LOOPBACK, sink.getsockname()[1], 300, 1000)
        running.order(b"g")
        sink.settimeout(10)
        assert len(sink.recv(2048)) == 300
    with pytest.raises(ValueError, match="at least 16 octets"):
        Endpoint(Flow(LOOPBACK, LOOPBACK, far.port, 15, 1000))


def test_the_sender_never_runs_ahead_of_its_rate(bench: Bench, far: Far) -> None:
    """300 packets at 1,000/s take 299 ms or longer; 15 Mbit/s of 1,200 octets are 1,562.5 a second."""
    running = bench.start(flow(far.port))
    ordered_ns = wall_ns()
    running.order(b"g")
    wait_until(lambda: len(running.endpoint.sent_ns) >= 300, 20)
    running.quit()
    assert running.endpoint.sent_ns[299] - ordered_ns >= 299_000_000
    assert rate_to_packets(15, 1200) == pytest.approx(1562.5)


def test_stopping_and_going_again_goes_on_counting(bench: Bench, far: Far) -> None:
    """`s` stops the sender, a second `g` goes on with the next number, without making up for the pause."""
    running = bench.start(flow(far.port))
    running.order(b"g")
    wait_until(lambda: running.poll()[0] > 20, 10)
    running.order(b"s")
    wait_until(lambda: running.poll()[0] == running.poll()[1], 10)
    running.order(b"g")
    already = running.poll()[0]
    wait_until(lambda: running.poll()[0] > already + 20, 10)
    running.quit()
    received = running.endpoint.received
    assert list(received[0::3]) == list(range(len(received) // 3))


def test_progress_tells_sent_received_and_answers(bench: Bench, far: Far) -> None:
    """The pipe tells growing counts, and the last ones at the end; what nobody reads stops nothing."""
    running = bench.start(flow(far.port))
    running.order(b"pg")
    wait_until(lambda: running.poll()[1] > 50 and len(running.told) >= 2, 10)
    running.quit()
    last = running.poll()
    endpoint = running.endpoint
    assert last == (len(endpoint.sent_ns), len(endpoint.received) // 3, endpoint.answers)
    assert running.told == sorted(running.told)


def test_a_probe_is_answered_and_counts_as_no_traffic(bench: Bench, far: Far) -> None:
    """`p` asks until it is answered; neither question nor answer is a packet of the flow."""
    running = bench.start(flow(far.port))
    running.order(b"p")
    wait_until(lambda: running.poll()[2] >= 2, 10)
    running.quit()
    assert len(running.endpoint.sent_ns) == 0
    assert len(running.endpoint.received) == 0


def test_probing_ends_when_it_is_told_to_go(bench: Bench, far: Far) -> None:
    """After `g` no more questions are asked."""
    running = bench.start(flow(far.port))
    running.order(b"p")
    wait_until(lambda: running.poll()[2] >= 1, 10)
    running.order(b"g")
    wait_until(lambda: running.poll()[1] >= 100, 10)  # those on their way have been answered
    answers = running.poll()[2]
    wait_until(lambda: running.poll()[1] >= 300, 10)
    assert running.poll()[2] == answers


def test_the_end_of_the_control_pipe_is_an_order_to_quit(far: Far) -> None:
    """If who steers it is gone, the end point ends."""
    endpoint = Endpoint(flow(far.port))
    read, write = os.pipe()
    os.close(write)
    endpoint.run(read)
    os.close(read)
    endpoint.close()


@pytest.mark.parametrize("jump_ms", [40, 10_000])
def test_a_sender_that_was_stopped_makes_up_for_50_ms_at_most(
    far: Far, monkeypatch: pytest.MonkeyPatch, jump_ms: int
) -> None:
    """After 40 ms of standstill the 40 packets due follow at once; after 10 s it goes on at its rate."""
    clock = {"now": S, "reads": 0}
    read, write = os.pipe()
    os.write(write, b"g")
    endpoint = Endpoint(flow(far.port, packets_per_s=1000))

    def now() -> int:
        """A clock of 0.1 ms a reading; it stands still for others at reading 1,000."""
        clock["now"] += 100_000
        clock["reads"] += 1
        if clock["reads"] == 1000:
            clock["now"] += jump_ms * 1_000_000
        if clock["reads"] == 2000:
            os.write(write, b"q")
        return clock["now"]

    monkeypatch.setattr(traffic, "wall_ns", now)
    endpoint.run(read)
    endpoint.close()
    for descriptor in (read, write):
        os.close(descriptor)
    before, after = max(pairwise(endpoint.sent_ns), key=lambda pair: pair[1] - pair[0])
    assert after - before >= jump_ms * 1_000_000
    soon = [t for t in endpoint.sent_ns if after <= t < after + 15_000_000]
    assert len(soon) <= (60 if jump_ms < 50 else 17)
    assert len(soon) >= (40 if jump_ms < 50 else 10)


def test_who_cannot_keep_up_still_obeys_and_listens(bench: Bench, far: Far) -> None:
    """A rate that no machine reaches starves neither the orders nor the receiver."""
    running = bench.start(flow(far.port, packets_per_s=1e9))
    running.order(b"g")
    wait_until(lambda: running.poll()[1] > 0, 10)
    running.quit()


def _received(endpoint: Endpoint) -> Sequence[int]:
    """Take what came, as `run` does; everything received until now."""
    endpoint._receive()
    return endpoint.received


GARBAGE = [
    b"",
    b"x" * (PACKET_HEADER.size - 1),
    b"\xff" * PACKET_HEADER.size,
    PACKET_HEADER.pack(1 << 63, 1),
    PACKET_HEADER.pack(1, 1 << 63),
    PACKET_HEADER.pack((1 << 64) - 3, 1),
    os.urandom(9000),
]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_from_the_far_end_is_survived(far: Far, data: bytes) -> None:
    """Datagrams that are no packet of the flow are dropped, and what follows is still counted in threes."""
    endpoint = Endpoint(flow(far.port))
    endpoint._socket.sendto(data, (str(LOOPBACK), far.port))  # from its own address, which is the far end
    good = PACKET_HEADER.pack(7, 8)
    endpoint._socket.sendto(good, (str(LOOPBACK), far.port))
    wait_until(lambda: list(_received(endpoint)[0::3])[-1:] == [7], 10)
    endpoint.close()
    assert len(endpoint.received) % 3 == 0
    assert endpoint.received[-2] == 8


def test_packets_of_strangers_are_not_counted(far: Far) -> None:
    """A well-formed packet from another port is not of this flow."""
    endpoint = Endpoint(flow(far.port))
    far.send(PACKET_HEADER.pack(0, 1))
    endpoint._socket.sendto(PACKET_HEADER.pack(3, 4), (str(LOOPBACK), far.port))
    wait_until(lambda: len(_received(endpoint)) > 0, 10)
    endpoint.close()
    assert list(endpoint.received[0::3]) == [3]


def test_a_packet_that_cannot_be_sent_is_a_sent_packet_that_is_lost(far: Far) -> None:
    """Without a way to the far end the numbers go on; nothing is raised."""
    endpoint = Endpoint(Flow(LOOPBACK, IPv6Address("2001:db8::1"), far.port, 64, 1000))
    endpoint._send()
    endpoint._send()
    endpoint.close()
    assert len(endpoint.sent_ns) == 2


def test_what_is_saved_is_what_is_loaded(far: Far, tmp_path: Path) -> None:
    """Save and FlowLog.load are a round trip, also of an end point that did nothing."""
    endpoint = Endpoint(flow(far.port))
    path = tmp_path / "packets"
    endpoint.save(path)
    empty = FlowLog.load(path)
    assert (list(empty.sent_ns), empty.received) == ([], [])
    endpoint.sent_ns.extend([5, 6, 1 << 62])
    endpoint.received.extend([0, 5, 9, 2, 1 << 62, (1 << 62) + 1])
    endpoint.save(path)
    endpoint.close()
    log = FlowLog.load(path)
    assert list(log.sent_ns) == [5, 6, 1 << 62]
    assert log.received == [(0, 5, 9), (2, 1 << 62, (1 << 62) + 1)]


def test_half_a_progress_report_says_nothing() -> None:
    """Only whole reports are read, the newest of several."""
    one, two = (traffic._PROGRESS.pack(*counts) for counts in ((1, 2, 3), (4, 5, 6)))
    assert read_progress(b"") is None
    assert read_progress(one[:-1]) is None
    assert read_progress(one + two) == (4, 5, 6)
    assert read_progress(one + two[:5]) == (1, 2, 3)
