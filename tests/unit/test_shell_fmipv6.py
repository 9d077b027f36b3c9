"""The shells of FMIPv6: how they begin, and what a handover is in the kernel."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address
from typing import Any

import pytest
from netns_kit import ETH_P_IPV6, frames, ip, waiting
from shell_contract import nothing
from shell_kit import FAR_AGENT, HOME_ADDRESS, HandBus, Place, header, perform, place, shell_of, until

from lies.errors import ConfigError
from lies.events import (
    CareOfAddressChanged,
    Header,
    Link,
    LinkAction,
    LinkActionFailed,
    LinkUp,
    Technology,
)
from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.runtime import now_s
from lies_fmipv6 import actions as fast
from lies_fmipv6.codec import encode
from lies_fmipv6.items import ConnectRefused, FbuSent
from lies_fmipv6.messages import FastBindingAck, FastBindingUpdate, UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES

pytestmark = pytest.mark.netns

PCOA, NCOA = IPv6Address("2001:db8:1::99"), IPv6Address("2001:db8:2::99")
PAR = IPv6Address("2001:db8:1::1")
GATE, NEW_GATE = IPv6Address("fe80::1:1"), IPv6Address("fe80::2:1")
MAC, NEW_MAC = bytes.fromhex("020000000101"), bytes.fromhex("020000000201")


@pytest.fixture
def here() -> Iterator[Place]:
    """A namespace with the interfaces that consumers need."""
    with place() as found:
        yield found


def _sent(interface: str, work: Callable[[], None]) -> list[bytes]:
    """The IPv6 packets that leave by an interface while something is done."""
    with frames(interface) as seen:
        work()
        return [f[14:] for f in waiting(seen) if f[12:14] == ETH_P_IPV6.to_bytes(2)]


def _solicitations(packets: list[bytes]) -> list[bytes]:
    """Router solicitations (133) and RtSolPr (154) among packets."""
    return [p for p in packets if p[6] == socket.IPPROTO_ICMPV6 and p[40] in {133, 154}]


def test_a_link_that_is_up_already_is_caught_up_with(here: Place) -> None:
    """If the link was up before the consumer, it asks for its router at once, as after a LinkUp."""
    bus = HandBus(poa="02:00:00:00:01:01")
    packets = _sent("wlan0-far", lambda: here.run(here.consumer("mobile", bus), nothing))
    assert _solicitations(packets)
    assert set(bus.registered) >= {"link_up", "link_down", "link_going_down", "poa_found", "report"}


@pytest.mark.parametrize("bus", [HandBus(), HandBus(known=False)], ids=["down", "unknown"])
def test_a_link_that_is_not_up_is_waited_for(here: Place, bus: HandBus) -> None:
    """A link that is down, or not announced yet, is no error and nothing is sent; its LinkUp starts it."""

    async def work(_shell: Any) -> None:
        assert _solicitations(waiting(seen)) == []
        bus.indicate(LinkUp(header(), "02:00:00:00:01:01"))

    with frames("wlan0-far") as seen:
        here.run(here.consumer("mobile", bus), work)
        packets = [f[14:] for f in waiting(seen) if f[12:14] == ETH_P_IPV6.to_bytes(2)]
    assert _solicitations(packets)


def test_a_link_up_that_came_first_is_not_caught_up_with_twice(here: Place) -> None:
    """The snapshot's LinkUp and the link's status are one attachment: one first solicitation."""
    bus = HandBus(poa="02:00:00:00:01:01")

    class Early(HandBus):
        """Indicates the LinkUp during registration, as a snapshot does."""

        async def register(self, primitive: str, link: str = "*", **options: Any) -> int:
            """As HandBus, with the snapshot."""
            number = await super().register(primitive, link, **options)
            if primitive == "link_up":
                self.indicate(LinkUp(header(), "02:00:00:00:01:01"))
            return number

    early = Early(poa=bus.poa)
    once = _solicitations(_sent("wlan0-far", lambda: here.run(here.consumer("mobile", bus), nothing)))
    twice = _solicitations(_sent("wlan0-far", lambda: here.run(here.consumer("mobile", early), nothing)))
    assert len(twice) == len(once) > 0


def test_a_connect_that_fails_reaches_the_engine(here: Place) -> None:
    """That a LinkConnect of its own link came to nothing is told to the engine, with the reason."""
    bus = HandBus(poa="02:00:00:00:01:01")
    told: list[Any] = []

    async def work(shell: Any) -> None:
        shell._runtime.feed = told.append
        other = Header("radio", 1, 1, 1, 1, Link("wlan9", Technology.WIFI))
        for head, poa in ((header(), "02:00:00:00:02:02"), (header(), None), (other, "x")):
            bus.indicate(LinkActionFailed(head, LinkAction.CONNECT, poa, "it does not want us"))

    here.run(here.consumer("mobile", bus), work)
    assert told == [ConnectRefused("02:00:00:00:02:02", "it does not want us")]


def test_fbu_and_fback_have_the_times_of_the_wire(here: Place) -> None:
    """What is encoded or decoded before the engine hears of it is not counted to the routers' answer."""
    fed: list[tuple[Any, float]] = []
    seen: dict[str, float] = {}
    told: list[bool] = []

    async def work(shell: Any) -> None:
        shell._runtime.feed = lambda item, at: fed.append((item, at))
        send = shell._signalling.send

        def watched(*args: Any, awaited: bool, **more: Any) -> None:
            told.append(awaited)
            send(*args, awaited=awaited, **more)

        shell._signalling.send = watched
        una = UnsolicitedNeighbourAdvertisement(NCOA, MAC)
        perform(shell, fast.SendMessage(una, NCOA, ALL_NODES))
        seen["before"] = now_s()
        perform(shell, fast.SendMessage(FastBindingUpdate(7, 20, PCOA, NCOA, MAC), PCOA, PAR))
        seen["sent"] = now_s()
        shell._on_packet(encode(FastBindingAck(0, 7, 20), PAR, PCOA), MAC, "wlan0")

    here.run(here.consumer("mobile", HandBus()), work)
    assert told == [False, True]  # the routers are to run before this host goes on
    (sent, left), (received, arrived) = fed
    assert sent == FbuSent(7)
    assert isinstance(received.message, FastBindingAck)
    assert seen["before"] <= left <= seen["sent"] <= arrived <= now_s()


def test_a_care_of_address_makes_a_binding_update(here: Place) -> None:
    """A CareOfAddressChanged of its link is followed by a Binding Update to the home agent, HAO included."""
    bus = HandBus()
    report = CareOfAddressChanged(header(), str(PCOA), None, str(GATE), None)

    async def work(shell: Any) -> None:
        del shell
        perform(shell_of(fast_one), fast.UseRouter(PCOA, 64, GATE, MAC))
        bus.indicate(report)

    fast_one = here.consumer("mobile")

    async def both() -> None:
        await fast_one.start()
        other_one = here.consumer("mobile at home", bus)
        await other_one.start()
        try:
            await work(None)
        finally:
            await other_one.stop()
            await fast_one.stop()

    packets = _sent("wlan0-far", lambda: asyncio.run(both()))
    updates = [p for p in packets if p[6] == 60 and p[8:24] == PCOA.packed and p[24:40] == FAR_AGENT.packed]
    assert len(updates) == 1
    assert HOME_ADDRESS.packed in updates[0]
    assert here.more() == {}


def test_the_mobile_nodes_actions_are_what_the_kernel_has(here: Place) -> None:
    """Address, rules, routes, tunnel and hold of a handover, step by step, as iproute2 shows them."""

    async def work(shell: Any) -> None:
        def routes(address: IPv6Address, preference: str = "90") -> list[str]:
            """The default route of the address's own table; 89: of what comes out of the hold."""
            rule = next(r for r in ip("-6", "rule", "show", "pref", preference) if str(address) in r)
            return ip("-6", "route", "show", "table", rule.split("lookup ")[1].split()[0])

        perform(shell, fast.UseRouter(PCOA, 64, GATE, MAC))
        assert f" {PCOA}/128 " in " ".join(ip("-6", "-o", "addr", "show", "dev", "wlan0"))
        assert any(line.startswith(f"default via {GATE} dev wlan0") for line in ip("-6", "route"))
        assert routes(PCOA)[0].startswith(f"default via {GATE} dev wlan0")
        prepare = fast.PrepareHandover(PCOA, NCOA, PAR, NEW_GATE, NEW_MAC)
        perform(shell, prepare, fast.HoldUplink(PCOA))
        assert "dev lies-h0" in routes(PCOA)[0]
        opened = f"from {PAR} to {NCOA} ipproto ipv6 lookup 51840"
        assert opened not in " ".join(ip("-6", "rule"))  # there is time for that
        await until(lambda: opened in " ".join(ip("-6", "rule")))
        perform(shell, fast.CompleteHandover(PCOA, NCOA, PAR, NEW_GATE, NEW_MAC, tunnel=True))
        assert f"encap seg6 mode encap.red segs 1 [ {PAR} ]" in routes(PCOA, "89")[0]
        assert "dev lies-h0" in routes(PCOA)[0]  # behind what waited there
        assert routes(NCOA)[0].startswith(f"default via {NEW_GATE} dev wlan0")
        perform(shell, fast.EndTunnel(PCOA, NCOA, PAR))
        shown = " ".join(ip("-6", "-o", "addr", "show", "dev", "wlan0"))
        assert str(PCOA) not in shown
        assert str(NCOA) in shown
        assert not [r for r in ip("-6", "rule") if "51840" in r]

    here.run(here.consumer("mobile"), work)
    assert here.more() == {}


def test_a_router_without_link_local_address_says_so(here: Place) -> None:
    """An access interface that has none cannot be a router's: ConfigError names the key."""
    here.kernel.execute([_flush("ap")])
    with pytest.raises(ConfigError, match=r"access: ap has no link-local address"):
        here.run(here.consumer("router"), nothing)


def _flush(name: str) -> bytes:
    """The message that removes an interface's link-local address."""
    (line,) = ip("-6", "-o", "addr", "show", "dev", name, "scope", "link")
    address = IPv6Address(line.split()[3].partition("/")[0])
    return m.address(index_of(name), address, prefix_length=64, add=False)
