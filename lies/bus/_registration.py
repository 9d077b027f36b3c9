"""One registration: whose it is, what it lets through, and the numbers it gives."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from lies.bus.frames import Event
from lies.bus.messages import NO_CONDITION, LinkState
from lies.errors import LinkError, LinkErrorReason
from lies.events import (
    PRIMITIVES,
    Crossing,
    Header,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkGoingDownRequest,
    LinkStatusChanged,
    LinkStatusChangedRequest,
    PoACondition,
    PoAFound,
    PoAFoundRequest,
    PoALost,
    PoALostRequest,
    PrimitiveType,
    Quality,
)

EVERY_LINK = "*"
PRIMITIVE_OF_REQUEST = {p.request: p.name for p in PRIMITIVES.values() if p.kind is PrimitiveType.EVENT}


_FILTERED = {"link_status_changed", "link_going_down", "poa_found", "poa_lost"}


def check_parameters(request: object) -> None:
    """LinkError(INVALID) if a registration's parameters contradict themselves."""
    match request:
        case LinkStatusChangedRequest(event=event, threshold=None) if event != Crossing.ANY:
            raise LinkError(LinkErrorReason.INVALID, f"event {event} needs a threshold")
        case LinkGoingDownRequest(min_confidence=least) if not 0.0 <= least <= 1.0:
            raise LinkError(LinkErrorReason.INVALID, f"min_confidence {least} is not within 0.0..1.0")


class Registration:
    """A session's wish for one primitive of one link, or of every link ("*").

    Events are offered to it in order; `take` says what of an event passes, `number` gives the sequence.
    """

    def __init__(self, number: int, session: Any, request: Any, *, history: int) -> None:  # noqa: ANN401 - any of the eight request classes; its session is the core's
        self.id = number
        self.session = session
        self.primitive = PRIMITIVE_OF_REQUEST[type(request)]
        self.link: str = request.link
        self.sequence = 0
        self._filters = self.primitive in _FILTERED
        self._request = request
        self._history: deque[tuple[int, Event]] = deque(maxlen=history)
        self._going_down: set[str] = set()  # links whose LinkGoingDown was indicated, or in a snapshot
        self._above: dict[str, set[str]] = {}  # link -> PoAs at or above the threshold

    @property
    def threshold(self) -> Quality | None:
        """Threshold of a registration for PoAFound or PoALost, else None."""
        if isinstance(self._request, PoAFoundRequest | PoALostRequest):
            return self._request.threshold
        return None

    @property
    def levels(self) -> tuple[Quality, ...]:
        """The levels whose thresholds it asks for: of a registration for LinkStatusChanged."""
        request = self._request
        if not isinstance(request, LinkStatusChangedRequest):
            return ()
        if request.event is Crossing.ANY or request.threshold is None:
            return tuple(q for q in Quality if q is not Quality.NONE)
        return (request.threshold,)

    def start(self, request: Any, states: Iterable[LinkState]) -> None:  # noqa: ANN401 - as above
        """(Re)enable with these parameters; `states` are what the session learns from the snapshot."""
        self._request = request
        self._going_down.clear()
        self._above.clear()
        for state in states:
            self._note(state)

    def _note(self, state: LinkState) -> None:
        name = state.link.name
        if isinstance(self._request, LinkGoingDownRequest):
            standing = state.going_down
            if standing is not None and standing.confidence >= self._request.min_confidence:
                self._going_down.add(name)
        if self.threshold is not None:
            self._above[name] = self._at_or_above(state)

    def _at_or_above(self, state: LinkState) -> set[str]:
        least = self.threshold
        return {p.poa for p in state.poas if least is not None and p.condition.quality >= least}

    def passes(self, message: object) -> bool:  # noqa: PLR0911 - one per primitive
        """Whether an indication, raw message or report is for this registration."""
        if not self._filters:
            return True
        match message:
            case LinkStatusChanged(condition=condition, previous=previous):
                return self._crosses(condition.quality, previous.quality)
            case LinkGoingDown(header=header, confidence=confidence):
                if confidence < self._request.min_confidence:
                    return False
                self._going_down.add(header.link.name)
                return True
            case LinkGoingDownCancelled(header=header):
                if header.link.name not in self._going_down:
                    return False
                self._going_down.discard(header.link.name)
                return True
            case PoAFound() | PoALost():
                return self.threshold is None  # with a threshold, `crossings` tells
        return True

    def forget_going_down(self, link: str) -> None:
        """The link came up or went down: a LinkGoingDown before it can no longer be withdrawn."""
        self._going_down.discard(link)

    def _crosses(self, level: Quality, previous: Quality) -> bool:
        limit = self._request.threshold
        match self._request.event:
            case Crossing.BELOW:
                return bool(level < limit <= previous)
            case Crossing.ABOVE:
                return bool(previous < limit <= level)
        return True

    def crossings(self, state: LinkState, header: Header) -> PoAFound | PoALost | None:
        """The PoAs that passed this registration's threshold since the last call, as its indication."""
        name = state.link.name
        before = self._above.get(name, set())
        now = self._at_or_above(state)
        if now == before:
            return None
        self._above[name] = now
        if isinstance(self._request, PoAFoundRequest):
            found = tuple(p for p in state.poas if p.poa in now - before)
            return PoAFound(header, found) if found else None
        return self._lost(state, header, before - now)

    def _lost(self, state: LinkState, header: Header, gone: set[str]) -> PoALost | None:
        still_heard = {p.poa: p for p in state.poas}
        lost = tuple(still_heard.get(poa) or _unheard(poa) for poa in sorted(gone))
        return PoALost(header, lost) if lost else None

    def number(self, event: Event) -> int:
        """The sequence number of the next delivery, which is kept for repair."""
        self.sequence += 1
        self._history.append((self.sequence, event))
        return self.sequence

    def skip(self, count: int) -> tuple[int, int]:
        """First and last of `count` numbers that stand for indications lost before they came here."""
        first = self.sequence + 1
        self.sequence += count
        return first, self.sequence

    def kept(self, first: int, last: int) -> list[tuple[int, Event]]:
        """What the history still has of `first`..`last`."""
        return [(sequence, event) for sequence, event in self._history if first <= sequence <= last]


def _unheard(poa: str) -> PoACondition:
    return PoACondition(poa, NO_CONDITION)
