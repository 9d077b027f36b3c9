"""The table of PoAs that are heard: found, damped, aged, bounded (RFC 5184 appendix D.2 to D.4)."""

import math

from attrs import define, evolve, field

from lies.abstract._damping import begin, update
from lies.abstract._levels import DOWN, QUALITIES, condition_of, next_rank, rank_of
from lies.abstract._measure import frequency_of, network_of
from lies.abstract._parameters import AeParameters, TechnologyParameters
from lies.abstract._state import AeState, PoaMemory
from lies.events import Condition, Neighbour, PoACondition, Quality, Technology

_KEEP = 4  # a lost PoA is remembered this many ages more, so that a faint one does not flap
_SAME_SCALE = {Technology.NR: Technology.LTE}  # 5G NSA reports its LTE anchor


@define
class Changes:
    """PoAs found and lost at one item, by name; floor_db: the table is full of PoAs above this margin."""

    found: dict[str, PoACondition] = field(factory=dict)
    lost: dict[str, PoACondition] = field(factory=dict)
    floor_db: float = -math.inf

    def find(self, couple: PoACondition) -> None:
        """A PoA is found; one lost at the same item was never away."""
        if self.lost.pop(couple.poa, None) is None:
            self.found[couple.poa] = couple

    def lose(self, couple: PoACondition) -> None:
        """A PoA is lost; one found at the same item was never there."""
        if self.found.pop(couple.poa, None) is None:
            self.lost[couple.poa] = couple


def same_scale(a: Technology, b: Technology) -> bool:
    """Whether the signals of two technologies can be averaged."""
    return a is b or _SAME_SCALE.get(a, a) is _SAME_SCALE.get(b, b)


class Neighbours:
    """Works on the PoAs of a state; the attached PoA is never lost, only its level falls."""

    def __init__(self, parameters: AeParameters) -> None:
        self._p = parameters
        self._by_technology = {t: parameters.of(t) for t in Technology}
        self._least = parameters.poa_quality.rank
        self._age_ns = round(parameters.poa_age_s * 1e9)
        self._stale_ns = round(parameters.stale_s * 1e9)

    def condition(self, memory: PoaMemory) -> Condition:
        """The condition of a PoA, with the bandwidth estimated from its damped signal."""
        if memory.damped is None:
            return Condition(QUALITIES[memory.rank], None) if memory.rank else DOWN
        return condition_of(memory.rank, memory.damped.db, self._by_technology[memory.technology])

    def couple(self, name: str, memory: PoaMemory) -> PoACondition:
        """What is said of a PoA."""
        return PoACondition(name, self.condition(memory), memory.network, memory.frequency_mhz)

    def margin_db(self, memory: PoaMemory) -> float:
        """Damped signal above the lowest level's threshold: comparable between technologies."""
        if memory.damped is None:
            return -1e9
        return memory.damped.db - self._by_technology[memory.technology].bad_db

    def hear(
        self,
        state: AeState,
        name: str,
        technology: Technology,
        db: float,
        t_ns: int,
        changes: Changes,
        about: Neighbour | None = None,
    ) -> PoaMemory | None:
        """Take one measurement of a PoA, about: what else is said; None if the table is full of others."""
        p: TechnologyParameters = self._by_technology[technology]
        memory = state.poas.get(name)
        if memory is None:
            if len(state.poas) >= self._p.max_poas and not self._make_room(state, db - p.bad_db, changes):
                return None
            memory = state.poas[name] = PoaMemory(technology, t_ns, rank_of(db, p), damped=begin(db, t_ns))
        elif memory.damped is None or not same_scale(memory.technology, technology):
            memory.damped = begin(db, t_ns)
            memory.rank = rank_of(db, p)
        else:
            update(memory.damped, db, t_ns, self._p.damping_s, self._stale_ns)
            memory.rank = next_rank(memory.rank, memory.damped.db, p)
        memory.technology = technology
        memory.heard_ns = t_ns
        if about is not None:
            memory.learn(network_of(about), frequency_of(about))
        if state.due_ns is None:
            state.due_ns = t_ns + self._age_ns
        if memory.rank >= self._least:
            if not memory.found:
                memory.found = True
                changes.find(self.couple(name, memory))
        elif memory.found and name != state.poa:
            memory.found = False
            changes.lose(self.couple(name, memory))
        return memory

    def listed(
        self, state: AeState, heard: Neighbour, technology: Technology, t_ns: int, changes: Changes
    ) -> None:
        """Take a PoA that can be attached to, of which no level is known: it is BAD at worst."""
        name = heard.poa
        memory = state.poas.get(name)
        if memory is None:
            if len(state.poas) >= self._p.max_poas and not self._make_room(state, -math.inf, changes):
                return
            memory = state.poas[name] = PoaMemory(technology, t_ns)
        memory.learn(network_of(heard), frequency_of(heard))
        memory.heard_ns = t_ns
        if state.due_ns is None:
            state.due_ns = t_ns + self._age_ns
        if memory.damped is None and name != state.poa:
            memory.rank = Quality.BAD.rank
            if not memory.found and memory.rank >= self._least:
                memory.found = True
                changes.find(self.couple(name, memory))

    def age(self, state: AeState, t_ns: int, changes: Changes) -> None:
        """Lose what was not heard for too long, and forget it later."""
        if state.due_ns is None or t_ns <= state.due_ns:
            return
        gone: list[str] = []
        due: int | None = None
        for name, memory in state.poas.items():
            if name == state.poa:
                continue
            age = t_ns - memory.heard_ns
            if age > self._age_ns:
                memory.rank = 0
                if memory.found:
                    memory.found = False
                    changes.lose(evolve(self.couple(name, memory), condition=DOWN))
            if age > _KEEP * self._age_ns:
                gone.append(name)
                continue
            limit = memory.heard_ns + (_KEEP if age > self._age_ns else 1) * self._age_ns
            due = limit if due is None or limit < due else due
        for name in gone:
            del state.poas[name]
        state.due_ns = due if due is not None else t_ns + self._age_ns if state.poas else None

    def attach(
        self, state: AeState, name: str, technology: Technology, t_ns: int, changes: Changes
    ) -> PoaMemory:
        """The memory of the PoA that the link attaches to, made if it was never heard."""
        memory = state.poas.get(name)
        if memory is None:
            if len(state.poas) >= self._p.max_poas:
                self._make_room(state, math.inf, changes)
            memory = state.poas[name] = PoaMemory(technology, t_ns)
        return memory

    def best_first(self, state: AeState) -> tuple[PoACondition, ...]:
        """The PoAs that are found, and the attached one, by damped signal."""
        listed = [
            (-self.margin_db(m), name, m) for name, m in state.poas.items() if m.found or name == state.poa
        ]
        listed.sort(key=lambda item: item[:2])
        return tuple(self.couple(name, m) for _, name, m in listed)

    def _make_room(self, state: AeState, margin_db: float, changes: Changes) -> bool:
        """Drop the weakest PoA (of equals the oldest) if it is weaker than the newcomer."""
        if margin_db <= changes.floor_db:
            return False
        victims = [
            (m.found, self.margin_db(m), m.heard_ns, name)
            for name, m in state.poas.items()
            if name != state.poa
        ]
        if not victims:
            return False
        found, weakest, _, name = min(victims)
        if found and weakest >= margin_db:
            changes.floor_db = weakest
            return False
        memory = state.poas.pop(name)
        if memory.found:
            changes.lose(self.couple(name, memory))
        return True
