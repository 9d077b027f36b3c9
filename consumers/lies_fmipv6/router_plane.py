"""The access router's kernel state: tunnels of nodes that left, and proxy entries of nodes to come.

Packets to a node that has not arrived wait in a buffer of ours (lies_fmipv6.waiting_plane) or, if so
configured, where the kernel keeps packets to any unresolved neighbour. Either way the first of them go in
the moment when the node's own UNA turns that entry STALE (RFC 5568 section 6.3, RFC 4861 section 7.2.5).
"""

import asyncio
import errno
import logging
from contextlib import ExitStack, closing, suppress
from ipaddress import IPv6Address
from itertools import count

from lies.kernel import messages as m
from lies.kernel.encapsulation import open_tunnels
from lies.kernel.interfaces import index_of
from lies.kernel.kinds import IntakeKind, TunnelKind
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import KernelError, Netlink
from lies.kernel.netns import read_sysctl, sysctl
from lies.kernel.template import Template
from lies.kernel.tunnels import DEFAULT, GONE, host
from lies_fmipv6.pacing import Buffering, Limits
from lies_fmipv6.waiting_plane import METRIC, OnTally, WaitingRoom

_log = logging.getLogger("lies.fmipv6")
_NOWHERE = IPv6Address("2001:db8:5184::1")  # documentation: no packet goes there
_NO_SOURCE = IPv6Address("::1")  # no packet with it comes in (RFC 4291 section 2.5.3)
_FIRST_TABLE = 53100  # of host routes; lies_fmipv6.mobile_plane has the numbers below
_PREFERENCE_HOST_ROUTE = 91
_LINGER_S = 1.0  # longer than any way by another router


class RouterPlane:
    """Carries out the data-plane actions of lies_fmipv6.actions on an access router.

    access, backbone: interfaces; address: the global address that tunnels end at; limits: of what waits
    (node_octets also in the kernel's queue of one unresolved neighbour); on_tally: told how each wait in the
    paced buffer ended. Begins by removing what a plane that was killed has left in this namespace.
    """

    def __init__(
        self,
        netlink: Netlink,
        *,
        access: str,
        backbone: str,
        address: IPv6Address,
        tunnels: TunnelKind = TunnelKind.AUTO,
        buffering: Buffering = Buffering.AUTO,
        limits: Limits | None = None,
        on_tally: OnTally | None = None,
    ) -> None:
        self._netlink = netlink
        self._access_name = access
        self._access = index_of(access)
        self._backbone = index_of(backbone)
        self._address = address
        limits = limits or Limits()
        sweep(netlink)
        self._tunnelling = open_tunnels(netlink, tunnels, only_known_inner=True)
        self._netlink.execute(self._tunnelling.guard(address))
        self._compile()
        self._tunnels: dict[IPv6Address, IPv6Address] = {}
        self._lingering: dict[IPv6Address, tuple[IPv6Address, asyncio.TimerHandle]] = {}  # pcoa -> endpoint
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room: WaitingRoom | None = None
        self._before: dict[str, str] = {}
        self._host_routes: dict[IPv6Address, tuple[IPv6Address, int]] = {}  # pcoa -> (par, table)
        queue = f"ipv6/neigh/{access}/unres_qlen_bytes"
        wanted = {f"ipv6/conf/{access}/proxy_ndp": 1, queue: limits.node_octets}
        try:
            if buffering is not Buffering.KERNEL:
                self._room = WaitingRoom(
                    netlink,
                    access=access,
                    away=self._tunnelling.device(backbone),
                    limits=limits,
                    intake=IntakeKind(buffering.value),
                    on_tally=on_tally,
                )
            self._before = {name: read_sysctl(name) for name in wanted}
            if self._room is not None:  # the first five wait there, and whom the kernel asks for by itself
                wanted[queue] = max(wanted[queue], int(self._before[queue]))
            for name, value in wanted.items():
                sysctl(name, value)
        except BaseException:
            self.close()
            raise

    @property
    def opened(self) -> str:
        """The interface by which packets come in that were in a tunnel."""
        return self._tunnelling.opened

    def start(self) -> None:
        """Begin to serve what waits, on the running loop."""
        self._loop = asyncio.get_running_loop()
        if self._room is not None:
            self._room.start()

    def _compile(self) -> None:
        """The messages that a handover waits for, all but their addresses."""
        ap, bb = self._access, self._backbone
        one, two = (IPv6Address,), (IPv6Address, IPv6Address)
        into = self._tunnelling.towards
        self._to_tunnel = Template(lambda p, e: into(host(p), e, local=self._address, oif=bb), *two)
        self._no_route = Template(lambda p: m.route(host(p), add=False), *one)
        self._here = Template(lambda n: m.route(host(n), oif=ap, metric=METRIC), *one)
        self._not_here = Template(lambda n: m.route(host(n), oif=ap, metric=METRIC, add=False), *one)
        self._forget_node = Template(lambda n: m.neighbour(ap, n, add=False), *one)
        self._wait = Template(lambda n: m.neighbour(ap, n, state=m.NUD_INCOMPLETE), *one)
        self._defend = Template(lambda n: m.neighbour(ap, n, proxy=True), *one)
        self._defend_no_more = Template(lambda n: m.neighbour(ap, n, proxy=True, add=False), *one)
        self._stale = Template(lambda n, lla: m.neighbour(ap, n, lla, state=m.NUD_STALE), IPv6Address, 6)
        nobody = self._to_tunnel(_NOWHERE, _NOWHERE)
        self._rehearsed = [self._tunnelling.forward_inner(_NO_SOURCE, add=False), m.if_there(nobody)]

    def add_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        """Packets to pcoa go to endpoint in a tunnel; what endpoint tunnels from pcoa is forwarded."""
        previous = self._linger_no_more(pcoa) or self._tunnels.get(pcoa)
        self._tunnels[pcoa] = endpoint
        if previous is not None and previous != endpoint:
            self._netlink.execute(self._accept_no_more(previous), ignore=GONE)
        messages = [
            self._accept(endpoint),
            self._tunnelling.forward_inner(pcoa),
            self._to_tunnel(pcoa, endpoint),
        ]
        self._netlink.post(messages, ignore=(errno.EEXIST,))
        if self._room is not None:
            self._room.left(pcoa)
        if self._loop is None:
            self._netlink.confirm()
        else:
            self._loop.call_soon(self._confirm)  # the FBack need not wait for it

    def rehearse(self) -> None:
        """Have the kernel look for a tunnel of nobody, to renew it and to remove it: there is none."""
        self._netlink.execute(self._rehearsed, ignore=GONE)

    def _confirm(self) -> None:
        try:
            self._netlink.confirm()
        except KernelError as error:
            _log.error("a tunnel: %s", error)

    def remove_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address, *, returned: bool = False) -> None:
        """Both directions end; packets to pcoa go to the access link.

        returned: what comes from endpoint is let through a little longer: it was held while the node moved,
        and then had to come by way of the router that the node has left.
        """
        self._tunnels.pop(pcoa, None)
        self._linger_no_more(pcoa)
        self._netlink.execute([self._no_route(pcoa)], ignore=GONE)
        if returned and self._loop is not None:
            timer = self._loop.call_later(_LINGER_S, self._shut, pcoa, endpoint)
            self._lingering[pcoa] = (endpoint, timer)
        else:
            self._shut(pcoa, endpoint)

    def _linger_no_more(self, pcoa: IPv6Address) -> IPv6Address | None:
        """The endpoint that packets from pcoa may still come from."""
        endpoint, timer = self._lingering.pop(pcoa, (None, None))
        if timer is not None:
            timer.cancel()
        return endpoint

    def _shut(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        self._linger_no_more(pcoa)
        gone = [self._tunnelling.forward_inner(pcoa, add=False), *self._accept_no_more(endpoint)]
        try:
            self._netlink.execute(gone, ignore=GONE)
        except KernelError as error:
            _log.error("the end of the tunnel of %s: %s", pcoa, error)

    def add_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """What par tunnels to us for pcoa goes to the access link; what comes from pcoa there goes to par."""
        if pcoa in self._host_routes:
            self.remove_host_route(pcoa, self._host_routes[pcoa][0])
        used = {table for _, table in self._host_routes.values()}
        table = next(t for t in count(_FIRST_TABLE) if t not in used)
        self._host_routes[pcoa] = (par, table)
        self._netlink.execute(
            [
                self._tunnelling.towards(DEFAULT, par, local=self._address, oif=self._backbone, table=table),
                self._from_access(pcoa, table),
                m.route(host(pcoa), oif=self._access),
                self._tunnelling.forward_inner_to(pcoa),
                self._accept(par),
            ],
            ignore=(errno.EEXIST,),
        )

    def remove_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """Both directions end."""
        _, table = self._host_routes.pop(pcoa, (par, _FIRST_TABLE))
        messages = [
            self._tunnelling.forward_inner_to(pcoa, add=False),
            self._no_route(pcoa),
            self._from_access(pcoa, table, add=False),
            m.route(DEFAULT, table=table, add=False),
        ]
        self._netlink.execute([*messages, *self._accept_no_more(par)], ignore=GONE)

    def hold(self, pcoa: IPv6Address) -> None:
        """Packets to a node that has left wait until its tunnel stands; not where the kernel is to buffer."""
        if self._room is not None and pcoa not in self._room:
            self._netlink.execute(self._room.begin(pcoa, ahead=False), ignore=(errno.EEXIST,))

    def release(self, pcoa: IPv6Address) -> None:
        """There is no new tunnel: what was held goes into the one that stands, or to the access link."""
        if self._room is not None:
            go = self._room.left if pcoa in self._tunnels else self._room.arrived
            go(pcoa)

    def expect(self, ncoa: IPv6Address, *, buffer: bool = True) -> None:
        """Let packets to ncoa wait, also those of a tunnel of ncoa.

        buffer: the PAR asked for a buffer; without, the kernel's queue of an unresolved neighbour has to do.
        """
        if buffer and self._room is not None:
            messages = self._room.begin(ncoa, ahead=True)
        else:
            messages = [*self._await(ncoa), self._here(ncoa)]
        self._netlink.post(messages, ignore=(errno.EEXIST, *GONE))  # a `defend` follows

    def defend(self, ncoa: IPv6Address) -> None:
        """Answer for ncoa, whose packets wait, on the access link."""
        waits_here = self._room is not None and ncoa in self._room
        messages = self._await(ncoa) if waits_here else []
        self._netlink.execute([*messages, self._defend(ncoa)], ignore=(errno.EEXIST, *GONE))
        self._netlink.confirm()

    def _await(self, ncoa: IPv6Address) -> list[bytes]:
        # the entry is INCOMPLETE by our word, so that nobody is solicited who is known not to be here
        return [self._forget_node(ncoa), self._wait(ncoa)]

    def admit(self, ncoa: IPv6Address, lla: bytes) -> None:
        """The node is there: what waits goes to this link-layer address, also if ncoa has a tunnel still."""
        messages = [self._stale(ncoa, lla), self._defend_no_more(ncoa)]
        if ncoa in self._tunnels:  # remove_tunnel does the rest
            messages.append(self._no_route(ncoa))
        self._netlink.execute(messages, ignore=GONE)
        if self._room is not None and ncoa in self._room:
            self._room.arrived(ncoa, lla)
        else:
            self._netlink.execute([self._not_here(ncoa)], ignore=GONE)

    def forget(self, ncoa: IPv6Address) -> None:
        """The node did not come: what waits is dropped, and a tunnel of ncoa is in use again."""
        messages = [self._defend_no_more(ncoa), self._forget_node(ncoa), self._not_here(ncoa)]
        self._netlink.execute(messages, ignore=GONE)
        if self._room is not None:
            self._room.drop(ncoa)

    def close(self) -> None:
        """Remove every tunnel and proxy entry, and put the access link's settings back."""
        for pcoa in tuple(self._lingering):
            self._linger_no_more(pcoa)
        with ExitStack() as undo:
            undo.callback(self._tunnelling.close)
            undo.callback(sweep, self._netlink)
            if self._room is not None:
                undo.enter_context(closing(self._room))
            for name, value in self._before.items():
                with suppress(FileNotFoundError):  # the interface is gone
                    sysctl(name, value)

    def _from_access(self, pcoa: IPv6Address, table: int, *, add: bool = True) -> bytes:
        return m.rule(_PREFERENCE_HOST_ROUTE, table=table, source=pcoa, iif=self._access_name, add=add)

    def _accept_no_more(self, peer: IPv6Address) -> list[bytes]:
        """Nothing if something else is still tunnelled between us."""
        needed = {*self._tunnels.values(), *(par for par, _ in self._host_routes.values())}
        needed |= {endpoint for endpoint, _ in self._lingering.values()}
        return [] if peer in needed else [self._accept(peer, add=False)]

    def _accept(self, peer: IPv6Address, *, add: bool = True) -> bytes:
        return self._tunnelling.accept(self._address, peer, add=add)
