"""The bench's rooms, a small run of each with real processes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_kit import DELAY_S, SLOW_DRIVER
from polling import wait_until

from lies.bench._board import Board
from lies.bench._lanes import Contest, Lane, Lanes, Load, Segment, by_turns
from lies.bench._names import DRIVER
from lies.bench._orders import Ask, Feed, Receive, Received, Send, Sent
from lies.bench._pace import WINDOW
from lies.bench._processes import Mailbox, Processes
from lies.bench._rooms import Losses
from lies.bench.abstract import Abstract
from lies.bench.fanout import FanOut
from lies.bench.latency import Latency
from lies.bench.memory import Memory
from lies.bench.requests import Requests
from lies.bench.start import StartMemory, StartTime
from lies.bench.throughput import Throughput
from lies.errors import LiesError, TimedOut

CONTESTS = ("", "async_", "isolated_", "in_daemon_")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """The processes of one bench, for all tests here."""
    with Processes(tmp_path_factory.mktemp("bench"), driver=DRIVER) as started:
        yield started


@pytest.fixture(scope="module")
def lanes(processes: Processes) -> Lanes:
    """Its lanes."""
    return Lanes(processes)


def contest(lanes: Lanes, prefix: str) -> Contest:
    """The contest with this prefix."""
    (found,) = [c for c in lanes.contests if c.prefix == prefix]
    return found


@pytest.mark.parametrize("prefix", CONTESTS)
@pytest.mark.parametrize("side", ["ours", "floor"])
def test_each_lane_delivers_all(lanes: Lanes, prefix: str, side: str) -> None:
    """On every lane each event that was sent comes once, with its latency, at a rate and with a window."""
    lane: Lane = getattr(contest(lanes, prefix), side)
    steady = lane.run(Load(20, every_ns=1_000_000, keep=True))
    windowed = lane.run(Load(3 * WINDOW + 7, window=WINDOW))
    for segment, count in ((steady, 20), (windowed, 3 * WINDOW + 7)):
        assert (segment.sent.sent, segment.received.received, segment.lost) == (count, count, 0)
        assert (segment.received.doubled, segment.received.gaps) == (0, 0)
        assert segment.per_s > 0
    assert len(steady.received.latencies_ns) == 20
    assert min(steady.received.latencies_ns) > 0
    assert windowed.received.latencies_ns == ()


def test_floor_and_ours_by_turns(lanes: Lanes) -> None:
    """Both lanes of a contest carry their whole load in the same stretch of time."""
    load = Load(12, every_ns=2_000_000, keep=True)
    floor, ours = by_turns(lanes.blocking, load, lanes.board, events=5)
    for segment in (floor, ours):
        assert (segment.sent.sent, segment.received.received, segment.lost) == (12, 12, 0)
        assert len(segment.received.latencies_ns) == 12
    assert floor.sent.first_ns == ours.sent.first_ns == lanes.board.start_ns
    assert ours.received.last_ns - ours.sent.first_ns >= 23 * 2_000_000  # of 24 in all, hers was the last


def test_latency(lanes: Lanes) -> None:
    """Median and p99 of every lane stand beside the floor of its own style; goals are for two of them."""
    losses = Losses()
    room = Latency(lanes, losses, events=10, interval_ns=1_000_000)
    room.round()
    room.round()
    rows = {row.name: row for row in room.rows()}
    assert set(rows) == {f"{c}latency_{what}" for c in CONTESTS for what in ("median", "p99")}
    for row in rows.values():
        assert row.ours is not None
        assert row.ours > 0
        assert len(row.ratios) == 2
    assert {name for name, row in rows.items() if row.goal is not None} == {
        "latency_median",
        "latency_p99",
        "async_latency_median",
        "async_latency_p99",
    }
    assert (losses.events, losses.lost, losses.floor_lost) == (2 * (10 + 10 + 5 + 5), 0, 0)


def test_throughput(lanes: Lanes) -> None:
    """Events per second of every lane."""
    losses = Losses()
    room = Throughput(lanes, losses, events=200)
    room.round()
    assert [row.name for row in room.rows()] == [f"{c}throughput" for c in (*CONTESTS, "single_")]
    assert all(row.ours is not None and row.ours > 0 for row in room.rows())
    assert (losses.events, losses.lost) == (5 * 200, 0)


def test_requests(lanes: Lanes) -> None:
    """Both kinds in both styles; the ratio of a style is that of its worse kind."""
    room = Requests(lanes, count=10)
    room.round()
    ratios = {row.name: row.ratio for row in room.rows()}
    assert len(ratios) == 4
    assert all(ratio is not None and ratio > 0 for ratio in ratios.values())
    figures = room.figures()
    worst = max(r for name, r in ratios.items() if r is not None and name.startswith("request_"))
    assert figures["request_ratio"] == pytest.approx(worst, rel=1e-3)


def test_fan_out(lanes: Lanes) -> None:
    """Every one of 1, 10 and 50 consumers gets every event."""
    losses = Losses()
    room = FanOut(lanes, losses, deliveries=1)
    room.round()
    assert [row.name for row in room.rows()] == ["fanout_1", "fanout_10", "fanout_50"]
    assert (losses.events, losses.lost, losses.floor_lost) == (50 * 61, 0, 0)


def test_memory(processes: Processes, lanes: Lanes) -> None:
    """Growth is said with the number of events that it is measured over, and CPU of both sides."""
    room = Memory(processes, lanes, Losses(), events=2000, limit_s=60.0)
    room.round()
    growth, daemon, consumer = room.rows()
    assert "2000 events" in growth.figure
    assert growth.ours is not None
    assert room.figures() == {"rss_growth_events": 2000}
    assert daemon.ours is not None
    assert daemon.ours > 0
    assert consumer.name == "cpu_consumer"


def test_memory_at_the_start(tmp_path: Path) -> None:
    """A daemon with a simulated radio takes some memory, and leaves nothing behind."""
    room = StartMemory(tmp_path / "start")
    room.round()
    (row,) = room.rows()
    assert row.ours is not None
    assert 10 < row.ours < 200
    assert not (tmp_path / "start" / "run").exists()


def test_memory_at_the_start_without_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the simulated radio is not installed, nothing is measured, and nothing claimed."""
    monkeypatch.setattr("lies.bench.start.Registry.names", lambda *_: [])
    room = StartMemory(tmp_path / "start")
    room.round()
    (row,) = room.rows()
    assert (row.ours, row.met) == (None, None)
    assert row.figures() == {"rss_start_mb": None}


def test_start_of_commands(processes: Processes) -> None:
    """Both commands take longer than a bare interpreter, and load nothing heavy."""
    assert processes.daemon
    room = StartTime(processes.runtime_dir)
    room.round()
    helped, traced, heavy = room.rows()
    for row in (helped, traced):
        assert row.ours is not None
        assert row.floor is not None
        assert row.ours > row.floor
    assert heavy.ours == 0


def test_abstract_entity(processes: Processes) -> None:
    """All samples of a made trace are fed, and cause indications."""
    room = Abstract(processes, samples=1000, traces=None, seed=1)
    room.round()
    rate, growth = room.rows()
    assert rate.ours is not None
    assert rate.ours > 0
    assert growth.ours is not None
    figures = room.figures()
    assert (figures["ae_samples"], figures["ae_trace"]) == (5000, "made")  # in five parts of a chunk at least
    assert isinstance(figures["ae_indications"], int)
    assert figures["ae_indications"] > 0


def test_abstract_entity_on_recorded_traces(processes: Processes, tmp_path: Path) -> None:
    """Traces in a folder are fed, other files are not, and fewer samples than asked for are said."""
    head = "t_s,link_type,operator,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm\n"
    (tmp_path / "deep").mkdir()
    rows = [f"{t},wifi,,ap1,{-50 - t % 30},,,,,,\n" for t in range(100)]
    (tmp_path / "deep" / "a.csv").write_text(head + "".join(rows))
    (tmp_path / "list.csv").write_text("file,rows\na.csv,100\n")
    room = Abstract(processes, samples=1000, traces=tmp_path, seed=1)
    room.round()
    figures = room.figures()
    assert figures["ae_samples"] == 101  # and one Attached
    assert figures["ae_trace"] == str(tmp_path)


def test_a_stopped_receiver_loses_and_it_is_counted(processes: Processes, lanes: Lanes) -> None:
    """Events that a stopped consumer's queue cannot hold are lost, told as a Gap, and counted by number."""
    lane, client, count = lanes.blocking.ours, processes.client("client"), 12_000
    client.post.begin(Receive(count, (0,), lane.where, lane.link, lane.style, patience_s=60.0))
    lane.sender.begin(Send(1, (0,), every_ns=1))  # the client has opened the segment
    assert lane.sender.reply(Sent).sent == 1
    board = processes.board
    os.kill(client.pid, signal.SIGSTOP)
    try:
        lane.sender.begin(Send(count - 2, (1,), burst=1))  # and one that opens it, for a slot of nobody
        wait_until(lambda: answer(lane.sender, Sent, board) is not None, 60)
    finally:
        os.kill(client.pid, signal.SIGCONT)
    while (received := answer(client.post, Received, board)) is None:  # until what comes now tells it the end
        lane.sender.begin(Send(1, (1,)))
        wait_until(lambda: answer(lane.sender, Sent, board) is not None, 60)
    assert isinstance(received, Received)
    segment = Segment(1, Sent(count, 1, stalled=False), received)
    assert 0 < segment.lost < count
    assert received.gaps > 0
    losses = Losses()
    losses.note(lane, segment)
    assert (losses.lost, losses.row().ours, losses.row().met) == (segment.lost, segment.lost, False)


def answer(mailbox: Mailbox, kind: type[Sent | Received], board: Board) -> Sent | Received | None:
    """What a process answers; None if it does not yet. A sender to slot 1 may take the segment for opened."""
    board.set(1, 1)
    try:
        return mailbox.reply(kind, 0.05)
    except TimedOut:
        return None


def test_orders_that_cannot_be_followed(processes: Processes) -> None:
    """A process says in one sentence why it cannot do what it is told, and goes on."""
    assert processes.daemon
    post = processes.client("client").post
    with pytest.raises(LiesError, match=r"the bench's client: .*client cannot Feed"):
        post.begin(Feed(1))
    with pytest.raises(LiesError, match="no daemon answers"):
        post.begin(Ask(1, "link_status", str(processes.directory / "nowhere")))
    post.begin(Ask(1, "link_status", str(processes.runtime_dir), "bench0"))
    post.reply(object)


def test_slow_delivery_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delay between a driver and its host makes latency and ratio worse by as much, and misses the goal."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    with Processes(tmp_path, driver=SLOW_DRIVER) as slow:
        room = Latency(Lanes(slow), Losses(), events=3, interval_ns=1_000_000)
        room.round()
        rows = {row.name: row for row in room.rows()}
    for prefix in CONTESTS:
        row = rows[f"{prefix}latency_median"]
        assert row.ours is not None
        assert row.ours >= DELAY_S * 1e6
        assert row.floor is not None
        assert row.ratio == pytest.approx(row.ours / row.floor)
    assert rows["latency_median"].met is False
