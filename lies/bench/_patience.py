"""Waiting for receivers on an event loop, without a timer per message."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

_LOOK_S = 0.25


async def together(
    work: Sequence[Coroutine[Any, Any, None]], progress: Callable[[], int], patience_s: float
) -> None:
    """Run all until they end; what has not, once nothing has moved for patience_s, is cancelled."""
    tasks = {asyncio.create_task(one) for one in work}
    loop = asyncio.get_running_loop()
    seen, since_s = -1, loop.time()
    try:
        while True:
            done, waiting = await asyncio.wait(tasks, timeout=_LOOK_S)
            for task in done:
                task.result()
            tasks = waiting
            if not tasks:
                return
            now, at_s = progress(), loop.time()
            if now != seen:
                seen, since_s = now, at_s
            elif at_s - since_s > patience_s:
                return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
