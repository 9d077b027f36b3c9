"""The access router's engine of FMIPv6 as the new router."""

from ipaddress import IPv6Address
from typing import Any

import pytest
from attrs import evolve
from engine_kit import until
from router_kit import HERE, MN, NEXT, OTHER, OWN, THERE, hi, una

from lies_fmipv6 import actions as fa
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    FastBindingUpdate,
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
)
from lies_fmipv6.parameters import AccessRouterConfig, Duplicates, Neighbour

NEIGHBOUR = Neighbour(NEXT[1], b"\2\0\0\0\2\2", NEXT)
CONFIG = AccessRouterConfig(
    OWN[1], IPv6Address("fe80::2:1"), b"\2\0\0\0\2\1", OWN, neighbours=(NEIGHBOUR,), insecure=True
)


def code_of(actions: list[Any]) -> int:
    """The code of the HAck, which is the last action."""
    message = actions[-1].message
    assert isinstance(message, HandoverAcknowledge)
    return message.code


def away(now: float = 0.0) -> AccessRouter:
    """A router that tunnels HERE to THERE, because its node left."""
    router = AccessRouter(CONFIG)
    fbu = FastBindingUpdate(1, 20, HERE, THERE, MN)
    (asked,) = router.receive(Received(fbu, HERE, OWN[1], MN), now)
    assert isinstance(asked, fa.SendMessage)
    assert isinstance(asked.message, HandoverInitiate)
    router.receive(Received(HandoverAcknowledge(asked.message.sequence, 0), NEXT[1], OWN[1]), now)
    assert router.bindings == 1
    return router


def test_expected_and_admitted() -> None:
    """HI code 0: the address is defended before the HAck goes; the UNA admits its node (F27, F28, F39)."""
    router = AccessRouter(CONFIG)
    expect, answer, defend = router.receive(hi(5), 0.0)
    assert expect == fa.ExpectNode(HERE, MN, buffer=True)
    assert defend == fa.DefendNode(HERE, MN)
    assert answer == fa.SendMessage(HandoverAcknowledge(5, 0), OWN[1], NEXT[1])
    assert router.expected == 1
    assert router.receive(una(), 1.0) == [fa.AdmitNode(HERE, MN)]
    assert router.expected == 0
    assert until(router, 10.0) == []


def test_node_that_does_not_come() -> None:
    """Without UNA the proxy entry ends after 1.5 s (F28, section 9)."""
    router = AccessRouter(CONFIG)
    router.receive(hi(), 0.0)
    assert until(router, 2.0) == [(1.5, fa.ForgetNode(HERE))]
    assert router.receive(una(), 3.0) == [fa.AdmitNode(HERE, MN)], "a late node is let in all the same"


@pytest.mark.parametrize("admitted", [False, True])
def test_repeated_hi(admitted: bool) -> None:
    """The same HI again gets the same answer and does nothing else, whether the node came or not (F29)."""
    router = AccessRouter(CONFIG)
    first = router.receive(hi(5), 0.0)
    if admitted:
        router.receive(una(), 0.05)
    assert router.receive(hi(5), 0.1) == first[1:2]
    assert code_of(router.receive(hi(4), 0.2)) == HAckCode.UNSPECIFIED, "an older one is void"
    assert router.expected == (0 if admitted else 1)


def test_a_later_hi_expects_the_node_again() -> None:
    """A node that left and is announced anew is expected anew; a second HI only prolongs the wait (F29)."""
    router = AccessRouter(CONFIG)
    router.receive(hi(5), 0.0)
    router.receive(una(), 0.1)
    assert isinstance(router.receive(hi(6), 1.0)[0], fa.ExpectNode)
    assert len(router.receive(hi(7), 2.0)) == 1
    assert until(router, 9.0) == [(3.5, fa.ForgetNode(HERE))]


def test_ncoa_of_another_node() -> None:
    """An NCoA that another link-layer address has is not valid; neither is the router's own (F29)."""
    router = AccessRouter(evolve(CONFIG, duplicates=Duplicates.REFUSE))
    router.receive(una(OTHER), 0.0)
    assert code_of(router.receive(hi(), 0.1)) == HAckCode.NCOA_INVALID
    assert code_of(router.receive(hi(2, ncoa=OWN[1]), 0.1)) == HAckCode.NCOA_INVALID
    assert router.expected == 0


def test_reactive_hi() -> None:
    """HI code 1: no proxy, nothing waits (F32); a UNA by another node's LLA makes it refused."""
    router = AccessRouter(CONFIG)
    router.receive(una(), 0.0)
    assert [a.message for a in router.receive(hi(1, 1), 0.1)] == [HandoverAcknowledge(1, 0)]
    assert code_of(router.receive(hi(2, 1, lla=OTHER), 0.2)) == HAckCode.UNSPECIFIED


def test_assigned_addressing() -> None:
    """S asks for an address: HAck code 2 with the proposed one, not code 3 (contradiction 4)."""
    actions = AccessRouter(CONFIG).receive(hi(assigned=True), 0.0)
    assert actions[1].message == HandoverAcknowledge(1, HAckCode.NCOA_ASSIGNED, HERE)


def test_hi_that_is_not_followed() -> None:
    """From a stranger: 129; for another link's address or for none: 128; every HI is answered (F27)."""
    router = AccessRouter(CONFIG)
    assert code_of(router.receive(hi(source=IPv6Address("2001:db8:9::1")), 0.0)) == HAckCode.PROHIBITED
    assert code_of(router.receive(hi(2, ncoa=THERE), 0.0)) == HAckCode.UNSPECIFIED
    nothing = hi(3)
    assert isinstance(nothing.message, HandoverInitiate)
    nothing = evolve(nothing, message=evolve(nothing.message, ncoa=None))
    assert code_of(router.receive(nothing, 0.0)) == HAckCode.UNSPECIFIED
    assert router.expected == 0


@pytest.mark.parametrize(
    "message", [una(source=OWN[7]), una(target=THERE, source=THERE), una(source=IPv6Address("fe80::99"))]
)
def test_una_that_is_none(message: Received) -> None:
    """A UNA whose source is not its target, or for another link, admits nobody (F38)."""
    router = AccessRouter(CONFIG)
    router.receive(hi(), 0.0)
    assert router.receive(message, 0.1) == []
    assert router.expected == 1


def test_una_of_an_impostor() -> None:
    """A UNA for an expected address with another LLA than the PAR named does not get its packets (6.3)."""
    router = AccessRouter(CONFIG)
    router.receive(hi(), 0.0)
    (answer,) = router.receive(una(OTHER), 0.1)
    assert isinstance(answer, fa.SendMessage), "it is told so, and nothing happens to what waits"
    assert router.receive(una(MN), 0.2) == [fa.AdmitNode(HERE, MN)]


def test_una_alone_does_not_end_a_tunnel() -> None:
    """A UNA for an address that is tunnelled away admits nobody: anybody on the link could send it (5.6)."""
    router = away()
    assert router.receive(una(), 0.1) == []
    assert router.bindings == 1


def test_node_that_comes_back_announced() -> None:
    """HI code 0 for an address that this router tunnels away: expected, then tunnel ended and admitted."""
    router = away()
    assert [type(a) for a in router.receive(hi(), 0.1)] == [fa.ExpectNode, fa.SendMessage, fa.DefendNode]
    assert router.bindings == 1, "what the node sends through the tunnel is still accepted"
    assert router.receive(una(), 0.2) == [fa.RemoveTunnel(HERE, THERE, returned=True), fa.AdmitNode(HERE, MN)]
    assert router.bindings == 0


def test_node_that_comes_back_and_does_not() -> None:
    """Announced and not come: its old tunnel ends too, for it would lead back to who announced it."""
    router = away()
    router.receive(hi(), 0.1)
    assert until(router, 2.0) == [
        (1.6, fa.RemoveTunnel(HERE, THERE, returned=True)),
        (1.6, fa.ForgetNode(HERE)),
    ]


def test_node_that_is_back() -> None:
    """HI code 1 for an address that this router tunnels away: the PAR vouches that the node is here."""
    router = away()
    remove, admit, answer = router.receive(hi(1, 1), 0.1)
    assert (remove, admit) == (fa.RemoveTunnel(HERE, THERE, returned=True), fa.AdmitNode(HERE, MN))
    assert answer.message == HandoverAcknowledge(1, 0)


def test_hi_makes_an_own_hi_void() -> None:
    """A node announced here while this router still asks for it elsewhere: no two tunnels to each other."""
    router = AccessRouter(CONFIG)
    fbu = FastBindingUpdate(1, 20, HERE, THERE, MN)
    (asked,) = router.receive(Received(fbu, HERE, OWN[1], MN), 0.0)
    router.receive(hi(), 0.05)
    assert isinstance(asked, fa.SendMessage)
    assert isinstance(asked.message, HandoverInitiate)
    late = Received(HandoverAcknowledge(asked.message.sequence, 0), NEXT[1], OWN[1])
    assert router.receive(late, 0.1) == []
    assert router.bindings == 0


def test_known_nodes_are_bounded() -> None:
    """UNAs of ten thousand addresses leave no more memory than the limit allows."""
    router = AccessRouter(evolve(CONFIG, max_known_nodes=100))
    for n in range(10_000):
        router.receive(una(source=OWN[n + 9], target=OWN[n + 9]), 0.0)
    assert len(router._new._nodes) == 100
