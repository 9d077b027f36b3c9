"""The shells of FMIPv6: nothing of what they have in the kernel outlives them, however they end."""

from ipaddress import IPv6Address
from typing import Any, ClassVar

import pytest
from netns_kit import ip, settle
from shell_contract import ShellContract
from shell_kit import FAR_AGENT, HOME_ADDRESS, ROUTER, Place, perform

from lies_fmipv6 import actions as fast
from lies_mipv6 import actions as home

PCOA, NCOA = IPv6Address("2001:db8:1::99"), IPv6Address("2001:db8:2::99")
PAR, NAR = IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:2::1")
GATE, NEW_GATE = IPv6Address("fe80::1:1"), IPv6Address("fe80::2:1")
MAC, NEW_MAC = bytes.fromhex("020000000101"), bytes.fromhex("020000000201")
AT_HOME = (home.AcceptCareOf(PCOA, FAR_AGENT), home.UseTunnel(HOME_ADDRESS, FAR_AGENT, PCOA, None))


class TestMobileNode(ShellContract):
    """The mobile node."""

    role = "mobile"
    full = (
        fast.UseRouter(PCOA, 64, GATE, MAC),
        fast.PrepareHandover(PCOA, NCOA, PAR, NEW_GATE, NEW_MAC),
        fast.HoldUplink(PCOA),
        fast.CompleteHandover(PCOA, NCOA, PAR, NEW_GATE, NEW_MAC, tunnel=True),
        fast.PrepareHandover(NCOA, IPv6Address("2001:db8:3::99"), NAR, NEW_GATE, NEW_MAC),
        fast.HoldUplink(NCOA),
    )
    other = (fast.UseRouter(NCOA, 64, NEW_GATE, NEW_MAC), fast.UseRouter(PCOA, 64, GATE, MAC))
    missing: ClassVar[tuple[dict[str, Any], ...]] = ({"link": "nowhere"},)
    verbs = ("register", "link_status")
    faults = ("signalling", "hold", "decapsulator", "begin")

    def test_an_abandoned_handover_leaves_what_was_before(self, here: Place) -> None:
        """Prepare and abandon: address, tunnel rule, labels and routes are as they were before."""

        async def work(shell: Any) -> None:
            perform(shell, fast.UseRouter(PCOA, 64, GATE, MAC))
            settle()
            before = here.more()
            prepare = fast.PrepareHandover(PCOA, NCOA, PAR, NEW_GATE, NEW_MAC)
            perform(shell, prepare, fast.HoldUplink(PCOA), fast.ReleaseUplink(PCOA))
            perform(shell, fast.AbandonHandover(NCOA))
            after = here.more()
            for name in ("rules", "routes", "addresses", "labels"):
                assert after.get(name) == before.get(name), name

        here.run(here.consumer(self.role), work)
        assert here.more() == {}

    @pytest.mark.parametrize("victim", ["mobile", "mobile at home"])
    def test_one_consumers_kill_and_restart_does_not_touch_the_other(self, here: Place, victim: str) -> None:
        """FMIPv6 and Mobile IPv6 share a host: the survivor's state outlives the other's restart unharmed."""
        actions: dict[str, tuple[object, ...]] = {"mobile": self.full, "mobile at home": AT_HOME}
        survivor = (actions.keys() - {victim}).pop()
        proto = {"mobile": "proto 51", "mobile at home": "proto 62"}[survivor]

        def of_survivor() -> dict[str, list[str]]:
            return {k: [line for line in v if proto in line] for k, v in here.more().items() if k != "links"}

        async def work(shell: Any) -> None:
            perform(shell, *actions[survivor])
            alone = of_survivor()
            here.run_and_kill(victim, lambda s: perform(s, *actions[victim]))
            assert of_survivor() == alone
            again = here.consumer(victim)
            await again.start()
            assert of_survivor() == alone
            await again.stop()
            assert of_survivor() == alone
            (table,) = [line for line in ip("-6", "route", "show", "table", "51840") if "End.DX6" in line]
            assert "dev lies-d0" in table

        here.run(here.consumer(survivor), work)
        assert here.more() == {}
        assert here.opened == 0


class TestAccessRouter(ShellContract):
    """The access router."""

    role = "router"
    full = (
        fast.AddTunnel(PCOA, NCOA, MAC),
        fast.ExpectNode(IPv6Address("2001:db8:1::77"), MAC, buffer=True),
        fast.DefendNode(IPv6Address("2001:db8:1::77"), MAC),
        fast.AdmitNode(IPv6Address("2001:db8:1::78"), MAC),
    )
    other = (fast.AddTunnel(IPv6Address("2001:db8:1::55"), NCOA, MAC),)
    missing: ClassVar[tuple[dict[str, Any], ...]] = ({"access": "nowhere"}, {"backbone": "nowhere"})

    def test_its_actions_are_what_the_kernel_has(self, here: Place) -> None:
        """Tunnel, proxy and neighbour entries of one node, step by step, and none of them at the end."""
        to_come = IPv6Address("2001:db8:1::77")

        async def work(shell: Any) -> None:
            settle("lies-d0", "lies-d1")
            begin = here.more()
            perform(shell, fast.AddTunnel(PCOA, NCOA, MAC))
            (route,) = ip("-6", "route", "show", str(PCOA))
            assert f"encap seg6 mode encap.red segs 1 [ {NCOA} ] dev bb" in " ".join(route.split())
            rules = ip("-6", "rule")
            assert any(f"from {NCOA} to {ROUTER} ipproto ipv6 lookup 51840" in r for r in rules)
            assert any(f"from {PCOA} iif lies-d1 goto 3" in r for r in rules)
            perform(shell, fast.AddTunnel(PCOA, to_come, MAC))
            assert not [r for r in ip("-6", "rule") if f"from {NCOA} " in r]
            perform(shell, fast.RemoveTunnel(PCOA, to_come))
            perform(shell, fast.ExpectNode(to_come, MAC, buffer=True))
            assert any(str(to_come) in r for r in ip("-6", "route"))
            perform(shell, fast.DefendNode(to_come, MAC))
            assert [p for p in ip("-6", "neigh", "show", "proxy") if p.startswith(f"{to_come} dev ap")]
            perform(shell, fast.AdmitNode(to_come, MAC))
            assert ip("-6", "neigh", "show", "proxy") == []
            (entry,) = ip("-6", "neigh", "show", str(to_come))
            assert "lladdr 02:00:00:00:01:01 STALE" in entry
            expect = fast.ExpectNode(NCOA, MAC, buffer=True)
            perform(shell, expect, fast.DefendNode(NCOA, MAC), fast.ForgetNode(NCOA))
            perform(shell, expect, fast.ForgetNode(NCOA))
            assert here.more() == begin

        here.run(here.consumer(self.role), work)
        assert here.more() == {}
