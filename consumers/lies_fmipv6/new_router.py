"""An access router as the new one: HI in, HAck out, proxy entry, UNA in (RFC 5568 section 4)."""

from collections.abc import Callable
from ipaddress import IPv6Address

from lies.packet import address_of
from lies.timers import Timers
from lies_fmipv6.actions import AccessRouterAction as Action
from lies_fmipv6.actions import (
    AddHostRoute,
    AdmitNode,
    DefendNode,
    ExpectNode,
    ForgetNode,
    RemoveHostRoute,
    SendMessage,
)
from lies_fmipv6.guests import Asked, Guest, Guests
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
    HICode,
    Naack,
    NaackStatus,
    NeighbourSolicitation,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.parameters import (
    UNSPECIFIED,
    AccessRouterConfig,
    Duplicates,
    Neighbour,
    Parameters,
    solicited_node,
)
from lies_fmipv6.states import ExpectedEvent, ExpectedState


class NewRouter:
    """The nodes that are to come to this router's link, and those that came.

    drop counts a message that was not acted on; comes is called with an NCoA and whether its node is already
    here, when a PAR says so: this router may still tunnel that address away itself; advertise makes the
    Router Advertisement with a NAACK to an address and a link-layer address.
    """

    def __init__(
        self,
        config: AccessRouterConfig,
        parameters: Parameters,
        *,
        drop: Callable[[str], None],
        comes: Callable[[IPv6Address, bool, float], list[Action]],
        advertise: Callable[[IPv6Address, bytes, Naack], Action],
    ) -> None:
        self._c = config
        self._p = parameters
        self._drop = drop
        self._comes = comes
        self._advertise = advertise
        self._guests = Guests(config, parameters)
        self._nodes = self._guests.by_address
        self._routed: dict[bytes, IPv6Address] = {}  # link-layer address -> PCoA that has a host route
        self._neighbours = {n.address: n for n in config.neighbours}
        self._undefended: DefendNode | None = None  # to come behind the HAck
        self.timers: Timers[bytes] = Timers()  # octets of addresses are found more quickly than addresses

    @property
    def expected(self) -> int:
        """How many nodes are awaited."""
        return self._guests.expected

    def awaits(self, ncoa: IPv6Address) -> bool:
        """Whether a PAR announced the node of this address, and it did not come yet."""
        node = self._nodes.get(ncoa)
        return node is not None and node.state is ExpectedState.EXPECTED

    def assigned_to(self, address: IPv6Address) -> bytes | None:
        """Whose an address is that this router assigned at the word of a PAR."""
        node = self._nodes.get(address)
        return node.lla if node is not None and node.assigned else None

    def handover_initiate(self, item: Received, hi: HandoverInitiate, now: float) -> list[Action]:
        """Process an HI: every one that may be believed is answered (F27), perhaps after a probe."""
        neighbour = self._neighbours.get(item.source)
        excused = self._c.insecure and not (neighbour is not None and neighbour.protected)
        if not (item.authenticated or excused):
            self._drop("HI without a security association")
            return []
        actions: list[Action] = []
        if neighbour is None:
            self._drop("HI from no neighbour")
            hack: HandoverAcknowledge | None = HandoverAcknowledge(hi.sequence, HAckCode.PROHIBITED)
        elif hi.ncoa is None or not self._c.has(hi.ncoa):
            hack = HandoverAcknowledge(hi.sequence, HAckCode.UNSPECIFIED)
        else:
            hack = self._process(neighbour, hi, hi.ncoa, now, actions)
        if hack is not None:
            actions.append(SendMessage(hack, self._c.address, item.source))
        return self._defended(actions)

    def announced(self, item: Received, una: UnsolicitedNeighbourAdvertisement, now: float) -> list[Action]:
        """Process a UNA (6.3): the node is there, or has to use another address."""
        node = self._nodes.get(una.target)
        routed = node is not None and node.tunnel is not None
        if item.source != una.target or not (self._c.has(una.target) or routed):
            self._drop("UNA for an address of another link, or not from its target")
            return []
        pcoa = self._routed.get(una.lla)
        if pcoa is not None and (node is None or node.lla != una.lla):  # it does not know that its PCoA stays
            naack = self._advertise(una.target, una.lla, Naack(NaackStatus.PCOA_SUPPLIED, pcoa))
            return [*self._admit(pcoa, self._nodes[pcoa], now), naack]
        if node is None:
            self._guests.make_room()
            node = self._nodes[una.target] = Guest(una.lla)
        if node.lla != una.lla:
            # 6.3: NCoA and link-layer address together tell nodes apart
            self._drop("UNA for the address of another node")
            return [self._impose(una)]
        return self._admit(una.target, node, now)

    def contradicted(self, target: IPv6Address, lla: bytes, now: float) -> list[Action]:
        """Another node answered the probe for an NCoA (RFC 4862 section 5.4.4)."""
        node = self._nodes.get(target)
        if node is None or node.asked is None or node.lla == lla:
            return []
        asked = node.asked
        self._wait_no_more(target, node)
        node.go(ExpectedEvent.DUPLICATE)
        owner = self._nodes[target] = Guest(lla)
        owner.go(ExpectedEvent.UNA)
        actions: list[Action] = []
        hack = self._instead(self._neighbours[asked.par], asked.hi, now, actions)
        return self._defended([*actions, self._answer(asked, target, hack, now)])

    def admit(self, address: IPv6Address, lla: bytes, now: float) -> list[Action]:
        """The node of an address is on this link: it, or its PAR, proved that."""
        node = self._nodes.get(address)
        if node is None or node.lla != lla:
            awaited = self.left(address)
            self._guests.make_room()
            node = self._nodes[address] = Guest(lla)
            return [*awaited, *self._admit(address, node, now)]
        return self._admit(address, node, now)

    def lets_go(self, address: IPv6Address) -> bool:
        """Whether nothing follows here from the node of an address going to another router."""
        node = self._nodes.get(address)
        return node is None or (node.state is not ExpectedState.EXPECTED and node.tunnel is None)

    def left(self, address: IPv6Address) -> list[Action]:
        """The node of an address went to another router."""
        node = self._nodes.get(address)
        if node is None or node.state is ExpectedState.FORGOTTEN:
            return []
        self._guests.forget(address)
        awaited = node.state is ExpectedState.EXPECTED
        self._wait_no_more(address, node)
        node.go(ExpectedEvent.LEFT)
        return [*([ForgetNode(address)] if awaited else []), *self._remove_route(address, node)]

    def timeout(self, octets: bytes, now: float) -> list[Action]:
        """A probe's time, PROXY_ND_LIFETIME, or the time of a host route is over; octets: of the address."""
        address = address_of(octets)
        node = self._nodes[address]
        if node.asked is not None:
            return self._not_contradicted(address, node, node.asked, now)
        self._guests.forget(address)
        if node.state is ExpectedState.ADMITTED:
            node.go(ExpectedEvent.ROUTE_OVER)
            return self._remove_route(address, node)
        self._wait_no_more(address, node)
        node.go(ExpectedEvent.TIMEOUT)
        # a tunnel that this router still has for the address would lead back to who announced the node
        ended = self._comes(address, True, now)
        return [*ended, ForgetNode(address), *self._remove_route(address, node)]

    def _process(
        self, par: Neighbour, hi: HandoverInitiate, ncoa: IPv6Address, now: float, actions: list[Action]
    ) -> HandoverAcknowledge | None:
        heard = self._guests.heard(par.address, ncoa, hi.sequence, now)
        if heard is not None:
            # its HAck was lost, or the network repeats itself or is late: nothing happens twice
            return heard
        if hi.code == HICode.NOT_FROM_PCOA:
            code = self._vouched(ncoa, hi.mn_lla, now, actions)
            hack: HandoverAcknowledge | None = HandoverAcknowledge(hi.sequence, code)
        else:
            hack = self._expect(par, hi, ncoa, now, actions)
        if hack is not None:
            self._guests.remember(par.address, ncoa, hack, now)
        return hack

    def _vouched(self, ncoa: IPv6Address, lla: bytes, now: float, actions: list[Action]) -> HAckCode:
        """HI code 1: no proxy, no waiting; but the PAR vouches for what a UNA said (4)."""
        node = self._nodes.get(ncoa)
        if node is not None and node.lla != lla:
            return HAckCode.UNSPECIFIED
        ended = self._comes(ncoa, True, now)
        if ended or (node is not None and node.asked is not None):
            # the UNA was not believed while the address was tunnelled away, or not yet
            actions += [*ended, *self.admit(ncoa, lla, now)]
        return HAckCode.NCOA_VALID

    def _expect(
        self, par: Neighbour, hi: HandoverInitiate, ncoa: IPv6Address, now: float, actions: list[Action]
    ) -> HandoverAcknowledge | None:
        """HI code 0; None while the address is probed."""
        node = self._nodes.get(ncoa)
        taken = ncoa == self._c.address or (node is not None and node.lla != hi.mn_lla)
        if taken or self._c.dhcp:
            return self._instead(par, hi, now, actions)
        if self._guests.is_full(par.address, ncoa):
            return HandoverAcknowledge(hi.sequence, HAckCode.INSUFFICIENT_RESOURCES)
        actions += self._comes(ncoa, False, now)
        if node is not None and node.asked is not None:
            node.asked = Asked(par.address, hi, node.asked.left)
            return None
        if node is None and self._c.dad_transmits > 0:
            node = self._nodes[ncoa] = Guest(hi.mn_lla, asked=Asked(par.address, hi, self._c.dad_transmits))
            self._guests.wait_for(node, par.address)
            node.go(ExpectedEvent.HI_UNSURE)
            actions.append(self._probe(ncoa, node, now))
            return None
        self._defend(ncoa, par.address, hi, now, actions)
        return _acceptance(hi, ncoa)

    def _instead(
        self, par: Neighbour, hi: HandoverInitiate, now: float, actions: list[Action]
    ) -> HandoverAcknowledge:
        """The NCoA is another node's, or none may be formed here (F29, F31)."""
        if self._c.dhcp or self._c.duplicates is Duplicates.HOST_ROUTE:
            return self._keep_pcoa(par, hi, now, actions)
        other = self._guests.free_address(hi.mn_lla)
        if self._c.duplicates is Duplicates.REFUSE or other is None:
            return HandoverAcknowledge(hi.sequence, HAckCode.NCOA_INVALID)
        if self._guests.is_full(par.address, other):
            return HandoverAcknowledge(hi.sequence, HAckCode.INSUFFICIENT_RESOURCES)
        self._defend(other, par.address, hi, now, actions).assigned = True
        return HandoverAcknowledge(hi.sequence, HAckCode.NCOA_ASSIGNED, other)

    def _keep_pcoa(
        self, par: Neighbour, hi: HandoverInitiate, now: float, actions: list[Action]
    ) -> HandoverAcknowledge:
        """Host route for PCoA, and what it sends goes to the PAR in a tunnel (4, item 3)."""
        pcoa = hi.pcoa
        node = self._nodes.get(pcoa) if pcoa is not None else None
        if pcoa is None or pcoa not in par.prefix or (node is not None and node.lla != hi.mn_lla):
            return HandoverAcknowledge(hi.sequence, HAckCode.NCOA_INVALID)
        if self._guests.is_full(par.address, pcoa):
            return HandoverAcknowledge(hi.sequence, HAckCode.INSUFFICIENT_RESOURCES)
        if node is None or node.tunnel != par.address:
            actions.append(AddHostRoute(pcoa, par.address))
        self._defend(pcoa, par.address, hi, now, actions).tunnel = par.address
        self._routed[hi.mn_lla] = pcoa
        return HandoverAcknowledge(hi.sequence, HAckCode.USE_PCOA)

    def _defend(
        self,
        address: IPv6Address,
        par: IPv6Address,
        hi: HandoverInitiate,
        now: float,
        actions: list[Action],
    ) -> Guest:
        """Its node may come from now on."""
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Guest(hi.mn_lla)
        if node.state is not ExpectedState.EXPECTED:
            actions.append(ExpectNode(address, hi.mn_lla, hi.buffer))
            self._undefended = DefendNode(address, hi.mn_lla)
        self._guests.wait_for(node, par)
        node.go(ExpectedEvent.HI)
        self.timers.set(address.packed, now + self._p.proxy_nd_lifetime_s)
        return node

    def _defended(self, actions: list[Action]) -> list[Action]:
        """With the defence of a node that is expected by them, which the HAck need not wait for."""
        if self._undefended is not None:
            actions.append(self._undefended)
            self._undefended = None
        return actions

    def _admit(self, address: IPv6Address, node: Guest, now: float) -> list[Action]:
        asked = node.asked
        self._wait_no_more(address, node)
        node.go(ExpectedEvent.UNA)
        if node.tunnel is not None:  # the PAR says nothing when its binding ends, at the latest then
            self.timers.set(address.packed, now + self._p.max_fbu_lifetime_s)
        admitted: list[Action] = [AdmitNode(address, node.lla)]
        if asked is not None:  # it is here, and nobody contradicted it
            hack = HandoverAcknowledge(asked.hi.sequence, HAckCode.NCOA_VALID)
            admitted.append(self._answer(asked, address, hack, now))
        return admitted

    def _probe(self, ncoa: IPv6Address, node: Guest, now: float) -> Action:
        """Duplicate address detection for a node that is not there yet (RFC 4862 section 5.4.2)."""
        assert node.asked is not None
        node.asked = Asked(node.asked.par, node.asked.hi, node.asked.left - 1)
        self.timers.set(ncoa.packed, now + self._p.dad_retrans_s)
        return SendMessage(NeighbourSolicitation(ncoa), UNSPECIFIED, solicited_node(ncoa))

    def _not_contradicted(self, ncoa: IPv6Address, node: Guest, asked: Asked, now: float) -> list[Action]:
        if asked.left > 0:
            return [self._probe(ncoa, node, now)]
        node.asked = None
        actions: list[Action] = []
        self._defend(ncoa, asked.par, asked.hi, now, actions)
        return self._defended([*actions, self._answer(asked, ncoa, _acceptance(asked.hi, ncoa), now)])

    def _answer(self, asked: Asked, ncoa: IPv6Address, hack: HandoverAcknowledge, now: float) -> Action:
        self._guests.remember(asked.par, ncoa, hack, now)
        return SendMessage(hack, self._c.address, asked.par)

    def _impose(self, una: UnsolicitedNeighbourAdvertisement) -> Action:
        """Tell a node that its NCoA is another's, and which one is free (F40)."""
        other = self._guests.free_address(una.lla) if self._c.duplicates is Duplicates.ASSIGN else None
        if other is None:
            return self._advertise(una.target, una.lla, Naack(NaackStatus.CONFIGURE))
        if other not in self._nodes:
            self._guests.make_room()
            self._nodes[other] = Guest(una.lla, assigned=True)
        return self._advertise(una.target, una.lla, Naack(NaackStatus.USE_SUPPLIED, other))

    def _remove_route(self, address: IPv6Address, node: Guest) -> list[Action]:
        if node.tunnel is None:
            return []
        self.timers.cancel(address.packed)
        if self._routed.get(node.lla) == address:
            del self._routed[node.lla]
        return [RemoveHostRoute(address, node.tunnel)]

    def _wait_no_more(self, address: IPv6Address, node: Guest) -> None:
        self.timers.cancel(address.packed)
        self._guests.wait_no_more(node)


def _acceptance(hi: HandoverInitiate, ncoa: IPv6Address) -> HandoverAcknowledge:
    """The proposed NCoA is good; with S it is assigned (section 4, item 2)."""
    if hi.assigned_address:
        return HandoverAcknowledge(hi.sequence, HAckCode.NCOA_ASSIGNED, ncoa)
    return HandoverAcknowledge(hi.sequence, HAckCode.NCOA_VALID)
