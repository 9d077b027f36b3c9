"""Which tunnels a kernel has, and the messages for those that this one may lack."""

import asyncio
import socket
import struct

import pytest
from netns_kit import ip, kernel_state, left, namespace, netlink, udp, waiting
from polling import wait_until
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from tunnel_kit import BEYOND, ENDPOINT, INNER, OTHER_INNER, PEER, STRANGER, Pair, beyond, to_us

from lies.errors import LiesError
from lies.kernel import encapsulation
from lies.kernel import messages as m
from lies.kernel.encapsulation import DeviceTunnels, open_tunnels
from lies.kernel.interfaces import index_of
from lies.kernel.kinds import TunnelKind
from lies.kernel.tunnels import Decapsulator, host
from lies_fmipv6.pacing import Buffering
from lies_fmipv6.router_plane import RouterPlane

pytestmark = pytest.mark.netns
_CLASSES = {
    TunnelKind.AUTO: Decapsulator,
    TunnelKind.SEG6: Decapsulator,
    TunnelKind.IP6TNL: DeviceTunnels,
}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge in place of the ip6tnl device: it opens nothing, but rules and routes can name it."""
    monkeypatch.setattr(m, "new_ip6tnl", _bridge)


def _bridge(name: str) -> bytes:
    """A bridge that is up at once, as the device is."""
    message = bytearray(m.new_bridge(name))
    struct.pack_into("=II", message, 24, 1, 1)  # flags and change of struct ifinfomsg: IFF_UP
    return bytes(message)


@pytest.mark.parametrize("kind", list(TunnelKind))
def test_the_kernel_is_asked_by_trying(kind: TunnelKind) -> None:
    """AUTO is seg6 where that is; what was forced and is not there is one sentence; nothing is left."""
    with namespace(), netlink() as kernel:
        before = kernel_state()
        try:
            tunnels = open_tunnels(kernel, kind, only_known_inner=True)
        except LiesError as error:
            said = str(error)
        else:
            said = "" if type(tunnels) is _CLASSES[kind] else type(tunnels).__name__
            tunnels.close()
        lacking = "this kernel has no tunnels by ip6tnl (CONFIG_IPV6_TUNNEL)"
        assert said in ({"", lacking} if kind is TunnelKind.IP6TNL else {""})
        assert left(before, kernel_state()) == {}


def test_without_seg6_the_device_does(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that refuses the seg6 routes gets the device; seg6 by force is one sentence then."""
    del stand_in
    monkeypatch.setattr(encapsulation, "_has_seg6", lambda _: False)
    with namespace(), netlink() as kernel:
        before = kernel_state()
        tunnels = open_tunnels(kernel, only_known_inner=False)
        assert isinstance(tunnels, DeviceTunnels)
        assert tunnels.device("v0") == "lies-t0"
        tunnels.close()
        with pytest.raises(LiesError, match="no tunnels by seg6"):
            open_tunnels(kernel, TunnelKind.SEG6, only_known_inner=False)
        assert left(before, kernel_state()) == {}


def test_a_kernel_with_neither_is_told() -> None:
    """The sentence names both, and what they need."""
    with namespace(), netlink() as kernel, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encapsulation, "_has_seg6", lambda _: False)
        patch.setattr(m, "new_ip6tnl", _unknown_kind)
        with pytest.raises(LiesError, match=r"by seg6 \(CONFIG_\w+\), nor by ip6tnl \(CONFIG_\w+\)"):
            open_tunnels(kernel, only_known_inner=False)
        assert "lies" not in str(kernel_state())


def _unknown_kind(name: str) -> bytes:
    return m.new_bridge(name).replace(b"bridge", b"bridgf")


def test_the_device_is_asked_for_in_external_mode() -> None:
    """RTM_NEWLINK of kind ip6tnl with IFLA_IPTUN_COLLECT_METADATA (19), up at once."""
    octets = m.new_ip6tnl("lies-t0")
    told = ifinfmsg(octets)
    told.decode()
    assert (told["header"]["type"], told["flags"] & 1, told["change"] & 1) == (m.RTM_NEWLINK, 1, 1)
    assert told.get_attr("IFLA_IFNAME") == "lies-t0"
    info = told.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "ip6tnl"
    assert info.get_attr("IFLA_INFO_DATA").get_attr("IFLA_IP6TNL_COLLECT_METADATA") is True
    assert octets.endswith(b"\x08\0\x02\0\x04\0\x13\0")  # IFLA_INFO_DATA with a flag of number 19 in it


def test_routes_into_the_device_are_what_iproute2_understands(pair: Pair, stand_in: None) -> None:
    """A route names both ends of its tunnel; the kernel takes it as LWTUNNEL_ENCAP_IP6, and it can go."""
    del stand_in
    tunnels = open_tunnels(pair.kernel, TunnelKind.IP6TNL, only_known_inner=True)
    way = tunnels.towards(host(INNER), PEER, local=ENDPOINT, oif=index_of("v0"), table=777, mtu=1400)
    pair.kernel.execute([way])
    (shown,) = ip("-6", "route", "show", "table", "777")
    assert f"{INNER}  encap ip6 id 0 src {ENDPOINT} dst {PEER} hoplimit 64" in shown
    assert "dev lies-t0 " in shown
    assert "mtu 1400" in shown
    tunnels.close()
    assert pair.more() == {}  # the route went with the device


def test_only_named_peers_reach_a_guarded_end_point(pair: Pair, stand_in: None) -> None:
    """What a stranger tunnels to us is dropped before the device would open it; a named peer's is not."""
    del stand_in
    tunnels = open_tunnels(pair.kernel, TunnelKind.IP6TNL, only_known_inner=False)
    pair.kernel.execute([*tunnels.guard(ENDPOINT), tunnels.accept(ENDPOINT, PEER)])
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 41) as device:  # where ip6tnl would take it
        device.setblocking(False)
        pair.send(STRANGER, to_us(b"strange"))
        pair.send(PEER, to_us(b"named"))
        taken: list[bytes] = []

        def heard(count: int) -> bool:
            taken.extend(waiting(device))
            return len(taken) >= count

        wait_until(lambda: heard(1), 20)
        assert taken == [to_us(b"named")]
        pair.kernel.execute([tunnels.accept(ENDPOINT, PEER, add=False)])
        pair.send(PEER, to_us(b"closed"))
        pair.kernel.execute([tunnels.accept(ENDPOINT, STRANGER)])
        pair.send(STRANGER, to_us(b"marker"))
        wait_until(lambda: heard(2), 20)
        assert taken == [to_us(b"named"), to_us(b"marker")]
    tunnels.close()


def test_an_access_router_on_devices(pair: Pair, stand_in: None) -> None:
    """The plane's tunnels become routes into the device, and rules that let known inner sources pass."""
    del stand_in
    plane = RouterPlane(
        pair.kernel,
        access="v0",
        backbone="b0",
        address=ENDPOINT,
        tunnels=TunnelKind.IP6TNL,
        buffering=Buffering.KERNEL,
    )
    plane.add_tunnel(INNER, PEER)
    plane.add_tunnel(OTHER_INNER, BEYOND)
    shown = pair.more()
    for inner, peer in ((INNER, PEER), (OTHER_INNER, BEYOND)):
        assert any(f"{inner}  encap ip6 id 0 src {ENDPOINT} dst {peer}" in line for line in shown["routes"])
        assert any(f"from {inner} iif lies-t0 goto 3" in line for line in shown["rules"])
        assert any(f"from {peer} to {ENDPOINT} ipproto ipv6 goto 3" in line for line in shown["rules"])
    assert any("from all iif lies-t0 blackhole" in line for line in shown["rules"])
    plane.remove_tunnel(INNER, PEER)
    assert not any(str(INNER) in line for lines in pair.more().values() for line in lines)
    plane.close()
    assert pair.more() == {}


def test_what_a_node_that_came_back_had_sent_still_passes_for_a_while(pair: Pair) -> None:
    """The route into the tunnel goes at once; what comes out of it passes a little longer, then no more."""

    def passes(words: bytes) -> bool:
        pair.send(PEER, udp(INNER, BEYOND, words))
        pair.send(PEER, udp(OTHER_INNER, BEYOND, b"marker " + words))
        heard: list[bytes] = []

        def marked() -> bool:
            heard.extend(beyond(pair))
            return b"marker " + words in heard

        wait_until(marked, 20)
        return words in heard

    def opened() -> bool:
        return any(f"from {INNER} iif" in line for line in pair.more()["rules"])

    async def come_and_go() -> None:
        plane = RouterPlane(pair.kernel, access="v0", backbone="b0", address=ENDPOINT)
        plane.start()
        for inner in (INNER, OTHER_INNER):
            plane.add_tunnel(inner, PEER)
        plane.remove_tunnel(INNER, PEER, returned=True)
        assert not any(f"{INNER} " in line for line in pair.more()["routes"])
        assert passes(b"late")
        async with asyncio.timeout(20):
            while opened():  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.02)
        assert not passes(b"too late")
        plane.add_tunnel(INNER, PEER)
        plane.remove_tunnel(INNER, PEER, returned=True)
        plane.add_tunnel(INNER, PEER)  # it has left again
        await asyncio.sleep(0)
        assert passes(b"through the new one")
        plane.remove_tunnel(INNER, PEER)
        assert not opened()
        plane.close()

    asyncio.run(come_and_go())
    assert pair.more() == {}
