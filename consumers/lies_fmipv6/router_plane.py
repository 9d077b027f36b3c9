"""The access router's kernel state: tunnels of nodes that left, and proxy entries of nodes to come.

Packets to a node that has not arrived wait where the kernel keeps packets to any unresolved neighbour; the
node's own UNA turns that entry STALE and sends them (RFC 5568 section 6.3, RFC 4861 section 7.2.5).
"""

import errno
from contextlib import ExitStack, suppress
from ipaddress import IPv6Address
from itertools import count

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import Netlink
from lies.kernel.netns import read_sysctl, sysctl
from lies.kernel.template import Template
from lies.kernel.tunnels import DEFAULT, GONE, Decapsulator, host

_FIRST_TABLE = 53100  # of host routes; lies_fmipv6.mobile_plane has the numbers below
_PREFERENCE_HOST_ROUTE = 91
_SOLICITATIONS = 60  # one a second; a node that is awaited longer has long been forgotten by the engine


class RouterPlane:
    """Carries out the data-plane actions of lies_fmipv6.actions on an access router.

    access, backbone: interfaces; address: the global address that tunnels end at; buffer_octets: how much
    may wait for one node. Begins by removing what a plane that was killed has left in this namespace.
    """

    def __init__(
        self, netlink: Netlink, *, access: str, backbone: str, address: IPv6Address, buffer_octets: int
    ) -> None:
        self._netlink = netlink
        self._access_name = access
        self._access = index_of(access)
        self._backbone = index_of(backbone)
        self._address = address
        sweep(netlink)
        self._decapsulator = Decapsulator(netlink, only_known_inner=True)
        self._compile()
        self._tunnels: dict[IPv6Address, IPv6Address] = {}
        self._expected: dict[IPv6Address, bool] = {}  # ncoa -> it is the pcoa of a tunnel of ours
        self._host_routes: dict[IPv6Address, tuple[IPv6Address, int]] = {}  # pcoa -> (par, table)
        wanted = {
            f"ipv6/conf/{access}/proxy_ndp": 1,
            f"ipv6/neigh/{access}/unres_qlen_bytes": buffer_octets,
            f"ipv6/neigh/{access}/mcast_solicit": _SOLICITATIONS,
        }
        self._before = {name: read_sysctl(name) for name in wanted}
        try:
            for name, value in wanted.items():
                sysctl(name, value)
        except BaseException:
            self.close()
            raise

    def _compile(self) -> None:
        """The messages that a handover waits for, all but their addresses."""
        ap, bb = self._access, self._backbone
        one, two = (IPv6Address,), (IPv6Address, IPv6Address)
        self._to_tunnel = Template(lambda p, e: m.route(host(p), oif=bb, encap=e), *two)
        self._no_route = Template(lambda p: m.route(host(p), add=False), *one)
        self._to_access = Template(lambda n: m.route(host(n), oif=ap), *one)
        self._forget_node = Template(lambda n: m.neighbour(ap, n, add=False), *one)
        self._defend = Template(lambda n: m.neighbour(ap, n, proxy=True), *one)
        self._defend_no_more = Template(lambda n: m.neighbour(ap, n, proxy=True, add=False), *one)
        self._stale = Template(lambda n, lla: m.neighbour(ap, n, lla, state=m.NUD_STALE), IPv6Address, 6)

    def add_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        """Packets to pcoa go to endpoint in a tunnel; what endpoint tunnels from pcoa is forwarded."""
        previous = self._tunnels.get(pcoa)
        self._tunnels[pcoa] = endpoint
        if previous is not None and previous != endpoint:
            self._netlink.execute(self._accept_no_more(previous), ignore=GONE)
        self._netlink.execute(
            [
                self._accept(endpoint),
                self._decapsulator.forward_inner(pcoa),
                self._to_tunnel(pcoa, endpoint),
            ],
            ignore=(errno.EEXIST,),
        )

    def remove_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        """Both directions end; packets to pcoa go to the access link."""
        self._tunnels.pop(pcoa, None)
        messages = [
            self._no_route(pcoa),
            self._decapsulator.forward_inner(pcoa, add=False),
        ]
        self._netlink.execute([*messages, *self._accept_no_more(endpoint)], ignore=GONE)

    def add_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """What par tunnels to us for pcoa goes to the access link; what comes from pcoa there goes to par."""
        if pcoa in self._host_routes:
            self.remove_host_route(pcoa, self._host_routes[pcoa][0])
        used = {table for _, table in self._host_routes.values()}
        table = next(t for t in count(_FIRST_TABLE) if t not in used)
        self._host_routes[pcoa] = (par, table)
        self._netlink.execute(
            [
                m.route(DEFAULT, table=table, oif=self._backbone, encap=par),
                self._from_access(pcoa, table),
                self._to_access(pcoa),
                self._decapsulator.forward_inner_to(pcoa),
                self._accept(par),
            ],
            ignore=(errno.EEXIST,),
        )

    def remove_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """Both directions end."""
        _, table = self._host_routes.pop(pcoa, (par, _FIRST_TABLE))
        messages = [
            self._decapsulator.forward_inner_to(pcoa, add=False),
            self._no_route(pcoa),
            self._from_access(pcoa, table, add=False),
            m.route(DEFAULT, table=table, add=False),
        ]
        self._netlink.execute([*messages, *self._accept_no_more(par)], ignore=GONE)

    def tunnels_away(self, pcoa: IPv6Address) -> bool:
        """Whether packets to pcoa go to a tunnel of this router."""
        return pcoa in self._tunnels

    def expect(self, ncoa: IPv6Address) -> None:
        """Answer for ncoa on the access link, and let packets to it wait."""
        comes_back = ncoa in self._tunnels
        self._expected[ncoa] = comes_back
        messages = [self._forget_node(ncoa), self._defend(ncoa)]
        if comes_back:
            messages.append(self._to_access(ncoa))
        self._netlink.execute(messages, ignore=(errno.EEXIST, *GONE))

    def admit(self, ncoa: IPv6Address, lla: bytes) -> None:
        """The node is there: what waits goes to this link-layer address."""
        self._expected.pop(ncoa, None)
        self._netlink.execute([self._stale(ncoa, lla), self._defend_no_more(ncoa)], ignore=GONE)

    def forget(self, ncoa: IPv6Address) -> None:
        """The node did not come: what waits is dropped."""
        comes_back = self._expected.pop(ncoa, False)
        self._netlink.execute([self._defend_no_more(ncoa), self._forget_node(ncoa)], ignore=GONE)
        if comes_back and ncoa in self._tunnels:
            self._netlink.execute([self._to_tunnel(ncoa, self._tunnels[ncoa])])

    def close(self) -> None:
        """Remove every tunnel and proxy entry, and put the access link's settings back."""
        with ExitStack() as undo:
            undo.callback(self._decapsulator.close)
            undo.callback(sweep, self._netlink)
            for name, value in self._before.items():
                with suppress(FileNotFoundError):  # the interface is gone
                    sysctl(name, value)

    def _from_access(self, pcoa: IPv6Address, table: int, *, add: bool = True) -> bytes:
        return m.rule(_PREFERENCE_HOST_ROUTE, table=table, source=pcoa, iif=self._access_name, add=add)

    def _accept_no_more(self, peer: IPv6Address) -> list[bytes]:
        """Nothing if something else is still tunnelled between us."""
        needed = {*self._tunnels.values(), *(par for par, _ in self._host_routes.values())}
        return [] if peer in needed else [self._accept(peer, add=False)]

    def _accept(self, peer: IPv6Address, *, add: bool = True) -> bytes:
        return self._decapsulator.accept(self._address, peer, add=add)
