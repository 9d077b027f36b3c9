"""Who is expected at an access router and who came, what its neighbours asked, and the limits of it all."""

from collections import Counter
from ipaddress import IPv6Address

from attrs import define

from lies.values import value
from lies_fmipv6.messages import HAckCode, HandoverAcknowledge, HandoverInitiate
from lies_fmipv6.parameters import AccessRouterConfig, Parameters, other_address
from lies_fmipv6.states import EXPECTED, ExpectedEvent, ExpectedState

_REORDERED = 64  # an HI that many numbers behind the last one about its node is late, not of a restarted PAR
_ATTEMPTS = 8  # of finding a free address among 2^64


@value
class Asked:
    """An HI that is not answered yet, because its NCoA is probed; left: probes still to be sent."""

    par: IPv6Address
    hi: HandoverInitiate
    left: int


@define(eq=False)
class Guest:
    """One address, and the link-layer address of its node.

    par: who announced it, while it is awaited; asked: an HI that waits for its probe; assigned: by this
    router; tunnel: the PAR that tunnels to this router for it, where the address is a PCoA of that PAR's link
    (HAck code 3).
    """

    lla: bytes
    state: ExpectedState = ExpectedState.FORGOTTEN
    par: IPv6Address | None = None
    assigned: bool = False
    tunnel: IPv6Address | None = None
    asked: Asked | None = None

    def go(self, event: ExpectedEvent) -> None:
        """Change state by the table."""
        self.state = EXPECTED[self.state, event]


@value
class _Heard:
    """The answer to the last HI of a PAR about an NCoA."""

    hack: HandoverAcknowledge
    until: float


class Guests:
    """Bounded tables (RFC 5568 section 10): nodes of the link, those awaited of them, HIs by PAR."""

    def __init__(self, config: AccessRouterConfig, parameters: Parameters) -> None:
        self._c = config
        self._p = parameters
        self.by_address: dict[IPv6Address, Guest] = {}
        self.expected = 0
        self._awaited: Counter[bytes] = Counter()  # by PAR
        self._heard: dict[bytes, dict[bytes, _Heard]] = {}  # by the octets of PAR and NCoA

    def is_full(self, par: IPv6Address, address: IPv6Address) -> bool:
        """Whether another node would be one too many, for the link or of that neighbour."""
        guest = self.by_address.get(address)
        if guest is not None and guest.par is not None:
            return False
        of_par = self._awaited[par.packed]
        return self.expected >= self._c.max_expected or of_par >= self._c.max_expected_per_neighbour

    def wait_for(self, guest: Guest, par: IPv6Address) -> None:
        """A node is awaited, at the word of a PAR."""
        if guest.par is not None:
            self._awaited[guest.par.packed] -= 1
        else:
            self.expected += 1
        guest.par = par
        self._awaited[par.packed] += 1

    def wait_no_more(self, guest: Guest) -> None:
        """It came, or will not; no error if it was not awaited."""
        guest.asked = None
        if guest.par is not None:
            self._awaited[guest.par.packed] -= 1
            self.expected -= 1
            guest.par = None

    def forget(self, address: IPv6Address) -> None:
        """A node is not here; whose an assigned address is stays known, for its next handover."""
        if not self.by_address[address].assigned:
            del self.by_address[address]

    def make_room(self) -> None:
        """Forget the node that has been known longest when there are too many; none that is awaited."""
        if len(self.by_address) < self._c.max_known_nodes:
            return
        idle = (a for a, g in self.by_address.items() if g.par is None and g.tunnel is None)
        oldest = next(idle, None)
        if oldest is not None:
            del self.by_address[oldest]

    def free_address(self, lla: bytes) -> IPv6Address | None:
        """An address of this link that a node may have."""
        for attempt in range(_ATTEMPTS):
            address = other_address(self._c.prefix, lla, attempt)
            guest = self.by_address.get(address)
            if address != self._c.address and (guest is None or guest.lla == lla):
                return address
        return None

    def heard(
        self, par: IPv6Address, ncoa: IPv6Address, sequence: int, now: float
    ) -> HandoverAcknowledge | None:
        """The answer to an HI that repeats the last one or is older; None to a new one."""
        heard = self._heard.get(par.packed, {}).get(ncoa.packed)
        behind = 0 if heard is None else (heard.hack.sequence - sequence) & 0xFFFF
        if heard is None or heard.until <= now or behind >= _REORDERED:
            return None
        return heard.hack if behind == 0 else HandoverAcknowledge(sequence, HAckCode.UNSPECIFIED)

    def remember(self, par: IPv6Address, ncoa: IPv6Address, hack: HandoverAcknowledge, now: float) -> None:
        """Keep an answer for a while; one neighbour's do not push out another's."""
        heard = self._heard.setdefault(par.packed, {})
        heard.pop(ncoa.packed, None)
        while heard:
            oldest = next(iter(heard))
            if heard[oldest].until > now and len(heard) < self._c.max_known_nodes:
                break
            del heard[oldest]
        heard[ncoa.packed] = _Heard(hack, now + self._p.memory_s)
