"""What a drive is to be, and the configurations of its daemons."""

from collections.abc import Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from attrs import field, frozen

from lies.config import Config, ConsumerConfig, DaemonConfig, DriverConfig, LogLevel
from lies.errors import LiesError
from lies.testbed import topology as t
from lies.testbed.traffic import rate_to_packets
from lies.trace import Radio, merge, open_trace

DATAGRAM = 1200  # octets of payload
THIN_MBPS, THIN_DATAGRAM = 0.8, 100  # beside an application: 1000 packets/s, so that gaps are known to 1 ms
MODES = ("predictive", "reactive", "none")
_STEADY_S = 5.0  # the radio outlasts the traffic by this, so that the last handover ends in peace
_AT_LAST_S = 2.0  # beside the last access point: long enough to come there by oneself


class NoDrive(LiesError):
    """A trace that makes no drive: one point of attachment, or none (exit 3)."""

    exit_code = 3


@frozen(kw_only=True)
class DriveOptions:
    """A drive past access routers.

    mode: what the mobile node does of FMIPv6; routers, spacing_m, speed_kmh, seed: the simulated road;
    rate_mbps each way in packets of payload octets; l2_gap_ms: least time between two access points;
    backbone_ms: added one way between home agent and access routers; traces, start_s: recorded radio
    instead; shuttles: so many handovers between two access points, one every shuttle_s, instead of a way down
    the road; floor: measure how long a bare message takes where FBU and FBack go; duration_s: of the drive,
    None for the whole road or trace; grace_s: spec/decisions.md; isolate_radio, isolate_fmipv6: the radio's
    driver, and the mobile node's FMIPv6, as processes of their own on ZeroMQ, in place of the mobile node's
    daemon; vertical: with a cellular link beside the Wi-Fi, which ends for hole_m in the middle of the
    road; cell_fmipv6: the cellular router does FMIPv6, as the others; app, app_mbps: somebody else's
    application beside the drive's own packets, and its rate each way; abstract, fmipv6, access: further
    options of the abstract entity, of the mobile node's FMIPv6 and of the access routers'; access_of: of
    single ones, by name.
    """

    mode: str = "predictive"
    routers: int = 8
    spacing_m: float = 90.0
    speed_kmh: float = 35.0
    rate_mbps: float = 15.0
    payload: int = DATAGRAM
    l2_gap_ms: float = 2.0
    backbone_ms: float = 0.0
    seed: int = 1
    start_s: float = 0.0
    duration_s: float | None = None
    traces: tuple[Path, ...] = ()
    shuttles: int = 0
    shuttle_s: float = 0.4
    floor: bool = False
    grace_s: float = 2.0
    isolate_radio: bool = False
    isolate_fmipv6: bool = False
    vertical: bool = False
    hole_m: float = 330.0
    cell_fmipv6: bool = True
    app: str | None = None
    app_mbps: float = 15.0
    abstract: Mapping[str, Any] = field(factory=dict)
    fmipv6: Mapping[str, Any] = field(factory=dict)
    access: Mapping[str, Any] = field(factory=dict)
    access_of: Mapping[str, Mapping[str, Any]] = field(factory=dict)

    @property
    def packets_per_s(self) -> float:
        """Packets a second, each way."""
        return rate_to_packets(self.rate_mbps, self.payload)


@frozen
class Plan:
    """A drive worked out: how many routers, how long, and which recorded PoA stands for which router.

    start_s: on the traces' clock, where something was recorded.
    """

    options: DriveOptions
    routers: int
    duration_s: float
    poas: Mapping[str, str]  # recorded PoA -> PoA of the testbed
    technology: str
    start_s: float = 0.0


def make_plan(options: DriveOptions) -> Plan:
    """Work out a drive; NoDrive or TraceFormatError where a trace cannot be one."""
    if options.shuttles:
        return Plan(options, 2, (options.shuttles + 1) * options.shuttle_s, {}, "wifi")
    if not options.traces:
        length_m = (options.routers - 1) * options.spacing_m + (options.hole_m if options.vertical else 0.0)
        whole_s = length_m / (options.speed_kmh / 3.6) + _AT_LAST_S
        duration = min(whole_s, options.duration_s) if options.duration_s is not None else whole_s
        return Plan(options, options.routers, duration, {}, "wifi")
    radio: Radio = merge([open_trace(path) for path in options.traces])
    what = " and ".join(str(path) for path in options.traces)
    rest = radio.window(options.start_s, None)
    start_s, left_s = rest.start_s, rest.end_s - rest.start_s - _STEADY_S
    if left_s <= 0:
        there = f"{left_s + _STEADY_S:g} s from {options.start_s:g} s on"
        raise NoDrive(f"{what}: there are {there}; a drive needs more than {_STEADY_S:g} s")
    duration = left_s if options.duration_s is None else min(left_s, options.duration_s)
    poas = radio.poas_of(start_s, duration)
    if len(poas) < 2:
        heard = f"only the point of attachment {poas[0]}" if poas else "no point of attachment"
        raise NoDrive(f"{what}: {heard} is heard in this window; a drive needs two")
    poas = radio.poas_of(start_s, duration + _STEADY_S)
    if len(poas) > t.MAX_ROUTERS:
        raise NoDrive(f"{what}: {len(poas)} points of attachment in this window; {t.MAX_ROUTERS} are allowed")
    names = {poa: t.Router(number).bssid for number, poa in enumerate(poas, 1)}
    return Plan(options, len(poas), duration, names, radio.technology.value, start_s)


class Configurations:
    """The daemons' configurations for one plan on one topology."""

    def __init__(self, plan: Plan, topology: t.Topology, directory: Path) -> None:
        self._plan = plan
        self._topology = topology
        self._directory = directory

    @property
    def start_file(self) -> Path:
        """What a simulated radio waits for; a recorded one plays from the beginning."""
        return self._directory / "start"

    def runtime_dir(self, name: str) -> Path:
        """Where a node's daemon has its endpoints."""
        return self._directory / name

    def home_agent(self) -> Config:
        """The home agent's daemon."""
        options = {
            "role": "home-agent",
            "insecure": True,  # the testbed's own namespaces, nobody else can reach them
            "address": str(t.HOME_AGENT),
            "home_prefix": str(t.HOME_PREFIX),
            "backbone": "bb",
            "grace_s": self._plan.options.grace_s,
        }
        return self._config("ha", consumers=(ConsumerConfig("mipv6", "mipv6", options=options),))

    @property
    def access_routers(self) -> tuple[t.Router, ...]:
        """The routers that run LIES."""
        cell = self._topology.cell
        fast = (cell,) if cell is not None and self._plan.options.cell_fmipv6 else ()
        return (*self._topology.routers, *fast)

    def access_router(self, router: t.Router) -> Config:
        """One access router's daemon."""
        cell = self._topology.cell
        everybody = (*self._topology.routers, *([cell] if cell is not None else []))
        neighbours = [
            {
                "address": str(other.address),
                "lla": t.mac_text(other.access_mac),
                "prefix": str(other.prefix),
                "access_points": _poas(other),
                "fast_handover": other is not cell or self._plan.options.cell_fmipv6,
            }
            for other in everybody
            if other.number != router.number
        ]
        options = {
            "role": "access-router",
            "insecure": True,
            "access": "ap",
            "backbone": "bb",
            "address": str(router.address),
            "prefix": str(router.prefix),
            "access_points": _poas(router),
            "neighbours": neighbours,
            **self._plan.options.access,
            **self._plan.options.access_of.get(router.name, {}),
        }
        return self._config(router.name, consumers=(ConsumerConfig("fmipv6", "fmipv6", options=options),))

    def mobile_node(self, modem_bus: str | None = None) -> Config:
        """The mobile node's daemon: radio and FMIPv6 in it, Mobile IPv6 beside it on ZeroMQ.

        modem_bus: where ModemManager is, None: the cellular link is an interface that is always up.
        """
        plan = self._plan
        fmipv6 = {
            "role": "mobile-node",
            "insecure": True,
            "link": t.MOBILE_LINK,
            "mode": plan.options.mode,
            "parameters": {"grace_s": plan.options.grace_s},
            **plan.options.fmipv6,
        }
        mipv6 = {
            "role": "mobile-node",
            "insecure": True,
            "link": t.MOBILE_LINK,
            "home_address": str(t.HOME_ADDRESS),
            "home_agent": str(t.HOME_AGENT),
            "parameters": {"grace_s": plan.options.grace_s},
        }
        consumers = (
            ConsumerConfig("fmipv6", "fmipv6", isolate=plan.options.isolate_fmipv6, options=fmipv6),
            ConsumerConfig("mipv6", "mipv6", isolate=True, options=mipv6),
        )
        drivers = [self._radio()]
        if plan.options.vertical and self._topology.cell is not None:
            others = [{"link": t.CELL_LINK, "router": str(self._topology.cell.address)}]
            fmipv6["others"] = mipv6["others"] = others
            mipv6["policy"] = {"use": "reported"}  # FMIPv6 has the policy between the links
            drivers.append(_cellular(modem_bus))
        return self._config("mn", drivers=tuple(drivers), consumers=consumers)

    def _radio(self) -> DriverConfig:
        plan = self._plan
        port = {
            "radio_netns": self._topology.path("radio"),
            "port": "mn",
            "interface": t.MOBILE_LINK,
            "bridges": {r.bssid: f"air{r.number}" for r in self._topology.routers},
        }
        common = {"link": t.MOBILE_LINK, "l2_gap_ms": plan.options.l2_gap_ms, "port": port}
        radio: dict[str, Any] = {"isolate": plan.options.isolate_radio, "abstract": plan.options.abstract}
        if plan.options.traces:
            options = {
                "files": [str(path.absolute()) for path in plan.options.traces],
                "start_s": plan.start_s,
                "duration_s": plan.duration_s + _STEADY_S,
                "map": dict(plan.poas),
                "follow_requests": True,
                **common,
            }
            return DriverConfig("replay", "replay", **radio, options=options)
        options = {
            "seed": plan.options.seed,
            "aps": plan.routers,
            "poas": [r.bssid for r in self._topology.routers],
            "spacing_m": plan.options.spacing_m,
            "speed_kmh": plan.options.speed_kmh,
            "start_file": str(self.start_file),
            **(shuttle(plan.options) if plan.options.shuttles else {}),
            **(self._two_towns() if plan.options.vertical else {}),
            **common,
        }
        return DriverConfig("simwifi", "simwifi", **radio, options=options)

    def _two_towns(self) -> dict[str, Any]:
        """Half of the access points at each end of the road, and nothing between."""
        options, routers = self._plan.options, self._topology.routers
        half = (len(routers) + 1) // 2
        places = [
            (r, n * options.spacing_m + (options.hole_m if n >= half else 0.0)) for n, r in enumerate(routers)
        ]
        return {"access_points": [{"poa": r.bssid, "x_m": x, "y_m": 10.0} for r, x in places]}

    def _config(
        self,
        name: str,
        *,
        drivers: tuple[DriverConfig, ...] = (),
        consumers: tuple[ConsumerConfig, ...] = (),
    ) -> Config:
        daemon = DaemonConfig(runtime_dir=self.runtime_dir(name), log_level=LogLevel.WARNING, realtime=True)
        return Config(daemon=daemon, drivers=drivers, consumers=consumers)


def _poas(router: t.Router) -> list[str]:
    """Those of its link; the cellular router has all that have names and no MAC addresses."""
    return ["*"] if isinstance(router, t.CellRouter) else [router.bssid]


def _cellular(modem_bus: str | None) -> DriverConfig:
    if modem_bus is None:
        return DriverConfig("cellular", "rtnetlink", options={"interfaces": [t.CELL_LINK]})
    return DriverConfig("cellular", "cellular", options={"bus": modem_bus, "apn": "internet"})


def shuttle(options: DriveOptions) -> dict[str, Any]:
    """The road of a shuttle: there and back between two access points, without chance."""
    speed_mps = options.spacing_m / options.shuttle_s
    ends = ((0.0, 0.0), (options.spacing_m, 0.0))
    return {
        "path": [ends[n % 2] for n in range(options.shuttles + 1)],
        "speed_kmh": speed_mps * 3.6,
        "sample_ms": 10,
        "scan_ms": 20,
        "propagation": {"shadowing_sigma_db": 0.0, "scan_sigma_db": 0.0, "fading": "none"},
        "association": {"scan_delay_s": 0.0},
    }


def router_of(topology: t.Topology, poa: str) -> t.Router | None:
    """The router whose access point a PoA is."""
    return next((r for r in topology.routers if r.bssid == poa), None)


def router_of_address(topology: t.Topology, address: IPv6Address) -> t.Router | None:
    """The router whose prefix an address is in."""
    return next((r for r in topology.routers if address in r.prefix), None)
