"""A car leaves the Wi-Fi's coverage and comes back: cellular takes over and gives back, without a loss."""

import pytest
from drives import drive
from tools import need

from lies.testbed import modem
from lies.testbed.result import DriveResult

pytestmark = [pytest.mark.netns, pytest.mark.slow]


def vertical() -> DriveResult:
    """Past two access points, 340 m apart."""
    return drive(routers=2, hole_m=250.0, speed_kmh=90.0, rate_mbps=1.0, vertical=True)


def check(result: DriveResult) -> None:
    """There and back, both while the link that was left still worked."""
    ways = [(c.from_link, c.to_link) for c in result.changes]
    assert ways[:2] == [("wlan0", "wwan0"), ("wwan0", "wlan0")]
    there, back = result.changes[:2]
    assert there.before_worked
    assert there.warned_ns is not None
    assert there.warned_ns < there.bu_ns
    assert back.before_worked
    assert result.packets_sent > 1000
    assert result.packets_lost == 0


def test_a_plain_interface_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a modem the cellular link is an interface that is always up, and the result says so."""
    monkeypatch.setattr(modem, "rig_missing", lambda: "the test says so")
    result = vertical()
    assert result.cellular == "simulated, an interface that is always up: the test says so"
    check(result)


@pytest.mark.modem
def test_a_modem_takes_over() -> None:
    """The driver cellular connects the modem when the Wi-Fi is about to end."""
    for tool in ("/usr/sbin/ModemManager", "mmcli", "dbus-daemon", "unshare", "ip"):
        need(tool)
    assert modem.rig_missing() is None
    result = vertical()
    assert result.cellular is not None
    assert result.cellular.startswith("the driver cellular")
    check(result)
