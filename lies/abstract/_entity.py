"""The abstract entity: raw measurements of one link in, primitives out."""

from collections.abc import Callable

from attrs import frozen

from lies.abstract._going_down import Verdict, claim_of, end, judge, tell, warn, withdraw
from lies.abstract._hearing import Hearing
from lies.abstract._levels import DOWN, QUALITIES, condition_of
from lies.abstract._measure import (
    detail_of,
    frequency_of,
    is_sound,
    network_of,
    reason_code_of,
    technology_of,
)
from lies.abstract._neighbours import Changes, Neighbours, same_scale
from lies.abstract._parameters import AeParameters, TechnologyParameters
from lies.abstract._slope import Line, add, fit
from lies.abstract._state import AeState, PoaMemory, Service, decode, encode
from lies.events import (
    Attached,
    ChangeReason,
    Condition,
    Detached,
    DownReason,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoACondition,
    PoAFound,
    PoALost,
    Quality,
    RawItem,
    Sample,
    Served,
    Technology,
    Warned,
)


@frozen
class LinkState:
    """What the entity holds true of its link (RFC 5184 sections 4.1 and 4.2).

    poa: attached to, None while down; condition: NONE with 0 Mbit/s while down; poas: heard or attached
    to, best first by damped signal, bandwidth estimated for all in the same way; going_down: the claim that
    stands.
    """

    up: bool
    poa: str | None
    condition: Condition
    poas: tuple[PoACondition, ...]
    going_down: LinkGoingDown | None


class AbstractEntity:
    """Turns raw items of one link into indications (RFC 5184 section 7(1)); reads no clock, never raises.

    stamp: gives the next Header for an indication measured at t_ns. Driven by Sample (levels, PoAs,
    LinkGoingDown), Attached and Detached (LinkUp, LinkDown), Warned (LinkGoingDown) and Served (technology,
    registration); time passes only with items. Items that are malformed, go back in time, or speak of the
    end of a PoA the link is not attached to are ignored and counted in `refused`.
    """

    def __init__(self, link: Link, parameters: AeParameters, stamp: Callable[[int], Header]) -> None:
        self.link = link
        self.parameters = parameters
        self._stamp = stamp
        self._state = AeState()
        self._neighbours = Neighbours(parameters)
        self._hearing = Hearing(parameters, self._neighbours)
        self._by_technology = {t: parameters.of(t) for t in Technology}
        self._status: LinkState | None = None
        self._silence_ns = round(parameters.silence_s * 1e9)
        self._stale_ns = round(parameters.stale_s * 1e9)
        self._age_ns = round(parameters.poa_age_s * 1e9)
        self._max_neighbours = 8 * parameters.max_poas

    @property
    def refused(self) -> int:
        """How many items were ignored."""
        return self._state.refused

    @property
    def status(self) -> LinkState:
        """The link as of the last item."""
        if self._status is None:
            state = self._state
            episode = state.episode
            self._status = LinkState(
                up=state.poa is not None,
                poa=state.poa,
                condition=self._condition(),
                poas=self._neighbours.best_first(state),
                going_down=None if episode is None else episode.indication,
            )
        return self._status

    def export(self) -> bytes:
        """The whole memory, for restore()."""
        return encode(self._state)

    def restore(self, state: bytes) -> None:
        """Go on from an exported memory; MalformedMessage, and nothing changed, if it is none.

        Thresholds are those of this entity's parameters.
        """
        self._state = decode(state, self.parameters.max_poas)
        self._status = None

    def feed(self, item: RawItem) -> list[Indication]:
        """Take one item; the indications it causes, in order."""
        if not is_sound(item, self._max_neighbours) or not self._in_order(item.t_ns):
            self._state.refused += 1
            return []
        self._status = None
        match item:
            case Sample():
                return self._sample(item)
            case Attached():
                return self._attached(item)
            case Detached():
                return self._detached(item)
            case Warned():
                return self._warned(item)
            case Served():
                return self._served(item)

    def _in_order(self, t_ns: int) -> bool:
        state = self._state
        if state.t_ns is None or t_ns >= state.t_ns:
            state.behind = 0
            state.t_ns = t_ns
            return True
        state.behind += 1
        if state.behind < self.parameters.resync_items:
            return False
        self._forget_times(t_ns)
        return True

    def _forget_times(self, t_ns: int) -> None:
        """The clock was set anew: keep what is up and found, forget every measurement's time."""
        state = self._state
        state.behind = 0
        state.t_ns = t_ns
        state.bitrate_mbps = None
        state.retries_hz = 0.0
        state.retries_ns = None
        self._forget_line()
        state.quiet_ns = None
        state.due_ns = t_ns
        for memory in state.poas.values():
            memory.heard_ns = t_ns
            if memory.damped is not None:
                memory.damped.t_ns = t_ns
        if state.episode is not None:
            state.episode.began_ns = state.episode.told_ns = state.episode.deadline_ns = t_ns
            state.episode.sound_ns = None

    # -- attachment --

    def _attached(self, item: Attached) -> list[Indication]:
        state = self._state
        if state.poa == item.poa:
            return []
        out: list[Indication] = []
        if state.poa is not None:
            # The driver did not say how the old link ended, only that it did.
            out.append(self._down(Detached(item.t_ns, state.poa, DownReason.CARRIER)))
        changes = Changes()
        service = state.service or Service()
        technology = technology_of(service, self.link.technology)
        memory = self._neighbours.attach(state, item.poa, technology, item.t_ns, changes)
        memory.learn(network_of(item), frequency_of(item))
        state.poa = item.poa
        self._report(changes, item.t_ns, out)
        out.append(LinkUp(self._stamp(item.t_ns), item.poa, memory.network, memory.frequency_mhz))
        if memory.damped is not None and item.t_ns - memory.heard_ns > self._age_ns:
            memory.damped = None  # too old to tell the level of the new link
            memory.rank = 0
        if memory.damped is None and memory.technology is Technology.ETHERNET:
            memory.rank = Quality.EXCELLENT.rank  # a cable has no signal: it is plugged or not
        memory.heard_ns = item.t_ns
        self._level(memory, DOWN, item.t_ns, out)
        return out

    def _detached(self, item: Detached) -> list[Indication]:
        if self._state.poa != item.poa:
            self._state.refused += 1
            return []
        return [self._down(item)]

    def _down(self, item: Detached) -> LinkDown:
        state = self._state
        end(state)
        state.poa = None
        state.rank = 0
        state.bitrate_mbps = None
        state.retries_hz = 0.0
        state.retries_ns = None
        self._forget_line()
        state.due_ns = item.t_ns
        return LinkDown(self._stamp(item.t_ns), item.poa, item.reason, reason_code_of(item), detail_of(item))

    # -- what the driver was told --

    def _warned(self, item: Warned) -> list[Indication]:
        state = self._state
        if state.poa != item.poa:
            state.refused += 1
            return []
        episode = state.episode
        stands = episode is not None and episode.warned
        if item.reason is None:
            if not stands:
                return []
            state.episode = None
            return [LinkGoingDownCancelled(self._stamp(item.t_ns), item.poa)]
        if episode is not None and stands and episode.indication.reason is item.reason:
            return []
        in_ms = round(float(item.time_to_down_ms), 3)
        told = LinkGoingDown(self._stamp(item.t_ns), item.poa, in_ms, 1.0, item.reason)
        warn(state, told, item.t_ns)
        return [told]

    def _served(self, item: Served) -> list[Indication]:
        state = self._state
        before = state.service or Service()
        previous = self._condition()
        state.service = Service(item.technology, item.registration, item.limit_mbps)
        if state.poa is None:
            return []
        out: list[Indication] = []
        if item.technology != before.technology and item.technology is not None:
            technology = technology_of(item, self.link.technology)
            memory = state.poas[state.poa]
            if not same_scale(memory.technology, technology):
                memory.damped = None  # what was measured stands on another scale
                self._forget_line()
            memory.technology = technology
            if before.technology is not None or technology is not self.link.technology:
                self._changed(ChangeReason.TECHNOLOGY, item.technology, previous, item.t_ns, out)
        if item.registration != before.registration and before.registration is not None:
            self._changed(ChangeReason.REGISTRATION, item.registration, previous, item.t_ns, out)
        return out

    def _changed(
        self, reason: ChangeReason, now: str | None, previous: Condition, t_ns: int, out: list[Indication]
    ) -> None:
        """Indicate what changed beside the level."""
        poa = self._state.poa
        assert poa is not None
        out.append(LinkStatusChanged(self._stamp(t_ns), poa, self._condition(), previous, reason, now))

    # -- samples --

    def _sample(self, item: Sample) -> list[Indication]:
        state = self._state
        out: list[Indication] = []
        changes = Changes()
        technology = technology_of(item, self.link.technology)
        p = self._by_technology[technology]
        previous = DOWN
        previous_db = previous_mbps = None
        serving = None if state.poa is None else state.poas[state.poa]
        if serving is not None:
            previous_db = None if serving.damped is None else serving.damped.db
            previous_mbps = self._hearing.bitrate_mbps(state)
            if not same_scale(serving.technology, technology):
                self._forget_line()
        serving_db = self._hearing.take(state, item, technology, p, changes)
        self._neighbours.age(state, item.t_ns, changes)
        self._report(changes, item.t_ns, out)
        if serving is None:
            return out
        if serving.damped is not None and item.t_ns - serving.heard_ns > self._silence_ns:
            serving.rank = 0
        if serving.rank != state.rank:
            previous = self._condition_of(state.rank, previous_db, previous_mbps, p)
            self._level(serving, previous, item.t_ns, out)
        if serving_db is not None:
            self._extend_line(serving_db, p, item.t_ns)
        self._look_ahead(p, item.t_ns, out)
        return out

    # -- conditions --

    def _condition_of(
        self, rank: int, db: float | None, mbps: float | None, p: TechnologyParameters
    ) -> Condition:
        if mbps is not None:
            condition = Condition(QUALITIES[rank], round(mbps, 3))
        elif db is None:
            return Condition(QUALITIES[rank], 0.0 if rank == 0 else None)
        else:
            condition = condition_of(rank, db, p)
        service = self._state.service
        limit = None if service is None else service.limit_mbps
        if limit is None or (condition.bandwidth_mbps or 0.0) <= limit:
            return condition
        return Condition(condition.quality, limit)

    def _condition(self) -> Condition:
        state = self._state
        if state.poa is None:
            return DOWN
        memory = state.poas[state.poa]
        if state.rank == 0 and (state.t_ns or 0) - memory.heard_ns > self._silence_ns:
            return DOWN
        db = None if memory.damped is None else memory.damped.db
        return self._condition_of(
            state.rank, db, self._hearing.bitrate_mbps(state), self._by_technology[memory.technology]
        )

    def _level(self, memory: PoaMemory, previous: Condition, t_ns: int, out: list[Indication]) -> None:
        """Indicate the serving PoA's level if it is another than the one indicated last."""
        state = self._state
        if memory.rank == state.rank or state.poa is None:
            return
        state.rank = memory.rank
        out.append(LinkStatusChanged(self._stamp(t_ns), state.poa, self._condition(), previous))

    def _report(self, changes: Changes, t_ns: int, out: list[Indication]) -> None:
        if changes.lost:
            out.append(PoALost(self._stamp(t_ns), tuple(changes.lost.values())))
        if changes.found:
            out.append(PoAFound(self._stamp(t_ns), tuple(changes.found.values())))

    # -- what comes --

    def _forget_line(self) -> None:
        state = self._state
        state.line = Line()
        state.line_ns = None
        state.nearest_ns = None

    def _extend_line(self, db: float, p: TechnologyParameters, t_ns: int) -> None:
        state = self._state
        limit = p.bad_db if p.break_db is None else p.break_db
        if (
            p.handover_offset_db is not None
            and state.nearest_ns is not None
            and t_ns - state.nearest_ns <= self._silence_ns
        ):
            limit = max(limit, state.nearest_db - p.handover_offset_db)
        if state.line_ns is None or t_ns - state.line_ns > self._stale_ns:
            state.line = Line()
            state.line_ns = t_ns
        add(state.line, db - limit, (t_ns - state.line_ns) / 1e9, p.slope_window_s)
        state.line_ns = t_ns

    def _look_ahead(self, p: TechnologyParameters, t_ns: int, out: list[Indication]) -> None:
        state = self._state
        assert state.poa is not None
        line = None
        if state.line_ns == t_ns:
            line = fit(state.line, self.parameters.horizon_s, p.slope_sigma_db, p.usual_slope_db_s)
        claim = claim_of(line, self.parameters, p)
        verdict = judge(state, line, claim, self.parameters, p, t_ns)
        if verdict is Verdict.WITHDRAW:
            withdraw(state, self.parameters, t_ns)
            out.append(LinkGoingDownCancelled(self._stamp(t_ns), state.poa))
        elif verdict is Verdict.TELL and claim is not None:
            told = LinkGoingDown(
                self._stamp(t_ns),
                state.poa,
                round(claim.in_s * 1e3, 3),
                round(claim.confidence, 4),
                DownReason.FADING,
            )
            tell(state, told, claim, self.parameters, t_ns)
            out.append(told)
