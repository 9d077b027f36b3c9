"""The mobile node's shell of FMIPv6: its groups, and addresses by DHCP."""

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from shell_kit import Place, perform, place, until

from lies_fmipv6 import actions as fast
from lies_fmipv6.items import AddressConfigured, Received

pytestmark = pytest.mark.netns

OWN, NEXT = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
PCOA, PAR = OWN[0x99], OWN[1]
GATE, MAC = IPv6Address("fe80::1:1"), bytes.fromhex("020000000101")


@pytest.fixture
def here() -> Iterator[Place]:
    """A namespace with the interfaces that consumers need."""
    with place() as found:
        yield found


def test_the_node_joins_the_groups_of_its_new_address(here: Place) -> None:
    """At the new link the kernel listens to all nodes and to the solicited-node group of NCoA (F37)."""
    ncoa = NEXT[0xABCDEF]
    solicited, all_nodes = (IPv6Address(a).packed.hex() for a in ("ff02::1:ffab:cdef", "ff02::1"))

    def joined() -> set[str]:
        lines = Path("/proc/net/igmp6").read_text(encoding="ascii").splitlines()
        return {line.split()[2] for line in lines if line.split()[1] == "wlan0"}

    async def work(shell: Any) -> None:
        perform(shell, fast.UseRouter(PCOA, 64, GATE, MAC))
        assert solicited not in joined()
        perform(shell, fast.PrepareHandover(PCOA, ncoa, PAR, GATE, MAC))
        perform(shell, fast.CompleteHandover(PCOA, ncoa, PAR, GATE, MAC, tunnel=True))
        await until(lambda: {solicited, all_nodes} <= joined())  # the kernel does it a little later
        perform(shell, fast.DropAddress(ncoa))
        await until(lambda: solicited not in joined())

    here.run(here.consumer("mobile"), work)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("ip", "-6", "addr", "add", "2001:db8:2::5555/64", "dev", "wlan0", "nodad"), [NEXT[0x5555]]),
        (("false",), []),
        (("no-such-command-here",), []),
    ],
)
def test_dhcp_is_a_command(here: Place, command: tuple[str, ...], found: list[IPv6Address]) -> None:
    """ConfigureAddress runs the configured command; what the link has then and had not is the address."""
    fed: list[Any] = []

    async def work(shell: Any) -> None:
        feed = shell._runtime.feed

        def look(item: Any, at: float | None = None) -> None:
            if isinstance(item, Received):
                feed(item, at)
            else:
                fed.append(item)

        shell._runtime.feed = look
        perform(shell, fast.ConfigureAddress("wlan0"))
        await until(lambda: not shell._tasks)

    here.run(here.consumer("mobile", dhcp=command), work)
    assert fed == [AddressConfigured(address) for address in found]


def test_a_command_for_dhcp_ends_with_the_shell(here: Place, tmp_path: Path) -> None:
    """A command that has not ended is gone when the shell has stopped."""
    told = tmp_path / "pid"

    async def work(shell: Any) -> None:
        perform(shell, fast.ConfigureAddress("wlan0"))
        await until(lambda: told.exists() and told.read_text().endswith("\n"))

    here.run(here.consumer("mobile", dhcp=("sh", "-c", f"echo $$ $LIES_LINK > {told}; exec sleep 600")), work)
    pid, link = told.read_text().split()
    assert link == "wlan0"
    assert not Path(f"/proc/{pid}").exists()
