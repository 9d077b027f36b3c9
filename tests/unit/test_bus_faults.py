"""The bus under faults: slow, stopped and killed peers, holes, restarts."""

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bus_rig import LTE, Dealer, Driver, Heard, daemon, hear, on_loop, until

from lies.bus import BusCore, BusServer, Client, Gap, RemotePublisher, Snapshot
from lies.bus._outbox import Outbox
from lies.bus.core import Event
from lies.bus.frames import primitive_frames
from lies.bus.messages import Hello, LinkState, Refusal, Refused, Welcome
from lies.errors import LinkError, TimedOut
from lies.events import (
    DownReason,
    Header,
    LinkStatusRequest,
    LinkUp,
    LinkUpConfirm,
    LinkUpRequest,
)


def _are(heard: Heard, count: int) -> bool:
    return len(heard.events) == count


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A runtime directory that is not there yet."""
    return tmp_path / "run"


@on_loop
async def test_slow_consumer_gets_every_event_or_a_gap(directory: Path) -> None:
    """A consumer that does not read stops nobody, and is told exactly what it lost, then how things are."""
    events = 6000
    async with (
        daemon(directory, queue_limit=1000, send_limit=10) as d,
        await Client.connect(directory, name="witness") as witness,
    ):
        heard = hear(witness)
        await witness.register("link_up")
        with Dealer(directory, receive_limit=10) as slow:
            slow.say(Hello("slow", "ipv6"))
            slow.send(*primitive_frames(LinkUpRequest(1, "*"), layer="L2", protocol="*"))
            await slow.until_received(LinkUpConfirm)
            await slow.until_received(Snapshot)
            for i in range(1, events + 1):
                d.driver.up(f"ap{i}")
                if i % 20 == 0:
                    await until(partial(_are, heard, i))
            covered, lost, snapshots = 0, 0, 0
            while covered < events:
                received = await slow.receive()
                if received.place is not None:
                    assert received.place[1] == covered + 1
                    assert received.message.poa == f"ap{covered + 1}"
                    covered += 1
                elif isinstance(received.message, Gap):
                    assert received.message.first == covered + 1
                    assert received.message.publisher == "sim"
                    assert received.message.last is not None
                    lost += received.message.last - received.message.first + 1
                    covered = received.message.last
                    snapshot = await slow.until_received(Snapshot)
                    assert snapshot.links[0].poa is not None
                    snapshots += 1
            assert lost > 0
            assert snapshots > 0
            await until(lambda: d.core.counters.dropped == lost)
        assert [m.poa for m in heard.events] == [f"ap{i}" for i in range(1, events + 1)]
        assert heard.gaps == []


@on_loop
async def test_who_asks_and_never_reads_is_left(directory: Path) -> None:
    """A peer that sends requests and reads no confirm is forgotten before it costs memory."""
    async with daemon(directory, queue_limit=50, send_limit=10) as d:
        with Dealer(directory, receive_limit=1) as greedy:
            greedy.say(Hello("greedy", "ipv6"))
            await until(lambda: d.server.consumers == 1)
            while d.server.consumers:
                greedy.send(*primitive_frames(LinkStatusRequest(1, "wlan0"), layer="L2", protocol="*"))
                await asyncio.sleep(0)


@on_loop
async def test_silent_consumer_is_forgotten_and_told(directory: Path) -> None:
    """A consumer that sends no heartbeat is forgotten; when it speaks again it learns that it is unknown."""
    async with daemon(directory, consumer_timeout_s=0.1) as d:
        with Dealer(directory) as mute:
            mute.say(Hello("mute", "ipv6"))
            await mute.until_received(Welcome)
            await until(lambda: not d.server.consumers)
            mute.send(*primitive_frames(LinkStatusRequest(1, "wlan0"), layer="L2", protocol="*"))
            assert (await mute.until_received(Refused)).code is Refusal.UNKNOWN_SESSION


CHILD = """
import asyncio, sys
from lies.bus import Client, RemotePublisher
from lies.driver_host import DriverHostBase
from lies.events import Attached, Link, Technology

async def main(kind, directory):
    if kind == "consumer":
        client = await Client.connect(directory, name="child")
        await client.register("link_up")
    else:
        from pathlib import Path
        publisher = await RemotePublisher.connect(Path(directory), name="child")
        host = DriverHostBase("child", publisher)
        port = host.add_link(Link("wwan0", Technology.LTE), controllable=False)
        port.feed(Attached(host.now_ns(), "cell7"))
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", ["consumer", "driver"])
@on_loop
async def test_killed_child(directory: Path, kind: str) -> None:
    """A consumer killed by SIGKILL is forgotten; the links of a killed driver go Down with DRIVER_LOST."""
    async with daemon(directory) as d, await Client.connect(directory, name="witness") as witness:
        heard = hear(witness)
        await witness.register("link_up", "*")
        await witness.register("link_down", "*")
        child = subprocess.Popen([sys.executable, "-c", CHILD, kind, str(directory)])  # noqa: ASYNC220 - no wait
        try:
            if kind == "consumer":
                await until(
                    lambda: any(r for s in d.core.sessions for r in s.registrations if s.name == "child")
                )
            else:
                await until(lambda: heard.events)
            child.send_signal(signal.SIGKILL)
            if kind == "consumer":
                await until(lambda: d.server.consumers == 1)
                return
            await until(lambda: len(heard.events) == 2)
        finally:
            child.kill()
            child.wait()
        up, down = heard.events
        assert (up.poa, up.header.publisher) == ("cell7", "child")
        assert (down.poa, down.reason) == ("cell7", DownReason.DRIVER_LOST)
        assert d.core.links["wwan0"].lost is DownReason.DRIVER_LOST


@on_loop
async def test_stopped_driver(directory: Path) -> None:
    """A driver that is stopped for too long is lost, and announces itself again when it goes on."""
    async with (
        daemon(directory, driver_timeout_s=0.3),
        await Client.connect(directory, name="witness") as witness,
    ):
        heard = hear(witness)
        await witness.register("link_up", "*")
        await witness.register("link_down", "*")
        child = subprocess.Popen([sys.executable, "-c", CHILD, "driver", str(directory)])  # noqa: ASYNC220 - no wait
        try:
            await until(lambda: len(heard.events) == 1)
            os.kill(child.pid, signal.SIGSTOP)
            await until(lambda: len(heard.events) == 2)
            assert heard.events[1].reason is DownReason.DRIVER_LOST
            os.kill(child.pid, signal.SIGCONT)
            await until(lambda: len(heard.events) == 3)
        finally:
            child.kill()
            child.wait()
        assert isinstance(heard.events[2], LinkUp)
        assert heard.events[2].poa == "cell7"


@on_loop
async def test_restart_of_the_daemon(directory: Path) -> None:
    """After a restart consumers register again by themselves, are told of the gap, and get the snapshot."""
    async with (
        daemon(directory) as first,
        await Client.connect(directory, name="mn", request_timeout_s=0.2) as client,
    ):
        heard = hear(client)
        number = await client.register("link_up", "wlan0")
        everything = await client.register("link_down")
        first.driver.up("ap1")
        await until(lambda: heard.events)
        await first.server.stop()
        await until(lambda: len(heard.gaps) == 2)
        assert not client.connected
        with pytest.raises(TimedOut):
            await client.link_status("wlan0")
        assert heard.gaps == [
            Gap(number, "link_up", "wlan0", None, 2, None),
            Gap(everything, "link_down", "*", None, 1, None),
        ]
        heard.log.clear()
        core = BusCore(epoch=2)
        async with BusServer(core, directory, heartbeat_s=0.02):
            await until(lambda: client.connected)
            assert client.epoch == 2
            driver = Driver(core)
            await until(lambda: len([s for s in core.sessions if len(s.registrations) == 2]))
            driver.up("ap2")
            await until(lambda: heard.events)
            assert [m.poa for m in heard.events] == ["ap2"]
            assert {s.registration for s in heard.snapshots} == {number, everything}
            await client.disable(number)
            driver.up("ap3")
            assert (await client.link_status("wlan0")).poa == "ap3"
            assert len(heard.events) == 1


class Lossy:
    """Makes an outbox lose deliveries: `lose` says which sequence numbers, once each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lose: int) -> None:
        self.lose = set(lose)
        deliver = Outbox.deliver

        def lossy(box: Outbox, frames: list[bytes], registration: Any, sequence: int, publisher: str) -> None:
            if sequence in self.lose:
                self.lose.discard(sequence)
                return
            deliver(box, frames, registration, sequence, publisher)

        monkeypatch.setattr(Outbox, "deliver", lossy)


@on_loop
async def test_hole_is_repaired(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries that got lost on the way are fetched from the history; the consumer sees all in order."""
    Lossy(monkeypatch, 3, 4, 7)
    async with daemon(directory) as d, await Client.connect(directory, name="mn") as client:
        heard = hear(client)
        await client.register("link_up")
        for i in range(1, 11):
            d.driver.up(f"ap{i}")
        await until(lambda: len(heard.events) == 10)
        assert [m.poa for m in heard.events] == [f"ap{i}" for i in range(1, 11)]
        assert heard.gaps == []
        assert d.core.counters.repaired >= 3


@on_loop
async def test_lost_tail_is_noticed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last deliveries are lost, the next heartbeat reveals it and they are repaired."""
    Lossy(monkeypatch, 4, 5)
    async with daemon(directory) as d, await Client.connect(directory, name="mn") as client:
        heard = hear(client)
        await client.register("link_up")
        for i in range(1, 6):
            d.driver.up(f"ap{i}")
        await until(lambda: len(heard.events) == 5)
        assert [m.poa for m in heard.events] == [f"ap{i}" for i in range(1, 6)]


@on_loop
async def test_what_history_has_forgotten_is_a_gap(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole older than the history becomes a Gap with its exact numbers and a snapshot."""
    async with daemon(directory) as d, await Client.connect(directory, name="mn") as client:
        heard = hear(client)
        number = await client.register("link_up")
        Lossy(monkeypatch, *range(2, 601))
        for i in range(1, 601):
            d.driver.up(f"ap{i}")
        await until(lambda: heard.events and heard.events[-1].poa == "ap600")
        assert heard.gaps == [Gap(number, "link_up", "*", None, 2, 344)]
        assert [m.poa for m in heard.events] == ["ap1", *(f"ap{i}" for i in range(345, 601))]
        await until(lambda: len(heard.snapshots) == 2)
        assert heard.snapshots[1].links[0].poa == "ap600"


@on_loop
async def test_driver_behind_a_stuck_daemon(directory: Path) -> None:
    """What a driver cannot get rid of is a Gap for its consumers, and its state is right in the end."""
    async with daemon(directory) as d, await Client.connect(directory, name="mn") as client:
        heard = hear(client)
        publisher = await RemotePublisher.connect(directory, name="child")
        header = Header("child", publisher.epoch, 0, 1, 1, LTE)
        publisher.announce(header, LinkState(LTE, "child"))
        await until(lambda: "wwan0" in d.core.links)
        await client.register("link_up", "wwan0")
        count = 0
        while not publisher.dropped:  # the daemon's loop is this one: it reads nothing meanwhile
            count += 1
            header = Header("child", publisher.epoch, count, count, count, LTE)
            state = LinkState(LTE, "child", up=True, poa=f"cell{count}")
            publisher.publish(header, (Event(LinkUp(header, f"cell{count}")),), state)
        await until(lambda: heard.gaps)
        await until(lambda: d.core.links["wwan0"].poa == f"cell{count}")
        (gap,) = heard.gaps
        assert gap.publisher == "child"
        assert gap.last == count
        assert [m.header.sequence for m in heard.events[: gap.first - 1]] == list(range(1, gap.first))
        publisher.close()


@on_loop
async def test_driver_survives_a_restart_of_the_daemon(directory: Path) -> None:
    """A driver in another process announces its links to a new daemon, which indicates them to who waits."""
    async with daemon(directory) as first:
        publisher = await RemotePublisher.connect(directory, name="child")
        header = Header("child", publisher.epoch, 3, 1, 1, LTE)
        publisher.announce(header, LinkState(LTE, "child", up=True, poa="cell7"))
        await until(lambda: "wwan0" in first.core.links)
        await first.server.stop()
        core = BusCore(epoch=2)
        async with (
            BusServer(core, directory, heartbeat_s=0.02),
            await Client.connect(directory, name="mn") as client,
        ):
            heard = hear(client)
            await client.register("link_up")
            await until(lambda: heard.events or heard.snapshots[0].links)
            assert core.links["wwan0"].poa == "cell7"
            assert all(m.poa == "cell7" for m in heard.events)
        publisher.close()


@on_loop
async def test_names_of_live_drivers_are_taken(directory: Path) -> None:
    """A second driver of the same name is refused while the first lives, and let in when it has gone."""
    async with daemon(directory) as d:
        first = await RemotePublisher.connect(directory, name="child")
        with pytest.raises(Exception, match="already"):
            await RemotePublisher.connect(directory, name="child")
        first.close()
        second = await RemotePublisher.connect(directory, name="child")
        assert d.server.drivers == 1
        second.close()


@on_loop
async def test_refused_parameters_do_not_stick(directory: Path) -> None:
    """A registration that was refused is not made again after a restart."""
    async with daemon(directory) as first, await Client.connect(directory, name="mn") as client:
        with pytest.raises(LinkError):
            await client.register("link_up", "eth9")
        await client.register("link_up", "*")
        await first.server.stop()
        core = BusCore(epoch=2)
        async with BusServer(core, directory, heartbeat_s=0.02):
            await until(lambda: any(s.registrations for s in core.sessions))
            (session,) = core.sessions
            assert list(session.registrations) == [("link_up", "*")]
