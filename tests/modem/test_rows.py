"""What ModemManager says on D-Bus when something happens to the modem, and the primitives made of it."""

from typing import Any

import pytest

from modem.driven import Told
from modem.listener import Listener
from modem.rig import PluggedRig
from modem.scene import HERE, LEVEL, Scene, scene

pytestmark = pytest.mark.modem

THERE = "24001-1A2B-C0FFEF"
STATE, CONNECTED, REGISTRATION = "Modem.State", "Bearer.Connected", "Modem.Modem3gpp.RegistrationState"
UMTS, LTE = 2, 7


def states(bus: Listener, since_ns: int) -> list[tuple[str, Any]]:
    """How states of modem and connection followed each other on the bus."""
    return bus.after(since_ns, STATE, CONNECTED)


def up(poa: str = HERE) -> list[Told]:
    """What a link that comes up is told with."""
    return [("link_up", poa), ("link_status_changed", poa, *LEVEL, "level", None)]


def test_enable(plugged: PluggedRig) -> None:
    """A modem that is enabled goes through 5 and 6 to registered; its cell is found, and no link is up."""
    with scene(plugged, enabled=False, rest_s=1) as one:
        since_ns = one.rig.enable()
        one.lies.wait("poa_found")
        assert states(one.bus, since_ns) == [(STATE, 5), (STATE, 6), (STATE, 8)]
        assert [(name, poa) for name, (poa, _) in one.lies.story(since_ns)] == [("poa_found", HERE)]


def test_signal_by_indicator(connected: Scene) -> None:
    """A change of the bars is told as percent at once, and is a sample."""
    for csq, percent, dbm in ((31, 100, -51.0), (6, 20, -100.6), (19, 60, -75.8)) * 5:
        since_ns = connected.rig.modem.signal(csq=csq)
        heard = connected.bus.wait("Modem.SignalQuality", after=since_ns)
        assert heard.value == [percent, True]
        connected.lies.until(lambda: bool(connected.lies.samples(since_ns)))  # noqa: B023 - ends here
        told_ns, sample = connected.lies.samples(since_ns)[0]
        assert (sample.poa, sample.rsrp_dbm) == (HERE, -95.0)
        assert sample.rssi_dbm == pytest.approx(dbm)
        connected.note("+CIEV signal", since_ns, heard.t_ns, told_ns)


def test_levels_by_rate(connected: Scene) -> None:
    """Levels that ModemManager measures at a rate are a sample when they have changed."""
    since_ns = connected.rig.modem.signal(rsrp=-96, rsrq=-12)
    heard = connected.bus.wait("Modem.Signal.Lte", lambda levels: levels.get("rsrp") == -96.0, after=since_ns)
    assert heard.value == {"rsrp": -96.0, "rsrq": -12.0}
    connected.lies.until(lambda: any(s.rsrp_dbm == -96.0 for _, s in connected.lies.samples(since_ns)))
    told_ns, sample = next(one for one in connected.lies.samples(since_ns) if one[1].rsrp_dbm == -96.0)
    assert (sample.poa, sample.rsrq_db, sample.technology) == (HERE, -12.0, "lte")
    connected.note("levels, Signal.Setup", since_ns, heard.t_ns, told_ns)


def test_cell_change(connected: Scene) -> None:
    """Another cell is down and up of the PoA, and the connection stays."""
    since_ns = connected.rig.modem.cell("00C0FFEF")
    connected.bus.wait("Modem.Location.Location", after=since_ns)
    connected.lies.wait("link_up", after_ns=since_ns)
    assert connected.bus.after(since_ns, "Modem.Location.Location") == [
        ("Modem.Location.Location", {"1": "240,01,0,C0FFEF,1A2B"})
    ]
    assert states(connected.bus, since_ns) == []
    assert connected.lies.story(since_ns)[:2] == [("link_down", HERE, "moved"), ("link_up", THERE)]
    connected.compare("+CEREG new cell", since_ns, "Modem.Location.Location", "link_up")


def test_technology(connected: Scene) -> None:
    """Another access technology is told with its name, and no bandwidth before it is measured."""
    modem, lies = connected.rig.modem, connected.lies
    since_ns = modem.technology(UMTS)
    lies.wait("link_status_changed", after_ns=since_ns)
    connected.bus.wait("Modem.Location.Location", after=since_ns)
    assert connected.bus.after(since_ns, "Modem.AccessTechnologies") == [("Modem.AccessTechnologies", 32)]
    assert lies.story(since_ns)[:1] == [("link_status_changed", HERE, "good", None, "technology", "umts")]
    connected.compare("access technology", since_ns, "Modem.AccessTechnologies", "link_status_changed")
    connected.rig.settle()
    since_ns = modem.technology(LTE)
    lies.until(lambda: ("technology", "lte") in {one[-2:] for one in lies.story(since_ns)})
    assert states(connected.bus, since_ns) == []


def test_connected_by_another(registered: Scene) -> None:
    """A connection that somebody makes: the modem's state comes first, the link is up with the connection."""
    bearer = registered.rig.connect()
    since_ns = registered.bus.wait(STATE, lambda state: state == 10).t_ns
    registered.lies.wait("link_status_changed")
    assert states(registered.bus, since_ns) == [(STATE, 10), (STATE, 11), (CONNECTED, True)]
    assert registered.bus.wait("Bearer.Interface").value == "wwan0"
    assert "connected: yes" in registered.rig.mmcli("-b", bearer)
    assert registered.lies.story(since_ns) == up()
    assert registered.lies.link == "wwan0"


def test_connect_and_disconnect(registered: Scene) -> None:
    """LinkConnect and LinkDisconnect are followed; the end is announced before it comes, as requested."""
    lies, driver = registered.lies, registered.lies.driver
    since_ns = lies.order(driver.link_connect, lies.link, HERE)
    lies.wait("link_status_changed", after_ns=since_ns)
    registered.bus.wait(CONNECTED, after=since_ns)
    assert states(registered.bus, since_ns) == [(STATE, 10), (STATE, 11), (CONNECTED, True)]
    assert lies.story(since_ns) == up()
    assert registered.rig.modem.state()["defined"]["2"] == ["IP", "internet"]
    registered.compare("LinkConnect", since_ns, CONNECTED, "link_up")
    since_ns = lies.order(driver.link_disconnect, lies.link, None)
    lies.wait("link_down", after_ns=since_ns)
    registered.bus.wait(CONNECTED, after=since_ns)
    assert states(registered.bus, since_ns) == [(STATE, 9), (STATE, 8), (CONNECTED, False)]
    assert lies.story(since_ns) == [
        ("link_going_down", HERE, 0.0, 1.0, "requested"),
        ("link_down", HERE, "requested"),
    ]
    registered.compare("LinkDisconnect", since_ns, CONNECTED, "link_down")


def test_connection_refused(registered: Scene) -> None:
    """A LinkConnect that the network refuses leaves the link down, and ModemManager registered."""
    lies = registered.lies
    registered.rig.modem.refuse()
    since_ns = lies.order(lies.driver.link_connect, lies.link, HERE)
    registered.bus.wait(STATE, lambda state: state == 8, after=since_ns)
    assert states(registered.bus, since_ns) == [(STATE, 10), (STATE, 8)]
    registered.rig.modem.refuse(on=False)
    again_ns = lies.order(lies.driver.link_connect, lies.link, HERE)
    lies.wait("link_up", after_ns=again_ns)
    assert lies.story(since_ns)[:1] == [("link_up", HERE)]


def test_another_operator(connected: Scene) -> None:
    """LinkConnect to another operator's cell: disconnected as requested, registered there, connected."""
    lies = connected.lies
    since_ns = lies.order(lies.driver.link_connect, lies.link, "24005-1A2B-C0FFEE")
    lies.wait("link_up", "24005-1A2B-C0FFEE", after_ns=since_ns)
    ends = [one for one in lies.story(since_ns) if one[0] in {"link_up", "link_going_down", "link_down"}]
    assert ends == [
        ("link_going_down", HERE, 0.0, 1.0, "requested"),
        ("link_down", HERE, "requested"),
        ("link_up", "24005-1A2B-C0FFEE"),
    ]


def test_scan_without_a_network(plugged: PluggedRig) -> None:
    """While no network serves the driver looks for others: what may be used is found, without a level."""
    with scene(plugged, rest_s=1, scan_s=0.5) as one:
        since_ns = one.rig.modem.registration(2)
        found = one.lies.wait("poa_found", after_ns=since_ns)
        assert set(found[1:]) == {("24001", "bad"), ("24005", "bad")}


def test_disconnected_by_another(connected: Scene) -> None:
    """A disconnect that somebody else asks for is announced, and is an administrator's."""
    since_ns = connected.rig.disconnect()
    connected.lies.wait("link_down", after_ns=since_ns)
    assert connected.lies.story(since_ns) == [
        ("link_going_down", HERE, 0.0, 1.0, "admin_down"),
        ("link_down", HERE, "admin_down"),
    ]


def test_network_drop(connected: Scene) -> None:
    """The network ends the connection: the modem's state comes first, with a reason that blames the user."""
    since_ns = connected.rig.modem.drop()
    connected.lies.wait("link_down", after_ns=since_ns)
    connected.bus.wait("Bearer.ConnectionError", after=since_ns)
    assert states(connected.bus, since_ns) == [(STATE, 8), (CONNECTED, False)]
    assert connected.bus.after(since_ns, "Modem.StateChanged") == [("Modem.StateChanged", [11, 8, 1])]
    assert connected.lies.story(since_ns) == [("link_down", HERE, "peer")]
    connected.compare("network drop", since_ns, CONNECTED, "link_down")


def test_searching_while_connected(connected: Scene) -> None:
    """Registration that is lost while connected is told, and coming back; the link stays up."""
    since_ns = connected.rig.modem.registration(2)
    connected.lies.wait("link_status_changed", after_ns=since_ns)
    connected.bus.wait("Modem.AccessTechnologies", after=since_ns)
    assert connected.bus.after(since_ns, REGISTRATION) == [(REGISTRATION, 2)]
    connected.compare("+CEREG loss while connected", since_ns, REGISTRATION, "link_status_changed")
    connected.rig.modem.registration(1)
    connected.lies.wait("link_status_changed", HERE, *LEVEL, "registration", "home", after_ns=since_ns)
    assert states(connected.bus, since_ns) == []
    assert [one[-2:] for one in connected.lies.story(since_ns)] == [
        ("registration", "searching"),
        ("registration", "home"),
    ]


def test_denied_and_taken_back(connected: Scene) -> None:
    """Denied while connected is a warning of 15 s, which is withdrawn when the network changes its mind."""
    since_ns = connected.rig.modem.registration(3)
    connected.lies.wait("link_going_down", after_ns=since_ns)
    assert connected.bus.wait(REGISTRATION, after=since_ns).value == 3
    connected.compare("registration denied", since_ns, REGISTRATION, "link_going_down")
    connected.rig.modem.registration(1)
    connected.lies.wait("link_going_down_cancelled", after_ns=since_ns)
    assert connected.lies.story(since_ns) == [
        ("link_status_changed", HERE, *LEVEL, "registration", "denied"),
        ("link_going_down", HERE, 15000.0, 1.0, "denied"),
        ("link_status_changed", HERE, *LEVEL, "registration", "home"),
        ("link_going_down_cancelled", HERE),
    ]
    assert states(connected.bus, since_ns) == []


def test_roaming_allowed(connected: Scene) -> None:
    """Roaming with a connection that may roam is told, and nothing ends."""
    since_ns = connected.rig.modem.registration(5)
    connected.lies.wait("link_status_changed", after_ns=since_ns)
    assert connected.bus.wait(REGISTRATION, after=since_ns).value == 5
    assert connected.lies.story(since_ns) == [
        ("link_status_changed", HERE, *LEVEL, "registration", "roaming")
    ]
    assert states(connected.bus, since_ns) == []


def test_roaming_forbidden(registered: Scene) -> None:
    """Roaming ends a connection that must not roam: announced and down as denied; a new one is refused."""
    registered.rig.connect(apn="internet", allow_roaming="no")
    registered.lies.wait("link_status_changed")
    since_ns = registered.rig.modem.registration(5)
    registered.lies.wait("link_down", after_ns=since_ns)
    registered.bus.wait(CONNECTED, after=since_ns)
    assert states(registered.bus, since_ns) == [(STATE, 9), (STATE, 8), (CONNECTED, False)]
    *before, warned, down = registered.lies.story(since_ns)
    assert (warned, down) == (("link_going_down", HERE, 0.0, 1.0, "denied"), ("link_down", HERE, "denied"))
    # ModemManager disconnects a moment before it says why
    assert {one[0] for one in before} <= {"link_going_down", "link_status_changed"}
    refused = registered.rig.mmcli("-m", "any", "--simple-connect=apn=internet,allow-roaming=no", fails=True)
    assert refused == ""
    registered.compare("roaming forbidden", since_ns, CONNECTED, "link_down")


def test_unplugged_and_plugged(connected: Scene) -> None:
    """An unplugged modem is gone without a change of state, and its link too; plugged in it is back."""
    rig, lies = connected.rig, connected.lies
    assert isinstance(rig, PluggedRig)
    since_ns = rig.unplug()
    lies.until(lambda: not lies.host.served)
    removed = connected.bus.wait("ObjectManager.InterfacesRemoved", after=since_ns)
    assert states(connected.bus, since_ns) == []
    assert lies.story(since_ns) == [("link_down", HERE, "removed")]
    connected.compare("unplug", since_ns, "ObjectManager.InterfacesRemoved", "link_down")
    assert rig.plug() != removed.value[0]
    lies.until(lambda: lies.host.served == {"wwan0"})
    rig.enable()
    connected.connect()
    lies.wait("link_up", after_ns=since_ns)


def test_inhibited(connected: Scene) -> None:
    """An inhibited modem is disabled, which ends its connection, and gone; its path is another after."""
    rig, lies = connected.rig, connected.lies
    assert isinstance(rig, PluggedRig)
    since_ns = lies.host.now_ns()
    with rig.inhibited():
        lies.until(lambda: not lies.host.served)
        assert lies.story(since_ns) == [
            ("link_going_down", HERE, 0.0, 1.0, "admin_down"),
            ("link_down", HERE, "admin_down"),
        ]
        assert states(connected.bus, since_ns) == [(STATE, 4), (CONNECTED, False)]
        removed = connected.bus.wait("ObjectManager.InterfacesRemoved", after=since_ns)
        again_ns = lies.host.now_ns()
    added = connected.bus.wait("ObjectManager.InterfacesAdded", after=again_ns)
    assert added.value[0] != removed.value[0]
    lies.until(lambda: lies.host.served == {"wwan0"})
    rig.enable()
    rig.connect()
    lies.wait("link_up", after_ns=again_ns)
