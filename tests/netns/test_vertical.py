"""A car leaves the Wi-Fi's coverage and comes back: cellular takes over and gives back, without a loss."""

from typing import Any

import pytest
from drives import Onlooker, drive
from tools import need

from lies.events import CareOfAddressChanged, Indication, Raw
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies.testbed import modem
from lies.testbed import topology as t
from lies.testbed.drive import Drive
from lies.testbed.result import DriveResult
from lies.testbed.vertical import LinkChange

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_PORT = 199  # of the mobile node, in the namespace of the radio


def vertical(**more: Any) -> DriveResult:
    """Past two access points, 240 m apart; the Wi-Fi is left and returned to soon, on any machine."""
    soon = {"link_policy": {"lead_s": 5.0, "return_after_s": 0.5}}
    road: dict[str, Any] = {"routers": 2, "hole_m": 150.0, "speed_kmh": 120.0}
    return drive(**road, rate_mbps=1.0, grace_s=1.0, vertical=True, fmipv6=soon, **more)


def changes_from_the_wifi(result: DriveResult) -> list[LinkChange]:
    """Without a first one to the Wi-Fi, of a node that began on the other link, which was up before."""
    changes = list(result.changes)
    return changes[1:] if changes and changes[0].to_link == t.MOBILE_LINK else changes


def check(result: DriveResult, mode: str) -> None:
    """There and back without a loss; without FMIPv6, while the link that was left still worked."""
    there, back = changes_from_the_wifi(result)[:2]
    assert [(c.from_link, c.to_link) for c in (there, back)] == [("wlan0", "wwan0"), ("wwan0", "wlan0")]
    assert there.warned_ns is not None
    assert there.warned_ns < there.bu_ns
    assert mode != "none" or (there.before_worked and back.before_worked)
    assert [there.mode, back.mode] == [mode, mode]
    assert result.packets_sent > 1000
    assert result.packets_lost == 0


def test_a_router_without_fmipv6_behind_a_plain_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mobile IPv6 changes the links alone; without a modem the result says that the link is simulated."""
    monkeypatch.setattr(modem, "rig_missing", lambda: "the test says so")
    result = vertical(cell_fmipv6=False)
    assert result.cellular == "simulated, an interface that is always up: the test says so"
    check(result, "none")


@pytest.mark.modem
def test_a_modem_takes_over_by_fast_handovers() -> None:
    """The driver cellular connects the modem when the Wi-Fi is about to end; the FBU goes by the Wi-Fi."""
    for tool in ("/usr/sbin/ModemManager", "mmcli", "dbus-daemon", "unshare", "ip"):
        need(tool)
    assert modem.rig_missing() is None
    result = vertical()
    assert result.cellular is not None
    assert result.cellular.startswith("the driver cellular")
    check(result, "predictive")


def test_the_wifi_breaks_as_soon_as_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The FBack is there, the home agent knows nothing yet: the tunnel brings every packet."""
    monkeypatch.setattr(modem, "rig_missing", lambda: "the test says so")
    built: list[Drive] = []
    broken: list[str] = []

    def when(event: Indication | Raw) -> None:
        if not isinstance(event, CareOfAddressChanged) or event.tunnel_from is None:
            return
        if event.header.link.name == t.CELL_LINK and not broken:
            broken.append(event.coa)
            with entered(built[0].descriptor("radio")):
                netlink = Netlink()
                netlink.execute([m.set_link(_PORT, up=False)])
                netlink.close()

    onlooker = Onlooker(when)
    result = vertical(onlooker=onlooker, on_built=built.append, duration_s=4.5, backbone_ms=30.0)
    assert len(broken) == 1
    there = changes_from_the_wifi(result)[0]
    assert (there.to_link, there.mode) == ("wwan0", "predictive")
    assert result.packets_sent > 300
    assert result.packets_lost == 0
