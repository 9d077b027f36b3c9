"""One interface as a station: from what the kernel tells to attached and detached, each PoA in its order.

The link is up at an access point while associated with it AND authorised to pass frames: on a protected
network that is after the handshake, which the kernel does not announce, so that it is asked for. Events are
believed; dumps decide where events may be missing.
"""

from collections.abc import Iterable

from attrs import frozen

from lies.events import Attached, Detached, DownReason
from lies.link_steps import Fail, Feed, Say
from lies_nl80211 import messages as m
from lies_nl80211.items import Action, Ask, Query, Settle
from lies_nl80211.measuring import Measuring
from lies_nl80211.pending import Order, Pending
from lies_nl80211.reasons import code_text, down_reason, status_text
from lies_nl80211.sampling import SamplingRules

REASON_WAIT_S = 0.02  # how long a station that is gone waits for the message that says why
FIRST_LOOK_S, SLOWEST_LOOK_S = 0.005, 0.1  # at a handshake that goes on
RETRY_S = 1.0  # after a question that was not answered
MISSES = 2  # dumps in a row without the PoA until it counts as gone


@frozen
class _Ending:
    """The serving PoA's station is gone, why is not yet known."""

    t_ns: int
    deadline: float


@frozen
class _Candidate:
    """Associated, not yet authorised; look_s: until the next look at it."""

    bssid: str
    protected: bool
    look_s: float = FIRST_LOOK_S


class Client:
    """One link. Methods append what follows to `out`; now: s on the clock of t_ns."""

    def __init__(
        self, index: int, link: str, rules: SamplingRules, scan_s: float, ssids: Iterable[str]
    ) -> None:
        self.index = index
        self.link = link
        self.serving: str | None = None
        self.measuring = Measuring(index, link, rules, scan_s, ssids)
        self.pending = Pending()
        self.watched: tuple[int, ...] = ()  # levels that the kernel was asked to tell of
        self._candidate: _Candidate | None = None
        self._ending: _Ending | None = None
        self._by_event = False  # the present association was told by its own event, not by a dump
        self._passing = False
        self._misses = 0
        self._since_ns: int | None = None  # of the present association, as dumps tell it
        self._turned_by: str | None = None  # an access point that has just refused
        self._stamp = 0  # of associations: an answer to an older question decides nothing
        self._asked: int | None = None  # stamp of the question that is open
        self._truth = False  # the next answer decides at once
        self._look_at: float | None = None

    # ---- time

    def due(self) -> float:
        """When `tick` wants to be called."""
        due = self.measuring.due()
        if self._ending is not None:
            due = min(due, self._ending.deadline)
        if self._look_at is not None and self._asked is None:
            due = min(due, self._look_at)
        ends = self.pending.due()
        return due if ends is None else min(due, ends)

    def tick(self, now: float, out: list[Action]) -> None:
        """What is due."""
        if self._ending is not None and now >= self._ending.deadline:
            self._down(self._ending.t_ns, DownReason.CARRIER, "no reason was told", out)
        if self._look_at is not None and now >= self._look_at:
            self._ask(out)
        self.measuring.tick(now, self.serving, out)
        why = self.pending.late(now)
        if why is not None:
            self.nothing_came(why, out)

    # ---- requests

    def begin(self, order: Order, now: float, out: list[Action]) -> int:
        """A request is being followed; the number by which its answer is known."""
        if self.pending.order is not None:
            self.nothing_came("another request took its place", out)
        self.pending.begin(order, now)
        return self.pending.number

    def taken(self, number: int, why: str | None, out: list[Action]) -> None:
        """The request was accepted, or refused (why)."""
        order = self.pending.order
        if order is None or number != self.pending.number:
            return
        self.pending.taken()
        if why is not None:
            self.nothing_came(why, out)
        elif order.poa == self.serving:
            self._came_true(out)

    def nothing_came(self, why: str, out: list[Action]) -> None:
        """The request came to nothing."""
        order = self.pending.order
        if order is not None:
            self.pending.end()
            out.append(Settle(self.link))
            out.append(Fail(self.link, order.action, order.poa, why))

    def _came_true(self, out: list[Action]) -> None:
        self.pending.end()
        out.append(Settle(self.link))

    def _judge_request(self, out: list[Action]) -> None:
        """The link is somewhere else now."""
        order = self.pending.order
        if order is None:
            return
        if order.poa == self.serving:
            self._came_true(out)
        elif self.serving is not None:
            why = self.pending.elsewhere(self.serving)
            if why is not None:
                self.nothing_came(why, out)

    def verify(self, out: list[Action]) -> None:
        """Events may have been missed: have the next dump decide."""
        self._truth = True
        self._by_event = False
        self._renew(out)

    # ---- what the kernel tells

    def told(self, t_ns: int, now: float, message: m.Message, out: list[Action]) -> None:
        """An event of this interface."""
        match message:
            case m.Connected():
                self._connected(t_ns, now, message, out)
            case m.Roamed(bssid=bssid, authorised=authorised):
                self._associated(t_ns, now, bssid, True, out)
                if authorised and self.serving != bssid:
                    self._up(t_ns, now, bssid, out)
            case m.PortAuthorised(bssid=bssid):
                if self._candidate is not None and bssid in {None, self._candidate.bssid}:
                    self._up(t_ns, now, self._candidate.bssid, out)
            case m.Disconnected():
                self._disconnected(t_ns, message, out)
            case m.Parted(bssid=bssid, by_peer=by_peer, reason=reason):
                if bssid == self.serving:
                    self._down(t_ns, down_reason(by_peer, reason), code_text(by_peer, reason), out, reason)
                elif self.pending.order is not None and bssid == self.pending.order.poa:
                    self.pending.hint(f"{bssid}: {code_text(by_peer, reason)}")
                self._drop_candidate(bssid, out)
            case m.StationGone(address=address):
                if address == self.serving and self._ending is None:
                    self._ending = _Ending(t_ns, now + REASON_WAIT_S)
                self._drop_candidate(address, out)
            case _:
                self._hinted(t_ns, now, message, out)

    def _hinted(self, t_ns: int, now: float, message: m.Message, out: list[Action]) -> None:
        match message:
            case m.SignalCrossed(level_dbm=level):
                if level is not None and self.serving is not None and self._ending is None:
                    self.measuring.level(t_ns, self.serving, level, out)
            case m.BeaconsLost() | m.PacketsLost():
                pass
            case m.ChannelSwitched(frequency_mhz=frequency, done=done):
                if done:
                    self.measuring.switched(t_ns, now, frequency, self.serving, out)
                elif self.serving is not None:
                    out.append(Say(f"{self.link}: {self.serving} will move to {frequency or 'another'} MHz"))
            case m.Turned(bssid=bssid, what=what, status=status):
                self._turned_by = bssid
                self._refused(f"{bssid} refused the {what}: {status_text(status)}", out)
                return
            case m.ScanDone(frequencies_mhz=frequencies):
                self.measuring.scan_ended(now, frequencies, out)
                return
            case _:
                return
        self.measuring.sampling.hint(now)
        if self.serving is not None:
            self._look_at = now
            self._ask(out)

    def net(self, t_ns: int, up: bool, passing: bool, out: list[Action]) -> None:
        """The interface's own switch and state."""
        self._passing = passing
        if not up:
            self.off(t_ns, DownReason.ADMIN_DOWN, "the interface was switched off", out)
        elif self._candidate is not None:
            self._ask(out)  # who manages it says that frames pass: most likely the port is authorised

    def off(self, t_ns: int, reason: DownReason, why: str, out: list[Action]) -> None:
        """Nothing passes any more."""
        self._candidate = None
        if self.serving is not None:
            self._down(t_ns, reason, why, out)

    # ---- answers

    def stations(
        self, stamp: int, t_ns: int, now: float, found: tuple[m.Station, ...] | None, out: list[Action]
    ) -> None:
        """The answer to a question for stations; None: there was none."""
        if stamp != self._asked:
            return
        self._asked = None
        if found is None:
            self._look_at = now + RETRY_S if self._look_at is not None or self._truth else None
            return
        truth, self._truth = self._truth, False
        ends = {s.address: s for s in found if not s.tdls and s.associated is not False}
        if self.serving is not None and self._ending is None:
            self._judge_serving(t_ns, ends.get(self.serving), truth, out)
        self._judge_candidate(t_ns, now, ends, truth, out)
        if self.serving is not None and self._ending is None and self.serving in ends:
            self.measuring.station(t_ns, now, ends[self.serving], out)
        self._plan(now)

    def scanned(self, t_ns: int, now: float, found: tuple[m.Bss, ...] | None, out: list[Action]) -> None:
        """The answer to a question for the scan table."""
        if found is None:
            return
        self.measuring.scanned(t_ns, now, found, self.serving, out)
        if self.serving is None and self._candidate is None and any(b.associated for b in found):
            self.verify(out)  # an association that no event has told of

    def _judge_serving(self, t_ns: int, end: m.Station | None, truth: bool, out: list[Action]) -> None:
        assert self.serving is not None
        if end is None:
            self._misses += 1
            if truth or self._misses >= MISSES:
                self._down(t_ns, DownReason.CARRIER, "the kernel does not know it any more", out)
            return
        self._misses = 0
        if end.associated_ns is not None and self._since_ns not in {None, end.associated_ns}:
            self._down(t_ns, DownReason.CARRIER, "it was left and joined again, which nothing told of", out)
            return  # and it is up again, as this answer says
        self._since_ns = end.associated_ns or self._since_ns
        if end.authorised is False:
            candidate = _Candidate(self.serving, protected=True)
            self._down(t_ns, DownReason.PEER, "frames are not allowed to pass any more", out)
            self._candidate = candidate

    def _judge_candidate(
        self, t_ns: int, now: float, ends: dict[str, m.Station], truth: bool, out: list[Action]
    ) -> None:
        if self._candidate is not None and self._candidate.bssid not in ends:
            self._misses += 1
            if truth or self._misses >= MISSES:
                self._candidate = None
                self._misses = 0
        if self.serving is None and self._candidate is None and ends:
            self._candidate = _Candidate(min(ends), protected=True)
            self._by_event = False
        if self._candidate is None or (end := ends.get(self._candidate.bssid)) is None:
            return
        unsaid = end.authorised is None and (self._passing or not self._candidate.protected)
        if end.authorised or unsaid:
            self._up(t_ns, now, end.address, out)
            self._since_ns = end.associated_ns

    # ---- associations

    def _connected(self, t_ns: int, now: float, message: m.Connected, out: list[Action]) -> None:
        turned_by, self._turned_by = self._turned_by, None
        if message.status:
            if message.bssid is None or message.bssid != turned_by:  # which has said so itself
                who = message.bssid or "an access point"
                self._refused(f"{who} refused the association: {status_text(message.status)}", out)
            if message.bssid is not None:
                self._drop_candidate(message.bssid, out)
        elif message.bssid is None:
            self.verify(out)
        else:
            self._associated(t_ns, now, message.bssid, message.protected, out)

    def _refused(self, why: str, out: list[Action]) -> None:
        self.pending.hint(why)
        out.append(Say(f"{self.link}: {why}"))

    def _associated(self, t_ns: int, now: float, bssid: str, protected: bool, out: list[Action]) -> None:
        if bssid == self.serving and self._ending is None and not self._by_event:
            self._by_event = True  # a dump was quicker than this event
            return
        if self.serving is not None:
            reason = DownReason.REQUESTED if bssid != self.serving else DownReason.CARRIER
            self._down(t_ns, reason, f"associated with {bssid}", out)
        self._by_event = True
        self._misses = 0
        self._candidate = _Candidate(bssid, protected)
        self._look_at = now
        self._renew(out)
        self._ask(out)

    def _disconnected(self, t_ns: int, message: m.Disconnected, out: list[Action]) -> None:
        if self._ending is not None or (self.serving is not None and self._by_event):
            by_peer, code = message.by_peer, message.reason
            self._down(t_ns, down_reason(by_peer, code), code_text(by_peer, code), out, code)
        elif self._candidate is not None and self._by_event:
            self._drop_candidate(self._candidate.bssid, out)
        elif self.serving is not None or self._candidate is not None:
            self.verify(out)  # it may speak of an association before the one that a dump told of

    def _drop_candidate(self, bssid: str, out: list[Action]) -> None:
        if self._candidate is not None and self._candidate.bssid == bssid:
            self._candidate = None
            self._look_at = None
            self._renew(out)

    def _up(self, t_ns: int, now: float, bssid: str, out: list[Action]) -> None:
        self.serving = bssid
        self._since_ns = None
        self._candidate = None
        self._misses = 0
        network, frequency_mhz = self.measuring.begin(now, bssid)
        at_ns = self.measuring.in_order(t_ns)
        attached = Attached(at_ns, bssid, network=network, frequency_mhz=frequency_mhz)
        out.append(Feed(self.link, attached))
        about = f" ({network or 'hidden network'}, {frequency_mhz} MHz)" if frequency_mhz is not None else ""
        out.append(Say(f"{self.link}: attached to {bssid}{about}"))
        self._judge_request(out)
        self._look_at = now

    def _down(
        self, t_ns: int, reason: DownReason, why: str, out: list[Action], code: int | None = None
    ) -> None:
        """Frames pass no more: since the station was gone, where that was told first."""
        assert self.serving is not None
        left_ns = self.measuring.in_order(self._ending.t_ns if self._ending is not None else t_ns)
        out.append(Feed(self.link, Detached(left_ns, self.serving, reason, code or None, why)))
        out.append(Say(f"{self.link}: left {self.serving}: {why}"))
        self.serving = None
        self._ending = None
        self._look_at = None
        self._misses = 0
        self.measuring.end()
        self._renew(out)
        self._judge_request(out)

    # ---- questions

    def _renew(self, out: list[Action]) -> None:
        """Associations have changed: an answer that is under way is of no use."""
        self._stamp += 1
        self._asked = None
        if self._truth:
            self._ask(out)

    def _ask(self, out: list[Action]) -> None:
        if self._asked is None:
            self._asked = self._stamp
            out.append(Ask(Query.STATIONS, self.index, self._stamp))

    def _plan(self, now: float) -> None:
        """When to ask for stations again if nothing happens before."""
        if self._candidate is not None:
            waited = self._candidate
            self._candidate = _Candidate(
                waited.bssid, waited.protected, min(2 * waited.look_s, SLOWEST_LOOK_S)
            )
            self._look_at = now + waited.look_s
        elif self.serving is not None:
            self._look_at = now + self.measuring.sampling.period_s(now)
        else:
            self._look_at = None
