"""The shells of Mobile IPv6: what they have in the kernel, and that nothing of it outlives them."""

from ipaddress import IPv6Address
from typing import Any, ClassVar

import pytest
from netns_kit import ip, settle
from shell_contract import ShellContract, nothing
from shell_kit import FAR_AGENT, HOME_ADDRESS, HandBus, Place, perform, until

from lies.events import CareOfAddressChanged, Header, Link, Technology
from lies.links import OtherLink
from lies_mipv6 import actions as home
from lies_mipv6.items import LinkMoved
from lies_mipv6.links import Move

PCOA, NCOA = IPv6Address("2001:db8:1::99"), IPv6Address("2001:db8:2::99")


class TestMobileNodeAtHome(ShellContract):
    """The mobile node."""

    role = "mobile at home"
    full = (
        home.AcceptCareOf(PCOA, FAR_AGENT),
        home.UseTunnel(HOME_ADDRESS, FAR_AGENT, PCOA, None),
        home.AcceptCareOf(NCOA, FAR_AGENT),
        home.UseTunnel(HOME_ADDRESS, FAR_AGENT, NCOA, PCOA),
    )
    other = (
        home.AcceptCareOf(NCOA, FAR_AGENT),
        home.UseTunnel(HOME_ADDRESS, FAR_AGENT, NCOA, None),
    )
    missing: ClassVar[tuple[dict[str, Any], ...]] = ({"link": "nowhere"},)
    verbs = ("register",)

    def test_its_registrations(self, here: Place) -> None:
        """It asks for reports, and for nothing else."""
        bus = HandBus()
        here.run(here.consumer(self.role, bus), nothing)
        assert bus.registered == ["report"]

    def test_its_actions_are_what_the_kernel_has(self, here: Place) -> None:
        """The home address is on the loopback from the start; its tunnel has the MTU and source it should."""

        def way(table: str) -> str:
            (route,) = ip("-6", "route", "show", "table", table)
            return " ".join(route.split())

        async def work(shell: Any) -> None:
            (line,) = [a for a in ip("-6", "-o", "addr", "show", "dev", "lo") if str(HOME_ADDRESS) in a]
            assert " home " in line
            settle("lies-d0", "lies-d1")
            begin = here.more()
            perform(shell, *self.full)
            tunnel = f"segs 1 [ {FAR_AGENT} ] dev wlan0"
            assert tunnel in way("51901")  # out of the hold; what comes behind goes into that as well
            assert "dev lies-m0" in way("51900")
            await until(lambda: tunnel in way("51900"))
            assert "mtu 1400" in way("51900")
            labels = {line.split()[1]: line.split()[3] for line in ip("addrlabel")}
            assert labels[f"{FAR_AGENT}/128"] == labels[f"{NCOA}/128"]
            perform(shell, home.DropCareOf(PCOA))
            assert [r.split()[4] for r in ip("-6", "rule") if "lookup 51840" in r] == [str(NCOA)]
            perform(shell, home.DropCareOf(NCOA))
            after = here.more()
            assert after["rules"] == begin["rules"]
            assert [x for x in after.get("labels", []) if str(FAR_AGENT) not in x] == []

        here.run(here.consumer(self.role, None, mtu=1400), work)
        assert here.more() == {}

    @pytest.mark.parametrize("found", [True, False])
    def test_the_way_out_of_another_link(self, here: Place, found: bool) -> None:
        """An address that was found there has a way of ours; of one that FMIPv6 reports it sees to that."""
        link = Header("x", 1, 1, 1, 1, Link("bb", Technology.LTE))
        report = CareOfAddressChanged(link, str(NCOA), None, "", None)

        async def work(shell: Any) -> None:
            shell._use_link(Move("bb", LinkMoved(report, before_works=False), found))
            ways = ip("-6", "rule", "show", "pref", "85")
            assert [str(NCOA) in way for way in ways] == ([True] if found else [])
            assert f"segs 1 [ {FAR_AGENT} ] dev bb" in " ".join(
                ip("-6", "route", "show", "table", "51901")[0].split()
            )
            perform(shell, home.DropCareOf(NCOA))
            assert ip("-6", "rule", "show", "pref", "85") == []

        here.run(here.consumer(self.role, None, others=(OtherLink(link="bb"),)), work)
        assert here.more() == {}


class TestHomeAgent(ShellContract):
    """The home agent."""

    role = "home agent"
    full = (
        home.SetBinding(HOME_ADDRESS, PCOA),
        home.SetBinding(HOME_ADDRESS, NCOA),
        home.AcceptFrom(HOME_ADDRESS, PCOA),
    )
    other = (home.SetBinding(IPv6Address("2001:db8:99::77"), NCOA),)
    missing: ClassVar[tuple[dict[str, Any], ...]] = ({"backbone": "nowhere"},)

    def test_its_actions_are_what_the_kernel_has(self, here: Place) -> None:
        """A binding is a tunnel route and who may tunnel for it; a grace adds, a refusal takes away."""

        async def work(shell: Any) -> None:
            settle("lies-d0", "lies-d1")
            begin = here.more()

            def peers() -> list[str]:
                return sorted(r.split()[2] for r in ip("-6", "rule") if "lookup 51840" in r)

            perform(shell, home.SetBinding(HOME_ADDRESS, PCOA))
            assert peers() == [str(PCOA)]
            assert [r for r in ip("-6", "rule") if f"from {HOME_ADDRESS} iif lies-d1 goto 3" in r]
            perform(shell, home.SetBinding(HOME_ADDRESS, NCOA), home.AcceptFrom(HOME_ADDRESS, PCOA))
            assert peers() == [str(PCOA), str(NCOA)]
            (route,) = ip("-6", "route", "show", str(HOME_ADDRESS))
            assert f"segs 1 [ {NCOA} ] dev bb" in " ".join(route.split())
            perform(shell, home.RefuseFrom(HOME_ADDRESS, PCOA))
            assert peers() == [str(NCOA)]
            perform(shell, home.RemoveBinding(HOME_ADDRESS))
            assert here.more() == begin

        here.run(here.consumer(self.role), work)
        assert here.more() == {}
