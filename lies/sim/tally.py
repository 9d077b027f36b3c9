"""What is counted on the virtual network."""

from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from attrs import define, field

from lies.events import HandoverDone

if TYPE_CHECKING:
    from lies.sim.mobile import MobileHost

_MAX_TOLD = 20


@define(eq=False)
class Tally:
    """Counters of one run.

    signalling: [messages, octets] by kind; signalling_lost: copies that a link or host lost; lost: data by
    cause; malformed: packets of signalling that did not decode; modes: handovers by mode; gaps in ms, one a
    change of access point; what: the first things that no program may do; broken_rules: how many.
    """

    signalling: defaultdict[str, list[int]] = field(factory=lambda: defaultdict(lambda: [0, 0]))
    signalling_lost: int = 0
    lost: Counter[str] = field(factory=Counter)
    malformed: Counter[str] = field(factory=Counter)
    modes: Counter[str] = field(factory=Counter)
    l2_gaps_ms: "array[float]" = field(factory=lambda: array("d"))
    total_gaps_ms: "array[float]" = field(factory=lambda: array("d"))
    fbu_fback_ms: "array[float]" = field(factory=lambda: array("d"))
    restarts: int = 0
    what: list[str] = field(factory=list)
    broken_rules: int = 0

    def handover(self, host: "MobileHost", report: HandoverDone) -> None:
        """A handover ended."""
        host.handovers += 1
        self.modes[report.mode] += 1
        if report.fbu_ns is not None and report.fback_ns is not None:
            self.fbu_fback_ms.append((report.fback_ns - report.fbu_ns) / 1e6)

    def moved(self, l2_gap_s: float, total_gap_s: float) -> None:
        """The gaps of one change of access point."""
        self.l2_gaps_ms.append(l2_gap_s * 1e3)
        self.total_gaps_ms.append(total_gap_s * 1e3)

    def broken(self, now: float, what: str) -> None:
        """A rule was broken."""
        self.broken_rules += 1
        if len(self.what) < _MAX_TOLD:
            self.what.append(f"{now:.6f} s: {what}")
