"""The cellular follower on a virtual clock, with a ModemManager in memory that answers at once."""

from collections.abc import Sequence
from typing import Any

from dbus_kit import Refuse
from fake_modems import FakeModems
from followed_links import FollowedLinks

from lies.dbus import Variant
from lies.events import Attached, Detached, RawItem, Sample, Served, Warned
from lies_cellular.config import CellularConfig
from lies_cellular.follow import Follower
from lies_cellular.items import Action, Answer, Call, Item, Present, Secret
from lies_cellular.reader import Reader

_S = 1_000_000_000
CELL, OTHER = "24001-1A2B-C0FFEE", "24001-1A2B-C0FFEF"


def bare(value: Any) -> Any:
    """A value as it arrives from D-Bus: without variants, structs as lists."""
    match value:
        case Variant(value=held):
            return bare(held)
        case list() | tuple():
            return [bare(v) for v in value]
        case dict():
            return {k: bare(v) for k, v in value.items()}
    return value


class World(FollowedLinks):
    """Everything that the driver's shell does, without a bus; auto: calls are answered at once."""

    def __init__(self, config: CellularConfig | None = None, tried: set[str] | None = None) -> None:
        super().__init__()
        self.now = 1000.0
        self.reader = Reader()
        self.follower = Follower(config or CellularConfig(), tried)
        self.modems = FakeModems(self._emit)
        self.open: list[Call] = []
        self.auto = True
        self.there = False
        self.pin = "1234"
        self._queue: list[Item] = []
        self._busy = False

    @property
    def t_ns(self) -> int:
        """The clock in ns."""
        return round(self.now * _S)

    def begin(self) -> "World":
        """ModemManager comes."""
        self.there = True
        self.feed(Present(self.t_ns, there=True))
        return self

    def lose(self) -> None:
        """ModemManager goes, and forgets all."""
        self.there = False
        self.modems.objects.clear()
        self.modems.bearers.clear()
        self.open.clear()
        self.feed(Present(self.t_ns, there=False))

    def feed(self, item: Item) -> None:
        """Give the follower an item, and all that follows from it."""
        self._queue.append(item)
        if self._busy:
            return
        self._busy = True
        while self._queue:
            self._perform(self.follower.receive(self._queue.pop(0), self.now))
            if self.auto and not self._queue:
                self.answer()
        self._busy = False

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (due := self.follower.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self._perform(self.follower.handle_timeout(self.now))
            if self.auto:
                self.answer()
        self.now = end

    def answer(self) -> None:
        """Answer every call that is open; what ModemManager signals meanwhile comes before the answer."""
        while self.open:
            call = self.open.pop(0)
            arguments = [bare(a) for a in call.arguments]
            if call.secret is Secret.PIN:
                arguments.append(self.pin)
            try:
                found = self.modems.call(call.path, call.interface, call.member, arguments)
            except Refuse as refusal:
                self.feed(Answer(self.t_ns, call, error=refusal.name, why=str(refusal)))
                continue
            if found is not None:
                body = tuple(bare(v) for v in found[1])
                self.feed(Answer(self.t_ns, call, self.reader.answer(call.purpose, body)))

    def story(self, link: str = "wwan0") -> list[str]:
        """What a link was told but samples, as words."""
        return [_word(item) for item in self.items.get(link, []) if not isinstance(item, Sample)]

    def moves(self, link: str = "wwan0") -> list[str]:
        """Attached and Detached only."""
        found = self.items.get(link, [])
        return [_word(item) for item in found if isinstance(item, Attached | Detached)]

    def samples(self, link: str = "wwan0") -> list[Sample]:
        """The samples of a link."""
        return [item for item in self.items.get(link, []) if isinstance(item, Sample)]

    def _emit(self, path: str, interface: str, member: str, _signature: str, body: list[Any]) -> None:
        if self.there:
            item = self.reader.signal(self.t_ns, path, interface, member, tuple(bare(v) for v in body))
            if item is not None:
                self.feed(item)

    def _perform(self, actions: Sequence[Action]) -> None:
        self.actions += actions
        for action in actions:
            if isinstance(action, Call):
                self.open.append(action)
            else:
                self.step(action)


def _word(item: RawItem) -> str:
    match item:
        case Attached(poa=poa):
            return f"up {poa}"
        case Detached(poa=poa, reason=reason):
            return f"down {poa} {reason.value}"
        case Warned(reason=reason):
            return f"warning {reason.value}" if reason is not None else "no warning"
        case Served(technology=technology, registration=registration):
            return f"served {technology} {registration}"
        case Sample():
            return "sample"


def enabled(config: CellularConfig | None = None) -> tuple[World, str]:
    """A world with one modem, registered at CELL; and the modem's path."""
    world = World(config).begin()
    path = world.modems.plug()
    world.modems.enable(path)
    return world, path
