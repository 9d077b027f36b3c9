"""What a modem measures: levels of every technology, how often, what it hears beside its cell."""

import pytest
from cellular_kit import CELL, OTHER, World, enabled

from lies.dbus import Variant
from lies.events import LinkStatusChanged, PoAFound, PoALost, Quality, Sample
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig
from lies_cellular.measuring import AT_ONCE

GSM, UMTS, LTE, NR = 1 << 1, 1 << 5, 1 << 14, 1 << 15


def last(world: World) -> Sample:
    """The last sample."""
    return world.samples()[-1]


@pytest.mark.parametrize(
    ("mask", "name", "levels", "expected"),
    [
        (LTE, "Lte", {"rsrp": -95.0, "rsrq": -10.0, "snr": 12.0, "rssi": -60.0}, (-60.0, -95.0, -10.0, 12.0)),
        (NR, "Nr5g", {"rsrp": -90.0, "rsrq": -11.0, "snr": 20.0}, (-79.5, -90.0, -11.0, 20.0)),
        (UMTS, "Umts", {"rscp": -85.0, "ecio": -7.0, "rssi": -78.0}, (-78.0, -85.0, -7.0, None)),
        (GSM, "Gsm", {"rssi": -75.0}, (-75.0, None, None, None)),
    ],
)
def test_levels_of_each_technology(
    mask: int, name: str, levels: dict[str, float], expected: tuple[float | None, ...]
) -> None:
    """RSRP, RSRQ and SNR; RSCP and Ec/Io in their places; without an RSSI the percentage stands for it."""
    world, path = enabled()
    world.modems.tell(path, u.MODEM, AccessTechnologies=Variant("u", mask))
    world.modems.levels(path, name, **levels)
    found = last(world)
    assert (found.rssi_dbm, found.rsrp_dbm, found.rsrq_db, found.snr_db) == expected
    assert found.poa == CELL


def test_5g_on_an_lte_anchor_is_measured_on_the_anchor() -> None:
    """NSA: the technology is NR, the cell and its levels are LTE's."""
    world, path = enabled()
    world.modems.tell(path, u.MODEM, AccessTechnologies=Variant("u", LTE | NR))
    world.modems.levels(path, "Nr5g", rsrp=-70.0)
    world.modems.levels(path, "Lte", rsrp=-101.0)
    assert (last(world).technology, last(world).rsrp_dbm) == ("nr", -101.0)


def test_percent_is_an_rssi() -> None:
    """TS 27.007 section 8.5: 0 to 100 percent are -113 to -51 dBm, unless configured otherwise."""
    world, path = enabled()
    world.run(3.0)
    for percent, dbm in ((0, -113.0), (50, -82.0), (100, -51.0)):
        world.modems.quality(path, percent)
        assert last(world).rssi_dbm == dbm
    world, path = enabled(CellularConfig(percent_dbm=(-120.0, -70.0)))
    world.run(3.0)
    world.modems.quality(path, 50)
    assert last(world).rssi_dbm == -95.0


def test_an_unknown_percentage_is_no_level() -> None:
    """0 percent that was not measured lately is what ModemManager says when it knows nothing."""
    world, path = enabled()
    world.modems.quality(path, 0, recent=False)
    assert last(world).rssi_dbm is None


def test_a_percentage_does_not_stand_in_where_levels_are_coming() -> None:
    """A modem that was asked to measure has two seconds for it; without levels the percentage counts."""
    world, _ = enabled()
    assert all(s.rssi_dbm is None for s in world.samples())
    world.run(3.0)
    assert -80.0 < (next(s.rssi_dbm for s in reversed(world.samples()) if s.rssi_dbm is not None)) < -79.0


def test_levels_that_cannot_be_are_left_out() -> None:
    """ModemManager's word for unknown is the least double; others lie."""
    world, path = enabled()
    world.modems.levels(path, rsrp=-1.7976931348623157e308, rsrq=float("nan"), snr=float("inf"), rssi=-70.0)
    found = last(world)
    assert (found.rssi_dbm, found.rsrp_dbm, found.rsrq_db, found.snr_db) == (-70.0, None, None, None)


def test_fifty_changes_are_fifty_samples() -> None:
    """Each with the time at which it was told."""
    world, path = enabled()
    world.run(5.0)
    before = len(world.samples())
    for number in range(50):
        world.now += 0.0001
        world.modems.quality(path, 50 + number % 2)
    assert len(world.samples()) == before + 50


def test_ten_thousand_changes_are_thinned() -> None:
    """What comes too fast is told by the last of each twentieth of a second, and all other news at once."""
    world, path = enabled()
    world.run(5.0)
    before = len(world.samples())
    for number in range(10_000):
        world.now += 0.0001
        world.modems.quality(path, number % 100 + 1)
        if number == 5_000:
            bearer = world.modems.connect(path)
    world.modems.drop(path, bearer)
    world.run(0.1)
    added = len(world.samples()) - before
    assert AT_ONCE <= added <= AT_ONCE + 150
    assert last(world).rssi_dbm == -51.0
    assert world.moves() == [f"up {CELL}", f"down {CELL} peer"]


def test_an_unchanged_signal_is_still_a_signal() -> None:
    """ModemManager tells changes only: what it measures again and again keeps the level of the link."""
    world, path = enabled()
    world.modems.levels(path, rsrp=-80.0)
    world.modems.connect(path)
    world.run(30.0)
    levels = [i.condition.quality for i in world.indications if isinstance(i, LinkStatusChanged)]
    assert levels == [Quality.EXCELLENT]
    assert not [i for i in world.indications if isinstance(i, PoALost)]
    assert len([s for s in world.samples() if s.rsrp_dbm == -80.0]) >= 10


def test_the_levels_before_a_move_are_not_those_after_it() -> None:
    """After a cell change nothing is measured until the modem has measured again."""
    world, path = enabled()
    world.modems.levels(path, rsrp=-80.0)
    world.modems.connect(path)
    world.run(10.0)
    world.modems.cell(path, "00C0FFEF")
    moved = world.t_ns
    world.run(0.9)
    assert all(s.rsrp_dbm is None for s in world.samples() if s.t_ns >= moved)
    world.run(4.0)
    assert [s.poa for s in world.samples() if s.t_ns >= moved and s.rsrp_dbm == -80.0] == [OTHER]


def test_the_modem_measures_often_where_it_matters() -> None:
    """Near the threshold once a second, far from it less often; each change of the rate is one call."""
    world, path = enabled(CellularConfig(rest_s=3, near_s=1, near_dbm=-105.0))
    world.modems.levels(path, rsrp=-80.0)
    world.run(20.0)
    assert world.modems.asked("Setup")[-1] == [3]
    for level in (-90.0, -98.0, -107.0):
        world.run(1.0)
        world.modems.levels(path, rsrp=level)
    world.run(1.1)
    assert world.modems.asked("Setup")[-1] == [1]
    calls = len(world.modems.asked("Setup"))
    world.run(30.0)
    assert len(world.modems.asked("Setup")) == calls
    world.modems.levels(path, rsrp=-80.0)
    world.run(20.0)
    assert world.modems.asked("Setup")[-1] == [3]
    assert len(world.modems.asked("Setup")) == calls + 1


def test_a_modem_that_tells_changes_is_not_hurried() -> None:
    """With SetupThresholds the signal is told as it changes, near the threshold too."""
    world = World().begin()
    del world.modems.refuse[u.SIGNAL, "SetupThresholds"]
    path = world.modems.plug()
    world.modems.enable(path)
    world.modems.levels(path, rsrp=-110.0)
    world.run(10.0)
    assert world.modems.asked("SetupThresholds") == [[{"rssi-threshold": 2}]]
    assert [a for a in world.modems.asked("Setup") if len(a) == 1] == [[3]]


def test_what_cannot_be_is_asked_for_once() -> None:
    """A modem that knows no thresholds and no cells is not asked again."""
    world, _ = enabled()
    world.run(300.0)
    assert len(world.modems.asked("SetupThresholds")) == len(world.modems.asked("GetCellInfo")) == 1


def test_nothing_is_asked_for_while_signals_serve() -> None:
    """In five minutes of a connection without news there is no call at all."""
    world, path = enabled(CellularConfig(cells_s=0.0))
    world.modems.connect(path)
    world.modems.levels(path, rsrp=-80.0)
    world.run(10.0)
    world.modems.calls.clear()
    world.run(300.0)
    assert world.modems.calls == []


def test_a_modem_is_set_up_again_after_it_was_disabled() -> None:
    """ModemManager forgets what it was asked for."""
    world, path = enabled()
    world.run(2.0)
    before = len(world.modems.asked("Setup"))
    world.modems.state(path, 4, 3)
    world.modems.tell(path, u.SIGNAL, Rate=Variant("u", 0))
    world.modems.enable(path)
    world.run(2.0)
    assert len(world.modems.asked("Setup")) > before


def test_the_modem_is_left_as_it_was() -> None:
    """What was set up is taken back: sources of the location, and the rate of the signal."""
    world = World().begin()
    path = world.modems.plug()
    world.modems.tell(path, u.LOCATION, Enabled=Variant("u", 4))
    world.modems.enable(path)
    world.run(2.0)
    assert world.modems.asked("Setup")[:1] == [[5, True]]
    back = {(c.interface, c.arguments) for c in world.follower.taken_back()}
    assert back == {(u.LOCATION, (4, False)), (u.SIGNAL, (0,))}


# ---- what is heard


def lte(cell: str, rsrp: float, *, serving: bool = False) -> dict[str, Variant]:
    """A cell as GetCellInfo has it."""
    return {
        "cell-type": Variant("u", 5),
        "serving": Variant("b", serving),
        "operator-id": Variant("s", "24001"),
        "tac": Variant("s", "1A2B"),
        "ci": Variant("s", cell),
        "rsrp": Variant("d", rsrp),
        "rsrq": Variant("d", -9.0),
    }


def heard_cells(*cells: dict[str, Variant]) -> World:
    """A modem that can tell the cells that it hears."""
    world = World().begin()
    del world.modems.refuse[u.MODEM, "GetCellInfo"]
    world.modems.cells = list(cells)
    path = world.modems.plug()
    world.modems.enable(path)
    return world


def test_cells_that_are_heard_are_points_of_attachment() -> None:
    """They are found, listed with their level, and lost once the modem does not hear them any more."""
    world = heard_cells(lte("00C0FFEE", -80.0, serving=True), lte("00C0FFEF", -90.0))
    world.run(9.0)
    found = {p.poa for i in world.indications if isinstance(i, PoAFound) for p in i.poas}
    assert found == {CELL, OTHER}
    assert [p.condition.quality for p in world.entities["wwan0"].status.poas if p.poa == OTHER] == ["good"]
    assert not any(isinstance(i, PoALost) for i in world.indications)
    world.modems.cells = world.modems.cells[:1]
    world.run(20.0)
    assert [p.poa for p in world.entities["wwan0"].status.poas] == [CELL]


def test_a_cell_without_identity_is_named_by_its_channel() -> None:
    """Neighbours often tell no more than channel and physical identity."""
    cell = {"earfcn": Variant("u", 1300), "physical-ci": Variant("s", "7B"), "rsrp": Variant("d", -90.0)}
    world = heard_cells(cell, {"rsrp": Variant("d", -50.0)})
    assert "1300/7B" in {p.poa for p in world.entities["wwan0"].status.poas}


def test_the_serving_cells_levels_stand_in() -> None:
    """Where Signal tells none, those of GetCellInfo count."""
    world = heard_cells(lte("00C0FFEE", -84.0, serving=True))
    assert last(world).rsrp_dbm == -84.0


def test_networks_are_looked_for_while_none_serves() -> None:
    """What a scan finds is listed without a level, what is forbidden is not; one that serves ends it."""
    world = World(CellularConfig(scan_s=60.0)).begin()
    world.modems.networks = [
        {"status": Variant("u", 1), "operator-code": Variant("s", "24005")},
        {"status": Variant("u", 3), "operator-code": Variant("s", "24099")},
        {"status": Variant("u", 1), "operator-code": Variant("s", "not a code")},
    ]
    path = world.modems.plug()
    world.modems.state(path, 6, 7)
    world.run(59.0)
    assert world.modems.asked("Scan") == []
    world.run(5.0)
    assert world.modems.asked("Scan") == [[]]
    (poa,) = world.entities["wwan0"].status.poas
    assert (poa.poa, poa.condition.quality, poa.condition.bandwidth_mbps) == ("24005", "bad", None)
    world.run(120.0)
    assert len(world.modems.asked("Scan")) == 3
    assert not any(isinstance(i, PoALost) for i in world.indications)
    world.modems.enable(path)
    world.run(200.0)
    assert len(world.modems.asked("Scan")) == 3
    assert "24005" not in {p.poa for p in world.entities["wwan0"].status.poas}


def test_a_disabled_modem_hears_nothing() -> None:
    """Its cell is lost some seconds after it was disabled."""
    world, path = enabled()
    world.run(2.0)
    world.modems.state(path, 4, 3)
    world.run(20.0)
    assert world.entities["wwan0"].status.poas == ()
    assert world.follower.next_timeout() is None
