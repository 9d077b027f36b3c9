"""Duplicate address detection by the mobile node (RFC 5568 section 3.2, RFC 4862 section 5.4, RFC 4429)."""

from ipaddress import IPv6Address
from typing import Any

import pytest
from attrs import evolve
from fmipv6_kit import CONFIG, HEADER, NAR, PAR, fback, kinds, messages, resolved, until
from net_nodes import MN_LLA, coa_of, poa_of, prefix_of

from lies.events import DownReason, LinkDown, LinkUp
from lies_fmipv6 import actions as fa
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    FastBindingUpdate,
    NeighbourAdvertisement,
    NeighbourSolicitation,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import ALL_NODES, UNSPECIFIED, other_address, solicited_node
from lies_fmipv6.states import MobileNodeState

PCOA, NCOA = coa_of(1), coa_of(2)
NAR_LLA, STRANGER = b"\2\0\0\0\2\2", b"\2\0\0\0\0\x77"
OTHER = [other_address(prefix_of(2), MN_LLA, n) for n in range(5)]


def arrived(transmits: int = 1) -> tuple[MobileNode, list[Any]]:
    """A node that comes to router 2 without an FBack, and what it does then."""
    mn = resolved(evolve(CONFIG, dad_transmits=transmits))
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
    actions = mn.receive(LinkUp(HEADER, poa_of(2)), 5.1)
    assert mn.state is MobileNodeState.REBINDING
    return mn, actions


def claim(target: IPv6Address, lla: bytes) -> Received:
    """A node defends an address."""
    said = NeighbourAdvertisement(target, lla, override=True)
    return Received(said, target, ALL_NODES, lla)


def probes(log: list[tuple[float, Any]]) -> list[tuple[float, IPv6Address]]:
    """When which address was asked for."""
    return [(round(t, 3), m.target) for t, a in log for m in messages([a], NeighbourSolicitation)]


def test_a_new_address_is_used_and_probed() -> None:
    """The probe follows UNA and FBU, from no address to the solicited-node group; nothing waits for it."""
    mn, actions = arrived()
    names = kinds(actions)
    assert names.index("UnsolicitedNeighbourAdvertisement") < names.index("FastBindingUpdate")
    assert names.index("FastBindingUpdate") < names.index("NeighbourSolicitation")
    (probe,) = [a for a in actions if messages([a], NeighbourSolicitation)]
    assert probe == fa.SendMessage(NeighbourSolicitation(NCOA), UNSPECIFIED, solicited_node(NCOA))
    assert mn.coa == NCOA


@pytest.mark.parametrize("transmits", [0, 1, 3])
def test_probes_are_a_second_apart(transmits: int) -> None:
    """As many as configured, none by default; where nobody answers the address stays."""
    mn, actions = arrived(transmits)
    log = [(5.1, a) for a in actions] + until(mn, 20.0)
    assert probes(log) == [(round(5.1 + n, 3), NCOA) for n in range(transmits)]
    assert mn.coa == NCOA


@pytest.mark.parametrize("kind", [NeighbourAdvertisement, UnsolicitedNeighbourAdvertisement])
def test_an_address_of_another_node_is_given_up(kind: type) -> None:
    """UNA and FBU follow with another address, which is probed too, and the PAR is told (as NAACK 1)."""
    mn, _ = arrived()
    said = NeighbourAdvertisement(NCOA, STRANGER, override=True)
    una = UnsolicitedNeighbourAdvertisement(NCOA, STRANGER)
    item = Received(said if kind is NeighbourAdvertisement else una, NCOA, ALL_NODES, STRANGER)
    actions = mn.receive(item, 5.4)
    assert fa.DropAddress(NCOA) in actions
    assert [m.target for m in messages(actions, UnsolicitedNeighbourAdvertisement)] == [OTHER[1]]
    (fbu,) = messages(actions, FastBindingUpdate)
    assert (fbu.home_address, fbu.alternate_coa) == (PCOA, OTHER[1])
    assert probes([(5.4, a) for a in actions]) == [(5.4, OTHER[1])]
    assert mn.coa == OTHER[1]
    answer = evolve(fback(0, fbu.sequence), destination=OTHER[1])
    assert fa.CompleteHandover(PCOA, OTHER[1], PAR, NAR, NAR_LLA, tunnel=True) in mn.receive(answer, 5.5)
    assert mn.state is MobileNodeState.ATTACHED


def test_what_says_nothing_of_another_node() -> None:
    """The node's own words, the router's defence of the address, another address, and late answers."""
    mn, _ = arrived()
    for item in (claim(NCOA, MN_LLA), claim(NCOA, NAR_LLA), claim(PCOA, STRANGER)):
        assert fa.DropAddress(NCOA) not in mn.receive(item, 5.4)
    until(mn, 6.2)
    mn.receive(claim(NCOA, STRANGER), 6.3)
    assert mn.coa == NCOA


def test_a_node_without_probes_listens_to_nobody() -> None:
    """With dad_transmits of 0 no Neighbour Advertisement takes an address away."""
    mn, _ = arrived(0)
    mn.receive(claim(NCOA, STRANGER), 5.2)
    assert mn.coa == NCOA


def test_who_has_every_address_is_not_believed() -> None:
    """After three addresses at one router the next stays: somebody means the node, not its addresses."""
    mn, _ = arrived()
    for n in range(5):
        assert mn.coa is not None
        mn.receive(claim(mn.coa, STRANGER), 5.2 + n / 10)
    assert mn.coa == OTHER[3]
    assert probes(until(mn, 20.0)) == []


def test_a_link_that_breaks_ends_the_probe() -> None:
    """What somebody on another link says of the address is void; back on the link it is asked for again."""
    mn, _ = arrived()
    mn.receive(LinkDown(HEADER, poa_of(2), DownReason.SIGNAL_LOST), 5.2)
    mn.receive(claim(NCOA, STRANGER), 5.3)
    assert mn.coa == NCOA
    back = mn.receive(LinkUp(HEADER, poa_of(2)), 5.4)
    assert probes([(5.4, a) for a in back]) == [(5.4, NCOA)]
