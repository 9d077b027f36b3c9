"""An access router as the new one: HI in, HAck out, proxy entry, UNA in (RFC 5568 section 4)."""

from collections.abc import Callable
from ipaddress import IPv6Address

from attrs import define, frozen

from lies.timers import Timers
from lies_fmipv6.actions import AccessRouterAction as Action
from lies_fmipv6.actions import AdmitNode, ExpectNode, ForgetNode, SendMessage
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
    HICode,
    UnsolicitedNeighbourAdvertisement,
)
from lies_fmipv6.parameters import AccessRouterConfig, Parameters
from lies_fmipv6.states import EXPECTED, ExpectedEvent, ExpectedState

_REORDERED = 64  # an HI that many numbers behind the last one about its node is late, not of a restarted PAR


@define(eq=False)
class _Node:
    """One NCoA, and the link-layer address of its node."""

    lla: bytes
    state: ExpectedState = ExpectedState.FORGOTTEN

    def go(self, event: ExpectedEvent) -> None:
        """Change state by the table."""
        self.state = EXPECTED[self.state, event]


@frozen
class _Heard:
    """The last HI of a PAR about an NCoA, and its answer."""

    sequence: int
    code: HAckCode
    until: float


class NewRouter:
    """The nodes that are to come to this router's link, and those that came.

    drop counts a message that was not acted on; comes is called with an NCoA and whether its node is already
    here, when a PAR says so: this router may still tunnel that address away itself.
    """

    def __init__(
        self,
        config: AccessRouterConfig,
        parameters: Parameters,
        *,
        drop: Callable[[str], None],
        comes: Callable[[IPv6Address, bool, float], list[Action]],
    ) -> None:
        self._c = config
        self._p = parameters
        self._drop = drop
        self._comes = comes
        self._nodes: dict[IPv6Address, _Node] = {}
        self._heard: dict[tuple[IPv6Address, IPv6Address], _Heard] = {}  # by (PAR, NCoA)
        self._expected = 0
        self._neighbours = {n.address for n in config.neighbours}
        self.timers: Timers[IPv6Address] = Timers()

    @property
    def expected(self) -> int:
        """How many nodes are awaited."""
        return self._expected

    def awaits(self, ncoa: IPv6Address) -> bool:
        """Whether a PAR announced the node of this address, and it did not come yet."""
        node = self._nodes.get(ncoa)
        return node is not None and node.state is ExpectedState.EXPECTED

    def handover_initiate(self, item: Received, hi: HandoverInitiate, now: float) -> list[Action]:
        """Process an HI: every one that may be believed is answered (F27)."""
        if not (item.authenticated or self._c.insecure):
            self._drop("HI without a security association")
            return []
        actions: list[Action] = []
        if item.source not in self._neighbours:
            self._drop("HI from no neighbour")
            code = HAckCode.PROHIBITED
        elif hi.ncoa is None or hi.ncoa not in self._c.prefix:
            code = HAckCode.UNSPECIFIED
        else:
            code = self._process(item.source, hi, hi.ncoa, now, actions)
        assigned = hi.ncoa if code == HAckCode.NCOA_ASSIGNED else None
        ack = HandoverAcknowledge(hi.sequence, code, assigned)
        return [*actions, SendMessage(ack, self._c.address, item.source)]

    def announced(self, item: Received, una: UnsolicitedNeighbourAdvertisement) -> list[Action]:
        """Process a UNA (6.3): the node is there."""
        if una.target not in self._c.prefix or item.source != una.target:
            self._drop("UNA for an address of another link, or not from its target")
            return []
        node = self._nodes.get(una.target)
        if node is None:
            self._make_room()
            node = self._nodes[una.target] = _Node(una.lla)
        if node.lla != una.lla:
            # 6.3: NCoA and link-layer address together tell nodes apart
            self._drop("UNA for the address of another node")
            return []
        return self._admit(una.target, node)

    def admit(self, address: IPv6Address, lla: bytes) -> list[Action]:
        """The node of an address is on this link: it, or its PAR, proved that."""
        node = self._nodes.get(address)
        if node is None or node.lla != lla:
            awaited = self.left(address)
            self._make_room()
            node = self._nodes[address] = _Node(lla)
            return [*awaited, *self._admit(address, node)]
        return self._admit(address, node)

    def _admit(self, address: IPv6Address, node: _Node) -> list[Action]:
        if node.state is ExpectedState.EXPECTED:
            self._expected -= 1
            self.timers.cancel(address)
        node.go(ExpectedEvent.UNA)
        return [AdmitNode(address, node.lla)]

    def left(self, address: IPv6Address) -> list[Action]:
        """The node of an address went to another router."""
        node = self._nodes.pop(address, None)
        if node is None:
            return []
        awaited = node.state is ExpectedState.EXPECTED
        node.go(ExpectedEvent.LEFT)
        if not awaited:
            return []
        self._expected -= 1
        self.timers.cancel(address)
        return [ForgetNode(address)]

    def timeout(self, ncoa: IPv6Address) -> list[Action]:
        """PROXY_ND_LIFETIME is over."""
        self._nodes.pop(ncoa).go(ExpectedEvent.TIMEOUT)
        self._expected -= 1
        return [ForgetNode(ncoa)]

    def _process(
        self, par: IPv6Address, hi: HandoverInitiate, ncoa: IPv6Address, now: float, actions: list[Action]
    ) -> HAckCode:
        heard = self._heard.get((par, ncoa))
        if heard is not None and heard.until > now and (heard.sequence - hi.sequence) & 0xFFFF < _REORDERED:
            # its HAck was lost, or the network repeats itself or is late: nothing happens twice
            return heard.code if heard.sequence == hi.sequence else HAckCode.UNSPECIFIED
        if hi.code == HICode.NOT_FROM_PCOA:
            code = self._vouched(ncoa, hi.mn_lla, now, actions)
        else:
            code = self._expect(hi, ncoa, now, actions)
        self._heard.pop((par, ncoa), None)
        self._heard[par, ncoa] = _Heard(hi.sequence, code, now + self._p.memory_s)
        if len(self._heard) > self._c.max_known_nodes:
            del self._heard[next(iter(self._heard))]
        return code

    def _vouched(self, ncoa: IPv6Address, lla: bytes, now: float, actions: list[Action]) -> HAckCode:
        """HI code 1: no proxy, no waiting; but the PAR vouches for what a UNA said (4)."""
        node = self._nodes.get(ncoa)
        if node is not None and node.lla != lla:
            return HAckCode.UNSPECIFIED
        ended = self._comes(ncoa, True, now)
        if ended:  # the UNA was not believed while the address was tunnelled away
            actions += [*ended, *self.admit(ncoa, lla)]
        return HAckCode.NCOA_VALID

    def _expect(self, hi: HandoverInitiate, ncoa: IPv6Address, now: float, actions: list[Action]) -> HAckCode:
        node = self._nodes.get(ncoa)
        if ncoa == self._c.address or (node is not None and node.lla != hi.mn_lla):
            return HAckCode.NCOA_INVALID
        if self._expected >= self._c.max_expected and not self.awaits(ncoa):
            return HAckCode.INSUFFICIENT_RESOURCES
        if node is None:
            node = self._nodes[ncoa] = _Node(hi.mn_lla)
        actions += self._comes(ncoa, False, now)
        if node.state is not ExpectedState.EXPECTED:
            self._expected += 1
            actions.append(ExpectNode(ncoa, hi.mn_lla, hi.buffer))
        node.go(ExpectedEvent.HI)
        # DupAddrDetectTransmits is 0 (5.5): the NCoA counts as unique, and is defended from now on
        self.timers.set(ncoa, now + self._p.proxy_nd_lifetime_s)
        return HAckCode.NCOA_ASSIGNED if hi.assigned_address else HAckCode.NCOA_VALID

    def _make_room(self) -> None:
        """Forget the node that was admitted longest ago when there are too many."""
        if len(self._nodes) < self._c.max_known_nodes:
            return
        oldest = next((a for a, n in self._nodes.items() if n.state is not ExpectedState.EXPECTED), None)
        if oldest is not None:
            del self._nodes[oldest]
