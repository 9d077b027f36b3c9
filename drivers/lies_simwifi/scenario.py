"""What a simulated drive is made of: frozen classes, decoded from TOML, checked on the way in."""

import tomllib
from enum import StrEnum
from pathlib import Path

from attrs import field, fields, frozen

from lies._decode import decode
from lies.attachment import PortConfig
from lies.errors import ConfigError

Point = tuple[float, float]


class End(StrEnum):
    """What happens at the end of the path."""

    STAY = "stay"  # stop there and keep measuring
    FINISH = "finish"  # tell the host that the driver has finished


class Fading(StrEnum):
    """Kind of small-scale fading."""

    RICIAN = "rician"
    RAYLEIGH = "rayleigh"
    NONE = "none"


@frozen
class AccessPoint:
    """One access point; on_s, off_s: when it is switched on and off, from the start of the drive.

    channel: of IEEE 802.11, in the 2.4 or 5 GHz band by its number; network: its SSID, None for a hidden one.
    """

    poa: str
    x_m: float
    y_m: float
    tx_power_dbm: float = 20.0
    channel: int = 1
    on_s: float = 0.0
    off_s: float | None = None
    network: str | None = None

    def __attrs_post_init__(self) -> None:
        if not self.poa:
            raise ValueError("poa must not be empty")
        if not 1 <= self.channel <= 196:
            raise ValueError("channel must lie between 1 and 196")

    @property
    def frequency_mhz(self) -> int:
        """Centre of its channel (IEEE 802.11-2020, 15.4.4.3 and 17.3.8.4.2)."""
        if self.channel < 14:
            return 2407 + 5 * self.channel
        return 2484 if self.channel == 14 else 5000 + 5 * self.channel


@frozen
class Propagation:
    """How power falls with distance, around obstacles, and from moment to moment.

    reference_loss_db: at 1 m (free space, 2.4 GHz: 40); exponent: of the distance (an urban street: 2.7 to
    3.5); shadowing_sigma_db, shadowing_distance_m: log-normal shadowing and the distance at which its
    correlation is 1/e (Gudmundson 1991); rician_k_db: power of the direct path to the rest;
    averaged_frames: frames that one sample is the mean of; scan_sigma_db: noise of one scan result;
    noise_floor_dbm: of the receiver; hear_snr_db: weakest beacon that is decoded; resolution_db: step of
    reported values (most cards report whole dB).
    """

    reference_loss_db: float = 40.0
    exponent: float = 3.3
    shadowing_sigma_db: float = 3.0
    shadowing_distance_m: float = 20.0
    fading: Fading = Fading.RICIAN
    rician_k_db: float = 6.0
    averaged_frames: int = 8
    scan_sigma_db: float = 1.0
    noise_floor_dbm: float = -95.0
    hear_snr_db: float = 4.0
    resolution_db: float = 1.0

    def __attrs_post_init__(self) -> None:
        if self.shadowing_sigma_db < 0 or self.scan_sigma_db < 0:
            raise ValueError("a standard deviation must not be negative")
        if self.shadowing_distance_m <= 0 or self.resolution_db <= 0:
            raise ValueError("shadowing_distance_m and resolution_db must be more than 0")
        if not 1 <= self.averaged_frames <= 1000:
            raise ValueError("averaged_frames must lie between 1 and 1000")


@frozen
class Roaming:
    """When the station joins and loses an access point; levels are SNR in dB.

    join_snr_db: weakest to join by itself; floor_snr_db, lost_samples: the link is lost after so many
    samples in a row below the floor; scan_delay_s: from down to the next join by itself; auto_roam_db:
    join one better by this much without being asked, None for never.
    """

    join_snr_db: float = 14.0
    floor_snr_db: float = 11.0  # of 150 seeds the median link is lost 96 m on, 19 in 20 after 74 m
    lost_samples: int = 5
    scan_delay_s: float = 0.5
    auto_roam_db: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.lost_samples < 1 or self.scan_delay_s < 0:
            raise ValueError("lost_samples must be 1 or more, scan_delay_s not negative")


@frozen(kw_only=True)
class Scenario:
    """A drive past access points.

    seed: of every random stream; path: waypoints in metres, else a straight line past the access points
    from start_m to the last one; aps, spacing_m, road_m: access points in a row, spacing_m apart and
    road_m off the road; poas: their names; access_points: the access points one by one instead of those;
    sample_ms, scan_ms: between samples, between scans.
    """

    seed: int = 1
    aps: int = 8
    spacing_m: float = 90.0
    road_m: float = 10.0
    start_m: float = 0.0
    speed_kmh: float = 35.0
    poas: tuple[str, ...] | None = None
    path: tuple[Point, ...] | None = None
    access_points: tuple[AccessPoint, ...] | None = None
    propagation: Propagation = field(factory=Propagation)
    association: Roaming = field(factory=Roaming)
    sample_ms: int = 100
    scan_ms: int = 1000
    end: End = End.STAY

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.aps <= 1000:
            raise ValueError("aps must lie between 1 and 1000")
        if self.spacing_m <= 0 or self.speed_kmh <= 0:
            raise ValueError("spacing_m and speed_kmh must be more than 0")
        if not 1 <= self.sample_ms <= self.scan_ms or self.scan_ms % self.sample_ms:
            raise ValueError("scan_ms must be a multiple of sample_ms")
        if self.poas is not None and len(self.poas) != self.aps:
            raise ValueError(f"poas names {len(self.poas)} access points, aps says {self.aps}")
        if self.path is not None and not self.path:
            raise ValueError("path needs a waypoint")
        names = [a.poa for a in self.stations]
        if not names:
            raise ValueError("access_points needs one")
        if len(set(names)) < len(names):
            raise ValueError("two access points have one poa")

    @property
    def stations(self) -> tuple[AccessPoint, ...]:
        """The access points of the drive."""
        if self.access_points is not None:
            return self.access_points
        names = self.poas or tuple(bssid(n) for n in range(1, self.aps + 1))
        return tuple(
            AccessPoint(poa, n * self.spacing_m, self.road_m, channel=(1, 6, 11)[n % 3])
            for n, poa in enumerate(names)
        )

    @property
    def waypoints(self) -> tuple[Point, ...]:
        """The path of the drive."""
        if self.path is not None:
            return self.path
        return ((self.start_m, 0.0), (max(a.x_m for a in self.stations), 0.0))


@frozen(kw_only=True)
class SimWifiConfig(Scenario):
    """The table `[drivers.NAME]`: a scenario, or the file of one, and where its link is.

    scenario: TOML file with the scenario's keys, which then stand nowhere else; link: the link's name;
    rate: 1 live, X times faster, 0 as fast as possible; l2_gap_ms: least time between two access points;
    start_file: the node stands at the start of its path until this file exists, None: it sets off at once;
    port: kernel networking behind the radio, None for a radio alone.
    """

    scenario: Path | None = None
    link: str = "wlan0"
    rate: float = 1.0
    l2_gap_ms: float = 2.0
    start_file: Path | None = None
    port: PortConfig | None = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.rate < 0 or self.l2_gap_ms < 0:
            raise ValueError("rate and l2_gap_ms must not be negative")
        if not self.link:
            raise ValueError("link must not be empty")


def bssid(number: int) -> str:
    """The default PoA name of access point `number`, which counts from 1."""
    return f"02:00:00:00:{(number >> 8) + 1:02x}:{number & 0xFF:02x}"


def load_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file; ConfigError names file, table and key."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not TOML: {error}", file=str(path)) from error
    return decode(Scenario, table, file=str(path))


def scenario_of(config: SimWifiConfig, *, table: str) -> Scenario:
    """The scenario that a driver's table names or holds."""
    if config.scenario is None:
        return config
    default = Scenario()
    for name in fields(Scenario):
        if getattr(config, name.name) != getattr(default, name.name):
            raise ConfigError("stands beside a scenario file, which holds it", table=table, key=name.name)
    return load_scenario(config.scenario)
