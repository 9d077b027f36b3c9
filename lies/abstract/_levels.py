"""From a damped signal to one of RFC 5184's five quality levels, and to an estimate of the bandwidth."""

import math

from lies.abstract._parameters import TechnologyParameters
from lies.events import Condition, Quality

QUALITIES: tuple[Quality, ...] = tuple(sorted(Quality))  # index is the rank: NONE 0 ... EXCELLENT 4
_MAX_SNR_DB = 300.0  # keeps the power of ten finite
DOWN = Condition(Quality.NONE, 0.0)  # no frame passes, or nothing is heard


def rank_of(db: float, p: TechnologyParameters) -> int:
    """The rank of a signal by the plain table: a level begins at its threshold."""
    if db >= p.fair_db:
        if db >= p.good_db:
            return 4 if db >= p.excellent_db else 3
        return 2
    return 1 if db >= p.bad_db else 0


def next_rank(rank: int, db: float, p: TechnologyParameters) -> int:
    """The rank after `rank`: down at the threshold, up only hysteresis_db above it."""
    plain = rank_of(db, p)
    if plain <= rank:
        return plain
    return max(rank, rank_of(db - p.hysteresis_db, p))


def bandwidth_mbps(db: float, p: TechnologyParameters) -> float:
    """Estimate of the available bandwidth: Shannon's bound less a fixed share, as TS 36.942 annex A.2.

    It rises strictly with the signal, so that it orders PoAs of one level.
    """
    snr_db = min(max(db - p.noise_db, -_MAX_SNR_DB), _MAX_SNR_DB)
    snr = 10.0 ** (snr_db / 10.0)
    return round(p.efficiency * p.bandwidth_mhz * math.log2(1.0 + snr), 3)


def condition_of(rank: int, db: float, p: TechnologyParameters) -> Condition:
    """The condition of a PoA of this rank and damped signal."""
    return Condition(QUALITIES[rank], bandwidth_mbps(db, p))
