"""What the shells do before their engine says so: the same, once, and only if it is what was foreseen."""

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from netns_kit import ETH_P_IPV6, frames, ip, kernel_state, waiting
from shell_kit import ROUTER, ROUTER_PREFIX, Place, perform, place, until

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.tunnels import host, link_address
from lies_fmipv6 import actions as fast
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.config import NeighbourOptions
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    RouterSolicitation,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.mh_writer import HOP_LIMIT
from lies_fmipv6.parameters import ALL_NODES, eui64, form_address

pytestmark = pytest.mark.netns

NEXT = IPv6Network("2001:db8:2::/64")
NAR = NEXT[1]
NODE = bytes.fromhex("020000009900")
PCOA, NCOA = (form_address(prefix, eui64(NODE)) for prefix in (ROUTER_PREFIX, NEXT))
NEIGHBOUR = NeighbourOptions(NAR, "02:00:00:00:02:02", NEXT, ("02:00:00:00:01:02",))
FBU = encode(FastBindingUpdate(7, 20, PCOA, NCOA, NODE), PCOA, ROUTER)
SOLICITATION = encode(RouterSolicitation(NODE), IPv6Address("fe80::99"), IPv6Address("ff02::2"))


@pytest.fixture
def here() -> Iterator[Place]:
    """A namespace with the interfaces that consumers need, and a way to the neighbour and its link."""
    with place() as found:
        backbone, owner = index_of("bb"), m.OWNER_ADMINISTRATOR
        far = link_address("bb-far")
        found.kernel.execute(
            [
                m.route(host(NAR), oif=backbone, owner=owner),
                m.route(host(NCOA), oif=backbone, owner=owner),
                m.neighbour(backbone, NAR, far, owner=owner),
                m.neighbour(backbone, NCOA, far, owner=owner),
            ]
        )
        yield evolve(found, before=kernel_state())


def hack(sequence: int, code: int = 0) -> bytes:
    """The NAR's answer as it arrives, one hop further."""
    packet = encode(HandoverAcknowledge(sequence, code), NAR, ROUTER)
    return packet[:7] + bytes((packet[7] - 1,)) + packet[8:]


def sent(wire: Any) -> list[bytes]:
    """The Mobility Headers that went by, but for what this host, which is the far end too, sends back."""
    packets = [f[14:] for f in waiting(wire) if f[12:14] == ETH_P_IPV6.to_bytes(2)]
    return [p for p in packets if p[6] == 135 and p[7] == HOP_LIMIT]


def fbacks(air: Any) -> list[tuple[IPv6Address, FastBindingAck]]:
    """The FBacks that went by, with their destinations."""
    found = []
    for packet in sent(air):
        got = decode(packet)
        if isinstance(got.message, FastBindingAck):
            found.append((got.destination, got.message))
    return found


def tunnelled() -> bool:
    """Whether packets to PCoA go into a tunnel."""
    return any("encap seg6" in line for line in ip("-6", "route", "show", str(PCOA)))


class Watched:
    """A router's shell whose steps are looked at: whether the tunnel stood when the engine was fed."""

    def __init__(self, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shell = shell
        self.stood: list[bool] = []
        take = shell._dispatch._take

        def watched(*packet: object) -> None:
            self.stood.append(tunnelled())
            take(*packet)

        monkeypatch.setattr(shell._dispatch, "_take", watched)

    def hears(self, packet: bytes, interface: str = "bb") -> None:
        """A packet comes in."""
        self.shell._on_packet(packet, NODE if interface == "ap" else b"", interface)

    def initiated(self) -> int:
        """Have the node's FBU come: the sequence number of the HI that follows."""
        with frames("bb-far", incoming_only=True) as backbone:
            self.hears(FBU, "ap")
            (packet,) = [p for p in sent(backbone) if p[42] == 14]
        message = decode(packet).message
        assert isinstance(message, HandoverInitiate)
        return message.sequence


@pytest.mark.parametrize("foreseen", [True, False], ids=["as foreseen", "something between"])
def test_a_hack_is_answered_once(here: Place, monkeypatch: pytest.MonkeyPatch, foreseen: bool) -> None:
    """Tunnel and FBacks are there before the engine is fed, or after it: the same ones, and each once."""
    answers: list[tuple[IPv6Address, FastBindingAck]] = []

    async def work(shell: Any) -> None:
        router = Watched(shell, monkeypatch)
        sequence = router.initiated()
        if not foreseen:
            router.hears(SOLICITATION, "ap")
        with frames("ap-far", incoming_only=True) as air, frames("bb-far", incoming_only=True) as backbone:
            router.hears(hack(sequence))
            answers.extend([*fbacks(air), *fbacks(backbone)])
        assert router.stood[-1] is foreseen
        assert tunnelled()
        assert shell._dispatch._done == []

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,)), work)
    expected = FastBindingAck(0, 7, 20)
    assert [(to, (a.status, a.sequence, a.lifetime_s)) for to, a in answers] == [
        (to, (expected.status, expected.sequence, expected.lifetime_s)) for to in (PCOA, NCOA)
    ]
    assert here.more() == {}


def test_another_hack_is_not_what_was_foreseen(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A NAR that refuses, or a HAck with another number, gets no tunnel; nor does the right one again."""

    async def work(shell: Any) -> None:
        router = Watched(shell, monkeypatch)
        sequence = router.initiated()
        router.hears(hack(sequence + 1))
        assert not tunnelled()
        with frames("ap-far", incoming_only=True) as air:
            router.hears(hack(sequence, 129))
            ((to, ack),) = fbacks(air)
        assert (to, ack.status) == (PCOA, 129)
        router.hears(hack(sequence))
        assert not tunnelled()

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,)), work)
    assert here.more() == {}


def test_a_node_that_returns_is_let_in_at_its_una(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tunnel of a node that comes back gives way before the engine is fed, and nothing of it stays."""
    back = HandoverInitiate(
        sequence=1, code=0, assigned_address=False, buffer=True, mn_lla=NODE, pcoa=NCOA, ncoa=PCOA
    )
    una = encode(UnsolicitedNeighbourAdvertisement(PCOA, NODE), PCOA, ALL_NODES)

    async def work(shell: Any) -> None:
        router = Watched(shell, monkeypatch)
        router.hears(hack(router.initiated()))
        router.hears(encode(back, NAR, ROUTER))
        assert tunnelled()
        router.hears(una, "ap")
        assert router.stood[-1] is False
        assert shell._dispatch._done == []
        entry = " ".join(ip("-6", "neigh", "show", str(PCOA), "dev", "ap"))
        assert NODE.hex(":") in entry
        assert not ip("-6", "neigh", "show", "proxy")

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,)), work)
    assert here.more() == {}


def test_a_link_up_before_the_preparation_finds_it_done(here: Place) -> None:
    """However early the LinkUp comes, the new address is there before the UNA lets packets to it go."""
    gate, gate_mac = IPv6Address("fe80::2:1"), bytes.fromhex("020000000202")
    una = fast.SendMessage(UnsolicitedNeighbourAdvertisement(NCOA, NODE), NCOA, ALL_NODES)
    complete = fast.CompleteHandover(PCOA, NCOA, ROUTER, gate, gate_mac, tunnel=True)

    async def work(shell: Any) -> None:
        addresses: list[bool] = []
        send = shell._send

        def watched(packet: bytes, destination: IPv6Address) -> None:
            shown = " ".join(ip("-6", "-o", "addr", "show", "dev", "wlan0"))
            addresses.append(str(NCOA) in shown)
            send(packet, destination)

        shell._send = watched
        perform(shell, fast.UseRouter(PCOA, 64, gate, gate_mac))
        perform(shell, fast.PrepareHandover(PCOA, NCOA, ROUTER, gate, gate_mac), fast.HoldUplink(PCOA))
        perform(shell, fast.ExpectLinkUp("there", una, complete))
        assert str(NCOA) not in " ".join(ip("-6", "-o", "addr", "show", "dev", "wlan0"))
        shell._arrive("there")
        assert addresses == [True]
        assert shell._done == [una, complete]
        perform(shell, fast.EndTunnel(PCOA, NCOA, ROUTER))

    here.run(here.consumer("mobile"), work)
    assert here.more() == {}


def test_a_preparation_waits_for_the_fback_only_so_long(here: Place) -> None:
    """Without anything else it is done after some ms, and the UNA is encoded by then."""
    gate, gate_mac = IPv6Address("fe80::2:1"), bytes.fromhex("020000000202")
    una = fast.SendMessage(UnsolicitedNeighbourAdvertisement(NCOA, NODE), NCOA, ALL_NODES)
    complete = fast.CompleteHandover(PCOA, NCOA, ROUTER, gate, gate_mac, tunnel=True)

    async def work(shell: Any) -> None:
        perform(shell, fast.UseRouter(PCOA, 64, gate, gate_mac))
        perform(shell, fast.PrepareHandover(PCOA, NCOA, ROUTER, gate, gate_mac))
        await until(lambda: str(NCOA) in " ".join(ip("-6", "-o", "addr", "show", "dev", "wlan0")))
        perform(shell, fast.ExpectLinkUp("there", una, complete))
        await until(lambda: shell._announcement == encode(una.message, NCOA, ALL_NODES))
        perform(shell, fast.AbandonHandover(NCOA))

    here.run(here.consumer("mobile"), work)
    assert here.more() == {}


def test_what_a_leaving_node_waits_for_goes_first(here: Place) -> None:
    """HI, HAck and FBack are sent as awaited, so that nothing delays whom they wake; others are not."""
    told: list[tuple[str, bool]] = []

    async def work(shell: Any) -> None:
        def watch(packet: bytes, *_: object, awaited: bool = False, **__: object) -> None:
            told.append((type(decode(packet).message).__name__, awaited))

        shell._signalling.send = watch
        for message in (
            HandoverInitiate(1, 0, False, True, NODE, PCOA, NCOA),
            HandoverAcknowledge(1, 0),
            FastBindingAck(0, 7, 20),
            UnsolicitedNeighbourAdvertisement(PCOA, NODE),
        ):
            to = ALL_NODES if isinstance(message, UnsolicitedNeighbourAdvertisement) else NAR
            perform(shell, fast.SendMessage(message, PCOA if to == ALL_NODES else ROUTER, to))

    here.run(here.consumer("router", neighbours=(NEIGHBOUR,)), work)
    names = ["HandoverInitiate", "HandoverAcknowledge", "FastBindingAck", "UnsolicitedNeighbourAdvertisement"]
    assert told == list(zip(names, (True, True, True, False), strict=True))
