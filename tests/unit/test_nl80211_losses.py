"""Messages of the kernel that were lost: what happened is found out, and consumers are told a gap."""

import errno

import pytest
from radio_host import RecordingHost
from wifi_driver import join, moves, of, run, until
from wifi_kernel import SimKernel, a_good_link, link_body
from wifi_kit import (
    INDEX,
    NAME,
    OWN,
    A,
    B,
    World,
    connect_body,
    dashed,
    deauthenticate_body,
    disconnect_body,
    gone_body,
    station_body,
)

from lies.events import Detached, DownReason
from lies_nl80211 import Nl80211, messages, questions
from lies_nl80211.items import Answer, Ask, Overrun, Query
from lies_nl80211.uapi import IfType

UP_A = ("Attached", A)
AGAIN = [UP_A, ("Detached", A), UP_A]


def joined(associated_ns: int | None) -> World:
    """A station that has been at A since a time."""
    world = World().begin()
    world.at(A, associated_ns=associated_ns)
    world.tell(connect_body(A))
    assert world.moves() == [UP_A]
    return world


def test_way_there_and_back_is_not_lost() -> None:
    """Who left A, and is at A again, was down in between: the association's time tells, no message."""
    world = joined(associated_ns=5)
    world.at(A, associated_ns=9)
    world.feed(Overrun(world.t_ns))
    assert world.moves() == AGAIN
    (down,) = [i for i in world.items[NAME] if isinstance(i, Detached)]
    assert (down.reason, down.detail) == (
        DownReason.CARRIER,
        "it was left and joined again, which nothing told of",
    )
    assert world.gaps() == [1]
    world.run(5)
    assert world.moves() == AGAIN


@pytest.mark.parametrize(("before", "after"), [(5, 5), (None, None), (None, 5), (5, None)])
def test_same_association_is_no_move(before: int | None, after: int | None) -> None:
    """Where the association is the same one, or its time is not told, an overrun moves nothing."""
    world = joined(associated_ns=before)
    world.at(A, associated_ns=after)
    world.feed(Overrun(world.t_ns))
    world.run(5)
    assert world.moves() == [UP_A]
    assert world.gaps() == [1]


def test_new_association_is_noticed_without_an_overrun() -> None:
    """Whatever lost the messages: the next measurement sees that it is another association."""
    world = joined(associated_ns=5)
    world.at(A, associated_ns=9)
    world.run(3)
    assert world.moves() == AGAIN
    assert world.gaps() == []


def test_gap_is_where_the_hole_is() -> None:
    """What the buffer kept is told, then the gap, then what dumps find."""
    world = joined(associated_ns=5)
    world.auto = False
    world.feed(Overrun(world.t_ns))
    for body in (gone_body(A), deauthenticate_body(A, 3, by_peer=False), disconnect_body(3), connect_body(B)):
        world.tell(body)
    world.at(A, associated_ns=9)
    world.answer()
    assert world.moves() == AGAIN
    assert world.gaps() == [2]


def test_gap_is_told_once_for_many_overruns() -> None:
    """Overruns until the first answer are one gap; a later one is another."""
    world = joined(associated_ns=5)
    world.auto = False
    for _ in range(10):
        world.feed(Overrun(world.t_ns))
    world.answer()
    assert world.gaps() == [1]
    world.feed(Overrun(world.t_ns))
    world.answer()
    assert world.gaps() == [1, 1]


def test_gap_is_told_though_nothing_can_be_asked() -> None:
    """A kernel that does not answer holds up no gap."""
    world = joined(associated_ns=5)
    world.auto = False
    world.feed(Overrun(world.t_ns))
    world.feed(Answer(Ask(Query.INTERFACES, 0), world.t_ns, None))
    assert world.gaps() == [1]


def test_station_that_came_again_is_another_one() -> None:
    """At an access point a station that was away, which no message told of, is down and up."""
    world = World()
    world.interfaces = [messages.Interface(INDEX, "ap0", IfType.AP, OWN, 0)]
    world.begin()
    world.at(A, associated_ns=5)
    world.tell(station_body(A))
    world.run(2)
    link = f"ap0/{dashed(A)}"
    assert world.moves(link) == [("Attached", OWN)]
    world.at(A, associated_ns=9)
    world.feed(Overrun(world.t_ns))
    assert world.moves(link) == [("Attached", OWN), ("Detached", OWN), ("Attached", OWN)]
    world.run(5)
    assert world.moves(link)[3:] == []


def test_overrun_is_told_the_host() -> None:
    """Through the sockets: ENOBUFS, what was kept, the gap, then where the link is."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        kernel.overrun()
        kernel.tell(gone_body(A), deauthenticate_body(A, 3, by_peer=False), disconnect_body(3))
        a_good_link(kernel, B)
        await until(lambda: len(moves(of(host))) == 3)

    host = run(play)
    assert moves(of(host)) == [UP_A, ("Detached", A), ("Attached", B)]
    (at,) = host.gaps
    told = [type(e).__name__ for e in host.events]
    assert told[:at].count("RawDetached") == 1
    assert told[:at].count("RawAttached") == 1
    assert told[at:].count("RawAttached") == 1


def test_states_of_interfaces_are_asked_for_until_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of route netlink that were lost are made up for, though the first question is refused."""
    monkeypatch.setattr(questions, "RETRY_S", 0.01)

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        kernel.refuse_links = [errno.ENOBUFS, errno.EBUSY]
        kernel.links = [link_body(up=False)]
        kernel.overrun_route()
        await until(lambda: ("Detached", A) in moves(of(host)))
        assert kernel.refuse_links == []

    host = run(play)
    (down,) = [i for i in of(host) if isinstance(i, Detached)]
    assert down.reason is DownReason.ADMIN_DOWN
