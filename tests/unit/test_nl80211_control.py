"""LinkConnect and LinkDisconnect: whom they are given to, and what becomes of them."""

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
    gone_body,
    turned_body,
)

from lies.events import LinkAction
from lies.link_steps import Fail
from lies_nl80211 import messages as m
from lies_nl80211.config import Nl80211Config
from lies_nl80211.items import Carry, Instruct, OwnersTold, Settle, Taken, Wanted
from lies_nl80211.pending import OUTCOME_S, Order
from lies_nl80211.uapi import Cmd

CONNECT, DISCONNECT = LinkAction.CONNECT, LinkAction.DISCONNECT
SUPPLICANT = OwnersTold({NAME: "wpa_supplicant"})


def world_of(owners: OwnersTold | None = None, *, dormant: bool = False) -> World:
    """A station that hears A and B of one network and C of another."""
    world = World()
    world.scan = [bss_of(A), bss_of(B), bss_of(C, b"other")]
    world.begin()
    world.net(owned=dormant)
    if owners is not None:
        world.feed(owners)
    world.run(0.1)
    return world


def want(world: World, poa: str | None, action: LinkAction = CONNECT) -> None:
    """Ask for it, of an empty list of actions."""
    world.actions.clear()
    world.feed(Wanted(NAME, action, poa))


def fails(world: World) -> list[str]:
    """The sentences of what came to nothing."""
    return [a.why for a in world.actions if isinstance(a, Fail)]


def settled(world: World) -> int:
    """How many orders ended."""
    return sum(isinstance(a, Settle) for a in world.actions)


def take(world: World, why: str | None = None) -> None:
    """The owner or the kernel answers the last order."""
    last = [a for a in world.actions if isinstance(a, Instruct | Carry)][-1]
    world.feed(Taken(NAME, last.number, why))


def test_kernel_follows_where_nobody_manages() -> None:
    """On an interface nobody manages the kernel joins an open network, leaving another one first."""
    world = world_of()
    want(world, B)
    ((count, order),) = [(len(a.requests), a.order) for a in world.actions if isinstance(a, Carry)]
    assert (count, order.poa, order.roam) == (1, B, False)
    world.join(A)
    for poa, requests, roam in ((B, 1, True), (C, 2, False)):
        want(world, poa)
        (carry,) = [a for a in world.actions if isinstance(a, Carry)]
        assert (len(carry.requests), carry.order.roam) == (requests, roam)
    want(world, A, DISCONNECT)
    (carry,) = [a for a in world.actions if isinstance(a, Carry)]
    assert (len(carry.requests), carry.order.poa) == (1, None)


def test_owner_follows() -> None:
    """Who manages the interface gets the order: the network, and whether it is the present one."""
    world = world_of(SUPPLICANT, dormant=True)
    assert world.links == {NAME: True}
    want(world, A)
    assert [a for a in world.actions if isinstance(a, Instruct)] == [
        Instruct("wpa_supplicant", 1, Order(NAME, A, b"net", 2437, roam=False))
    ]
    world.join(A)
    want(world, B)
    (instruct,) = [a for a in world.actions if isinstance(a, Instruct)]
    assert instruct.order.roam
    want(world, None, DISCONNECT)
    (instruct,) = [a for a in world.actions if isinstance(a, Instruct)]
    assert instruct.order == Order(NAME, None)


@pytest.mark.parametrize("poa", [A, None])
def test_nothing_to_do(poa: str | None) -> None:
    """What is so already needs no order: connected there, or a disconnect from where the link is not."""
    world = world_of(SUPPLICANT)
    world.join(A)
    if poa is None:
        want(world, B, DISCONNECT)
    else:
        want(world, A)
    assert world.actions == []


def test_refusals_help() -> None:
    """What cannot be followed is told with a sentence that helps."""
    world = world_of()
    want(world, "02:00:00:00:0d:01")
    assert "is not heard on wlan0" in fails(world)[0]
    world.feed(Wanted("wlan7", CONNECT, A))
    assert fails(world)[1] == "there is no link wlan7 any more"
    world.scan = [m.Bss(INDEX, B, 2437, -50.0, False, True, 0, None, bss_of(B).elements)]
    world.run(11.0)
    want(world, B)
    assert "let one of them manage wlan0" in fails(world)[0]
    world.net(owned=True)
    want(world, B)
    assert "managed by another program" in fails(world)[0]
    assert "wpa_supplicant -u" in fails(world)[0]
    world.feed(OwnersTold({}, "there is no D-Bus on this machine"))
    want(world, None, DISCONNECT)
    assert "there is no D-Bus" in fails(world)[0]
    quiet = World(Nl80211Config(control=False)).begin()
    quiet.feed(Wanted(NAME, CONNECT, A))
    assert fails(quiet) == ["control = false in the configuration"]


@pytest.mark.parametrize("answer_first", [False, True])
def test_connect_that_comes_true(answer_first: bool) -> None:
    """A LinkUp at the wanted PoA ends the order, whether the owner's answer comes before or after it."""
    world = world_of(SUPPLICANT)
    world.join(A)
    want(world, B)
    if answer_first:
        take(world)
    world.join(B)
    if not answer_first:
        take(world)
    world.run(2 * OUTCOME_S)
    assert (settled(world), fails(world)) == (1, [])


def test_disconnect_that_comes_true() -> None:
    """A link that is down ends the order, also one that was down before."""
    world = world_of(SUPPLICANT)
    world.join(A)
    want(world, None, DISCONNECT)
    take(world)
    assert settled(world) == 0
    world.part(A)
    assert (settled(world), fails(world)) == (1, [])
    want(world, None, DISCONNECT)
    take(world)
    assert (settled(world), fails(world)) == (1, [])


def test_owner_that_refuses() -> None:
    """A refusal by the owner is indicated at once in its words; that of an older order says nothing."""
    world = world_of(SUPPLICANT)
    want(world, A)
    take(world, "wpa_supplicant did not follow it: no such network")
    assert fails(world) == ["wpa_supplicant did not follow it: no such network"]
    want(world, A)
    want(world, B)
    assert fails(world) == ["another request took its place"]
    world.actions.clear()
    world.feed(Taken(NAME, 2, "late"))
    assert fails(world) == []


def test_link_that_goes_elsewhere() -> None:
    """After the order was taken an arrival elsewhere is its end; an arrival of before it is not."""
    world = world_of(SUPPLICANT)
    want(world, B)
    world.join(A)
    assert fails(world) == []
    take(world)
    assert fails(world) == []
    world.part(A)
    world.join(C)
    assert fails(world) == [f"the link went to {C} instead"]


def test_access_point_that_refuses() -> None:
    """An association that is refused, or ended in its handshake, is the reason when the time is over."""
    world = world_of(SUPPLICANT)
    want(world, B)
    take(world)
    world.tell(connect_body(B, status=17))
    world.run(OUTCOME_S + 1)
    assert fails(world) == [f"{B} refused the association: status 17 (no room for another station)"]
    want(world, B)
    take(world)
    world.at(B, authorised=False)
    world.tell(connect_body(B))
    world.stations[INDEX] = []
    world.tell(gone_body(B))
    world.tell(deauthenticate_body(B, 15, by_peer=True))
    world.run(OUTCOME_S + 1)
    assert fails(world) == [f"{B}: reason 15 (4-way handshake timeout), told by the access point"]
    want(world, B)
    take(world)
    world.run(OUTCOME_S + 1)
    assert fails(world) == ["nothing came of it within 15 s"]


@pytest.mark.parametrize(
    ("command", "what"), [(Cmd.AUTHENTICATE, "authentication"), (Cmd.ASSOCIATE, "association")]
)
def test_access_point_that_lets_nobody_in(command: int, what: str) -> None:
    """The access point's own answer is the reason; a CONNECT that says the same adds nothing."""
    world = world_of(SUPPLICANT)
    world.join(A)
    want(world, B)
    take(world)
    world.part(A)
    world.tell(turned_body(B, 1, command=command))
    world.tell(connect_body(B, status=1))
    world.join(A)
    why = f"{B} refused the {what}: status 1 (unspecified failure)"
    assert fails(world) == [f"the link went to {A} instead: {why}"]
    assert [s for s in world.said() if "refused" in s] == [f"{NAME}: {why}"]


def test_owner_that_dies() -> None:
    """An owner that goes ends its order; the link can be controlled again when one has come."""
    world = world_of(SUPPLICANT, dormant=True)
    want(world, A)
    take(world)
    world.feed(OwnersTold({}))
    assert fails(world) == [f"wpa_supplicant has gone, or let go of {NAME}"]
    assert world.links == {NAME: False}
    world.feed(OwnersTold({NAME: "iwd"}))
    assert world.links == {NAME: True}
    want(world, A)
    (instruct,) = [a for a in world.actions if isinstance(a, Instruct)]
    assert instruct.owner == "iwd"


def test_interface_that_goes_ends_the_order() -> None:
    """With its interface an order comes to nothing, told before the link is taken away."""
    world = world_of(SUPPLICANT)
    want(world, A)
    world.net(name=None)
    assert fails(world) == ["the interface is gone"]
    assert world.links == {}
