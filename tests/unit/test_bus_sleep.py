"""A process that did not run for a while takes nobody else for dead because of it."""

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from bus_rig import Dealer, Heard, daemon, hear, on_loop, until
from tools import die_with_parent

from lies.bus import Client, RemotePublisher, _connection, _endpoint
from lies.bus.messages import Heartbeat, Hello, Welcome
from lies.runtime import now_s


def _has(heard: Heard, count: int) -> bool:
    return len(heard.events) == count


class Sleeper:
    """The clock of one side: time goes on while it sleeps."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now_s(self) -> float:
        """Its time."""
        return now_s() + self.slept_s


@on_loop
async def test_a_consumer_that_slept_keeps_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour in which it did not run is no silence of the daemon's: nothing is lost, no session begins."""
    async with daemon(tmp_path / "run") as d, await Client.connect(d.directory, name="mn") as client:
        heard = hear(client)
        await client.register("link_up")
        (session,) = d.core.sessions
        sleeper = Sleeper()
        monkeypatch.setattr(_connection, "now_s", sleeper.now_s)
        for n in range(1, 4):
            sleeper.slept_s += 3600.0
            d.driver.up(f"ap{n}")
            await until(partial(_has, heard, n))
        assert heard.gaps == []
        assert d.core.sessions == {session}


@on_loop
async def test_a_daemon_that_slept_drops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour in which it did not run, a daemon has all its peers still, and no link is Down."""
    async with daemon(tmp_path / "run") as d, await Client.connect(d.directory, name="mn") as client:
        heard = hear(client)
        await client.register("link_down")
        publisher = await RemotePublisher.connect(d.directory, name="child")
        sleeper = Sleeper()
        monkeypatch.setattr(_endpoint, "now_s", sleeper.now_s)
        with Dealer(d.directory) as counting:
            counting.say(Hello("counting", "ipv6"))
            await counting.until_received(Welcome)
            for _ in range(3):
                sleeper.slept_s += 3600.0
                for _ in range(5):
                    await counting.until_received(Heartbeat)
        assert client.connected
        assert publisher.connected
        assert (d.server.consumers, d.server.drivers) == (2, 1)
        assert heard.log == [entry for entry in heard.log if entry[0] == "snapshot"]
        publisher.close()


STOPPED = """
import asyncio, sys
from lies.bus import Client

async def main(directory):
    async with await Client.connect(directory, name="stopped") as client:
        client.on_event(lambda event: print(event.poa, flush=True))
        client.on_gap(lambda gap: print("gap", flush=True))
        await client.register("link_up")
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


@on_loop
async def test_a_stopped_consumer_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP for longer than a silence may last, then SIGCONT: it hears the rest, and of no gap."""
    silence_s = 1.0
    monkeypatch.setattr(_connection, "SILENCE_S", silence_s)
    program = f"from lies.bus import _connection\n_connection.SILENCE_S = {silence_s}\n{STOPPED}"
    async with daemon(tmp_path / "run") as d:
        child = subprocess.Popen(  # noqa: ASYNC220 - no wait
            [sys.executable, "-c", program, str(d.directory)],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
        )
        assert child.stdout is not None
        try:
            assert await asyncio.to_thread(child.stdout.readline) == "ready\n"
            os.kill(child.pid, signal.SIGSTOP)
            stopped_s = now_s()
            d.driver.up("ap1")
            await until(lambda: now_s() - stopped_s > 2 * silence_s)
            d.driver.up("ap2")
            os.kill(child.pid, signal.SIGCONT)
            for poa in ("ap1", "ap2"):
                assert await asyncio.to_thread(child.stdout.readline) == f"{poa}\n"
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
