"""The access router's engine of FMIPv6, previous and new router in one (RFC 5568 sections 4 and 6.1)."""

from collections import Counter
from ipaddress import IPv6Address, IPv6Network

from lies.timers import Backoff, earliest
from lies_fmipv6.actions import AccessRouterAction as Action
from lies_fmipv6.actions import AdmitNode, Foreseen, SendMessage
from lies_fmipv6.items import AccessRouterItem as Item
from lies_fmipv6.items import Barred, OrderHandover, Received
from lies_fmipv6.messages import (
    FastBindingUpdate,
    HandoverAcknowledge,
    HandoverInitiate,
    Naack,
    NeighbourAdvertisement,
    PrefixInformation,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.neighbourhood import Neighbourhood
from lies_fmipv6.new_router import NewRouter
from lies_fmipv6.parameters import (
    ALL_NODES,
    UNSPECIFIED,
    AccessRouterConfig,
    Parameters,
    eui64,
    form_address,
)
from lies_fmipv6.previous_router import PreviousRouter


class AccessRouter:
    """Answers RS and RtSolPr, hands nodes over to neighbours and takes them in.

    Driven by messages received, orders to hand nodes over, and time; see lies_fmipv6.items,
    lies_fmipv6.actions and spec/fmipv6.mmd. `dropped` counts messages that were not acted on, by cause.
    """

    def __init__(self, config: AccessRouterConfig, parameters: Parameters | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._c = config
        self._p = parameters or Parameters()
        self._new = NewRouter(
            config, self._p, drop=self._drop, comes=self._comes, advertise=self._advertisement
        )
        self._previous = PreviousRouter(
            config,
            self._p,
            drop=self._drop,
            left=self._new.left,
            lets_go=self._new.lets_go,
            awaits=self._new.awaits,
            here=self._new.admit,
            owner=self._owner,
        )
        self._own = {form_address(config.prefix, eui64(lla)): lla for lla in config.keys}
        self._orders: dict[IPv6Address, tuple[SendMessage, Backoff]] = {}
        self._llas: dict[IPv6Address, bytes] = {}
        self._advertise_at = 0.0 if config.advertise_interval_s is not None else None
        self._neighbourhood = Neighbourhood(config)

    @property
    def bindings(self) -> int:
        """PCoAs that are tunnelled away, or about to be."""
        return self._previous.bindings

    @property
    def expected(self) -> int:
        """Nodes that are awaited."""
        return self._new.expected

    def key_for(self, pcoa: IPv6Address) -> bytes | None:
        """The handover key of the node that has a PCoA; None if there is none (RFC 5568 section 6.4.5)."""
        owner = self._owner(pcoa)
        return None if owner is None else self._c.keys[owner]

    def receive(self, item: Item, now: float) -> list[Action]:
        """What follows from a message or an order."""
        self._previous.begun = None
        if isinstance(item, OrderHandover):
            return self._order(item, now)
        if isinstance(item, Barred):
            return self._previous.barred(item.neighbour, now)
        actions: list[Action] = []  # of messages for mobile nodes, and other routers' advertisements
        match item.message:
            case FastBindingUpdate() as fbu:
                if self._orders and (item.authenticated or self._c.unproven):
                    self._orders.pop(fbu.home_address, None)
                lla = item.link_layer if item.source == fbu.home_address else None
                lla = lla or self._llas.get(fbu.home_address)
                actions = self._previous.fast_binding_update(item, fbu, lla, now)
            case HandoverAcknowledge() as ack:
                actions = self._previous.handover_acknowledge(item, ack, now)
            case HandoverInitiate() as hi:
                actions = self._new.handover_initiate(item, hi, now)
            case UnsolicitedNeighbourAdvertisement() as una:
                actions = self._announced(item, una, now)
            case NeighbourAdvertisement() as advertisement:
                actions = self._new.contradicted(advertisement.target, advertisement.lla, now)
            case RtSolPr() as solicitation:
                actions = self._solicited(item, solicitation)
            case RouterSolicitation(source_lla):
                actions = [self._advertisement(item.source, source_lla)]
                if self._c.announce and item.source != UNSPECIFIED:
                    actions += [
                        SendMessage(adv, self._c.link_local, item.source, source_lla)
                        for adv in self._neighbourhood.unasked()
                    ]
        return actions

    def foresee(self) -> Foreseen | None:
        """What a HAck will be answered with, if an HI was sent for what was fed last.

        To be asked for when that HI has left, which need not wait for it.
        """
        return self._previous.foresee()

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        first, due = self._previous.timers.next(), self._new.timers.next()
        if due is not None and (first is None or due < first):
            first = due
        if self._advertise_at is None and not self._orders:
            return first
        return earliest(first, self._advertise_at, *(backoff.due for _, backoff in self._orders.values()))

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        actions: list[Action] = []
        while (key := self._previous.timers.pop_due(now)) is not None:
            actions += self._previous.timeout(*key, now)
        while (ncoa := self._new.timers.pop_due(now)) is not None:
            actions += self._new.timeout(ncoa, now)
        if self._orders:
            actions += self._orders_due(now)
        if self._advertise_at is not None and self._advertise_at <= now:
            assert self._c.advertise_interval_s is not None
            self._advertise_at = now + self._c.advertise_interval_s
            actions.append(self._advertisement(UNSPECIFIED, None))
        return actions

    def _announced(self, item: Received, una: UnsolicitedNeighbourAdvertisement, now: float) -> list[Action]:
        if self._previous.bound(una.target) is None:
            return self._new.announced(item, una, now)
        if not self._new.awaits(una.target):
            # its packets are tunnelled away; a UNA, which anybody on the link can send, does not end that:
            # the node's FBU with lifetime 0 does (5.6)
            self._drop("UNA for an address that is tunnelled away")
            return []
        actions = self._new.announced(item, una, now)
        admitted = any(isinstance(action, AdmitNode) for action in actions)  # else it is an impostor
        return [*self._previous.returned(una.target, now), *actions] if admitted else actions

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
        answers = self._neighbourhood.answers(solicitation)
        if not answers:
            self._drop("RtSolPr that asks for nothing that is known")
        return [SendMessage(answer, self._c.link_local, item.source, lla) for answer in answers]

    def _order(self, order: OrderHandover, now: float) -> list[Action]:
        """Network-initiated handover (3.3): packets go to the old link until the FBU comes."""
        adv = self._neighbourhood.order(order.access_point, order.ncoa)
        if adv is None or not self._c.has(order.node):
            self._drop("an order to move to where there is no fast handover")
            return []
        if order.node not in self._orders and len(self._orders) >= self._c.max_bindings:
            self._drop("one order too many")
            return []
        backoff = Backoff(now, self._p.first_wait_s, retries=self._p.order_retries)
        message = SendMessage(adv, self._c.link_local, order.node, self._llas.get(order.node))
        self._orders[order.node] = (message, backoff)
        return [message]

    def _orders_due(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for node, (message, backoff) in list(self._orders.items()):
            if backoff.due is None or backoff.due > now:
                continue
            if backoff.again(now):
                actions.append(message)
            else:
                del self._orders[node]
        return actions

    def _owner(self, pcoa: IPv6Address) -> bytes | None:
        """The link-layer address of the node that has a PCoA, if that has a handover key."""
        owner = self._own.get(pcoa) or self._new.assigned_to(pcoa)
        return owner if owner in self._c.keys else None

    def _advertisement(self, to: IPv6Address, lla: bytes | None, naack: Naack | None = None) -> SendMessage:
        c = self._c
        life_s = c.prefix_lifetime_s
        own = c.address if c.has(c.address) else None
        prefixes = [PrefixInformation(c.prefix, life_s, life_s, autonomous=not c.dhcp, router=own)]
        if own is None:  # the R flag's address must lie in its prefix (RFC 6275 section 7.2)
            host = IPv6Network(c.address)
            prefixes.append(
                PrefixInformation(host, life_s, life_s, on_link=False, autonomous=False, router=c.address)
            )
        ra = RouterAdvertisement(
            lifetime_s=c.router_lifetime_s, source_lla=c.lla, prefixes=tuple(prefixes), naack=naack
        )
        if to == UNSPECIFIED:
            return SendMessage(ra, c.link_local, ALL_NODES)
        return SendMessage(ra, c.link_local, to, lla)

    def _drop(self, cause: str) -> None:
        self.dropped[cause] += 1
