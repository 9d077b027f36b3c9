"""What Prometheus reads of a bus, judged by Prometheus' own parsers."""

import asyncio
import builtins
import importlib
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from bus_rig import WLAN, Daemon, Dealer, Driver, daemon, on_loop, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from lies._scrape import OPENMETRICS
from lies.bus import Client, LocalClient
from lies.bus.frames import primitive_frames
from lies.bus.messages import Hello, PluginState, PluginStatus
from lies.errors import PluginUnavailable
from lies.events import HandoverDone, Header, Link, LinkUpRequest, Quality, Technology
from lies.metrics import MOST_LABELS, Metrics

PLUGINS = (
    PluginState("car", "driver", "simwifi", PluginStatus.RUNNING, starts=3),
    PluginState("mn", "consumer", "fmipv6", PluginStatus.FAILED, starts=1, reason="no"),
)


class Page:
    """One page that was parsed."""

    def __init__(self, families: Any) -> None:
        self.kinds: dict[str, str] = {}
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in families:
            assert family.name not in self.kinds, "each family is there once"
            self.kinds[family.name] = family.type
            for sample in family.samples:
                self._values[sample.name, frozenset(sample.labels.items())] = sample.value

    def value(self, name: str, **labels: str) -> float | None:
        """A sample's value, None if it is not there."""
        return self._values.get((name, frozenset(labels.items())))

    def labels(self, name: str, label: str) -> list[str]:
        """The values of a label of a sample's name."""
        return sorted({dict(found)[label] for sample, found in self._values if sample == name})


async def page_of(metrics: Metrics, accept: str = "") -> Page:
    """What a scrape gets."""
    content_type, text = await metrics.render(accept)
    assert content_type.startswith("application/openmetrics-text" if accept else "text/plain")
    return Page((open_metrics if accept else plain_text)(text.decode()))


@asynccontextmanager
async def measured(directory: Path) -> AsyncIterator[tuple[Daemon, Metrics]]:
    """A served bus with the link wlan0, and its metrics."""
    async with daemon(directory / "run") as running:
        reloads: Mapping[str, int] = {"done": 2, "refused": 1}
        metrics = Metrics(running.core, running.server, lambda: PLUGINS, reloads)
        await metrics.start()
        try:
            yield running, metrics
        finally:
            metrics.close()


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_counts_of_the_bus(accept: str, tmp_path: Path) -> None:
    """Events by primitive and link, states, counters, plugins and reloads, in both formats."""

    @on_loop
    async def run() -> None:
        async with measured(tmp_path) as (running, metrics):
            driver = running.driver
            driver.up()
            driver.level(Quality.GOOD)
            driver.down()
            driver.up()
            running.core.counters.unlisted_keys = 7
            page = await page_of(metrics, accept)
            assert page.value("lies_events_total", primitive="link_up", link="wlan0") == 2
            assert page.value("lies_events_total", primitive="link_down", link="wlan0") == 1
            assert page.value("lies_events_total", primitive="link_status_changed", link="wlan0") == 1
            assert page.value("lies_published_total") == 4
            assert page.value("lies_unlisted_keys_total") == 7
            assert page.value("lies_links", state="up") == 1
            assert page.value("lies_links", state="driver_lost") == 0
            assert page.value("lies_plugin_up", plugin="car", kind="driver") == 1
            assert page.value("lies_plugin_up", plugin="mn", kind="consumer") == 0
            assert page.value("lies_plugin_restarts_total", plugin="car", kind="driver") == 2
            assert page.value("lies_plugin_restarts_total", plugin="mn", kind="consumer") == 0
            assert page.value("lies_reloads_total", result="refused") == 1
            assert page.value("lies_consumers") == 1
            for name in ("gaps", "repaired", "refused", "turned_away", "handshakes", "dropped"):
                assert page.value(f"lies_{name}_total") == 0, name
            assert (page.value("process_resident_memory_bytes") or 0) > 0

    run()


@on_loop
async def test_labels_go_with_links_and_consumers(tmp_path: Path) -> None:
    """A link or consumer that is no more is in no label; beyond a hundred links the rest is one."""
    async with measured(tmp_path) as (running, metrics):
        core = running.core
        async with await Client.connect(running.directory, name="ear") as client:
            await client.register("link_up")
            page = await page_of(metrics)
            assert page.value("lies_queue_messages", consumer="ear") == 0
        await until(lambda: running.server.consumers == 0)
        running.driver.up()
        for number in range(MOST_LABELS + 5):
            Driver(core, f"d{number}", Link(f"w{number}", Technology.WIFI)).up()
        page = await page_of(metrics)
        assert page.labels("lies_queue_messages", "consumer") == []
        assert len(page.labels("lies_events_total", "link")) == MOST_LABELS + 1
        assert page.value("lies_events_total", primitive="link_up", link="*") == 6
        core.remove_link(running.driver.publisher, "wlan0")
        page = await page_of(metrics)
        assert "wlan0" not in page.labels("lies_events_total", "link")
        assert page.value("lies_events_total", primitive="link_up", link="*") == 5


@on_loop
async def test_queue_of_a_stopped_consumer(tmp_path: Path) -> None:
    """What waits for a consumer that does not read is shown under its name."""
    async with daemon(tmp_path / "run", send_limit=1) as running:
        metrics = Metrics(running.core, running.server, tuple, {})
        with Dealer(running.directory, receive_limit=1, RCVBUF=4096) as dealer:
            dealer.say(Hello("stopped", "ipv6"))
            dealer.send(*primitive_frames(LinkUpRequest(1, "*"), layer="L2", protocol="*"))
            await until(lambda: running.core.counters.requests == 1)
            for _ in range(3000):
                running.driver.up()
                running.driver.down()
            page = await page_of(metrics)
            assert (page.value("lies_queue_messages", consumer="stopped") or 0) > 0


@on_loop
async def test_lead_time(tmp_path: Path) -> None:
    """From the first LinkGoingDown to the LinkDown; withdrawn ones and lost drivers do not count."""
    async with measured(tmp_path) as (running, metrics):
        driver = running.driver

        def wait(seconds: float) -> None:
            driver.t_ns += round(seconds * 1e9)

        driver.up()
        driver.going_down()
        wait(0.7)
        driver.going_down(0.9)
        wait(0.7)
        driver.down()  # 1.4 s after the first
        driver.up()
        driver.going_down()
        wait(3)
        driver.cancelled()
        wait(3)
        driver.down()  # nobody said so
        driver.up()
        driver.down("requested")
        driver.up()
        driver.going_down()
        wait(0.3)
        driver.close()  # the driver was lost, not the signal
        page = await page_of(metrics)
        name = "lies_going_down_lead_seconds"
        assert page.kinds[name] == "histogram"
        assert page.value(f"{name}_count") == 1
        assert page.value(f"{name}_sum") == pytest.approx(1.4, abs=1e-3)
        assert page.value(f"{name}_bucket", le="1.0") == 0
        assert page.value(f"{name}_bucket", le="2.0") == 1
        assert metrics._going_down == {}


@on_loop
async def test_handovers(tmp_path: Path) -> None:
    """Handovers by mode, and how long the link was of no use; what was not measured does not count."""
    async with measured(tmp_path) as (running, metrics):
        header = Header("x", 1, 1, 1, 1, WLAN)
        ms = 1_000_000
        none = HandoverDone(header, "none", "ap1", "ap2", None, None, None, None, None, None, None, None)
        done = evolve(none, link_down_ns=100 * ms, link_up_ns=103 * ms)
        fmipv6 = LocalClient(running.core, "fmipv6")
        fmipv6.publish(evolve(done, mode="predictive", fback_ns=90 * ms, una_ns=104 * ms))
        fmipv6.publish(evolve(done, mode="reactive", una_ns=104 * ms, fback_ns=140 * ms))
        fmipv6.publish(none)
        fmipv6.publish(evolve(done, mode="of my own", link_down_ns=1 << 60))
        fmipv6.publish(evolve(done, header=evolve(header, link=Link("elsewhere0", Technology.WIFI))))
        page = await page_of(metrics)
        for mode, count in (("predictive", 1), ("reactive", 1), ("none", 2), ("other", 1)):
            assert page.value("lies_handovers_total", mode=mode) == count
        outage = "lies_handover_outage_seconds"
        assert page.value(f"{outage}_sum", mode="predictive") == pytest.approx(0.004)
        assert page.value(f"{outage}_sum", mode="reactive") == pytest.approx(0.040)
        assert page.value(f"{outage}_count", mode="none") == 1
        assert page.value(f"{outage}_count", mode="other") is None
        assert page.value("lies_events_total", primitive="handover_done", link="wlan0") == 4
        assert page.value("lies_events_total", primitive="handover_done", link="*") == 1
        fmipv6.close()


@on_loop
async def test_events_pass_while_a_page_is_made(tmp_path: Path) -> None:
    """Between two families the loop is free, and links that come and go meanwhile do no harm."""
    async with measured(tmp_path) as (running, metrics):
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                Driver(running.core, f"d{turns}", Link(f"w{turns}", Technology.WIFI)).up()
                await asyncio.sleep(0)

        busy = asyncio.create_task(others())
        page = await page_of(metrics)
        busy.cancel()
        assert turns > len(page.kinds) / 2


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prometheus_client one sentence says which extra brings it."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "prometheus_client":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "lies.metrics")
    with pytest.raises(PluginUnavailable) as caught:
        importlib.import_module("lies.metrics")
    assert str(caught.value) == (
        '[daemon.metrics] needs a library that is not installed: pip install "lies[metrics]"'
    )
    assert caught.value.exit_code == 1
