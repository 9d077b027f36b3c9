"""The mobile node's engine of Mobile IPv6."""

from ipaddress import IPv6Address
from typing import Any

import pytest
from attrs import evolve
from engine_kit import until

from lies.events import CareOfAddressChanged, Header, Link, Technology
from lies_mipv6 import actions as ma
from lies_mipv6.items import Received
from lies_mipv6.messages import BAStatus, BindingAcknowledgement, BindingUpdate
from lies_mipv6.mobile_node import MobileNode
from lies_mipv6.parameters import MobileNodeConfig, Parameters
from lies_mipv6.states import MobileNodeState

HOA, HA = IPv6Address("2001:db8:1000::99"), IPv6Address("2001:db8:1000::1")
COA = [IPv6Address(f"2001:db8:{n}::99") for n in range(9)]
CONFIG = MobileNodeConfig(HOA, HA, insecure=True, first_sequence=0xFFFF)
HEADER = Header("fmipv6", 1, 1, 5, 1005, Link("wlan0", Technology.WIFI))


def care_of(n: int, previous: int | None = None, *, tunnelled: bool = False) -> CareOfAddressChanged:
    """A report of the fmipv6 consumer."""
    return CareOfAddressChanged(
        HEADER,
        str(COA[n]),
        str(COA[previous]) if previous is not None else None,
        "2001:db8::1",
        "2001:db8::2" if tunnelled else None,
    )


def ba(sequence: int, status: int = 0, lifetime_s: int = 600, **more: Any) -> Received:
    """A Binding Acknowledgement."""
    message = BindingAcknowledgement(status, sequence, lifetime_s, more.get("home", HOA))
    return Received(message, more.get("source", HA), COA[1], more.get("authenticated", False))


def updates(actions: list[Any]) -> list[BindingUpdate]:
    """Binding Updates among actions."""
    return [
        a.message for a in actions if isinstance(a, ma.SendMessage) and isinstance(a.message, BindingUpdate)
    ]


def registered() -> MobileNode:
    """A node registered with COA[1] since 0.1."""
    mn = MobileNode(CONFIG)
    mn.receive(care_of(1), 0.0)
    mn.receive(ba(0xFFFF), 0.1)
    assert mn.state is MobileNodeState.REGISTERED
    return mn


def test_first_registration() -> None:
    """Accepting comes before the BU, the BU before the tunnel; H, A, alternate CoA, lifetime (M06, M09)."""
    mn = MobileNode(CONFIG)
    accept, send, tunnel = mn.receive(care_of(1), 0.0)
    assert accept == ma.AcceptCareOf(COA[1], HA)
    assert (send.source, send.destination) == (COA[1], HA)
    update = send.message
    assert (update.home_registration, update.acknowledge, update.key_management) == (True, True, False)
    assert (update.home_address, update.alternate_coa, update.lifetime_s) == (HOA, COA[1], 600)
    assert tunnel == ma.UseTunnel(HOA, HA, COA[1], None)
    (publish,) = mn.receive(ba(0xFFFF), 0.25)
    report = publish.report
    assert (report.coa, report.previous_coa, report.status, report.lifetime_s) == (str(COA[1]), None, 0, 600)
    assert (report.bu_ns, report.ba_ns) == (0, 250_000_000)
    assert (report.header.mono_ns, report.header.wall_ns) == (250_000_000, 250_001_000)


@pytest.mark.parametrize("link_local", [True, False])
def test_link_local_flag(link_local: bool) -> None:
    """L is what the configuration says of the link-local address (M07)."""
    mn = MobileNode(evolve(CONFIG, link_local=link_local))
    assert updates(mn.receive(care_of(1), 0.0))[0].link_local is link_local


def test_tunnelled_previous_address_stays_in_use_until_ba() -> None:
    """While the PAR tunnels, the tunnel's source is the previous CoA until the BA; then a grace (M41)."""
    mn = registered()
    actions = mn.receive(care_of(2, 1, tunnelled=True), 10.0)
    assert [type(a) for a in actions] == [ma.AcceptCareOf, ma.SendMessage]
    switch, publish = mn.receive(ba(0), 10.5)
    assert switch == ma.UseTunnel(HOA, HA, COA[2], COA[1])
    assert publish.report.previous_coa == str(COA[1])
    assert until(mn, 13.0) == [(12.5, ma.DropCareOf(COA[1]))]


def test_without_tunnel_the_source_changes_at_once() -> None:
    """Without a PAR's tunnel the new CoA is used right behind the BU; the old one is accepted for a grace."""
    mn = registered()
    actions = mn.receive(care_of(2, 1), 10.0)
    assert [type(a) for a in actions] == [ma.AcceptCareOf, ma.SendMessage, ma.UseTunnel]
    (publish,) = mn.receive(ba(0), 10.5)
    assert publish.report.previous_coa == str(COA[1])
    assert until(mn, 13.0) == [(12.5, ma.DropCareOf(COA[1]))]


def test_moving_again_before_the_ba() -> None:
    """Two moves before a BA: the tunnel's source goes from the first to the third, and all are accepted."""
    mn = registered()
    mn.receive(care_of(2, 1, tunnelled=True), 10.0)
    mn.receive(care_of(3, 2, tunnelled=True), 10.4)
    assert mn.receive(ba(0), 10.5) == [], "the BA of the second address says nothing about the third"
    assert mn.receive(ba(1), 10.6)[0] == ma.UseTunnel(HOA, HA, COA[3], COA[1])
    assert until(mn, 13.0) == [(12.6, ma.DropCareOf(COA[1])), (12.6, ma.DropCareOf(COA[2]))]


def test_returning_within_the_grace() -> None:
    """An address that is used again within its grace is not dropped."""
    mn = registered()
    mn.receive(care_of(2, 1), 10.0)
    mn.receive(ba(0), 10.1)
    mn.receive(care_of(1, 2), 11.0)
    mn.receive(ba(1), 11.1)
    assert until(mn, 20.0) == [(13.1, ma.DropCareOf(COA[2]))]


def test_no_grace() -> None:
    """With grace 0 the previous address is dropped at the BA."""
    mn = MobileNode(CONFIG, Parameters(grace_s=0.0))
    mn.receive(care_of(1), 0.0)
    mn.receive(ba(0xFFFF), 0.1)
    mn.receive(care_of(2, 1), 10.0)
    assert ma.DropCareOf(COA[1]) in mn.receive(ba(0), 10.1)


def test_repeated_report() -> None:
    """A report of the address in use is no reason for a BU."""
    mn = registered()
    assert mn.receive(care_of(1), 5.0) == []


def test_retransmission() -> None:
    """1.5 s first, doubled to 32 s and then at that rate, each BU with a new number (M32, M33)."""
    mn = MobileNode(CONFIG)
    first = updates(mn.receive(care_of(1), 0.0))
    log = [(t, u) for t, a in until(mn, 160.0) for u in updates([a])]
    assert [t for t, _ in log] == [1.5, 4.5, 10.5, 22.5, 46.5, 78.5, 110.5, 142.5]
    assert [u.sequence for u in [*first, *(u for _, u in log)]] == [0xFFFF, *range(8)]


def test_retransmission_with_a_binding() -> None:
    """With a binding at the home agent the first wait is 1 s (M32)."""
    mn = registered()
    mn.receive(care_of(2, 1), 10.0)
    assert [t for t, a in until(mn, 14.0) if updates([a])] == [11.0, 13.0]


def test_rate_limit() -> None:
    """More than three BUs in a second are held back; the last care-of address is what is sent (M33)."""
    mn = registered()
    early = [bool(updates(mn.receive(care_of(n), 10.0 + n / 100))) for n in range(2, 8)]
    assert early == [True, True, True, False, False, False]
    ((time, send),) = [(t, a) for t, a in until(mn, 11.5) if updates([a])]
    assert time == pytest.approx(11.02)
    assert send.message.alternate_coa == COA[7]


@pytest.mark.parametrize(
    "wrong",
    [
        ba(5),
        ba(0xFFFF, source=COA[5]),
        ba(0xFFFF, home=COA[5]),
    ],
)
def test_ba_that_is_none(wrong: Received) -> None:
    """A BA with another number, from elsewhere, or for another home address is ignored (M34)."""
    mn = MobileNode(CONFIG)
    mn.receive(care_of(1), 0.0)
    assert mn.receive(wrong, 0.1) == []
    assert mn.state is MobileNodeState.REGISTERING


def test_unauthenticated_ba() -> None:
    """Without `insecure`, a BA must be authenticated, also one that says 135 (M34, M35)."""
    mn = MobileNode(evolve(CONFIG, insecure=False))
    mn.receive(care_of(1), 0.0)
    assert mn.receive(ba(0xFFFF), 0.1) == []
    assert mn.receive(ba(7, 135), 0.1) == []
    assert len(mn.receive(ba(0xFFFF, authenticated=True), 0.2)) == 1


def test_sequence_out_of_window() -> None:
    """BA 135: the next BU has the number after the one it names (M35)."""
    mn = MobileNode(CONFIG)
    mn.receive(care_of(1), 0.0)
    (update,) = updates(mn.receive(ba(0x1234, 135, 0), 0.1))
    assert update.sequence == 0x1235
    assert len(mn.receive(ba(0x1235), 0.2)) == 1
    assert mn.receive(ba(0x7777, 135, 0), 0.3) == [], "once registered, a late 135 does nothing"


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (BAStatus.UNSPECIFIED, True),
        (BAStatus.INSUFFICIENT_RESOURCES, True),
        (BAStatus.PROHIBITED, False),
        (BAStatus.NOT_HOME_SUBNET, False),
        (BAStatus.DUPLICATE_ADDRESS, False),
    ],
)
def test_refusals(status: int, again: bool) -> None:
    """What may pass is tried again, slowly; anything else waits for the next care-of address (M37)."""
    mn = MobileNode(CONFIG)
    mn.receive(care_of(1), 0.0)
    (publish,) = mn.receive(ba(0xFFFF, status, 0), 0.1)
    assert publish.report.status == status
    assert [t for t, a in until(mn, 60.0) if updates([a])] == ([pytest.approx(32.1)] if again else [])
    assert updates(mn.receive(care_of(2, 1), 61.0))


def test_refresh() -> None:
    """The binding is renewed at three quarters of what was granted, counted from the BU (M36)."""
    mn = MobileNode(CONFIG)
    mn.receive(care_of(1), 0.0)
    mn.receive(ba(0xFFFF, lifetime_s=40), 1.0)
    assert [t for t, a in until(mn, 30.5) if updates([a])] == [30.0]
    (publish,) = mn.receive(ba(0, lifetime_s=40), 30.1)
    assert publish.report.previous_coa is None
