"""A LinkConnect or LinkDisconnect that is being followed, until it has come true or to nothing; no I/O."""

from attrs import frozen

from lies.events import LinkAction

OUTCOME_S = 15.0  # to come true: a scan, an association and a handshake


@frozen
class Order:
    """What the manager of an interface is to do; poa None: leave.

    ssid, frequency_mhz: of the PoA; roam: the present PoA is of the same network.
    """

    link: str
    poa: str | None
    ssid: bytes = b""
    frequency_mhz: int = 0
    roam: bool = False

    @property
    def action(self) -> LinkAction:
        """As it was asked for."""
        return LinkAction.DISCONNECT if self.poa is None else LinkAction.CONNECT


class Pending:
    """The request of one link; what it returns is why that came to nothing, None while it may come true."""

    def __init__(self) -> None:
        self.order: Order | None = None
        self.number = 0  # of the order: an answer to an older one decides nothing
        self._until = 0.0
        self._taken = False  # who manages the link has begun to follow it
        self._why = ""

    def begin(self, order: Order, now: float) -> None:
        """Follow it, in the place of another one."""
        self.order, self._why, self._taken = order, "", False
        self.number += 1
        self._until = now + OUTCOME_S

    def due(self) -> float | None:
        """When its time is over."""
        return None if self.order is None else self._until

    def end(self) -> None:
        """It has come true or to nothing."""
        self.order = None

    def hint(self, why: str) -> None:
        """What may turn out to be the reason; said last counts."""
        self._why = why

    def taken(self) -> None:
        """It has been accepted: what happens from now on is its outcome."""
        self._taken = True

    def elsewhere(self, poa: str) -> str | None:
        """The link is up at another PoA than was asked for; before the request was taken it says nothing."""
        if not self._taken:
            return None
        return f"the link went to {poa} instead" + (f": {self._why}" if self._why else "")

    def late(self, now: float) -> str | None:
        """Its time may be over."""
        if self.order is None or now < self._until:
            return None
        return self._why or f"nothing came of it within {OUTCOME_S:g} s"
