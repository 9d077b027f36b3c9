"""What one raw sample says about the signal of a PoA, on the scale of its technology.

The scale is the main measure (SNR for Wi-Fi, RSRP or RSCP or RxLev for cellular). The others tell what
the main one cannot see, interference and the direction away from the node, and only take off from it:
the largest of the shortfalls of RSRQ and SNR below their onsets and of the retransmissions above theirs, at
most penalty_max_db. The largest and not the sum, because they have the same cause.
"""

from typing import Protocol

from lies.abstract._parameters import TechnologyParameters
from lies.events import Attached, Detached, DownReason, Neighbour, RawItem, Sample, Served, Technology, Warned

_TECHNOLOGIES = {t.value: t for t in Technology}
_CELLULAR = frozenset({Technology.LTE, Technology.NR, Technology.UMTS, Technology.GSM})
_MAX_NAME = 255  # characters of a PoA's name, of a network's, and of a detail
_MAX_MHZ = 1e7  # beyond any radio
_MAX_CODE = 1 << 32  # likewise of a technology's reason codes
_MAX_SIGNAL_DB = 300.0  # beyond any dB or dBm there is
_MAX_VALUE = 1e9  # likewise of Mbit/s and m/s
_NUMBERS = (int, float)
_ITEMS = (Sample, Attached, Detached, Warned, Served)
_SCANS = (tuple, list)
_MAX_RETRIES = 1 << 40
_MAX_NS = 1 << 62


class Named(Protocol):
    """What may name a technology."""

    @property
    def technology(self) -> str | None:
        """Its name."""
        ...


def technology_of(said: Named, own: Technology) -> Technology:
    """The technology that is named, else the link's own; an unknown name is OTHER."""
    if said.technology is None:
        return own
    return _TECHNOLOGIES.get(said.technology, Technology.OTHER)


def signal_db(
    heard: Sample | Neighbour, technology: Technology, p: TechnologyParameters, retries_hz: float = 0.0
) -> float | None:
    """The signal less its penalties on the technology's scale; None where nothing was measured."""
    rssi = heard.rssi_dbm
    snr = heard.snr_db
    penalty = 0.0
    if technology in _CELLULAR:
        db = heard.rsrp_dbm
        if db is None:
            if rssi is None:
                return None
            db = rssi + p.rssi_offset_db
        if snr is not None:
            penalty = p.snr_onset_db - snr
        if heard.rsrq_db is not None:
            penalty = max(penalty, p.rsrq_onset_db - heard.rsrq_db)
    elif snr is not None:
        db = snr
    elif rssi is not None:
        db = rssi - p.noise_floor_dbm
    else:
        return None
    if retries_hz > p.retries_onset_hz:
        penalty = max(penalty, (retries_hz - p.retries_onset_hz) / p.retries_per_db_hz)
    if penalty <= 0.0:
        return float(db)
    return db - min(penalty, p.penalty_max_db)


def _number(value: object, limit: float) -> bool:
    """Whether a value is absent or a number within the limit (NaN fails every comparison)."""
    return value is None or (isinstance(value, _NUMBERS) and -limit < value < limit)


def network_of(item: Neighbour | Attached) -> str | None:
    """The network's name if it is usable; what is said beside a measurement does not make it worse."""
    return item.network if is_name(item.network) else None


def frequency_of(item: Neighbour | Attached) -> float | None:
    """The frequency if it is one."""
    mhz = item.frequency_mhz
    return mhz if isinstance(mhz, _NUMBERS) and 0 < mhz < _MAX_MHZ else None


def reason_code_of(item: Detached) -> int | None:
    """The technology's reason code if it is one."""
    code = item.reason_code
    return code if isinstance(code, int) and 0 <= code < _MAX_CODE else None


def detail_of(item: Detached) -> str | None:
    """The detail if it can be shown."""
    return item.detail if is_name(item.detail) else None


def is_name(value: object) -> bool:
    """Whether a value is a name of usable length that can be shown."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME and value.isprintable()


def _sound_heard(heard: Sample | Neighbour) -> bool:
    return (
        _number(heard.rssi_dbm, _MAX_SIGNAL_DB)
        and _number(heard.rsrp_dbm, _MAX_SIGNAL_DB)
        and _number(heard.rsrq_db, _MAX_SIGNAL_DB)
        and _number(heard.snr_db, _MAX_SIGNAL_DB)
        and _number(heard.bitrate_mbps, _MAX_VALUE)
    )


def _sound_neighbour(heard: object) -> bool:
    return (
        isinstance(heard, Neighbour)
        and is_name(heard.poa)
        and isinstance(heard.available, bool)
        and _sound_heard(heard)
    )


def _sound_sample(item: Sample, max_neighbours: int) -> bool:
    retries = item.retries
    if not (
        (item.poa is None or is_name(item.poa))
        and (item.technology is None or isinstance(item.technology, str))
        and _sound_heard(item)
        and _number(item.speed_mps, _MAX_VALUE)
        and (retries is None or (isinstance(retries, int) and 0 <= retries < _MAX_RETRIES))
    ):
        return False
    heard = item.neighbours
    return heard is None or (
        isinstance(heard, _SCANS) and len(heard) <= max_neighbours and all(_sound_neighbour(n) for n in heard)
    )


def is_sound(item: RawItem, max_neighbours: int) -> bool:
    """Whether an item can be believed: finite numbers, right types, names of usable length."""
    if not isinstance(item, _ITEMS):
        return False
    t_ns = item.t_ns
    if not (isinstance(t_ns, int) and -_MAX_NS < t_ns < _MAX_NS):
        return False
    if isinstance(item, Sample):
        return _sound_sample(item, max_neighbours)
    if isinstance(item, Attached | Detached):
        return is_name(item.poa) and (isinstance(item, Attached) or isinstance(item.reason, DownReason))
    return _sound_warned(item) if isinstance(item, Warned) else _sound_served(item)


def _sound_warned(item: Warned) -> bool:
    in_ms = item.time_to_down_ms
    return (
        is_name(item.poa)
        and (item.reason is None or isinstance(item.reason, DownReason))
        and isinstance(in_ms, _NUMBERS)
        and 0.0 <= in_ms < _MAX_VALUE
    )


def _sound_served(item: Served) -> bool:
    limit = item.limit_mbps
    return (
        (item.technology is None or isinstance(item.technology, str))
        and (item.registration is None or is_name(item.registration))
        and (limit is None or (isinstance(limit, _NUMBERS) and 0.0 < limit < _MAX_VALUE))
    )
