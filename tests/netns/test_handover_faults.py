"""Handovers with faults in mid-way: lost messages, routers that restart or refuse; every packet counted."""

import asyncio
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import ACCESS, BACKBONE, ONE, TWO, Faults, Restart, ends_connected, lost_outside, neighbour
from kernel_losses import BU, EVERY, FBACK, FBU, HACK, HI, UNA, Kind, refused

from lies.bus.client import Client
from lies.events import HandoverDone, LinkDown
from lies.kernel.packets import PacketSender
from lies.testbed import topology as t
from lies.testbed.drive import Drive
from lies.testbed.node import Node, spawn
from lies_fmipv6 import messages as fm
from lies_fmipv6.codec import encode
from lies_fmipv6.parameters import eui64, form_address

pytestmark = [pytest.mark.netns, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _losses() -> None:
    """Skip where the kernel cannot be told to lose messages; with CI=true it fails instead."""
    if refused():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(refused())


_PCOA = form_address(ONE.prefix, eui64(t.MOBILE_MAC))


@pytest.mark.parametrize(
    ("namespace", "interface", "kind"),
    [
        ("ar1", ACCESS, FBU),
        ("ar2", BACKBONE, HI),
        ("ar1", BACKBONE, HACK),
        ("mn", t.MOBILE_LINK, FBACK),
        ("ar2", ACCESS, UNA),
    ],
    ids=["FBU", "HI", "HAck", "FBack", "UNA"],
)
def test_one_lost_message_costs_no_packet(namespace: str, interface: str, kind: Kind) -> None:
    """FBU, HI, HAck, FBack, UNA are repeated after 100 ms, and the rest waits for them: nothing is lost."""
    faults = Faults(losses=[(namespace, interface, kind, 1)])
    result = faults.run()
    assert faults.counted == {(namespace, kind.name): 1}
    assert faults.modes == ["predictive"]
    assert result.packets_sent > 1000
    assert result.packets_lost == 0
    assert sum(direction.duplicated for direction in result.directions) == 0
    assert ends_connected(result)


def test_a_link_that_goes_before_the_fback() -> None:
    """No FBack on the old link, and the link goes: the tunnel stands, so no packet to the node is lost.

    Nobody asked the node: what it sends itself is lost until it has heard of the break, and then held. What
    leaves from the new address right behind its Binding Update may find a home agent that is still at work.
    """
    helpers: list[threading.Thread] = []

    def act(faults: Faults, _event: object) -> None:
        if not helpers and faults.lost("mn", FBACK):
            helpers.append(threading.Thread(target=asyncio.run, args=(_go(faults.drive.bus_directory),)))
            helpers[0].start()

    faults = Faults(losses=[("mn", t.MOBILE_LINK, FBACK.to(_PCOA), EVERY)], act=act)
    result = faults.run()
    helpers[0].join()
    (done,) = faults.of(HandoverDone)
    assert faults.counted["mn", "FBack"] > 0
    assert done.mode == "reactive"
    assert done.fbu_ns < done.link_down_ns < done.fback_ns
    assert result.directions[0].lost == []
    assert lost_outside(result, (faults.down_ns, faults.bound_ns)) == []
    assert ends_connected(result)


async def _go(directory: Path) -> None:
    """Another consumer has the link moved to the second router."""
    async with await Client.connect(directory, name="impatient", timeout_s=20.0) as client:
        await client.link_connect(t.MOBILE_LINK, TWO.bssid)


def _crowd(drive_: Drive) -> Node:
    """A process by which the first router announces another node to the second one again and again."""

    def announce(ready: Callable[[], None]) -> int:
        sender, never = PacketSender(), threading.Event()
        ready()
        for number in itertools.count(1):
            mac = bytes.fromhex("020000000777")
            pcoa, ncoa = (form_address(r.prefix, eui64(mac)) for r in (ONE, TWO))
            hi = fm.HandoverInitiate(number & 0xFFFF, 0, False, True, mac, pcoa, ncoa)
            sender.send(encode(hi, ONE.address, TWO.address), TWO.address)
            never.wait(0.1)
        return 0

    return spawn(ONE.name, drive_.descriptor(ONE.name), announce)


_BREAKS: dict[str, Any] = {
    "speed_kmh": 60.0,
    "spacing_m": 120.0,
}  # the first link is lost before the end of the road


def test_a_full_router_takes_the_node_when_it_is_there() -> None:
    """HAck 130, FBack 130: the node stays until its link breaks, and then its FBU from the new link is taken.

    Lost is at most what was sent between the break and the Binding Acknowledgement.
    """
    faults = Faults()
    result = faults.run(**_BREAKS, access={"max_expected_per_neighbour": 1}, helper=_crowd)
    (done,) = faults.of(HandoverDone)
    assert (done.from_poa, done.mode) == (ONE.bssid, "reactive")
    assert result.packets_lost > 0
    assert lost_outside(result, (faults.down_ns, faults.bound_ns)) == []
    assert ends_connected(result)


def test_a_router_that_knows_no_such_neighbour_is_left_to_mobile_ipv6() -> None:
    """HAck 129, FBack 129, also for the FBU from the new link: packets come when the home agent knows.

    Lost is at most what was sent between the break and the Binding Acknowledgement.
    """
    faults = Faults()
    result = faults.run(**_BREAKS, access={"neighbours": [neighbour(TWO)]})
    (done,) = faults.of(HandoverDone)
    assert (done.from_poa, done.mode) == (ONE.bssid, "none")
    assert result.packets_lost > 0
    assert lost_outside(result, (faults.down_ns, faults.bound_ns)) == []
    assert ends_connected(result)


def test_a_previous_router_that_restarts_between_fbu_and_fback() -> None:
    """It has forgotten the FBU: packets are forwarded as ever, and what is lost is the link's own break.

    With the next FBU all is well if it is in time; else the node takes it for a router without fast handover
    (RFC 5568 section 4) and stays until the link breaks.
    """
    restart = Restart("ar1")

    def act(faults: Faults, _event: object) -> None:
        if restart.node is None and faults.lost("ar2", HI):
            restart.begin(faults.drive)
            faults.lose_no_more("ar2")
        restart.look()

    faults = Faults(losses=[("ar2", BACKBONE, HI, EVERY)], act=act)
    result = faults.run(spacing_m=105.0)
    assert restart.ready_ns is not None
    assert faults.counted["ar2", "HI"] > 0
    assert restart.killed_ns < faults.down_ns
    (mode,) = faults.modes
    breaks = [] if mode == "predictive" else [(faults.down_ns, faults.bound_ns)]
    starts = (restart.killed_ns, restart.ready_ns)  # it makes room for its rules in the kernel
    assert lost_outside(result, starts, *breaks) == []
    assert ends_connected(result)


def test_a_previous_router_that_restarts_while_its_tunnel_stands() -> None:
    """Its tunnel ends with it, and no message tells the node: lost until the home agent knows.

    The Binding Updates are lost until the router is there again, so that the tunnel is needed all the time.
    """
    restart = Restart("ar1")

    def act(faults: Faults, _event: object) -> None:
        if restart.node is None and faults.lost("ha", BU):
            restart.begin(faults.drive)
        elif restart.ready_ns is None and restart.look():
            faults.lose_no_more("ha")

    faults = Faults(losses=[("ha", BACKBONE, BU, EVERY)], act=act)
    result = faults.run()
    assert faults.modes == ["predictive"]
    assert restart.killed_ns > faults.up_ns
    assert result.packets_lost > 0
    assert lost_outside(result, (restart.killed_ns, faults.bound_ns)) == []
    assert ends_connected(result)


def test_a_new_router_that_restarts_between_hack_and_una() -> None:
    """What waits there goes with it, and the UNA makes the node known: uplink whole, downlink in the gap."""
    restart = Restart("ar2")

    def act(faults: Faults, event: object) -> None:
        if restart.node is None and isinstance(event, LinkDown):
            restart.begin(faults.drive)
        restart.look()

    faults = Faults(act=act)
    result = faults.run(l2_gap_ms=1000.0)
    assert faults.modes == ["predictive"]
    assert restart.ready_ns is not None
    downlink, uplink = result.directions
    assert uplink.lost == []
    assert len(downlink.lost) > 0
    assert lost_outside(result, (faults.down_ns, max(faults.up_ns, restart.ready_ns))) == []
    assert ends_connected(result)
