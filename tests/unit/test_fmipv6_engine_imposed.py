"""What a mobile node makes of NAACK, and of PCoA that stays in use (RFC 5568 sections 4 and 6.4.6)."""

from ipaddress import IPv6Address
from typing import Any

import pytest
from attrs import evolve
from fmipv6_kit import (
    HEADER,
    NAR,
    PAR,
    advertisement,
    bound,
    fback,
    kinds,
    leaving,
    messages,
    resolved,
    switching,
    until,
)
from net_nodes import MN_LLA, coa_of, poa_of, prefix_of

from lies.events import DownReason, LinkDown, LinkUp
from lies_fmipv6 import actions as fa
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    Naack,
    RouterAdvertisement,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import ALL_NODES, other_address
from lies_fmipv6.states import MobileNodeState

PCOA, NCOA = coa_of(1), coa_of(2)
NAR_LLA, NAR_LOCAL = b"\2\0\0\0\2\2", IPv6Address("fe80::2:2")
SUPPLIED = prefix_of(2)[0x1234]
OWN = other_address(prefix_of(2), MN_LLA, 1)


def naack(status: int, ncoa: IPv6Address | None = None, **more: Any) -> Received:
    """The new router's answer to a UNA."""
    ra = RouterAdvertisement(source_lla=NAR_LLA, naack=Naack(status, ncoa))
    return evolve(Received(ra, NAR_LOCAL, NCOA, NAR_LLA), **more)


def predictive() -> MobileNode:
    """A node that has just come to router 2, with its tunnel there."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    assert (mn.state, mn.coa) == (MobileNodeState.ATTACHED, NCOA)
    return mn


def reactive() -> MobileNode:
    """A node that has just come to router 2 and waits for its FBack."""
    mn = resolved()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.2)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    assert (mn.state, mn.coa) == (MobileNodeState.REBINDING, NCOA)
    return mn


def fbus(actions: list[Any]) -> list[tuple[IPv6Address, FastBindingUpdate]]:
    """FBUs among actions, each with its source."""
    return [(a.source, a.message) for a in actions if messages([a], FastBindingUpdate)]


@pytest.mark.parametrize("arrive", [predictive, reactive])
@pytest.mark.parametrize(("answer", "new"), [(naack(2, SUPPLIED), SUPPLIED), (naack(1), OWN)])
def test_another_address_is_used_and_bound(arrive: Any, answer: Received, new: IPv6Address) -> None:
    """NAACK 2: the supplied NCoA, 1: a new one of our own; UNA and FBU with it, the other goes (F41)."""
    mn = arrive()
    actions = mn.receive(answer, 5.31)
    una = fa.SendMessage(UnsolicitedNeighbourAdvertisement(new, MN_LLA), new, ALL_NODES)
    assert actions.index(fa.DropAddress(NCOA)) < actions.index(una)
    assert fa.EndTunnel(PCOA, NCOA, PAR, keep_address=True) in actions
    assert fa.HoldUplink(PCOA) in actions
    ((source, fbu),) = fbus(actions)
    assert (source, fbu.home_address, fbu.alternate_coa) == (new, PCOA, new)
    assert (mn.state, mn.coa) == (MobileNodeState.REBINDING, new)
    back = Received(FastBindingAck(0, fbu.sequence, 20), PAR, new)
    done = mn.receive(back, 5.4)
    assert done[0] == fa.CompleteHandover(PCOA, new, PAR, NAR, NAR_LLA, tunnel=True)
    reports = [[a.report for a in batch if isinstance(a, fa.Publish)] for batch in (actions, done)]
    # who was told of the address that goes has to hear at once; else what is held goes first
    (changed,) = reports[0] if arrive is predictive else reports[1]
    assert sum(map(len, reports)) == 1
    assert (changed.coa, changed.previous) == (str(new), str(PCOA))
    assert mn.state is MobileNodeState.ATTACHED


@pytest.mark.parametrize("arrive", [predictive, reactive])
@pytest.mark.parametrize("answer", [naack(4), naack(4, PCOA), naack(2, PCOA)])
def test_pcoa_stays_and_no_fbu_is_sent(arrive: Any, answer: Received) -> None:
    """NAACK 4, or PCoA supplied: PCoA at the new router, UNA with it, and no more FBU for it (F41)."""
    mn = arrive()
    actions = mn.receive(answer, 5.31)
    assert fa.EndTunnel(PCOA, NCOA, PAR, keep_address=True) in actions
    assert fa.DropAddress(NCOA) in actions
    assert fa.UseRouter(PCOA, 64, NAR, NAR_LLA) in actions
    assert [m.target for m in messages(actions, UnsolicitedNeighbourAdvertisement)] == [PCOA]
    assert (mn.state, mn.coa) == (MobileNodeState.ATTACHED, PCOA)
    log = until(mn, 30.0)
    assert fbus([*actions, *(a for _, a in log)]) == []
    successor = [(round(t - 5.31, 2), a.coa) for t, a in log if isinstance(a, fa.UseRouter)]
    assert successor == [(10.0, OWN)], "its own address at half the lifetime"
    assert mn.coa == OWN


def test_the_nars_address_is_bound() -> None:
    """NAACK 3: PCoA stays, and an FBU from it names the NAR's address, repeated until its FBack (F41)."""
    mn = reactive()
    actions = mn.receive(naack(3), 5.31)
    ((source, fbu),) = fbus(actions)
    assert (source, fbu.home_address, fbu.alternate_coa) == (PCOA, PCOA, NAR)
    again = [(round(t, 2), f.alternate_coa) for t, a in until(mn, 5.5) for _, f in fbus([a])]
    assert again == [(5.41, NAR)]
    assert mn.receive(Received(FastBindingAck(1, fbu.sequence, 12, PCOA), PAR, PCOA), 5.52) == []
    log = until(mn, 30.0)
    assert fbus([a for _, a in log]) == []
    assert [round(t, 2) for t, a in log if isinstance(a, fa.UseRouter)] == [11.52]


def test_the_nars_address_cannot_be_bound_for_ever() -> None:
    """Without FBack the FBU that names the NAR is repeated FBU_RETRIES times and no more (F36)."""
    mn = reactive()
    sent = fbus(mn.receive(naack(3), 5.31)) + fbus([a for _, a in until(mn, 9.0)])
    assert len(sent) == 4


@pytest.mark.parametrize("arrive", [predictive, reactive])
def test_an_unknown_link_layer_address(arrive: Any) -> None:
    """NAACK 128: neither NCoA nor PCoA is used any more; an own address, and no FBU (F41)."""
    mn = arrive()
    actions = mn.receive(naack(128), 5.31)
    assert fa.EndTunnel(PCOA, NCOA, PAR) in actions
    assert fa.DropAddress(NCOA) in actions
    assert fa.UseRouter(OWN, 64, NAR, NAR_LLA) in actions
    assert fbus([*actions, *(a for _, a in until(mn, 30.0))]) == []
    assert (mn.state, mn.coa, mn.tunnels) == (MobileNodeState.ATTACHED, OWN, 0)


@pytest.mark.parametrize(
    ("answer", "when"),
    [
        (naack(2, SUPPLIED), 9.0),
        (naack(2, SUPPLIED, destination=ALL_NODES), 5.4),
        (naack(2, SUPPLIED, destination=PCOA), 5.4),
        (naack(2, SUPPLIED, source=PAR), 5.4),
        (naack(2, prefix_of(7)[9]), 5.4),
        (naack(77), 5.4),
        (naack(2, NCOA), 5.4),
        (
            naack(
                2,
                SUPPLIED,
                message=RouterAdvertisement(source_lla=b"\2\0\0\0\7\7", naack=Naack(2, SUPPLIED)),
                link_layer=b"\2\0\0\0\7\7",
            ),
            5.4,
        ),
    ],
    ids=["late", "to all", "to PCoA", "from afar", "elsewhere", "unknown", "the same", "another router"],
)
def test_naack_that_is_none(answer: Received, when: float) -> None:
    """A NAACK long after the UNA, for another address, from another router, or senseless changes nothing."""
    mn = predictive()
    until(mn, when)
    assert mn.receive(answer, when) == []
    assert (mn.state, mn.coa) == (MobileNodeState.ATTACHED, NCOA)


def test_naack_before_any_handover() -> None:
    """At the first router nothing was announced, and nothing is to be refused."""
    mn = resolved()
    first = evolve(naack(1), source=IPv6Address("fe80::2:1"), destination=PCOA)
    assert mn.receive(first, 1.0) == []
    assert mn.coa == PCOA


def test_naack_when_the_old_address_is_gone() -> None:
    """After BA and grace there is no PCoA to bind: only the address changes (F41)."""
    mn = predictive()
    mn.receive(bound(NCOA), 5.31)
    until(mn, 7.4)
    assert mn.tunnels == 0
    actions = mn.receive(naack(2, SUPPLIED), 7.5)
    assert kinds(actions) == ["UseRouter", "DropAddress", "Publish"]
    assert mn.coa == SUPPLIED


def test_a_second_refusal() -> None:
    """Each NAACK 1 makes the node try another address, never one that was refused."""
    mn = reactive()
    tried = [mn.coa]
    for n in range(4):
        mn.receive(naack(1, destination=mn.coa), 5.4 + n / 10)
        tried.append(mn.coa)
    assert len(set(tried)) == 5


def kept() -> MobileNode:
    """A node at router 2 that was told in its FBack to keep PCoA."""
    mn = resolved()
    leaving(mn)
    actions = mn.receive(fback(1, 0xFFFF, alternate_coa=PCOA), 5.1)
    assert kinds(actions) == ["AbandonHandover", "HoldUplink", "RequestConnect"]
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    return mn


def test_an_fback_that_supplies_pcoa() -> None:
    """FBack 1 with PCoA: at LinkUp UNA with PCoA, the new router for it, and what was held goes (F31)."""
    mn = kept()
    actions = mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    assert kinds(actions)[:3] == ["UnsolicitedNeighbourAdvertisement", "UseRouter", "ReleaseUplink"]
    assert actions[0].source == PCOA
    assert (mn.state, mn.coa) == (MobileNodeState.ATTACHED, PCOA)
    (done,) = [a.report for a in actions if isinstance(a, fa.Publish)]
    assert (done.mode, done.to_poa) == ("predictive", poa_of(2))


def test_a_kept_pcoa_is_succeeded() -> None:
    """The own address is reported, and PCoA goes a grace after its BA, without an FBU (F31)."""
    mn = kept()
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    log = until(mn, 15.4)
    (changed,) = [a.report for _, a in log if isinstance(a, fa.Publish)]
    assert (changed.coa, changed.previous, changed.tunnel_from) == (str(OWN), str(PCOA), str(PAR))
    assert mn.receive(bound(OWN), 16.0) == []
    assert [(round(t, 2), a) for t, a in until(mn, 40.0)] == [(18.0, fa.EndTunnel(PCOA, OWN, PAR))]


def test_an_fback_from_the_new_link_that_supplies_pcoa() -> None:
    """A NAR that keeps PCoA also for HI code 1: the reactive FBack says so, and PCoA stays."""
    mn = reactive()
    back = Received(FastBindingAck(1, 0xFFFF, 20, PCOA), PAR, NCOA)
    actions = mn.receive(back, 5.4)
    assert fa.DropAddress(NCOA) in actions
    assert fa.UseRouter(PCOA, 64, NAR, NAR_LLA) in actions
    assert (mn.state, mn.coa) == (MobileNodeState.ATTACHED, PCOA)


def test_back_home_by_surprise() -> None:
    """With a kept PCoA back on its own link: its router again, and an FBU with lifetime 0 (F44)."""
    mn = kept()
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    mn.receive(LinkDown(HEADER, poa_of(2), DownReason.SIGNAL_LOST), 6.0)
    mn.receive(LinkUp(HEADER, poa_of(1)), 6.1)
    actions = mn.receive(advertisement(1), 6.2)
    (use,) = [a for a in actions if isinstance(a, fa.UseRouter)]
    assert (use.coa, use.router) == (PCOA, IPv6Address("fe80::2:1"))
    ((source, fbu),) = fbus(actions)
    assert (source, fbu.lifetime_s, fbu.home_address) == (PCOA, 0, PCOA)
    assert (mn.state, mn.coa) == (MobileNodeState.ATTACHED, PCOA)
