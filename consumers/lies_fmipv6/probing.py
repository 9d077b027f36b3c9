"""Duplicate address detection by the mobile node, while it uses the address already (RFC 4862, RFC 4429)."""

from collections.abc import Callable
from ipaddress import IPv6Address

from lies_fmipv6.actions import MobileNodeAction as Action
from lies_fmipv6.actions import SendMessage
from lies_fmipv6.messages import NeighbourSolicitation
from lies_fmipv6.movement import Movement
from lies_fmipv6.parameters import UNSPECIFIED, solicited_node
from lies_fmipv6.states import MobileNodeState as S

_SETTLED = frozenset({S.ATTACHED, S.REBINDING})
_MAX_ADDRESSES = 3  # given up at one router; who answers for all of them means the node, not its addresses


class Probing:
    """Asks the link who else has the present care-of address (RFC 5568 section 3.2).

    The address is optimistic: in use from the beginning, and what is said of it overrides nothing, since
    a UNA has O = 0. give_up is called with an address that another node has.
    """

    def __init__(self, movement: Movement, give_up: Callable[[IPv6Address, float], list[Action]]) -> None:
        self._m = movement
        self._give_up = give_up
        self._asked: IPv6Address | None = None
        self._left = 0
        self._until: float | None = None  # an answer counts until then
        self._given_up = 0

    def consider(self, now: float) -> list[Action]:
        """Begin when the node has come to a link, or uses another address there; end when it leaves."""
        m = self._m
        if m.state not in _SETTLED:
            self._asked = self._until = None
            self._given_up = 0
            return []
        if m.coa == self._asked:
            return []
        self._asked, self._until = m.coa, None
        here = m.coa is not None and m.router is not None and m.coa in m.router.prefix
        if not here or self._given_up >= _MAX_ADDRESSES:
            return []
        self._left = m.c.dad_transmits
        return [self._probe(now)]

    def contradicted(self, target: IPv6Address, lla: bytes, now: float) -> list[Action]:
        """A Neighbour Advertisement: of another node, if neither this node nor the router says it.

        The router may still defend the address for this very node (RFC 5568 section 4).
        """
        m = self._m
        if self._until is None or target != self._asked or m.state not in _SETTLED:
            return []
        if lla == m.here.lla or (m.router is not None and lla == m.router.lla):
            return []
        self._until = None
        self._given_up += 1
        return self._give_up(target, now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        return self._until

    def handle_timeout(self, now: float) -> list[Action]:
        """Ask again, or take the address for the node's own."""
        if self._until is None or self._until > now:
            return []
        if self._left > 0:
            return [self._probe(now)]
        self._until = None
        return []

    def _probe(self, now: float) -> Action:
        assert self._asked is not None
        self._left -= 1
        self._until = now + self._m.p.dad_retrans_s
        return SendMessage(NeighbourSolicitation(self._asked), UNSPECIFIED, solicited_node(self._asked))
