"""What runs one engine on the virtual clock of tests/net.py, and the octets of what it authenticates."""

from collections.abc import Callable
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from lies_fmipv6.codec import decode, encode

if TYPE_CHECKING:
    from net import Net


@frozen
class Sealed:
    """An FBU or FBack as it is on the wire, with BADF."""

    octets: bytes


def sealed(message: Any, source: IPv6Address, destination: IPv6Address, key: bytes | None) -> Any:
    """The message, as octets where there is a key to authenticate it."""
    return message if key is None else Sealed(encode(message, source, destination, key=key))


def opened(payload: Any, key_for: Callable[[IPv6Address], bytes | None]) -> tuple[Any, bool]:
    """The message in a packet, and whether its BADF is right."""
    if not isinstance(payload, Sealed):
        return payload, False
    got = decode(payload.octets, key_for=key_for)
    return got.message, got.authenticated


@define(eq=False)
class Runner:
    """One engine on the virtual clock: items in, actions performed, one timer."""

    net: "Net"
    engine: Any
    perform: Any
    armed: float | None = None
    log: list[tuple[float, Any]] = field(factory=list)

    def feed(self, item: Any) -> None:
        """Give the engine an item."""
        self._do(self.engine.receive(item, self.net.now))

    def _do(self, actions: list[Any]) -> None:
        for action in actions:
            self.log.append((self.net.now, action))
            self.perform(action)
        self._arm()

    def _arm(self) -> None:
        due = self.engine.next_timeout()
        if due is not None and (self.armed is None or due < self.armed or self.armed < self.net.now):
            self.armed = due
            self.net.at(due, lambda: self._timeout(due))

    def _timeout(self, due: float) -> None:
        if self.armed == due:
            self.armed = None
            wanted = self.engine.next_timeout()
            if wanted is not None and wanted <= self.net.now:
                self._do(self.engine.handle_timeout(self.net.now))
            else:
                self._arm()
