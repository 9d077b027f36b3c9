"""A least-squares line through recent samples, and how sure it is that the line breaks a limit.

Samples lose weight by exp(-age / window): six sums hold the whole past, and each sample costs the same
whatever the window and the sampling rate. The sums are kept relative to the last sample's time, so that
they stay small on links that live for weeks.
"""

import math

from attrs import define, frozen

_PRIOR_WEIGHT = 4.0  # samples that the usual noise counts as


@define
class Line:
    """Weighted sums; w: of weights, ww: of their squares, t, x, tt, tx, xx: of time (s), margin, products."""

    count: int = 0
    w: float = 0.0
    ww: float = 0.0
    t: float = 0.0
    x: float = 0.0
    tt: float = 0.0
    tx: float = 0.0
    xx: float = 0.0


@frozen
class Fit:
    """A fitted line; level: now, slope: per second, confidence: that it is below 0 at the horizon."""

    level: float
    slope: float
    confidence: float


def add(line: Line, x: float, dt_s: float, window_s: float) -> None:
    """Take a sample dt_s after the one before."""
    keep = math.exp(-dt_s / window_s)
    t, w = line.t, line.w
    # moving the origin by dt_s: every earlier time t becomes t - dt_s
    line.tt = keep * (line.tt - 2.0 * dt_s * t + dt_s * dt_s * w)
    line.tx = keep * (line.tx - dt_s * line.x)
    line.t = keep * (t - dt_s * w)
    line.w = keep * w + 1.0
    line.ww = keep * keep * line.ww + 1.0
    line.x = keep * line.x + x
    line.xx = keep * line.xx + x * x
    line.count += 1


def fit(line: Line, horizon_s: float, sigma: float, usual_slope: float) -> Fit | None:
    """The line; None before it has three samples' weight.

    sigma: usual noise of a sample; usual_slope: standard deviation of slopes, per second. They are the
    prior that a few samples cannot outvote: noise variance v = (n r + 4 sigma^2) / (n + 2), where r is the
    residual variance of the plain line and n the effective number of samples, (sum w)^2 / sum w^2;
    slope = Stx / (Stt + v / usual_slope^2), zero until the samples spread in time.
    confidence = Phi(-y / s), where y is the line at the horizon and s the standard error of a sample
    there: s^2 = v (1 + 1/n) + (h - mean t)^2 v / (Stt + v / usual_slope^2).
    """
    w = line.w
    n = w * w / line.ww if line.ww else 0.0
    if line.count < 3 or n < 2.2:
        return None
    mean_t = line.t / w
    mean_x = line.x / w
    stt = max(0.0, n * (line.tt / w - mean_t * mean_t))
    stx = n * (line.tx / w - mean_t * mean_x)
    sxx = max(0.0, n * (line.xx / w - mean_x * mean_x))
    rest = max(0.0, sxx - stx * stx / stt) if stt > 1e-9 else sxx
    v = (rest + _PRIOR_WEIGHT * sigma * sigma) / (n - 2.0 + _PRIOR_WEIGHT)
    spread = stt + v / (usual_slope * usual_slope)
    slope = stx / spread
    ahead = horizon_s - mean_t
    y = mean_x + slope * ahead
    s = math.sqrt(v * (1.0 + 1.0 / n + ahead * ahead / spread))
    return Fit(mean_x - slope * mean_t, slope, 0.5 * math.erfc(y / (s * math.sqrt(2.0))))
