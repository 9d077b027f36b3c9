"""A handover to a link whose nodes get their addresses by DHCP, with a DHCP client and server of others."""

import os
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from drives import inside
from faults import ACCESS, ONE, TWO, Faults, ends_connected, neighbour
from tools import need

from lies.events import CareOfAddressChanged, HandoverDone
from lies.testbed import topology as t
from lies.testbed.drive import Drive
from lies.testbed.node import Node, spawn
from lies_fmipv6.parameters import eui64, form_address

pytestmark = [pytest.mark.netns, pytest.mark.slow]

# dhcpcd keeps leases, sockets and the like in these, and there is one of each for all network namespaces
_CLIENT = """set -eu
mount -t tmpfs none /run
mount -t tmpfs none {state}
exec dhcpcd -6 -1 -w -t 20 -f {settings} --script /bin/true "$LIES_LINK"
"""
_SETTINGS = "duid ll\nnoipv6rs\nia_na\n"
_POOL = tuple(TWO.prefix[n] for n in (0x1000, 0x10FF))


def _server(drive_: Drive) -> Node:
    """Dnsmasq on the second router's access link."""
    dnsmasq = need("dnsmasq")
    pool = ",".join(map(str, _POOL))
    words = [dnsmasq, "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--user=root"]
    words += [f"--interface={ACCESS}", "--bind-interfaces", "--leasefile-ro", "--pid-file="]
    words += [f"--dhcp-range={pool},64,600", "--log-facility=-"]

    def main(ready: Callable[[], None]) -> int:
        ready()
        os.execv(dnsmasq, words)

    return spawn("dhcp", drive_.descriptor(TWO.name), main)


def test_an_address_of_a_dhcp_server_is_used_at_the_new_router(tmp_path: Path) -> None:
    """PrRtAdv code 5: PCoA stays in use behind the tunnel until dhcpcd has got an address of dnsmasq.

    The NCoA of the FBU is formed for it alone (RFC 5568 sections 5.2 and 6.1.2): no packet comes from it.
    """
    need("dhcpcd")
    state = next(path for path in ("/var/lib/dhcpcd", "/var/lib/dhcpcd5") if Path(path).is_dir())
    settings = tmp_path / "dhcpcd.conf"
    settings.write_text(_SETTINGS, "ascii")
    client = ["unshare", "--mount", "sh", "-c", _CLIENT.format(state=state, settings=settings)]
    wants = {
        ONE.name: {"neighbours": [{**neighbour(TWO), "dhcp": True}]},
        # how long it keeps a host route
        TWO.name: {"dhcp_link": True, "parameters": {"max_fbu_lifetime_s": 4}},
    }
    seen: list[str] = []

    def act(faults: Faults, event: object) -> None:
        if isinstance(event, HandoverDone) and event.from_poa is not None and not seen:
            seen.append(inside(faults.drive, "mn", "ip", "-6", "address", "show", "dev", t.MOBILE_LINK))

    faults = Faults(act=act)
    result = faults.run(helper=_server, speed_kmh=80.0, access_of=wants, fmipv6={"dhcp": client})
    assert faults.modes == ["predictive"]
    pcoa, ncoa = (form_address(router.prefix, eui64(t.MOBILE_MAC)) for router in (ONE, TWO))
    assert str(pcoa) in seen[0]
    assert str(ncoa) not in seen[0]
    first, then = faults.of(CareOfAddressChanged)
    assert (first.coa, then.previous, then.tunnel_from) == (str(pcoa), str(pcoa), str(ONE.address))
    assert _POOL[0] <= IPv6Address(then.coa) <= _POOL[1]
    assert result.packets_sent > 1000
    assert result.packets_lost == 0
    assert sum(direction.duplicated for direction in result.directions) == 0
    assert ends_connected(result)
