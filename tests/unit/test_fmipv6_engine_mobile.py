"""FBU, FBack, connecting and arriving in the mobile node's engine of FMIPv6."""

from ipaddress import IPv6Address

import pytest
from attrs import evolve
from fmipv6_kit import (
    CONFIG,
    HEADER,
    NAR,
    PAR,
    advertisement,
    attached,
    bound,
    fback,
    kinds,
    leaving,
    messages,
    poas,
    proxy,
    resolved,
    switching,
    until,
)
from net_nodes import MN_LLA, coa_of, poa_of, prefix_of

from lies.events import (
    DownReason,
    HandoverDone,
    LinkDown,
    LinkUp,
    Quality,
)
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.messages import (
    FastBindingUpdate,
    OptionCode,
    PrRtAdvCode,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.parameters import ALL_NODES
from lies_fmipv6.states import DiscoveryState, MobileNodeState


@pytest.mark.parametrize("option_code", [OptionCode.UNKNOWN, OptionCode.NO_FAST_HANDOVER])
def test_no_fast_handover_to_an_unresolved_poa(option_code: OptionCode) -> None:
    """Option-codes 6 and 7: no FBU from the old link (F08, F11)."""
    mn = resolved(option_code=option_code)
    assert messages(leaving(mn), FastBindingUpdate) == []
    assert mn.state is MobileNodeState.ATTACHED


@pytest.mark.parametrize(
    ("option_code", "fbu"), [(OptionCode.UNKNOWN, True), (OptionCode.NO_FAST_HANDOVER, False)]
)
def test_fbu_from_the_new_link_of_an_unresolved_poa(option_code: OptionCode, fbu: bool) -> None:
    """Option-code 6 allows an FBU from the new link, 7 does not (6.1.2); there is no UNA either way."""
    mn = resolved(option_code=option_code)
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.1)
    actions = mn.receive(advertisement(2), 5.2)
    assert bool(messages(actions, FastBindingUpdate)) is fbu
    assert messages(actions, UnsolicitedNeighbourAdvertisement) == []
    assert mn.coa == coa_of(2)


def test_same_router_needs_no_handover() -> None:
    """Option-code 5: LinkConnect at once, the care-of address stays, no FBU and no UNA (F09)."""
    mn = resolved(option_code=OptionCode.SAME_INTERFACE)
    assert kinds(leaving(mn))[-2:] == ["HoldUplink", "RequestConnect"]
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.1)
    assert kinds(mn.receive(LinkUp(HEADER, poa_of(2)), 5.2)) == ["ReleaseUplink", "RequestPoAList"]
    assert mn.coa == coa_of(1)
    assert mn.state is MobileNodeState.ATTACHED


def test_fbu_from_the_old_link() -> None:
    """The FBU has A=H=1, HoA = PCoA, the alternate CoA = NCoA, and comes from PCoA (F17, F18)."""
    mn = resolved()
    actions = leaving(mn)
    (send,) = [a for a in actions if messages([a], FastBindingUpdate)]
    fbu = send.message
    assert (send.source, send.destination) == (coa_of(1), PAR)
    assert (fbu.home_address, fbu.alternate_coa, fbu.lla) == (coa_of(1), coa_of(2), MN_LLA)
    assert fbu.acknowledge
    assert fbu.home_registration
    assert fa.PrepareHandover(coa_of(1), coa_of(2), PAR, NAR, b"\2\0\0\0\2\2") in actions


def test_fbu_retransmission() -> None:
    """The FBU is repeated three times with new numbers and doubled waits; then FMIPv6 is over here (F36)."""
    mn = resolved()
    first = messages(leaving(mn, 5.0), FastBindingUpdate)
    log = until(mn, 6.499)
    again = [(round(t, 3), m) for t, a in log for m in messages([a], FastBindingUpdate)]
    assert [t for t, _ in again] == [5.1, 5.3, 5.7]
    assert [f.sequence for f in [*first, *(m for _, m in again)]] == [0xFFFF, 0, 1, 2]
    last = until(mn, 6.51)
    assert fa.AbandonHandover(coa_of(2)) in [a for _, a in last]
    (zero,) = [m for _, a in last for m in messages([a], FastBindingUpdate)]
    assert zero.lifetime_s == 0, "its FBacks may have been lost, and PAR be tunnelling"
    assert mn.state is MobileNodeState.ATTACHED
    assert mn.discovery_state is DiscoveryState.UNSUPPORTED


def test_any_of_the_repeated_fbus_may_be_answered() -> None:
    """An FBack for the first FBU counts also after the second was sent; one for none of them does not."""
    mn = resolved()
    leaving(mn, 5.0)
    until(mn, 5.2)
    assert mn.receive(fback(0, 77), 5.25) == []
    assert mn.receive(evolve(fback(0, 0xFFFF), source=NAR), 5.25) == []
    assert kinds(mn.receive(fback(0, 0xFFFF), 5.25)) == ["HoldUplink", "RequestConnect", "ExpectLinkUp"]


@pytest.mark.parametrize("status", [128, 129, 130, 131, 255])
def test_refused_fbu(status: int) -> None:
    """An FBack of 128 and above: the node stays, and leaves that PoA alone for a while."""
    mn = resolved()
    leaving(mn)
    assert fa.AbandonHandover(coa_of(2)) in mn.receive(fback(status, 0xFFFF), 5.1)
    assert mn.state is MobileNodeState.ATTACHED
    assert messages(leaving(mn, 6.0), FastBindingUpdate) == []
    assert messages(leaving(mn, 11.0), FastBindingUpdate) != []


def test_supplied_ncoa_is_used() -> None:
    """FBack status 1: the node uses the NCoA in it and not its own proposal (F30)."""
    mn = resolved()
    leaving(mn)
    other = prefix_of(2)[0x1234]
    actions = mn.receive(fback(1, 0xFFFF, alternate_coa=other), 5.1)
    assert kinds(actions[:-1]) == ["AbandonHandover", "PrepareHandover", "HoldUplink", "RequestConnect"]
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    first = mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    una = first[0]
    expected = actions[-1]
    assert isinstance(expected, fa.ExpectLinkUp)
    assert [expected.poa, expected.announce, expected.complete] == [poa_of(2), *first[:2]]
    assert una == fa.SendMessage(UnsolicitedNeighbourAdvertisement(other, MN_LLA), other, ALL_NODES)
    assert mn.coa == other


def test_unauthenticated_fback_is_no_fback() -> None:
    """Without `insecure`, an FBack must be authenticated, and without a key nothing is tried (F20)."""
    keyed = evolve(CONFIG, insecure=False, keys={PAR: b"k"})
    mn = resolved(keyed)
    leaving(mn)
    assert mn.receive(fback(0, 0xFFFF), 5.1) == []
    assert kinds(mn.receive(evolve(fback(0, 0xFFFF), authenticated=True), 5.2))[-2] == "RequestConnect"
    mn = attached(evolve(CONFIG, insecure=False))
    assert mn.receive(poas(p2=Quality.GOOD), 0.02) == []


@pytest.mark.parametrize("refused", [True, False])
def test_connect_that_does_not_happen(refused: bool) -> None:
    """LinkConnect refused or without effect: uplink released, FBU with lifetime 0, the node stays (F44)."""
    mn = switching()
    if refused:
        actions = mn.receive(fi.ConnectRefused(poa_of(2), "busy"), 5.2)
    else:
        actions = [a for _, a in until(mn, 7.2)]
    assert kinds(actions)[:3] == ["ReleaseUplink", "AbandonHandover", "FastBindingUpdate"]
    zero = messages(actions, FastBindingUpdate)[0]
    assert (zero.lifetime_s, zero.home_address) == (0, coa_of(1))
    assert mn.state is MobileNodeState.ATTACHED


def test_held_uplink_is_released_in_time() -> None:
    """LinkDown and no LinkUp: the hold ends within its time, with or without a handover under way."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    assert [(round(t, 3), kinds([a])) for t, a in until(mn, 60.0)] == [(7.1, ["ReleaseUplink"])]
    mn = resolved()
    down = mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
    assert kinds(down) == ["HoldUplink"]
    assert [(round(t, 3), kinds([a])) for t, a in until(mn, 60.0)] == [(7.0, ["ReleaseUplink"])]


def test_back_at_the_old_poa() -> None:
    """A switch that ends where it began: released, and the PAR told with lifetime 0 (5.6)."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    actions = mn.receive(LinkUp(HEADER, poa_of(1)), 5.3)
    assert kinds(actions)[:3] == ["ReleaseUplink", "AbandonHandover", "FastBindingUpdate"]
    assert mn.coa == coa_of(1)


def test_link_breaks_between_fbu_and_fback() -> None:
    """RFC 5184 scenario 2: at LinkUp UNA, then the FBU again from NCoA; its FBack opens the tunnel (F37)."""
    mn = resolved()
    leaving(mn)
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.05)
    actions = mn.receive(LinkUp(HEADER, poa_of(2)), 5.1)
    assert kinds(actions)[:3] == [
        "UnsolicitedNeighbourAdvertisement",
        "CompleteHandover",
        "FastBindingUpdate",
    ]
    assert actions[1].tunnel is False
    assert (actions[2].source, actions[2].destination) == (coa_of(2), PAR)
    assert mn.state is MobileNodeState.REBINDING
    # the FBack to the first FBU, which waited at NAR, will do
    (complete, *_) = mn.receive(evolve(fback(0, 0xFFFF), destination=coa_of(2)), 5.15)
    assert complete == fa.CompleteHandover(coa_of(1), coa_of(2), PAR, NAR, b"\2\0\0\0\2\2", tunnel=True)
    assert mn.state is MobileNodeState.ATTACHED


@pytest.mark.parametrize("there", [False, True], ids=["from the old link", "from the new link"])
def test_the_time_of_the_first_fbu_is_reported(there: bool) -> None:
    """When the first FBU left, not when it was decided on or repeated: both modes (fbu_ns)."""
    mn = resolved()
    if there:
        mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
        actions = mn.receive(LinkUp(HEADER, poa_of(2)), 5.0)
    else:
        actions = leaving(mn)
    (first,) = messages(actions, FastBindingUpdate)
    mn.receive(fi.FbuSent(first.sequence), 5.001)
    due = 5.0
    again: list[FastBindingUpdate] = []
    while not again:
        due = mn.next_timeout() or due
        again = messages(mn.handle_timeout(due), FastBindingUpdate)
    mn.receive(fi.FbuSent(again[0].sequence), due + 0.001)
    mn.receive(fi.FbuSent((first.sequence - 7) & 0xFFFF), due + 0.002)
    came = mn.receive(evolve(fback(0, again[0].sequence), destination=coa_of(2 if there else 1)), due + 0.01)
    if not there:
        came += mn.receive(LinkUp(HEADER, poa_of(2)), due + 0.02)
    came += mn.receive(bound(coa_of(2)), due + 0.03)
    came += [a for _, a in until(mn, due + 30.0)]
    (done,) = [a.report for a in came if isinstance(a, fa.Publish) and isinstance(a.report, HandoverDone)]
    assert (done.mode, done.fbu_ns) == ("reactive" if there else "predictive", 5_001_000_000)
    assert done.fback_ns == round((due + 0.01) * 1e9)


def test_reactive_without_an_answer() -> None:
    """A PAR that does not answer from the new link: the tunnel is given up, the node stays connected."""
    mn = resolved()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.1)
    log = until(mn, 10.0)
    assert len([m for _, a in log for m in messages([a], FastBindingUpdate)]) == 3
    assert fa.EndTunnel(coa_of(1), coa_of(2), PAR) in [a for _, a in log]
    (told, moved), (_, done) = [(t, a.report) for t, a in log if isinstance(a, fa.Publish)]
    assert (round(told, 3), moved.coa, moved.tunnel_from) == (5.2, str(coa_of(2)), None)
    assert done.mode == "none"
    assert mn.state is MobileNodeState.ATTACHED


def test_a_reactive_handover_is_reported_with_its_fback() -> None:
    """What is held goes through the tunnel before anybody hears of the new address, and sends from there."""
    mn = resolved()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
    came = mn.receive(LinkUp(HEADER, poa_of(2)), 5.1)
    ((_, fbu),) = [(a.source, a.message) for a in came if messages([a], FastBindingUpdate)]
    assert [a for a in came if isinstance(a, fa.Publish)] == []
    actions = mn.receive(evolve(fback(0, fbu.sequence), destination=coa_of(2)), 5.12)
    complete = fa.CompleteHandover(coa_of(1), coa_of(2), PAR, NAR, b"\2\0\0\0\2\2", tunnel=True)
    (report,) = [a for a in actions if isinstance(a, fa.Publish)]
    assert actions.index(complete) < actions.index(report)
    assert (report.report.coa, report.report.tunnel_from) == (str(coa_of(2)), str(PAR))


def test_an_address_that_was_not_reported_is_when_the_node_is_back() -> None:
    """A link that breaks before the FBack, and comes again: the address is reported then."""
    mn = resolved()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.SIGNAL_LOST), 5.0)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.1)
    mn.receive(LinkDown(HEADER, poa_of(2), DownReason.SIGNAL_LOST), 5.15)
    assert [a for t, a in until(mn, 5.3) if isinstance(a, fa.Publish)] == []
    back = mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    assert [a.report.coa for a in back if isinstance(a, fa.Publish)] == [str(coa_of(2))]


def test_una_is_repeated_until_the_router_delivers() -> None:
    """UNA goes out again twice, unless something came to NCoA that only NAR can have let through."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    times = [round(t, 3) for t, a in until(mn, 6.5) if messages([a], UnsolicitedNeighbourAdvertisement)]
    assert times == [5.4, 5.6]
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    mn.receive(evolve(fback(0, 0xFFFF), destination=coa_of(2)), 5.35)
    assert [a for _, a in until(mn, 6.5) if messages([a], UnsolicitedNeighbourAdvertisement)] == []


def test_una_is_repeated_though_the_router_answers_an_rtsolpr() -> None:
    """A PrRtAdv goes to the link-layer address that asked for it: no sign that NAR has the node's UNA."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    (asked,) = messages(mn.receive(poas(p1=Quality.GOOD, p2=Quality.GOOD), 5.31), RtSolPr)
    mn.receive(evolve(proxy(asked.identifier), source=IPv6Address("fe80::2:2"), destination=coa_of(2)), 5.32)
    times = [round(t, 3) for t, a in until(mn, 6.5) if messages([a], UnsolicitedNeighbourAdvertisement)]
    assert times == [5.4, 5.6]


def test_only_the_acknowledgement_of_the_present_address_ends_tunnels() -> None:
    """BindingUpdated for another address, or with a refusal, starts no grace."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    assert mn.receive(bound(coa_of(1)), 5.4) == []
    assert mn.receive(bound(coa_of(2), 128), 5.4) == []
    (fbu,) = messages(mn.receive(bound(coa_of(2)), 5.5), FastBindingUpdate)
    assert (fbu.lifetime_s, fbu.home_address) == (2, coa_of(1))
    assert (7.5, fa.EndTunnel(coa_of(1), coa_of(2), PAR)) in until(mn, 8.0)
    assert mn.tunnels == 0


def test_a_tunnel_is_refreshed_and_ends_without_a_home_agent() -> None:
    """Without BA the PAR's tunnel is refreshed at half its lifetime, but not for ever."""
    mn = switching()
    mn.receive(LinkDown(HEADER, poa_of(1), DownReason.REQUESTED), 5.2)
    mn.receive(LinkUp(HEADER, poa_of(2)), 5.3)
    ended, refreshed = None, 0
    while ended is None:
        due = mn.next_timeout()
        assert due is not None
        for action in mn.handle_timeout(due):
            for fbu in messages([action], FastBindingUpdate):
                refreshed += 1
                mn.receive(evolve(fback(0, fbu.sequence), destination=coa_of(2)), due)
            if isinstance(action, fa.EndTunnel):
                ended = due
    assert refreshed == 11
    assert 120 <= ended <= 145


def test_network_initiated_handover() -> None:
    """An unsolicited PrRtAdv with code 1 makes the node send its FBU at once; code 4 does not (F13, F15)."""
    mn = attached()
    assert messages(mn.receive(proxy(0, code=PrRtAdvCode.NEIGHBOURHOOD), 1.0), FastBindingUpdate) == []
    ordered = mn.receive(proxy(0, code=PrRtAdvCode.HANDOVER), 1.1)
    assert kinds(ordered)[:2] == ["FastBindingUpdate", "PrepareHandover"]


def test_repeated_and_late_link_events() -> None:
    """A LinkUp that repeats, or a LinkDown of a PoA that was left, changes nothing."""
    mn = resolved()
    assert mn.receive(LinkUp(HEADER, poa_of(1)), 5.0) == []
    assert mn.receive(LinkDown(HEADER, poa_of(2), DownReason.SIGNAL_LOST), 5.0) == []
    assert mn.state is MobileNodeState.ATTACHED


def test_missing_link_down() -> None:
    """A LinkUp elsewhere without LinkDown is a broken link and a new one."""
    mn = resolved()
    actions = mn.receive(LinkUp(HEADER, poa_of(2)), 5.0)
    assert kinds(actions)[:3] == ["HoldUplink", "PrepareHandover", "UnsolicitedNeighbourAdvertisement"]
    assert mn.state is MobileNodeState.REBINDING
