"""ModemManager comes and goes, and its modems with it."""

import pytest
from cellular_kit import CELL, World, enabled

from lies.dbus import Variant
from lies.events import LinkDown
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig
from lies_cellular.items import Answer, Call, Connect, Purpose

UP = f"up {CELL}"


def test_a_modem_that_is_there_is_followed_at_once() -> None:
    """With its connection, whose properties are asked for: no signal tells them."""
    world = World()
    path = world.modems.plug()
    world.modems.enable(path)
    bearer = world.modems.connect(path)
    world.begin()
    assert world.moves() == [UP]
    assert [(p, m) for p, m, _ in world.modems.calls][:2] == [
        (u.ROOT, "GetManagedObjects"),
        (bearer, "GetAll"),
    ]


def test_an_unplugged_modem_is_down_and_gone() -> None:
    """LinkDown for the reason removed, then no link; one that is plugged is a link again."""
    world, path = enabled()
    world.modems.connect(path)
    world.modems.unplug(path)
    assert world.moves() == [UP, f"down {CELL} removed"]
    assert world.links == {}
    path = world.modems.plug()
    world.modems.enable(path)
    world.modems.connect(path)
    assert world.moves()[-1] == UP


def test_links_outlive_modemmanager() -> None:
    """They are down while it is away, stay announced, and go on with the modems that it finds again."""
    world, path = enabled()
    world.modems.connect(path)
    world.lose()
    assert world.moves() == [UP, f"down {CELL} driver_lost"]
    assert world.links == {"wwan0": True}
    world.run(100.0)
    world.begin()
    world.run(3.0)
    path = world.modems.plug()  # under another path
    world.modems.enable(path)
    world.modems.connect(path)
    assert world.moves()[-1] == UP
    assert len(world.opened) == 1
    world.run(100.0)
    assert world.links == {"wwan0": True}


def test_a_modem_that_does_not_come_back_is_gone() -> None:
    """Half a minute after ModemManager is back."""
    world, _ = enabled()
    world.lose()
    world.begin()
    world.run(29.0)
    assert world.links == {"wwan0": True}
    world.run(2.0)
    assert world.links == {}


def test_orders_to_an_absent_modem_are_refused() -> None:
    """They are said, and nothing is called."""
    world, _ = enabled()
    world.lose()
    world.feed(Connect(world.t_ns, "wwan0", CELL))
    assert world.modems.asked("Connect") == []
    assert world.failed() == [("connect", CELL, "there is no modem behind it at present")]


def test_another_owner_is_another_modemmanager() -> None:
    """Even if nobody was told of the end of the one before."""
    world, path = enabled()
    world.modems.connect(path)
    world.begin()
    assert world.moves() == [UP, f"down {CELL} driver_lost", UP]


def test_a_list_that_does_not_come_is_asked_for_again() -> None:
    """Every two seconds, and it is said."""
    world = World()
    world.modems.plug()
    world.modems.refuse[u.OBJECT_MANAGER, "GetManagedObjects"] = ("TimedOut", "no answer")
    world.begin()
    world.run(4.5)
    assert len(world.modems.asked("GetManagedObjects")) == 3
    del world.modems.refuse[u.OBJECT_MANAGER, "GetManagedObjects"]
    world.run(2.0)
    assert world.links == {"wwan0": True}


def test_a_modem_that_went_while_it_was_listed_is_gone() -> None:
    """The list is the truth, also about what was told before it."""
    world, path = enabled()
    world.modems.connect(path)
    world.modems.objects.clear()
    world.auto = False
    world.feed(Answer(world.t_ns, Call(Purpose.OBJECTS, "", u.ROOT, "", "", 1.0), {}))
    assert world.moves() == [UP, f"down {CELL} removed"]
    assert world.links == {}


def test_an_answer_about_a_modem_that_is_gone_is_nothing() -> None:
    """It was under way when the modem went."""
    world = World().begin()
    world.auto = False
    path = world.modems.plug()
    world.modems.enable(path)
    calls = list(world.open)
    world.modems.unplug(path)
    assert calls
    world.answer()
    assert world.links == {}


def test_a_link_can_be_closed_to_requests() -> None:
    """With control = false it is announced as one that is not steered."""
    world = World(CellularConfig(control=False)).begin()
    world.modems.plug()
    assert world.links == {"wwan0": False}


def test_connections_that_pile_up_are_bounded() -> None:
    """Ten thousand connections of somebody else cost no more than the newest of them."""
    world, path = enabled()
    paths = [f"{u.ROOT}/Bearer/{number}" for number in range(10_000)]
    world.modems.tell(path, u.MODEM, Bearers=Variant("ao", paths))
    modem = world.follower.modem("wwan0")
    assert modem is not None
    assert len(modem.bearers.of) <= 256
    assert len(world.modems.asked("GetAll")) <= 256
    for number in range(1_000):
        item = world.reader.signal(
            world.t_ns,
            f"{u.ROOT}/Bearer/x{number}",
            u.PROPERTIES,
            "PropertiesChanged",
            (u.BEARER, {"Connected": True}),
        )
        assert item is not None
        world.feed(item)
    assert world.moves() == []


@pytest.mark.parametrize("count", [100])
def test_modems_are_bounded(count: int) -> None:
    """The first sixty-four are followed, and it is said that there are more."""
    world = World().begin()
    for number in range(count):
        world.modems.plug(f"wwan{number}")
    assert len(world.links) == 64
    assert sum("more than 64" in sentence for sentence in world.said()) == 1


def test_the_order_of_a_drop_does_not_matter() -> None:
    """State 8 before or after the end of the connection: one LinkDown, for the same reason."""
    for first in ("state", "bearer"):
        world, path = enabled()
        bearer = world.modems.connect(path)
        if first == "state":
            world.modems.drop(path, bearer)
        else:
            world.modems.tell(bearer, u.BEARER, Connected=Variant("b", False))
            world.modems.state(path, 8)
        downs = [i for i in world.indications if isinstance(i, LinkDown)]
        assert [(d.poa, d.reason) for d in downs] == [(CELL, "peer")]
