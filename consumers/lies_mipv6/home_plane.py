"""The home agent's kernel state: bindings as tunnel routes, and who may tunnel to it for whom."""

import errno
from ipaddress import IPv6Address

from lies.kernel import messages as m
from lies.kernel.encapsulation import open_tunnels
from lies.kernel.interfaces import index_of
from lies.kernel.kinds import TunnelKind
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import Netlink
from lies.kernel.template import Template
from lies.kernel.tunnels import GONE, host
from lies_mipv6.config import OWNER


class HomePlane:
    """Carries out the data-plane actions of lies_mipv6.actions on a home agent.

    backbone: the interface towards care-of addresses; address: where tunnels end. Begins by removing what a
    plane that was killed has left in this namespace: its bindings are forgotten.
    """

    def __init__(
        self,
        netlink: Netlink,
        *,
        backbone: str,
        address: IPv6Address,
        tunnels: TunnelKind = TunnelKind.AUTO,
    ) -> None:
        self._netlink = netlink
        self._index = index_of(backbone)
        self._address = address
        sweep(netlink, OWNER)
        self._tunnelling = open_tunnels(netlink, tunnels, only_known_inner=True, owner=OWNER)
        netlink.execute(self._tunnelling.guard(address))
        into = self._tunnelling.towards
        self._to_tunnel = Template(
            lambda home, coa: into(host(home), coa, local=address, oif=self._index),
            IPv6Address,
            IPv6Address,
        )
        self._bindings: dict[IPv6Address, IPv6Address] = {}
        self._sources: dict[IPv6Address, set[IPv6Address]] = {}  # home address -> care-of addresses

    def set_binding(self, home_address: IPv6Address, coa: IPv6Address) -> None:
        """Packets to the home address go to coa in a tunnel, and are taken from it."""
        self.accept_from(home_address, coa)
        self._bindings[home_address] = coa
        self._netlink.execute([self._to_tunnel(home_address, coa)])

    def accept_from(self, home_address: IPv6Address, coa: IPv6Address) -> None:
        """Open what comes from coa with the home address as inner source."""
        self._sources.setdefault(home_address, set()).add(coa)
        opened = [self._accept(coa), self._tunnelling.forward_inner(home_address)]
        self._netlink.execute(opened, ignore=(errno.EEXIST,))

    def refuse_from(self, home_address: IPv6Address, coa: IPv6Address) -> None:
        """Open nothing more from coa for this home address (RFC 6275 section 10.4.5)."""
        self._sources.get(home_address, set()).discard(coa)
        if not any(coa in sources for sources in self._sources.values()):
            self._netlink.execute([self._accept(coa, add=False)], ignore=GONE)

    def remove_binding(self, home_address: IPv6Address) -> None:
        """The home address is served no more."""
        self._bindings.pop(home_address, None)
        for coa in list(self._sources.get(home_address, ())):
            self.refuse_from(home_address, coa)
        self._sources.pop(home_address, None)
        gone = [
            m.route(host(home_address), owner=OWNER, add=False),
            self._tunnelling.forward_inner(home_address, add=False),
        ]
        self._netlink.execute(gone, ignore=GONE)

    def close(self) -> None:
        """Remove every binding."""
        self._bindings.clear()
        self._sources.clear()
        sweep(self._netlink, OWNER)
        self._tunnelling.close()

    def _accept(self, coa: IPv6Address, *, add: bool = True) -> bytes:
        return self._tunnelling.accept(self._address, coa, add=add)
