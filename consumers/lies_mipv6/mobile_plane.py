"""The mobile node's kernel state for Mobile IPv6: the home address and its tunnel to the home agent."""

import errno
from ipaddress import IPv6Address

from lies.kernel import messages as m
from lies.kernel.encapsulation import open_tunnels
from lies.kernel.interfaces import index_of
from lies.kernel.kinds import TunnelKind
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import Netlink
from lies.kernel.sources import OuterSources
from lies.kernel.tunnels import DEFAULT, GONE, Hold
from lies_mipv6.config import OWNER

_TABLE_HOME, _TABLE_HELD = 51900, 51901
_PREFERENCE_HELD, _PREFERENCE_HOME = 79, 80
_HELD_OCTETS = 1 << 20
_HELD_NAMES = "lies-m0", "lies-m1"


class MobilePlane:
    """Carries out the data-plane actions of lies_mipv6.actions for one home address on one link.

    mtu: of what applications send from the home address, in octets. Begins by removing what a plane that
    was killed has left in this namespace.
    """

    def __init__(
        self,
        netlink: Netlink,
        *,
        link: str,
        home_address: IPv6Address,
        mtu: int,
        tunnels: TunnelKind = TunnelKind.AUTO,
    ) -> None:
        self._netlink = netlink
        self._index = index_of(link)
        self._loopback = index_of("lo")
        self._home_address = home_address
        self._mtu = mtu
        self._accepted: dict[IPv6Address, IPv6Address] = {}  # coa -> home agent
        self._sources = OuterSources(self._index)
        self._settled: list[bytes] = []
        sweep(netlink, OWNER)
        self._tunnelling = open_tunnels(netlink, tunnels, only_known_inner=False, owner=OWNER)
        try:
            self._hold = Hold(netlink, octets=_HELD_OCTETS, names=_HELD_NAMES, owner=OWNER)
            self._lane = self._hold.lane(_TABLE_HOME)
            iif = self._hold.out_name
            self._netlink.execute(
                [
                    m.address(self._loopback, home_address, home=True, owner=OWNER),
                    m.rule(_PREFERENCE_HOME, table=_TABLE_HOME, source=home_address, owner=OWNER),
                    m.rule(_PREFERENCE_HELD, table=_TABLE_HELD, source=home_address, iif=iif, owner=OWNER),
                ],
                ignore=(errno.EEXIST,),
            )
        except BaseException:
            self.close()
            raise

    def accept(self, coa: IPv6Address, home_agent: IPv6Address) -> None:
        """Open what the home agent tunnels to coa (RFC 6275 section 11.3.3: from the home agent only)."""
        opened = [*self._tunnelling.guard(coa), self._tunnelling.accept(coa, home_agent)]
        self._netlink.execute(opened, ignore=(errno.EEXIST,))
        self._accepted[coa] = home_agent

    def use_tunnel(self, home_agent: IPv6Address, coa: IPv6Address) -> None:
        """What is sent from the home address goes to the home agent with coa as outer source.

        The route is replaced even if it looks the same: it is where the kernel has cached the way. A packet
        that went the old way with the new source would be refused at its end: so what is sent meanwhile
        waits. What is sent then goes behind it, the way through the hold, until `settle`.
        """
        self.accept(coa, home_agent)
        held, route = (
            self._tunnelling.towards(
                DEFAULT, home_agent, local=coa, oif=self._index, table=table, mtu=self._mtu
            )
            for table in (_TABLE_HELD, _TABLE_HOME)
        )
        source = self._sources.choose(home_agent, coa)
        self._netlink.execute([*self._lane.take, *source, held, *self._lane.let_go], ignore=GONE)
        self._settled = [route]

    def settle(self) -> None:
        """Nothing is on its way through the hold any more: what is sent goes straight into the tunnel."""
        messages, self._settled = self._settled, []
        self._netlink.execute(messages)

    def drop(self, coa: IPv6Address) -> None:
        """Open nothing any more that is tunnelled to coa."""
        home_agent = self._accepted.pop(coa, None)
        if home_agent is not None:
            gone = [self._tunnelling.accept(coa, home_agent, add=False), *self._sources.forget(coa)]
            self._netlink.execute(gone, ignore=GONE)

    def close(self) -> None:
        """Remove the home address and everything about it."""
        for coa in list(self._accepted):
            self.drop(coa)
        self._netlink.execute(self._sources.forget_all(), ignore=GONE)
        sweep(self._netlink, OWNER)
        self._hold.close()
        self._tunnelling.close()
