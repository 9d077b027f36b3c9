"""The shells of FMIPv6 with handover keys, ESP, host routes and orders, in a kernel of their own."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from netns_kit import ETH_P_IPV6, frames, ipv6, kernel_state, left, udp, waiting
from shell_contract import nothing
from shell_kit import HandBus, Place, perform, place, until

from lies.errors import ConfigError, ProtocolViolation
from lies.kernel import esp, xfrm
from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.netlink import Netlink
from lies.kernel.tunnels import host, link_address
from lies.shared_keys import new_shared_key
from lies_fmipv6 import actions as fast
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.config import KeyOptions, NeighbourOptions
from lies_fmipv6.items import access_point_id
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    PrRtAdv,
    PrRtAdvCode,
)
from lies_fmipv6.parameters import eui64, form_address
from lies_mipv6.codec import encode as encode_home
from lies_mipv6.messages import BindingError

pytestmark = pytest.mark.netns

OWN, NEXT = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
PAR, NAR = OWN[1], NEXT[1]
NODE, ROGUE = bytes.fromhex("020000009900"), bytes.fromhex("020000006600")
PCOA, NCOA = (form_address(prefix, eui64(NODE)) for prefix in (OWN, NEXT))
GATE, MAC = IPv6Address("fe80::1:1"), bytes.fromhex("020000000101")
POA = "02:00:00:00:01:02"
NEIGHBOUR = NeighbourOptions(NAR, "02:00:00:00:02:02", NEXT, (POA,))


@pytest.fixture
def here() -> Iterator[Place]:
    """A namespace with the interfaces that consumers need, and a way to the neighbour."""
    with place() as found:
        backbone = index_of("bb")
        owner = m.OWNER_ADMINISTRATOR
        far = link_address("bb-far")
        found.kernel.execute(
            [
                m.route(host(NAR), oif=backbone, owner=owner),
                m.neighbour(backbone, NAR, far, owner=owner),
                m.neighbour(index_of("wlan0"), GATE, MAC, owner=owner),
            ]
        )
        yield evolve(found, before=kernel_state())


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A directory with a key for the node and one that it has not."""
    for name in ("car", "other"):
        new_shared_key(tmp_path, name)
    return tmp_path


def secret(keys: Path, name: str = "car") -> bytes:
    """The octets of a key, read past the module that reads them."""
    return bytes.fromhex((keys / f"{name}.handover").read_text().split('"')[1])


def packets(interface: socket.socket) -> list[bytes]:
    """The IPv6 packets among the frames that were seen."""
    return [f[14:] for f in waiting(interface) if f[12:14] == ETH_P_IPV6.to_bytes(2)]


async def heard(air: socket.socket, found: list[bytes], condition: Callable[[], bool]) -> None:
    """Collect what goes by until something holds."""

    def check() -> bool:
        found.extend(packets(air))
        return condition()

    await until(check)


def of_kind(found: list[bytes], kind: int) -> list[bytes]:
    """Packets with a Mobility Header of a type, behind a Home Address option or not."""
    return [p for p in found if (p[6] == 135 and p[42] == kind) or (p[6] == 60 and p[66] == kind)]


def a_router(here: Place, keys: Path, **more: Any) -> Any:
    """The consumer of an access router that shares a key with the node."""
    named = (KeyOptions("car", node="02:00:00:00:99:00"),)
    return here.consumer("router", **{"keys": named, "keys_dir": keys, "neighbours": (NEIGHBOUR,), **more})


def test_a_key_that_cannot_be_used_is_no_configuration(here: Place, keys: Path) -> None:
    """A missing key, or one that others may read, is refused when the consumer is made, by name."""
    named = (KeyOptions("bus", router=PAR),)
    with pytest.raises(ConfigError, match="no handover key 'bus'"):
        here.consumer("mobile", keys=named, keys_dir=keys)
    (keys / "car.handover").chmod(0o644)
    with pytest.raises(ConfigError, match="open to others"):
        a_router(here, keys)


def test_an_fbu_leaves_with_badf(here: Place, keys: Path) -> None:
    """The mobile node's FBU to a router whose key it has ends in a BADF of this key; another's has none."""
    bus = HandBus()
    consumer = here.consumer("mobile", bus, keys=(KeyOptions("car", router=PAR),), keys_dir=keys)
    fbu = FastBindingUpdate(1, 20, PCOA, NCOA, NODE)
    found: list[bytes] = []

    async def work(shell: Any) -> None:
        perform(shell, fast.UseRouter(PCOA, 64, GATE, MAC))
        for router in (PAR, NAR):
            perform(shell, fast.SendMessage(fbu, PCOA, router))
        await heard(air, found, lambda: len(of_kind(found, 8)) == 2)

    with frames("wlan0-far") as air:
        here.run(consumer, work)
    keyed, plain = (decode(p, key_for=lambda _: secret(keys)) for p in of_kind(found, 8))
    assert keyed.authenticated
    assert (keyed.message, keyed.destination) == (fbu, PAR)
    assert not plain.badf_present
    assert not decode(of_kind(found, 8)[0], key_for=lambda _: secret(keys, "other")).authenticated


@pytest.mark.parametrize(("name", "believed"), [("car", True), ("other", False), (None, False)])
def test_an_fback_is_judged_by_the_routers_key(
    here: Place, keys: Path, name: str | None, believed: bool
) -> None:
    """What the mobile node's engine is told of an FBack's authentication is what the router's key says."""
    consumer = here.consumer("mobile", HandBus(), keys=(KeyOptions("car", router=PAR),), keys_dir=keys)
    key = secret(keys, name) if name else None
    fed: list[Any] = []

    async def work(shell: Any) -> None:
        shell._runtime.feed = lambda item, _: fed.append(item)
        shell._on_packet(encode(FastBindingAck(0, 1, 20), PAR, PCOA, key=key), MAC, "wlan0")
        shell._on_packet(encode(FastBindingAck(0, 1, 20), NAR, PCOA, key=key), MAC, "wlan0")

    here.run(consumer, work)
    assert [item.authenticated for item in fed] == [believed, False]


def test_a_router_believes_the_nodes_key_only(here: Place, keys: Path) -> None:
    """FBUs without BADF, with another key, for another's address: no HI; the node's own one: an HI."""
    node = FastBindingUpdate(9, 20, PCOA, NCOA, NODE)
    rogue = form_address(OWN, eui64(ROGUE))
    others = FastBindingUpdate(5, 20, rogue, form_address(NEXT, eui64(ROGUE)), ROGUE)
    forged = [
        encode(FastBindingUpdate(1, 20, PCOA, NCOA, ROGUE), PCOA, PAR),
        encode(FastBindingUpdate(2, 20, PCOA, NCOA, ROGUE), PCOA, PAR, key=secret(keys, "other")),
        encode(others, rogue, PAR, key=secret(keys)),
    ]
    found: list[bytes] = []

    def arrive(packet: bytes, source: bytes) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind(("ap-far", 0))
            wire.send(link_address("ap") + source + ETH_P_IPV6.to_bytes(2) + packet)

    async def work(shell: Any) -> None:
        for packet in forged:
            arrive(packet, ROGUE)
        arrive(encode(node, PCOA, PAR, key=secret(keys)), NODE)
        await heard(air, found, lambda: bool(of_kind(found, 14)))
        assert shell._runtime._engine.dropped == {"FBU without a valid BADF": 3}

    with frames("bb-far") as air:
        here.run(a_router(here, keys), work)
    hi = decode(of_kind(found, 14)[0]).message
    assert isinstance(hi, HandoverInitiate)
    assert (hi.pcoa, hi.ncoa, hi.mn_lla) == (PCOA, NCOA, NODE)


def test_an_fback_leaves_with_badf(here: Place, keys: Path) -> None:
    """The router's FBack for the node's PCoA ends in a BADF of the node's key, on the old link as well."""
    found: list[bytes] = []

    async def work(shell: Any) -> None:
        perform(shell, fast.SendMessage(FastBindingAck(0, 9, 20), PAR, PCOA, NODE, PCOA))
        await heard(air, found, lambda: bool(of_kind(found, 9)))

    with frames("ap-far") as air:
        here.run(a_router(here, keys), work)
    (packet,) = of_kind(found, 9)
    assert decode(packet, key_for=lambda _: secret(keys)).authenticated


def esp_is_missing(here: Place) -> bool:
    """Whether this kernel has no ESP."""
    del here
    try:
        esp.Protection(PAR, {NAR: b"k" * 32}).close()
    except esp.EspUnavailable:
        return True
    return False


@pytest.mark.parametrize("how", [{"esp_key": "car"}, {"ike": True}], ids=["key", "IKE"])
def test_esp_is_there_or_insecure_is_said(
    here: Place, keys: Path, how: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Where ESP is asked for and the kernel has none, the router starts with `insecure = true` only (F48)."""
    protected = (NeighbourOptions(NAR, "02:00:00:00:02:02", NEXT, (POA,), **how),)
    safe = a_router(here, keys, neighbours=protected, insecure=False)
    missing = esp_is_missing(here)
    if missing:
        with pytest.raises(ConfigError, match=r"no ESP.*insecure = true"):
            here.run(safe, nothing)
        assert here.more() == {}
    else:
        here.run(safe, nothing)
    with caplog.at_level(logging.WARNING, "lies.fmipv6"):
        here.run(a_router(here, keys, neighbours=protected, insecure=True), nothing)
    assert ("insecure = true, so HI and HAck go without" in caplog.text) is missing
    assert here.more() == {}


def test_a_neighbour_without_esp_is_named(here: Place, keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without ESP and without `insecure` the router runs, and says with whom there is no fast handover."""
    with caplog.at_level(logging.WARNING, "lies.fmipv6"):
        here.run(a_router(here, keys, insecure=False), nothing)
    assert f"no fast handover with {NAR}" in caplog.text


@pytest.fixture
def pretended_esp(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that takes everything about ESP, so that the shell goes on."""

    class Taken:
        def __init__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr("lies_fmipv6.router_shell.Protection", Taken)


@pytest.mark.usefixtures("pretended_esp")
def test_hi_and_hack_of_a_protected_neighbour_go_by_the_protected_socket(here: Place, keys: Path) -> None:
    """What the kernel took out of ESP is believed and answered that way; the same past ESP is void (F48)."""
    protected = (NeighbourOptions(NAR, "02:00:00:00:02:02", NEXT, (POA,), esp_key="car"),)
    hi = encode(HandoverInitiate(3, 0, False, True, NODE, NCOA, PCOA), NAR, PAR)
    sent: list[tuple[bytes, IPv6Address]] = []

    async def work(shell: Any) -> None:
        shell._mobility.send = lambda packet, to: sent.append((packet, to))
        shell._on_packet(hi, MAC, "bb")
        assert sent == []
        assert shell._runtime._engine.dropped == {"HI without a security association": 1}
        shell._on_protected(encode(FastBindingUpdate(1, 20, PCOA, NCOA, NODE), PCOA, PAR))
        shell._on_protected(encode_home(BindingError(1, PCOA), NAR, PAR))
        shell._on_protected(hi)

    here.run(a_router(here, keys, neighbours=protected, insecure=False), work)
    ((answer, to),) = sent
    assert to == NAR
    assert decode(answer).message == HandoverAcknowledge(3, 0)


@pytest.mark.usefixtures("pretended_esp")
def test_an_fbu_is_refused_when_the_kernel_bars_the_hi(here: Place, keys: Path) -> None:
    """A barrier without an IKE daemon's policy: the node has its FBack with status 128 at once (F48)."""
    protected = (NeighbourOptions(NAR, "02:00:00:00:02:02", NEXT, (POA,), ike=True),)
    packet = encode(FastBindingUpdate(9, 20, PCOA, NCOA, NODE), PCOA, PAR, key=secret(keys))
    found: list[bytes] = []

    async def work(shell: Any) -> None:
        with closing(Netlink(xfrm.NETLINK_XFRM)) as ipsec:
            ipsec.execute([xfrm.barrier(PAR, NAR, incoming=False)])
            shell._on_packet(packet, NODE, "ap")
            await heard(air, found, lambda: bool(of_kind(found, 9)))
            ipsec.execute([xfrm.delete_barrier(PAR, NAR, incoming=False)])

    with frames("ap-far") as air:
        here.run(a_router(here, keys, neighbours=protected, insecure=False), work)
    (fback,) = of_kind(found, 9)
    assert decode(fback, key_for=lambda _: secret(keys)).message == FastBindingAck(128, 9, 0)


@pytest.mark.parametrize("buffer", [True, False])
def test_a_host_route_in_the_kernel(here: Place, keys: Path, buffer: bool) -> None:
    """What the PAR tunnels for PCoA goes to the access link, what PCoA sends there to the PAR in a tunnel.

    Nobody asks for PCoA on that link before its node is there, though packets to it wait (section 4, item 3).
    """
    kept, far = NEXT[0x99], IPv6Address("2001:db8:77::7")
    down, up = udp(far, kept, b"down"), udp(kept, far, b"up")
    seen: dict[str, list[bytes]] = {"ap-far": [], "bb-far": []}

    def send(interface: str, packet: bytes, source: bytes) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind((f"{interface}-far", 0))
            wire.send(link_address(interface) + source + ETH_P_IPV6.to_bytes(2) + packet)

    def look() -> None:
        for name, found in seen.items():
            found.extend(packets(airs[name]))

    def passed(name: str, packet: bytes, at: int = 0) -> Callable[[], bool]:
        """Whether a packet went by, but for its hop limit."""

        def check() -> bool:
            look()
            return any(p[at : at + 6] + p[at + 8 :] == packet[:6] + packet[8:] for p in seen[name])

        return check

    async def work(shell: Any) -> None:
        before = kernel_state()
        expect = fast.ExpectNode(kept, NODE, buffer=buffer)
        perform(shell, fast.AddHostRoute(kept, NAR), expect, fast.DefendNode(kept, NODE))
        send("bb", ipv6(NAR, PAR, 41, down), link_address("bb-far"))
        perform(shell, fast.AdmitNode(kept, NODE))
        await until(passed("ap-far", down))
        solicited = [p for p in seen["ap-far"] if (p[6], p[40], p[48:64]) == (58, 135, kept.packed)]
        assert solicited == []
        send("ap", up, NODE)
        await until(passed("bb-far", up, 40))
        tunnelled = next(p for p in seen["bb-far"] if p[40:][8:24] == kept.packed)
        assert (tunnelled[6], tunnelled[24:40]) == (41, NAR.packed)
        perform(shell, fast.RemoveHostRoute(kept, NAR))
        entry = f"{kept} dev ap"
        more = left(before, kernel_state())
        assert not [line for lines in more.values() for line in lines if entry not in line], more

    with frames("ap-far") as access, frames("bb-far") as backbone:
        airs = {"ap-far": access, "bb-far": backbone}
        here.run(a_router(here, keys), work)
    assert here.more() == {}


def test_an_ordered_handover_leaves_the_router(here: Place, keys: Path) -> None:
    """Fmipv6.order_handover sends the PrRtAdv with code 1 to the node; a mobile node orders nothing."""
    consumer = a_router(here, keys)
    found: list[bytes] = []
    here.kernel.execute([m.neighbour(index_of("ap"), PCOA, NODE, owner=m.OWNER_ADMINISTRATOR)])

    async def work(shell: Any) -> None:
        del shell
        consumer.order_handover(PCOA, POA, NCOA)
        await heard(air, found, lambda: any(p[40] == 154 for p in found))

    with frames("ap-far") as air:
        here.run(consumer, work)
    message = decode(next(p for p in found if p[40] == 154)).message
    assert isinstance(message, PrRtAdv)
    assert message.code == PrRtAdvCode.HANDOVER
    assert (message.access_points[0].access_point, message.access_points[0].ncoa) == (
        access_point_id(POA),
        NCOA,
    )
    with pytest.raises(ProtocolViolation, match="access router"):
        here.consumer("mobile").order_handover(PCOA, POA)  # type: ignore[attr-defined]  # Fmipv6's own
