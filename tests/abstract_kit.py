"""An abstract entity to try: numbered headers, items by seconds, scripts of samples."""

from collections.abc import Iterable, Sequence

from lies.abstract import AbstractEntity, AeParameters
from lies.events import (
    Attached,
    Detached,
    DownReason,
    Header,
    Indication,
    Link,
    Neighbour,
    RawItem,
    Sample,
    Technology,
)

WIFI = Link("wlan0", Technology.WIFI)
LTE = Link("wwan0", Technology.LTE)


def ns(t_s: float) -> int:
    """Seconds as nanoseconds."""
    return round(t_s * 1e9)


def entity(link: Link = WIFI, parameters: AeParameters | None = None) -> AbstractEntity:
    """An entity whose indications are numbered from 1."""
    count = 0

    def stamp(t_ns: int) -> Header:
        nonlocal count
        count += 1
        return Header("test", 1, count, t_ns, t_ns, link)

    return AbstractEntity(link, parameters or AeParameters(), stamp)


def up(t_s: float, poa: str = "ap1") -> Attached:
    """Frames pass to a PoA."""
    return Attached(ns(t_s), poa)


def down(t_s: float, poa: str = "ap1", reason: DownReason = DownReason.SIGNAL_LOST) -> Detached:
    """No frame passes to a PoA."""
    return Detached(ns(t_s), poa, reason)


def heard(t_s: float, snr_db: float | None, poa: str | None = "ap1", **scan: float) -> Sample:
    """A Wi-Fi sample; scan: SNR of each other PoA, by name."""
    neighbours = tuple(Neighbour(name, snr_db=db) for name, db in scan.items()) if scan else None
    return Sample(ns(t_s), poa, snr_db=snr_db if poa is not None else None, neighbours=neighbours)


def series(
    values: Iterable[float], start_s: float = 0.0, step_s: float = 0.1, poa: str = "ap1"
) -> list[RawItem]:
    """Wi-Fi samples of these SNRs at even steps."""
    return [heard(start_s + i * step_s, v, poa) for i, v in enumerate(values)]


def run(ae: AbstractEntity, items: Iterable[RawItem]) -> list[Indication]:
    """Everything an entity says about these items."""
    return [indication for item in items for indication in ae.feed(item)]


def names(indications: Sequence[Indication]) -> list[str]:
    """The class names of indications."""
    return [type(i).__name__ for i in indications]
