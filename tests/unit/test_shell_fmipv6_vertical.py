"""The shell of a mobile node with two links: what is of which link in the kernel, and on the wire."""

from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Any, ClassVar

import pytest
from netns_kit import ETH_P_IPV6, frames, ip, waiting
from shell_contract import ShellContract
from shell_kit import OTHER_ROUTER, HandBus, Place, perform, place, until

from lies.errors import ConfigError, LinkError, LinkErrorReason, TimedOut, UnknownPlugin
from lies.events import DownReason as Down
from lies.events import Header, Link, LinkDown, LinkUp, Technology
from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.tunnels import link_address
from lies.links import OtherLink, Raise
from lies.runtime import monotonic_ns, wall_ns
from lies_fmipv6 import actions as fast
from lies_fmipv6.config import Config, Role
from lies_fmipv6.items import AddressFound
from lies_fmipv6.messages import UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES

pytestmark = pytest.mark.netns

PCOA, NCOA = IPv6Address("2001:db8:1::99"), IPv6Address("2001:db8:7::99")
FOUND = IPv6Address("2001:db8:7::77")
PAR = IPv6Address("2001:db8:1::1")
GATE, NEW_GATE = IPv6Address("fe80::1:1"), IPv6Address("fe80::7:1")
MAC, NEW_MAC = bytes.fromhex("020000000101"), bytes.fromhex("020000000701")
ROLE = "mobile on two links"
OTHER = Link("bb", Technology.LTE)
PREPARE = fast.PrepareHandover(PCOA, NCOA, PAR, NEW_GATE, NEW_MAC, "bb")
COMPLETE = fast.CompleteHandover(PCOA, NCOA, PAR, NEW_GATE, NEW_MAC, tunnel=True)


def header() -> Header:
    """Of the other link, measured now."""
    return Header("modem", 1, 1, monotonic_ns(), wall_ns(), OTHER)


def routes(address: IPv6Address, preference: str = "90") -> list[str]:
    """The default route of the address's own table; 89: of what comes out of the hold."""
    rule = next(r for r in ip("-6", "rule", "show", "pref", preference) if str(address) in r)
    return ip("-6", "route", "show", "table", rule.split("lookup ")[1].split()[0])


@pytest.fixture
def here() -> Iterator[Place]:
    """A namespace with the interfaces that consumers need."""
    with place() as found:
        yield found


class TestTwoLinks(ShellContract):
    """The mobile node with a second link."""

    role = ROLE
    full = (
        fast.UseRouter(PCOA, 64, GATE, MAC),
        PREPARE,
        fast.UseLink("bb"),
        COMPLETE,
        fast.PrepareHandover(NCOA, IPv6Address("2001:db8:3::99"), OTHER_ROUTER, GATE, MAC, "wlan0"),
        fast.HoldUplink(NCOA),
    )
    other = (fast.UseLink("bb"), fast.UseRouter(NCOA, 64, NEW_GATE, NEW_MAC), fast.UseLink("wlan0"))
    missing: ClassVar[tuple[dict[str, Any], ...]] = (
        {"link": "nowhere"},
        {"others": (OtherLink(link="nowhere"),)},
    )
    verbs = ("register", "link_status")
    faults = ("signalling", "hold", "decapsulator", "begin")


def test_a_handover_between_links_in_the_kernel(here: Place) -> None:
    """NCoA is on the other interface, PCoA goes to its router by a tunnel from there, and ends cleanly."""

    async def work(shell: Any) -> None:
        perform(shell, fast.UseRouter(PCOA, 64, GATE, MAC), PREPARE)
        shell._prepare()
        assert any(f"{NCOA}/128" in line for line in ip("-6", "addr", "show", "dev", "bb"))
        assert all("dev wlan0" in r for r in routes(PCOA))
        perform(shell, fast.UseLink("bb"), COMPLETE)
        (out,) = routes(PCOA, "89")
        assert f"encap seg6 mode encap.red segs 1 [ {PAR} ] dev bb" in " ".join(out.split())
        (own,) = routes(NCOA)
        assert f"via {NEW_GATE} dev bb" in own
        assert f"default via {NEW_GATE} dev bb" in " ".join(ip("-6", "route", "show", "default"))
        assert any("lladdr 02:00:00:00:07:01" in e for e in ip("-6", "neigh", "show", "dev", "bb"))
        perform(shell, fast.EndTunnel(PCOA, NCOA, PAR))
        assert not [line for line in ip("-6", "addr", "show", "dev", "wlan0") if str(PCOA) in line]
        assert shell._plane.addresses == (NCOA,)

    here.run(here.consumer(ROLE), work)
    assert here.more() == {}


def test_messages_go_out_by_the_link_in_use(here: Place) -> None:
    """A UNA after UseLink leaves by the other link, with that link's address in it."""
    una = fast.SendMessage(UnsolicitedNeighbourAdvertisement(NCOA, link_address("bb")), NCOA, ALL_NODES)

    def packets(seen: Any) -> list[bytes]:
        found = [f[14:] for f in waiting(seen) if f[12:14] == ETH_P_IPV6.to_bytes(2)]
        return [p for p in found if p[8:24] == NCOA.packed]

    async def work(shell: Any) -> None:
        with frames("wlan0-far") as first, frames("bb-far") as second:
            perform(shell, una)
            assert (len(packets(first)), len(packets(second))) == (1, 0)
            perform(shell, fast.UseLink("bb"), una)
            assert (len(packets(first)), len(packets(second))) == (0, 1)

    here.run(here.consumer(ROLE), work)


def test_an_address_of_another_program_is_found_and_stays(here: Place) -> None:
    """LinkUp: the kernel's address there is told to the engine; when its use ends it is still there."""
    bus = HandBus()
    fed: list[Any] = []

    async def work(shell: Any) -> None:
        shell._runtime.feed = fed.append
        up = LinkUp(header(), "24001-1-A")
        bus.indicate(up)
        owner = m.OWNER_ADMINISTRATOR
        here.kernel.execute([m.address(index_of("bb"), FOUND, prefix_length=64, owner=owner)])
        # the testbed's own address of this interface counts as well; so the first one found is taken
        await until(lambda: any(isinstance(item, AddressFound) for item in fed))
        found = next(item for item in fed if isinstance(item, AddressFound))
        assert (found.link, found.router) == ("bb", OTHER_ROUTER)
        use = fast.UseRouter(FOUND, 64, OTHER_ROUTER, None, theirs=True)
        perform(shell, fast.UseLink("bb"), use)
        assert f"via {OTHER_ROUTER} dev bb" in routes(FOUND)[0]
        perform(shell, fast.EndTunnel(FOUND, PCOA, PAR))
        assert any(str(FOUND) in line for line in ip("-6", "addr", "show", "dev", "bb"))
        assert up in fed

    with_router = m.address(index_of("bb"), OTHER_ROUTER + 1, prefix_length=64, owner=m.OWNER_ADMINISTRATOR)
    here.kernel.execute([with_router])  # so that the router's address is on the link
    here.run(here.consumer(ROLE, bus), work)


def test_a_link_without_a_router_is_just_sent_on(here: Place) -> None:
    """As on a modem without an Ethernet of its own: the default route names the interface alone."""

    async def work(shell: Any) -> None:
        perform(shell, fast.UseLink("bb"), fast.UseRouter(FOUND, 64, None, None, theirs=True))
        assert [" ".join(r.split()[:3]) for r in routes(FOUND)] == ["default dev bb"]

    here.run(here.consumer(ROLE), work)
    assert here.more() == {}


def test_an_address_that_stays_in_use_moves_to_the_other_link(here: Place) -> None:
    """A kept PCoA (HAck code 3): it leaves its interface for the one at the new router."""

    async def work(shell: Any) -> None:
        perform(shell, fast.UseRouter(PCOA, 64, GATE, MAC))
        perform(shell, fast.UseLink("bb"), fast.UseRouter(PCOA, 64, NEW_GATE, NEW_MAC))
        assert any(str(PCOA) in line for line in ip("-6", "addr", "show", "dev", "bb"))
        assert not [line for line in ip("-6", "addr", "show", "dev", "wlan0") if str(PCOA) in line]
        assert f"via {NEW_GATE} dev bb" in routes(PCOA)[0]

    here.run(here.consumer(ROLE), work)
    assert here.more() == {}


def test_a_link_is_connected_when_it_is_wanted(here: Place) -> None:
    """To the configured PoA, else to the best that is known; a refusal is a warning."""
    bus = HandBus()

    async def work(shell: Any) -> None:
        perform(shell, Raise("bb", ("24001-1-A", "24001-1-B")), Raise("wlan0", ("x",)))
        await until(lambda: bus.connects == ["24001-1-A"])
        bus.refuse["link_connect"] = TimedOut("no answer")
        perform(shell, Raise("bb", ("24001-1-B",)))
        await until(lambda: not shell._tasks)
        assert bus.connects == ["24001-1-A"]

    here.run(here.consumer(ROLE, bus), work)


class Young(HandBus):
    """A daemon whose drivers have not announced a link yet."""

    async def register(self, primitive: str, link: str = "*", **options: Any) -> int:
        """As the daemon: of a link that it does not know there is nothing to register for."""
        if link != "*":
            raise LinkError(LinkErrorReason.UNKNOWN_LINK, f"no link is named {link}")
        return await super().register(primitive, link, **options)


@pytest.mark.parametrize("role", [ROLE, "mobile at home"])
def test_a_link_may_be_announced_later(here: Place, role: str) -> None:
    """A modem's link comes when ModemManager has found it: both consumers begin before, and hear of it."""
    bus = Young(known=False)
    fed: list[Any] = []

    async def work(shell: Any) -> None:
        (shell if role == ROLE else shell._links)._runtime.feed = fed.append
        up = LinkUp(header(), "24001-1-A")
        bus.indicate(up)
        assert fed == [up]

    options = {} if role == ROLE else {"others": (OtherLink(link="bb"),)}
    here.run(here.consumer(role, bus, **options), work)
    assert set(bus.registered) >= {"link_up", "link_down", "link_going_down", "poa_found", "report"}


def test_what_the_links_say_reaches_the_engine(here: Place) -> None:
    """Indications of both; those of a third link do not."""
    bus = HandBus()
    fed: list[Any] = []

    async def work(shell: Any) -> None:
        shell._runtime.feed = fed.append
        stranger = Header("x", 1, 1, 1, 1, Link("eth9", Technology.ETHERNET))
        bus.indicate(LinkUp(stranger, "port"))
        down = LinkDown(header(), "24001-1-A", Down.PEER)
        bus.indicate(down)
        assert fed == [down]

    here.run(here.consumer(ROLE, bus), work)


def test_links_are_named_once_and_policies_found() -> None:
    """A link that is its own alternative is a mistake, and so is a policy that nobody has."""
    with pytest.raises(ValueError, match="once"):
        Config(Role.MOBILE_NODE, link="wlan0", others=(OtherLink(link="wlan0"),))
    with place() as here, pytest.raises(UnknownPlugin):
        here.consumer(ROLE, link_policy={"use": "nobody"})
    with place() as here, pytest.raises(ConfigError, match=r"fmipv6\.link_policy"):
        here.consumer(ROLE, link_policy={"spare": "splendid"})
