"""A drive past access points as raw items: made up, the same for the same seed, as long as is asked for."""

import math
import random
from collections.abc import Iterator

from lies.events import Attached, Detached, DownReason, Neighbour, RawItem, Sample

STEP_S = 0.1  # ten samples a second, as a Wi-Fi driver polls
_SPACING_M = 90.0
_SPEED_MPS = 35.0 / 3.6
_REACH_M = 200.0  # beyond it a PoA is not heard
_HYSTERESIS_DB = 4.0
_ABREAST_M = 5.0  # the road passes so far from each antenna
_ROUND = 8  # PoAs, then the first again


def drive(seed: int) -> Iterator[RawItem]:
    """Samples with the PoAs heard beside the serving one, and the handovers between them; without end."""
    noise = random.Random(seed)  # noqa: S311 - a radio's noise, no secret
    serving: int | None = None
    step = 0
    while True:
        t_ns = round((step + 1) * STEP_S * 1e9)
        here_m = step * STEP_S * _SPEED_MPS
        heard = _heard(here_m, noise)
        best = max(heard, key=lambda k: heard[k])
        if serving is None or serving not in heard or heard[best] > heard[serving] + _HYSTERESIS_DB:
            if serving is not None:
                yield Detached(t_ns, _name(serving), DownReason.REQUESTED)
            serving = best
            yield Attached(t_ns, _name(serving))
        others = tuple(Neighbour(_name(k), rssi_dbm=dbm) for k, dbm in heard.items() if k != serving)
        yield Sample(t_ns, _name(serving), rssi_dbm=heard[serving], speed_mps=_SPEED_MPS, neighbours=others)
        step += 1


def _heard(here_m: float, noise: random.Random) -> dict[int, float]:
    """PoA by number -> RSSI in dBm, log-distance path loss with shadowing of 2 dB."""
    first = math.ceil((here_m - _REACH_M) / _SPACING_M)
    last = math.floor((here_m + _REACH_M) / _SPACING_M)
    heard = {}
    for k in range(first, last + 1):
        distance_m = math.hypot(here_m - k * _SPACING_M, _ABREAST_M)
        heard[k] = round(-25.0 - 28.0 * math.log10(distance_m) + noise.gauss(0.0, 2.0), 1)
    return heard


def _name(number: int) -> str:
    return f"ap{number % _ROUND}"
