"""The access points that are heard: the kernel's scan table, bounded, and what is new in it.

The kernel keeps an access point for half a minute after it was last heard, the abstract entity for some
seconds: what is still in the table but was not heard anew is given again as heard, without a level.
"""

from collections.abc import Iterable

from attrs import evolve, frozen

from lies.events import Neighbour
from lies_nl80211.elements import ssid_text
from lies_nl80211.messages import Bss

MOST = 1024  # access points remembered; the kernel's own limit is 1000 for a radio
KEPT_NS = 30_000_000_000  # IEEE80211_SCAN_RESULT_EXPIRE of the kernel
CHUNK = 64  # in one sample: an abstract entity takes no more than it has room for
_SAME_NS = 20_000_000  # two tellings of the same hearing differ by less, with kernels that give ages only


@frozen
class _Entry:
    bss: Bss
    heard_ns: int  # on the driver's clock


class Heard:
    """One interface's table; ssids: the networks that count, empty for every one."""

    def __init__(self, ssids: Iterable[str] = ()) -> None:
        self._ssids = frozenset(ssids)
        self._table: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._table)

    def get(self, bssid: str) -> Bss | None:
        """What is known of an access point."""
        entry = self._table.get(bssid)
        return None if entry is None else entry.bss

    def take(self, t_ns: int, dump: Iterable[Bss], serving: str | None) -> list[Neighbour]:
        """The table as it is now; what is heard beside the serving PoA, with a level where that is new."""
        found: dict[str, _Entry] = {}
        for bss in dump:
            named = self._named(bss)
            if bss.bssid == serving or self._counts(named):
                found[bss.bssid] = _Entry(named, t_ns - bss.seen_ms_ago * 1_000_000)
            if len(found) >= 2 * MOST:
                found = self._best(found, serving)
        before, self._table = self._table, self._best(found, serving)
        return [
            Neighbour(
                bssid,
                rssi_dbm=entry.bss.rssi_dbm if _is_new(before.get(bssid), entry) else None,
                network=network_of(entry.bss),
                frequency_mhz=entry.bss.frequency_mhz,
            )
            for bssid, entry in self._table.items()
            if bssid != serving
        ]

    def remind(self, t_ns: int, serving: str | None) -> list[Neighbour]:
        """What still counts as heard beside the serving PoA."""
        self._table = {b: e for b, e in self._table.items() if t_ns - e.heard_ns < KEPT_NS or b == serving}
        return [Neighbour(bssid) for bssid in self._table if bssid != serving]

    def others_of(self, serving: str, t_ns: int, within_ns: int) -> bool:
        """Whether another access point of the serving one's network was heard that lately."""
        ssid = self._ssid(serving)
        return ssid is not None and any(
            b != serving and e.bss.elements.ssid == ssid and t_ns - e.heard_ns < within_ns
            for b, e in self._table.items()
        )

    def frequencies_of(self, ssid: bytes) -> tuple[int, ...]:
        """Where a network was heard."""
        found = {e.bss.frequency_mhz for e in self._table.values() if e.bss.elements.ssid == ssid}
        return tuple(sorted(found))

    def frequencies(self) -> tuple[int, ...]:
        """Where anything was heard."""
        return tuple(sorted({e.bss.frequency_mhz for e in self._table.values()}))

    def _named(self, bss: Bss) -> Bss:
        """With the name that an answer to a probe has told before, where this beacon hides it."""
        before = self._ssid(bss.bssid)
        if bss.elements.ssid is not None or before is None:
            return bss
        return evolve(bss, elements=evolve(bss.elements, ssid=before))

    def _ssid(self, bssid: str) -> bytes | None:
        entry = self._table.get(bssid)
        return None if entry is None else entry.bss.elements.ssid

    def _counts(self, bss: Bss) -> bool:
        ssid = bss.elements.ssid
        return not self._ssids or (ssid is not None and ssid_text(ssid) in self._ssids)

    def _best(self, found: dict[str, _Entry], serving: str | None) -> dict[str, _Entry]:
        """At most MOST: the serving one, then those of its network, known before strangers, by signal.

        Who forges beacons by the thousand displaces nobody that was there before him.
        """
        if len(found) <= MOST:
            return found
        own = self._ssid(serving) if serving is not None else None

        def worth(item: tuple[str, _Entry]) -> tuple[bool, bool, bool, float]:
            bssid, entry = item
            same = own is not None and entry.bss.elements.ssid == own
            return bssid == serving, bssid in self._table, same, entry.bss.rssi_dbm or -200.0

        return dict(sorted(found.items(), key=worth, reverse=True)[:MOST])


def network_of(bss: Bss) -> str | None:
    """The name of its network, None where it is hidden."""
    return None if bss.elements.ssid is None else ssid_text(bss.elements.ssid)


def _is_new(before: _Entry | None, now: _Entry) -> bool:
    if before is None:
        return True
    if before.bss.seen_ns is not None and now.bss.seen_ns is not None:
        return now.bss.seen_ns > before.bss.seen_ns
    return now.heard_ns > before.heard_ns + _SAME_NS
