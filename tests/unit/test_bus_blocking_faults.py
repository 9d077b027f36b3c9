"""The client without an event loop: holes, silence, restarts, and pauses of its own."""

from pathlib import Path

import pytest
from blocking_rig import hear_all, take_until, threaded_daemon
from losses import lose
from polling import wait_until

from lies.bus import BlockingClient, Gap
from lies.bus import _blocking as blocking_connection
from lies.errors import TimedOut
from lies.runtime import now_s


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A runtime directory that is not there yet."""
    return tmp_path / "run"


def test_hole_is_repaired(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries that got lost on the way are fetched from the history; all come in order, without a gap."""
    lose(monkeypatch, 3, 4, 7)
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        heard = hear_all(client)
        client.register("link_up")
        d.ups(1, 10)
        taken = take_until(client, lambda: len(heard.events) == 10)
        assert [m.poa for m in taken] == [f"ap{i}" for i in range(1, 11)]
        assert heard.gaps == []
        assert d.core.counters.repaired >= 3


def test_lost_tail_is_noticed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last deliveries are lost, the next heartbeat reveals it and they are repaired."""
    lose(monkeypatch, 4, 5)
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        heard = hear_all(client)
        client.register("link_up")
        d.ups(1, 5)
        taken = take_until(client, lambda: len(heard.events) == 5)
        assert [m.poa for m in taken] == [f"ap{i}" for i in range(1, 6)]


def test_what_history_has_forgotten_is_a_gap(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole older than the history is a Gap with its exact numbers between the events, then a snapshot."""
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        heard = hear_all(client)
        number = client.register("link_up")
        lose(monkeypatch, *range(2, 601))
        d.ups(1, 600)
        take_until(client, lambda: heard.events and heard.events[-1].poa == "ap600")
        assert heard.gaps == [Gap(number, "link_up", "*", None, 2, 344)]
        kinds = [(e[0], getattr(e[-1], "poa", None)) for e in heard.log if e[0] != "snapshot"]
        assert kinds[:3] == [("event", "ap1"), ("gap", None), ("event", "ap345")]
        take_until(client, lambda: len(heard.snapshots) == 2)
        assert heard.snapshots[1].links[0].poa == "ap600"


def test_full_queue_is_told(directory: Path) -> None:
    """Who takes nothing for too long loses what waits, and is told exactly what before the next event."""
    with (
        threaded_daemon(directory) as d,
        BlockingClient.connect(directory, name="mn", limit=10) as client,
    ):
        heard = hear_all(client)
        number = client.register("link_up")
        assert client.next_event(0.0) is None
        d.ups(1, 25)
        client.link_status("wlan0")
        take_until(client, lambda: heard.events and heard.events[-1].poa == "ap25")
        covered = 0
        for kind, *_, what in heard.log:
            if kind == "gap":
                assert (what.registration, what.first) == (number, covered + 1)
                covered = what.last
            elif kind == "event":
                covered += 1
                assert what.poa == f"ap{covered}"
        assert covered == 25
        assert len(heard.gaps) == 2
        take_until(client, lambda: len(heard.snapshots) == 3)


def test_restart_of_the_daemon(directory: Path) -> None:
    """After a restart it registers again by itself, is told of the gap, and gets the snapshot."""
    with (
        threaded_daemon(directory) as first,
        BlockingClient.connect(directory, name="mn", request_timeout_s=0.2) as client,
    ):
        heard = hear_all(client)
        number = client.register("link_up", "wlan0")
        everything = client.register("link_down")
        first.ups(1, 1)
        take_until(client, lambda: heard.events)
        first.stop()
        take_until(client, lambda: len(heard.gaps) == 2)
        assert not client.connected
        with pytest.raises(TimedOut):
            client.link_status("wlan0")
        assert heard.gaps == [
            Gap(number, "link_up", "wlan0", None, 2, None),
            Gap(everything, "link_down", "*", None, 1, None),
        ]
        heard.log.clear()
        with threaded_daemon(directory, epoch=2) as second:
            take_until(client, lambda: client.connected and len(heard.snapshots) == 2)
            assert client.epoch == 2
            second.ups(2, 2)
            take_until(client, lambda: heard.events)
            assert [m.poa for m in heard.events] == ["ap2"]
            assert {s.registration for s in heard.snapshots} == {number, everything}
            client.disable(number)
            second.ups(3, 3)
            assert client.link_status("wlan0").poa == "ap3"
            assert client.next_event(0.0) is None


def test_away_for_too_long(directory: Path) -> None:
    """A client that calls nothing until it is forgotten goes on with a Gap, a Snapshot and new events."""
    with (
        threaded_daemon(directory, consumer_timeout_s=0.1) as d,
        BlockingClient.connect(directory, name="mn") as client,
    ):
        heard = hear_all(client)
        number = client.register("link_up")
        d.ups(1, 1)
        wait_until(lambda: d.server.consumers == 0, 10)
        d.ups(2, 2)
        take_until(client, lambda: len(heard.snapshots) == 2)
        assert heard.gaps == [Gap(number, "link_up", "*", None, 2, None)]
        assert heard.snapshots[1].links[0].poa == "ap2"
        d.ups(3, 3)
        take_until(client, lambda: len(heard.events) == 2)
        assert [m.poa for m in heard.events] == ["ap1", "ap3"]


def test_silent_daemon_is_left(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is not heard while the client listens is taken for gone, and asked anew."""
    monkeypatch.setattr(blocking_connection, "SILENCE_S", 0.1)
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        heard = hear_all(client)
        client.register("link_up")
        for endpoint in d.server._endpoints:
            monkeypatch.setattr(endpoint, "tick", lambda: None)
        take_until(client, lambda: heard.gaps)
        take_until(client, lambda: len(heard.snapshots) == 2)
        assert client.connected


def test_silence_counts_while_listening_only(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of the client's own is no silence of the daemon."""
    monkeypatch.setattr(blocking_connection, "SILENCE_S", 0.1)
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        heard = hear_all(client)
        client.register("link_up")
        for endpoint in d.server._endpoints:
            monkeypatch.setattr(endpoint, "tick", lambda: None)
        client.next_event(0.0)
        pause_end_s = now_s() + 0.5
        wait_until(lambda: now_s() > pause_end_s, 10)
        client.next_event(0.0)
        assert heard.gaps == []
        assert client.connected


def test_unanswered_request(directory: Path) -> None:
    """A request to a daemon that does not answer in time is TimedOut and leaves nothing."""
    with threaded_daemon(directory) as d:
        client = BlockingClient.connect(directory, name="mn", request_timeout_s=0.05)
        for endpoint in d.server._endpoints:
            endpoint.take = lambda *_: None  # type: ignore[method-assign]  # a daemon that hears and does nothing
        with pytest.raises(TimedOut):
            client.links()
        assert not client._pending
        client.close()


def test_many_events_without_loss(directory: Path) -> None:
    """Thousands of events in a row arrive once each, in order."""
    events = 5000
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        heard = hear_all(client)
        client.register("link_up")
        d.ups(1, events)
        taken = take_until(client, lambda: len(heard.events) == events)
        assert [m.poa for m in taken] == [f"ap{i}" for i in range(1, events + 1)]
        assert heard.gaps == []
