"""The supervisor: order, failures, child processes, and what is left behind."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fake_plugins
import pytest

from lies._decode import decode
from lies.bus.client import Client
from lies.bus.messages import LinkState
from lies.bus.rights import Right
from lies.config import Config, ConsumerConfig, DaemonConfig, DriverConfig
from lies.errors import ConfigError, EndpointInUse, UnknownPlugin
from lies.events import DownReason, LinkDown, LinkUp
from lies.supervisor import Supervisor, find_links, run, run_daemon

LIMIT_S = 15.0  # far more than anything takes; a child process starts in half a second


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake plugins are installed."""
    fake_plugins.install(tmp_path / "site", monkeypatch)


def config_of(
    directory: Path,
    *drivers: DriverConfig,
    consumers: tuple[ConsumerConfig, ...] = (),
    stop_s: float = 2.0,
) -> Config:
    """A configuration with quick restarts."""
    daemon = DaemonConfig(runtime_dir=directory / "run", restart_min_s=0.02, restart_max_s=0.1, stop_s=stop_s)
    return Config(daemon, drivers, consumers)


def fake(name: str, *, isolate: bool = False, **options: Any) -> DriverConfig:
    """A fake driver whose link is named after it."""
    return DriverConfig(name, "fake", isolate=isolate, options={"link": f"{name}-link", **options})


@asynccontextmanager
async def daemon(config: Config) -> AsyncIterator[asyncio.Task[None]]:
    """A running daemon; it must have stopped in time and removed its directory afterwards."""
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run(config, ready=ready.set, stop=stop))
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        yield task
    finally:
        stop.set()
        if not task.done():
            await asyncio.wait_for(task, LIMIT_S)
        assert config.daemon.runtime_dir is not None
        assert not config.daemon.runtime_dir.exists()


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Client]:
    """A running daemon and a client of it."""
    assert config.daemon.runtime_dir is not None
    async with daemon(config), await Client.connect(config.daemon.runtime_dir, name="t") as client:
        yield client


async def eventually(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - what is waited for is outside this loop
            await asyncio.sleep(0.01)


async def until(client: Client, link: str, true_of: Callable[[LinkState], bool]) -> LinkState:
    """Wait until a link's state is as asked."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            for state in await client.links(link):
                if true_of(state):
                    return state
            await asyncio.sleep(0.01)


def up(state: LinkState) -> bool:
    """The link is up."""
    return state.up


def lost(state: LinkState) -> bool:
    """Nobody watches the link."""
    return state.lost is DownReason.DRIVER_LOST


def test_order_of_start_and_stop(tmp_path: Path) -> None:
    """Drivers start before consumers and stop after them."""

    async def main() -> None:
        consumers = (ConsumerConfig("c", "ear"),)
        async with daemon(config_of(tmp_path, fake("d"), consumers=consumers)):
            assert fake_plugins.LOG == ["d start", "c start"]

    asyncio.run(main())
    assert fake_plugins.LOG == ["d start", "c start", "c stop", "d stop"]


def test_failed_start_leaves_the_others_alone(tmp_path: Path) -> None:
    """A driver that cannot start does not keep the others down, and comes up when it can."""
    off = tmp_path / "off"
    off.touch()

    async def main() -> None:
        async with running(config_of(tmp_path, fake("bad", fail_while=str(off)), fake("good"))) as client:
            await until(client, "good-link", up)
            assert not await client.links("bad-link")
            off.unlink()
            await until(client, "bad-link", up)

    asyncio.run(main())
    assert fake_plugins.LOG.count("good start") == 1


@pytest.mark.parametrize("isolate", [False, True])
def test_failure_is_indicated_and_repaired(isolate: bool, tmp_path: Path) -> None:
    """A driver that fails later: LinkDown(driver_lost), then LinkUp when it runs again; others go on."""
    unplug = tmp_path / "unplug"

    async def main() -> list[object]:
        heard: list[object] = []
        config = config_of(tmp_path, fake("d", isolate=isolate, fail_when=str(unplug)), fake("good"))
        async with running(config) as client:
            await until(client, "d-link", up)
            client.on_event(heard.append)
            for primitive in ("link_up", "link_down"):
                await client.register(primitive)
            unplug.touch()
            await eventually(lambda: len(heard) >= 2)
        return heard[:2]

    down, again = asyncio.run(main())
    assert isinstance(down, LinkDown)
    assert (down.header.link.name, down.reason) == ("d-link", DownReason.DRIVER_LOST)
    assert isinstance(again, LinkUp)
    assert again.header.link.name == "d-link"
    assert again.header.epoch > down.header.epoch


def test_killed_child_is_noticed_at_once(tmp_path: Path) -> None:
    """SIGKILL of an isolated driver: its link is lost at once and comes back from a new process."""
    pid_file = tmp_path / "pid"

    async def main() -> None:
        config = config_of(tmp_path, fake("d", isolate=True, pid_file=str(pid_file)), fake("good"))
        async with running(config) as client:
            await until(client, "d-link", up)
            first = int(pid_file.read_text())
            assert first != os.getpid()
            downs: list[LinkDown] = []
            client.on_event(lambda e: downs.append(e) if isinstance(e, LinkDown) else None)
            await client.register("link_down")
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: bool(downs), 1.0)  # the bus itself would take three seconds to miss it
            assert downs[0].reason is DownReason.DRIVER_LOST
            await until(client, "d-link", up)
            assert int(pid_file.read_text()) != first

    asyncio.run(main())
    assert fake_plugins.LOG == ["good start", "good stop"]


def test_child_that_blocks_is_killed(tmp_path: Path) -> None:
    """An isolated driver that blocks its loop holds nobody up: it is killed when the daemon stops."""
    pid_file = tmp_path / "pid"

    async def main() -> int:
        config = config_of(tmp_path, fake("d", isolate=True, pid_file=str(pid_file)), stop_s=0.2)
        async with running(config) as client:
            await until(client, "d-link", up)
            await client.link_connect("d-link", "block")
            await until(client, "d-link", lost)  # its heartbeats are missed
            return int(pid_file.read_text())

    pid = asyncio.run(main())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_action_reaches_an_isolated_driver(tmp_path: Path) -> None:
    """LinkConnect is followed by a driver in a child process; one that raises in it is started again."""

    async def main() -> None:
        async with running(config_of(tmp_path, fake("d", isolate=True))) as client:
            await until(client, "d-link", up)
            await client.link_connect("d-link", "ap2")
            await until(client, "d-link", lambda s: s.poa == "ap2")
            await client.link_connect("d-link", "crash")
            await until(client, "d-link", lambda s: s.poa == "ap1")

    asyncio.run(main())


def test_finished_driver_stays_finished(tmp_path: Path) -> None:
    """The links of a driver whose input has ended are lost, and it is not started again."""

    async def main() -> None:
        async with running(config_of(tmp_path, fake("d", finish=True))) as client:
            await until(client, "d-link", lost)

    asyncio.run(main())
    assert fake_plugins.LOG == ["d start", "d stop"]


def test_hanging_stop_is_bounded(tmp_path: Path) -> None:
    """A driver whose stop never returns is left behind after stop_s; the directory is removed."""

    async def main() -> float:
        async with daemon(config_of(tmp_path, fake("d", hang_in_stop=True), stop_s=0.1)):
            began = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(main()) < 3.0


@pytest.mark.parametrize("isolate", [False, True])
def test_consumers_hear(isolate: bool, tmp_path: Path) -> None:
    """A consumer hears links come up, in the daemon and in a child process."""
    file = tmp_path / "heard"
    ear = ConsumerConfig("ear", "ear", isolate=isolate, options={"file": str(file)})

    async def main() -> None:
        async with running(config_of(tmp_path, fake("d"), consumers=(ear,))) as client:
            await client.link_connect("d-link", "ap2")
            await eventually(lambda: file.exists() and "d-link ap2\n" in file.read_text())

    asyncio.run(main())


def test_consumer_that_raises_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A consumer's callback that raises ends this consumer's run; it is started again."""
    ear = ConsumerConfig("ear", "ear", options={"choke_on": "ap2"})

    async def main() -> None:
        async with running(config_of(tmp_path, fake("d"), consumers=(ear,))) as client:
            await client.link_connect("d-link", "ap2")
            await eventually(lambda: fake_plugins.LOG.count("ear start") >= 2)
            assert (await until(client, "d-link", up)).poa == "ap2"

    asyncio.run(main())
    failed = [vars(r) for r in caplog.records if r.getMessage() == "failed; it is started again"]
    assert {(f["plugin"], f["reason"]) for f in failed} == {("ear", "ValueError: ap2 tastes bad")}
    assert fake_plugins.LOG.count("d start") == 1


def test_second_daemon_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An occupied runtime directory is EndpointInUse, and 1 from run_daemon; the first goes on."""

    async def main() -> None:
        config = config_of(tmp_path, fake("d"))
        async with daemon(config):
            with pytest.raises(EndpointInUse, match="another daemon"):
                await run(config)
            assert await asyncio.to_thread(_daemon_in_child, config) == 1
            async with await Client.connect(tmp_path / "run", name="t") as client:
                assert await client.links()

    asyncio.run(main())
    assert "lies: another daemon" in capfd.readouterr().err


def _daemon_in_child(config: Config) -> int:
    """The exit code of run_daemon in a forked process, as a testbed does it."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = run_daemon(config)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_nothing_starts_with_a_wrong_configuration(tmp_path: Path) -> None:
    """An unknown driver or a wrong option is raised before the directory is made."""
    unknown = config_of(tmp_path, fake("d"), DriverConfig("x", "fakee"))
    wrong = config_of(tmp_path, fake("d"), fake("e", fail_wen="x"))
    with pytest.raises(UnknownPlugin, match="did you mean 'fake'"):
        asyncio.run(run(unknown))
    with pytest.raises(ConfigError, match=r"\[drivers.e\]: fail_wen: unknown key; did you mean 'fail_when'"):
        asyncio.run(run(wrong))
    assert not (tmp_path / "run").exists()
    assert fake_plugins.LOG == []


def test_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd hears READY=1 when everything was started, and STOPPING=1 before anything stops."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        async def main() -> None:
            async with daemon(config_of(tmp_path, fake("d"))):
                assert manager.recv(100) == b"READY=1\nSTATUS=1 of 1 links up"
                with pytest.raises(BlockingIOError):
                    manager.recv(100)

        asyncio.run(main())
        assert manager.recv(100) == b"STOPPING=1"


def test_stop_while_starting(tmp_path: Path) -> None:
    """Who is told to stop while a driver hangs in its start does not wait for it."""

    async def main() -> float:
        stop = asyncio.Event()
        task = asyncio.create_task(run(config_of(tmp_path, fake("d", hang_in_start=True)), stop=stop))
        await eventually(lambda: "d start" in fake_plugins.LOG)
        began = asyncio.get_running_loop().time()
        stop.set()
        await asyncio.wait_for(task, LIMIT_S)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(main()) < 1.5
    assert fake_plugins.LOG == ["d start", "d stop"]
    assert not (tmp_path / "run").exists()


def test_unknown_group(tmp_path: Path) -> None:
    """A group that this machine does not know is a configuration error that names the key."""
    config = Config(DaemonConfig(runtime_dir=tmp_path / "run", group="no-such-group"))
    with pytest.raises(ConfigError, match=r"\[daemon\]: group: no group 'no-such-group'"):
        asyncio.run(run(config))


def test_rights_come_from_the_configuration(tmp_path: Path) -> None:
    """Listed users have their rights, the group's members the group's, and nobody else any."""
    users = {"root": ("listen",), "4711": ("listen", "publish")}
    daemon = decode(DaemonConfig, {"group": "root", "users": users, "group_rights": ["act"]})
    rights = Supervisor(Config(daemon)).core.rights
    assert rights.of(0) == {Right.LISTEN}
    assert rights.of(4711) == {Right.LISTEN, Right.PUBLISH}
    assert rights.of(4712) == {Right.ACT}
    assert Supervisor(Config(DaemonConfig(runtime_dir=tmp_path))).core.rights.of(4712) == set()
    with pytest.raises(ConfigError, match=r"\[daemon.users\]: no-such-user: no user 'no-such-user'"):
        Supervisor(Config(DaemonConfig(users={"no-such-user": ()})))
    with pytest.raises(ConfigError, match=r"users.alice\[0\]: 'lisen' is none of listen, act, publish"):
        decode(DaemonConfig, {"users": {"alice": ["lisen"]}}, table="daemon")


def test_without_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers that find links by themselves are used, and one sentence says which, or that there is none."""
    monkeypatch.setattr("lies_rtnetlink.Rtnetlink.discover", dict)  # whatever interfaces are here
    config, said = find_links(tmp_path / "lies.toml")
    assert config.drivers == ()
    assert said.endswith("no driver found a link by itself, the bus runs without one")
    monkeypatch.setenv("FAKE_LINK", "wlan7")
    config, said = find_links(tmp_path / "lies.toml")
    assert config.drivers == (DriverConfig("found", "finder", options={"link": "wlan7"}),)
    assert said.endswith("the drivers found found (finder)")
