"""The mobile node's kernel state for Mobile IPv6: the home address and its tunnel to the home agent."""

import errno
from collections.abc import Mapping
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
_TABLE_OTHERS = 51910  # and one more for each link
_PREFERENCE_HELD, _PREFERENCE_HOME, _PREFERENCE_OTHERS = 79, 80, 85
_HELD_OCTETS = 1 << 20
_HELD_NAMES = "lies-m0", "lies-m1"


class MobilePlane:
    """Carries out the data-plane actions of lies_mipv6.actions for one home address on one link, or several.

    mtu: of what applications send from the home address, in octets; others: further links, with the router
    of each, None where there is none between. What has a care-of address of theirs leaves by its own
    link. Begins by removing what a plane that was killed has left in this namespace.
    """

    def __init__(
        self,
        netlink: Netlink,
        *,
        link: str,
        home_address: IPv6Address,
        mtu: int,
        tunnels: TunnelKind = TunnelKind.AUTO,
        others: Mapping[str, IPv6Address | None] = {},
    ) -> None:
        self._netlink = netlink
        self._link = link
        self._indices = {name: index_of(name) for name in (link, *others)}
        self._tables = {name: _TABLE_OTHERS + number for number, name in enumerate(others)}
        self._routers = others
        self._links: dict[IPv6Address, str] = {}  # coa -> its link
        self._led: set[IPv6Address] = set()  # those whose way out FMIPv6 sees to
        self._used: str | None = None  # the link of the tunnel
        self._loopback = index_of("lo")
        self._home_address = home_address
        self._mtu = mtu
        self._accepted: dict[IPv6Address, IPv6Address] = {}  # coa -> home agent
        self._sources = {name: OuterSources(index) for name, index in self._indices.items()}
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

    def has_link(self, coa: IPv6Address, link: str, *, own_way: bool = True) -> None:
        """A care-of address is one of this link; those that are not said are of the first.

        own_way: nobody else sees to it that what is sent from it leaves there.
        """
        self._links[coa] = link
        (self._led.discard if own_way else self._led.add)(coa)

    def accept(self, coa: IPv6Address, home_agent: IPv6Address) -> None:
        """Open what the home agent tunnels to coa (RFC 6275 section 11.3.3: from the home agent only)."""
        opened = [*self._tunnelling.guard(coa), self._tunnelling.accept(coa, home_agent), *self._way(coa)]
        self._netlink.execute(opened, ignore=(errno.EEXIST,))
        self._accepted[coa] = home_agent

    def _link_of(self, coa: IPv6Address) -> str:
        return self._links.get(coa, self._link)

    def _way(self, coa: IPv6Address) -> list[bytes]:
        """What is sent from coa leaves by its own link; on the first one that is FMIPv6's business."""
        link = self._link_of(coa)
        table = self._tables.get(link)
        if table is None or coa in self._led:
            return []
        index, router = self._indices[link], self._routers[link]
        return [
            m.route(DEFAULT, table=table, oif=index, via=router, owner=OWNER),
            m.rule(_PREFERENCE_OTHERS, table=table, source=coa, owner=OWNER),
        ]

    def use_tunnel(self, home_agent: IPv6Address, coa: IPv6Address) -> None:
        """What is sent from the home address goes to the home agent with coa as outer source.

        The route is replaced even if it looks the same: it is where the kernel has cached the way. A packet
        that went the old way with the new source would be refused at its end: so what is sent meanwhile
        waits. What is sent then goes behind it, the way through the hold, until `settle`.
        """
        self.accept(coa, home_agent)
        link = self._link_of(coa)
        index = self._indices[link]
        held, route = (
            self._tunnelling.towards(DEFAULT, home_agent, local=coa, oif=index, table=table, mtu=self._mtu)
            for table in (_TABLE_HELD, _TABLE_HOME)
        )
        source = self._sources[link].choose(home_agent, coa)
        if self._used not in {None, link}:
            # the far end's label is of one link: the others have it anew when they are used again
            source = [*self._sources[self._used or link].forget(home_agent), *source]
        self._used = link
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
            link = self._link_of(coa)
            gone = [self._tunnelling.accept(coa, home_agent, add=False), *self._sources[link].forget(coa)]
            if link in self._tables and coa not in self._led:
                gone.append(
                    m.rule(_PREFERENCE_OTHERS, table=self._tables[link], source=coa, owner=OWNER, add=False)
                )
            self._links.pop(coa, None)
            self._led.discard(coa)
            self._netlink.execute(gone, ignore=GONE)

    def close(self) -> None:
        """Remove the home address and everything about it."""
        for coa in list(self._accepted):
            self.drop(coa)
        labels = [message for sources in self._sources.values() for message in sources.forget_all()]
        self._netlink.execute(labels, ignore=GONE)
        sweep(self._netlink, OWNER)
        self._hold.close()
        self._tunnelling.close()
