"""When to announce that the link breaks, when to say so again, and when to take it back.

An episode begins with the first LinkGoingDown and ends with a LinkGoingDownCancelled or with the link's
end. Further LinkGoingDown inside it renew the same claim. A claim that was taken back makes the entity
more careful: each one in a row without a break doubles the silence after it.
"""

from enum import Enum

from attrs import define

from lies.abstract._parameters import AeParameters, TechnologyParameters
from lies.abstract._slope import Fit
from lies.abstract._state import AeState, Episode
from lies.events import LinkGoingDown


class Verdict(Enum):
    """What one look at the line leads to."""

    SILENT = 0
    TELL = 1  # a LinkGoingDown, the first or a renewal
    WITHDRAW = 2


@define
class Claim:
    """The content of a LinkGoingDown; in_s: time to the break, level_db: margin to it now."""

    in_s: float
    confidence: float
    level_db: float


def claim_of(line: Fit | None, a: AeParameters, p: TechnologyParameters) -> Claim | None:
    """What the line claims; None if it reaches the break after the horizon or is not sure enough."""
    if line is None or line.confidence < p.min_confidence:
        return None
    if line.level <= 0.0:
        return Claim(0.0, line.confidence, line.level)
    if line.slope >= 0.0 or line.level > -line.slope * a.horizon_s:
        return None
    return Claim(line.level / -line.slope, line.confidence, line.level)


def _may_begin(state: AeState, claim: Claim, a: AeParameters, t_ns: int) -> bool:
    """Whether a first LinkGoingDown is allowed after those that were withdrawn."""
    if state.quiet_ns is None or t_ns >= state.quiet_ns:
        return True
    return claim.level_db <= state.told_db - a.deeper_db


def judge(
    state: AeState, line: Fit | None, claim: Claim | None, a: AeParameters, p: TechnologyParameters, t_ns: int
) -> Verdict:
    """Whether to tell, to withdraw, or to be silent; only on a link that is up."""
    episode = state.episode
    if episode is not None and episode.warned:
        return Verdict.SILENT
    if episode is None:
        return Verdict.TELL if claim is not None and _may_begin(state, claim, a, t_ns) else Verdict.SILENT
    if line is not None and line.confidence < p.min_confidence / 2.0:
        if episode.sound_ns is None:
            episode.sound_ns = t_ns
        if t_ns - episode.sound_ns >= a.recover_s * 1e9:
            return Verdict.WITHDRAW
    else:
        episode.sound_ns = None
    if t_ns > episode.deadline_ns or t_ns - episode.began_ns > a.episode_max_s * 1e9:
        return Verdict.WITHDRAW
    if claim is not None and t_ns - episode.told_ns >= a.renew_s * 1e9:
        return Verdict.TELL
    return Verdict.SILENT


def tell(state: AeState, indication: LinkGoingDown, claim: Claim, a: AeParameters, t_ns: int) -> None:
    """Begin an episode, or renew the one there is."""
    deadline_ns = t_ns + round((claim.in_s + a.patience_s) * 1e9)
    if state.episode is None:
        state.episode = Episode(indication, t_ns, t_ns, deadline_ns, claim.level_db)
        return
    state.episode.indication = indication
    state.episode.level_db = min(state.episode.level_db, claim.level_db)
    state.episode.told_ns = t_ns
    state.episode.deadline_ns = deadline_ns


def warn(state: AeState, indication: LinkGoingDown, t_ns: int) -> None:
    """Hold for true what the driver was told, until it says otherwise or the link ends."""
    in_ns = round(indication.time_to_down_ms * 1e6)
    state.episode = Episode(indication, t_ns, t_ns, t_ns + in_ns, 0.0, warned=True)


def withdraw(state: AeState, a: AeParameters, t_ns: int) -> None:
    """End the episode without a break, and be silent for a while."""
    assert state.episode is not None
    state.told_db = state.episode.level_db
    state.episode = None
    quiet_s = min(a.holdoff_s * 2.0 ** min(state.failures, 32), a.holdoff_max_s)
    state.failures += 1
    state.quiet_ns = t_ns + round(quiet_s * 1e9)


def end(state: AeState) -> None:
    """The link broke or moved: nothing of its line holds for the next."""
    state.episode = None
    state.quiet_ns = None
    state.failures = 0
