"""Vertical handovers of a drive: when its traffic went from one link to another, by the node's reports."""

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from lies.events import BindingUpdated, HandoverDone, Indication, LinkDown, LinkGoingDown, LinkUp, Raw
from lies.testbed.measure import Move

_NEAR_NS = 2_000_000_000
_MOVE_NS = 1_000_000_000  # a link that is longer away was not moved, but lost
_REFUSED = 128  # BA status (RFC 6275 section 6.1.8)


@frozen
class LinkChange:
    """One: between which links; bu_ns, ba_ns: Binding Update sent, acknowledged, on the drivers' clock.

    before_worked: the link that was left was still up when the home agent had answered; warned_ns: since
    when a LinkGoingDown held there, None if none did; report: FMIPv6's, None if there was none.
    """

    from_link: str
    to_link: str
    bu_ns: int
    ba_ns: int
    before_worked: bool
    warned_ns: int | None
    report: HandoverDone | None = None

    @property
    def mode(self) -> str:
        """How the fast handover was made, "none" where Mobile IPv6 did it alone."""
        return self.report.mode if self.report is not None else "none"


def changes_of(events: Iterable[Indication | Raw]) -> list[LinkChange]:
    """Every change of the link whose care-of address the home agent has, but the first."""
    changes: list[LinkChange] = []
    down: set[str] = set()  # a link of which nothing was told yet is up: the drive began on it
    warned: dict[str, int] = {}
    here: str | None = None
    reports: list[HandoverDone] = []
    coas: list[str] = []
    for event in events:
        name = event.header.link.name
        match event:
            case LinkUp():
                down.discard(name)
                warned.pop(name, None)
            case LinkDown():
                down.add(name)
            case LinkGoingDown():
                warned.setdefault(name, event.header.mono_ns)
            case HandoverDone():
                reports.append(event)
            case BindingUpdated(status=status) if status < _REFUSED:
                if here is not None and here != name:
                    worked, since = here not in down, warned.get(here)
                    changes.append(LinkChange(here, name, event.bu_ns, event.ba_ns, worked, since))
                    coas.append(event.coa)
                here = name
            case _:
                pass
    return [evolve(c, report=_report(c, coa, reports)) for c, coa in zip(changes, coas, strict=True)]


def _report(change: LinkChange, coa: str, reports: Iterable[HandoverDone]) -> HandoverDone | None:
    """The one of a change to an address; it comes when its tunnel has ended, or at once without one."""
    for report in reports:
        at_ns = report.una_ns or report.fbu_ns or report.header.mono_ns
        if report.ncoa == coa and abs(at_ns - change.bu_ns) < _NEAR_NS:
            return report
    return None


def with_changes(moves: Sequence[Move], changes: Sequence[LinkChange], to_wall_ns: int) -> list[Move]:
    """Moves of the Wi-Fi and changes of links by time; to_wall_ns: the wall clock less the changes' own.

    Where the Wi-Fi was away for long, it is the two changes around it that count.
    """
    near = [move for move in moves if move.in_ns - move.out_ns < _MOVE_NS]
    far = [Move(c.from_link, c.to_link, c.bu_ns + to_wall_ns, c.ba_ns + to_wall_ns) for c in changes]
    return sorted((*near, *far), key=lambda move: move.in_ns)
