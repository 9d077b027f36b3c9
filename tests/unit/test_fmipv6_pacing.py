"""Packets that wait for a node: RFC 5568 section 5.4, on a clock of the test's own."""

import math
from collections import deque

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from lies_fmipv6.pacing import BURST, Limits, PacedBuffer, Tally

NODE, OTHER = "node", "other"
SIZE = 100


@define
class Line:
    """A buffer with a flow into it, run event by event; went: (time, number) of what came out."""

    limits: Limits = field(factory=Limits)
    now: float = 0.0
    went: list[tuple[float, int]] = field(factory=list)
    sent: int = 0
    next_packet: float = 0.0
    buffer: PacedBuffer[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.buffer = PacedBuffer(self.limits)
        self.buffer.begin(NODE, self.now)

    def arrive(self, *, ahead: bool = False) -> bool:
        """The next packet comes."""
        self.sent += 1
        return self.buffer.enter(NODE, (self.sent - 1).to_bytes(4) + bytes(SIZE - 4), self.now, ahead=ahead)

    def flow(self, packets_per_s: float, until: float) -> None:
        """Packets come at a rate, and go when they may, until then."""
        while True:
            due = self.buffer.next_due()
            step = min(self.next_packet, math.inf if due is None else max(due, self.now))
            if step >= until:
                break
            self.now = step
            self.serve()
            if step == self.next_packet:
                self.arrive()
                self.next_packet += 1 / packets_per_s
        self.now = until

    def run(self) -> None:
        """What waits goes, and nothing comes."""
        self.serve()
        while (due := self.buffer.next_due()) is not None:
            assert due > self.now or self.buffer.due(self.now)
            self.now = max(due, self.now)
            self.serve()

    def serve(self) -> None:
        """What may go, goes."""
        for node in self.buffer.due(self.now):
            while (packet := self.buffer.head(node, self.now)) is not None:
                self.went.append((self.now, int.from_bytes(packet[:4])))
                self.buffer.gone(node, self.now)


def test_five_go_at_once_then_the_metered_rate_and_a_quarter() -> None:
    """After 100 packets at 1,000/s, five go at once and then 1,250/s, evenly and in order."""
    line = Line()
    line.flow(1000, until=0.1)
    line.buffer.open(NODE, line.now)
    line.run()
    assert [n for _, n in line.went] == list(range(100))
    times = [at for at, _ in line.went]
    assert times[:BURST] == [0.1] * BURST
    gaps = [b - a for a, b in zip(times[BURST - 1 :], times[BURST:], strict=False)]
    assert gaps == pytest.approx([1 / 1250] * len(gaps), rel=1e-3)


@pytest.mark.parametrize("excess", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("gap_s", [0.05, 0.3])
def test_a_buffer_with_a_steady_flow_ends_when_it_must(gap_s: float, excess: float) -> None:
    """What waits when the node comes is worked off at the excess: after gap / excess nothing waits."""
    line = Line(Limits(excess=excess))
    line.flow(2000, until=gap_s)
    line.buffer.open(NODE, line.now)
    opened = line.now
    while not line.buffer.idle(NODE):
        line.flow(2000, until=line.now + 0.001)
        assert line.now < opened + 20
    assert line.now - opened == pytest.approx((gap_s - BURST / 2000) / excess, rel=0.1, abs=0.005)
    assert [n for _, n in line.went] == list(range(len(line.went)))
    tally = line.buffer.end(NODE, line.now)
    assert tally.opened_s == gap_s
    assert tally.drained_s == pytest.approx(line.now - opened)
    assert tally.delay_max_s == pytest.approx(gap_s, abs=0.002)


def test_a_pause_does_not_slow_the_rest_down() -> None:
    """Nothing comes any more: the rate is that of the last packets, not of the silence."""
    line = Line()
    line.flow(1000, until=0.05)
    line.now = 1.0
    line.buffer.open(NODE, line.now)
    line.run()
    assert line.now == pytest.approx(1.0 + 45 / 1250, rel=0.01)


def test_the_rate_follows_the_arrivals() -> None:
    """A flow that doubles while it is drained is drained at twice the rate a quarter of a second later."""
    line = Line()
    line.flow(500, until=0.4)
    line.buffer.open(NODE, line.now)
    line.flow(1000, until=0.8)
    late = [at for at, _ in line.went if 0.7 <= at < 0.8]
    assert len(late) == pytest.approx(125, abs=3)
    while not line.buffer.idle(NODE):
        line.flow(1000, until=line.now + 0.01)
        assert line.now < 20


def test_a_program_that_comes_late_keeps_the_rate() -> None:
    """Served every 10 ms only, 1,500 packets/s are worked off all the same, in bursts of what was due."""
    line = Line()
    line.flow(1500, until=0.1)
    line.buffer.open(NODE, line.now)
    gone = []
    while not line.buffer.idle(NODE):
        before = len(line.went)
        line.now += 0.01
        for _ in range(15):
            line.arrive()
        line.serve()
        gone.append(len(line.went) - before)
        assert line.now < 10
    assert max(gone) <= BURST + 0.01 * 1500 * 1.25 + 1
    assert [n for _, n in line.went] == list(range(len(line.went)))


def test_what_was_read_at_once_is_no_endless_rate() -> None:
    """100 packets read in one moment have come since the wait began, or within 20 ms, or 2 ms at least."""
    for age_s, came_in_s in ((0.0, 0.002), (0.01, 0.01), (0.5, 0.02)):
        line = Line()
        line.now = age_s
        for _ in range(100):
            line.arrive()
        line.buffer.open(NODE, line.now)
        line.run()
        assert line.now - age_s == pytest.approx(95 / (100 / came_in_s * 1.25), rel=0.02)


@pytest.mark.parametrize("gap_s", [0.004, 0.008, 0.016, 0.024])
def test_a_short_wait_ends_as_soon_as_a_long_one_in_proportion(gap_s: float) -> None:
    """The rate of few packets is not that of as few in 20 ms: none waits longer than the node was away."""
    line = Line()
    line.next_packet = 0.0003
    line.flow(1500, until=gap_s)
    line.buffer.open(NODE, line.now)
    while not line.buffer.idle(NODE):
        line.flow(1500, until=line.now + 0.0005)
        assert line.now < 1
    assert line.now - gap_s <= max(0.001, (gap_s - BURST / 1500) / 0.25 * 1.2)
    assert line.buffer.end(NODE, line.now).delay_max_s <= gap_s + 0.001


def test_a_lonely_packet_goes_at_once() -> None:
    """One packet, and up to five, need no rate."""
    line = Line()
    line.arrive()
    line.now = 0.2
    line.buffer.open(NODE, line.now)
    line.run()
    assert line.went == [(0.2, 0)]


def test_five_may_wait_at_the_next_hop() -> None:
    """The first five are handed on; opened, they count as the burst, so that the sixth waits its turn."""
    line = Line()
    ahead = []
    for n in range(20):
        line.now = n / 1000
        ahead.append(line.arrive(ahead=True))
    assert ahead == [True] * BURST + [False] * 15
    line.buffer.open(NODE, line.now)
    assert line.buffer.head(NODE, line.now) is None
    line.run()
    assert [n for _, n in line.went] == list(range(BURST, 20))
    tally = line.buffer.end(NODE, line.now)
    assert (tally.entered, tally.peak_packets, tally.peak_octets) == (20, 20, 20 * SIZE)
    assert tally.delay_max_s >= 0.019


def test_a_node_that_was_there_is_waited_for_again() -> None:
    """Begun once more, a queue keeps what it has and lets nothing go."""
    line = Line()
    line.flow(1000, until=0.1)
    line.buffer.open(NODE, line.now)
    assert line.buffer.head(NODE, line.now) is not None
    line.buffer.begin(NODE, line.now)
    assert line.buffer.head(NODE, line.now) is None
    assert line.buffer.next_due() is None
    line.buffer.open(NODE, line.now)
    line.run()
    assert [n for _, n in line.went] == list(range(100))


def test_a_full_device_is_tried_again() -> None:
    """What could not be sent stays at the head, and nothing overtakes it."""
    line = Line()
    line.flow(1000, until=0.1)
    line.buffer.open(NODE, line.now)
    line.buffer.defer(NODE, 0.15)
    assert line.buffer.head(NODE, line.now) is None
    assert line.buffer.next_due() == 0.15
    line.run()
    assert line.went[0] == (0.15, 0)


def test_limits_are_checked() -> None:
    """No room at all, and no end to the wait, are refused."""
    for wrong in ({"node_octets": 0}, {"total_octets": 0}, {"excess": 0.0}, {"excess": math.nan}):
        with pytest.raises(ValueError, match=r"buffer holds|excess must"):
            Limits(**wrong)


@define
class Model:
    """What a buffer must do, said with lists."""

    limits: Limits
    queues: dict[str, deque[tuple[int, int]]] = field(factory=dict)

    def octets(self) -> int:
        """Of all."""
        return sum(size for queue in self.queues.values() for _, size in queue)

    def enter(self, node: str, number: int, size: int) -> int:
        """How many overflow."""
        queue = self.queues[node]
        lost = 0
        while (
            sum(s for _, s in queue) + size > self.limits.node_octets
            or self.octets() + size > self.limits.total_octets
        ):
            if not queue:
                return lost + 1
            queue.popleft()
            lost += 1
        queue.append((number, size))
        return lost


_STEPS = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from([NODE, OTHER]), st.integers(4, 300)),
    st.tuples(st.just("open"), st.sampled_from([NODE, OTHER]), st.just(0)),
    st.tuples(st.just("wait"), st.just(NODE), st.integers(0, 50)),
)


@given(
    steps=st.lists(_STEPS, max_size=80),
    node_octets=st.integers(50, 1500),
    total_octets=st.integers(50, 2000),
)
def test_every_packet_comes_out_in_order_or_is_counted(
    steps: list[tuple[str, str, int]], node_octets: int, total_octets: int
) -> None:
    """Whatever comes when: a model's packets come out, in its order; bounds hold; the rest is counted."""
    limits = Limits(node_octets=node_octets, total_octets=total_octets)
    buffer: PacedBuffer[str] = PacedBuffer(limits)
    model = Model(limits)
    now, number = 0.0, 0
    entered = dict.fromkeys((NODE, OTHER), 0)
    lost = dict.fromkeys((NODE, OTHER), 0)
    out = dict.fromkeys((NODE, OTHER), 0)
    for node in (NODE, OTHER):
        buffer.begin(node, now)
        model.queues[node] = deque()

    def serve() -> None:
        for node in buffer.due(now):
            while (packet := buffer.head(node, now)) is not None:
                expected, size = model.queues[node].popleft()
                assert (int.from_bytes(packet[:4]), len(packet)) == (expected, size)
                buffer.gone(node, now)
                out[node] += 1

    for what, node, value in steps:
        if what == "enter":
            buffer.enter(node, number.to_bytes(4) + bytes(value - 4), now)
            lost[node] += model.enter(node, number, value)
            entered[node] += 1
            number += 1
        elif what == "open":
            buffer.open(node, now)
        else:
            now += value / 1000
        serve()
        assert buffer.octets == model.octets() <= total_octets
    tallies: dict[str, Tally] = {node: buffer.end(node, now) for node in (NODE, OTHER)}
    for node, tally in tallies.items():
        assert (tally.entered, tally.overflowed) == (entered[node], lost[node])
        assert tally.abandoned == len(model.queues[node]) == entered[node] - lost[node] - out[node]
        assert tally.peak_octets <= node_octets
    assert buffer.octets == 0
    assert NODE not in buffer
