"""SIGHUP: another configuration without the loss of an event, and what a wrong one does not do."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from attrs import evolve
from bus_rig import on_loop, until
from daemon_kit import LIES, text_of
from daemon_kit import daemon as process
from polling import wait_until
from tools import need

from lies.bus import BlockingClient, Client, LinkState, Right
from lies.config import Config, ConsumerConfig, DaemonConfig, DriverConfig, MetricsConfig, TcpConfig
from lies.errors import ConfigError, LiesError, NotPermitted
from lies.events import DownReason, LinkDown, LinkUp
from lies.supervisor import Supervisor, _as_begun, _run, _waiting_for_restart


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake plugins are installed."""
    fake_plugins.install(tmp_path / "site", monkeypatch)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs of this process stay pytest's."""
    monkeypatch.setattr("lies.supervisor.set_up_logs", lambda *_: None)


def fake(name: str, *, isolate: bool = False, **options: Any) -> DriverConfig:
    """A fake driver whose link is named after it."""
    return DriverConfig(name, "fake", isolate=isolate, options={"link": f"{name}-link", **options})


def config_of(directory: Path, *drivers: DriverConfig, **daemon: Any) -> Config:
    """A configuration."""
    return Config(DaemonConfig(runtime_dir=directory / "run", stop_s=2.0, **daemon), drivers)


class Reloadable:
    """A running daemon whose configuration can be replaced."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.supervisor = Supervisor(config)

    async def become(self, config: Config) -> bool:
        """Whether another configuration was taken."""
        self.config = config
        return await self.supervisor.reload(lambda: self.config)

    def link(self, name: str) -> LinkState | None:
        """What the bus knows of a link."""
        return self.supervisor.core.links.get(name)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Reloadable]:
    """A running daemon."""
    one = Reloadable(config)
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(_run(one.supervisor, ready.set, stop, None, None))
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        yield one
    finally:
        stop.set()
        await task


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The keys of each time that an event was logged."""
    return [vars(record) for record in caplog.records if record.getMessage() == event]


@on_loop
async def test_only_what_differs_is_touched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Plugins that are added, removed or changed are started, stopped, restarted; others do not notice."""
    caplog.set_level("INFO")
    ear = ConsumerConfig("ear", "ear")
    before = evolve(config_of(tmp_path, fake("a"), fake("b"), fake("c")), consumers=(ear,))
    async with running(before) as one:
        fake_plugins.LOG.clear()
        changed = fake("b", pid_file=str(tmp_path / "pid"))
        assert await one.become(evolve(before, drivers=(changed, fake("a"), fake("d"))))
        assert fake_plugins.LOG[:2] in (["b stop", "c stop"], ["c stop", "b stop"])
        assert sorted(fake_plugins.LOG[2:]) == ["b start", "d start"]
        assert sorted(one.supervisor.core.links) == ["a-link", "b-link", "d-link"]
        assert all(state.up for state in one.supervisor.core.links.values())
        (used,) = said(caplog, "the new configuration is used")
        assert (used["added"], used["removed"], used["changed"]) == (["d"], ["c"], ["b"])
        fake_plugins.LOG.clear()
        assert await one.become(one.config)
        assert await one.become(evolve(one.config, consumers=()))
        assert fake_plugins.LOG == ["ear stop"]
        assert await one.become(evolve(one.config, consumers=(ear,)))
        assert fake_plugins.LOG == ["ear stop", "ear start"]


@on_loop
async def test_links_of_a_removed_driver(tmp_path: Path) -> None:
    """They go down for the reason driver_lost, and are forgotten; a renamed link leaves nothing behind."""
    async with running(config_of(tmp_path, fake("a"), fake("b", isolate=True))) as one:
        heard: list[Any] = []
        async with await Client.connect(tmp_path / "run", name="t") as client:
            client.on_event(heard.append)
            await client.register("link_down")
            await client.register("link_up")
            renamed = fake("a", link="new-link")
            assert await one.become(evolve(one.config, drivers=(renamed,)))
            await until(lambda: len(heard) == 3)
            downs = {e.header.link.name: e.reason for e in heard if isinstance(e, LinkDown)}
            assert downs == {"a-link": DownReason.DRIVER_LOST, "b-link": DownReason.DRIVER_LOST}
            assert isinstance(heard[-1], LinkUp)
            assert [state.link.name for state in await client.links()] == ["new-link"]


@pytest.mark.parametrize("how", ["broken", "unknown", "option", "raises", "group"])
def test_a_wrong_configuration_changes_nothing(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One sentence in the log and in the status says why; nothing is stopped, started or withdrawn."""

    @on_loop
    async def run() -> None:
        good = config_of(tmp_path, fake("a"))
        async with running(good) as one:
            fake_plugins.LOG.clear()
            rights = one.supervisor.core.rights.of(4711)
            users = {"4711": ()}
            wrong: dict[str, Callable[[], Config]] = {
                "broken": lambda: _raise(ConfigError("line 3: no value", file="lies.toml")),
                "unknown": lambda: config_of(tmp_path, DriverConfig("x", "fakee"), users=users),
                "option": lambda: config_of(tmp_path, fake("x", fail_wen="y"), users=users),
                "raises": lambda: _raise(ZeroDivisionError("a plugin's bug")),
                "group": lambda: config_of(tmp_path, fake("b"), group="no-such-group", users=users),
            }
            assert not await one.supervisor.reload(wrong[how])
            assert fake_plugins.LOG == []
            assert one.supervisor.core.rights.of(4711) == rights
            (refused,) = said(caplog, "the new configuration is not used; the old one goes on")
            assert refused["reason"]
            assert one.supervisor.status() == (
                f"1 of 1 links up; the new configuration is not used: {refused['reason']}"
            )
            assert one.supervisor.reloads == {"done": 0, "refused": 1}
            assert await one.become(good)
            assert one.supervisor.status() == "1 of 1 links up"

    run()


def _raise(error: Exception) -> Config:
    raise error


@on_loop
async def test_what_waits_for_a_restart_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Directory, owner, group, heartbeats and TCP endpoints stay as they are, and are named each time."""
    before = config_of(tmp_path, fake("a"))
    async with running(before) as one:
        daemon = evolve(
            before.daemon, runtime_dir=tmp_path / "other", heartbeat_s=0.5, group="root", owner="root"
        )
        for _ in range(2):
            assert await one.become(evolve(before, daemon=daemon))
        named = said(caplog, "some of it takes effect when the daemon is started again")
        assert [n["keys"] for n in named] == [["runtime_dir", "owner", "group", "heartbeat_s"]] * 2
        assert not (tmp_path / "other").exists()
        assert await one.become(before)
        assert len(said(caplog, "some of it takes effect when the daemon is started again")) == 2


def test_changed_tcp_endpoints_are_named() -> None:
    """Another address or key of [daemon.tcp] waits for a restart; who may come in does not."""
    no_tcp, tcp = DaemonConfig(), DaemonConfig(tcp=TcpConfig(bus="tcp://127.0.0.1:1", key="a"))
    assert list(_waiting_for_restart(no_tcp, tcp)) == ["tcp.bus", "tcp.key"]
    assert list(_waiting_for_restart(tcp, no_tcp)) == ["tcp.bus", "tcp.key"]
    assert list(_waiting_for_restart(tcp, tcp)) == []
    assert _as_begun(tcp, no_tcp).tcp == tcp.tcp
    assert _as_begun(no_tcp, tcp).tcp is None


@on_loop
async def test_rights_take_effect_at_once(tmp_path: Path) -> None:
    """A user's rights that are withdrawn are gone with the reload; what was never listed can be given."""
    uid = str(os.geteuid())
    before = config_of(tmp_path, fake("a"))
    async with running(before) as one, await Client.connect(tmp_path / "run", name="t") as client:
        await client.link_connect("a-link", "ap2")
        listen = evolve(before, daemon=evolve(before.daemon, users={uid: (Right.LISTEN,)}))
        assert await one.become(listen)
        await until(lambda: client.connected)
        with pytest.raises(LiesError) as caught:
            await _settled(client, "a-link")
        assert isinstance(caught.value, NotPermitted)
        assert await one.become(before)
        await client.link_connect("a-link", "ap1")


async def _settled(client: Client, link: str) -> None:
    """Ask until the client, which had to say Hello again, has an answer that is one."""
    while True:
        try:
            await client.link_connect(link, "ap3")
        except NotPermitted:
            raise
        except LiesError:
            await asyncio.sleep(0.01)


@on_loop
async def test_metrics_move(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Metrics are offered, moved and taken away by a reload; where the new place cannot be had they stay."""
    plain = config_of(tmp_path, fake("a"))

    def offered(listen: str | None) -> Config:
        metrics = None if listen is None else MetricsConfig(listen)
        return evolve(plain, daemon=evolve(plain.daemon, metrics=metrics))

    first, second = tmp_path / "first", tmp_path / "second"
    async with running(plain) as one:
        offer = one.supervisor.offer
        assert offer.listen is None
        assert await one.become(offered(str(first)))
        assert first.is_socket()
        assert await one.become(offered(str(second)))
        assert second.is_socket()
        assert not first.exists()
        first.write_text("in the way")
        assert await one.become(offered(str(first)))
        assert second.is_socket()
        (stays,) = said(caplog, "metrics are not offered there")
        assert "is no socket" in stays["reason"]
        assert await one.become(offered(None))
        assert not second.exists()
        assert [session.name for session in one.supervisor.core.sessions] == []


@on_loop
async def test_stop_while_a_reload_starts_a_driver(tmp_path: Path) -> None:
    """A daemon that is told to stop in the middle of a reload stops what that has begun."""
    async with running(config_of(tmp_path, fake("a"))) as one:
        hanging = evolve(one.config, drivers=(fake("a"), fake("b", hang_in_start=True)))
        reload = asyncio.create_task(one.become(hanging))
        await until(lambda: "b start" in fake_plugins.LOG)
        reload.cancel()
    assert sorted(fake_plugins.LOG) == ["a start", "a stop", "b start", "b stop"]


def test_no_event_is_lost_across_reloads(tmp_path: Path) -> None:
    """A witness hears each move of a link once, across five SIGHUPs that add and remove other drivers."""

    def text(number: int) -> str:
        other = f'[drivers.other]\ndriver = "fake"\nlink = "other{number}"\n' if number % 3 else ""
        child = '[drivers.child]\ndriver = "fake"\nlink = "child0"\nisolate = true\n' if number % 2 else ""
        level = "debug" if number % 2 else "info"
        return f'[daemon]\nlog_level = "{level}"\n[drivers.fake]\n{other}{child}'

    def used() -> int:
        return text_of(one.log).count("the new configuration is used")

    with process(tmp_path, text(0)) as one:
        one.wait_up()
        with BlockingClient.connect(one.run_dir, name="witness") as witness:
            gaps: list[object] = []
            witness.on_gap(gaps.append)
            witness.register("link_up", "fake0")
            heard, moves = [], 0
            epoch = witness.epoch
            for number in range(1, 6):
                one.file.write_text(text(number))
                one.process.send_signal(signal.SIGHUP)
                while used() < number:
                    for _ in range(20):
                        witness.link_connect("fake0", f"ap{moves}")
                        moves += 1
                    heard += [e.poa for e in witness.events(0.01) if isinstance(e, LinkUp)]
            while len(heard) < moves:
                event = witness.next_event(20.0)
                assert isinstance(event, LinkUp), "not every event has come"
                heard.append(event.poa)
            assert heard == [f"ap{number}" for number in range(moves)]
            assert moves >= 100
            assert (gaps, witness.epoch) == ([], epoch)
        one.file.write_text("[daemon\n")
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the new configuration is not used" in text_of(one.log), 20)
        assert one.links()[0]["up"]
        assert one.stop() == 0


def test_a_closed_terminal_ends_the_daemon(tmp_path: Path) -> None:
    """SIGHUP reloads a daemon that runs in a terminal; when the terminal is closed it ends in order."""
    file, log, run_dir = tmp_path / "lies.toml", tmp_path / "log", tmp_path / "run"
    file.write_text(f'[daemon]\nruntime_dir = "{run_dir}"\n[drivers.fake]\n')
    far, near = os.openpty()
    with log.open("wb") as stderr:
        one = subprocess.Popen(
            [need("setsid"), "--ctty", *LIES, "run", "-c", str(file)], stdin=near, stderr=stderr
        )
    try:
        os.close(near)
        wait_until(lambda: " running " in text_of(log), 30)
        one.send_signal(signal.SIGHUP)
        wait_until(lambda: "the new configuration is used" in text_of(log), 30)
        assert one.poll() is None
        os.close(far)
        assert one.wait(30) == 0
        assert not run_dir.exists()
    finally:
        if one.poll() is None:
            one.kill()
            one.wait()


def test_children_log_as_the_daemon_does(tmp_path: Path) -> None:
    """A child that a reload does not restart writes its next lines in the new format."""
    text = '[daemon]\nlog_level = "{}"\nlog_format = "{}"\n[drivers.fake]\nisolate = true\n'
    with process(tmp_path, text.format("error", "console")) as one:
        one.wait_up()
        one.file.write_text(text.format("info", "json"))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: '"the new configuration is used"' in text_of(one.log), 20)

        def moved() -> bool:
            assert one.lies("connect", "fake0", "ap2").exit_code == 0
            return '"plugin": "fake", "event": "moving", "link": "fake0"' in text_of(one.log)

        wait_until(moved, 20)  # it hears of the new format a little later than the daemon
        assert one.stop() == 0
