"""The radio: who is heard how well at a step of the drive. Pure, seeded, without memory.

Every value is a function of seed, access point, and either position (shadowing) or step number (fading,
scan noise, retries), never of what was asked before. So samples do not depend on which steps are skipped,
driving back meets the same shadows, and nothing after a step can change what is heard at it.
"""

import math
import random
from bisect import bisect_right
from itertools import pairwise

from attrs import frozen

from lies_simwifi.scenario import AccessPoint, Fading, Point, Propagation, Scenario

# Rate -> least SNR: the sensitivities of IEEE 802.11-2020 table 17-18 (-82 .. -65 dBm), less the thermal
# noise of 20 MHz (-101 dBm) and the noise figure of 10 dB that 17.3.10.2 assumes.
RATE_STEPS = ((54.0, 26.0), (48.0, 25.0), (36.0, 21.0), (24.0, 17.0), (18.0, 14.0), (12.0, 12.0), (9.0, 10.0))
LOWEST_MBPS, LOWEST_SNR_DB = 6.0, 9.0
FRAMES_PER_S = 1000  # of the station's own traffic, for the count of retries
WAVES = 64  # of one shadowing field; the sum is normal enough from some thirty on


@frozen
class Place:
    """Where the mobile node is."""

    x_m: float
    y_m: float
    speed_mps: float


@frozen
class Signal:
    """One access point as heard; retries: of the frames since the last step, if it serves."""

    poa: str
    rssi_dbm: float
    snr_db: float
    bitrate_mbps: float
    retries: int
    network: str | None
    frequency_mhz: int


class Path:
    """Waypoints driven at one speed; the node stays at the last one."""

    def __init__(self, points: tuple[Point, ...], speed_mps: float) -> None:
        self._points = points
        self._speed_mps = speed_mps
        self._at_m = [0.0]
        for (x0, y0), (x1, y1) in pairwise(points):
            self._at_m.append(self._at_m[-1] + math.hypot(x1 - x0, y1 - y0))

    @property
    def duration_s(self) -> float:
        """When the last waypoint is reached."""
        return self._at_m[-1] / self._speed_mps

    def place(self, t_s: float) -> Place:
        """Where the node is t_s after the start; before it, it stands at the first waypoint."""
        if t_s < 0.0:
            return Place(*self._points[0], 0.0)
        way_m = t_s * self._speed_mps
        if way_m >= self._at_m[-1]:
            return Place(*self._points[-1], 0.0)
        leg = bisect_right(self._at_m, way_m) - 1
        (x0, y0), (x1, y1) = self._points[leg], self._points[leg + 1]
        part = (way_m - self._at_m[leg]) / (self._at_m[leg + 1] - self._at_m[leg])
        return Place(x0 + part * (x1 - x0), y0 + part * (y1 - y0), self._speed_mps)


class ShadowField:
    """Shadowing around one access point: a normal random field over the plane, correlation exp(-d/D).

    A sum of plane waves whose wave numbers are drawn from the field's spectrum, which in two dimensions is
    proportional to (1 + (kD)^2)^(-3/2); its distribution inverts in closed form.
    """

    def __init__(self, stream: random.Random, sigma_db: float, distance_m: float) -> None:
        self._scale_db = sigma_db * math.sqrt(2.0 / WAVES)
        self._waves = []
        for _ in range(WAVES):
            k = math.sqrt(1.0 / (1.0 - stream.random()) ** 2 - 1.0) / distance_m
            angle = stream.uniform(0.0, math.tau)
            self._waves.append((k * math.cos(angle), k * math.sin(angle), stream.uniform(0.0, math.tau)))

    def at(self, x_m: float, y_m: float) -> float:
        """The shadowing at a point, in dB; positive means stronger."""
        return self._scale_db * sum(math.cos(kx * x_m + ky * y_m + phase) for kx, ky, phase in self._waves)


def bitrate_mbps(snr_db: float) -> float:
    """The rate of IEEE 802.11a/g that this SNR carries."""
    return next((rate for rate, least_db in RATE_STEPS if snr_db >= least_db), LOWEST_MBPS)


def retry_share(snr_db: float) -> float:
    """Share of frames sent again, 0.0..1.0, from the margin above the chosen rate's least SNR."""
    rate = bitrate_mbps(snr_db)
    margin_db = snr_db - next((least for r, least in RATE_STEPS if r == rate), LOWEST_SNR_DB)
    return 1.0 / (1.0 + math.exp(min(50.0, 2.2 + 1.2 * margin_db)))


class RadioModel:
    """A scenario's radio; steps are sample_ms apart and count from 0, before the start from -1 downwards."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.path = Path(scenario.waypoints, scenario.speed_kmh / 3.6)
        p = scenario.propagation
        self._fields = {
            a.poa: ShadowField(self._stream(a.poa, "shadow"), p.shadowing_sigma_db, p.shadowing_distance_m)
            for a in scenario.stations
        }

    @property
    def steps(self) -> int:
        """Steps until the end of the path, the one at the end included."""
        return math.ceil(self.path.duration_s * 1000 / self.scenario.sample_ms) + 1

    def place(self, step: int) -> Place:
        """Where the node is at a step."""
        return self.path.place(self._t_s(step))

    def hear(self, step: int) -> dict[str, Signal]:
        """Every access point that is heard at a step, as a station associated with it measures it."""
        return self._listen(step, "fading", 0.0)

    def scan(self, step: int) -> dict[str, Signal]:
        """Every access point that a scan at a step finds, with the noise of one beacon's measurement."""
        return self._listen(step, "scan", self.scenario.propagation.scan_sigma_db)

    def _t_s(self, step: int) -> float:
        return step * self.scenario.sample_ms / 1000

    def _stream(self, poa: str, purpose: str, step: int | None = None) -> random.Random:
        name = f"{self.scenario.seed}/{poa}/{purpose}/{step}"
        return random.Random(name)  # noqa: S311 - no secret: a stream must be repeatable

    def _listen(self, step: int, purpose: str, sigma_db: float) -> dict[str, Signal]:
        t_s, place = self._t_s(step), self.place(step)
        signals = (
            self._signal(a, place, self._stream(a.poa, purpose, step), sigma_db)
            for a in self.scenario.stations
            if max(0.0, t_s) >= a.on_s and (a.off_s is None or t_s < a.off_s)
        )
        least_db = self.scenario.propagation.hear_snr_db
        return {s.poa: s for s in signals if s.snr_db >= least_db}

    def _signal(self, ap: AccessPoint, place: Place, stream: random.Random, sigma_db: float) -> Signal:
        p = self.scenario.propagation
        distance_m = max(1.0, math.hypot(place.x_m - ap.x_m, place.y_m - ap.y_m))
        loss_db = p.reference_loss_db + 10.0 * p.exponent * math.log10(distance_m)
        shadow_db = self._fields[ap.poa].at(place.x_m, place.y_m)
        noise_db = stream.gauss(0.0, sigma_db) if sigma_db else 0.0
        exact_dbm = ap.tx_power_dbm - loss_db + shadow_db + fading_db(p, stream) + noise_db
        rssi_dbm = round(exact_dbm / p.resolution_db) * p.resolution_db
        snr_db = rssi_dbm - p.noise_floor_dbm
        frames = FRAMES_PER_S * self.scenario.sample_ms / 1000
        mean = frames * retry_share(snr_db)
        retries = min(round(frames), max(0, round(stream.gauss(mean, math.sqrt(mean)))))
        return Signal(ap.poa, rssi_dbm, snr_db, bitrate_mbps(snr_db), retries, ap.network, ap.frequency_mhz)


def fading_db(p: Propagation, stream: random.Random) -> float:
    """Small-scale fading of a sample: the mean power of some independently faded frames, in dB."""
    if p.fading is Fading.NONE:
        return 0.0
    k = 10.0 ** (p.rician_k_db / 10.0) if p.fading is Fading.RICIAN else 0.0
    direct, rest = math.sqrt(k / (k + 1.0)), math.sqrt(0.5 / (k + 1.0))
    powers = (
        (direct + rest * stream.gauss(0.0, 1.0)) ** 2 + (rest * stream.gauss(0.0, 1.0)) ** 2
        for _ in range(p.averaged_frames)
    )
    return 10.0 * math.log10(max(1e-12, sum(powers) / p.averaged_frames))
