"""The access router's engine of FMIPv6, previous and new router in one (RFC 5568 sections 4 and 6.1)."""

from collections import Counter
from ipaddress import IPv6Address, IPv6Network

from lies.timers import earliest
from lies_fmipv6.actions import AccessRouterAction as Action
from lies_fmipv6.actions import SendMessage
from lies_fmipv6.items import AccessRouterItem as Item
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    AccessPointInfo,
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    OptionCode,
    PrefixInformation,
    PrRtAdv,
    PrRtAdvCode,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.new_router import NewRouter
from lies_fmipv6.parameters import ALL_NODES, UNSPECIFIED, AccessRouterConfig, Parameters
from lies_fmipv6.previous_router import PreviousRouter

_HEADERS = 40 + 8 + 16  # IPv6, PrRtAdv, the router's own LLA option
_ADDRESS_OPTION = 24  # RFC 5568 section 6.4.1


def _lla_option(octets: int) -> int:
    """Length of an LLA option in octets (RFC 5568 section 6.4.3)."""
    return -(-(3 + octets) // 8) * 8


class AccessRouter:
    """Answers RS and RtSolPr, hands nodes over to neighbours and takes them in.

    Driven by messages received and time; see lies_fmipv6.items, lies_fmipv6.actions and spec/fmipv6.mmd.
    `dropped` counts messages that were not acted on, by cause.
    """

    def __init__(self, config: AccessRouterConfig, parameters: Parameters | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._c = config
        self._p = parameters or Parameters()
        self._new = NewRouter(config, self._p, drop=self._drop, comes=self._comes)
        self._previous = PreviousRouter(
            config, self._p, drop=self._drop, left=self._new.left, here=self._new.admit
        )
        self._llas: dict[IPv6Address, bytes] = {}
        self._advertise_at = 0.0 if config.advertise_interval_s is not None else None
        self._infos = self._neighbourhood()

    @property
    def bindings(self) -> int:
        """PCoAs that are tunnelled away, or about to be."""
        return self._previous.bindings

    @property
    def expected(self) -> int:
        """Nodes that are awaited."""
        return self._new.expected

    def receive(self, item: Item, now: float) -> list[Action]:
        """What follows from a message."""
        actions: list[Action] = []  # of messages for mobile nodes, and other routers' advertisements
        match item.message:
            case FastBindingUpdate() as fbu:
                lla = item.link_layer if item.source == fbu.home_address else None
                lla = lla or self._llas.get(fbu.home_address)
                actions = self._previous.fast_binding_update(item, fbu, lla, now)
            case HandoverAcknowledge() as ack:
                actions = self._previous.handover_acknowledge(item, ack, now)
            case HandoverInitiate() as hi:
                actions = self._new.handover_initiate(item, hi, now)
            case UnsolicitedNeighbourAdvertisement() as una:
                actions = self._announced(item, una, now)
            case RtSolPr() as solicitation:
                actions = self._solicited(item, solicitation)
            case RouterSolicitation(source_lla):
                actions = [self._advertisement(item.source, source_lla)]
        return actions

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        return earliest(self._previous.timers.next(), self._new.timers.next(), self._advertise_at)

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        actions: list[Action] = []
        while (key := self._previous.timers.pop_due(now)) is not None:
            actions += self._previous.timeout(*key, now)
        while (ncoa := self._new.timers.pop_due(now)) is not None:
            # a tunnel that this router still has for the address would lead back to who announced the node
            actions += [*self._previous.returned(ncoa, now), *self._new.timeout(ncoa)]
        if self._advertise_at is not None and self._advertise_at <= now:
            assert self._c.advertise_interval_s is not None
            self._advertise_at = now + self._c.advertise_interval_s
            actions.append(self._advertisement(UNSPECIFIED, None))
        return actions

    def _announced(self, item: Received, una: UnsolicitedNeighbourAdvertisement, now: float) -> list[Action]:
        if self._previous.bound(una.target) is None:
            return self._new.announced(item, una)
        if not self._new.awaits(una.target):
            # its packets are tunnelled away; a UNA, which anybody on the link can send, does not end that:
            # the node's FBU with lifetime 0 does (5.6)
            self._drop("UNA for an address that is tunnelled away")
            return []
        admitted = self._new.announced(item, una)
        return [*self._previous.returned(una.target, now), *admitted] if admitted else []

    def _comes(self, ncoa: IPv6Address, is_here: bool, now: float) -> list[Action]:
        """A PAR says that the node of an address of this link comes, or is, here (4)."""
        if is_here:
            return self._previous.returned(ncoa, now)
        self._previous.comes_back(ncoa, now)
        return []

    def _solicited(self, item: Received, solicitation: RtSolPr) -> list[Action]:
        if item.source == UNSPECIFIED:
            self._drop("RtSolPr without a source")
            return []
        lla = solicitation.source_lla or item.link_layer
        if lla is not None:
            self._llas.pop(item.source, None)
            self._llas[item.source] = lla
            if len(self._llas) > self._c.max_known_nodes:
                del self._llas[next(iter(self._llas))]
        if solicitation.wildcard:
            wanted = [i for i in self._infos.values() if i.option_code == OptionCode.TUPLE_FOLLOWS]
        else:
            wanted = [
                self._infos.get(ap, AccessPointInfo(ap, OptionCode.UNKNOWN))
                for ap in solicitation.access_points
            ]
        infos = self._that_fit(wanted)
        if not infos:
            self._drop("RtSolPr that asks for nothing that is known")
            return []
        tuples = sum(i.option_code == OptionCode.TUPLE_FOLLOWS for i in infos)
        code = PrRtAdvCode.PARTIAL
        if tuples in {0, len(infos)}:
            code = PrRtAdvCode.TUPLES if tuples else PrRtAdvCode.NO_ROUTER_INFORMATION
        answer = PrRtAdv(code, solicitation.identifier, self._c.lla, infos)
        return [SendMessage(answer, self._c.link_local, item.source, lla)]

    def _that_fit(self, infos: list[AccessPointInfo]) -> tuple[AccessPointInfo, ...]:
        """As many tuples as the link's MTU lets through (4, item 4)."""
        room = self._c.mtu - _HEADERS
        fit: list[AccessPointInfo] = []
        for info in infos:
            room -= _lla_option(len(info.access_point))
            if info.router_lla is not None:
                room -= _lla_option(len(info.router_lla)) + 2 * _ADDRESS_OPTION
            if room < 0:
                break
            fit.append(info)
        return tuple(fit)

    def _neighbourhood(self) -> dict[bytes, AccessPointInfo]:
        infos: dict[bytes, AccessPointInfo] = {}
        for n in self._c.neighbours:
            for ap in n.access_points:
                infos[ap] = (
                    AccessPointInfo(ap, OptionCode.TUPLE_FOLLOWS, n.lla, n.address, n.prefix)
                    if n.fast_handover
                    else AccessPointInfo(ap, OptionCode.NO_FAST_HANDOVER)
                )
        infos.update((ap, AccessPointInfo(ap, OptionCode.SAME_INTERFACE)) for ap in self._c.access_points)
        return infos

    def _advertisement(self, to: IPv6Address, lla: bytes | None) -> SendMessage:
        c = self._c
        life_s = c.prefix_lifetime_s
        own = c.address if c.address in c.prefix else None
        prefixes = [PrefixInformation(c.prefix, life_s, life_s, router=own)]
        if own is None:  # the R flag's address must lie in its prefix (RFC 6275 section 7.2)
            host = IPv6Network(c.address)
            prefixes.append(
                PrefixInformation(host, life_s, life_s, on_link=False, autonomous=False, router=c.address)
            )
        ra = RouterAdvertisement(lifetime_s=c.router_lifetime_s, source_lla=c.lla, prefixes=tuple(prefixes))
        if to == UNSPECIFIED:
            return SendMessage(ra, c.link_local, ALL_NODES)
        return SendMessage(ra, c.link_local, to, lla)

    def _drop(self, cause: str) -> None:
        self.dropped[cause] += 1
