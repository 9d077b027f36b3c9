"""One interface as an access point: each station that may pass frames is a link of its own.

Its name is INTERFACE/STATION, with the station's address written with "-" (a link's name has no colon), its
PoA the access point's own address: an access router sees which mobile node has come and gone.
"""

from attrs import define

from lies.events import Attached, Detached, DownReason, Link, Sample, Technology
from lies.link_steps import Close, Feed, Open, Say
from lies_nl80211 import messages as m
from lies_nl80211.items import Action, Ask, Query

MOST = 128  # stations followed at a time: the bus has room for 512 links in all
FIRST_LOOK_S, SLOWEST_LOOK_S = 0.01, 0.1  # at a handshake that goes on
HANDSHAKE_S = 10.0  # a station that is not authorised after so long is looked at with the others


@define
class _Guest:
    """A station; since: it is known; last_ns: of its last item; attached: it may pass frames.

    associated_ns: of its association, as dumps tell it.
    """

    since: float
    last_ns: int
    associated_ns: int | None = None
    attached: bool = False
    retries: int | None = None


class Cell:
    """One access point; methods append what follows to `out`."""

    def __init__(self, index: int, name: str, address: str, rest_s: float) -> None:
        self.index = index
        self._name = name
        self._address = address
        self._rest_s = rest_s
        self._guests: dict[str, _Guest] = {}
        self._turned_away = 0
        self._look_s = FIRST_LOOK_S
        self._look_at: float | None = 0.0
        self._stamp = 0
        self._asked: int | None = None

    def due(self) -> float | None:
        """When `tick` wants to be called."""
        return self._look_at if self._asked is None else None

    def tick(self, now: float, out: list[Action]) -> None:
        """What is due."""
        if self._look_at is not None and now >= self._look_at:
            self._ask(out)

    def verify(self, out: list[Action]) -> None:
        """Events may have been missed: ask."""
        self._stamp += 1
        self._asked = None
        self._ask(out)

    def told(self, t_ns: int, now: float, message: m.Message, out: list[Action]) -> None:
        """An event of this interface."""
        match message:
            case m.Station():
                self._stamp += 1
                self._asked = None
                self._forget(message.address, t_ns, DownReason.CARRIER, out)  # it comes anew
                self._come(t_ns, now, message, out)
                self._look_s = FIRST_LOOK_S
                self._look_at = now if self._waiting(now) else now + self._rest_s
            case m.StationGone(address=address):
                self._stamp += 1
                self._asked = None
                self._forget(address, t_ns, DownReason.PEER, out)
            case _:
                pass

    def off(self, t_ns: int, reason: DownReason, out: list[Action]) -> None:
        """The access point stopped."""
        for address in list(self._guests):
            self._forget(address, t_ns, reason, out)

    def stations(
        self, stamp: int, t_ns: int, now: float, found: tuple[m.Station, ...] | None, out: list[Action]
    ) -> None:
        """The answer to a question for stations: it decides who is there."""
        if stamp != self._asked:
            return
        self._asked = None
        if found is not None:
            there = {s.address for s in found}
            for address in [a for a in self._guests if a not in there]:
                self._forget(address, t_ns, DownReason.PEER, out)
            for station in found:
                self._same(t_ns, station, out)
                self._come(t_ns, now, station, out)
                self._measured(t_ns, station, out)
        if self._waiting(now):
            self._look_at = now + self._look_s
            self._look_s = min(2 * self._look_s, SLOWEST_LOOK_S)
        else:
            self._look_at = now + self._rest_s if self._guests or found is None else None

    def _same(self, t_ns: int, station: m.Station, out: list[Action]) -> None:
        """A station that left and came again, which nothing told of, is not the one that was there."""
        guest = self._guests.get(station.address)
        if guest is None or station.associated_ns is None:
            return
        if guest.associated_ns not in {None, station.associated_ns}:
            self._forget(station.address, t_ns, DownReason.CARRIER, out)
        else:
            guest.associated_ns = station.associated_ns

    def _come(self, t_ns: int, now: float, station: m.Station, out: list[Action]) -> None:
        if station.associated is False or station.tdls:
            return
        guest = self._guests.get(station.address)
        if guest is None:
            if len(self._guests) >= MOST:
                self._turned_away += 1
                if self._turned_away == 1:
                    out.append(
                        Say(f"{self._name}: more than {MOST} stations: the others are not followed", True)
                    )
                return
            guest = self._guests[station.address] = _Guest(now, t_ns)
        if station.authorised is not False and not guest.attached:
            guest.attached = True
            link = self._link(station.address)
            out.append(Open(Link(link, Technology.WIFI), controllable=False))
            out.append(Feed(link, Attached(t_ns, self._address)))
        elif station.authorised is False and guest.attached:
            self._forget(station.address, t_ns, DownReason.REQUESTED, out)
            self._guests[station.address] = _Guest(now, t_ns)

    def _measured(self, t_ns: int, station: m.Station, out: list[Action]) -> None:
        guest = self._guests.get(station.address)
        if guest is None or not guest.attached:
            return
        retries = None
        if station.retries is not None:
            if guest.retries is not None and station.retries >= guest.retries:
                retries = station.retries - guest.retries
            guest.retries = station.retries
        guest.last_ns = t_ns
        rssi = None if station.rssi_dbm is None else float(station.rssi_dbm)
        sample = Sample(
            t_ns, poa=self._address, rssi_dbm=rssi, bitrate_mbps=station.bitrate_mbps, retries=retries
        )
        out.append(Feed(self._link(station.address), sample))

    def _forget(self, address: str, t_ns: int, reason: DownReason, out: list[Action]) -> None:
        guest = self._guests.pop(address, None)
        if guest is not None and guest.attached:
            link = self._link(address)
            out.append(Feed(link, Detached(max(t_ns, guest.last_ns), self._address, reason)))
            out.append(Close(link))

    def _waiting(self, now: float) -> bool:
        return any(not g.attached and now < g.since + HANDSHAKE_S for g in self._guests.values())

    def _link(self, station: str) -> str:
        return f"{self._name}/{station.replace(':', '-')}"

    def _ask(self, out: list[Action]) -> None:
        if self._asked is None:
            self._asked = self._stamp
            out.append(Ask(Query.STATIONS, self.index, self._stamp))
