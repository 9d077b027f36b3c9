"""What a modem tells of its signal, as samples; how often it is to measure; what it hears beside its cell."""

from collections.abc import Iterable, Mapping

from lies.events import Neighbour, Sample, Technology
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig
from lies_cellular.items import Values
from lies_cellular.reader import Cell, Network, dbm_of_percent

TICK_S = 1.0
AT_ONCE, PER_S = 64, 100.0  # changes of a signal in a burst that are a sample each; and lasting
_THIN_S = 0.05  # then the last of this time stands for all
NEAR_S = 5.0  # how long a modem is measured often after there was cause
_HYSTERESIS_DB = 3.0
_AHEAD = 3.0  # periods of rest within which a fall counts
_REMIND_S = 3.0
CHUNK = 64  # neighbours in one sample
_RSRP, _RSRQ, _SNR, _RSSI = "rsrp_dbm", "rsrq_db", "snr_db", "rssi_dbm"
_NAMES: dict[Technology, tuple[str, dict[str, str]]] = {
    # technology -> property of Modem.Signal, and which of its levels stands for what
    Technology.NR: ("Nr5g", {"rsrp": _RSRP, "rsrq": _RSRQ, "snr": _SNR}),
    Technology.LTE: ("Lte", {"rsrp": _RSRP, "rsrq": _RSRQ, "snr": _SNR, "rssi": _RSSI}),
    Technology.UMTS: ("Umts", {"rscp": _RSRP, "ecio": _RSRQ, "rssi": _RSSI}),
    Technology.GSM: ("Gsm", {"rssi": _RSSI}),
}


class Measuring:
    """One modem; poa: given by who knows. Methods return what there is to be fed."""

    def __init__(self, config: CellularConfig) -> None:
        self._config = config
        self._mask = 0
        self._percent: tuple[int, bool] | None = None
        self._levels: dict[str, Mapping[str, float]] = {}
        self._from_cells: dict[str, float] = {}
        self._told_at: float | None = None  # since when the levels are known to be what they are
        self._fed_at = 0.0
        self._fresh_for: str | None = None  # the PoA that the levels were last fed for
        self._moved_at = 0.0
        self._near_until = 0.0
        self._near = False
        self._last: tuple[float, float] | None = None
        self._heard: dict[str, Neighbour] = {}
        self._heard_until = 0.0
        self._remind_at = 0.0
        self.thinned = 0  # changes that are no sample of their own
        self._room = float(AT_ONCE)
        self._room_at = 0.0
        self._thin_at: float | None = None
        self.levels_by = 0.0  # until then levels are expected, and no percentage stands for them
        self.rate_s: int | None = None  # as the modem measures now, None: it does not
        self.tells = False  # the modem tells changes by itself

    # ---- what ModemManager tells

    def modem(self, values: Values) -> bool:
        """Properties of the modem; whether its signal is among them."""
        self._mask = values.get("AccessTechnologies", self._mask)
        self._percent = values.get("SignalQuality", self._percent)
        return "SignalQuality" in values

    def signal(self, now: float, values: Values) -> bool:
        """Properties of Modem.Signal; whether there are levels among them."""
        found = {key: values[key] for key in ("Lte", "Nr5g", "Umts", "Gsm") if key in values}
        self._levels.update(found)
        if found:
            self._told_at = now
        return bool(found)

    def forget(self) -> None:
        """It measures no more."""
        self._levels.clear()
        self._from_cells.clear()
        self._told_at = None
        self.rate_s = None
        self.tells = False

    def moved(self, now: float) -> None:
        """Another cell serves: the levels that are known are those of the one before."""
        self._moved_at = now
        self._told_at = None if self._told_at is None else now
        self._last = None

    def due(self, *, active: bool) -> float | None:
        """When `tick` or `neighbours` wants to be called; active: samples are due."""
        dues = [self._fed_at + TICK_S] if active else []
        if self._thin_at is not None:
            dues.append(self._thin_at)
        if self._heard:
            dues.append(self._remind_at)
        return min(dues, default=None)

    # ---- samples

    @property
    def technology(self) -> Technology | None:
        """In use, None while none is told."""
        found = u.technology_of(self._mask)
        return None if found is None else found[0]

    @property
    def peak_mbps(self) -> float | None:
        """What the technology gives one user at most, None where that is no limit."""
        found = u.technology_of(self._mask)
        return None if found is None else found[1]

    def sample(self, t_ns: int, now: float, poa: str | None) -> Sample:
        """What is known now."""
        self._fed_at = now
        self._thin_at = None
        found = self._known(now) if poa is not None else {}
        if found:
            self._fresh_for = poa
            self._judge(now, found)
        get = found.get
        return Sample(t_ns, poa, self._word(), get(_RSSI), get(_RSRP), get(_RSRQ), get(_SNR))

    def changed(self, t_ns: int, now: float, poa: str | None) -> Sample | None:
        """A sample for a change that was told; none while they come too fast: the last one is told then."""
        self._room = min(float(AT_ONCE), self._room + (now - self._room_at) * PER_S)
        self._room_at = now
        if self._room < 1.0:
            self.thinned += 1
            if self._thin_at is None:
                self._thin_at = now + _THIN_S
            return None
        self._room -= 1.0
        return self.sample(t_ns, now, poa)

    def tick(self, t_ns: int, now: float, poa: str | None) -> Sample | None:
        """A sample where one is due: the levels still hold, or only the cell does."""
        if self._thin_at is not None and now >= self._thin_at:
            return self.sample(t_ns, now, poa)
        if now < self._fed_at + TICK_S:
            return None
        if self._holds(now, poa):
            self._told_at = now if self._told_at is not None else None
            return self.sample(t_ns, now, poa)
        self._fed_at = now
        return Sample(t_ns, poa, technology=self._word())

    def _holds(self, now: float, poa: str | None) -> bool:
        """Whether the modem has measured anew, and found the same (of which nothing tells).

        A modem that tells changes by itself has not changed if it is silent; one that tells percent only says
        so at the latest some seconds after a move.
        """
        if self._levels and self._told_at is not None:
            period = TICK_S if self.tells else self.rate_s
            return period is not None and now >= self._told_at + period
        return poa is not None and self._fresh_for != poa and now >= self._moved_at + 2 * TICK_S

    def _known(self, now: float) -> dict[str, float]:
        technology = self.technology
        found: dict[str, float] = {}
        if technology is not None:
            wanted = technology
            if technology is Technology.NR and u.anchored(self._mask) and self._levels.get("Lte"):
                wanted = Technology.LTE
            key, names = _NAMES.get(wanted, ("", {}))
            found = {names[k]: level for k, level in self._levels.get(key, {}).items() if k in names}
        if not found and self._from_cells:
            found = dict(self._from_cells)
        percent = None if not found and now < self.levels_by else self._percent
        if _RSSI not in found and percent is not None and (percent[0] > 0 or percent[1]):
            found[_RSSI] = dbm_of_percent(percent[0], self._config.percent_dbm)
        return found

    def _word(self) -> str | None:
        technology = self.technology
        return None if technology is None else technology.value

    # ---- how often

    @property
    def near(self) -> bool:
        """Whether the signal was near the threshold, or falling towards it."""
        return self._near

    def wanted_s(self, now: float) -> int:
        """The rate at which the modem is to measure."""
        often = not self.tells and now < self._near_until
        return self._config.near_s if often else self._config.rest_s

    def _judge(self, now: float, found: Mapping[str, float]) -> None:
        level = found.get(_RSRP)
        if level is None:
            return
        fall = 0.0
        if self._last is not None and now > self._last[0]:
            fall = max(0.0, (self._last[1] - level) / max(now - self._last[0], TICK_S))
        if self._last is None or now >= self._last[0] + TICK_S or level != self._last[1]:
            self._last = (now, level)
        limit = self._config.near_dbm
        ahead = level - fall * _AHEAD * self._config.rest_s
        self._near = level <= limit + (_HYSTERESIS_DB if self._near else 0.0) or ahead <= limit
        if self._near:
            self._near_until = now + NEAR_S

    # ---- what is heard beside the cell

    def cells(self, now: float, told: Iterable[Cell], poa: str | None) -> bool:
        """Of GetCellInfo; whether the serving one tells levels that the modem tells nowhere else."""
        told = tuple(told)
        own = next((c for c in told if c.serving), None)
        named = ((_RSRP, "rsrp_dbm"), (_RSRQ, "rsrq_db"), (_SNR, "snr_db"), (_RSSI, "rssi_dbm"))
        if own is not None:
            values = ((key, getattr(own, field)) for key, field in named)
            self._from_cells = {key: value for key, value in values if value is not None}
        heard = (c for c in told if not c.serving and c.poa != poa)
        told_of = (Neighbour(c.poa, c.rssi_dbm, c.rsrp_dbm, c.rsrq_db, c.snr_db) for c in heard)
        self._hear(now, self._config.cells_s, told_of)
        return bool(self._from_cells) and not any(self._levels.values())

    def networks(self, now: float, told: Iterable[Network], forbidden: int) -> None:
        """Of a scan: networks that may be used, of which no level is told."""
        listed = (
            Neighbour(n.operator, network=n.name, available=True) for n in told if n.status != forbidden
        )
        self._hear(now, self._config.scan_s, listed)

    def _hear(self, now: float, again_s: float, heard: Iterable[Neighbour]) -> None:
        self._heard = {n.poa: n for n in heard}
        self._heard_until = now + again_s + 2 * _REMIND_S
        self._remind_at = now

    def neighbours(self, t_ns: int, now: float) -> list[Sample]:
        """What is heard, if that is due: a level once, then only that it is still heard."""
        if not self._heard or now < self._remind_at:
            return []
        found = tuple(self._heard.values())
        if now >= self._heard_until:
            self._heard = {}
            return []
        self._remind_at = now + _REMIND_S
        self._heard = {n.poa: Neighbour(n.poa, network=n.network, available=n.available) for n in found}
        word = self._word()
        return [
            Sample(t_ns, technology=word, neighbours=found[at : at + CHUNK])
            for at in range(0, len(found), CHUNK)
        ]
