"""The access router's kernel state: tunnels of nodes that left, and proxy entries of nodes to come.

Packets to a node that has not arrived wait where the kernel keeps packets to any unresolved neighbour; the
node's own UNA turns that entry STALE and sends them (RFC 5568 section 6.3, RFC 4861 section 7.2.5).
"""

import errno
from contextlib import ExitStack, suppress
from ipaddress import IPv6Address

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import Netlink
from lies.kernel.netns import read_sysctl, sysctl
from lies.kernel.template import Template
from lies.kernel.tunnels import GONE, Decapsulator, host

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
        self._access = index_of(access)
        self._backbone = index_of(backbone)
        self._address = address
        sweep(netlink)
        self._decapsulator = Decapsulator(netlink, only_known_inner=True)
        self._compile()
        self._tunnels: dict[IPv6Address, IPv6Address] = {}
        self._expected: dict[IPv6Address, bool] = {}  # ncoa -> it is the pcoa of a tunnel of ours
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
        if previous is not None and previous != endpoint:
            self._netlink.execute([self._accept(previous, add=False)], ignore=GONE)
        self._tunnels[pcoa] = endpoint
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
        if endpoint not in self._tunnels.values():
            messages.append(self._accept(endpoint, add=False))
        self._netlink.execute(messages, ignore=GONE)

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

    def _accept(self, peer: IPv6Address, *, add: bool = True) -> bytes:
        return self._decapsulator.accept(self._address, peer, add=add)
