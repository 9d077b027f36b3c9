"""Whatever links, messages and routers do: Hypothesis looks for an order of events that breaks a promise."""

import os
from collections import deque
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sim_kit import Hand, Script, come_to_rest, parts_with

from lies.events import Quality
from lies.sim import Faults, Network
from lies.sim.network import poa_of

ROUTERS = 3
NODES = 3
ROUTER_KINDS: list[dict[str, Any]] = [{}, {}, {"dad_transmits": 1}, {"buffer": False}]
NODE_KINDS: list[dict[str, Any]] = [{}, {}, {"dad_transmits": 2}]
NUMBERS = st.integers(1, ROUTERS)
LOST: tuple[float, ...] = ()
FATES = st.sampled_from([LOST, LOST, (0.0,), (0.0, 0.02), (0.04,), (0.3,), (0.01, 0.5)])


class Drives(RuleBasedStateMachine):
    """Mobile nodes among three routers, with data both ways all the time."""

    @initialize(
        seed=st.integers(0, 2**32),
        modes=st.lists(
            st.sampled_from(["predictive", "predictive", "reactive", "none"]), min_size=NODES, max_size=NODES
        ),
        gap_s=st.sampled_from([0.001, 0.05, 0.3]),
        router=st.sampled_from(ROUTER_KINDS),
        mobile=st.sampled_from(NODE_KINDS),
    )
    def begin(
        self, seed: int, modes: list[str], gap_s: float, router: dict[str, Any], mobile: dict[str, Any]
    ) -> None:
        """All nodes attach and register."""
        self.net = Network(parts_with(router, mobile), ROUTERS, rng=Random(seed), interval_s=0.02)
        self.hands = [Hand(self.net, mode, gap_s) for mode in modes]
        for number, hand in enumerate(self.hands, 1):
            hand.start(number)

    hand = st.integers(0, NODES - 1)

    @rule(which=hand, number=NUMBERS)
    def fade(self, which: int, number: int) -> None:
        """The link of a node is predicted to break, and another router is heard well."""
        if self.hands[which].at != number:
            self.hands[which].fade(number)

    @rule(which=hand, number=NUMBERS, pause_s=st.sampled_from([0.002, 0.01, 0.05, 0.2, 1.2]))
    def ping_pong(self, which: int, number: int, pause_s: float) -> None:
        """A node is sent elsewhere and, somewhere in that handover, back to where it was."""
        here = self.hands[which].at
        if here is not None and here != number:
            self.hands[which].fade(number)
            self.wait(pause_s)
            self.hands[which].fade(here)

    @rule(which=hand, number=NUMBERS)
    def order(self, which: int, number: int) -> None:
        """The network orders a handover; to where the node is already, or what is not heard, too."""
        self.hands[which].ordered(number)

    @rule(which=hand)
    def claim(self, which: int) -> None:
        """Somebody on the link says that a node's address is taken."""
        self.hands[which].contradicted()

    @rule(which=hand, number=NUMBERS)
    def jump(self, which: int, number: int) -> None:
        """The radio moves by itself, unpredicted."""
        self.hands[which].radio.move(poa_of(number))

    @rule(which=hand)
    def cut(self, which: int) -> None:
        """The link breaks."""
        self.hands[which].radio.detach()

    @rule(which=hand, number=NUMBERS)
    def join(self, which: int, number: int) -> None:
        """Without a link the radio finds an access point."""
        if self.hands[which].radio.poa is None:
            self.hands[which].radio.attach(poa_of(number))

    @rule(which=hand, number=NUMBERS, quality=st.sampled_from(list(Quality)))
    def hear(self, which: int, number: int, quality: Quality) -> None:
        """The level of an access point changes; unheard, it refuses to be joined."""
        self.hands[which].hear(number, quality)

    @rule(which=hand)
    def cancel(self, which: int) -> None:
        """A prediction is withdrawn."""
        self.hands[which].radio.going_down_cancelled()

    @rule(fates=st.lists(FATES, max_size=12))
    def script(self, fates: list[tuple[float, ...]]) -> None:
        """What becomes of each of the next messages on each link: lost, late, doubled, or nothing."""
        self.net.faults = Script(fates=deque(fates))

    @rule(loss=st.sampled_from([0.0, 0.2]), reorder=st.sampled_from([0.0, 0.3]))
    def weather(self, loss: float, reorder: float) -> None:
        """Links lose, repeat and delay by chance from now on."""
        self.net.faults = Faults(loss, 0.2, reorder, 0.003)

    @rule(number=NUMBERS)
    @precondition(lambda self: not any(router.down for router in self.net.routers))
    def fail(self, number: int) -> None:
        """A router fails, and forgets all."""
        self.net.routers[number - 1].stop()

    @rule()
    @precondition(lambda self: any(router.down for router in self.net.routers))
    def recover(self) -> None:
        """It works again."""
        next(router for router in self.net.routers if router.down).start()

    @rule(duration_s=st.sampled_from([0.0007, 0.003, 0.02, 0.1, 0.5, 2.5]))
    def wait(self, duration_s: float) -> None:
        """Time passes."""
        self.net.clock.run(self.net.clock.now + duration_s)

    @invariant()
    def every_packet_goes_to_its_own_node(self) -> None:
        """No packet is delivered to a wrong node, none twice, and no program breaks the rules of its host."""
        if not hasattr(self, "net"):
            return
        for hand in self.hands:
            for flow in hand.host.flows:
                assert flow.misdelivered == flow.duplicated == 0
                assert flow.arrived + flow.lost + flow.under_way == flow.sent
        assert self.net.tally.what == []

    def teardown(self) -> None:
        """Once the network is whole, every tunnel and proxy entry ends, and all nodes are connected."""
        if hasattr(self, "net"):
            assert come_to_rest(self.net, self.hands) == []


def test_whatever_happens_nothing_is_misdelivered_and_all_ends_well() -> None:
    """Every order of loss, repetition, delay, failure, orders and link events that is tried keeps them.

    LIES_EXAMPLES says how many are tried.
    """
    machine = settings(
        max_examples=int(os.environ.get("LIES_EXAMPLES", "40")),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(Drives, settings=machine)
