"""The follower of the nl80211 driver: which PoA serves, since when, and why no more."""

import pytest
from wifi_kit import (
    INDEX,
    NAME,
    A,
    B,
    C,
    World,
    bss_of,
    connect_body,
    deauthenticate_body,
    disconnect_body,
    gone_body,
    told,
)

from lies.events import Detached, DownReason, LinkUp
from lies_nl80211.attributes import attribute
from lies_nl80211.items import Overrun
from lies_nl80211.uapi import Attr, Cmd


def reasons(world: World) -> list[DownReason]:
    """Why the link went down each time."""
    return [i.reason for i in world.items[NAME] if isinstance(i, Detached)]


def test_open_network_is_up_at_once() -> None:
    """An association whose port is authorised is up as soon as it is told."""
    world = World().begin()
    world.join(A)
    assert world.moves() == [("Attached", A)]
    assert world.items[NAME][0].t_ns == world.t_ns
    assert any(isinstance(i, LinkUp) and i.poa == A for i in world.indications)


def test_protected_network_is_up_after_the_handshake() -> None:
    """Associated is not up: the link is up once the port is authorised, within a tenth of a second."""
    world = World().begin()
    world.at(A, authorised=False)
    world.tell(connect_body(A, protected=True))
    world.run(0.5)
    assert world.moves() == []
    world.at(A)
    world.run(0.1)
    assert world.moves() == [("Attached", A)]


def test_state_of_the_interface_ends_the_wait() -> None:
    """Who manages the interface sets it up after the handshake: that is looked at without delay."""
    world = World().begin()
    world.at(A, authorised=False)
    world.tell(connect_body(A, protected=True))
    world.run(0.3)
    world.at(A)
    world.net(owned=True)
    assert world.moves() == [("Attached", A)]


def test_radio_that_does_not_say_authorised() -> None:
    """A radio that tells of no authorisation: an open network is up, a protected one with its interface."""
    world = World().begin()
    world.at(A, authorised=None)
    world.tell(connect_body(A))
    assert world.moves() == [("Attached", A)]
    world.part(A)
    world.net(passing=False)
    world.at(B, authorised=None)
    world.tell(connect_body(B, protected=True))
    world.run(1)
    assert world.moves()[2:] == []
    world.net(passing=True)
    assert world.moves()[2:] == [("Attached", B)]


def test_roam_is_down_then_up() -> None:
    """A roam is the old PoA's end, since its station was gone, and then the new one's beginning."""
    world = World().begin()
    world.join(A)
    world.run(1.5)
    world.part(A)
    left_ns = world.t_ns
    world.run(0.058)
    world.join(B)
    assert world.moves() == [("Attached", A), ("Detached", A), ("Attached", B)]
    (detached,) = [i for i in world.items[NAME] if isinstance(i, Detached)]
    assert detached.t_ns == left_ns
    assert detached.reason is DownReason.REQUESTED


def test_end_has_the_time_of_the_first_sign() -> None:
    """The link is down since the station was gone, also where the reason comes later."""
    world = World().begin()
    world.join(A)
    world.stations[INDEX] = []
    world.tell(gone_body(A))
    gone_ns = world.t_ns
    world.run(0.01)
    assert world.moves() == [("Attached", A)]
    world.tell(disconnect_body(4))
    assert world.moves()[1:] == [("Detached", A)]
    assert world.items[NAME][-1].t_ns == gone_ns
    assert reasons(world) == [DownReason.SIGNAL_LOST]


def test_end_without_a_reason() -> None:
    """A station that is gone is down after 20 ms, whether or not a reason is told."""
    world = World().begin()
    world.join(A)
    world.stations[INDEX] = []
    world.tell(gone_body(A))
    world.run(0.03)
    assert world.moves()[1:] == [("Detached", A)]
    world.tell(disconnect_body(3))
    assert reasons(world) == [DownReason.CARRIER]


@pytest.mark.parametrize(
    ("code", "by_peer", "reason"),
    [
        (3, False, DownReason.REQUESTED),
        (4, False, DownReason.SIGNAL_LOST),
        (3, True, DownReason.PEER),
        (4, True, DownReason.PEER),
    ],
)
def test_why_it_is_down(code: int, by_peer: bool, reason: DownReason) -> None:
    """LinkDown tells whether this side left, the access point ended it, or the signal was lost."""
    world = World().begin()
    world.join(A)
    world.part(A, code, by_peer=by_peer)
    assert reasons(world) == [reason]
    assert any(f"left {A}: reason {code} " in s for s in world.said())


def test_roam_by_firmware() -> None:
    """ROAM alone is both ends; an authorised port is up with it."""
    world = World().begin()
    world.join(A)
    world.at(B)
    world.tell(told(Cmd.ROAM, attribute(Attr.MAC, bytes.fromhex(B.replace(":", ""))), attribute(259, b"")))
    assert world.moves() == [("Attached", A), ("Detached", A), ("Attached", B)]
    assert reasons(world) == [DownReason.REQUESTED]


def test_handshake_by_firmware() -> None:
    """PORT_AUTHORIZED ends the wait."""
    world = World(auto=False).begin()
    world.answer()
    world.tell(connect_body(A, protected=True))
    world.tell(told(Cmd.PORT_AUTHORIZED, attribute(Attr.MAC, bytes.fromhex(A.replace(":", "")))))
    assert world.moves() == [("Attached", A)]


def test_refused_association() -> None:
    """An association that is refused brings nothing up."""
    world = World().begin()
    world.tell(connect_body(A, status=17))
    world.run(1)
    assert world.moves() == []
    assert f"{NAME}: {A} refused the association: status 17 (no room for another station)" in world.said()


def test_failed_handshake() -> None:
    """An association whose handshake fails was never up."""
    world = World().begin()
    world.at(A, authorised=False)
    world.tell(connect_body(A, protected=True))
    world.run(2)
    world.part(A, 15)
    world.run(2)
    assert world.moves() == []


def test_frames_of_strangers_change_nothing() -> None:
    """An end that speaks of another access point, or that nobody protects, is not believed."""
    world = World().begin()
    world.join(A)
    world.tell(deauthenticate_body(C, 3, by_peer=True))
    world.tell(gone_body(C))
    world.tell(told(70, attribute(Attr.FRAME, bytes(26))))  # UNPROT_DEAUTHENTICATE
    world.run(5)
    assert world.moves() == [("Attached", A)]


def test_link_that_is_up_already() -> None:
    """A driver that starts on a link that is up says so, and with which PoA."""
    world = World()
    world.at(A)
    world.begin()
    assert world.moves() == [("Attached", A)]


def test_lost_messages_are_made_good() -> None:
    """After an overrun dumps decide: the old PoA is down, the new one up, and people are told."""
    world = World().begin()
    world.join(A)
    world.at(B)
    world.feed(Overrun(world.t_ns))
    assert world.moves() == [("Attached", A), ("Detached", A), ("Attached", B)]
    assert any("dropped messages" in s for s in world.said())


def test_late_events_after_a_dump() -> None:
    """Events that were on their way while a dump told their outcome do not take the new PoA down."""
    world = World().begin()
    world.join(A)
    world.at(B)
    world.feed(Overrun(world.t_ns))
    for body in (gone_body(A), deauthenticate_body(A, 3, by_peer=False), disconnect_body(3), connect_body(B)):
        world.tell(body)
    world.run(3)
    assert world.moves() == [("Attached", A), ("Detached", A), ("Attached", B)]
    world.part(B)
    assert world.moves()[3:] == [("Detached", B)]


def test_missed_end_is_noticed() -> None:
    """A PoA that two dumps in a row do not know is gone, without any event."""
    world = World().begin()
    world.join(A)
    world.stations[INDEX] = []
    world.run(3)
    assert world.moves() == [("Attached", A), ("Detached", A)]


def test_missed_beginning_is_noticed() -> None:
    """An association that no event told of is found through the scan table."""
    world = World().begin()
    world.at(A)
    world.scan = [bss_of(A, associated=True)]
    world.run(11)
    assert world.moves() == [("Attached", A)]


def test_authorisation_that_ends() -> None:
    """A port that is closed again takes the link down, and up once it is open."""
    world = World().begin()
    world.join(A)
    world.at(A, authorised=False)
    world.run(1.5)
    assert world.moves() == [("Attached", A), ("Detached", A)]
    world.at(A)
    world.run(0.2)
    assert world.moves()[2:] == [("Attached", A)]
