"""How many handovers a second one core carries through, and how much memory a mobile node takes.

Every handover is a whole one: level falls, L2-PoAList, FBU, HI, HAck, FBack, LinkConnect, LinkDown, LinkUp,
UNA, Binding Update and Acknowledgement, the tunnel's end, and PrRtAdv for the next one, all of them encoded,
carried over the virtual network and decoded. The radio is told what to do, and there is no data.
"""

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

from attrs import frozen

from lies.errors import LiesError
from lies.events import Condition, Quality
from lies.packet import forget_addresses
from lies.sim.mobile import MobileHost
from lies.sim.network import Network, poa_of
from lies.sim.program import Part
from lies.sim.radio import Radio

_EVERY_S = 4.0  # between two handovers of a node: more than the grace, so that each is over before the next
_STRONG = Condition(Quality.EXCELLENT, 27.0)
_FAIR = Condition(Quality.GOOD, 20.0)
_WEAK = Condition(Quality.BAD, 6.0)
_ROUTERS = 8
_POAS = [poa_of(number) for number in range(1, _ROUTERS + 1)]
_GAP_S = 0.01


def _gap_s() -> float:
    return _GAP_S


@frozen
class Capacity:
    """nodes: how many at once; handovers: made; cpu_s: for them."""

    nodes: int
    handovers: int
    cpu_s: float

    @property
    def handovers_per_s(self) -> float:
        """On one core."""
        return self.handovers / self.cpu_s if self.cpu_s else 0.0


@frozen
class Memory:
    """Octets for each mobile node between two routers, while its tunnel stands.

    routers: in the engines of PAR and NAR; home_agent: in that engine; mobile: in the engines of the node.
    """

    routers: float
    home_agent: float
    mobile: float


class _Shuttle:
    """Moves one node from router to router, round and round."""

    __slots__ = (
        "_at",
        "_heard",
        "_net",
        "_radio",
        "_there",
    )

    def __init__(self, net: Network, host: MobileHost, at: int, first_s: float) -> None:
        self._net = net
        self._at = at
        self._radio = radio = Radio(host)
        self._surround(_STRONG, _FAIR)
        radio.hear = self._hears
        radio.gap = _gap_s
        radio.came = self._came
        net.clock.at(first_s, radio.attach, _POAS[at])

    def _hears(self) -> dict[str, Condition]:
        return self._heard

    def _surround(self, here: Condition, there: Condition) -> None:
        """The conditions of the two access points that are heard from now on."""
        self._there = _POAS[(self._at + 1) % _ROUTERS]
        self._heard = {_POAS[self._at]: here, self._there: there}

    def _came(self, poa: str) -> None:
        if poa == self._there:
            self._at = (self._at + 1) % _ROUTERS
        self._surround(_STRONG, _FAIR)
        self._radio.changed(_STRONG)
        self._net.clock.after(_EVERY_S, self._leave)

    def _leave(self) -> None:
        self._surround(_WEAK, _STRONG)
        self._radio.changed(_WEAK)


def measure(
    parts: Sequence[Part],
    nodes: int,
    handovers: int,
    cpu_s: Callable[[], float],
    *,
    rounds: int = 1,
    seed: int = 1,
) -> list[Capacity]:
    """Make about that many handovers in each round, with so many nodes; cpu_s: the process's CPU time.

    What the first attachments and the first handovers cost is not counted.
    """
    net, rng = Network(parts, _ROUTERS, rng=Random(seed)), Random(seed)  # noqa: S311 - no secret
    for n in range(nodes):
        _Shuttle(net, net.add_mobile(), n % _ROUTERS, rng.random() * _EVERY_S)
    net.clock.run(2 * _EVERY_S)
    results = []
    for _ in range(rounds):
        done, begun = sum(net.tally.modes.values()), cpu_s()
        net.clock.run(net.clock.now + _EVERY_S * handovers / nodes)
        used = cpu_s() - begun
        results.append(Capacity(nodes, sum(net.tally.modes.values()) - done, used))
    return results


def memory(parts: Sequence[Part], nodes: int = 240, seed: int = 1) -> Memory:
    """What a mobile node takes, by giving up the programs of each kind of host in turn."""
    _between_routers(parts, _ROUTERS, seed)  # what is made once for all is made now
    tracemalloc.start()
    try:
        forget_addresses()
        net = _between_routers(parts, nodes, seed)
        forget_addresses()
        held = [_held()]
        for hosts in (net.routers, [net.home], net.mobiles):
            for host in hosts:
                host.crew.dismiss()
            held.append(_held())
    finally:
        tracemalloc.stop()
    routers, home_agent, mobile = ((before - after) / nodes for before, after in pairwise(held))
    return Memory(routers, home_agent, mobile)


def _between_routers(parts: Sequence[Part], nodes: int, seed: int) -> Network:
    net = Network(parts, _ROUTERS, rng=Random(seed))  # noqa: S311 - no secret
    for n in range(nodes):
        _Shuttle(net, net.add_mobile(), n % _ROUTERS, 0.0)
    net.clock.run(_EVERY_S + 1.0)  # a second after the handovers
    if sum(len(router.tunnels) for router in net.routers) != nodes:
        raise LiesError("not every node has its tunnel: the consumers installed do no predictive handover")
    net.clock.forget()
    return net


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
