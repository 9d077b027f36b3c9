"""The follower of the nl80211 driver: interfaces, access points, measurements and requests."""

from itertools import pairwise

import pytest
from wifi_kit import (
    INDEX,
    NAME,
    OWN,
    A,
    B,
    C,
    World,
    bss_of,
    connect_body,
    cqm_body,
    dashed,
    gone_body,
    station_body,
    told,
)

from lies.driver import Thresholds
from lies.events import Attached, Detached, DownReason, PoAFound, Sample
from lies_nl80211 import messages as m
from lies_nl80211.attributes import attribute, nested, u32
from lies_nl80211.config import Nl80211Config
from lies_nl80211.interfaces import NetState
from lies_nl80211.items import Answer, Ask, LevelsAsked, NetTold, Overrun, Query, SwitchTold, Told, Watch
from lies_nl80211.rfkill import Switch
from lies_nl80211.uapi import Attr, Cmd, Cqm, IfType


def reasons(world: World) -> list[DownReason]:
    """Why the link went down each time."""
    return [i.reason for i in world.items[NAME] if isinstance(i, Detached)]


@pytest.mark.parametrize("how", ["off", "gone", "renamed", "removed", "rfkill", "unplugged"])
def test_interface_that_goes(how: str) -> None:
    """A link that is up goes down when its interface is switched off, removed or renamed."""
    world = World().begin()
    world.net()
    world.join(A)
    if how == "off":
        world.net(up=False, passing=False)
    elif how == "gone":
        world.net(name=None)
    elif how == "renamed":
        world.interfaces = [m.Interface(INDEX, "wlan9", IfType.STATION, OWN, 0)]
        world.net(name="wlan9")
    elif how == "removed":
        world.tell(told(Cmd.DEL_INTERFACE))
    elif how == "rfkill":
        world.feed(SwitchTold(world.t_ns, Switch(0, soft=True, hard=False), 0))
    else:
        world.interfaces = []
        world.feed(Overrun(world.t_ns))
    assert world.moves()[:2] == [("Attached", A), ("Detached", A)]
    by_switch = how in {"off", "rfkill"}
    assert reasons(world) == [DownReason.ADMIN_DOWN if by_switch else DownReason.REMOVED]
    assert (NAME in world.links) == by_switch
    if how == "renamed":
        assert world.moves("wlan9") == [("Attached", A)]


def test_switch_of_another_radio() -> None:
    """Another radio's switch changes nothing, nor does one that is opened."""
    world = World().begin()
    world.join(A)
    world.feed(SwitchTold(world.t_ns, Switch(1, soft=True, hard=False), 5))
    world.feed(SwitchTold(world.t_ns, Switch(0, soft=False, hard=False), 0))
    world.feed(SwitchTold(world.t_ns, Switch(2, soft=True, hard=True), None))
    world.run(2)
    assert world.moves() == [("Attached", A)]


def test_several_interfaces_come_and_go() -> None:
    """Interfaces are followed from when they are there, each for itself, only those that are named."""
    world = World(Nl80211Config(links=("wlan0", "wlan1")))
    world.interfaces = []
    world.begin()
    assert world.said() == ["there is no wireless interface wlan0 or wlan1 yet: it is followed when it comes"]
    infos = [m.Interface(i, f"wlan{i}", IfType.STATION, OWN, i) for i in (0, 1, 2)]
    for info in infos:
        world.interfaces.append(info)
        world.feed(Told(world.t_ns, info))
    assert list(world.links) == ["wlan0", "wlan1"]
    world.stations[1] = [m.Station(1, B, -60, authorised=True, associated=True)]
    world.feed(Told(world.t_ns, m.Connected(1, B, 0, protected=False)))
    assert (world.moves("wlan0"), world.moves("wlan1")) == ([], [("Attached", B)])
    world.interfaces.pop(0)
    world.feed(Told(world.t_ns, m.InterfaceGone(0)))
    assert list(world.links) == ["wlan1"]


def test_no_interface_is_said_once() -> None:
    """That there is no wireless interface is said in one sentence, once until there was one."""
    world = World()
    world.interfaces = []
    world.begin()
    world.feed(Overrun(world.t_ns))
    assert [s for s in world.said() if "no wireless interface" in s] == [
        "there is no wireless interface: one is followed as soon as it is plugged in or made (iw phy)"
    ]


def test_kind_of_interface_changes() -> None:
    """An interface that becomes an access point is not a station's link any more."""
    world = World().begin()
    world.join(A)
    world.stations = {}
    world.interfaces = [m.Interface(INDEX, NAME, IfType.AP, OWN, 0)]
    world.net(up=False)
    world.net(up=True)
    assert world.moves() == [("Attached", A), ("Detached", A)]
    assert world.links == {}


def test_stations_of_an_access_point() -> None:
    """An access point's stations are links of their own, up once authorised, and gone with them."""
    world = World()
    world.interfaces = [m.Interface(INDEX, "ap0", IfType.AP, OWN, 0)]
    world.begin()
    world.at(A, authorised=False)
    world.tell(station_body(A, authorised=False))
    world.run(0.5)
    assert world.links == {}
    world.at(A, rssi_dbm=-44)
    world.run(0.2)
    link = f"ap0/{dashed(A)}"
    assert world.moves(link) == [("Attached", OWN)]
    assert world.links == {link: False}
    world.run(2)
    sampled = [i for i in world.items[link] if isinstance(i, Sample)]
    assert len(sampled) in {2, 3, 4}
    assert sampled[-1].rssi_dbm == -44.0
    world.stations[INDEX] = []
    world.tell(gone_body(A))
    assert world.moves(link) == [("Attached", OWN), ("Detached", OWN)]
    assert world.items[link][-1] == Detached(world.t_ns, OWN, DownReason.PEER)
    assert world.links == {}


def test_access_point_that_stops() -> None:
    """Every station is down when the access point goes, and none is left after an overrun that missed it."""
    world = World()
    world.interfaces = [m.Interface(INDEX, "ap0", IfType.AP, OWN, 0)]
    world.stations[INDEX] = [m.Station(INDEX, s, -50, authorised=True, associated=True) for s in (A, B)]
    world.begin()
    assert sorted(world.links) == [f"ap0/{dashed(A)}", f"ap0/{dashed(B)}"]
    world.stations[INDEX].pop(0)
    world.feed(Overrun(world.t_ns))
    assert list(world.links) == [f"ap0/{dashed(B)}"]
    world.feed(NetTold(world.t_ns, NetState(INDEX, "ap0", up=False, passing=False, owned=False)))
    assert world.links == {}


def test_station_flood_is_bounded() -> None:
    """A thousand stations at an access point leave 128 links."""
    world = World()
    world.interfaces = [m.Interface(INDEX, "ap0", IfType.AP, OWN, 0)]
    world.begin()
    flood = [f"06:00:00:00:{n >> 8:02x}:{n & 255:02x}" for n in range(1000)]
    world.stations[INDEX] = [m.Station(INDEX, s, -50, authorised=True, associated=True) for s in flood]
    for address in flood:
        world.tell(station_body(address))
    assert len(world.links) == 128
    assert len([s for s in world.said() if "more than 128 stations" in s]) == 1


def test_signal_event_is_a_sample_and_a_reason_to_look() -> None:
    """A threshold that is crossed brings its level at once, and quick samples for three seconds."""
    world = World().begin()
    world.join(A)
    world.run(10)
    before = len(world.items[NAME])
    world.tell(cqm_body(Cqm.RSSI_THRESHOLD_EVENT, 0, level_dbm=-69))
    levels = [i.rssi_dbm for i in world.items[NAME][before:] if isinstance(i, Sample)]
    assert levels == [-69.0, -50.0]
    asked = len(world.asks)
    world.run(2.9)
    assert 25 <= len([a for _, a in world.asks[asked:] if a.query is Query.STATIONS]) <= 31


@pytest.mark.parametrize("kind", ["beacons", "packets", "switch"])
def test_other_hints_are_looked_at(kind: str) -> None:
    """Lost beacons or packets, and another channel, are looked at at once."""
    world = World().begin()
    world.join(A)
    world.run(10)
    asked = len(world.asks)
    body = {
        "beacons": told(Cmd.NOTIFY_CQM, attribute(Attr.CQM, attribute(Cqm.BEACON_LOSS_EVENT, b""))),
        "packets": cqm_body(Cqm.PKT_LOSS_EVENT, 50),
        "switch": told(Cmd.CH_SWITCH_NOTIFY, u32(Attr.WIPHY_FREQ, 2412)),
    }[kind]
    world.tell(body)
    assert world.asks[asked:][0] == (world.now, Ask(Query.STATIONS, INDEX, world.asks[asked][1].stamp))
    world.run(1)
    assert len([a for _, a in world.asks[asked:] if a.query is Query.STATIONS]) >= 9
    assert (Query.SURVEY in {a.query for _, a in world.asks[asked:]}) == (kind == "switch")


def test_retries_noise_and_rate() -> None:
    """Samples carry retries since the last, signal above the noise, and the rate of frames."""
    world = World()
    world.surveys = [m.Survey(INDEX, 2437, -90, in_use=True)]
    world.begin()
    world.stations[INDEX] = [m.Station(INDEX, A, -50, 54.0, 10, authorised=True, associated=True)]
    world.tell(connect_body(A))
    world.run(1.5)
    world.stations[INDEX] = [m.Station(INDEX, A, -51, 48.0, 25, authorised=True, associated=True)]
    world.run(1)
    last = [i for i in world.items[NAME] if isinstance(i, Sample) and i.poa == A][-1]
    assert (last.rssi_dbm, last.snr_db, last.bitrate_mbps, last.retries) == (-51.0, 39.0, 48.0, 15)
    world.stations[INDEX] = [m.Station(INDEX, A, -51, 48.0, 3, authorised=True, associated=True)]
    world.run(1)
    last = [i for i in world.items[NAME] if isinstance(i, Sample) and i.poa == A][-1]
    assert last.retries is None


def test_noise_outlives_an_association() -> None:
    """What the next association's survey does not tell is as it was: the level does not leap."""
    world = World()
    world.surveys = [m.Survey(INDEX, 2437, -90, in_use=True)]
    world.begin()
    world.join(A)
    world.run(1.5)

    def noise() -> float:
        last = [i for i in world.items[NAME] if isinstance(i, Sample) and i.rssi_dbm is not None][-1]
        assert last.rssi_dbm is not None
        assert last.snr_db is not None
        return last.rssi_dbm - last.snr_db

    for found in ([], [m.Survey(INDEX, 2412, None, in_use=True)]):
        world.part(A)
        world.surveys = found
        world.join(A)
        world.run(1.5)
        assert noise() == -90.0
    world.surveys = [m.Survey(INDEX, 2437, -85, in_use=True)]
    world.part(A)
    world.join(A)
    world.run(1.5)
    assert noise() == -85.0


def test_every_candidate_is_reported() -> None:
    """What a scan finds are PoAs, those of the same network too, for as long as the kernel lists them."""
    world = World().begin()
    world.join(A)
    world.scan = [bss_of(A, associated=True), bss_of(B), bss_of(C, b"other", rssi_dbm=-70.0)]
    world.tell(told(Cmd.NEW_SCAN_RESULTS))
    found = {p.poa for i in world.indications if isinstance(i, PoAFound) for p in i.poas}
    assert found == {A, B, C}
    world.run(25)
    assert {p.poa for p in world.entities[NAME].status.poas} == {A, B, C}
    world.scan = [bss_of(A, associated=True)]
    world.run(60)
    assert {p.poa for p in world.entities[NAME].status.poas} == {A}


def test_only_the_named_networks() -> None:
    """With ssids, access points of other networks are no PoAs."""
    world = World(Nl80211Config(ssids=("net",)))
    world.scan = [bss_of(B), bss_of(C, b"other")]
    world.begin()
    world.run(1)
    assert {p.poa for p in world.entities[NAME].status.poas} == {B}


def test_own_scan_only_in_need() -> None:
    """An own scan is asked for near the threshold with nowhere to go, and not more often than allowed."""
    world = World().begin()
    world.scan = [bss_of(A, associated=True)]
    world.join(A)
    world.run(20)
    assert world.scans == []
    world.at(A, rssi_dbm=-74)
    world.run(9)
    assert [s.frequencies_mhz for _, s in world.scans] == [(2437, 2412, 2462), (5180, 5200, 5220), (5240,)]
    assert {s.ssid for _, s in world.scans} == {b"net"}
    world.run(10)
    assert len(world.scans) == 6
    world.scan.append(bss_of(B))
    world.tell(told(Cmd.NEW_SCAN_RESULTS))
    before = len(world.scans)
    world.run(9)
    assert len(world.scans) == before


def test_own_scan_leaves_the_channel_for_moments() -> None:
    """It goes over the channels that others' scans went over, a few at a time, and ends as one is found."""
    world = World().begin()
    world.scan = [bss_of(A, associated=True)]
    world.join(A)
    channels = [2412, 2417, 2422, 2427, 2432, 2437, 5180, 5745, 6135]
    listed = nested(Attr.SCAN_FREQUENCIES, *(u32(n, mhz) for n, mhz in enumerate(channels)))
    world.tell(told(Cmd.NEW_SCAN_RESULTS, listed))
    world.at(A, rssi_dbm=-74)
    world.run(20)
    looked = [f for _, a in world.scans[:5] for f in a.frequencies_mhz]
    assert sorted(looked) == channels
    assert looked[0] == 2437
    assert max(len(a.frequencies_mhz) for _, a in world.scans) <= 3
    assert min(b - a for (a, _), (b, _) in pairwise(world.scans)) >= 0.5
    world.tell(told(Cmd.NEW_SCAN_RESULTS))
    world.run(11)  # in the midst of the next one
    world.scan.append(bss_of(B))
    world.tell(told(Cmd.NEW_SCAN_RESULTS))
    before = len(world.scans)
    world.run(5)
    assert len(world.scans) == before


def test_link_is_announced_as_what_it_can_do() -> None:
    """Links can be controlled where nobody manages the interface, and the kernel is asked to watch them."""
    world = World(Nl80211Config(cqm_dbm=(-75, -65))).begin()
    assert world.links == {NAME: True}
    assert [a for a in world.actions if isinstance(a, Watch)] == [Watch(INDEX, NAME, (-75, -65))]
    world.feed(LevelsAsked(NAME, Thresholds((-80.0,), -80.0)))
    assert len([a for a in world.actions if isinstance(a, Watch)]) == 1
    world.net(owned=True)
    assert world.links == {NAME: False}
    world.net(owned=False)
    assert world.links == {NAME: True}
    world.join(A)
    world.net(owned=True)
    assert world.links == {NAME: False}
    assert World(Nl80211Config(control=False, cqm_dbm=())).begin().links == {NAME: False}


def test_registrations_choose_the_levels() -> None:
    """The kernel is asked to tell of what registrations ask for, and of nothing where nobody asks."""
    world = World().begin()
    assert [a for a in world.actions if isinstance(a, Watch)] == []
    asked = [
        (Thresholds((-73.0, -68.0)), (-73, -68)),
        (Thresholds((-73.0, -68.0)), None),
        (Thresholds((-73.0,), -80.0), (-80, -73, -70)),
        (Thresholds((), -93.4), (-93, -70)),
        (Thresholds((-200.0, 7.0, -75.0)), (-75,)),
        (Thresholds(), ()),
    ]
    for thresholds, levels in asked:
        world.actions.clear()
        world.feed(LevelsAsked(NAME, thresholds))
        watches = [a for a in world.actions if isinstance(a, Watch)]
        assert watches == ([] if levels is None else [Watch(INDEX, NAME, levels)])
    world.feed(LevelsAsked("wlan9", Thresholds((-70.0,))))


def test_attached_says_where() -> None:
    """People are told the network's name and frequency with the PoA."""
    world = World()
    world.scan = [bss_of(A)]
    world.begin()
    world.run(0.1)
    world.join(A)
    assert f"{NAME}: attached to {A} (net, 2437 MHz)" in world.said()


def test_questions_without_answers() -> None:
    """A question that fails is asked again, and nothing is believed of it."""
    world = World(auto=False).begin()
    world.answer()
    world.answer()
    world.at(A)
    world.tell(connect_body(A))

    for _ in range(3):
        for ask in world.open[:]:
            world.open.remove(ask)
            world.feed(Answer(ask, world.t_ns, None))
        world.run(1.2)
    assert world.moves() == []
    world.auto = True
    world.answer()
    world.run(1.2)
    assert world.moves() == [("Attached", A)]
    assert isinstance(world.items[NAME][0], Attached)
