"""One modem as a link: from what ModemManager tells to attached, detached, warned, served and samples.

The link is up while a connection (bearer) of the modem is connected; the modem's own state only says what is
about to happen. Which cell serves comes from Location, how from AccessTechnologies and RegistrationState.
"""

from typing import Any

from attrs import evolve

from lies.events import Attached, Detached, DownReason, RawItem, Served, Warned
from lies.link_steps import Feed, Say
from lies_cellular import uapi as u
from lies_cellular.bearers import Bearers
from lies_cellular.config import CellularConfig
from lies_cellular.items import Action, Answer, Call, Purpose, Values
from lies_cellular.measuring import Measuring
from lies_cellular.orders import Orders
from lies_cellular.reader import Place
from lies_cellular.setting_up import SettingUp

VERIFY_S = 1.0  # after the modem left its connected state and no connection ended: look
QUIET_S = 8.0  # after a modem was disabled: by then what it heard counts as lost
CELL_WAIT_S = 1.0  # how long a connection that was there before waits for the name of its cell
_S = 1_000_000_000


class Modem:
    """One modem, from its object's coming to its going. Methods append what follows to `out`; now: s.

    tried: SIMs whose PIN was tried; begun_ns: nothing is told of a time before it.
    """

    def __init__(
        self, path: str, link: str, config: CellularConfig, tried: set[str], *, begun_ns: int = 0
    ) -> None:
        self.path = path
        self.link = link
        self.poa: str | None = None  # while the link is up
        self.bearers = Bearers()
        self.measuring = Measuring(config)
        self.state = u.State.UNKNOWN
        self.registration = 4
        self.operator = ""
        self._network: str | None = None  # the operator's name
        self.place: Place | None = None
        self.serving: str | None = None  # the bearer that carries the link
        self.orders = Orders(self, config, tried)
        self.setting_up = SettingUp(self, config)
        self._config = config
        self._attached_place: Place | None = None
        self._served = Served(0)
        self._warned: DownReason | None = None
        self._verify_at: float | None = None
        self._wait_until: float | None = None
        self._last_ns = begun_ns
        self._known: dict[str, Any] = {}  # properties of the modem
        self._quiet_at = 0.0  # when it is of no use any more to say that nothing is heard

    @property
    def last_ns(self) -> int:
        """The time of the last item."""
        return self._last_ns

    # ---- time

    def due(self) -> float:
        """When `tick` wants to be called."""
        dues = (
            self.measuring.due(active=self._enabled or self._quiet_at > 0.0),
            self._verify_at,
            self._wait_until,
            self.setting_up.due(),
            self.orders.due(),
        )
        return min((d for d in dues if d is not None), default=float("inf"))

    def tick(self, now: float, out: list[Action]) -> None:
        """What is due."""
        t_ns = int(now * _S)
        if self._verify_at is not None and now >= self._verify_at:
            self._verify_at = None
            if self.serving is not None:
                self.look(self.serving, out)
        self._settle(t_ns, now, out)
        if self._enabled or now < self._quiet_at:
            sample = self.measuring.tick(t_ns, now, self._here())
            if sample is not None:
                self._feed(sample, out)
        else:
            self._quiet_at = 0.0
        for sample in self.measuring.neighbours(t_ns, now):
            self._feed(sample, out)
        self.setting_up.tick(now, out)
        self.orders.tick(now, out)

    @property
    def _enabled(self) -> bool:
        return self.state >= u.State.ENABLED

    # ---- what ModemManager tells

    def told(self, t_ns: int, now: float, interface: str, values: Values, out: list[Action]) -> None:
        """Properties of one of its interfaces."""
        measured = False
        match interface:
            case u.MODEM:
                measured = self._modem(now, values, out)
            case u.THREE_GPP:
                self.registration = values.get("RegistrationState", self.registration)
                self.operator = values.get("OperatorCode", self.operator)
                self._network = values.get("OperatorName", self._network or "") or None
            case u.LOCATION:
                if "Location" in values:
                    (self.place,) = values["Location"]
            case u.SIGNAL:
                measured = self.measuring.signal(now, values)
            case _:
                pass
        self.setting_up.told(interface, values)
        self._settle(t_ns, now, out)
        if measured and self._enabled:
            sample = self.measuring.changed(t_ns, now, self._here())
            if sample is not None:
                self._feed(sample, out)
        self.setting_up.tick(now, out)

    def bearer(self, t_ns: int, now: float, path: str, values: Values, out: list[Action]) -> None:
        """Properties of one of its connections."""
        bearer = self.bearers.of.get(path)
        if bearer is None:
            return
        before = bearer.error
        bearer.take(values)
        if bearer.error != before and bearer.error[0]:
            kind, why = bearer.error
            out.append(Say(f"{self.link}: the connection ended: {why} ({kind.rpartition('.')[2]})"))
        self._settle(t_ns, now, out)

    def answer(self, item: Answer, now: float, out: list[Action]) -> None:
        """What a call of this modem brought."""
        match item.call.purpose:
            case Purpose.BEARER:
                if not item.error:
                    self.bearer(item.t_ns, now, item.call.path, item.value, out)
            case Purpose.CELLS | Purpose.LOCATION | Purpose.RATE | Purpose.THRESHOLDS | Purpose.SCAN:
                measured = self.setting_up.answered(item, now, out)
                self._settle(item.t_ns, now, out)
                if measured:
                    self._feed(self.measuring.sample(item.t_ns, now, self._here()), out)
                for sample in self.measuring.neighbours(item.t_ns, now):
                    self._feed(sample, out)
            case _:
                self.orders.answered(item, now, out)

    def gone(self, t_ns: int, reason: DownReason, out: list[Action]) -> None:
        """Nothing is known of it any more."""
        if self.serving is not None:
            self._down(t_ns, reason, out)

    def look(self, path: str, out: list[Action]) -> None:
        """Have a connection's properties told."""
        out.append(
            Call(
                Purpose.BEARER,
                self.path,
                path,
                u.PROPERTIES,
                "GetAll",
                self._config.call_s,
                "s",
                (u.BEARER,),
            )
        )

    def _modem(self, now: float, values: Values, out: list[Action]) -> bool:
        before = self.state
        self._known.update(values)
        told = values.get("State")
        if told is not None and told in u.State.__members__.values():
            self.state = u.State(told)
        measured = self.measuring.modem(values)
        if "Bearers" in values:
            for path in self.bearers.listed(values["Bearers"]):
                self.look(path, out)
        if self.state != before:
            if self.serving is not None and self.state < u.State.DISCONNECTING:
                self._verify_at = now + VERIFY_S
            if self.state < u.State.ENABLED:
                self.measuring.forget()
                self.setting_up.forget()
                if before >= u.State.ENABLED:
                    self._quiet_at = now + QUIET_S
            if self.state is u.State.FAILED:
                why = u.FAILURES.get(self._known.get("StateFailedReason", 1), "unknown cause")
                out.append(Say(f"{self.link}: the modem cannot be used: {why}", serious=True))
            if self.state is u.State.LOCKED:
                self.orders.unlock(self._known, out)
        elif self.state is u.State.LOCKED and "UnlockRequired" in values:
            self.orders.unlock(self._known, out)
        return measured

    # ---- what follows

    def _settle(self, t_ns: int, now: float, out: list[Action]) -> None:
        """Bring what was told before in line with what is known now."""
        self._tell_service(t_ns, out)
        carrying = self.bearers.carrying(self.serving)
        if self.serving is not None and carrying != self.serving:
            self._down(t_ns, self._why_down(), out)
        if carrying is None:
            self._wait_until = None
        if self.serving is None and carrying is not None:
            self._up(t_ns, now, carrying, out)
        elif self.serving is not None:
            self._follow_cell(t_ns, now, out)
        self._warn(t_ns, out)

    def _tell_service(self, t_ns: int, out: list[Action]) -> None:
        technology = self.measuring.technology
        limits = [self.measuring.peak_mbps]
        if self.serving is not None and self.serving in self.bearers.of:
            limits.append(self.bearers.of[self.serving].limit_mbps)
        now = Served(
            0,
            technology.value if technology is not None else self._served.technology,
            u.REGISTRATIONS.get(self.registration, "unknown"),
            min((limit for limit in limits if limit is not None), default=None),
        )
        if now != self._served:
            self._served = now
            self._feed(Served(t_ns, now.technology, now.registration, now.limit_mbps), out)

    def _up(self, t_ns: int, now: float, path: str, out: list[Action]) -> None:
        if self.place is None and self.setting_up.locating(now):
            if self._wait_until is None:
                self._wait_until = now + CELL_WAIT_S
            if now < self._wait_until:
                return
        self._wait_until = None
        self.serving = path
        self.poa, self._attached_place = self._cell(), self.place
        self._warned = None
        self._feed(Attached(t_ns, self.poa, network=self._network), out)
        device = self.bearers.of[path].interface
        out.append(Say(f"{self.link}: connected at {self.poa}" + (f", device {device}" if device else "")))
        self._tell_service(t_ns, out)

    def _down(self, t_ns: int, reason: DownReason, out: list[Action]) -> None:
        assert self.poa is not None
        bearer = self.bearers.of.get(self.serving or "")
        why = bearer.error[1] if bearer is not None else ""
        self._feed(Detached(t_ns, self.poa, reason, detail=why or None), out)
        out.append(Say(f"{self.link}: not connected any more: {reason.value}"))
        self.serving = self.poa = self._attached_place = self._warned = None
        self._verify_at = None
        self.orders.ended(t_ns / _S)

    def _follow_cell(self, t_ns: int, now: float, out: list[Action]) -> None:
        """The network moves the modem from cell to cell, and the connection stays."""
        place, before = self.place, self._attached_place
        if place is None or (before is not None and place.same_cell(before)):
            return
        assert self.poa is not None
        self._feed(Detached(t_ns, self.poa, DownReason.MOVED), out)
        self.poa, self._attached_place = place.poa, place
        self._warned = None
        self.measuring.moved(now)
        self._feed(Attached(t_ns, self.poa, network=self._network), out)

    def _warn(self, t_ns: int, out: list[Action]) -> None:
        """Say that the connection will end, and take it back."""
        if self.serving is None or self.poa is None:
            return
        reason, in_ms = self._expected()
        if reason is not self._warned:
            self._warned = reason
            self._feed(Warned(t_ns, self.poa, reason, in_ms), out)

    def _expected(self) -> tuple[DownReason | None, float]:
        assert self.serving is not None
        if self.registration == u.DENIED:
            return DownReason.DENIED, 1000.0 * self._config.denied_s
        if self.registration in u.ABROAD and self.bearers.of[self.serving].may_roam is False:
            return DownReason.DENIED, 0.0
        if self.state in {u.State.DISCONNECTING, u.State.DISABLING}:
            return self.orders.by_whom(), 0.0
        if self.state < u.State.DISCONNECTING:  # it has left its connected state: what was said stays said
            return self._warned, 0.0
        return None, 0.0

    def _why_down(self) -> DownReason:
        if self._warned is not None:
            return self._warned
        if self.orders.disconnecting:
            return DownReason.REQUESTED
        if self.registration == u.DENIED:
            return DownReason.DENIED
        return DownReason.PEER if self.registration in u.SERVED else DownReason.SIGNAL_LOST

    # ---- names and order

    def _cell(self) -> str:
        if self.place is not None:
            return self.place.poa
        return self.operator or f"modem:{self.link}"

    def _here(self) -> str | None:
        """The PoA that measurements are of, None while none serves."""
        if self.poa is not None:
            return self.poa
        return self._cell() if self._enabled and self.registration in u.SERVED else None

    def _feed(self, item: RawItem, out: list[Action]) -> None:
        if item.t_ns < self._last_ns:
            item = evolve(item, t_ns=self._last_ns)
        self._last_ns = item.t_ns
        out.append(Feed(self.link, item))
