"""tests/net.py with a mobile node on two links: the last router's access point is the other link's."""

from ipaddress import IPv6Address
from typing import Any, cast

from attrs import define, evolve, field
from net import Net, Radio
from net_nodes import LINK, MN_LLA, MobileHost, Packet, RouterNode, poa_of, prefix_of
from net_runner import Runner

from lies.events import CareOfAddressChanged, DownReason, Link, LinkGoingDown, Quality, Technology
from lies.link_policy import LinkPolicy, PreferredLinks, ReportedLinks
from lies.links import Raise
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.access_router import AccessRouter
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import MobileNodeConfig, NodeLink, eui64
from lies_fmipv6.policy import Policy
from lies_fmipv6.vertical import VerticalNode
from lies_mipv6.links import Links, Move

CELL = Link("wwan0", Technology.LTE)
CELL_LLA = bytes.fromhex("020000009901")
CELL_LINK = NodeLink("wwan0", CELL_LLA, eui64(CELL_LLA))


@define(eq=False)
class VerticalHost(MobileHost):
    """A mobile node whose addresses are each of a link; Mobile IPv6 follows what FMIPv6 reports."""

    link_policy: LinkPolicy = field(factory=PreferredLinks)
    here: str = "wlan0"
    links: dict[IPv6Address, str] = field(factory=dict)
    between: Runner = field(init=False)
    leaving: dict[IPv6Address, IPv6Address] = field(factory=dict)  # prepared ncoa -> pcoa
    raised: list[Raise] = field(factory=list)
    whys: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.between = Runner(self.net, Links((LINK.name, CELL.name), ReportedLinks()), self._follow)

    def make_engine(self) -> MobileNode:
        """One for two links."""
        return VerticalNode(self.config, self.net.parameters, self.policy, self.link_policy)

    def perform(self, action: fa.MobileNodeAction) -> None:
        """Keep which address is of which link, and change the model as the action says."""
        match action:
            case fa.UseLink(link, why):
                self.here = link
                self.whys += [why] if why else []
                return
            case Raise(name):
                self.raised += [action] if name != LINK.name else []  # that one connects by itself
                return
            case fa.RequestConnect(link) | fa.RequestPoAList(link):
                radio = cast("VerticalNet", self.net).radios[link]
                radio.connect(action.poa) if isinstance(action, fa.RequestConnect) else radio.list_poas()
                return
            case fa.UseRouter(coa):
                self.links[coa] = self.here
            case fa.PrepareHandover(pcoa, ncoa):
                self.links[ncoa] = action.link or self.here
                self.leaving[ncoa] = pcoa
            case fa.CompleteHandover(_, ncoa):
                self.links.setdefault(ncoa, self.here)
            case fa.EndTunnel(pcoa, ncoa) if self.leaving.get(ncoa) == pcoa:
                self.prepared.pop(ncoa, None)
            case _:
                pass
        super().perform(action)

    def moved(self, report: CareOfAddressChanged) -> None:
        """For Mobile IPv6."""
        self.between.feed(report)

    def _follow(self, action: Raise | Move) -> None:
        assert isinstance(action, Move)
        self.mip.feed(action.moved)


class Silent(Runner):
    """A router without LIES."""

    def feed(self, item: Any) -> None:
        """Nothing is heard."""


class VerticalNet(Net):
    """Routers of the Wi-Fi, and one, the last, of the cellular network.

    fast False: the others know that it does no FMIPv6, and it answers nobody; unknown: they do not know it.
    """

    mobile: VerticalHost

    def __init__(
        self,
        routers: int = 2,
        *,
        fast: bool = True,
        unknown: bool = False,
        link_policy: LinkPolicy | None = None,
        cell: NodeLink = CELL_LINK,
        **more: Any,
    ) -> None:
        self.radios: dict[str, Radio] = {}
        self._link_policy = link_policy or PreferredLinks()
        super().__init__(routers, others=(cell,), **more)
        self.llas = frozenset({MN_LLA, CELL_LLA})
        self.cell = Radio(self, CELL, CELL_LLA)
        self.radios = {"wlan0": self.radio, "wwan0": self.cell}
        self.cell_poa = poa_of(routers)
        self._change_neighbours(fast=fast, unknown=unknown)
        del self.radio.qualities[self.cell_poa]
        self.cell.qualities = {self.cell_poa: Quality.GOOD}

    def _change_neighbours(self, *, fast: bool, unknown: bool) -> None:
        *others, cell = self.routers
        if not fast:
            others.append(cell)
            cell.runner = Silent(self, cell.engine, cell.perform)
        for router in others if unknown or not fast else ():
            kept = [n for n in router.config.neighbours if not unknown or n.address != cell.config.address]
            changed = (evolve(n, fast_handover=fast) if n.address == cell.config.address else n for n in kept)
            router.config = evolve(router.config, neighbours=tuple(changed))
            if router is not cell:
                router.runner = Runner(self, AccessRouter(router.config, self.parameters), router.perform)

    def make_mobile(self, config: MobileNodeConfig, policy: Policy) -> VerticalHost:
        """The mobile node."""
        return VerticalHost(self, config, policy, link_policy=self._link_policy)

    def radio_at(self, router: RouterNode) -> Radio | None:
        """The link by which the mobile node is at a router now."""
        return next((r for r in self.radios.values() if self.router_at(r.poa) is router), None)

    def radio_of(self, packet: Packet) -> Radio:
        """That of the source address, else the one in use."""
        return self.radios[self.mobile.links.get(packet.source, self.mobile.here)]

    def indicated(self, event: Any) -> None:
        """A link's indication, for both consumers."""
        super().indicated(event)
        self.mobile.between.feed(event)

    def going_down(self, in_ms: float = 500.0) -> None:
        """The Wi-Fi is about to end, and hears nothing else."""
        self.radio.indicate(LinkGoingDown, self.radio.poa, in_ms, 0.9, DownReason.FADING)

    def find_address(self) -> IPv6Address:
        """Another program has given the cellular link an address."""
        number = next(r.number for r in self.routers if poa_of(r.number) == self.cell_poa)
        address = prefix_of(number)[0x77]
        self.mobile.addresses.add(address)
        self.mobile.fmip.feed(fi.AddressFound(CELL.name, address, prefix_of(number)[1]))
        return address
