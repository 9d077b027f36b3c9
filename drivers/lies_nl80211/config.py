"""The options of the nl80211 driver."""

from attrs import frozen

from lies.driver import Thresholds

LEAST_DBM, MOST_LEVELS = -110, 8


@frozen(kw_only=True)
class Nl80211Config:
    """The table `[drivers.NAME]`.

    links: names of the interfaces to follow, none: every one; ssids: networks whose access points are PoAs,
    none: every one; rest_ms: time between samples of a good link; near_ms: of one whose signal is near
    near_dbm or falls towards it; cqm_dbm: signal levels at which the kernel is to wake the driver, at most
    eight, rising: those that registrations ask for unless given (none: the kernel's setting is left alone,
    for wpa_supplicant's bgscan); cqm_hysteresis_db: of those;
    scan_s: near near_dbm, with no other access point of the network heard for this long, one is looked for
    (0: never); control: follow LinkConnect and LinkDisconnect on interfaces that nobody manages.
    """

    links: tuple[str, ...] = ()
    ssids: tuple[str, ...] = ()
    rest_ms: int = 1000
    near_ms: int = 100
    near_dbm: float = -70.0
    cqm_dbm: tuple[int, ...] | None = None
    cqm_hysteresis_db: int = 2
    scan_s: float = 10.0
    control: bool = True

    def __attrs_post_init__(self) -> None:
        if not 1000 <= self.rest_ms <= 1500:
            raise ValueError("rest_ms must lie between 1000 and 1500: a link unheard for 2 s has no level")
        if not 20 <= self.near_ms <= self.rest_ms:
            raise ValueError("near_ms must lie between 20 and rest_ms")
        if not -110.0 < self.near_dbm < 0.0:
            raise ValueError("near_dbm must lie between -110 and 0")
        levels = self.cqm_dbm or ()
        if len(levels) > MOST_LEVELS or not all(LEAST_DBM < level < 0 for level in levels):
            raise ValueError("cqm_dbm must be at most eight levels between -110 and 0")
        if list(levels) != sorted(set(levels)):
            raise ValueError("cqm_dbm must rise from level to level")
        if not 0 <= self.cqm_hysteresis_db <= 20:
            raise ValueError("cqm_hysteresis_db must lie between 0 and 20")
        if self.scan_s < 0.0:
            raise ValueError("scan_s must not be negative")

    @property
    def sets(self) -> bool:
        """Whether it changes anything in the kernel, for which it needs CAP_NET_ADMIN."""
        return self.cqm_dbm != () or self.scan_s > 0 or self.control

    def watched(self, thresholds: Thresholds) -> tuple[int, ...]:
        """The levels at which the kernel is to wake the driver, for what registrations ask.

        With LinkGoingDown wanted also where sampling becomes fast, so that the fall before the break is seen.
        """
        if self.cqm_dbm is not None:
            return self.cqm_dbm
        wanted = {round(level) for level in thresholds.levels_dbm}
        if thresholds.break_dbm is not None:
            wanted |= {round(thresholds.break_dbm), round(self.near_dbm)}
        usable = sorted(level for level in wanted if LEAST_DBM < level < 0)
        return tuple(usable[:MOST_LEVELS])
