"""Raw measurements and driver inputs: what an abstract entity is fed, and what recordings keep.

Bare items (`Sample`, `Attached`, `Detached`, `Warned`, `Served`) go into the abstract entity; on the bus
they travel beside the indications, each in its Raw* class with a header, to who registered for `raw`.
"""

from attrs import frozen

from lies.events._types import DownReason, Header


@frozen
class Neighbour:
    """One PoA heard in a scan; every value None where the radio does not say.

    network, frequency_mhz: as in PoACondition; what was said once stands until something else is said.
    available: the radio says that it can be attached to, and measures no level.
    """

    poa: str
    rssi_dbm: float | None = None
    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    snr_db: float | None = None
    bitrate_mbps: float | None = None
    network: str | None = None
    frequency_mhz: float | None = None
    available: bool = False


@frozen
class Sample:
    """One raw measurement of a link, irregular in time.

    t_ns: when it was measured, on the driver's clock; poa: the PoA that the signal values belong to (None
    when nothing is heard); neighbours: PoAs heard beside it, None where this sample brings no scan;
    retries: transmission retries since the last sample; technology: where it differs from the link's.
    """

    t_ns: int
    poa: str | None = None
    technology: str | None = None
    rssi_dbm: float | None = None
    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    snr_db: float | None = None
    bitrate_mbps: float | None = None
    retries: int | None = None
    speed_mps: float | None = None
    neighbours: tuple[Neighbour, ...] | None = None


@frozen
class Attached:
    """Driver input: frames pass to this PoA since t_ns.

    port_out_ns, port_in_ns: when the radio left the old PoA and entered this one, where the driver knows;
    network, frequency_mhz: as in PoACondition.
    """

    t_ns: int
    poa: str
    port_out_ns: int | None = None
    port_in_ns: int | None = None
    network: str | None = None
    frequency_mhz: float | None = None


@frozen
class Detached:
    """Driver input: no frame passes to this PoA since t_ns; reason_code, detail: as in LinkDown."""

    t_ns: int
    poa: str
    reason: DownReason
    reason_code: int | None = None
    detail: str | None = None


@frozen
class Warned:
    """Driver input: it was told that frames will cease to pass, which no signal shows.

    reason: why; None: it is no longer so. time_to_down_ms: from t_ns, as far as is known.
    """

    t_ns: int
    poa: str
    reason: DownReason | None
    time_to_down_ms: float


@frozen
class Served:
    """Driver input: how the network serves the link since t_ns, whether it is attached or not.

    technology: as in Sample, None while it is not known; registration: what the network says of it, in the
    technology's own words; limit_mbps: what the connection allows at most, None where that is not known.
    """

    t_ns: int
    technology: str | None = None
    registration: str | None = None
    limit_mbps: float | None = None


@frozen
class RawSample:
    """A Sample on the bus."""

    header: Header
    sample: Sample


@frozen
class RawAttached:
    """An Attached on the bus."""

    header: Header
    attached: Attached


@frozen
class RawDetached:
    """A Detached on the bus."""

    header: Header
    detached: Detached


@frozen
class RawWarned:
    """A Warned on the bus."""

    header: Header
    warned: Warned


@frozen
class RawServed:
    """A Served on the bus."""

    header: Header
    served: Served


@frozen
class RawState:
    """The abstract entity's memory at this point of the raw stream: a recording starts with it.

    state: msgpack of the entity's own state class; opaque to everyone else.
    """

    header: Header
    state: bytes


RawItem = Sample | Attached | Detached | Warned | Served
Raw = RawSample | RawAttached | RawDetached | RawWarned | RawServed | RawState


def raw_of(header: Header, item: RawItem) -> Raw:
    """An item as it travels on the bus."""
    match item:
        case Sample():
            return RawSample(header, item)
        case Attached():
            return RawAttached(header, item)
        case Detached():
            return RawDetached(header, item)
        case Warned():
            return RawWarned(header, item)
        case Served():
            return RawServed(header, item)
