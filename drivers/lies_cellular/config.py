"""The options of the cellular driver."""

from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from attrs import frozen


class IpType(StrEnum):
    """What a connection carries."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    IPV4V6 = "ipv4v6"


@frozen(kw_only=True)
class CellularConfig:
    """The table `[drivers.NAME]`.

    bus: "system", "session", or a D-Bus address; modems: patterns (*, ?, [...]) of links to follow, of IMEIs
    or of device paths; ignore: likewise, of what is left out. control: follow LinkConnect and LinkDisconnect.
    apn, ip_type, roaming, user, password_file: of the connections it asks for; without apn the network's own,
    without ip_type the modem's. pin_file: holds the SIM's PIN and is readable for its owner only; it is tried
    once. rest_s, near_s: how often the modem measures its signal, far from near_dbm (RSRP, RSCP or RxLev) and
    near it or falling; threshold_db: changes that a modem tells by itself, where it can. percent_dbm: RSSI
    that stands behind 0 and 100 percent, for modems that tell no more. cells_s: how often a modem is asked
    for the cells it hears, where it can tell (0: never); scan_s: without a network for this long, look for
    others, and again as often (0: never). denied_s: how long a connection stays when registration is denied.
    call_s, connect_s: time limits of calls to ModemManager.
    """

    bus: str = "system"
    modems: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    control: bool = True
    apn: str = ""
    ip_type: IpType | None = None
    roaming: bool = False
    user: str = ""
    password_file: Path | None = None
    pin_file: Path | None = None
    rest_s: int = 3
    near_s: int = 1
    near_dbm: float = -105.0
    threshold_db: int = 2
    percent_dbm: tuple[float, float] = (-113.0, -51.0)
    cells_s: float = 10.0
    scan_s: float = 60.0
    denied_s: float = 15.0
    call_s: float = 10.0
    connect_s: float = 120.0

    def __attrs_post_init__(self) -> None:
        if not self.bus or not self.modems or not all((*self.modems, *self.ignore)):
            raise ValueError("bus and modems need a value, and no pattern is empty")
        if not 1 <= self.near_s <= self.rest_s <= 5:
            raise ValueError("1 <= near_s <= rest_s <= 5: an average begins anew after 5 s without a sample")
        if not -140.0 < self.near_dbm < 0.0:
            raise ValueError("near_dbm must lie between -140 and 0")
        if not 1 <= self.threshold_db <= 30:
            raise ValueError("threshold_db must lie between 1 and 30")
        if not -140.0 <= self.percent_dbm[0] < self.percent_dbm[1] <= 0.0:
            raise ValueError("percent_dbm must be two rising levels between -140 and 0")
        if min(self.cells_s, self.scan_s, self.denied_s) < 0.0:
            raise ValueError("cells_s, scan_s and denied_s must not be negative")
        if not (0.0 < self.call_s <= 600.0 and 0.0 < self.connect_s <= 600.0):
            raise ValueError("call_s and connect_s must lie between 0 and 600")
        if self.password_file is not None and not self.user:
            raise ValueError("password_file needs a user")

    def wants(self, *names: str) -> bool:
        """Whether a modem that goes by these names is to be followed."""
        return any(fnmatchcase(n, p) for n in names for p in self.modems) and not any(
            fnmatchcase(n, p) for n in names for p in self.ignore
        )
