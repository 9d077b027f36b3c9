"""Links and their states, and the plugins that do not run, once or whenever something changes."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from attrs import evolve

from lies.bus.messages import LinkState, PluginState, PluginStatus
from lies.cli._client import connected, on_reader_gone
from lies.cli._events import REGISTRABLE, shown
from lies.cli._output import clean, on_terminal, print_json, print_table
from lies.errors import TimedOut
from lies.events import PoACondition

REFRESH_S = 0.5  # a watched table is read again this soon after an event at most
LOOK_S = 2.0  # and after this long without one: a plugin that cannot start causes no event


def link_object(state: LinkState) -> dict[str, Any]:
    """The JSON object of one link, of type link_status."""
    going_down, serving = state.going_down, serving_of(state)
    return {
        "type": "link_status",
        "link": state.link.name,
        "technology": state.link.technology.value,
        "publisher": state.publisher,
        "up": state.up,
        "poa": state.poa,
        "network": None if serving is None else serving.network,
        "frequency_mhz": None if serving is None else serving.frequency_mhz,
        "condition": msgspec.to_builtins(state.condition),
        "poas": len(state.poas),
        "going_down_confidence": None if going_down is None else going_down.confidence,
        "controllable": state.controllable,
        "lost": None if state.lost is None else state.lost.value,
    }


def serving_of(state: LinkState) -> PoACondition | None:
    """The PoA that the link is attached to, with what is known of it."""
    return next((p for p in state.poas if p.poa == state.poa), None)


def plugin_object(plugin: PluginState) -> dict[str, Any]:
    """The JSON object of one driver or consumer, of type plugin; `link` and `up` are on every line."""
    return {"type": "plugin", "link": None, "up": False, **msgspec.to_builtins(plugin)}


def print_links(states: Sequence[LinkState], plugins: Sequence[PluginState], *, json: bool) -> None:
    """All links, then the plugins given: an object a line, or a table and sentences.

    As objects only plugins that failed, or run again: one that starts, or has finished, is nothing to act on.
    """
    states = sorted(states, key=lambda s: s.link.name)
    if json:
        for state in states:
            print_json(link_object(state))
        for plugin in plugins:
            if plugin.reason or _runs(plugin):
                print_json(plugin_object(plugin))
        return
    print_table(
        ("link", "technology", "state", "PoA", "network", "quality", "Mbit/s", "PoAs", "driver"),
        [_row(s) for s in states],
    )
    for plugin in plugins:
        print(clean(_sentence(plugin)))


def _row(state: LinkState) -> tuple[str, ...]:
    if state.lost is not None:
        word = f"down ({state.lost.value})"
    elif state.going_down is not None:
        word = "going down"
    else:
        word = "up" if state.up else "down"
    bandwidth, serving = state.condition.bandwidth_mbps, serving_of(state)
    return (
        state.link.name,
        state.link.technology.value,
        word,
        state.poa or "-",
        "-" if serving is None or serving.network is None else shown(serving.network),
        state.condition.quality.value,
        "-" if bandwidth is None else f"{bandwidth:.1f}",
        str(len(state.poas)),
        state.publisher,
    )


def _sentence(plugin: PluginState) -> str:
    """What a plugin does instead of running."""
    what = f"{plugin.kind} {plugin.name} "
    match plugin.status:
        case PluginStatus.FAILED:
            soon = "" if plugin.retry_in_ms is None else f" in {plugin.retry_in_ms / 1000:.1f} s"
            return f"{what}failed: {plugin.reason}; it is started again{soon} (start {plugin.starts + 1})"
        case PluginStatus.STARTING if plugin.reason:
            return f"{what}is starting again; it failed before: {plugin.reason}"
        case PluginStatus.STARTING:
            return f"{what}is starting"
        case PluginStatus.FINISHED:
            return f"{what}has finished: its input has ended"
    return f"{what}is {plugin.status.value}"


def _runs(plugin: PluginState) -> bool:
    return plugin.status is PluginStatus.RUNNING


def _news(plugin: PluginState, before: PluginState | None) -> bool:
    """Whether a plugin stopped running since, failed again, or runs again."""
    if before is None or _runs(before):
        return not _runs(plugin)
    return evolve(plugin, retry_in_ms=None) != evolve(before, retry_in_ms=None)


async def show(*, json: bool) -> None:
    """Print all links once."""
    async with connected("links") as client:
        states, plugins = await client.links(), await client.plugins()
        print_links(states, [p for p in plugins if not _runs(p)], json=json)


async def watch_links(*, json: bool) -> None:
    """Print all links, and again after changes; of a table on a pipe or JSON, only what changed."""
    changed, left = asyncio.Event(), asyncio.Event()

    def leave() -> None:
        left.set()
        changed.set()

    async with connected("links") as client:
        client.on_event(lambda _: changed.set())
        client.on_snapshot(lambda _: changed.set())
        on_reader_gone(leave)
        for primitive in REGISTRABLE:
            if primitive not in {"raw", "report"}:
                await client.register(primitive)
        known: dict[str, LinkState] = {}
        plugins_known: dict[str, PluginState] = {}
        while not left.is_set():
            changed.clear()
            try:
                states, plugins = await client.links(), await client.plugins()
            except TimedOut:  # the daemon went away; when it is back, registering again brings a snapshot
                await changed.wait()
                continue
            fresh = [s for s in states if known.get(s.link.name) != s]
            fresh_plugins = [p for p in plugins if _news(p, plugins_known.get(p.name))]
            if on_terminal() and not json:
                print("\x1b[H\x1b[2J", end="")  # a watched table stands still at the top of the screen
                print_links(states, [p for p in plugins if not _runs(p)], json=False)
            elif fresh or fresh_plugins:
                print_links(fresh, fresh_plugins, json=json)
            known = {s.link.name: s for s in states}
            plugins_known = {p.name: p for p in plugins}
            await _within(changed, LOOK_S)
            await _within(left, REFRESH_S)


async def _within(event: asyncio.Event, limit_s: float) -> None:
    """Wait for the event, this long at most; not by wait_for, which forgets a Ctrl-C that comes with it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
