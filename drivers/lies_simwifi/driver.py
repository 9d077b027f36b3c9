"""The shell of the simulated Wi-Fi radio: model in, samples and moves out."""

from collections.abc import Callable

from attrs import evolve

from lies.association import AssociationRules
from lies.driver import DriverHost
from lies.events import Link, Neighbour, Sample, Technology
from lies.pace import Pace
from lies.radio import Measurement, RadioDriver
from lies_simwifi.model import RadioModel, Signal
from lies_simwifi.scenario import End, SimWifiConfig, scenario_of


class ModelSource:
    """A radio model as the ears of a RadioShell; base_ns: the driver's time of the first measurement.

    may_start: asked before each measurement until it says yes, which makes that one step 0. Those before it
    are of the steps -1, -2, and so on: what is heard on the way does not depend on how long the start took.
    """

    def __init__(self, model: RadioModel, base_ns: int, may_start: Callable[[], bool] = lambda: True) -> None:
        self._model = model
        self._base_ns = base_ns
        self._may_start = may_start
        self._waited: int | None = None  # measurements before step 0
        self._step_ns = model.scenario.sample_ms * 1_000_000
        self._scan_steps = model.scenario.scan_ms // model.scenario.sample_ms
        self._last_scan: dict[str, Signal] = {}
        self._last_scan_group: int | None = None

    def next_ns(self, after_ns: int) -> int | None:
        """The first step after a time; None past the end of a path that finishes."""
        number = max(0, (after_ns - self._base_ns) // self._step_ns + 1)
        finishes = self._model.scenario.end is End.FINISH and self._waited is not None
        if finishes and number - (self._waited or 0) >= self._model.steps:
            return None
        return self._base_ns + number * self._step_ns

    def measure(self, t_ns: int, serving: str | None) -> Measurement:
        """What is heard at the step of t_ns."""
        step = self._step((t_ns - self._base_ns) // self._step_ns)
        scanned = step // self._scan_steps != self._last_scan_group
        if scanned:
            self._last_scan, self._last_scan_group = self._model.scan(step), step // self._scan_steps
        own = self._model.hear(step).get(serving) if serving is not None else None
        neighbours = tuple(
            Neighbour(
                s.poa, rssi_dbm=s.rssi_dbm, snr_db=s.snr_db, network=s.network, frequency_mhz=s.frequency_mhz
            )
            for s in self._last_scan.values()
            if s.poa != serving
        )
        sample = Sample(
            t_ns,
            neighbours=neighbours if scanned else None,
            speed_mps=round(self._model.place(step).speed_mps, 3),
        )
        levels = {s.poa: s.snr_db for s in self._last_scan.values() if s.poa != serving}
        if own is not None:
            levels[own.poa] = own.snr_db
            sample = evolve(
                sample,
                poa=own.poa,
                rssi_dbm=own.rssi_dbm,
                snr_db=own.snr_db,
                bitrate_mbps=own.bitrate_mbps,
                retries=own.retries,
            )
        return Measurement(sample, levels)

    def _step(self, number: int) -> int:
        if self._waited is None and self._may_start():
            self._waited = number
        return -1 - number if self._waited is None else number - self._waited


class SimWifi(RadioDriver):
    """A mobile node on a path past simulated access points; LinkConnect and LinkDisconnect are followed."""

    Config = SimWifiConfig

    def __init__(self, name: str, config: SimWifiConfig, host: DriverHost) -> None:
        super().__init__(name, config, host)
        self._scenario = scenario_of(config, table=f"drivers.{name}")

    async def start(self) -> None:
        """Announce the link and begin to drive."""
        config: SimWifiConfig = self.config
        pace = Pace(config.rate, clock=self.host.now_ns)
        a, sample_s = self._scenario.association, self._scenario.sample_ms / 1000
        rules = AssociationRules(
            join_db=a.join_snr_db,
            floor_db=a.floor_snr_db,
            lost_after_s=(a.lost_samples - 1) * sample_s,
            scan_delay_s=a.scan_delay_s,
            roam_db=a.auto_roam_db,
        )
        link = Link(config.link, Technology.WIFI)
        shell = self._open_radio(rules, pace, lambda: self.host.add_link(link, controllable=True))
        start_file = config.start_file
        may_start = start_file.exists if start_file is not None else lambda: True
        source = ModelSource(RadioModel(self._scenario), pace.now_ns(), may_start)
        self._begin(lambda: shell.run(source))

    def _follows(self, link: str) -> bool:
        return link == str(self.config.link)
