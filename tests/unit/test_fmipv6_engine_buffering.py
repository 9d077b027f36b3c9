"""Packets that wait at the previous router until the tunnel of a node that has left stands (5.4)."""

from ipaddress import IPv6Address
from typing import Any

import pytest
from attrs import evolve
from fmipv6_kit import kinds
from net import Net
from net_nodes import MN_LLA, coa_of, poa_of, prefix_of

from lies_fmipv6 import actions as fa
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
)
from lies_fmipv6.parameters import Mode

PCOA, NCOA = coa_of(1), coa_of(2)
PAR, NAR = prefix_of(1)[1], prefix_of(2)[1]


class Router:
    """The engine of router 1 alone, whose neighbours are 2 and 3."""

    def __init__(self, **config: Any) -> None:
        self.engine = AccessRouter(evolve(Net(3).routers[0].config, **config))
        self.now = 0.0
        self._sequence = 0
        self._hi: HandoverInitiate | None = None

    def fbu(self, source: IPv6Address, ncoa: IPv6Address = NCOA, lifetime_s: int = 20) -> list[str]:
        """What follows from the node's next FBU."""
        self._sequence += 1
        fbu = FastBindingUpdate(self._sequence, lifetime_s, PCOA, ncoa, MN_LLA)
        return self._receive(fbu, source)

    def hack(self, code: int = 0) -> list[str]:
        """What follows from the answer to the last HI."""
        assert self._hi is not None
        assert self._hi.ncoa is not None
        nar = next(n for n in (2, 3) if self._hi.ncoa in prefix_of(n))
        return self._receive(HandoverAcknowledge(self._hi.sequence, code), prefix_of(nar)[1])

    def hi(self) -> list[str]:
        """What follows from the neighbour's word that the node comes back."""
        return self._receive(HandoverInitiate(1, 0, False, True, MN_LLA, NCOA, PCOA), NAR)

    def until(self, end: float) -> list[str]:
        """What follows from time passing."""
        found: list[Any] = []
        while (due := self.engine.next_timeout()) is not None and due <= end:
            found += self.engine.handle_timeout(due)
        self.now = end
        return kinds(found)

    def _receive(self, message: Any, source: IPv6Address) -> list[str]:
        actions = self.engine.receive(Received(message, source, PAR, MN_LLA), self.now)
        for action in actions:
            if isinstance(action, fa.SendMessage) and isinstance(action.message, HandoverInitiate):
                self._hi = action.message
        return kinds(actions)


def test_a_node_that_has_left_is_held_until_its_tunnel_stands() -> None:
    """An FBU from the new link: packets wait from then until the HAck, and go through the tunnel."""
    router = Router()
    assert router.fbu(NCOA) == ["HoldNode", "HandoverInitiate"]
    assert router.fbu(NCOA) == [], "a repeated one changes nothing"
    assert router.hack() == ["AddTunnel", "FastBindingAck"]
    assert router.until(60.0).count("ReleaseNode") == 0


def test_a_node_that_is_still_here_is_not_held() -> None:
    """An FBU from the old link: the node gets its packets there until it goes (section 4)."""
    router = Router()
    assert router.fbu(PCOA) == ["HandoverInitiate"]
    assert "HoldNode" not in router.hack()


def test_a_node_that_left_before_the_tunnel_stood_is_held() -> None:
    """An FBU from the old link, and the same from the new one before the HAck: then it is held."""
    router = Router()
    router.fbu(PCOA)
    assert router.fbu(NCOA) == ["HoldNode"]
    assert "AddTunnel" in router.hack()


@pytest.mark.parametrize("code", [128, 129, 130])
def test_a_refusal_releases(code: int) -> None:
    """Where the new router refuses, what waits goes where it went before."""
    router = Router()
    router.fbu(NCOA)
    assert router.hack(code) == ["ReleaseNode", "FastBindingAck"]


def test_silence_releases() -> None:
    """Where the new router does not answer, what waits is let go with the last try."""
    router = Router()
    router.fbu(NCOA)
    passed = router.until(10.0)
    assert [a for a in passed if a != "HandoverInitiate"] == ["ReleaseNode", "FastBindingAck"]


def test_a_node_that_is_back_is_released() -> None:
    """An FBU with lifetime 0, or any from the old link: the node is here, and gets its packets."""
    router = Router()
    router.fbu(NCOA)
    assert "ReleaseNode" in router.fbu(PCOA, lifetime_s=0)
    router = Router()
    router.fbu(NCOA)
    assert router.fbu(PCOA, coa_of(3)) == ["ReleaseNode", "HandoverInitiate"]


def test_a_node_that_goes_on_is_held_beside_its_tunnel() -> None:
    """With a tunnel to one router and an FBU from another, packets wait for the new tunnel."""
    router = Router()
    router.fbu(NCOA)
    router.hack()
    assert router.fbu(coa_of(3), coa_of(3)) == ["HoldNode", "HandoverInitiate"]
    assert router.fbu(NCOA)[:1] == ["ReleaseNode"], "it is where the tunnel leads after all"


def test_a_node_that_is_to_come_waits_on() -> None:
    """An HI about a node that is held: what waits for its tunnel waits for itself."""
    router = Router()
    router.fbu(NCOA)
    assert router.hi() == ["ExpectNode", "HandoverAcknowledge", "DefendNode"]


def test_a_node_that_is_awaited_is_not_held_as_well() -> None:
    """Its packets wait for it anyway: an FBU of it that comes to nothing does not let them go."""
    router = Router()
    assert router.hi() == ["ExpectNode", "HandoverAcknowledge", "DefendNode"]
    assert router.fbu(NCOA) == ["HandoverInitiate"]
    assert router.hack(128) == ["FastBindingAck"]
    assert router.until(60.0) == ["ForgetNode"]


def test_without_buffering_nobody_is_held() -> None:
    """A router that asks no other to buffer does not do it itself."""
    router = Router(buffer=False)
    assert router.fbu(NCOA) == ["HandoverInitiate"]
    assert router.hack() == ["AddTunnel", "FastBindingAck"]


def _lost_down(*, buffer: bool) -> int:
    """How many of 1,000 packets/s to the node a reactive handover loses, 20 ms between the routers."""
    net = Net(2, backbone_s=0.02, home_s=0.2, mode=Mode.REACTIVE)
    for router in net.routers:
        router.runner.engine = AccessRouter(evolve(router.config, buffer=buffer), net.parameters)
    net.start()
    net.run(1.0)
    net.stream(1.0, 0.001)
    net.radio.move(poa_of(2))
    net.stream(2.0, 0.001)
    net.run(3.0)
    assert [d.mode for d in net.done()] == ["reactive"]
    assert net.routers[0].waiting == {}
    assert set(net.received.values()) == {1}
    return sum(not data.up for lost in net.lost.values() for data in lost)


def test_what_comes_between_fbu_and_tunnel_is_not_lost() -> None:
    """The 40 ms that HI and HAck take cost 40 packets less where the previous router buffers."""
    assert _lost_down(buffer=False) - _lost_down(buffer=True) == pytest.approx(40, abs=2)
