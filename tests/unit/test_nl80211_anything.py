"""The follower under any messages in any order, with any answers: it never raises and keeps its order."""

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from wifi_kit import (
    INDEX,
    OWN,
    A,
    B,
    World,
    bss_of,
    connect_body,
    cqm_body,
    deauthenticate_body,
    disconnect_body,
    gone_body,
    interface_body,
    octets,
    station_body,
    told,
)

from lies.driver import Thresholds
from lies.events import LinkAction
from lies.link_steps import Fail
from lies_nl80211 import messages as m
from lies_nl80211.attributes import attribute, u32
from lies_nl80211.interfaces import NetState
from lies_nl80211.items import (
    Answer,
    Carry,
    Instruct,
    LevelsAsked,
    NetTold,
    Overrun,
    OwnersTold,
    Settle,
    SwitchTold,
    Taken,
    Wanted,
)
from lies_nl80211.pending import OUTCOME_S
from lies_nl80211.rfkill import Switch
from lies_nl80211.uapi import Attr, Cmd, IfType

LINKS = st.sampled_from(["wlan0", "wlan1"])
INDEXES = st.sampled_from([INDEX, INDEX + 1])
POAS = st.sampled_from([A, B, OWN])
FLAGS = st.sampled_from([None, False, True])
CODES = st.integers(0, 70)
PLAIN = st.sampled_from(
    [
        Cmd.DEL_INTERFACE,
        Cmd.START_AP,
        Cmd.PORT_AUTHORIZED,
        Cmd.NEW_SCAN_RESULTS,
        Cmd.SCAN_ABORTED,
        Cmd.REG_CHANGE,
    ]
)


def roam(poa: str, *, authorised: bool) -> bytes:
    """ROAM."""
    port = [attribute(Attr.PORT_AUTHORIZED, b"")] if authorised else []
    return told(Cmd.ROAM, attribute(Attr.MAC, octets(poa)), *port)


MESSAGES = st.one_of(
    st.builds(connect_body, POAS, status=st.sampled_from([0, 1]), protected=st.booleans()),
    st.builds(disconnect_body, CODES, by_peer=st.booleans()),
    st.builds(deauthenticate_body, POAS, CODES, by_peer=st.booleans()),
    st.builds(gone_body, POAS),
    st.builds(station_body, POAS, authorised=FLAGS),
    st.builds(cqm_body, st.integers(0, 9), st.integers(0, 3), level_dbm=st.integers(-99, 9)),
    st.builds(roam, POAS, authorised=st.booleans()),
    st.builds(lambda f: told(Cmd.CH_SWITCH_NOTIFY, u32(Attr.WIPHY_FREQ, f)), st.integers(0, 1 << 20)),
    st.builds(
        interface_body,
        st.sampled_from(["wlan0", "wlan1"]),
        st.sampled_from([*IfType, 6]),
        index=INDEXES,
    ),
    st.builds(lambda c, i: told(c, index=i), PLAIN, INDEXES),
)
STATIONS = st.builds(
    lambda a, r, n, f, s: m.Station(INDEX, a, r, 54.0, n, authorised=f, associated=s),
    POAS,
    st.one_of(st.none(), st.integers(-128, -1)),
    st.integers(0, 1 << 32),
    FLAGS,
    FLAGS,
)


@frozen
class Replies:
    """What dumps answer from now on; interfaces by name and kind."""

    stations: list[m.Station]
    interfaces: list[m.Interface]
    associated: bool


REPLIES = st.builds(
    Replies,
    st.lists(STATIONS, max_size=3),
    st.lists(
        st.builds(
            lambda i, k: m.Interface(i, f"wlan{i}", k, OWN, 0),
            INDEXES,
            st.sampled_from([IfType.STATION, IfType.AP]),
        ),
        max_size=3,
    ),
    st.booleans(),
)
STEPS = st.one_of(
    MESSAGES,
    REPLIES,
    st.sampled_from([0.0, 0.001, 0.02, 0.3, 5.0]),
    st.builds(
        NetState,
        INDEXES,
        st.sampled_from([None, "wlan0", "wlan1"]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(Switch, st.integers(0, 1), st.booleans(), st.booleans()),
    st.builds(Wanted, LINKS, st.sampled_from(LinkAction), st.one_of(st.none(), POAS)),
    st.builds(OwnersTold, st.dictionaries(LINKS, st.sampled_from(["wpa_supplicant", "iwd"]))),
    st.builds(Taken, LINKS, st.integers(0, 4), st.sampled_from([None, "no"])),
    st.builds(LevelsAsked, LINKS, st.builds(Thresholds, st.lists(st.floats(-120, 10)).map(tuple))),
    st.sampled_from(["overrun", "fail", "answer", "hold"]),
)


def play(world: World, step: object) -> None:
    """Do one step."""
    match step:
        case bytes():
            world.tell(step)
        case float():
            world.run(step)
        case Replies():
            world.stations = {INDEX: step.stations, INDEX + 1: step.stations[:1]}
            world.interfaces = step.interfaces
            world.scan = [bss_of(A, associated=step.associated), bss_of(B)]
        case NetState():
            world.feed(NetTold(world.t_ns, step))
        case Switch():
            world.feed(SwitchTold(world.t_ns, step, step.number))
        case Wanted() | OwnersTold() | Taken() | LevelsAsked():
            world.feed(step)
        case "overrun":
            world.feed(Overrun(world.t_ns))
        case "fail":
            failed, world.open = world.open, []
            for ask in failed:
                world.feed(Answer(ask, world.t_ns, None))
        case "answer":
            world.auto = True
            world.answer()
        case _:
            world.auto = False


@settings(deadline=None, max_examples=100)
@given(st.lists(STEPS, min_size=10, max_size=60))
def test_anything(steps: list[object]) -> None:
    """Whatever comes, each link's Attached and Detached alternate at the same PoA, in the order of time.

    Every request that was begun has an end.
    World asserts that items go to announced links, that their times do not go back, and that the abstract
    entity refuses none.
    """
    world = World()
    world.at(A)
    world.begin()
    for step in steps:
        play(world, step)
    world.auto = True
    world.answer()
    world.run(2 * OUTCOME_S)
    begun = sum(isinstance(a, Instruct | Carry) for a in world.actions)
    assert sum(isinstance(a, Settle) for a in world.actions) == begun
    assert sum(isinstance(a, Wanted) for a in steps) >= sum(isinstance(a, Fail) for a in world.actions)
    for link in world.items:
        at: str | None = None
        for kind, poa in world.moves(link):
            assert (at is None) == (kind == "Attached")
            assert at in {None, poa}
            at = poa if kind == "Attached" else None
        if link not in world.links:
            assert at is None
