"""Links and their states, once or whenever something changes."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from lies.bus.messages import LinkState
from lies.cli._client import connected, on_reader_gone
from lies.cli._events import REGISTRABLE
from lies.cli._output import on_terminal, print_json, print_table
from lies.errors import TimedOut

REFRESH_S = 0.5  # a watched table is read again this soon after an event at most


def link_object(state: LinkState) -> dict[str, Any]:
    """The JSON object of one link, of type link_status."""
    going_down = state.going_down
    return {
        "type": "link_status",
        "link": state.link.name,
        "technology": state.link.technology.value,
        "publisher": state.publisher,
        "up": state.up,
        "poa": state.poa,
        "condition": msgspec.to_builtins(state.condition),
        "poas": len(state.poas),
        "going_down_confidence": None if going_down is None else going_down.confidence,
        "controllable": state.controllable,
        "lost": None if state.lost is None else state.lost.value,
    }


def print_links(states: Sequence[LinkState], *, json: bool) -> None:
    """All links: an object a line, or a table."""
    states = sorted(states, key=lambda s: s.link.name)
    if json:
        for state in states:
            print_json(link_object(state))
        return
    print_table(
        ("link", "technology", "state", "PoA", "quality", "Mbit/s", "PoAs", "driver"),
        [_row(s) for s in states],
    )


def _row(state: LinkState) -> tuple[str, ...]:
    if state.lost is not None:
        word = "lost"
    elif state.going_down is not None:
        word = "going down"
    else:
        word = "up" if state.up else "down"
    bandwidth = state.condition.bandwidth_mbps
    return (
        state.link.name,
        state.link.technology.value,
        word,
        state.poa or "-",
        state.condition.quality.value,
        "-" if bandwidth is None else f"{bandwidth:.1f}",
        str(len(state.poas)),
        state.publisher,
    )


async def show(*, json: bool) -> None:
    """Print all links once."""
    async with connected("links") as client:
        print_links(await client.links(), json=json)


async def watch_links(*, json: bool) -> None:
    """Print all links, and again after events; of a table on a pipe or JSON, only links that changed."""
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
        while not left.is_set():
            changed.clear()
            try:
                states = await client.links()
            except TimedOut:  # the daemon went away; when it is back, registering again brings a snapshot
                await changed.wait()
                continue
            fresh = [s for s in states if known.get(s.link.name) != s]
            if on_terminal() and not json:
                print("\x1b[H\x1b[2J", end="")  # a watched table stands still at the top of the screen
                print_links(states, json=False)
            elif fresh:
                print_links(fresh, json=json)
            known = {s.link.name: s for s in states}
            await changed.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(left.wait(), REFRESH_S)
