"""Accounts of numbered events: each comes once and in order, or it is told why not."""

from typing import Any

from attrs import asdict, define

from lies.bus import Gap, LinkState, Snapshot
from lies.events import DownReason, LinkDown, LinkUp

LINKS = "tick"  # what the names of metronomes' links begin with; nothing is accounted for others


def number_of(poa: str | None) -> int | None:
    """The number in a PoA's name as the metronome gives it (`n17`), None for no PoA."""
    return None if poa is None else int(poa.removeprefix("n"))


@define
class Account:
    """What a consumer heard of one link whose LinkUps are numbered.

    holes, doubles, early: faults, namely numbers missing without a word, come again, or come before the
    snapshot they build on; inexact: told gaps that were not as long as the hole; told: numbers that a Gap
    owned up to; resets: how often a lost session or driver was told.
    """

    events: int = 0
    first: int | None = None
    last: int | None = None
    epoch: int | None = None
    snapshots: int = 0
    holes: int = 0
    doubles: int = 0
    early: int = 0
    inexact: int = 0
    told: int = 0
    resets: int = 0
    mono_ns: int = 0
    wall_ns: int = 0
    backwards: int = 0  # events of an earlier mono_ns than the one before
    allowed: int = 0  # numbers that a Gap has owned up to and that are not passed yet
    begun: bool = False

    def up(self, event: LinkUp) -> None:
        """A numbered event."""
        number = number_of(event.poa)
        assert number is not None
        if not self.begun:
            self.early += 1
        if self.last is not None:
            self._follow(number, event.header.epoch)
        if event.header.mono_ns < self.mono_ns and event.header.epoch == self.epoch:
            self.backwards += 1
        self.events += 1
        self.first = number if self.first is None else self.first
        self.last, self.epoch = number, event.header.epoch
        self.mono_ns, self.wall_ns = event.header.mono_ns, event.header.wall_ns
        self.allowed = 0

    def _follow(self, number: int, epoch: int) -> None:
        assert self.last is not None
        missing = number - self.last - 1
        if self.epoch not in {None, epoch} or missing > self.allowed:
            self.holes += 1
        elif missing < 0:
            self.doubles += 1
        elif missing != self.allowed:
            self.inexact += 1

    def reset(self) -> None:
        """It was told that what comes next does not follow from what came."""
        self.resets += 1
        self.last, self.epoch, self.allowed = None, None, 0

    def begin(self, state: LinkState | None) -> None:
        """The snapshot after a registration."""
        self.snapshots += 1
        self.begun = True
        self.last = None if state is None else number_of(state.poa)


class Book:
    """The accounts of one consumer, by link: what its callbacks are."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.snapshots_after_gaps = 0
        self.gaps = 0
        self.sessions_lost = 0
        self.others = 0  # LinkDowns for another reason than a lost driver or the next number
        self.publishers: set[str] = set()  # of the links that are accounted for
        self.number: int | None = None  # of the registration for LinkUp; None until it is made
        self._begun: dict[str, LinkState] | None = None  # the last snapshot of that registration

    def of(self, link: str) -> Account:
        """The account of a link, from its first mention on."""
        if link not in self.accounts:
            account = self.accounts[link] = Account()
            if self._begun is not None:
                account.begin(self._begun.get(link))
        return self.accounts[link]

    def event(self, event: Any) -> None:
        """lies.bus.Client.on_event."""
        if not event.header.link.name.startswith(LINKS):
            return
        match event:
            case LinkUp():
                self.publishers.add(event.header.publisher)
                self.of(event.header.link.name).up(event)
            case LinkDown(reason=DownReason.DRIVER_LOST):
                self.of(event.header.link.name).reset()
            case LinkDown(reason=reason) if reason is not DownReason.CARRIER:
                self.others += 1

    def gap(self, gap: Gap) -> None:
        """lies.bus.Client.on_gap."""
        if gap.primitive != "link_up":
            return
        if gap.last is None:
            self.sessions_lost += 1
            self._begun = None
        else:
            self.gaps += 1
        if gap.publisher not in {None, *self.publishers}:
            return
        for account in self.accounts.values():
            if gap.last is None:
                account.reset()
                account.begun = False
            else:
                account.allowed += gap.last - gap.first + 1
                account.told += gap.last - gap.first + 1

    def snapshot(self, snapshot: Snapshot) -> None:
        """lies.bus.Client.on_snapshot."""
        if snapshot.registration is None:
            self.snapshots_after_gaps += snapshot.request_id is None
        elif self.number in {None, snapshot.registration}:
            self.number = snapshot.registration
            found = {state.link.name: state for state in snapshot.links}
            self._begun = {name: state for name, state in found.items() if name.startswith(LINKS)}
            for link, account in self.accounts.items():
                account.begin(self._begun.get(link))
            for link in self._begun:
                self.of(link)

    def report(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "gaps": self.gaps,
            "snapshots_after_gaps": self.snapshots_after_gaps,
            "sessions_lost": self.sessions_lost,
            "others": self.others,
            "links": {name: asdict(account) for name, account in self.accounts.items()},
        }
