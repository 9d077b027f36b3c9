"""What a simulation is to be."""

from attrs import fields, frozen

MODES = ("predictive", "reactive", "none")
_SHARES = frozenset(("loss", "duplicate", "reorder", "abrupt", "turn"))


@frozen(kw_only=True)
class SimOptions:
    """Mobile nodes past routers for some hours.

    mode: what a mobile node does of FMIPv6; nodes, routers, hours: how many and how long; spacing_m between
    access points, on a ring; speed_kmh: the mean, each node has its own within a fifth of it; packets_per_s
    of data each way and node, 0 for none; loss, duplicate, reorder: shares of the messages of signalling, a
    link; jitter_ms: evenly spread on top of each of their delays; access_ms, backbone_ms: delay of a link,
    one way; l2_gap_ms: the mean, each gap lasts half of it to half as much again; abrupt: share of access
    points whose signal ends unpredicted; turn: share of access points at which a node turns back;
    restart_every_s: mean time between two failures of a router, 0 for none; down_s: how long it fails;
    settle_s: how long the whole network is given at the end; seed: of all chance; consumers: names.
    """

    mode: str = "predictive"
    nodes: int = 100
    routers: int = 8
    hours: float = 0.1
    spacing_m: float = 90.0
    speed_kmh: float = 35.0
    packets_per_s: float = 100.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    jitter_ms: float = 0.0
    access_ms: float = 1.0
    backbone_ms: float = 2.0
    l2_gap_ms: float = 10.0
    abrupt: float = 0.05
    turn: float = 0.05
    restart_every_s: float = 0.0
    down_s: float = 2.0
    settle_s: float = 180.0
    seed: int = 1
    consumers: tuple[str, ...] = ("fmipv6", "mipv6")

    def __attrs_post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode is none of {', '.join(MODES)}")
        if self.nodes < 1 or self.routers < 2:
            raise ValueError("nodes must be 1 or more, routers 2 or more")
        for attribute in fields(type(self)):
            value = getattr(self, attribute.name)
            if isinstance(value, float) and not 0.0 <= value < 1e9:
                raise ValueError(f"{attribute.name} must be a number that is not negative")
        for name in _SHARES:
            if getattr(self, name) > 1.0:
                raise ValueError(f"{name} must lie between 0 and 1")
        if not self.hours or not self.speed_kmh or not self.spacing_m:
            raise ValueError("hours, speed_kmh and spacing_m must be more than 0")
