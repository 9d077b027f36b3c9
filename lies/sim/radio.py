"""A mobile node's link on the virtual network: attached to one access point or none, with its primitives."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lies.events import (
    Condition,
    DownReason,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoACondition,
    PoAFound,
    PoAListConfirm,
    PoALost,
    Quality,
    Result,
    Technology,
)

if TYPE_CHECKING:
    from lies.sim.mobile import MobileHost

_WALL_NS = 1_600_000_000_000_000_000  # Unix time of the virtual second 0
_LIST_S = 0.0005  # from L2-PoAList.request to its confirm
_CONNECT_S = 0.002  # from L2-LinkConnect to the end of the link: what was sent before gets through
_DOWN = Condition(Quality.NONE, 0.0)


def _short_gap_s() -> float:
    return 0.01


def _stay_idle() -> None:
    """Nobody looks for another access point."""


def _note_nothing(_poa: str) -> None:
    """Nobody wants to know that the link is up."""


class Radio:
    """The link; who decides what is heard sets `hear`, `gap` and `idle`.

    hear: the condition of each access point that is heard; gap: how long the next move takes, in s; idle:
    called when the link is down and nothing is under way.
    """

    __slots__ = (
        "_clock",
        "_down_s",
        "_host",
        "_l2_gap_s",
        "_last_poa",
        "_link",
        "_moving",
        "_sequence",
        "_told",
        "came",
        "gap",
        "generation",
        "hear",
        "idle",
        "poa",
    )

    def __init__(self, host: "MobileHost") -> None:
        self.poa: str | None = None
        self.generation = 0  # changes with every attachment and detachment
        self.hear: Callable[[], Mapping[str, Condition]] = dict
        self.gap: Callable[[], float] = _short_gap_s
        self.idle: Callable[[], None] = _stay_idle
        self.came: Callable[[str], None] = _note_nothing
        self._host = host
        self._clock = host.net.clock
        self._link = Link(host.facts.link, Technology.WIFI)
        self._sequence = 0
        self._moving = False
        self._told = _DOWN
        self._down_s: float | None = None
        self._last_poa: str | None = None
        self._l2_gap_s: float | None = None
        host.radio = self

    @property
    def moving(self) -> bool:
        """Between two access points."""
        return self._moving

    def list_poas(self, answer: Callable[[PoAListConfirm], None]) -> None:
        """L2-PoAList: what is heard, best first."""
        self._clock.after(_LIST_S, self._answer, answer)

    def _answer(self, answer: Callable[[PoAListConfirm], None]) -> None:
        heard = [PoACondition(poa, condition) for poa, condition in self.hear().items()]
        heard.sort(key=lambda c: (-c.condition.quality.rank, -(c.condition.bandwidth_mbps or 0.0), c.poa))
        answer(PoAListConfirm(1, Result.ACK, self._link, tuple(heard)))

    def connect(self, poa: str, refused: Callable[[str], None]) -> None:
        """L2-LinkConnect: out of the old access point and, a gap later, into another that is heard."""
        self._clock.after(_CONNECT_S, self._connect, poa, refused)

    def _connect(self, poa: str, refused: Callable[[str], None]) -> None:
        if poa not in self.hear():
            refused("it is not heard")
        elif poa != self.poa:
            self.move(poa, DownReason.REQUESTED)

    def move(self, poa: str, reason: DownReason = DownReason.SIGNAL_LOST) -> None:
        """Leave the access point for another."""
        self._down(reason)
        self._moving = True
        self._clock.after(self.gap(), self._arrive, poa, self.generation)

    def _arrive(self, poa: str, generation: int) -> None:
        if generation != self.generation:
            return
        self._moving = False
        if poa in self.hear():
            self.attach(poa)
        else:
            self.idle()

    def detach(self, reason: DownReason = DownReason.SIGNAL_LOST) -> None:
        """The link breaks."""
        self._down(reason)
        self.idle()

    def _down(self, reason: DownReason) -> None:
        self._host.touch()
        poa, self.poa = self.poa, None
        self.generation += 1
        self._moving = False
        self._told = _DOWN
        if poa is None:
            return
        self._close_window()
        self._last_poa, self._down_s = poa, self._clock.now
        for flow in self._host.flows:
            flow.open_window()
        self._tell(LinkDown, poa, reason)

    def attach(self, poa: str) -> None:
        """Frames pass."""
        self._host.touch()
        if self.poa is None and poa != self._last_poa and self._down_s is not None:
            self._l2_gap_s = self._clock.now - self._down_s
        self.poa = poa
        self.generation += 1
        self._moving = False
        self._told = _DOWN
        self._tell(LinkUp, poa)
        condition = self.hear().get(poa)
        if condition is not None:
            self.changed(condition)
        self.came(poa)

    def changed(self, condition: Condition) -> None:
        """The condition of the link is another; a level that was told already is not told again."""
        before, self._told = self._told, condition
        if self.poa is not None and condition.quality is not before.quality:
            self._tell(LinkStatusChanged, self.poa, condition, before)

    def going_down(self, time_to_down_s: float, confidence: float) -> None:
        """The end of the link is predicted."""
        if self.poa is not None:
            self._tell(LinkGoingDown, self.poa, time_to_down_s * 1e3, confidence, DownReason.FADING)

    def going_down_cancelled(self) -> None:
        """The prediction is withdrawn."""
        if self.poa is not None:
            self._tell(LinkGoingDownCancelled, self.poa)

    def found(self, poa: str, condition: Condition) -> None:
        """An access point is heard."""
        self._tell(PoAFound, (PoACondition(poa, condition),))

    def lost(self, poa: str) -> None:
        """An access point is heard no more."""
        self._tell(PoALost, (PoACondition(poa, _DOWN),))

    def finish(self) -> None:
        """The run is over: the last move is counted."""
        self._host.touch()
        self._close_window()

    def _close_window(self) -> None:
        """Count the move that the link's present stay began with."""
        gap_s, self._l2_gap_s = self._l2_gap_s, None
        flows = self._host.flows
        if gap_s is not None and flows and all(flow.heard for flow in flows):
            self._host.net.tally.moved(gap_s, max(flow.gap_s for flow in flows))

    def _tell(self, cls: Callable[..., Indication], *args: object) -> None:
        ns = round(self._clock.now * 1e9)
        self._sequence += 1
        header = Header("sim", 1, self._sequence, ns, ns + _WALL_NS, self._link)
        self._host.crew.tell(cls(header, *args))
