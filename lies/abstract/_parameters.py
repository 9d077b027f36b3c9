"""Every number an abstract entity can be given, per technology; decodable from a TOML table.

Thresholds stand on the technology's own scale: dB above the noise floor for Wi-Fi (and technologies that
have no scale of their own), dBm for cellular. spec/decisions.md, "Quality levels", says where they are from.
"""

from attrs import field, frozen

from lies.events import Quality, Technology


@frozen
class TechnologyParameters:
    """How one technology's signal becomes a level; the defaults are those of Wi-Fi.

    excellent_db ... bad_db: lowest signal of each level on the technology's scale. hysteresis_db: a level
    is left downwards at its threshold, entered upwards only this much above it. noise_floor_dbm: subtracted
    from rssi_dbm where no SNR is given. rssi_offset_db: added to rssi_dbm where RSRP/RSCP is the scale and
    is not given. rsrq_onset_db, snr_onset_db: RSRQ (Ec/No) or SNR below this takes off one dB per dB.
    retries_onset_hz, retries_per_db_hz: retransmissions per second above the onset take off one dB per
    retries_per_db_hz. penalty_max_db: at most this is taken off. break_db: where the link breaks; None: at
    bad_db. handover_offset_db: the network moves the node when a neighbour is this much stronger; None: it
    does not. slope_window_s: memory of the least-squares line. slope_sigma_db, usual_slope_db_s: usual
    noise of a sample and usual slope, which count until the samples tell. min_confidence: of a
    LinkGoingDown. bandwidth_mhz, efficiency, noise_db: the bandwidth estimate is efficiency * bandwidth_mhz
    * log2(1 + SNR), with the signal less noise_db as SNR in dB.
    """

    excellent_db: float = 34.0  # RFC 5184 appendix E
    good_db: float = 27.0
    fair_db: float = 22.0
    bad_db: float = 15.0
    hysteresis_db: float = 2.0
    noise_floor_dbm: float = -95.0
    rssi_offset_db: float = 0.0
    rsrq_onset_db: float = -14.0
    snr_onset_db: float = 0.0
    retries_onset_hz: float = 100.0
    retries_per_db_hz: float = 50.0
    penalty_max_db: float = 6.0
    break_db: float | None = None
    handover_offset_db: float | None = None
    slope_window_s: float = 2.0
    slope_sigma_db: float = 3.0
    usual_slope_db_s: float = 1.5
    min_confidence: float = 0.7
    bandwidth_mhz: float = 20.0
    efficiency: float = 0.12  # 27 Mbit/s of IP at 34 dB, where 802.11a sends 54 Mbit/s frames
    noise_db: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not self.excellent_db > self.good_db > self.fair_db > self.bad_db:
            raise ValueError("excellent_db, good_db, fair_db, bad_db must fall in that order")
        for name in ("hysteresis_db", "penalty_max_db", "retries_onset_hz"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} must not be negative")
        for name in (
            "retries_per_db_hz",
            "slope_window_s",
            "slope_sigma_db",
            "usual_slope_db_s",
            "bandwidth_mhz",
            "efficiency",
        ):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be more than 0")
        if not 0.0 <= self.min_confidence <= 1.0:
            raise ValueError("min_confidence must lie between 0 and 1")


@frozen
class WifiParameters(TechnologyParameters):
    """IEEE 802.11: dB above the noise floor."""


@frozen
class LteParameters(TechnologyParameters):
    """LTE: RSRP in dBm."""

    excellent_db: float = -85.0
    good_db: float = -95.0
    fair_db: float = -105.0
    bad_db: float = -115.0
    rssi_offset_db: float = -28.0  # RSSI is summed over the 12 * 50 subcarriers of 10 MHz, RSRP is one's
    penalty_max_db: float = 10.0
    handover_offset_db: float | None = 5.0  # TS 36.331 event A3: a usual offset of 3 dB, hysteresis of 2 dB
    bandwidth_mhz: float = 10.0
    efficiency: float = 0.3  # half of TS 36.942 annex A.2's 0.6: the cell is shared
    noise_db: float = -125.0  # thermal noise of 15 kHz and a noise figure of 7 dB


@frozen
class NrParameters(LteParameters):
    """5G NR: RSRP in dBm; with NSA it is the LTE anchor's, hence the same thresholds."""


@frozen
class UmtsParameters(TechnologyParameters):
    """UMTS: RSCP in dBm (in rsrp_dbm), Ec/No in rsrq_db."""

    excellent_db: float = -85.0
    good_db: float = -95.0
    fair_db: float = -105.0
    bad_db: float = -115.0
    rssi_offset_db: float = -8.0  # a usual Ec/No
    penalty_max_db: float = 10.0
    handover_offset_db: float | None = 5.0
    bandwidth_mhz: float = 5.0
    efficiency: float = 0.2
    noise_db: float = -126.0  # noise of 3.84 MHz, noise figure 7 dB: -101 dBm; spreading gain 25 dB


@frozen
class GsmParameters(TechnologyParameters):
    """GSM: RxLev in dBm (in rsrp_dbm or rssi_dbm)."""

    excellent_db: float = -89.0
    good_db: float = -97.0
    fair_db: float = -103.0
    bad_db: float = -107.0
    penalty_max_db: float = 0.0
    handover_offset_db: float | None = 6.0
    bandwidth_mhz: float = 0.2
    efficiency: float = 0.1
    noise_db: float = -114.0  # noise of 200 kHz and a noise figure of 7 dB


@frozen
class OtherParameters(TechnologyParameters):
    """A technology without a scale of its own: dB above the noise floor, as Wi-Fi."""


@frozen
class AeParameters:
    """Parameters of an abstract entity; every one has a default.

    damping_s: time constant of the average (RFC 5184 section 7(2) asks for one second or more). stale_s:
    after a longer silence the average starts anew. silence_s: a serving PoA not heard this long has level
    NONE. poa_age_s: a PoA not heard this long is lost. poa_quality: lowest level of a PoA that is found.
    max_poas: PoAs remembered. horizon_s: LinkGoingDown is for a break within this. renew_s: least time
    between two LinkGoingDown of one episode. patience_s: how long after the announced time an episode waits
    for the break. episode_max_s: longest episode. recover_s: how long the signal must look sound before a
    withdrawal. holdoff_s: silence after a withdrawal; doubled by each further one without a break, up to
    holdoff_max_s; deeper_db: but not for a signal this much nearer to the break than when last announced.
    resync_items: after so many items in a row that go back in time the entity takes the clock as set anew.
    """

    damping_s: float = 1.0
    stale_s: float = 5.0
    silence_s: float = 2.0
    poa_age_s: float = 5.0
    poa_quality: Quality = Quality.BAD
    max_poas: int = 256
    horizon_s: float = 5.0
    renew_s: float = 2.0
    patience_s: float = 2.0
    episode_max_s: float = 15.0
    recover_s: float = 1.0
    holdoff_s: float = 2.0
    holdoff_max_s: float = 120.0
    deeper_db: float = 6.0
    resync_items: int = 16
    wifi: WifiParameters = field(factory=WifiParameters)
    lte: LteParameters = field(factory=LteParameters)
    nr: NrParameters = field(factory=NrParameters)
    umts: UmtsParameters = field(factory=UmtsParameters)
    gsm: GsmParameters = field(factory=GsmParameters)
    other: OtherParameters = field(factory=OtherParameters)

    def __attrs_post_init__(self) -> None:
        for name in ("damping_s", "stale_s", "silence_s", "poa_age_s", "horizon_s", "episode_max_s"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be more than 0")
        for name in ("renew_s", "patience_s", "recover_s", "holdoff_s", "holdoff_max_s", "deeper_db"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} must not be negative")
        if not 1 <= self.max_poas <= 65536:
            raise ValueError("max_poas must lie between 1 and 65536")
        if self.resync_items < 2:
            raise ValueError("resync_items must be at least 2")

    def of(self, technology: Technology) -> TechnologyParameters:
        """The parameters of one technology; Ethernet has no signal and gets those of OTHER."""
        match technology:
            case Technology.WIFI:
                return self.wifi
            case Technology.LTE:
                return self.lte
            case Technology.NR:
                return self.nr
            case Technology.UMTS:
                return self.umts
            case Technology.GSM:
                return self.gsm
            case Technology.ETHERNET | Technology.OTHER:
                return self.other
