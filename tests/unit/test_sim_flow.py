"""A flow that is counted in bulk counts what one would count that is carried packet by packet."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_kit import Hand, come_to_rest, parts

from lies.events import Quality
from lies.sim import Network, VirtualClock
from lies.sim.network import poa_of

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fade", "jump", "cut", "join", "fail", "recover", "wait"]),
        st.integers(1, 3),
        st.sampled_from([0.003, 0.02, 0.3, 1.0]),
    ),
    max_size=12,
)


def test_the_clock_keeps_the_order() -> None:
    """What is due first is done first, at one time what was asked first, and nothing early or late."""
    clock = VirtualClock()
    done: list[tuple[str, float]] = []

    def act(name: str) -> None:
        done.append((name, clock.now))

    clock.at(2.0, act, "b")
    clock.at(1.0, act, "a")
    clock.at(2.0, act, "c")
    clock.after(5.0, act, "late")
    clock.run(3.0)
    assert done == [("a", 1.0), ("b", 2.0), ("c", 2.0)]
    assert clock.now == 3.0
    clock.at(1.0, act, "past")
    clock.run(3.0)
    assert done[-1] == ("past", 3.0)


def act(net: Network, hand: Hand, what: str, number: int) -> None:
    """One step of a drive, if it can be done."""
    router = net.routers[number - 1]
    match what:
        case "fade" if hand.at != number:
            hand.fade(number)
        case "jump":
            hand.radio.move(poa_of(number))
        case "cut":
            hand.radio.detach()
        case "join" if hand.at is None:
            hand.radio.attach(poa_of(number))
        case "fail" if not router.down:
            router.stop()
        case "recover" if router.down:
            router.start()
        case _:
            pass


def drive(steps: list[tuple[str, int, float]], seed: int, shake_s: float | None) -> list[object]:
    """What is counted on a drive; shake_s: how often every packet in flight is taken out of the bulk."""
    net = Network(parts(), 3, rng=Random(seed), interval_s=0.004)
    hand = Hand(net)

    def shake() -> None:
        net.touch_all()
        if shake_s is not None:
            net.clock.after(shake_s, shake)

    if shake_s is not None:
        net.clock.after(shake_s, shake)
    hand.start()
    for what, number, duration_s in steps:
        act(net, hand, what, number)
        hand.wait(duration_s)
    for flow in hand.host.flows:
        flow.touch()
    counted: list[object] = [sorted(net.tally.lost.items())]
    for flow in hand.host.flows:
        counted += [flow.sent, flow.arrived, flow.lost, flow.reordered, flow.duplicated, flow.under_way]
        longer_s = flow.path_difference_s
        counted.append(longer_s if longer_s is None else round(longer_s, 6))
        counted.append(round(flow.gap_s, 6))
    return counted


@settings(max_examples=15, deadline=None)
@given(STEPS, st.integers(0, 1000))
def test_bulk_and_single_packets_agree(steps: list[tuple[str, int, float]], seed: int) -> None:
    """What is sent, arrives, is lost and why, and the longest gap do not depend on how they are counted."""
    assert drive(steps, seed, None) == drive(steps, seed, 0.0011)


def test_a_predictive_handover_loses_nothing() -> None:
    """Data waits at both ends of the gap, and the longest pause is that of the link and its delays."""
    net = Network(parts(), 2, rng=Random(1), interval_s=0.001)
    hand = Hand(net, gap_s=0.05)
    hand.start()
    hand.fade(2)
    hand.wait(3.0)
    down, up = hand.host.flows
    assert net.tally.modes == {"predictive": 1}
    assert down.lost == up.lost == 0
    assert down.arrived + down.under_way == down.sent > 4000
    assert 0.05 <= down.gap_s <= 0.06
    assert come_to_rest(net, [hand]) == []


def test_a_break_loses_what_is_sent_into_it() -> None:
    """A link that breaks for good loses every packet down from then on, and says where."""
    net = Network(parts(), 2, rng=Random(1), interval_s=0.01)
    hand = Hand(net)
    hand.start()
    down = hand.host.flows[0]
    hand.wait(1.0)
    lost = down.lost
    hand.radio.detach()
    hand.wait(10.0)
    down.touch()
    assert lost == 0
    assert down.lost == pytest.approx(1000, abs=2)
    assert net.tally.lost["the mobile node is not there"] >= 999


def test_full_buffers_lose_the_newest() -> None:
    """More than a buffer holds is lost, counted under its cause, and the rest arrives in order."""
    net = Network(parts(), 2, rng=Random(1), interval_s=0.001, buffer_packets=20)
    hand = Hand(net, gap_s=0.3)
    hand.start()
    hand.fade(2)
    hand.wait(3.0)
    assert net.tally.lost["no room in the buffer"] == pytest.approx(2 * 280, abs=20)
    assert all(flow.duplicated == 0 for flow in hand.host.flows)
    hand.hear(1, Quality.FAIR)
    assert come_to_rest(net, [hand]) == []


def test_a_node_gets_its_packets_on_the_old_link_until_the_tunnel_stands() -> None:
    """While HI and HAck are on their way packets go to PCoA, and none waits at the previous router."""
    net = Network(parts(), 2, rng=Random(1), interval_s=0.001, backbone_s=0.2)
    hand = Hand(net, gap_s=0.05)
    hand.start()
    hand.fade(2)
    down = hand.host.flows[0]
    hand.wait(0.3)  # FBU is there, HAck is not
    assert net.tally.signalling["HandoverInitiate"][0] >= 1
    assert "HandoverAcknowledge" not in net.tally.signalling or not net.routers[0].tunnels
    assert net.routers[0].waiting == {}
    before = down.arrived
    hand.wait(0.05)
    down.touch()
    assert down.arrived - before >= 40
    hand.wait(5.0)
    assert down.lost == down.duplicated == 0
