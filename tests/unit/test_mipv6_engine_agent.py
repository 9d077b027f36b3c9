"""The home agent's engine of Mobile IPv6."""

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from engine_kit import until

from lies_mipv6 import actions as ma
from lies_mipv6.home_agent import HomeAgent
from lies_mipv6.items import Received
from lies_mipv6.messages import BAStatus, BindingAcknowledgement, BindingUpdate
from lies_mipv6.parameters import HomeAgentConfig, Parameters

HOME = IPv6Network("2001:db8:1000::/64")
HA, HOA = HOME[1], HOME[0x99]
COA = [IPv6Address(f"2001:db8:{n}::99") for n in range(1, 10)]
CONFIG = HomeAgentConfig(HA, HOME, insecure=True)


def bu(sequence: int, n: int = 0, lifetime_s: int = 600, **more: Any) -> Received:
    """A Binding Update from COA[n]."""
    fields = {"home_address": HOA, "alternate_coa": COA[n], **more}
    source = fields.pop("source", COA[n])
    return Received(BindingUpdate(sequence, lifetime_s, **fields), source, HA)


def ack(actions: list[Any]) -> BindingAcknowledgement:
    """The BA, which is the last action."""
    message = actions[-1].message
    assert isinstance(message, BindingAcknowledgement)
    return message


def test_registration() -> None:
    """A BU for a home address: binding set before the BA goes to its source with RH2 (M13-M15)."""
    agent = HomeAgent(CONFIG)
    binding, answer = agent.receive(bu(7, acknowledge=False), 0.0)
    assert binding == ma.SetBinding(HOA, COA[0])
    assert answer == ma.SendMessage(BindingAcknowledgement(0, 7, 600, HOA), HA, COA[0])
    assert agent.coa_of(HOA) == COA[0]


@pytest.mark.parametrize(("asked", "granted"), [(600, 600), (7, 4), (3, 4), (262140, 3600)])
def test_lifetime(asked: int, granted: int) -> None:
    """Granted is at most what was asked and the limit, in units of 4 s and never 0 (M14)."""
    agent = HomeAgent(CONFIG)
    assert ack(agent.receive(bu(1, lifetime_s=asked), 0.0)).lifetime_s == granted
    assert until(agent, 4000.0) == [(granted, ma.RemoveBinding(HOA))]
    assert agent.coa_of(HOA) is None


def test_grace_of_the_previous_address() -> None:
    """After a BU with a new CoA the old one may tunnel for the grace, and is refused then (M24)."""
    agent = HomeAgent(CONFIG)
    agent.receive(bu(1), 0.0)
    accept, binding, _ = agent.receive(bu(2, 1), 10.0)
    assert (accept, binding) == (ma.AcceptFrom(HOA, COA[0]), ma.SetBinding(HOA, COA[1]))
    assert until(agent, 100.0) == [(12.0, ma.RefuseFrom(HOA, COA[0]))]


def test_strict_agent() -> None:
    """With grace 0 the old CoA is refused at the BU, as RFC 6275 section 10.4.5 has it."""
    agent = HomeAgent(evolve(CONFIG, grace_s=0.0))
    agent.receive(bu(1), 0.0)
    assert [type(a) for a in agent.receive(bu(2, 1), 10.0)] == [ma.SetBinding, ma.RefuseFrom, ma.SendMessage]


def test_back_at_an_address_in_its_grace() -> None:
    """A CoA that is registered again within its grace is not refused when that ends."""
    agent = HomeAgent(CONFIG)
    agent.receive(bu(1, 0), 0.0)
    agent.receive(bu(2, 1), 10.0)
    agent.receive(bu(3, 0), 11.0)
    assert until(agent, 100.0) == [(13.0, ma.RefuseFrom(HOA, COA[1]))]


def test_graces_are_bounded() -> None:
    """A node that moves ever faster has no more than `max_previous` earlier addresses accepted."""
    agent = HomeAgent(CONFIG)
    refused = [
        a.coa for n in range(9) for a in agent.receive(bu(n + 1, n), n / 100) if isinstance(a, ma.RefuseFrom)
    ]
    assert refused == COA[:4]


@pytest.mark.parametrize("sequence", [5, 4, 5 + 0x8000, 0xFFFF])
def test_sequence_out_of_window(sequence: int) -> None:
    """A number that is not greater modulo 65536 is answered 135 with the last accepted one (M16)."""
    agent = HomeAgent(CONFIG)
    agent.receive(bu(5), 0.0)
    (answer,) = agent.receive(bu(sequence, 1), 1.0)
    assert answer.message == BindingAcknowledgement(135, 5, 0, HOA)
    assert agent.coa_of(HOA) == COA[0]


@pytest.mark.parametrize(
    ("config", "update", "status"),
    [
        ({"serving": False}, bu(1), BAStatus.HOME_REGISTRATION_NOT_SUPPORTED),
        ({}, bu(1, home_address=COA[3]), BAStatus.NOT_HOME_SUBNET),
        ({"home_addresses": (HOME[5],)}, bu(1), BAStatus.PROHIBITED),
        ({}, bu(1, home_address=HA), BAStatus.PROHIBITED),
        ({"max_bindings": 0}, bu(1), BAStatus.INSUFFICIENT_RESOURCES),
        ({}, bu(1, lifetime_s=0), BAStatus.NOT_HOME_AGENT),
    ],
)
def test_refusals(config: dict[str, Any], update: Received, status: int) -> None:
    """Not serving 131, not on-link 132, not provisioned 129, full 130, nothing to remove 133 (M10, M25)."""
    agent = HomeAgent(evolve(CONFIG, **config))
    (answer,) = agent.receive(update, 0.0)
    assert (answer.message.status, answer.message.lifetime_s) == (status, 0)
    assert until(agent, 9999.0) == []


def test_type_change() -> None:
    """H=0 for a home registration is 139; without a binding it is no business of a home agent (M17)."""
    agent = HomeAgent(CONFIG)
    assert agent.receive(bu(1, home_registration=False), 0.0) == []
    agent.receive(bu(1), 0.0)
    assert ack(agent.receive(bu(2, home_registration=False), 1.0)).status == 139


@pytest.mark.parametrize("coa", ["::", "ff02::1", "fe80::1", "::1"])
def test_bad_care_of_address(coa: str) -> None:
    """A care-of address that is no routable unicast address: dropped without a word (M18)."""
    agent = HomeAgent(CONFIG)
    assert agent.receive(bu(1, alternate_coa=IPv6Address(coa)), 0.0) == []
    assert sum(agent.dropped.values()) == 1


def test_unauthenticated() -> None:
    """Without `insecure`, an unauthenticated BU does nothing and is not answered (M28)."""
    agent = HomeAgent(evolve(CONFIG, insecure=False))
    assert agent.receive(bu(1), 0.0) == []
    assert len(agent.receive(evolve(bu(1), authenticated=True), 0.0)) == 2


@pytest.mark.parametrize(("lifetime_s", "coa"), [(0, COA[0]), (600, HOA)])
def test_deregistration(lifetime_s: int, coa: IPv6Address) -> None:
    """Lifetime 0, or the home address as CoA: served no more; the sequence number is kept for 10 s (M26)."""
    agent = HomeAgent(CONFIG)
    agent.receive(bu(5), 0.0)
    remove, answer = agent.receive(bu(7, lifetime_s=lifetime_s, alternate_coa=coa), 1.0)
    assert remove == ma.RemoveBinding(HOA)
    assert answer.message == BindingAcknowledgement(0, 7, 0, HOA)
    assert ack(agent.receive(bu(6), 1.5)).status == 135
    until(agent, 11.1)
    assert ack(agent.receive(bu(6), 11.2)).status == 0


def test_deregistration_from_home() -> None:
    """A BU from the home address itself is answered without a type 2 routing header (M15)."""
    agent = HomeAgent(CONFIG)
    agent.receive(bu(5), 0.0)
    actions = agent.receive(bu(6, lifetime_s=0, source=HOA, alternate_coa=HOA), 1.0)
    assert (ack(actions).home_address, actions[-1].destination) == (None, HOA)


def test_refresh_moves_the_lifetime() -> None:
    """Another BU from the same CoA changes nothing but the end."""
    agent = HomeAgent(CONFIG, Parameters(max_lifetime_s=100))
    agent.receive(bu(1), 0.0)
    assert len(agent.receive(bu(2), 60.0)) == 1
    assert until(agent, 500.0) == [(160.0, ma.RemoveBinding(HOA))]
