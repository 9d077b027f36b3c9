"""What no AT modem tells: 5G, thresholds, the cells around; python-dbusmock plays ModemManager."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tools import need, need_module

from lies.events import Technology
from modem.driven import Driven, driving
from modem.scene import HERE, LEVEL

if TYPE_CHECKING:
    from modem.mock import Mock

pytestmark = pytest.mark.modem

THERE = "24001-1A2B-C0FFEF"
CELLS = """ret = dbus.Array([dbus.Dictionary({
    "serving": dbus.Boolean(ci == "C0FFEE"), "cell-type": dbus.UInt32(5), "operator-id": "24001",
    "tac": "1A2B", "ci": ci, "physical-ci": "A1", "rsrp": rsrp, "rsrq": -9.0}, signature="sv")
    for ci, rsrp in (("C0FFEE", -95.0), ("C0FFEF", -85.0))], signature="a{sv}")"""
ANCHOR = {"rsrp": -95.0, "rsrq": -11.0, "snr": 10.0, "rssi": -70.0}


@pytest.fixture
def mock() -> Iterator["tuple[Mock, str]"]:
    """The mock, connected in LTE, and its bus's address."""
    need("dbus-daemon")
    need_module("dbusmock", "python-dbusmock")
    from modem.mock import mocked  # noqa: PLC0415 - it may not be installed

    with mocked() as (one, address):
        one.tell(".Signal", Lte=ANCHOR)
        yield one, address


def measured(lies: Driven, rsrp_dbm: float) -> tuple[str | None, float | None, float | None, float | None]:
    """Technology, RSRQ, SNR and RSSI of the first sample with this RSRP."""

    def found() -> list[tuple[str | None, float | None, float | None, float | None]]:
        samples = [one for _, one in lies.samples() if one.rsrp_dbm == rsrp_dbm]
        return [(s.technology, s.rsrq_db, s.snr_db, s.rssi_dbm) for s in samples]

    lies.until(lambda: bool(found()))
    return found()[0]


def test_new_radio(mock: "tuple[Mock, str]") -> None:
    """NR alone is measured by its own levels; with an LTE anchor (NSA) by the anchor's; both are named nr."""
    modem, address = mock
    with driving(address) as lies:
        lies.wait("link_up", HERE)
        assert [link.technology for link in lies.host.added] == [Technology.NR]
        modem.technology(modem.NR)
        assert lies.wait("link_status_changed", HERE, *LEVEL, "technology")[-1] == "nr"
        modem.tell(".Signal", Nr5g={"rsrp": -80.0, "rsrq": -10.5, "snr": 21.0})
        assert measured(lies, -80.0)[:3] == ("nr", -10.5, 21.0)
        modem.technology(modem.NR | modem.LTE)
        modem.tell(".Signal", Lte={**ANCHOR, "rsrp": -97.0})
        assert measured(lies, -97.0) == ("nr", -11.0, 10.0, -70.0)


def test_thresholds(mock: "tuple[Mock, str]") -> None:
    """A modem that can tells changes by itself: it is asked for that once, and its rate stays slow."""
    modem, address = mock
    with driving(address, threshold_db=4) as lies:
        lies.wait("link_up", HERE)
        lies.until(lambda: modem.calls("SetupThresholds") == [[{"rssi-threshold": 4}]])
        for rsrp in (-100.0, -110.0, -118.0):  # near its end, where a modem without thresholds is asked often
            modem.tell(".Signal", Lte={**ANCHOR, "rsrp": rsrp})
            measured(lies, rsrp)
        assert modem.calls("Setup")[-1] == [3]
    assert modem.calls("SetupThresholds") == [[{"rssi-threshold": 4}], [{"rssi-threshold": 0}]]


def test_cells_around(mock: "tuple[Mock, str]") -> None:
    """The cells that a modem lists are PoAs that are found, with their quality."""
    modem, address = mock
    modem.answer("", "GetCellInfo", "", "aa{sv}", CELLS)
    with driving(address) as lies:
        lies.wait("link_up", HERE)
        assert lies.wait("poa_found", (THERE, "excellent")) == ("poa_found", (THERE, "excellent"))
        assert modem.calls("GetCellInfo") == [[]]


def test_suspended(mock: "tuple[Mock, str]") -> None:
    """While a connection is suspended nothing passes on it: the link is down, and up again after."""
    modem, address = mock
    with driving(address) as lies:
        lies.wait("link_status_changed", HERE)
        since_ns = lies.host.now_ns()
        modem.suspend(on=True)
        assert lies.wait("link_down", after_ns=since_ns) == ("link_down", HERE, "peer")
        modem.suspend(on=False)
        lies.wait("link_up", HERE, after_ns=since_ns)
