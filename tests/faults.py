"""Faults in mid-handover: when they happen, and within which time packets may be lost for them."""

import select
from collections.abc import Callable
from typing import Any

from attrs import define, field
from drives import Onlooker, drive, state_of, until
from kernel_losses import Kind, lose, lose_no_more, lost

from lies.events import BindingUpdated, HandoverDone, Indication, LinkDown, LinkUp, Raw
from lies.runtime import now_s, wall_ns
from lies.testbed import topology as t
from lies.testbed.drive import Drive
from lies.testbed.measure import Direction
from lies.testbed.node import Node, stop_all
from lies.testbed.result import DriveResult

ONE, TWO = t.Router(1), t.Router(2)
ACCESS, BACKBONE = "ap", "bb"
OPTIONS: dict[str, Any] = {"routers": 2, "speed_kmh": 40.0, "rate_mbps": 5.0, "grace_s": 0.5}


@define(eq=False)
class Restart:
    """A daemon that is killed and started again; times in ns, wall clock; ready_ns: None until it serves."""

    name: str
    killed_ns: int = 0
    ready_ns: int | None = None
    node: Node | None = None

    def begin(self, drive_: Drive) -> None:
        """SIGKILL, and a new process."""
        self.killed_ns = wall_ns()
        self.node = drive_.restart(self.name)

    def look(self) -> bool:
        """Whether the new process serves."""
        if self.node is None or self.ready_ns is not None:
            return self.ready_ns is not None
        if select.select([self.node.ready_fd], [], [], 0)[0]:
            self.node.wait_ready(0.0)
            self.ready_ns = wall_ns()
        return self.ready_ns is not None


@define(eq=False)
class Faults(Onlooker):
    """A watcher that loses messages from the beginning of the traffic on, and acts as the drive goes on.

    losses: (namespace, interface, kind, how many of the first); act: called with this and every event;
    bound_ns: when it was heard that the home agent and the node use the last care-of address.
    """

    losses: list[tuple[str, str, Kind, int]] = field(factory=list)
    act: Callable[["Faults", Indication | Raw], None] = lambda _faults, _event: None
    stages: list[str] = field(factory=list)
    events: list[Indication | Raw] = field(factory=list)
    counted: dict[tuple[str, str], int] = field(factory=dict)  # (namespace, kind): how many were lost
    bound_ns: int = 0
    left: list[str] = field(factory=list)  # tunnels and proxy entries on the routers at the end
    _drive: Drive | None = None
    _helper: Callable[[Drive], Node] | None = None
    _helpers: list[Node] = field(factory=list)

    def run(self, *, helper: Callable[[Drive], Node] | None = None, **options: Any) -> DriveResult:
        """Make a drive with these faults; how many messages were lost is in `counted` then.

        helper: starts a process when the traffic begins, which is stopped after the last packet.
        """
        self._helper = helper
        try:
            return drive(
                **{**OPTIONS, **options}, onlooker=self, on_built=self._built, on_settled=self._settled
            )
        finally:
            stop_all(self._helpers)

    @property
    def drive(self) -> Drive:
        """The drive under way."""
        assert self._drive is not None
        return self._drive

    def on_stage(self, text: str) -> None:
        """Lose from here on, when the drive begins."""
        self.stages.append(text)
        if text == "driving":
            for namespace, interface, kind, count in self.losses:
                lose(self.drive.descriptor(namespace), interface, kind, count)
            if self._helper is not None:
                self._helpers.append(self._helper(self.drive))
                self._helpers[0].wait_ready(now_s() + 20)

    def on_event(self, event: Indication | Raw) -> None:
        """Keep the event, and act."""
        self.events.append(event)
        if isinstance(event, BindingUpdated):
            self.bound_ns = wall_ns()
        if "driving" in self.stages:
            self.act(self, event)

    def lost(self, namespace: str, kind: Kind) -> int:
        """How many were lost until now."""
        return lost(self.drive.descriptor(namespace), kind)

    def lose_no_more(self, namespace: str) -> None:
        """End the losses of a namespace."""
        for name, _interface, kind, _count in self.losses:
            if name == namespace:
                self.counted[name, kind.name] = self.lost(name, kind)
        lose_no_more(self.drive.descriptor(namespace))

    def of(self, *kinds: type) -> list[Any]:
        """The events of some kinds since the first attachment."""
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def modes(self) -> list[str]:
        """The modes of all handovers."""
        return [e.mode for e in self.of(HandoverDone) if e.from_poa is not None]

    @property
    def down_ns(self) -> int:
        """When the first router's link went."""
        return int(next(e.header.wall_ns for e in self.of(LinkDown)))

    @property
    def up_ns(self) -> int:
        """When the second router's link came."""
        return int(next(e.header.wall_ns for e in self.of(LinkUp) if e.poa == TWO.bssid))

    def _built(self, drive_: Drive) -> None:
        self._drive = drive_

    def _settled(self, drive_: Drive) -> None:
        while self._helpers:
            stop_all([self._helpers.pop()])

        def gone() -> bool:
            self.left = _left(drive_)
            return not self.left

        try:
            until(gone, within_s=30, what="the routers have forgotten")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.left}") from error
        for namespace, _interface, kind, _count in self.losses:
            if (namespace, kind.name) not in self.counted:
                self.counted[namespace, kind.name] = self.lost(namespace, kind)


def neighbour(router: t.Router) -> dict[str, Any]:
    """A router as its neighbours' configurations have it."""
    return {
        "address": str(router.address),
        "lla": t.mac_text(router.access_mac),
        "prefix": str(router.prefix),
        "access_points": [router.bssid],
    }


def _left(drive_: Drive) -> list[str]:
    states = [state_of(drive_, router.name) for router in (ONE, TWO)]
    return [line for state in states for line in (*state["tunnels"], *state["proxies"])]


def ends_connected(result: DriveResult) -> bool:
    """Whether the last packet of each direction arrived."""
    return all(len(d.sent_ns) - 1 in {number for number, _, _ in d.received} for d in result.directions)


def lost_outside(result: DriveResult, *windows: tuple[int, int]) -> list[tuple[str, int]]:
    """Packets that were lost though in none of these times they were sent or on their way."""
    return [
        (direction.name, number)
        for direction in result.directions
        for number in direction.lost
        if not any(
            begin - _slowest_ns(direction) <= direction.sent_ns[number] <= end for begin, end in windows
        )
    ]


def _slowest_ns(direction: Direction) -> int:
    return max((arrived - sent for _, sent, arrived in direction.received), default=0)
