"""The router's rehearsal: a whole handover by the router's own code, of which nothing leaves or stays."""

import asyncio
import errno
import select
import socket
from contextlib import closing
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from netns_kit import kernel_state, left
from shell_kit import Place, place, until

from lies.errors import MalformedMessage
from lies.kernel.netlink import KernelError
from lies_fmipv6 import actions as a
from lies_fmipv6 import rehearsal_shell, router_dispatch
from lies_fmipv6.codec import Received, decode
from lies_fmipv6.config import NeighbourOptions
from lies_fmipv6.messages import Message
from lies_fmipv6.parameters import AccessRouterConfig, Neighbour, Parameters
from lies_fmipv6.rehearsal_shell import Rehearsal

NEXT = IPv6Network("2001:db8:2::/64")
CONFIG = AccessRouterConfig(
    IPv6Address("2001:db8:1::1"),
    IPv6Address("fe80::1"),
    bytes.fromhex("020000000201"),
    IPv6Network("2001:db8:1::/64"),
    neighbours=(Neighbour(NEXT[1], bytes.fromhex("020000000202"), NEXT),),
    insecure=True,
)
KEYS = {bytes.fromhex("020000009900"): bytes(20)}
PROTECTED = evolve(CONFIG, insecure=False, neighbours=(evolve(CONFIG.neighbours[0], protected=True),))
_IPV6_ROUTES_AND_RULES = 0x400 | 0x40000  # groups of rtnetlink(7)
KINDS = {
    "insecure": CONFIG,
    "keys": evolve(CONFIG, keys=KEYS),
    "esp": evolve(PROTECTED, keys=KEYS),
    "dhcp and probes": evolve(CONFIG, dhcp=True, dad_transmits=1),
}


class Told:
    """What the imaginary routers read and did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[tuple[str, bool]] = []
        self.done: list[str] = []
        carry_out = router_dispatch.RouterDispatch._carry_out

        def decoded(packet: bytes, **options: Any) -> Received:
            got = decode(packet, **options)
            self.read.append((type(got.message).__name__, got.authenticated))
            return got

        def carried_out(dispatch: Any, action: a.AccessRouterAction) -> None:
            message: Message | None = getattr(action, "message", None)
            self.done.append(type(action if message is None else message).__name__)
            carry_out(dispatch, action)

        monkeypatch.setattr(router_dispatch, "decode", decoded)
        monkeypatch.setattr(router_dispatch.RouterDispatch, "_carry_out", carried_out)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_whole_handover(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both roles' part of one, from FBU to UNA and the end of the tunnel, protected as the router's are."""
    rehearsal = Rehearsal(KINDS[kind], Parameters())
    told = Told(monkeypatch)
    rehearsal.play()
    signed = bool(KINDS[kind].keys)
    assert told.read == [
        ("FastBindingUpdate", signed),
        ("HandoverInitiate", False),
        ("HandoverAcknowledge", False),
        ("UnsolicitedNeighbourAdvertisement", False),
    ]
    expected = ["HandoverInitiate", "ExpectNode", "HandoverAcknowledge", "DefendNode", "AddTunnel"]
    assert [done for done in told.done if done in expected] == expected
    assert told.done.count("AdmitNode") == 1
    assert told.done.count("RemoveTunnel") == 1
    assert [router.engine.dropped.total() for router in rehearsal._routers] == [0, 0]


def test_nothing_of_it_stays() -> None:
    """After any number of them there is as much state as after a few, also as numbers begin anew."""
    rehearsal = Rehearsal(evolve(CONFIG, keys=KEYS), Parameters())

    def sizes() -> list[int]:
        parts = [p for r in rehearsal._routers for p in (r.engine._previous, r.engine._new, r.dispatch)]
        kept = [v for part in parts for v in vars(part).values() if isinstance(v, dict | list)]
        return [rehearsal.state, *map(len, kept)]

    rehearsal._numbers = iter(range(65500, 66000))  # type: ignore[assignment]  # it only is asked for the next
    rehearsal.play()
    few = sizes()
    for _ in range(200):
        rehearsal.play()
    assert few[0] == 0
    assert sizes() == few
    assert [router.engine.dropped.total() for router in rehearsal._routers] == [0, 0]


@pytest.fixture
def here() -> Any:
    """A namespace with the interfaces that a router needs."""
    with place() as found:
        yield found


NEIGHBOUR = NeighbourOptions(NEXT[1], "02:00:00:00:02:02", NEXT, ("02:00:00:00:01:02",))


@pytest.mark.netns
def test_a_router_rehearses_while_nothing_comes(here: Place) -> None:
    """Again and again, but not in the time after a message, nor when none has come for long."""
    counts: list[int] = []

    async def work(shell: Any) -> None:
        rehearsal = shell._rehearsal
        await until(lambda: rehearsal.played >= 3)
        shell._rehearses.cancel()
        before = rehearsal.played

        def turn() -> None:
            shell._rehearse(rehearsal)
            counts.append(rehearsal.played - before)
            if shell._rehearses is not None:
                shell._rehearses.cancel()

        with pytest.raises(MalformedMessage):
            shell._on_packet(bytes(40), b"", "ap")
        turn()  # is left out
        turn()
        with pytest.raises(MalformedMessage):
            shell._on_protected(bytes(40))
        turn()  # is left out
        shell._alone_s = 600.0
        turn()
        assert shell._rehearses is None  # nobody is about
        with pytest.raises(MalformedMessage):
            shell._on_packet(bytes(40), b"", "ap")
        assert shell._rehearses is not None
        await until(lambda: rehearsal.played > before + 3)

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,), rehearsal_ms=1.0), work)
    assert counts == [0, 1, 1, 2]
    assert here.more() == {}


@pytest.mark.netns
def test_a_slow_host_rehearses_less(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before the next one is at least twenty times what one took."""
    times = iter((10.0, 10.5))

    async def work(shell: Any) -> None:
        shell._rehearses.cancel()
        monkeypatch.setattr("lies_fmipv6.router_shell.now_s", lambda: next(times))
        loop = asyncio.get_running_loop()
        before_s = loop.time()
        shell._rehearse(shell._rehearsal)
        assert shell._rehearses.when() >= before_s + 10
        shell._is_warm = True
        shell._rehearse(shell._rehearsal)
        assert shell._rehearses.when() < before_s + 10

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,), rehearsal_ms=1.0), work)


@pytest.mark.netns
def test_the_kernel_changes_nothing_for_a_rehearsal(here: Place) -> None:
    """A tunnel of nobody is looked for and not found: nothing is there then, and no listener hears of it."""

    async def work(shell: Any) -> None:
        shell._rehearses.cancel()
        state = kernel_state()
        shell._plane.rehearse()
        assert left(state, kernel_state()) == {}
        with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)) as listener:
            listener.bind((0, _IPV6_ROUTES_AND_RULES))
            shell._plane.rehearse()
            assert not select.select([listener], [], [], 0)[0]
            shell._plane.add_tunnel(NEXT[2], NEXT[1])
            assert select.select([listener], [], [], 0)[0]  # of what is real it hears
        for message in shell._plane._rehearsed:
            with pytest.raises(KernelError) as refused:
                here.kernel.execute([message])
            assert refused.value.errno == errno.ENOENT

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,), rehearsal_ms=60_000.0), work)
    assert here.more() == {}


@pytest.mark.netns
def test_a_kernel_that_refuses_ends_the_rehearsals(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, and the router serves on."""

    async def work(shell: Any) -> None:
        monkeypatch.setattr(shell._plane, "rehearse", refuses)
        await until(lambda: shell._rehearsal is None)
        assert shell._rehearses is None

    def refuses() -> None:
        raise KernelError(12, "a route", "no memory")

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,), rehearsal_ms=1.0), work)


@pytest.mark.netns
@pytest.mark.parametrize("options", [{"rehearsal_ms": 0.0}, {"neighbours": ()}], ids=["off", "alone"])
def test_none_without_use(here: Place, options: dict[str, Any]) -> None:
    """Where it is off, or there is no neighbour to hand nodes over to, nothing is played."""

    async def work(shell: Any) -> None:
        await asyncio.sleep(0)
        assert shell._rehearsal is None
        assert shell._rehearses is None

    here.run(here.consumer("router", **{"neighbours": (NEIGHBOUR,), **options}), work)


@pytest.mark.netns
def test_a_rehearsal_that_fails_is_the_last(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours in it is told once by the loop, and the router serves on."""
    played: list[int] = []
    told: list[dict[str, Any]] = []

    def fails(_: object) -> None:
        played.append(1)
        raise RuntimeError("a fault")

    monkeypatch.setattr(rehearsal_shell.Rehearsal, "play", fails)

    async def work(shell: Any) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        shell._rehearses.cancel()
        loop = asyncio.get_running_loop()
        loop.call_soon(shell._rehearse, shell._rehearsal)
        await until(lambda: bool(told))

    monkeypatch.setattr(
        "lies_fmipv6.router_shell.RouterShell._start_rehearsing", lambda _: None, raising=False
    )
    here.run(here.consumer("router", neighbours=(NEIGHBOUR,), rehearsal_ms=60_000.0), work)
    assert len(played) == len(told) == 1
