"""The measurements of one station interface: samples, what is heard beside the PoA, noise, own scans."""

from collections.abc import Iterable

from lies.events import Neighbour, Sample
from lies.link_steps import Feed
from lies_nl80211 import messages as m
from lies_nl80211.heard import CHUNK, Heard, network_of
from lies_nl80211.items import Action, Ask, Query, Scan
from lies_nl80211.sampling import Sampling, SamplingRules
from lies_nl80211.sweep import PAUSE_S, Sweep

REMIND_S, DUMP_S, SURVEY_S = 3.0, 10.0, 10.0
CALM_S = 2.0  # after an association, before an own scan
_S = 1_000_000_000


class Measuring:
    """Keeps the order of t_ns for its link; `serving` is given by who knows."""

    def __init__(
        self, index: int, link: str, rules: SamplingRules, scan_s: float, ssids: Iterable[str]
    ) -> None:
        self.heard = Heard(ssids)
        self.sampling = Sampling(rules)
        self._index = index
        self._link = link
        self._scan_s = scan_s
        self._retries: int | None = None
        self._noise_dbm: int | None = None
        self._frequency_mhz: int | None = None
        self._last_ns = 0
        self._told: tuple[str | None, int | None] = (None, None)  # of the serving PoA
        self._attached_at = 0.0
        self._remind_at: float | None = None
        self._dump_at = 0.0
        self._survey_at: float | None = None
        self._scanned_at = -1e9
        self._sweep = Sweep()

    def in_order(self, t_ns: int) -> int:
        """The time, or that of the last item if it is later."""
        self._last_ns = max(self._last_ns, t_ns)
        return self._last_ns

    def due(self) -> float:
        """When `tick` wants to be called."""
        return min(t for t in (self._dump_at, self._remind_at, self._survey_at) if t is not None)

    def tick(self, now: float, serving: str | None, out: list[Action]) -> None:
        """Ask for what is due, and say what still counts as heard."""
        if now >= self._dump_at:
            self.dump(now, out)
        if self._survey_at is not None and now >= self._survey_at:
            self._survey_at = now + SURVEY_S
            out.append(Ask(Query.SURVEY, self._index))
        if self._remind_at is not None and now >= self._remind_at:
            t_ns = max(self._last_ns, int(now * _S))
            neighbours = self.heard.remind(t_ns, serving)
            self._remind_at = now + REMIND_S if neighbours else None
            self._neighbours(t_ns, neighbours, out)

    def dump(self, now: float, out: list[Action]) -> None:
        """Ask for the scan table."""
        self._dump_at = now + DUMP_S
        out.append(Ask(Query.SCAN, self._index))

    def begin(self, now: float, serving: str) -> tuple[str | None, int | None]:
        """Another PoA serves; its network and frequency, as far as they are known."""
        self._told = self._known(serving)
        self._frequency_mhz = self._told[1]
        self._retries = None
        self._attached_at = now
        self._survey_at = now
        self.sampling.begin()
        return self._told

    def end(self) -> None:
        """No PoA serves."""
        self._survey_at = None
        self._sweep.end()

    def switched(
        self, t_ns: int, now: float, frequency_mhz: int | None, serving: str | None, out: list[Action]
    ) -> None:
        """The serving PoA is on another channel."""
        self._frequency_mhz = frequency_mhz or self._frequency_mhz
        if self._survey_at is not None:
            self._survey_at = now
        if serving is not None:
            self._tell(t_ns, serving, self._told[0], self._frequency_mhz, out)

    def _known(self, serving: str) -> tuple[str | None, int | None]:
        bss = self.heard.get(serving)
        return (None, None) if bss is None else (network_of(bss), bss.frequency_mhz)

    def _tell(
        self, t_ns: int, serving: str, network: str | None, frequency_mhz: int | None, out: list[Action]
    ) -> None:
        """Say what is new of the serving PoA, which no scan lists as a neighbour."""
        if (network, frequency_mhz) != self._told:
            self._told = network, frequency_mhz
            about = Neighbour(serving, network=network, frequency_mhz=frequency_mhz)
            self._feed(Sample(t_ns, neighbours=(about,)), out)

    def level(self, t_ns: int, serving: str, rssi_dbm: int, out: list[Action]) -> None:
        """The signal of the serving PoA as the kernel gave it unasked."""
        self._feed(Sample(t_ns, serving, rssi_dbm=float(rssi_dbm), snr_db=self._snr(rssi_dbm)), out)

    def station(self, t_ns: int, now: float, end: m.Station, out: list[Action]) -> None:
        """What a dump says of the serving PoA."""
        retries = None
        if end.retries is not None:
            if self._retries is not None and end.retries >= self._retries:
                retries = end.retries - self._retries
            self._retries = end.retries
        rssi = end.rssi_dbm
        sample = Sample(
            t_ns,
            poa=end.address,
            rssi_dbm=None if rssi is None else float(rssi),
            snr_db=self._snr(rssi),
            bitrate_mbps=end.bitrate_mbps,
            retries=retries,
        )
        self._feed(sample, out)
        if rssi is not None:
            self.sampling.measured(now, float(rssi))
            self._look_for_others(t_ns, now, end.address, out)

    def scan_ended(self, now: float, frequencies_mhz: Iterable[int], out: list[Action]) -> None:
        """Somebody has scanned these channels."""
        self._sweep.learn(frequencies_mhz)
        self._scanned_at = now
        self.dump(now, out)

    def scanned(
        self, t_ns: int, now: float, found: tuple[m.Bss, ...], serving: str | None, out: list[Action]
    ) -> None:
        """The scan table."""
        self._remind_at = now + REMIND_S
        self._neighbours(t_ns, self.heard.take(t_ns, found, serving), out)
        if serving is not None and serving in {b.bssid for b in found}:
            self._tell(t_ns, serving, *self._known(serving), out)

    def surveyed(self, found: tuple[m.Survey, ...]) -> None:
        """The noise of the channels; what was known holds where the kernel tells none.

        A level would leap by the difference between the noise and what is taken for it, and a fading link
        with it, at every association whose survey is late or empty.
        """
        used = [s for s in found if s.in_use] or [s for s in found if s.frequency_mhz == self._frequency_mhz]
        if used and used[0].noise_dbm is not None:
            self._noise_dbm = used[0].noise_dbm

    def _snr(self, rssi_dbm: int | None) -> float | None:
        if rssi_dbm is None or self._noise_dbm is None:
            return None
        return float(rssi_dbm - self._noise_dbm)

    def _look_for_others(self, t_ns: int, now: float, serving: str, out: list[Action]) -> None:
        """An own scan: only near the threshold, with nowhere to go, and not in a hand-over's way."""
        if not self._scan_s or not self.sampling.near or now < self._attached_at + CALM_S:
            return
        if now < self._scanned_at + (PAUSE_S if self._sweep.on else self._scan_s):
            return
        bss = self.heard.get(serving)
        ssid = None if bss is None else bss.elements.ssid
        if ssid is None or self.heard.others_of(serving, t_ns, round(self._scan_s * _S)):
            self._sweep.end()
            return
        self._scanned_at = now
        if not self._sweep.on:
            self._sweep.begin(self.heard.frequencies_of(ssid), self.heard.frequencies())
        out.append(Scan(self._index, ssid, self._sweep.next()))

    def _neighbours(self, t_ns: int, heard: list[Neighbour], out: list[Action]) -> None:
        for first in range(0, len(heard), CHUNK):
            self._feed(Sample(t_ns, neighbours=tuple(heard[first : first + CHUNK])), out)

    def _feed(self, sample: Sample, out: list[Action]) -> None:
        if sample.t_ns >= self._last_ns:  # else older than what was told since: it says nothing any more
            self._last_ns = sample.t_ns
            out.append(Feed(self._link, sample))
