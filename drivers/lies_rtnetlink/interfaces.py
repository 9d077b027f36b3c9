"""Which interfaces there are, and when IP packets can pass on each: messages in, changes out. No I/O.

A link is up while the interface is set up, has its carrier, its operational state is up (or unknown, which
RFC 2863 drivers say that do not follow it), and, as a port of a bridge, while that bridge forwards.
Several changes of the carrier may come as one message: the kernel's own count of carriers lost tells.
"""

from collections.abc import Callable, Iterator, Sequence

from attrs import define, evolve, frozen

from lies.events import DownReason
from lies_rtnetlink.messages import (
    IFF_LOWER_UP,
    IFF_RUNNING,
    IFF_UP,
    OPER_DORMANT,
    OPER_UNKNOWN,
    OPER_UP,
    PORT_FORWARDING,
    DumpEnded,
    LinkGone,
    LinkTold,
    Told,
)

MOST_FLAPS = 64  # of one message that are told one by one


@frozen
class Appeared:
    """An interface is served from now on."""

    told: LinkTold


@frozen
class Up:
    """Frames pass."""

    index: int
    poa: str


@frozen
class Down:
    """No frame passes any more."""

    index: int
    poa: str
    reason: DownReason


@frozen
class Gone:
    """An interface is not served any more; a Down stands before it if it was up."""

    index: int


Change = Appeared | Up | Down | Gone


@define
class _Interface:
    told: LinkTold
    served: bool
    poa: str | None = None  # while it is up
    counted: bool = True  # False: changes were seen since its carriers were counted


def poa_of(told: LinkTold) -> str:
    """The point of attachment of an interface: the bridge that it is a port of, else the port itself."""
    if told.port is not None and told.port.bridge is not None:
        return told.port.bridge
    return f"port:{told.name}"


def is_up(told: LinkTold) -> bool:
    """Whether IP packets can pass."""
    wanted = IFF_UP | IFF_LOWER_UP
    if told.operstate is None:
        wanted |= IFF_RUNNING
    elif told.operstate not in {OPER_UP, OPER_UNKNOWN}:
        return False
    return told.flags & wanted == wanted and (told.port is None or told.port.state == PORT_FORWARDING)


class Interfaces:
    """All interfaces of a namespace.

    wanted: whether an interface is to be served, asked once for each name; is_there: whether the kernel
    still lists an interface, asked when one is set down: a removal begins with that.
    """

    def __init__(self, wanted: Callable[[LinkTold], bool], is_there: Callable[[int], bool]) -> None:
        self.untold = 0  # carriers lost beyond MOST_FLAPS, not told one by one
        self._wanted = wanted
        self._is_there = is_there
        self._known: dict[int, _Interface] = {}
        self._asked: set[int] = set()
        self._unseen: set[int] | None = None  # while all are being told
        self._torn = False
        self._lossy = False

    def lost(self) -> None:
        """Messages were lost: until a whole telling has ended, counts may stand for what was not seen."""
        self._lossy = True

    def telling(self) -> None:
        """A telling of all interfaces begins; who is not in it is gone at its end."""
        self._unseen = set(self._known)
        self._torn = False

    @property
    def complete(self) -> bool:
        """Whether the last telling left nobody out."""
        return self._unseen is None

    def find(self, name: str) -> LinkTold | None:
        """A served interface by name."""
        return next((i.told for i in self._known.values() if i.served and i.told.name == name), None)

    def asked_down(self, index: int) -> None:
        """Its next Down, if it is one by command, was requested by a consumer."""
        self._asked.add(index)

    def refused(self, index: int) -> None:
        """What was asked for does not come."""
        self._asked.discard(index)

    def take(self, batch: Sequence[Told]) -> Iterator[Change]:
        """The changes that messages bring, in order; they must be consumed whole."""
        for at, told in enumerate(batch):
            if isinstance(told, LinkTold):
                yield from self._told(told, batch[at + 1 :])
            elif isinstance(told, LinkGone):
                yield from self._gone(told.index)
            elif isinstance(told, DumpEnded) and self._unseen is not None and not (told.torn or self._torn):
                unseen, self._unseen, self._lossy = self._unseen, None, False
                for index in unseen:
                    yield from self._gone(index)

    def _told(self, told: LinkTold, later: Sequence[Told]) -> Iterator[Change]:
        if self._unseen is not None:
            self._unseen.discard(told.index)
            self._torn |= told.torn
        known = self._known.get(told.index)
        if told.partial:
            if known is not None and known.told.name == told.name and known.told.port is not None:
                yield from self._settle(known, _merged(known.told, told), 0, 0, later)
                known.counted = False
            return
        if known is not None and known.told.name != told.name:
            yield from self._gone(told.index)
            known = None
        if known is None:
            for index in [i for i, other in self._known.items() if other.told.name == told.name]:
                yield from self._gone(index)  # its removal, or its new name, is yet to be told
            known = self._known[told.index] = _Interface(told, self._wanted(told))
            if known.served:
                yield Appeared(told)
        ups, downs = _more(known.told.ups, told.ups), _more(known.told.downs, told.downs)
        if not known.counted:
            ups = downs = 0
        known.counted = True
        yield from self._settle(known, told, ups, downs, later)

    def _settle(
        self, known: _Interface, told: LinkTold, ups: int, downs: int, later: Sequence[Told]
    ) -> Iterator[Change]:
        """From what was known to what is told; ups, downs: carriers since then that are counted."""
        before, known.told = known.told, told
        if not known.served:
            return
        index, up, was, poa = told.index, is_up(told), known.poa, poa_of(told)
        moved = before.master != told.master and was not in {None, poa}
        if was is not None and up and not moved:
            yield from self._flaps(index, was, downs, up=True)
        elif was is not None:
            yield from self._flaps(index, was, min(downs - (not told.flags & IFF_LOWER_UP), ups), up=True)
            known.poa = None
            yield Down(index, was, self._reason(told, later, moved=moved))
        elif self._lossy:
            yield from self._flaps(index, poa, min(ups - up, downs), up=False)
        if up and known.poa is None:
            known.poa = poa
            self._asked.discard(index)
            yield Up(index, poa)

    def _flaps(self, index: int, poa: str, count: int, *, up: bool) -> Iterator[Change]:
        """Changes that no message told, but the kernel's count."""
        self.untold += max(0, count - MOST_FLAPS)
        pair = (Up(index, poa), Down(index, poa, DownReason.CARRIER))
        for _ in range(min(count, MOST_FLAPS)):
            yield from reversed(pair) if up else pair

    def _reason(self, told: LinkTold, later: Sequence[Told], *, moved: bool) -> DownReason:
        if not told.flags & IFF_UP:
            if told.index in self._asked:
                self._asked.discard(told.index)
                return DownReason.REQUESTED
            if LinkGone(told.index) in later or not self._is_there(told.index):
                return DownReason.REMOVED
            return DownReason.ADMIN_DOWN
        if told.flags & IFF_LOWER_UP and told.operstate in {OPER_DORMANT, OPER_UP, OPER_UNKNOWN}:
            # The carrier is there: it was put elsewhere, or the other side does not authorise or forward.
            return DownReason.ADMIN_DOWN if moved else DownReason.PEER
        return DownReason.CARRIER

    def _gone(self, index: int) -> Iterator[Change]:
        known = self._known.pop(index, None)
        self._asked.discard(index)
        if known is None or not known.served:
            return
        if known.poa is not None:
            yield Down(index, known.poa, DownReason.REMOVED)
        yield Gone(index)


def _merged(known: LinkTold, partial: LinkTold) -> LinkTold:
    """What a bridge tells of a port, put into what is known of it."""
    port = partial.port
    if port is not None and known.port is not None:
        port = evolve(port, bridge=port.bridge or known.port.bridge)
    return evolve(known, flags=partial.flags, operstate=partial.operstate, port=port or known.port)


def _more(before: int | None, now: int | None) -> int:
    """By how much a count of the kernel's has grown; 0 where it began anew or is not kept."""
    return 0 if before is None or now is None else max(0, now - before)
