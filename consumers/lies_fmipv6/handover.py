"""One handover of a mobile node: from where to where, how far it is, and when each step was."""

from ipaddress import IPv6Address, IPv6Network

from attrs import define

from lies.events import CareOfAddressChanged, HandoverDone, Header, Link
from lies.packet import text_of
from lies.values import value
from lies_fmipv6.actions import (
    AbandonHandover,
    CompleteHandover,
    EndTunnel,
    PrepareHandover,
    Publish,
    SendMessage,
)
from lies_fmipv6.exchange import FbuExchange
from lies_fmipv6.messages import UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES, NodeLink

_NS = 1_000_000_000


def to_ns(now: float) -> int:
    """Engine time in ns."""
    return round(now * _NS)


@value
class Router:
    """The access router that a mobile node is attached to.

    address: global, None where it is not known (then there is no fast handover away from it).
    """

    address: IPv6Address | None
    link_local: IPv6Address | None
    lla: bytes | None
    prefix: IPv6Network

    @property
    def next_hop(self) -> IPv6Address:
        """Where packets to everywhere go."""
        return self.link_local or self.address or self.prefix.network_address


@define
class Handover:
    """Mutable record of one handover.

    par: the previous router's address as far as it is known; home: that router, whose link pcoa is of; kept:
    pcoa stays in use at the new router; dhcp: there addresses come by DHCP, and ncoa is for the FBU only;
    link: of ncoa; vertical: pcoa is of another one; alone: without FMIPv6, so that there is no tunnel.
    """

    from_poa: str | None
    to_poa: str
    pcoa: IPv6Address
    ncoa: IPv6Address
    par: IPv6Address
    nar: Router
    link: NodeLink
    mode: str = "none"
    exchange: FbuExchange | None = None
    granted_s: int | None = None  # by the FBack on the old link
    fbu_ns: int | None = None
    fback_ns: int | None = None
    connect_ns: int | None = None
    link_down_ns: int | None = None
    link_up_ns: int | None = None
    una_ns: int | None = None
    home: Router | None = None
    kept: bool = False
    dhcp: bool = False
    vertical: bool = False
    alone: bool = False

    def prepare(self) -> PrepareHandover:
        """The action that builds it."""
        link = self.link.name if self.vertical else ""
        return PrepareHandover(self.pcoa, self.ncoa, self.par, self.nar.next_hop, self.nar.lla, link)

    def complete(self, *, tunnel: bool) -> CompleteHandover:
        """The action that makes it real."""
        return CompleteHandover(self.pcoa, self.ncoa, self.par, self.nar.next_hop, self.nar.lla, tunnel)

    def announce(self) -> SendMessage:
        """The UNA at the new link (6.3)."""
        address = self.pcoa if self.kept else self.ncoa
        return SendMessage(UnsolicitedNeighbourAdvertisement(address, self.link.lla), address, ALL_NODES)

    def abandon(self) -> list[AbandonHandover]:
        """The action that unbuilds it, unless that was done when PCoA was kept."""
        return [] if self.kept else [AbandonHandover(self.ncoa)]

    def end(self, *, keep_address: bool = False) -> EndTunnel:
        """The action that ends its tunnel."""
        return EndTunnel(self.pcoa, self.ncoa, self.par, keep_address)


class Reporter:
    """Makes reports: headers with the link's name and times on both clocks."""

    __slots__ = (
        "_link",
        "_wall_minus_mono_ns",
    )

    def __init__(self) -> None:
        self._link: Link | None = None
        self._wall_minus_mono_ns = 0

    def see(self, header: Header) -> None:
        """Learn the link and the distance of the clocks from an indication."""
        self._link = header.link
        self._wall_minus_mono_ns = header.wall_ns - header.mono_ns

    def address_changed(
        self,
        coa: IPv6Address,
        previous: IPv6Address | None,
        router: IPv6Address,
        par: IPv6Address | None,
        now: float,
    ) -> Publish:
        """CareOfAddressChanged; par: who tunnels `previous` from now on."""
        return Publish(
            CareOfAddressChanged(
                self._header(now),
                text_of(coa),
                text_of(previous) if previous else None,
                text_of(router),
                text_of(par) if par else None,
            )
        )

    def done(self, h: Handover, now: float) -> Publish:
        """HandoverDone."""
        return Publish(
            HandoverDone(
                self._header(now),
                h.mode,
                h.from_poa,
                h.to_poa,
                text_of(h.pcoa),
                text_of(h.ncoa),
                h.fbu_ns,
                h.fback_ns,
                h.connect_ns,
                h.link_down_ns,
                h.link_up_ns,
                h.una_ns,
            )
        )

    def _header(self, now: float) -> Header:
        assert self._link is not None  # nothing is reported before the first LinkUp
        ns = to_ns(now)
        return Header("", 0, 0, ns, ns + self._wall_minus_mono_ns, self._link)
