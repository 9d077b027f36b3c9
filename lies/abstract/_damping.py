"""The damped average of irregular samples that RFC 5184 section 7(2) asks for.

Two steps: the median of the last three samples, so that a single wild sample counts for nothing
however far off it is and however seldom samples come; then an exponential average with a time constant.
"""

import math

from attrs import define


@define
class Damped:
    """Damped signal of one PoA; a: the sample before the last, b: the last, db: the average, t_ns: of b."""

    a: float
    b: float
    db: float
    t_ns: int


def begin(x: float, t_ns: int) -> Damped:
    """An average that has seen one sample."""
    return Damped(x, x, x, t_ns)


def update(d: Damped, x: float, t_ns: int, tau_s: float, stale_ns: int) -> None:
    """Take the next sample; after a silence of more than stale_ns the average starts anew."""
    dt = t_ns - d.t_ns
    if dt > stale_ns:
        d.a = d.b = d.db = x
        d.t_ns = t_ns
        return
    a, b = d.a, d.b
    low, high = (a, b) if a < b else (b, a)
    median = low if x < low else min(x, high)
    d.db += (1.0 - math.exp(dt / (-1e9 * tau_s))) * (median - d.db)
    d.a, d.b = b, x
    d.t_ns = t_ns
