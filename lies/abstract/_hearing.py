"""Takes what one sample heard into the memory: PoAs, retransmissions, bitrate, the strongest neighbour."""

import math

from lies.abstract._measure import frequency_of, network_of, signal_db
from lies.abstract._neighbours import Changes, Neighbours
from lies.abstract._parameters import AeParameters, TechnologyParameters
from lies.abstract._state import AeState
from lies.events import Neighbour, Sample, Technology


class Hearing:
    """Works on the memory of one entity; what it is given has been checked before."""

    def __init__(self, parameters: AeParameters, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._tau_s = parameters.damping_s
        self._stale_ns = round(parameters.stale_s * 1e9)

    def take(
        self, state: AeState, item: Sample, technology: Technology, p: TechnologyParameters, changes: Changes
    ) -> float | None:
        """Take a sample; the undamped signal of the serving PoA if it was measured."""
        serving_db: float | None = None
        skip: str | None = None
        if item.poa is not None:
            is_serving = item.poa == state.poa
            retries_hz = self._retries_hz(state, item) if is_serving else 0.0
            db = self._one(
                state, item.poa, signal_db(item, technology, p, retries_hz), technology, item, changes
            )
            if db is not None:
                skip = item.poa  # a scan that lists it too brings nothing new
            if is_serving:
                serving_db = db
                self._take_bitrate(state, item)
        if item.neighbours:
            scanned_db = self._scan(state, item, item.neighbours, skip, technology, p, changes)
            serving_db = scanned_db if serving_db is None else serving_db
        return serving_db

    def _one(
        self,
        state: AeState,
        poa: str,
        db: float | None,
        technology: Technology,
        item: Sample,
        changes: Changes,
        about: Neighbour | None = None,
    ) -> float | None:
        """Take one PoA's signal, and what is said about it; without a signal it was only heard."""
        if db is not None:
            self._neighbours.hear(state, poa, technology, db, item.t_ns, changes, about)
        elif (memory := state.poas.get(poa)) is not None:
            memory.heard_ns = item.t_ns
            if about is not None:
                memory.learn(network_of(about), frequency_of(about))
        return db

    def _scan(
        self,
        state: AeState,
        item: Sample,
        scan: tuple[Neighbour, ...],
        skip: str | None,
        technology: Technology,
        p: TechnologyParameters,
        changes: Changes,
    ) -> float | None:
        """Take a scan; the signal of the serving PoA if the scan lists it."""
        serving_db: float | None = None
        nearest_db: float | None = None
        for heard in scan:
            if heard.poa == skip:
                continue
            db = self._one(
                state, heard.poa, signal_db(heard, technology, p), technology, item, changes, heard
            )
            if db is None:
                if heard.available:
                    self._neighbours.listed(state, heard, technology, item.t_ns, changes)
                continue
            if heard.poa == state.poa:
                serving_db = db
            elif nearest_db is None or db > nearest_db:
                nearest_db = db
        if nearest_db is not None:
            state.nearest_db = nearest_db
            state.nearest_ns = item.t_ns
        return serving_db

    def _retries_hz(self, state: AeState, item: Sample) -> float:
        """Retransmissions per second, averaged with the time constant of the damping."""
        if item.retries is None:
            return 0.0
        if state.retries_ns is None:
            state.retries_ns = item.t_ns  # over what time these came is not known
            return 0.0
        dt_s = (item.t_ns - state.retries_ns) / 1e9
        state.retries_ns = item.t_ns
        if dt_s <= 0.0:
            state.retries_hz += item.retries / self._tau_s
        else:
            keep = math.exp(-dt_s / self._tau_s)
            state.retries_hz = keep * state.retries_hz + (1.0 - keep) * item.retries / dt_s
        return state.retries_hz

    def _take_bitrate(self, state: AeState, item: Sample) -> None:
        mbps = item.bitrate_mbps
        if mbps is None:
            return
        if state.bitrate_mbps is None or item.t_ns - state.bitrate_ns > self._stale_ns:
            state.bitrate_mbps = mbps
        else:
            keep = math.exp((item.t_ns - state.bitrate_ns) / (-1e9 * self._tau_s))
            state.bitrate_mbps += (1.0 - keep) * (mbps - state.bitrate_mbps)
        state.bitrate_ns = item.t_ns

    def bitrate_mbps(self, state: AeState) -> float | None:
        """The damped bitrate, None where none was given lately."""
        if state.bitrate_mbps is None or (state.t_ns or 0) - state.bitrate_ns > self._stale_ns:
            return None
        return state.bitrate_mbps
