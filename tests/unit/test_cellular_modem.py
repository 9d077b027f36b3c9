"""One modem as a link: what ModemManager tells, and what follows from it."""

import pytest
from cellular_kit import CELL, OTHER, World, enabled

from lies.dbus import Variant
from lies.events import ChangeReason, LinkGoingDown, LinkGoingDownCancelled, LinkStatusChanged, Technology
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig, IpType
from lies_cellular.items import Connect, Disconnect

UP = f"up {CELL}"


def fresh(world: World) -> None:
    """Forget what was told before."""
    world.items["wwan0"].clear()
    world.indications.clear()


def test_a_modem_is_a_link_under_the_name_of_its_device() -> None:
    """Without a network device it goes by its first port, in characters that a link's name may have."""
    world = World().begin()
    world.modems.plug()
    world.modems.plug(None)
    assert [(link.name, link.technology) for link in world.opened] == [
        ("wwan0", Technology.LTE),
        ("ttyUSB0", Technology.LTE),
    ]


def test_two_modems_of_one_name_are_two_links() -> None:
    """The second is told apart by its object's number."""
    world = World().begin()
    world.modems.plug()
    world.modems.plug()
    assert list(world.links) == ["wwan0", "wwan0-1"]


@pytest.mark.parametrize(
    ("config", "followed"),
    [
        (CellularConfig(modems=("wwan*",)), True),
        (CellularConfig(modems=("490154*",)), True),
        (CellularConfig(modems=("ww1",)), False),
        (CellularConfig(ignore=("wwan0",)), False),
    ],
)
def test_patterns_choose_modems(config: CellularConfig, followed: bool) -> None:
    """By the link's name or the modem's IMEI."""
    world = World(config).begin()
    world.modems.plug()
    assert ("wwan0" in world.links) is followed


def test_the_link_is_up_while_a_connection_is() -> None:
    """The states of the modem alone bring it neither up nor down."""
    world, path = enabled()
    world.modems.state(path, 10, 11)
    assert world.moves() == []
    world.modems.state(path, 8)
    bearer = world.modems.connect(path)
    assert world.moves() == [UP]
    world.modems.state(path, 8)
    assert world.moves() == [UP]
    world.modems.tell(bearer, u.BEARER, Connected=Variant("b", False))
    assert world.moves() == [UP, f"down {CELL} peer"]


def test_a_connection_whose_end_was_not_told_is_looked_at() -> None:
    """A second after the modem has left its connected state."""
    world, path = enabled()
    bearer = world.modems.connect(path)
    world.modems.bearers[bearer]["Connected"] = Variant("b", False)
    world.modems.state(path, 8)
    world.run(1.5)
    assert world.moves() == [UP, f"down {CELL} peer"]


@pytest.mark.parametrize("first", ["listed", "connected"])
def test_a_connection_may_be_told_before_its_modem_lists_it(first: str) -> None:
    """The two orders come to the same."""
    world, path = enabled()
    world.auto = False
    bearer = f"{u.ROOT}/Bearer/7"
    world.modems.bearers[bearer] = {}
    listed = {"Bearers": Variant("ao", [bearer])}
    if first == "listed":
        world.modems.tell(path, u.MODEM, **listed)
    world.modems.tell(bearer, u.BEARER, Connected=Variant("b", True))
    if first == "connected":
        world.modems.tell(path, u.MODEM, **listed)
    assert world.moves() == [UP]


def test_another_connection_goes_on_where_the_first_ended() -> None:
    """Its device may be another one, so that the link was down between."""
    world, path = enabled()
    first = world.modems.connect(path)
    world.modems.connect(path, net="wwan0.1")
    assert world.moves() == [UP]
    world.modems.tell(first, u.BEARER, Connected=Variant("b", False))
    assert world.moves() == [UP, f"down {CELL} peer", UP]


def test_connections_of_the_network_itself_carry_no_link() -> None:
    """A dedicated bearer (type 3) is none."""
    world, path = enabled()
    world.modems.connect(path, kind=3)
    assert world.moves() == []


def test_a_cell_change_is_a_move_and_no_loss() -> None:
    """LinkDown for the reason moved and LinkUp at the other cell, at one time."""
    world, path = enabled()
    world.modems.connect(path)
    world.modems.cell(path, "00C0FFEF")
    assert world.moves() == [UP, f"down {CELL} moved", f"up {OTHER}"]
    left, entered = world.items["wwan0"][-2:]
    assert left.t_ns == entered.t_ns


def test_a_tracking_area_is_no_other_cell() -> None:
    """In LTE the cell's number is the operator's; with GSM and UMTS it is the area's."""
    world, path = enabled()
    world.modems.connect(path)
    world.modems.cell(path, "C0FFEE", tac="1A2C")
    assert world.moves() == [UP]
    world.modems.located(path, "240,01,5,10,0")
    world.modems.located(path, "240,01,6,10,0")
    assert world.moves()[-3:] == ["up 24001-5-10", "down 24001-5-10 moved", "up 24001-6-10"]


def test_a_location_without_a_cell_moves_nothing() -> None:
    """Nor does one that cannot be read."""
    world, path = enabled()
    world.modems.connect(path)
    for said in (None, "", "240,01", "240,01,xyz,1,2", "24,0,1,1,1", "240,01,1,0,0"):
        world.modems.located(path, said)
    assert world.moves() == [UP]


def test_without_location_the_operator_is_the_place() -> None:
    """A modem that cannot tell its cell is attached to its operator."""
    world = World().begin()
    path = world.modems.plug()
    world.modems.refuse[u.LOCATION, "Setup"] = (f"{u.NAME}.Error.Core.Unsupported", "no")
    world.modems.state(path, 6)
    world.modems.tell(path, u.THREE_GPP, OperatorCode=Variant("s", "24001"))
    world.modems.register(path, 1)
    world.modems.connect(path)
    assert world.moves() == ["up 24001"]


def test_a_connection_found_waits_for_the_name_of_its_cell() -> None:
    """A driver that starts later hears of the cell a moment after it has asked for it."""
    world = World()
    path = world.modems.plug()
    world.modems.enable(path)
    world.modems.connect(path)
    world.modems.located(path, None)
    world.begin()
    assert world.moves() == []
    world.modems.cell(path, "00C0FFEE")
    assert world.moves() == [UP]


def test_a_connection_found_does_not_wait_for_ever() -> None:
    """After a second its operator is name enough."""
    world = World()
    path = world.modems.plug()
    world.modems.enable(path)
    world.modems.connect(path)
    world.modems.located(path, None)
    world.modems.mute.add("Setup")
    world.begin()
    world.run(1.1)
    assert world.moves() == ["up 24001"]


@pytest.mark.parametrize("state", [9, 4])
def test_who_disconnects_is_heard_before(state: int) -> None:
    """The modem disconnects, or is being disabled: LinkGoingDown, then LinkDown for the same reason."""
    world, path = enabled()
    bearer = world.modems.connect(path)
    fresh(world)
    world.modems.state(path, state)
    (going,) = [i for i in world.indications if isinstance(i, LinkGoingDown)]
    assert (going.poa, going.reason, going.time_to_down_ms, going.confidence) == (
        CELL,
        "admin_down",
        0.0,
        1.0,
    )
    world.modems.state(path, 8)
    world.modems.tell(bearer, u.BEARER, Connected=Variant("b", False))
    assert world.story() == ["warning admin_down", f"down {CELL} admin_down"]


def test_a_disconnection_that_failed_is_taken_back() -> None:
    """The modem is connected again, and nothing ended."""
    world, path = enabled()
    world.modems.connect(path)
    fresh(world)
    world.modems.state(path, 9, 11)
    kinds = [type(i) for i in world.indications]
    assert kinds == [LinkGoingDown, LinkGoingDownCancelled]


def test_a_denied_registration_ends_the_connection() -> None:
    """LinkGoingDown says by when; a registration that comes back takes it back."""
    world, path = enabled()
    bearer = world.modems.connect(path)
    fresh(world)
    world.modems.register(path, 3)
    world.modems.register(path, 1)
    world.modems.register(path, 3)
    world.modems.drop(path, bearer)
    told = [i for i in world.story() if not i.startswith("served")]
    assert told == ["warning denied", "no warning", "warning denied", f"down {CELL} denied"]
    (first, _) = [i for i in world.indications if isinstance(i, LinkGoingDown)]
    assert first.time_to_down_ms == 15000.0


@pytest.mark.parametrize(("allowed", "warned"), [(False, True), (True, False)])
def test_roaming_ends_a_connection_that_may_not(allowed: bool, warned: bool) -> None:
    """A connection knows whether it may."""
    world, path = enabled()
    world.modems.connect(path, roaming=allowed)
    fresh(world)
    world.modems.register(path, 5)
    assert ("warning denied" in world.story()) is warned


def test_a_lost_registration_is_a_status_and_a_lost_signal() -> None:
    """Registration is told as it changes; the connection that ends then has lost its signal."""
    world, path = enabled()
    bearer = world.modems.connect(path)
    fresh(world)
    world.modems.register(path, 2)
    world.modems.drop(path, bearer)
    assert world.story() == ["served lte searching", f"down {CELL} signal_lost"]
    (changed,) = [i for i in world.indications if isinstance(i, LinkStatusChanged)]
    assert (changed.reason, changed.detail) == (ChangeReason.REGISTRATION, "searching")
    assert changed.condition == changed.previous


def test_another_technology_is_a_status() -> None:
    """What was measured in LTE says nothing of UMTS, whose bandwidth is limited."""
    world, path = enabled()
    world.modems.levels(path, rsrp=-80.0)
    world.modems.connect(path)
    fresh(world)
    world.modems.tell(path, u.MODEM, AccessTechnologies=Variant("u", 1 << 5))
    (changed,) = [i for i in world.indications if isinstance(i, LinkStatusChanged)]
    assert (changed.reason, changed.detail) == (ChangeReason.TECHNOLOGY, "umts")
    assert changed.condition.bandwidth_mbps is None
    world.modems.levels(path, "Umts", rscp=-70.0, ecio=-5.0)
    status = world.entities["wwan0"].status
    assert (status.condition.quality, status.condition.bandwidth_mbps) == ("excellent", 0.384)


def test_the_connection_limits_the_bandwidth() -> None:
    """Its own speed is less than what the signal would allow."""
    world, path = enabled()
    world.modems.levels(path, rsrp=-80.0)
    bearer = world.modems.connect(path)
    assert (world.entities["wwan0"].status.condition.bandwidth_mbps or 0.0) > 10.0
    stats = Variant("a{sv}", {"downlink-speed": Variant("t", 2_000_000)})
    world.modems.tell(bearer, u.BEARER, Stats=stats)
    assert world.entities["wwan0"].status.condition.bandwidth_mbps == 2.0


def test_a_failed_modem_is_said() -> None:
    """Without a SIM it is a link that stays down, and people hear why."""
    world = World().begin()
    path = world.modems.plug(state=1)
    world.modems.tell(path, u.MODEM, State=Variant("i", -1), StateFailedReason=Variant("u", 2))
    assert world.links == {"wwan0": True}
    assert any("no SIM" in sentence for sentence in world.said())


# ---- what is wanted of it


def test_connect_is_simple_connect_with_the_configuration() -> None:
    """APN, IP type and roaming are the configuration's; the own operator is not named."""
    world, _ = enabled(CellularConfig(apn="internet", ip_type=IpType.IPV6))
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    assert world.modems.asked("Connect") == [[{"allow-roaming": False, "apn": "internet", "ip-type": 2}]]
    assert world.moves() == [UP]


def test_connect_elsewhere_leaves_the_operator_first() -> None:
    """A PoA of another operator: disconnect, then connect with its number."""
    world, _ = enabled()
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    world.feed(Connect(world.t_ns, "wwan0", "24005"))
    assert world.moves() == [UP, f"down {CELL} requested", "up 24005-1-ABC"]
    assert world.modems.asked("Connect")[1] == [{"allow-roaming": False, "operator-id": "24005"}]


def test_cells_are_the_networks_choice() -> None:
    """LinkConnect to another cell of the same operator changes nothing, and says so."""
    world, _ = enabled()
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    world.feed(Connect(world.t_ns, "wwan0", OTHER))
    assert world.moves() == [UP]
    assert world.failed() == [("connect", OTHER, "which of its cells serves is the network's choice")]


def test_disconnect_is_requested() -> None:
    """The warning and the end carry who wanted it; LinkDisconnect of another PoA does nothing."""
    world, _ = enabled()
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    fresh(world)
    world.feed(Disconnect(world.t_ns, "wwan0", OTHER))
    assert world.story() == []
    world.feed(Disconnect(world.t_ns, "wwan0", CELL))
    assert world.story() == ["warning requested", f"down {CELL} requested"]


def test_a_refused_connect_is_said_and_may_be_tried_again() -> None:
    """The error's name and text are for people; the link stays down."""
    world, _ = enabled()
    world.modems.refuse[u.SIMPLE, "Connect"] = (f"{u.NAME}.Error.Core.Unauthorized", "roaming not allowed")
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    assert world.moves() == []
    assert world.failed() == [("connect", CELL, "roaming not allowed (Unauthorized)")]
    del world.modems.refuse[u.SIMPLE, "Connect"]
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    assert world.moves() == [UP]


def test_a_refused_disconnect_is_said() -> None:
    """The link stays up, and the next end of it is not by request."""
    world, path = enabled()
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    world.modems.refuse[u.SIMPLE, "Disconnect"] = (f"{u.NAME}.Error.Core.Failed", "no")
    world.feed(Disconnect(world.t_ns, "wwan0", None))
    assert world.failed() == [("disconnect", None, "no (Failed)")]
    world.modems.drop(path, next(iter(world.modems.bearers)))
    assert world.moves() == [UP, f"down {CELL} peer"]


def test_own_connections_do_not_pile_up() -> None:
    """Those that it had made and that ended are deleted; those of others are left alone."""
    world, path = enabled()
    other = world.modems.connect(path)
    world.modems.drop(path, other)
    for _ in range(30):
        world.feed(Connect(world.t_ns, "wwan0", CELL))
        (bearer,) = [b for b, p in world.modems.bearers.items() if p["Connected"].value]
        world.modems.drop(path, bearer)
        world.run(3.0)
    assert list(world.modems.bearers) == [other]
