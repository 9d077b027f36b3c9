"""The end of a wait at an access router: the kernel takes over, and nothing is lost or overtaken."""

from collections.abc import Sequence
from typing import Any

import pytest
from bus_rig import on_loop
from tunnel_kit import Pair
from waiting_kit import MAC, NODE, announced, router

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies_fmipv6.pacing import Buffering

pytestmark = pytest.mark.netns


@on_loop
async def test_what_comes_in_the_last_moment_is_not_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets between the last look into the intake and the end of its route are sent all the same."""
    async with router(pair, Buffering.AUTO) as r:
        announced(r.plane, NODE)
        execute = pair.kernel.execute

        def late(*args: object, **options: object) -> None:
            monkeypatch.setattr(pair.kernel, "execute", execute)
            r.send(0, 10)
            execute(*args, **options)  # type: ignore[arg-type]  # passed on as it came

        execute([m.neighbour(index_of("v0"), NODE, MAC, state=m.NUD_STALE)])
        assert r.plane._room is not None
        monkeypatch.setattr(pair.kernel, "execute", late)
        r.plane._room.arrived(NODE)
        await r.until_ended()
        await r.until(lambda: len(r.numbers()) == 10)
        assert r.numbers() == list(range(10))
        r.plane.admit(NODE, MAC)


@on_loop
async def test_what_comes_by_the_kernels_way_overtakes_nobody(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel forwards before the last of ours is read and sent goes behind it."""
    async with router(pair, Buffering.AUTO) as r:
        announced(r.plane, NODE)
        r.send(0, 10)
        await r.until_waiting(10)
        assert r.plane._room is not None
        execute, ending = pair.kernel.execute, r.plane._room._undivert(NODE)

        def watched(messages: Sequence[bytes], **options: Any) -> None:
            if ending in messages:
                r.send(10, 10)
            execute(messages, **options)
            if ending in messages:
                r.send(20, 10)

        monkeypatch.setattr(pair.kernel, "execute", watched)
        r.plane.admit(NODE, MAC)
        await r.until_ended()
        r.send(30, 1)
        await r.until(lambda: len(r.numbers()) == 31)
        assert r.numbers() == list(range(31))
