"""What a drive looks like while it runs: a live picture on a terminal, plain lines on a pipe."""

from collections import deque
from typing import TYPE_CHECKING, Protocol

from lies.events import (
    BindingUpdated,
    CareOfAddressChanged,
    HandoverDone,
    Indication,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PacketsBuffered,
    PoAFound,
    PoALost,
    Raw,
    RawAttached,
    RawDetached,
    RawSample,
    Sample,
    indication_name,
)
from lies.testbed.plan import Plan
from lies.testbed.topology import Router

if TYPE_CHECKING:
    from rich.text import Text

_BAR = 24
_PRIMITIVE_LINES = 10
_HANDOVER_LINES = 8
_WEAKEST = {"snr": 5.0, "rsrp": -125.0}
_RANGE_DB = 45.0


class View(Protocol):
    """A watcher of drives that is opened before and closed after each."""

    def open(self, plan: Plan) -> None:
        """A drive begins."""
        ...

    def close(self) -> None:
        """The drive is over."""
        ...

    def on_stage(self, text: str) -> None:
        """What is being done now."""
        ...

    def on_event(self, event: Indication | Raw) -> None:
        """What the mobile node's daemon indicates."""
        ...

    def on_traffic(self, elapsed_s: float, sent: int, received: int) -> None:
        """Packets so far, both directions."""
        ...


class Silent:
    """Shows nothing (`-j`)."""

    def open(self, plan: Plan) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def on_stage(self, text: str) -> None:
        """Nothing to do."""

    def on_event(self, event: Indication | Raw) -> None:
        """Nothing to do."""

    def on_traffic(self, elapsed_s: float, sent: int, received: int) -> None:
        """Nothing to do."""


class Names:
    """Access points by their routers: `AP 3`, with the recorded PoA behind it."""

    def __init__(self, plan: Plan) -> None:
        recorded = {poa: name for name, poa in plan.poas.items()}
        self.order = [Router(n + 1).bssid for n in range(plan.routers)]
        self._names = {
            poa: f"AP {n}" + (f" ({recorded[poa]})" if poa in recorded else "")
            for n, poa in enumerate(self.order, 1)
        }

    def of(self, poa: str) -> str:
        """A short name for a PoA."""
        return self._names.get(poa, poa)


def describe(event: Indication | Raw, names: Names) -> str | None:
    """An indication in a few words; None for raw measurements."""
    said = _said(event, names)
    return None if said is None else f"{indication_name(event)} {said}"


def _said(event: Indication | Raw, names: Names) -> str | None:  # noqa: PLR0911 - one return for each kind
    match event:
        case LinkUp(_, poa) | LinkGoingDownCancelled(_, poa):
            return f"{names.of(poa)}"
        case LinkDown(_, poa, reason):
            return f"{names.of(poa)} {reason.value}"
        case LinkStatusChanged(_, poa, condition, previous):
            return f"{names.of(poa)} {previous.quality.value} -> {condition.quality.value}"
        case LinkGoingDown(_, poa, time_to_down_ms, confidence, _):
            return f"{names.of(poa)} in {time_to_down_ms:.0f} ms, confidence {confidence:.2f}"
        case PoAFound(_, poas) | PoALost(_, poas):
            return f"{', '.join(names.of(p.poa) for p in poas)}"
        case CareOfAddressChanged(_, coa, _, _, tunnel_from):
            return f"{coa}" + (f", tunnel from {tunnel_from}" if tunnel_from else "")
        case BindingUpdated():
            return f"{event.coa} status {event.status} in {(event.ba_ns - event.bu_ns) / 1e6:.1f} ms"
        case HandoverDone():
            return f"{event.mode} to {names.of(event.to_poa)}"
        case PacketsBuffered():
            return f"{event.packets} for {event.address}, {event.lost} lost"
        case _:
            return None


class Lines:
    """One line for each thing that happens."""

    def __init__(self) -> None:
        self._names: Names | None = None
        self._first_ns: int | None = None

    def open(self, plan: Plan) -> None:
        """A headline."""
        o = plan.options
        print(
            f"{o.mode}: {plan.routers} access routers, {plan.duration_s:.0f} s, "
            f"{o.rate_mbps:g} Mbit/s each way, "
            f"L2 gap >= {o.l2_gap_ms:g} ms, backbone + {o.backbone_ms:g} ms",
            flush=True,
        )
        self._names = Names(plan)

    def close(self) -> None:
        """Nothing to do."""

    def on_stage(self, text: str) -> None:
        """What is being done."""
        print(f"... {text}", flush=True)

    def on_event(self, event: Indication | Raw) -> None:
        """The event in a few words."""
        if self._names is None or (words := describe(event, self._names)) is None:
            return
        if self._first_ns is None:
            self._first_ns = event.header.mono_ns
        print(f"{(event.header.mono_ns - self._first_ns) / 1e9:8.3f} {words}", flush=True)

    def on_traffic(self, elapsed_s: float, sent: int, received: int) -> None:
        """Nothing: a pipe wants events."""


class Picture:
    """The drive as a picture: the road, a signal bar for each access point, primitives, handovers."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        self._plan: Plan | None = None
        self._names: Names | None = None
        self._levels: dict[str, float] = {}
        self._serving: str | None = None
        self._stage = ""
        self._primitives: deque[str] = deque(maxlen=_PRIMITIVE_LINES)
        self._handovers: deque[str] = deque(maxlen=_HANDOVER_LINES)
        self._traffic = (0.0, 0, 0)

    def open(self, plan: Plan) -> None:
        """Start the picture."""
        self._plan, self._names = plan, Names(plan)
        self._levels.clear()
        self._primitives.clear()
        self._handovers.clear()
        self._serving = None
        self._live.start()

    def close(self) -> None:
        """Take the picture away."""
        self._live.stop()

    def on_stage(self, text: str) -> None:
        """What is being done."""
        self._stage = text
        self._draw()

    def on_event(self, event: Indication | Raw) -> None:
        """Take in what happened; the picture is drawn at the next tick of the traffic."""
        if self._names is None:
            return
        match event:
            case RawSample(_, sample):
                self._hear(sample)
            case RawAttached(_, attached):
                self._serving = attached.poa
            case RawDetached():
                self._serving = None
            case HandoverDone() if event.from_poa is not None:
                took = "-"
                if event.fbu_ns is not None and event.fback_ns is not None:
                    took = f"{(event.fback_ns - event.fbu_ns) / 1e6:.1f} ms"
                way = f"{self._names.of(event.from_poa)} -> {self._names.of(event.to_poa)}"
                self._handovers.append(f"{way}  {event.mode}  FBU-FBack {took}")
        if (words := describe(event, self._names)) is not None:
            self._primitives.append(words)

    def on_traffic(self, elapsed_s: float, sent: int, received: int) -> None:
        """Draw."""
        self._traffic = (elapsed_s, sent, received)
        self._draw()

    def _hear(self, sample: Sample) -> None:
        if (
            sample.poa is not None
            and (level := _level(sample.rssi_dbm, sample.snr_db, sample.rsrp_dbm)) is not None
        ):
            self._levels[sample.poa] = level
        if sample.neighbours is not None:
            heard = {sample.poa, *(n.poa for n in sample.neighbours)}
            self._levels = {poa: level for poa, level in self._levels.items() if poa in heard}
        for n in sample.neighbours or ():
            if (level := _level(n.rssi_dbm, n.snr_db, n.rsrp_dbm)) is not None:
                self._levels[n.poa] = level

    def _draw(self) -> None:
        from rich.columns import Columns
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        if self._plan is None or self._names is None:
            return
        elapsed, sent, received = self._traffic
        road = Text()
        for poa in self._names.order:
            serving = poa == self._serving
            level = max(0.0, min(1.0, self._levels.get(poa, 0.0)))
            filled = round(level * _BAR)
            road.append(f"{'>' if serving else ' '} {self._names.of(poa):<18}", "bold" if serving else "")
            road.append("█" * filled, "green" if level > 0.6 else "yellow" if level > 0.35 else "red")
            road.append("·" * (_BAR - filled) + "\n", "dim")
        share = min(1.0, elapsed / self._plan.duration_s) if self._plan.duration_s > 0 else 0.0
        car = round(share * 58)
        track = Text("─" * car + "▶" + "─" * (58 - car))
        state = Text(
            f"{self._plan.options.mode}   {self._stage}   {elapsed:5.1f} s   "
            f"sent {sent}   received {received}"
        )
        both = Columns(
            [
                Panel(
                    _lines(self._primitives),
                    title="primitives",
                    width=64,
                    height=_PRIMITIVE_LINES + 2,
                ),
                Panel(_lines(self._handovers), title="handovers", width=58, height=_PRIMITIVE_LINES + 2),
            ]
        )
        self._live.update(Group(state, track, road, both))


def _lines(words: "deque[str]") -> "Text":
    """Lines that are cut, not wrapped."""
    from rich.text import Text

    return Text("\n".join(words), no_wrap=True, overflow="ellipsis")


def _level(rssi_dbm: float | None, snr_db: float | None, rsrp_dbm: float | None) -> float | None:
    """Signal strength as 0..1 of what a bar shows."""
    if snr_db is not None and rsrp_dbm is None:
        return (snr_db - _WEAKEST["snr"]) / _RANGE_DB
    if rssi_dbm is not None and rsrp_dbm is None:
        return (rssi_dbm + 95.0 - _WEAKEST["snr"]) / _RANGE_DB
    if rsrp_dbm is not None:
        return (rsrp_dbm - _WEAKEST["rsrp"]) / _RANGE_DB
    return None
