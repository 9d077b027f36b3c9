"""The floor of FBU to FBack in a drive: one bare message between two handovers, when nothing waits.

So there are as many as handovers, in the same minutes and beside the same traffic, and the relays are woken
as seldom as the routers' daemons, and are scheduled as they are.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path

from lies._scheduling import go_first_if_allowed
from lies.testbed.flows import Spawn
from lies.testbed.node import Node
from lies.testbed.relay import Prober, relay
from lies.testbed.topology import MOBILE_INTERFACE_ID, Router

_BEFORE_S = 0.2  # a handover, which its node prepares for half of that
_ORDER = 48  # source, router, other: three addresses


def probe_at_s(shuttle_s: float) -> float:
    """How long after a handover the message is sent where there is one every shuttle_s.

    Half-way, or later: what waited in a long gap has gone by then.
    """
    return max(shuttle_s / 2, shuttle_s - _BEFORE_S)


class FloorProcess:
    """The mobile node's end of the messages and the relays at all routers; `spawn(name, main)` forks them."""

    def __init__(self, routers: Sequence[Router], folder: Path, spawn: Spawn) -> None:
        self._routers = routers
        self._path = folder / "floor.json"
        for router in routers:
            spawn(router.name, partial(_relay, router.address))
        orders, self._control = os.pipe2(os.O_CLOEXEC)

        def main(ready: Callable[[], None]) -> int:
            os.close(self._control)
            go_first_if_allowed()  # as the testbed's daemons, which have `realtime = true`
            ready()
            self._path.write_text(json.dumps(_probe(orders)), "ascii")
            return 0

        self.node: Node = spawn("mn", main)
        os.close(orders)

    def measure(self, here: Router) -> None:
        """Send one message from the mobile node, which is at this router, by another one."""
        other = next(router for router in self._routers if router is not here)
        ends = here.prefix[MOBILE_INTERFACE_ID], here.address, other.address
        with suppress(BrokenPipeError):
            os.write(self._control, b"".join(address.packed for address in ends))

    def end(self) -> None:
        """No more messages; the process saves what it has and ends."""
        if self._control >= 0:
            os.close(self._control)
            self._control = -1

    def took_ns(self) -> list[int]:
        """How long each message was under way that came back; after the process's end."""
        found: list[int] = json.loads(self._path.read_text("ascii"))
        return found


def _relay(address: IPv6Address, ready: Callable[[], None]) -> int:
    go_first_if_allowed()  # as the testbed's daemons, which have `realtime = true`
    return relay(address, ready)


def _probe(orders: int) -> list[int]:
    prober, took = Prober(), []
    while order := os.read(orders, _ORDER):
        with suppress(OSError):  # the address is gone: the node moved on
            ns = prober.round_trip_ns(*(IPv6Address(order[at : at + 16]) for at in (0, 16, 32)))
            if ns is not None:
                took.append(ns)
    return took
