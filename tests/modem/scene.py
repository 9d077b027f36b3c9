"""A rig with somebody who listens to the bus, and the cellular driver beside it."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define

from modem.driven import Driven, driving
from modem.listener import Listener
from modem.rig import Rig

HERE = "24001-1A2B-C0FFEE"  # the PoA at the start
LEVEL = ("good", 29.902)  # its quality, and its bandwidth in Mbit/s, both as estimated from -95 dBm
DELAYS: dict[str, list[tuple[float, float]]] = {}  # row -> ms from action to D-Bus and to what LIES told


@define
class Scene:
    """What a row of the table is played on."""

    rig: Rig
    bus: Listener
    lies: Driven

    def connect(self) -> None:
        """Have somebody else connect the modem, and wait until the link is up."""
        self.rig.connect()
        self.lies.wait("link_up")
        self.lies.wait("link_status_changed")

    def compare(self, row: str, since_ns: int, what: str, *primitive: Any) -> None:
        """Note how long after the action the bus, and LIES, told it."""
        heard = next(h.t_ns for h in self.bus.heard if h.t_ns >= since_ns and h.what == what)
        began = next(t for t, one in self.lies.timed(since_ns) if one[: len(primitive)] == primitive)
        self.note(row, since_ns, heard, began)

    @staticmethod
    def note(row: str, since_ns: int, heard_ns: int, told_ns: int) -> None:
        """Note a pair of delays."""
        DELAYS.setdefault(row, []).append(((heard_ns - since_ns) / 1e6, (told_ns - since_ns) / 1e6))


@contextmanager
def scene(rig: Rig, *, enabled: bool = True, **options: Any) -> Iterator[Scene]:
    """Listener and driver on the rig; enabled: the modem is registered, its levels and cell are known."""
    bus = Listener(rig.directory, rig.env)
    try:
        if enabled:
            rig.enable()
            rig.setup_location()
            rig.setup_signal(1)
            bus.wait("Modem.Signal.Lte", lambda levels: "rsrp" in levels)
        with driving(rig.address, **options) as lies:
            if enabled:
                lies.until(lambda: any(s.rsrp_dbm is not None and s.poa == HERE for _, s in lies.samples()))
                lies.wait("poa_found")
            yield Scene(rig, bus, lies)
    finally:
        bus.stop()


def table(write: Callable[[str], None]) -> None:
    """The delays of all rows: medians where there are several."""
    for row, pairs in DELAYS.items():
        bus, lies = (statistics.median(side) for side in zip(*pairs, strict=True))
        many = f" ({len(pairs)} times)" if len(pairs) > 1 else ""
        write(f"{row:<44} D-Bus {bus:9.1f} ms   LIES {lies:9.1f} ms   {lies / bus:5.2f} x{many}")
