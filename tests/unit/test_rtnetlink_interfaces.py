"""When an interface is a link that is up, and what takes it down, message by message."""

from typing import Any

import pytest
from rtnetlink_kit import BRIDGE_POA, DONE, LOWER_UP, UP, bridges_word, dellink, message, newlink

from lies_rtnetlink.interfaces import MOST_FLAPS, Appeared, Change, Down, Gone, Interfaces, Up
from lies_rtnetlink.messages import LinkTold, read

ETH0 = "port:eth0"


def line(change: Change) -> tuple[Any, ...]:
    """A change in short."""
    match change:
        case Appeared(told):
            return ("new", told.name)
        case Up(_, poa):
            return ("up", poa)
        case Down(_, poa, reason):
            return ("down", poa, reason.value)
        case Gone():
            return ("gone",)


class Kernel:
    """Interfaces, and the messages that they are given; there: which indexes the kernel still lists."""

    def __init__(self) -> None:
        self.there = {7, 8}
        self.interfaces = Interfaces(lambda told: told.name != "other", self.there.__contains__)

    def say(self, *datagrams: bytes) -> list[tuple[Any, ...]]:
        """What follows from datagrams of one reading."""
        return [line(c) for c in self.interfaces.take([t for data in datagrams for t in read(data)])]

    def overrun(self, *datagrams: bytes) -> list[tuple[Any, ...]]:
        """What follows when messages were lost and everything is told anew."""
        self.interfaces.lost()
        self.interfaces.telling()
        return self.say(*datagrams, message(DONE, bytes(4)))


@pytest.fixture
def kernel() -> Kernel:
    """With eth0, up; its carrier has come five times and gone four times."""
    kernel = Kernel()
    assert kernel.say(newlink(counts=(5, 4))) == [("new", "eth0"), ("up", ETH0)]
    return kernel


@pytest.mark.parametrize(
    ("words", "up"),
    [
        ({"oper": "UP"}, True),
        ({"oper": "UNKNOWN"}, True),
        ({"oper": None}, True),
        ({"oper": "DORMANT"}, False),
        ({"oper": "DOWN"}, False),
        ({"oper": "LOWERLAYERDOWN"}, False),
        ({"oper": "TESTING"}, False),
        ({"oper": "NOTPRESENT"}, False),
        ({"oper": "UP", "carrier": False}, False),
        ({"oper": "UNKNOWN", "up": False}, False),
        ({"oper": None, "up": False}, False),
        ({"oper": "UP", "port": 3}, True),
        ({"oper": "UP", "port": 1}, False),
        ({"oper": "UP", "port": 2}, False),
        ({"oper": "UP", "port": 4}, False),
    ],
)
def test_what_up_means(words: dict[str, Any], up: bool) -> None:
    """Set up, with a carrier, operational state up or unknown; a bridge's port must forward, too."""
    found = Kernel().say(newlink(**words))
    assert [change[0] for change in found] == ["new", *(["up"] if up else [])]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"carrier": False, "oper": "DOWN"}, "carrier"),
        ({"carrier": False, "oper": "UP"}, "carrier"),
        ({"carrier": True, "oper": "DOWN"}, "carrier"),
        ({"carrier": False, "oper": "LOWERLAYERDOWN"}, "carrier"),
        ({"up": False, "carrier": False, "oper": "DOWN"}, "admin_down"),
        ({"up": False, "carrier": True, "oper": "DOWN"}, "admin_down"),
        ({"oper": "DORMANT"}, "peer"),
    ],
)
def test_why_it_went_down(kernel: Kernel, words: dict[str, Any], reason: str) -> None:
    """Carrier lost, set down, or a peer that does not authorise it."""
    assert kernel.say(newlink(**words)) == [("down", ETH0, reason)]
    assert kernel.say(newlink(**words)) == []
    assert kernel.say(newlink()) == [("up", ETH0)]


def test_the_same_again_is_nothing(kernel: Kernel) -> None:
    """Most messages change nothing of what counts."""
    assert kernel.say(newlink(counts=(5, 4)), newlink(counts=(5, 4))) == []


def test_down_and_up_in_one_reading(kernel: Kernel) -> None:
    """Each message counts, however many are read at once."""
    down = newlink(carrier=False, oper="DOWN", counts=(5, 5))
    assert (
        kernel.say(down, newlink(counts=(6, 5)), down, newlink(counts=(7, 6)))
        == [
            ("down", ETH0, "carrier"),
            ("up", ETH0),
        ]
        * 2
    )


def test_down_and_up_in_one_message(kernel: Kernel) -> None:
    """The kernel puts quick changes of a carrier into one message: its count says that they were."""
    pair = [("down", ETH0, "carrier"), ("up", ETH0)]
    assert kernel.say(newlink(counts=(6, 5))) == pair
    assert kernel.say(newlink(counts=(9, 8))) == pair * 3
    gone = newlink(carrier=False, oper="DOWN", counts=(10, 10))
    assert kernel.say(gone) == [*pair, ("down", ETH0, "carrier")]
    assert kernel.say(newlink(counts=(13, 12))) == [("up", ETH0)]  # it was of no use in between


def test_set_down_and_up_in_counts(kernel: Kernel) -> None:
    """A carrier that goes as the interface is set down, or comes and goes as it is set up, is no flap."""
    down = newlink(up=False, carrier=False, oper="DOWN", counts=(5, 5))
    assert kernel.say(down) == [("down", ETH0, "admin_down")]
    assert kernel.say(newlink(carrier=False, oper="DOWN", counts=(5, 6))) == []
    assert kernel.say(newlink(counts=(7, 7))) == [("up", ETH0)]


def test_a_count_that_runs_away_is_bounded(kernel: Kernel) -> None:
    """Of one message at most MOST_FLAPS changes are told one by one; the others are counted."""
    assert len(kernel.say(newlink(counts=(100_005, 100_004)))) == 2 * MOST_FLAPS
    assert kernel.interfaces.untold == 100_000 - MOST_FLAPS
    assert kernel.say(newlink(counts=(1, 1))) == []  # a count that began anew


def test_removal(kernel: Kernel) -> None:
    """Removed while up: one Down, for that reason, whether the interface is set down first or not."""
    assert kernel.say(dellink()) == [("down", ETH0, "removed"), ("gone",)]
    assert kernel.say(newlink()) == [("new", "eth0"), ("up", ETH0)]
    set_down = newlink(up=False, carrier=False, oper="DOWN")
    assert kernel.say(set_down, dellink()) == [("down", ETH0, "removed"), ("gone",)]
    kernel.say(newlink())
    kernel.there.discard(7)
    assert kernel.say(set_down) == [("down", ETH0, "removed")]
    assert kernel.say(dellink()) == [("gone",)]
    assert kernel.say(dellink()) == []


def test_a_request_is_the_reason_once(kernel: Kernel) -> None:
    """What a consumer asked for is told as requested; what follows is not."""
    set_down = newlink(up=False, carrier=False, oper="DOWN")
    kernel.interfaces.asked_down(7)
    assert kernel.say(set_down, newlink(), set_down) == [
        ("down", ETH0, "requested"),
        ("up", ETH0),
        ("down", ETH0, "admin_down"),
    ]
    kernel.interfaces.asked_down(7)
    kernel.interfaces.refused(7)
    assert kernel.say(newlink(), set_down)[1:] == [("down", ETH0, "admin_down")]


def test_a_name_is_a_link(kernel: Kernel) -> None:
    """Renamed: the old link is removed, the new one is there; a name that another takes over likewise."""
    assert kernel.say(newlink(name="lan0")) == [
        ("down", ETH0, "removed"),
        ("gone",),
        ("new", "lan0"),
        ("up", "port:lan0"),
    ]
    assert kernel.say(newlink(8, "lan0")) == [
        ("down", "port:lan0", "removed"),
        ("gone",),
        ("new", "lan0"),
        ("up", "port:lan0"),
    ]


def test_what_is_not_wanted_is_silent(kernel: Kernel) -> None:
    """An interface that is not served causes nothing, until it has another name."""
    other = newlink(9, "other")
    assert kernel.say(other, newlink(9, "other", up=False), dellink(9), other) == []
    assert kernel.interfaces.find("other") is None
    assert kernel.say(newlink(9, "eth9")) == [("new", "eth9"), ("up", "port:eth9")]
    assert isinstance(kernel.interfaces.find("eth9"), LinkTold)


def test_into_a_bridge_and_out_again(kernel: Kernel) -> None:
    """A port's PoA is its bridge; it is up while the bridge forwards, whichever message says so."""
    assert kernel.say(bridges_word(3)) == []  # of a port that is not known as one yet
    assert kernel.say(newlink(port=0, master=9, counts=(5, 4))) == [("down", ETH0, "admin_down")]
    assert kernel.say(bridges_word(1)) == []
    assert kernel.say(bridges_word(3)) == [("up", BRIDGE_POA)]
    assert kernel.say(bridges_word(4)) == [("down", BRIDGE_POA, "peer")]
    assert kernel.say(bridges_word(3)) == [("up", BRIDGE_POA)]
    assert kernel.say(dellink(family=7)) == []
    assert kernel.say(newlink(counts=(5, 4))) == [("down", BRIDGE_POA, "admin_down"), ("up", ETH0)]


def test_under_a_master_that_is_no_bridge(kernel: Kernel) -> None:
    """An interface that is given to a bond or VRF without losing its carrier stays where it is."""
    assert kernel.say(newlink(master=9, counts=(5, 4)), newlink(counts=(5, 4))) == []


def test_a_bridge_tells_of_a_lost_carrier_first(kernel: Kernel) -> None:
    """The bridge's message comes first: the reason is the carrier, and nothing is told twice."""
    kernel.say(newlink(port=3, master=9, counts=(5, 4)), bridges_word(3))
    assert kernel.say(bridges_word(0, flags=UP)) == [("down", BRIDGE_POA, "carrier")]
    assert kernel.say(newlink(carrier=False, oper="DOWN", port=0, master=9, counts=(5, 5))) == []
    assert kernel.say(bridges_word(3, flags=UP | LOWER_UP)) == [("up", BRIDGE_POA)]
    assert kernel.say(newlink(port=3, master=9, counts=(6, 5))) == []


def test_nothing_is_missed_in_an_overrun(kernel: Kernel) -> None:
    """After lost messages all is read: what is gone goes, what came comes, counts tell of flaps."""
    pair = [("down", ETH0, "carrier"), ("up", ETH0)]
    assert kernel.overrun(newlink(counts=(8, 7))) == pair * 3
    down = newlink(carrier=False, oper="DOWN", counts=(10, 10))
    assert kernel.overrun(down) == [*pair * 2, ("down", ETH0, "carrier")]
    up_down = [("up", ETH0), ("down", ETH0, "carrier")]
    assert kernel.overrun(newlink(carrier=False, oper="DOWN", counts=(12, 12))) == up_down * 2
    assert kernel.overrun(newlink(counts=(15, 14))) == [*up_down * 2, ("up", ETH0)]
    assert kernel.overrun(newlink(8, "eth1")) == [
        ("new", "eth1"),
        ("up", "port:eth1"),
        ("down", ETH0, "removed"),
        ("gone",),
    ]


def test_a_telling_that_was_disturbed_removes_nothing(kernel: Kernel) -> None:
    """Only the end of a whole telling says that what was not in it is gone."""
    kernel.interfaces.lost()
    kernel.interfaces.telling()
    assert kernel.say(message(DONE, bytes(4), flags=0x10)) == []
    assert not kernel.interfaces.complete
    kernel.interfaces.telling()
    torn = newlink(8, "eth1")
    assert kernel.say(torn[:6] + b"\x12\0" + torn[8:], message(DONE, bytes(4)))[-1] == ("up", "port:eth1")
    assert not kernel.interfaces.complete
    kernel.interfaces.telling()
    assert kernel.say(newlink(8, "eth1")) == []
    assert kernel.say(message(DONE, bytes(4))) == [("down", ETH0, "removed"), ("gone",)]


def test_two_names_that_were_exchanged_in_an_overrun(kernel: Kernel) -> None:
    """Each name is one link at any time, also while the telling has come half-way."""
    assert kernel.say(newlink(8, "eth1")) == [("new", "eth1"), ("up", "port:eth1")]
    found = kernel.overrun(newlink(7, "eth1"), newlink(8, "eth0"))
    names: set[str] = {"eth0", "eth1"}
    assert [c for c in found if c[0] == "new"] == [("new", "eth1"), ("new", "eth0")]
    assert {t.name for t in map(kernel.interfaces.find, names) if t is not None} == names
