"""The mobile node's kernel state: one routing table per care-of address, a hold, and a reverse tunnel.

Every care-of address has a table of its own, chosen by source address, and a second one for packets that
come out of the hold. A handover replaces the default routes of these tables and nothing else, so what
sockets and tunnels have cached is looked up anew (a new rule would not do that).
"""

import errno
import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing
from ipaddress import IPv6Address

from attrs import define, frozen

from lies.kernel import messages as m
from lies.kernel.encapsulation import open_tunnels
from lies.kernel.interfaces import index_of
from lies.kernel.kinds import TunnelKind
from lies.kernel.leftovers import sweep
from lies.kernel.netlink import KernelError, Netlink
from lies.kernel.sources import OuterSources
from lies.kernel.tunnels import (
    DEFAULT,
    GONE,
    Hold,
    Lane,
)

_log = logging.getLogger("lies.fmipv6")
_FIRST_TABLE = 52000
_TABLES = 512
_PREFERENCE_DRAIN = 89
_PREFERENCE_CARE_OF = 90
_HOLD_OCTETS = 8 << 20


@frozen
class _Link:
    """An interface of the node, and the sources of tunnels that leave by it."""

    index: int
    sources: OuterSources


@frozen
class _Completion:
    """Finished messages of a handover from par."""

    par: IPv6Address
    back: list[bytes]  # an address that was there before has its own way again, which the tunnel takes
    tunnel: list[bytes]  # they open the tunnel and let go what waits
    own: list[bytes]  # the new router's


@define
class _CareOf:
    """One care-of address: its tables, and the way out on its own link.

    neighbours: the addresses that its router was known by here, each with a neighbour entry of ours; router:
    None where there is none between; theirs: the address is another program's.
    """

    link: _Link
    table: int
    router: IPv6Address | None
    lane: Lane
    neighbours: set[IPv6Address]
    theirs: bool = False

    @property
    def drain(self) -> int:
        return self.table + 1


class MobilePlane:
    """Carries out the data-plane actions of lies_fmipv6.actions on its links; KernelError where it cannot.

    link: the one that is used first; others: further ones. Begins by removing what a plane that was killed
    has left in this namespace.
    """

    def __init__(
        self,
        netlink: Netlink,
        link: str,
        tunnels: TunnelKind = TunnelKind.AUTO,
        others: Sequence[str] = (),
    ) -> None:
        self._netlink = netlink
        indices = {name: index_of(name) for name in (link, *others)}
        self._links = {name: _Link(index, OuterSources(index)) for name, index in indices.items()}
        self._here = self._links[link]
        sweep(netlink)
        with ExitStack() as undo:
            self._hold = undo.enter_context(closing(Hold(netlink, octets=_HOLD_OCTETS)))
            self._tunnelling = open_tunnels(netlink, tunnels, only_known_inner=False)
            undo.pop_all()
        self._care_of: dict[IPv6Address, _CareOf] = {}
        self._tunnels: dict[IPv6Address, tuple[IPv6Address, IPv6Address]] = {}  # pcoa -> (ncoa, par)
        self._held: set[IPv6Address] = set()
        self._prepared: dict[tuple[IPv6Address, IPv6Address], _Completion] = {}
        self._known_before: set[IPv6Address] = set()

    @property
    def addresses(self) -> tuple[IPv6Address, ...]:
        """The care-of addresses that the node has now."""
        return tuple(self._care_of)

    @property
    def own_addresses(self) -> tuple[IPv6Address, ...]:
        """Those of them that no other program has given the node."""
        return tuple(coa for coa, care_of in self._care_of.items() if not care_of.theirs)

    def use_link(self, link: str) -> None:
        """New addresses are of this link."""
        self._here = self._links[link]

    def use_router(
        self, coa: IPv6Address, router: IPv6Address | None, router_lla: bytes | None, *, theirs: bool = False
    ) -> None:
        """The router becomes the default route of coa, a new address, and of the node."""
        known = self._care_of.get(coa)
        if known is not None and known.link is not self._here:  # it stays in use on another link than its own
            self._remove(coa)
        self._netlink.execute(self._address(coa, router, router_lla, theirs=theirs), ignore=(errno.EEXIST,))
        care_of = self._care_of[coa]
        self._netlink.execute([*self._own_way(care_of), self._main(care_of, router)])
        if coa in self._held:
            self.release(coa)

    def prepare(
        self,
        pcoa: IPv6Address,
        ncoa: IPv6Address,
        par: IPv6Address,
        nar: IPv6Address,
        nar_lla: bytes | None,
        link: str = "",
    ) -> None:
        """Build what the move to nar needs; nothing that is sent changes its way yet."""
        of = self._links[link] if link else self._here
        if ncoa in self._care_of:
            self._known_before.add(ncoa)
            self._netlink.execute(self._neighbour(self._care_of[ncoa], nar, nar_lla))
        else:
            self._netlink.execute(self._address(ncoa, nar, nar_lla, of), ignore=(errno.EEXIST,))
            self._netlink.execute(self._own_way(self._care_of[ncoa]))
        self._prepared[pcoa, ncoa] = self._completion(pcoa, ncoa, par, nar)
        setup = [
            *self._care_of[ncoa].link.sources.choose(par, ncoa),
            *self._tunnelling.guard(ncoa),
            self._tunnelling.accept(ncoa, par),
        ]
        self._netlink.execute(setup, ignore=(errno.EEXIST, *GONE))

    def hold(self, pcoa: IPv6Address) -> None:
        """What is sent from pcoa waits."""
        if (care_of := self._care_of.get(pcoa)) is not None and pcoa not in self._held:
            self._netlink.execute(care_of.lane.take)
            self._held.add(pcoa)

    def release(self, pcoa: IPv6Address) -> None:
        """What waits, and what comes, goes out on pcoa's own link."""
        if (care_of := self._care_of.get(pcoa)) is None:
            return
        self._held.discard(pcoa)
        table, drain = self._own_way(care_of)
        self._netlink.execute([drain, *care_of.lane.let_go, table])

    def complete(  # as CompleteHandover has them
        self,
        pcoa: IPv6Address,
        ncoa: IPv6Address,
        par: IPv6Address,
        nar: IPv6Address,
        nar_lla: bytes | None,
        *,
        tunnel: bool,
    ) -> None:
        """At nar: with `tunnel`, what waits and comes from pcoa goes through par; without, it still waits."""
        prepared = self._prepared.pop((pcoa, ncoa), None)
        if prepared is None:
            self.prepare(pcoa, ncoa, par, nar, nar_lla)
            prepared = self._prepared.pop((pcoa, ncoa))
        if not tunnel:
            self._netlink.execute(prepared.own)
            self._prepared[pcoa, ncoa] = prepared
        else:
            self._netlink.execute([*prepared.back, *prepared.tunnel, *prepared.own])
            self._held.discard(pcoa)
            self._tunnels[pcoa] = (ncoa, par)
        self._known_before.discard(ncoa)

    def end_tunnel(
        self, pcoa: IPv6Address, ncoa: IPv6Address, par: IPv6Address, *, keep_address: bool
    ) -> None:
        """The tunnel with par is gone, and pcoa with it unless it is in use on its own link again."""
        self._prepared.pop((pcoa, ncoa), None)
        self._tunnels.pop(pcoa, None)
        self._close_end(ncoa, par)
        care_of = self._care_of.get(pcoa)
        if care_of is None:
            return
        if keep_address:
            self._netlink.execute(self._own_way(care_of))
        else:
            self._remove(pcoa)

    def abandon(self, ncoa: IPv6Address) -> None:
        """What `prepare` built for ncoa goes, unless the address was there before."""
        for key in [k for k in self._prepared if k[1] == ncoa]:
            self._close_end(ncoa, self._prepared.pop(key).par)
        if ncoa in self._known_before:
            self._known_before.discard(ncoa)
        elif ncoa in self._care_of:
            self._remove(ncoa)

    def drop(self, coa: IPv6Address) -> None:
        """The address may not be used: it goes, with all that is only its own."""
        if coa in self._care_of:
            self._remove(coa)

    def close(self) -> None:
        """Remove everything."""
        with ExitStack() as undo:
            undo.callback(self._tunnelling.close)
            undo.callback(self._hold.close)
            undo.callback(sweep, self._netlink)
            labels = [message for link in self._links.values() for message in link.sources.forget_all()]
            self._netlink.execute(labels, ignore=GONE)

    def _ends(self) -> set[tuple[IPv6Address, IPv6Address]]:
        """(ncoa, par) of every tunnel that is open or prepared."""
        return {*self._tunnels.values(), *((n, c.par) for (_, n), c in self._prepared.items())}

    def _address(
        self,
        coa: IPv6Address,
        router: IPv6Address | None,
        router_lla: bytes | None,
        link: _Link | None = None,
        *,
        theirs: bool = False,
    ) -> list[bytes]:
        link = link or self._here
        known = self._care_of.get(coa)
        table = known.table if known is not None else self._free_table()
        neighbours = known.neighbours if known is not None else set()
        lane = self._hold.lane(table, table + 1)
        care_of = self._care_of[coa] = _CareOf(link, table, router, lane, neighbours, theirs)
        messages = [] if theirs else [m.address(link.index, coa)]
        messages += self._neighbour(care_of, router, router_lla)
        messages.append(m.rule(_PREFERENCE_CARE_OF, table=table, source=coa))
        messages.append(m.rule(_PREFERENCE_DRAIN, table=table + 1, source=coa, iif=self._hold.out_name))
        return messages

    def _close_end(self, ncoa: IPv6Address, par: IPv6Address) -> None:
        """Open nothing from par at ncoa any more, unless another handover between them needs it."""
        ends = self._ends()
        gone = [] if (ncoa, par) in ends else [self._tunnelling.accept(ncoa, par, add=False)]
        if all(par != other for _, other in ends):
            gone += [message for link in self._links.values() for message in link.sources.forget(par)]
        self._netlink.execute(gone, ignore=GONE)

    def _neighbour(
        self, care_of: _CareOf, router: IPv6Address | None, router_lla: bytes | None
    ) -> list[bytes]:
        if router is None or router_lla is None:
            return []
        care_of.neighbours.add(router)
        # permanent: it outlives the loss of carrier
        return [m.neighbour(care_of.link.index, router, router_lla)]

    def _own_way(self, care_of: _CareOf) -> list[bytes]:
        return [
            m.route(DEFAULT, table=table, oif=care_of.link.index, via=care_of.router)
            for table in (care_of.table, care_of.drain)
        ]

    def _main(self, care_of: _CareOf, router: IPv6Address | None) -> bytes:
        return m.route(DEFAULT, oif=care_of.link.index, via=router)

    def _completion(
        self, pcoa: IPv6Address, ncoa: IPv6Address, par: IPv6Address, nar: IPv6Address
    ) -> _Completion:
        new = self._care_of[ncoa]
        new.router = nar
        old = self._care_of.get(pcoa)
        tunnel: list[bytes] = []
        if old is not None:
            oif = new.link.index
            drain = self._tunnelling.towards(DEFAULT, par, local=ncoa, oif=oif, table=old.drain)
            # what is sent from now on goes the same way behind what waited, until the tunnel ends
            tunnel = [drain, *old.lane.let_go]
        own = self._own_way(new)
        back = own if ncoa in self._known_before else []
        return _Completion(par, back, tunnel, [*own, self._main(new, nar)])

    def _remove(self, coa: IPv6Address) -> None:
        care_of = self._care_of.pop(coa)
        self._held.discard(coa)
        messages = [
            m.rule(_PREFERENCE_CARE_OF, table=care_of.table, source=coa, add=False),
            m.rule(_PREFERENCE_DRAIN, table=care_of.drain, source=coa, iif=self._hold.out_name, add=False),
            m.route(DEFAULT, table=care_of.table, add=False),
            m.route(DEFAULT, table=care_of.drain, add=False),
            *care_of.lane.forget,
            *(message for link in self._links.values() for message in link.sources.forget(coa)),
        ]
        if not care_of.theirs:
            messages.append(m.address(care_of.link.index, coa, add=False))
        index, same = care_of.link.index, [o for o in self._care_of.values() if o.link is care_of.link]
        others = {router for other in same for router in other.neighbours}
        messages += [m.neighbour(index, r, add=False) for r in care_of.neighbours - others]
        self._execute_all(messages)

    def _execute_all(self, messages: Sequence[bytes]) -> None:
        try:
            self._netlink.execute(messages, ignore=GONE)
        except KernelError as error:
            _log.warning("clearing up: %s", error)

    def _free_table(self) -> int:
        used = {c.table for c in self._care_of.values()}
        for table in range(_FIRST_TABLE, _FIRST_TABLE + 2 * _TABLES, 2):
            if table not in used:
                return table
        raise KernelError(errno.ENOSPC, "another care-of address", f"more than {_TABLES} at once")
