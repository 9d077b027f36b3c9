"""What runs on the hosts of the virtual network, and how a consumer brings it there.

A consumer whose protocol can be simulated answers lies.consumer.Consumer.simulation with a Part. The part
makes a Program for each host that it has something to do on. A program is what a shell is on a real host:
around its engine, it turns packets and events into items, and actions into calls of the host.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from lies.errors import MalformedMessage
from lies.events import Indication
from lies.packet import OtherProtocol

if TYPE_CHECKING:
    from lies.engine import Engine
    from lies.sim.clock import VirtualClock
    from lies.sim.home import HomeHost
    from lies.sim.mobile import MobileHost
    from lies.sim.network import Network
    from lies.sim.router import RouterHost

_NEXT_HEADER = 6  # offset in the IPv6 header

ItemT = TypeVar("ItemT")
ActionT = TypeVar("ActionT")


class Program(Protocol):
    """A protocol's part on one host."""

    def event(self, event: Indication) -> None:
        """An indication or report, of the host's link or of another program on the host."""
        ...

    def packet(self, packet: bytes, link_layer: bytes | None) -> None:
        """A packet for the host, from the IPv6 header on; MalformedMessage, OtherProtocol if not its own.

        link_layer: source address of the frame if it came on an access link.
        """
        ...

    def leftovers(self) -> list[str]:
        """State that should have ended by now, with nothing going on."""
        ...

    def close(self) -> None:
        """The host fails: do nothing any more."""
        ...


class Part(Protocol):
    """What a consumer brings to the virtual network; None where it has nothing to do."""

    def on_mobile(self, host: "MobileHost") -> Program | None:
        """For a mobile node."""
        ...

    def on_router(self, host: "RouterHost") -> Program | None:
        """For an access router."""
        ...

    def on_home(self, host: "HomeHost") -> Program | None:
        """For the home agent."""
        ...


class Seat(Generic[ItemT, ActionT]):
    """Runs an engine on the virtual clock, as lies.runtime.Runtime runs it on a real one."""

    __slots__ = (
        "_armed",
        "_at",
        "_busy",
        "_clock",
        "_closed",
        "_due",
        "_pending",
        "_perform",
        "_waking",
        "engine",
    )

    def __init__(
        self, clock: "VirtualClock", engine: "Engine[ItemT, ActionT]", perform: Callable[[ActionT], None]
    ) -> None:
        self.engine = engine
        self._clock = clock
        self._perform = perform
        self._armed: list[float] = []  # when it wakes up, the next time last
        self._due: float | None = None  # when the engine wants to be woken up
        self._pending: list[ItemT] = []
        self._busy = self._closed = False
        self._at = clock.at
        self._waking = self._wake  # made once, not each time that it is armed

    def feed(self, item: ItemT) -> None:
        """Give the engine an item and perform what it answers; the engine is never re-entered."""
        if self._busy:
            self._pending.append(item)
        elif not self._closed:
            self._busy = True
            self._perform_all(self.engine.receive(item, self._clock.now))

    def start(self) -> None:
        """Arm the timer before the first item."""
        due = self._due = self.engine.next_timeout()
        if due is not None:
            self._arm(due)

    def close(self) -> None:
        """Nothing is done any more."""
        self._closed = True

    def _perform_all(self, actions: Sequence[ActionT]) -> None:
        for action in actions:
            self._perform(action)
        if self._pending:
            self._catch_up()
        self._busy = False
        due = self._due = self.engine.next_timeout()
        armed = self._armed
        if due is not None and (not armed or due < armed[-1]):
            self._arm(due)

    def _catch_up(self) -> None:
        """Give the engine what came while it was busy."""
        pending = self._pending
        while pending:
            for action in self.engine.receive(pending.pop(0), self._clock.now):
                self._perform(action)

    def _arm(self, due: float) -> None:
        """A timer that was armed for earlier stays armed: it costs less to wake up once too often."""
        self._armed.append(due)
        self._at(due, self._waking)

    def _wake(self) -> None:
        armed, due = self._armed, self._due
        armed.pop()
        if self._closed or due is None:
            return
        now = self._clock.now
        if due <= now:
            self._busy = True
            self._perform_all(self.engine.handle_timeout(now))
        elif not armed or due < armed[-1]:
            self._arm(due)


class Crew:
    """The programs of one host."""

    __slots__ = (
        "_net",
        "_programs",
        "_took",
    )

    def __init__(self, net: "Network") -> None:
        self._net = net
        self._programs: list[Program] = []
        self._took: dict[int, Program] = {}  # by next header: whose the last such packet was

    def hire(self, program: Program) -> None:
        """One more."""
        self._programs.append(program)

    @property
    def programs(self) -> tuple[Program, ...]:
        """Those that are there."""
        return tuple(self._programs)

    def dismiss(self) -> None:
        """All of them go."""
        for program in self._programs:
            program.close()
        self._programs.clear()
        self._took.clear()

    def tell(self, event: Indication) -> None:
        """An event for all."""
        for program in self._programs:
            program.event(event)

    def give(self, packet: bytes, link_layer: bytes | None) -> None:
        """A packet for the one whose it is."""
        likely = self._took.get(packet[_NEXT_HEADER])
        if likely is not None:
            try:
                likely.packet(packet, link_layer)
            except OtherProtocol:
                pass
            except MalformedMessage as error:
                self._net.tally.malformed[str(error)] += 1
                return
            else:
                return
        for program in self._programs:
            if program is not likely and self._takes(program, packet, link_layer):
                self._took[packet[_NEXT_HEADER]] = program
                return

    def _takes(self, program: Program, packet: bytes, link_layer: bytes | None) -> bool:
        try:
            program.packet(packet, link_layer)
        except OtherProtocol:
            return False
        except MalformedMessage as error:
            self._net.tally.malformed[str(error)] += 1
        return True

    def leftovers(self) -> list[str]:
        """What all of them have left."""
        return [left for program in self._programs for left in program.leftovers()]


def kind_of(message: Any) -> str:  # noqa: ANN401 - any protocol's
    """The name under which a message is counted."""
    return type(message).__name__
