"""A virtual network of lies.sim whose radios a test moves by hand."""

from collections import deque
from random import Random
from typing import Any

from attrs import define, field, frozen

from lies.events import Condition, Quality
from lies.registry import Registry
from lies.sim import Faults, MobileHost, Network, Part, Radio, SimOptions, judge
from lies.sim.network import poa_of
from lies_fmipv6.codec import encode
from lies_fmipv6.messages import NeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES
from lies_fmipv6.simulation import FmipPart, MobileProgram, RouterProgram


def parts() -> list[Part]:
    """The parts of our consumers, found as anybody's are."""
    found = [Registry().consumer(name).simulation() for name in SimOptions().consumers]
    return [part for part in found if part is not None]


def parts_with(router: dict[str, Any], mobile: dict[str, Any] | None = None) -> list[Part]:
    """The same, with other configurations of FMIPv6."""
    return [FmipPart(router=router, mobile=mobile), *(p for p in parts() if not isinstance(p, FmipPart))]


@frozen
class Script(Faults):
    """Fates of the next messages, link by link: delays of each one's copies; what is not in it arrives."""

    fates: deque[tuple[float, ...]] = field(factory=deque)

    @property
    def none(self) -> bool:
        """Each message is looked at."""
        return False

    def fate(self, rng: Random) -> tuple[float, ...]:
        """The next one's."""
        del rng
        return self.fates.popleft() if self.fates else (0.0,)


@define(eq=False)
class Hand:
    """A mobile node whose radio hears what it is told to."""

    net: Network
    mode: str = "predictive"
    gap_s: float = 0.01
    heard: dict[str, Condition] = field(factory=dict)
    host: MobileHost = field(init=False)
    radio: Radio = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.host = self.net.add_mobile(self.mode)
        self.radio = Radio(self.host)
        self.radio.hear = lambda: self.heard
        self.radio.gap = lambda: self.gap_s
        for router in self.net.routers:
            self.hear(router.facts.number, Quality.FAIR)

    @property
    def at(self) -> int | None:
        """The router whose access point the node is at."""
        router = self.net.router_at(self.radio.poa)
        return router.facts.number if router is not None else None

    def hear(self, number: int, quality: Quality) -> None:
        """The access point of a router has another level."""
        condition = Condition(quality, float(quality.rank))
        if quality is Quality.NONE:
            self.heard.pop(poa_of(number), None)
        else:
            self.heard[poa_of(number)] = condition
        if self.at == number:
            self.radio.changed(condition)

    def start(self, number: int = 1) -> None:
        """First attachment, and a home registration."""
        self.hear(number, Quality.EXCELLENT)
        self.radio.attach(poa_of(number))
        self.wait(2.0)

    def fade(self, number: int) -> None:
        """Another router is heard well, and the link is predicted to break."""
        here = self.at
        self.hear(number, Quality.GOOD)
        if here is not None:
            self.hear(here, Quality.BAD)
            self.radio.going_down(0.5, 0.9)

    def ordered(self, number: int) -> None:
        """The router that the node is at orders it to go to another."""
        router = self.net.router_at(self.radio.poa)
        if router is None or router.down:
            return
        prefix = router.facts.prefix.network_address
        for program in router.crew.programs:
            if isinstance(program, RouterProgram):
                program.order(prefix + self.host.facts.interface_id, poa_of(number))

    def contradicted(self) -> None:
        """A stranger on the link says that the node's address is its own."""
        router = self.net.router_at(self.radio.poa)
        for program in self.host.crew.programs:
            if isinstance(program, MobileProgram) and router is not None and program.engine.coa is not None:
                coa = program.engine.coa
                said = NeighbourAdvertisement(coa, b"\2\0\0\0\xff\1", override=True)
                program.packet(encode(said, coa, ALL_NODES), b"\2\0\0\0\xff\1")

    def wait(self, duration_s: float) -> None:
        """Let time pass."""
        self.net.clock.run(self.net.clock.now + duration_s)

    def rest(self) -> None:
        """Make the radio perfect, wherever the node is; without a link it comes to router 1."""
        if self.radio.poa is None and not self.radio.moving:
            self.hear(1, Quality.EXCELLENT)
            self.radio.attach(poa_of(1))
        for router in self.net.routers:
            number = router.facts.number
            self.hear(number, Quality.EXCELLENT if self.at == number else Quality.FAIR)


def come_to_rest(net: Network, hands: list[Hand]) -> list[str]:
    """Make everything whole, let it come to its end; what is wrong then."""
    net.faults = Faults()
    for router in net.routers:
        if router.down:
            router.start()
    net.clock.run(net.clock.now + 5.0)
    for _ in range(2):  # a move that was under way ends at a router that is not perfect yet
        for hand in hands:
            hand.rest()
        net.clock.run(net.clock.now + 10.0)
    net.clock.run(net.clock.now + 150.0)
    for hand in hands:
        for flow in hand.host.flows:
            flow.stop()
    net.clock.run(net.clock.now + 1.0)
    verdict = judge(net)
    return [] if verdict.good else [str(verdict), *verdict.told]
