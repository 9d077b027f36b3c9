"""`lies links` shows each failure: links whose driver died, and drivers and consumers that do not run."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from bus_rig import daemon as served
from bus_rig import on_loop
from daemon_kit import Daemon, daemon
from fake_plugins import install
from polling import wait_until

from lies.bus import BlockingClient, BusCore, Client, LocalClient, Right, Rights
from lies.bus.messages import PluginState, PluginStatus
from lies.cli._links import _news, _sentence
from lies.errors import NotPermitted

FAILED = PluginState(
    "modem",
    "driver",
    "cellular",
    PluginStatus.FAILED,
    starts=4,
    reason="did not start: no modem",
    retry_in_ms=3210,
)


def lines(one: Daemon) -> list[dict[str, Any]]:
    """What `lies links -j` prints."""
    return [json.loads(line) for line in one.lies("links", "-j").stdout.splitlines()]


def plugin_line(one: Daemon) -> dict[str, Any] | None:
    """The line of a plugin, if there is one."""
    return next((line for line in lines(one) if line["type"] == "plugin"), None)


def test_driver_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reason and next start are shown while it fails, as table and JSON, and nothing once it runs."""
    install(tmp_path / "site", monkeypatch)
    off = tmp_path / "off"
    off.touch()
    config = (
        "[daemon]\nrestart_min_s = 0.2\nrestart_max_s = 0.2\n"
        '[drivers.good]\ndriver = "fake"\nlink = "fake0"\n'
        f'[drivers.bad]\ndriver = "fake"\nlink = "fake1"\nisolate = true\nfail_while = "{off}"\n'
    )
    with daemon(tmp_path, config) as one:
        one.wait_up()
        wait_until(lambda: (plugin_line(one) or {}).get("status") == "failed", 20)
        wait_until(lambda: (plugin_line(one) or {"starts": 0})["starts"] >= 2, 20)
        line = plugin_line(one)
        assert line is not None
        about = {key: line[key] for key in ("name", "kind", "plugin", "isolated", "reason", "link", "up")}
        assert about == {
            "name": "bad",
            "kind": "driver",
            "plugin": "fake",
            "isolated": True,
            "reason": "did not start: OSError: the radio is switched off",
            "link": None,
            "up": False,
        }
        shown = one.lies("links").stdout.splitlines()
        assert shown[1].startswith("fake0")
        assert shown[2].startswith("driver bad ")
        assert "OSError: the radio is switched off" in shown[2]
        off.unlink()
        wait_until(lambda: len([s for s in one.links() if s["up"]]) == 2, 20)
        wait_until(lambda: plugin_line(one) is None, 20)
        assert len(one.lies("links").stdout.splitlines()) == 3


def test_driver_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its link is down for the reason driver_lost, and the plugin's line says why."""
    install(tmp_path / "site", monkeypatch)
    unplug = tmp_path / "unplug"
    config = f'[daemon]\nrestart_min_s = 25.0\n[drivers.fake]\nfail_when = "{unplug}"\n'
    with daemon(tmp_path, config) as one:
        one.wait_up()
        unplug.touch()
        wait_until(lambda: plugin_line(one) is not None, 20)
        link, plugin = lines(one)
        assert (link["type"], link["up"], link["lost"]) == ("link_status", False, "driver_lost")
        assert plugin["reason"] == "OSError: the radio was unplugged"
        assert 0 <= plugin["retry_in_ms"] <= 25_000
        _, row, sentence = one.lies("links").stdout.splitlines()
        assert "down (driver_lost)" in row
        assert sentence.startswith(
            "driver fake failed: OSError: the radio was unplugged; it is started again in "
        )


def test_watched_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lies links --watch -j` prints a plugin's line when it fails, and one more when it runs again."""
    install(tmp_path / "site", monkeypatch)
    off = tmp_path / "off"
    off.touch()
    config = f'[daemon]\nrestart_min_s = 0.2\nrestart_max_s = 0.2\n[drivers.fake]\nfail_while = "{off}"\n'
    with daemon(tmp_path, config) as one:
        wait_until(lambda: plugin_line(one) is not None, 20)
        watch = one.begin("links", "--watch", "-j")
        try:
            assert watch.stdout is not None
            assert json.loads(watch.stdout.readline())["reason"].endswith("the radio is switched off")
            off.unlink()
            while (line := json.loads(watch.stdout.readline())).get("status") != "running":
                pass
            assert line["name"] == "fake"
        finally:
            watch.kill()
            watch.communicate()


def test_sentences() -> None:
    """Each state is a sentence of its own."""
    assert _sentence(FAILED) == (
        "driver modem failed: did not start: no modem; it is started again in 3.2 s (start 5)"
    )
    again = evolve(FAILED, status=PluginStatus.STARTING, retry_in_ms=None)
    assert _sentence(again) == "driver modem is starting again; it failed before: did not start: no modem"
    assert _sentence(evolve(again, reason="")) == "driver modem is starting"
    finished = evolve(FAILED, kind="consumer", status=PluginStatus.FINISHED)
    assert _sentence(finished) == "consumer modem has finished: its input has ended"
    assert _sentence(evolve(FAILED, status=PluginStatus.RUNNING)) == "driver modem is running"


def test_what_is_news() -> None:
    """A failure is news, another start of it too, and that it is over; the time to the next start is not."""
    running = evolve(FAILED, status=PluginStatus.RUNNING)
    assert _news(FAILED, None)
    assert not _news(running, None)
    assert _news(FAILED, running)
    assert not _news(evolve(FAILED, retry_in_ms=1), FAILED)
    assert _news(evolve(FAILED, starts=5), FAILED)
    assert _news(running, FAILED)
    assert not _news(running, running)


@on_loop
async def test_every_client_can_ask(tmp_path: Path) -> None:
    """Clients on a socket and in the process get the same answer; it takes the right to listen."""
    rights = Rights({0: {Right.ACT}, 4711: set(Right)}, owner=0)
    async with served(tmp_path / "run") as running:
        running.core.plugins = lambda: (FAILED,)
        async with await Client.connect(running.directory, name="t") as client:
            assert await client.plugins() == (FAILED,)
        assert await LocalClient(running.core, "l").plugins() == (FAILED,)
    core = BusCore(epoch=1, rights=rights)
    assert await LocalClient(core, "l", uid=4711).plugins() == ()
    deaf = LocalClient(core, "deaf", uid=0)
    with pytest.raises(NotPermitted):
        await deaf.plugins()
    assert core.counters.refused == 1


def test_blocking_client_can_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client without a loop has the verb too."""
    install(tmp_path / "site", monkeypatch)
    with daemon(tmp_path, "[drivers.fake]\n") as one:
        one.wait_up()
        with BlockingClient.connect(one.run_dir, name="t") as client:
            (plugin,) = client.plugins()
            assert (plugin.name, plugin.status, plugin.starts) == ("fake", PluginStatus.RUNNING, 1)
