"""What a modem is asked for so that it tells its cell and its signal, and what it tells when asked only.

Each is asked for once the modem is enabled, again after it was disabled, and not again if it cannot.
"""

from typing import TYPE_CHECKING

from lies.dbus.values import Variant
from lies.link_steps import Say
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig
from lies_cellular.items import Action, Answer, Call, Purpose, Values

if TYPE_CHECKING:
    from lies_cellular.modem import Modem

RETRY_S = 5.0
MOST_TRIES = 5
LEVELS_S = 2.0  # how soon after it was asked to measure a modem has told levels, if it tells any
LOCATED_S = 1.0  # how soon after it was asked to tell its cell a modem has told it, if it knows one
_NEVER = ("Unsupported", "UnknownMethod", "UnknownInterface", "Unauthorized", "AccessDenied", "NotAuthorized")


class SettingUp:
    """Of one modem."""

    def __init__(self, modem: "Modem", config: CellularConfig) -> None:
        self._modem = modem
        self._config = config
        self._there: set[str] = set()  # interfaces of the modem
        self._asked: set[Purpose] = set()
        self._cannot: set[Purpose] = set()
        self._tries: dict[Purpose, int] = {}
        self._retry_at: dict[Purpose, float] = {}
        self._cells_at = 0.0
        self._scan_at: float | None = None
        self._located_by = 0.0
        self._enabled = 0  # sources of Location
        self._signals: bool | None = None
        self._before: tuple[int, bool] | None = None  # of Location, before this driver changed it
        self._set: set[Purpose] = set()  # asked for, and not refused: it may be so already
        self._rate_before: int | None = None

    def locating(self, now: float) -> bool:
        """Whether the modem is about to tell its cell."""
        if u.LOCATION not in self._there or Purpose.LOCATION in self._cannot:
            return False
        return self._wants_location() or now < self._located_by

    def told(self, interface: str, values: Values) -> None:
        """An interface of the modem, and properties of it."""
        self._there.add(interface)
        if interface == u.LOCATION:
            self._enabled = values.get("Enabled", self._enabled)
            self._signals = values.get("SignalsLocation", self._signals)
        elif interface == u.SIGNAL and "Rate" in values:
            rate = values["Rate"]
            if self._rate_before is None:
                self._rate_before = rate
            if rate and Purpose.RATE not in self._asked:
                self._modem.measuring.rate_s = rate

    def forget(self) -> None:
        """The modem is disabled: what it was asked for is void."""
        self._asked -= {Purpose.LOCATION, Purpose.RATE, Purpose.THRESHOLDS}
        self._tries.clear()
        self._retry_at.clear()
        self._scan_at = None

    # ---- time

    def due(self) -> float | None:
        """When `tick` wants to be called."""
        if self._modem.state < u.State.ENABLED:
            return None
        dues = list(self._retry_at.values())
        if self._may(Purpose.CELLS) and self._config.cells_s:
            dues.append(self._cells_at)
        if self._scan_at is not None:
            dues.append(self._scan_at)
        return min(dues, default=None)

    def tick(self, now: float, out: list[Action]) -> None:
        """Ask for what is wanted now."""
        modem, config = self._modem, self._config
        for purpose, at in list(self._retry_at.items()):
            if now >= at:
                del self._retry_at[purpose]
        if modem.state < u.State.ENABLED:
            return
        if u.LOCATION in self._there and self._may(Purpose.LOCATION) and self._wants_location():
            self._located_by = now + LOCATED_S
            if self._before is None:
                self._before = self._enabled, bool(self._signals)
            sources = self._enabled | u.LOCATION_3GPP
            self._ask(Purpose.LOCATION, u.LOCATION, "Setup", "ub", sources, True, out=out)
        if u.SIGNAL in self._there:
            self._signal(now, out)
        if config.cells_s and now >= self._cells_at and self._may(Purpose.CELLS):
            self._cells_at = now + config.cells_s
            self._ask(Purpose.CELLS, u.MODEM, "GetCellInfo", out=out)
        self._scan(now, out)

    def _wants_location(self) -> bool:
        return not (self._enabled & u.LOCATION_3GPP and self._signals)

    def _signal(self, now: float, out: list[Action]) -> None:
        measuring = self._modem.measuring
        if not measuring.tells and self._may(Purpose.THRESHOLDS):
            wanted = {"rssi-threshold": Variant("u", self._config.threshold_db)}
            self._ask(Purpose.THRESHOLDS, u.SIGNAL, "SetupThresholds", "a{sv}", wanted, out=out)
        rate = measuring.wanted_s(now)
        if measuring.rate_s != rate and self._may(Purpose.RATE):
            if measuring.rate_s is None:
                measuring.levels_by = now + LEVELS_S
            self._ask(Purpose.RATE, u.SIGNAL, "Setup", "u", rate, out=out)

    def _scan(self, now: float, out: list[Action]) -> None:
        """Look for other networks while there is none that serves."""
        modem, every = self._modem, self._config.scan_s
        if not every or modem.serving is not None or modem.registration in u.SERVED:
            self._scan_at = None
        elif self._scan_at is None:
            self._scan_at = now + every
        elif now >= self._scan_at and self._may(Purpose.SCAN):
            self._scan_at = now + every
            limit_s = self._config.connect_s  # a scan takes as long as that
            self._ask(Purpose.SCAN, u.THREE_GPP, "Scan", limit_s=limit_s, out=out)

    def _may(self, purpose: Purpose) -> bool:
        return not (purpose in self._asked or purpose in self._cannot or purpose in self._retry_at)

    def _ask(
        self,
        purpose: Purpose,
        interface: str,
        member: str,
        signature: str = "",
        *arguments: object,
        out: list[Action],
        limit_s: float | None = None,
    ) -> None:
        self._asked.add(purpose)
        self._set.add(purpose)
        path, limit_s = self._modem.path, limit_s or self._config.call_s
        out.append(Call(purpose, path, path, interface, member, limit_s, signature, arguments))

    # ---- answers

    def answered(self, item: Answer, now: float, out: list[Action]) -> bool:
        """What came of it; whether it brought levels."""
        purpose = item.call.purpose
        self._asked.discard(purpose)
        if item.error:
            self._refused(item, now, out)
            return False
        self._tries.pop(purpose, None)
        modem = self._modem
        match purpose:
            case Purpose.LOCATION:
                self._enabled, self._signals = self._enabled | u.LOCATION_3GPP, True
            case Purpose.RATE:
                modem.measuring.rate_s = item.call.arguments[0]
            case Purpose.THRESHOLDS:
                modem.measuring.tells = True
            case Purpose.CELLS:
                return modem.measuring.cells(now, item.value, modem.poa)
            case Purpose.SCAN:
                modem.measuring.networks(now, item.value, u.NETWORK_FORBIDDEN)
            case _:
                pass
        return False

    def _refused(self, item: Answer, now: float, out: list[Action]) -> None:
        purpose = item.call.purpose
        tries = self._tries[purpose] = self._tries.get(purpose, 0) + 1
        self._set.discard(purpose)
        if item.error.rpartition(".")[2] in _NEVER or tries >= MOST_TRIES:
            self._cannot.add(purpose)
            if purpose is Purpose.RATE:
                self._modem.measuring.levels_by = 0.0
            unsupported = item.error.rpartition(".")[2] in _NEVER[:3]
            out.append(
                Say(f"{self._modem.link}: it cannot {purpose.value}: {item.why}", serious=not unsupported)
            )
        else:
            self._retry_at[purpose] = now + RETRY_S

    # ---- the end

    def taken_back(self) -> list[Call]:
        """What puts the modem back as it was."""
        out: list[Action] = []
        if self._before is not None and Purpose.LOCATION in self._set:
            self._ask(Purpose.LOCATION, u.LOCATION, "Setup", "ub", *self._before, out=out)
        if Purpose.RATE in self._set and self._rate_before is not None:
            self._ask(Purpose.RATE, u.SIGNAL, "Setup", "u", self._rate_before, out=out)
        if Purpose.THRESHOLDS in self._set:
            off = {"rssi-threshold": Variant("u", 0)}
            self._ask(Purpose.THRESHOLDS, u.SIGNAL, "SetupThresholds", "a{sv}", off, out=out)
        return [call for call in out if isinstance(call, Call)]
