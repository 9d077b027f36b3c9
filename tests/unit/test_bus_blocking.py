"""The client without an event loop: the same verbs, streams, callbacks and end."""

import os
import signal
import subprocess
import sys
import threading
from inspect import signature
from pathlib import Path

import pytest
from blocking_rig import hear_all, threaded_daemon
from bus_rig import WLAN
from polling import wait_until

from lies.bus import BlockingClient, Client, Right, Rights
from lies.errors import LinkError, LinkErrorReason, NoDaemon, NotPermitted, TimedOut
from lies.events import CareOfAddressChanged, Crossing, Header, Quality
from lies.runtime import now_s


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A runtime directory that is not there yet."""
    return tmp_path / "run"


def test_public_names_are_those_of_the_other_clients() -> None:
    """Every verb of the asyncio client is there with the same parameters; two are added."""
    theirs = {name for name in dir(Client) if not name.startswith("_")}
    ours = {name for name in dir(BlockingClient) if not name.startswith("_")}
    assert theirs - ours == set()
    assert ours - theirs == {"next_event", "serve"}
    for name in theirs - {"connect", "events"}:
        mine, other = getattr(BlockingClient, name), getattr(Client, name)
        if callable(other):
            assert signature(mine) == signature(other), name


def test_verbs(directory: Path) -> None:
    """Registering, asking, acting and disabling give what the asyncio client gives."""
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        heard = hear_all(client)
        first = client.register("link_status_changed", event=Crossing.BELOW, threshold=Quality.GOOD)
        again = client.register("link_status_changed", event=Crossing.BELOW, threshold=Quality.FAIR)
        other = client.register("link_up", "wlan0")
        assert first == again != other
        d.ups(1, 1)
        for quality in (Quality.GOOD, Quality.FAIR, Quality.BAD):
            d.do(lambda: d.driver.level(quality))  # noqa: B023 - called before the next turn
        status = client.link_status("wlan0")
        assert (status.link, status.poa, status.condition.quality) == (WLAN, "ap1", Quality.BAD)
        assert client.poa_list("wlan0").poas == ()
        assert [type(m).__name__ for m in client.events(0.0)] == ["LinkUp", "LinkStatusChanged"]
        client.link_connect("wlan0", "ap2")
        client.link_disconnect("wlan0", "ap1")
        wait_until(lambda: [a.poa for a in d.driver.port.actions] == ["ap2", "ap1"], 10)
        client.disable(other)
        d.ups(2, 2)
        assert client.links("wlan0")[0].poa == "ap2"
        assert client.links("eth9") == ()
        assert client.next_event(0.0) is None
        assert len(heard.events) == 2
        assert [s.registration for s in heard.snapshots[:3]] == [first, first, other]
        assert set(client.known_links) == {"wlan0"}


def test_errors(directory: Path) -> None:
    """Refusals raise what they raise everywhere."""
    with threaded_daemon(directory), BlockingClient.connect(directory, name="mn") as client:
        for refused in (
            lambda: client.link_status("eth9"),
            lambda: client.poa_list("eth9"),
            lambda: client.register("link_up", "eth9"),
            lambda: client.link_connect("eth9", "ap1"),
        ):
            with pytest.raises(LinkError) as error:
                refused()
            assert error.value.reason is LinkErrorReason.UNKNOWN_LINK
        for wrong in (lambda: client.register("link_upp"), lambda: client.disable(7)):
            with pytest.raises(LinkError) as error:
                wrong()
            assert error.value.reason is LinkErrorReason.INVALID


def test_no_daemon_and_no_right(directory: Path) -> None:
    """Without a daemon it is NoDaemon at once; who may not listen is NotPermitted, who may not act too."""
    with pytest.raises(NoDaemon):
        BlockingClient.connect(directory, name="mn")
    uid = os.geteuid()
    with threaded_daemon(directory, rights=Rights({uid: {Right.PUBLISH}})), pytest.raises(NotPermitted):
        BlockingClient.connect(directory, name="mn")
    rights = Rights({uid: {Right.LISTEN, Right.PUBLISH}})
    with (
        threaded_daemon(directory, rights=rights),
        BlockingClient.connect(directory, name="mn") as client,
        pytest.raises(NotPermitted),
    ):
        client.link_connect("wlan0", "ap1")


def test_reports(directory: Path) -> None:
    """A report reaches who registered for it, with publisher and numbers of the client."""
    with (
        threaded_daemon(directory) as d,
        BlockingClient.connect(directory, name="mn") as client,
        BlockingClient.connect(directory, name="watcher") as watcher,
    ):
        watcher.register("report", "wlan0")
        header = Header("anything", 0, 0, 5, 6, WLAN)
        for coa in ("2001:db8::1", "2001:db8::2"):
            client.publish(CareOfAddressChanged(header, coa, None, "fe80::1", None))
        events = [watcher.next_event(10.0) for _ in range(2)]
        assert [e.coa for e in events] == ["2001:db8::1", "2001:db8::2"]
        assert [(e.header.publisher, e.header.sequence) for e in events] == [("mn", 1), ("mn", 2)]
        assert d.server.consumers == 2


def test_events_end_after_their_time(directory: Path) -> None:
    """next_event is None and events end after their timeout, and not before; 0 takes what is there."""
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        client.register("link_up")
        begin_s = now_s()
        assert client.next_event(0.1) is None
        assert now_s() - begin_s >= 0.1
        d.ups(1, 3)
        assert [m.poa for m in client.events(0.1)] == ["ap1", "ap2", "ap3"]
        assert now_s() - begin_s >= 0.2
        assert list(client.events(0.0)) == []


def test_numbers_are_the_clients_own(directory: Path) -> None:
    """A registration's number is the client's, whatever the daemon's is, and disables what it names."""
    with (
        threaded_daemon(directory) as d,
        BlockingClient.connect(directory, name="a") as a,
        BlockingClient.connect(directory, name="b") as b,
    ):
        numbers = [(c.register("link_up"), c.register("link_down")) for c in (a, b)]
        assert numbers == [(1, 2), (1, 2)]
        b.disable(1)
        d.ups(1, 1)
        d.do(d.driver.down)
        assert type(b.next_event(10.0)).__name__ == "LinkDown"
        assert type(a.next_event(10.0)).__name__ == "LinkUp"


def test_serve_keeps_the_session(directory: Path) -> None:
    """While the caller waits for a descriptor the session lives, and events wait in order."""
    with (
        threaded_daemon(directory, consumer_timeout_s=0.2) as d,
        BlockingClient.connect(directory, name="mn") as client,
    ):
        heard = hear_all(client)
        client.register("link_up")
        reader, writer = os.pipe()
        assert client.serve(0.5, descriptors=[reader]) is False
        assert d.server.consumers == 1

        def ups_then_byte() -> None:
            d.ups(1, 3)
            os.write(writer, b"x")

        work = threading.Thread(target=ups_then_byte)
        work.start()
        assert client.serve(20.0, descriptors=[reader]) is True
        work.join()
        assert heard.events == []
        assert [m.poa for m in client.events(0.1)] == ["ap1", "ap2", "ap3"]
        os.close(reader)
        os.close(writer)


def test_after_close(directory: Path) -> None:
    """A closed client gives what it had, then None; requests are TimedOut; the daemon forgets it."""
    with threaded_daemon(directory) as d:
        client = BlockingClient.connect(directory, name="mn")
        client.register("link_up")
        d.ups(1, 1)
        client.link_status("wlan0")
        client.close()
        client.close()
        assert [m.poa for m in client.events()] == ["ap1"]
        assert client.next_event() is None
        assert client.serve() is False
        with pytest.raises(TimedOut):
            client.link_status("wlan0")
        wait_until(lambda: d.server.consumers == 0, 10)


def test_what_a_callback_raises_is_the_callers(directory: Path) -> None:
    """An error in a callback comes out of next_event; the client can go on."""
    with threaded_daemon(directory) as d, BlockingClient.connect(directory, name="mn") as client:
        client.register("link_up")
        failing = [KeyError("once")]

        def fail(_: object) -> None:
            if failing:
                raise failing.pop()

        client.on_event(fail)
        d.ups(1, 2)
        with pytest.raises(KeyError, match="once"):
            client.next_event(10.0)
        event = client.next_event(10.0)
        assert event is not None
        assert event.poa == "ap2"


CHILD = """
import sys
from lies.bus import BlockingClient

with BlockingClient.connect(sys.argv[1], name="child") as client:
    client.register("link_up")
    print("ready", flush=True)
    try:
        for event in client.events():
            print(event.poa, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_interrupt_ends_the_iteration(directory: Path) -> None:
    """Ctrl-C while events are awaited raises at once, and the daemon is told Goodbye."""
    with threaded_daemon(directory) as d:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(directory)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        d.ups(1, 1)
        assert child.stdout.readline() == "ap1\n"
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=20)
        assert (out, child.returncode) == ("interrupted\n", 0)
        wait_until(lambda: d.server.consumers == 0, 10)
