"""The options of the replay driver."""

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from lies.attachment import PortConfig


@frozen
class Following:
    """Association rules of a recorded radio, in dB above the least usable signal of its technology.

    Wi-Fi counts from the noise floor (SNR, or rssi_dbm + 95), LTE and 5G from an RSRP of -125 dBm, UMTS
    from an RSCP of -120 dBm, GSM from -110 dBm. Meanings as in lies.association.AssociationRules.
    """

    join_db: float = 8.0
    floor_db: float = 5.0
    lost_after_s: float = 2.0
    scan_delay_s: float = 0.5
    roam_db: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.lost_after_s < 0 or self.scan_delay_s < 0:
            raise ValueError("lost_after_s and scan_delay_s must not be negative")


@frozen(kw_only=True)
class ReplayConfig:
    """The table `[drivers.NAME]`.

    file, files: one recording, or one or several traces of one clock; rate: how many times faster than
    recorded; asap: as fast as possible; loop: how often, 0 for ever; start_s, duration_s: the part to play,
    on a trace's clock or from a recording's first raw line; paused: begin paused; map: recorded PoA -> PoA;
    link: name of the link (None: the recorded one, replay0 for traces; a recording of several links plays
    only the one of this name); follow_requests: a trace is only the radio, which PoA serves is decided by
    the association rules and by requests; port, l2_gap_ms: where the radio attaches.
    """

    file: Path | None = None
    files: tuple[Path, ...] = ()
    rate: float = 1.0
    asap: bool = False
    loop: int = 1
    start_s: float = 0.0
    duration_s: float | None = None
    paused: bool = False
    map: Mapping[str, str] = field(factory=dict)
    link: str | None = None
    follow_requests: bool = False
    association: Following = field(factory=Following)
    port: PortConfig | None = None
    l2_gap_ms: float = 2.0

    def __attrs_post_init__(self) -> None:
        if not self.paths:
            raise ValueError("file or files must name what to play")
        if not self.rate > 0:
            raise ValueError("rate must be more than 0; asap = true is as fast as possible")
        if self.loop < 0 or self.start_s < 0 or self.l2_gap_ms < 0:
            raise ValueError("loop, start_s and l2_gap_ms must not be negative")
        if self.duration_s is not None and self.duration_s <= 0:
            raise ValueError("duration_s must be more than 0")
        if self.port is not None and not self.follow_requests:
            raise ValueError("port needs follow_requests = true: recorded attachments move no port")
        if self.link == "":
            raise ValueError("link must not be empty")

    @property
    def paths(self) -> tuple[Path, ...]:
        """What to play."""
        return (*((self.file,) if self.file is not None else ()), *self.files)
