"""What every shell of the mobility consumers keeps to, whatever it does in the kernel."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from shell_kit import HandBus, Place, perform, place

from lies.errors import LiesError, TimedOut
from lies.kernel.netlink import KernelError
from lies.kernel.signalling import Signalling
from lies.kernel.tunnels import Decapsulator, Hold

MAC = bytes.fromhex("020000000101")
FAULTS: dict[str, tuple[type[object], str]] = {
    "signalling": (Signalling, "__init__"),
    "hold": (Hold, "__init__"),
    "decapsulator": (Decapsulator, "__init__"),
    "begin": (Signalling, "start"),
}
_HEADER = bytes.fromhex("6000000000088740")  # version 6, 8 octets of payload, Mobility Header, hop limit 64
GARBAGE = [b"", b"\x60", _HEADER + bytes(32) + bytes(8), bytes(60)]


def refuses(*_: object, **__: object) -> None:
    """What the kernel does when it does not want."""
    raise KernelError(1, "a test", "no more of it")


async def nothing(_shell: Any) -> None:
    """Only start and stop."""


class ShellContract:
    """Subclass it per role.

    role: as shell_kit.Place.consumer names it; full: actions after which it has everything in the kernel that
    it can have; other: actions in another order, so that tables are given to other addresses; missing:
    options that name an interface `nowhere`; verbs: of the bus that starting needs; faults: parts that
    starting needs.
    """

    pytestmark = pytest.mark.netns
    role: ClassVar[str]
    full: ClassVar[tuple[object, ...]]
    other: ClassVar[tuple[object, ...]]
    missing: ClassVar[tuple[dict[str, Any], ...]]
    verbs: ClassVar[tuple[str, ...]] = ()
    faults: ClassVar[tuple[str, ...]] = ("signalling", "decapsulator", "begin")

    @pytest.fixture
    def here(self) -> Iterator[Place]:
        """A namespace with the interfaces that consumers need."""
        with place() as found:
            yield found

    def test_started_and_stopped_nothing_is_left(self, here: Place) -> None:
        """Rules, routes, addresses, devices, settings and descriptors are as before; twice over."""
        for _ in range(2):
            here.run(here.consumer(self.role), nothing)
            assert here.more() == {}
            assert here.opened == 0

    def test_stopped_in_the_middle_nothing_is_left(self, here: Place) -> None:
        """With tunnels, held packets and prepared handovers in the kernel: stop removes them all."""

        async def work(shell: Any) -> None:
            perform(shell, *self.full)
            assert here.more().keys() >= {"rules", "routes", "links"}

        here.run(here.consumer(self.role), work)
        assert here.more() == {}
        assert here.opened == 0

    def test_a_start_that_fails_half_way_leaves_nothing_after_stop(
        self, here: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever the kernel refuses while starting: after stop all is as before, and a retry works."""
        for fault in self.faults:
            cls, name = FAULTS[fault]
            with monkeypatch.context() as patch:
                patch.setattr(cls, name, refuses)
                with pytest.raises(KernelError, match="no more of it"):
                    here.run(here.consumer(self.role), nothing)
            assert here.more() == {}, fault
            assert here.opened == 0, fault
            here.run(here.consumer(self.role), nothing)

    def test_a_bus_that_fails_is_no_reason_to_leave_anything(self, here: Place) -> None:
        """A request that nobody answers ends the start; after stop nothing is left."""
        for verb in self.verbs:
            bus = HandBus(refuse={verb: TimedOut("nobody answered")})
            with pytest.raises(TimedOut):
                here.run(here.consumer(self.role, bus), nothing)
            assert here.more() == {}, verb
            assert here.opened == 0, verb

    def test_an_interface_that_is_missing_is_named(self, here: Place) -> None:
        """The error has the interface's name, and nothing is left."""
        for options in self.missing:
            consumer = here.consumer(self.role, None, **options)
            with pytest.raises(LiesError, match="there is no interface 'nowhere' here"):
                here.run(consumer, nothing)
            assert here.more() == {}, options
            assert here.opened == 0, options

    def test_after_a_kill_a_fresh_start_takes_over(self, here: Place) -> None:
        """SIGKILL leaves everything; a new consumer comes to have its own state only, and ends clean."""
        here.run_and_kill(self.role, lambda shell: perform(shell, *self.full))
        assert here.more().keys() >= {"rules", "routes", "links"}
        states: list[dict[str, list[str]]] = []

        async def work(shell: Any) -> None:
            perform(shell, *self.other)
            states.append(_comparable(here.more()))

        here.run(here.consumer(self.role), work)
        after = here.more()
        after.pop("settings", None)  # a dead consumer cannot say what an interface's settings were before it
        assert after == {}
        here.run(here.consumer(self.role), work)
        assert states[0] == states[1]

    @pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
    def test_garbage_on_the_wire_ends_no_consumer(self, here: Place, data: bytes) -> None:
        """What is no message is counted by the signalling, and nothing is raised."""

        async def work(shell: Any) -> None:
            class Once:
                """A receiver that has one packet."""

                def receive(self) -> list[tuple[bytes, bytes]]:
                    """It."""
                    return [(data, MAC)]

            signalling: Signalling = shell._signalling
            signalling._on_readable("wlan0", Once())  # type: ignore[arg-type]  # all that is asked of it
            assert signalling.dropped.total() == 1

        here.run(here.consumer(self.role), work)


def _comparable(state: dict[str, list[str]]) -> dict[str, list[str]]:
    """A state without what numbers and MAC addresses of devices make different every time."""
    kept = {k: v for k, v in state.items() if k not in {"links", "addresses", "settings"}}
    kept["routes"] = [r for r in kept.get("routes", []) if " proto kernel " not in r]
    kept["permanent"] = [e for e in kept.get("permanent", []) if " dev lies-" not in e]
    return kept
