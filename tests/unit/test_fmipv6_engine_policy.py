"""The policy of the mobile node: when it moves, and where."""

import pytest
from attrs import evolve
from net import Net
from net_nodes import coa_of, poa_of

from lies.events import Condition, PoACondition, Quality
from lies_fmipv6.policy import LevelPolicy, Situation

HERE = Situation(
    now=100.0,
    poa="here",
    condition=Condition(Quality.FAIR),
    going_down=False,
    confidence=0.0,
    candidates=(),
    attached_at=50.0,
    previous_poa=None,
    left_previous_at=None,
    cancelled_at=None,
)
POLICY = LevelPolicy()


def heard(**qualities: Quality) -> tuple[PoACondition, ...]:
    """Candidates."""
    return tuple(PoACondition(p, Condition(q)) for p, q in qualities.items())


@pytest.mark.parametrize("quality", list(Quality))
def test_a_level_below_good_is_a_reason_to_look_around(quality: Quality) -> None:
    """The level alone makes the node look for candidates when it is below `leave_below`."""
    assert POLICY.wants_to_leave(evolve(HERE, condition=Condition(quality))) is (quality < Quality.GOOD)


@pytest.mark.parametrize(("confidence", "wants"), [(0.49, False), (0.5, True), (1.0, True)])
def test_a_believed_prediction_is_a_reason(confidence: float, wants: bool) -> None:
    """LinkGoingDown counts from `min_confidence` on, however good the level still is."""
    s = evolve(HERE, condition=Condition(Quality.EXCELLENT), going_down=True, confidence=confidence)
    assert POLICY.wants_to_leave(s) is wants


@pytest.mark.parametrize(
    ("own", "candidate", "going_down", "moves"),
    [
        (Quality.FAIR, Quality.FAIR, False, False),
        (Quality.FAIR, Quality.GOOD, False, True),
        (Quality.FAIR, Quality.FAIR, True, True),
        (Quality.FAIR, Quality.BAD, True, False),
        (Quality.BAD, Quality.BAD, True, True),
        (Quality.NONE, Quality.NONE, True, False),
        (Quality.EXCELLENT, Quality.EXCELLENT, False, False),
        (Quality.EXCELLENT, Quality.EXCELLENT, True, True),
    ],
)
def test_margin(own: Quality, candidate: Quality, going_down: bool, moves: bool) -> None:
    """A candidate must be a level better; with a prediction as good will do; nothing heard is nothing."""
    s = evolve(
        HERE,
        condition=Condition(own),
        going_down=going_down,
        confidence=0.9,
        candidates=heard(there=candidate),
    )
    assert (POLICY.choose(s) == "there") is moves


def test_ranking() -> None:
    """The best candidate is the one of the highest level, then of the most bandwidth."""
    s = evolve(HERE, candidates=heard(a=Quality.GOOD, b=Quality.EXCELLENT, c=Quality.GOOD))
    assert POLICY.choose(s) == "b"
    fast = PoACondition("fast", Condition(Quality.GOOD, 50.0))
    slow = PoACondition("slow", Condition(Quality.GOOD, 5.0))
    for order in ((fast, slow), (slow, fast)):
        assert POLICY.choose(evolve(HERE, candidates=order)) == "fast"


@pytest.mark.parametrize(("stayed_s", "moves"), [(0.9, False), (1.0, True)])
def test_minimum_stay(stayed_s: float, moves: bool) -> None:
    """A node that has just come stays for `minimum_stay_s`, prediction or not."""
    s = evolve(HERE, attached_at=100.0 - stayed_s, going_down=True, confidence=1.0)
    s = evolve(s, candidates=heard(there=Quality.EXCELLENT))
    assert (POLICY.choose(s) == "there") is moves


@pytest.mark.parametrize(("ago_s", "quality", "moves"), [
    (2.0, Quality.GOOD, False), (2.0, Quality.EXCELLENT, True), (6.0, Quality.GOOD, True),
])  # fmt: skip
def test_no_ping_pong(ago_s: float, quality: Quality, moves: bool) -> None:
    """Going back to the previous PoA soon takes a level more than going anywhere else."""
    s = evolve(HERE, previous_poa="back", left_previous_at=100.0 - ago_s, candidates=heard(back=quality))
    assert (POLICY.choose(s) == "back") is moves


@pytest.mark.parametrize(("ago_s", "moves"), [(2.0, False), (4.0, True)])
def test_withdrawn_predictions(ago_s: float, moves: bool) -> None:
    """Soon after a withdrawn prediction the next one does not lower the margin."""
    s = evolve(HERE, going_down=True, confidence=0.9, cancelled_at=100.0 - ago_s)
    assert (POLICY.choose(evolve(s, candidates=heard(there=Quality.FAIR))) == "there") is moves


def test_a_candidate_that_becomes_better_later() -> None:
    """With the reason to leave still there, candidates are looked at again until one will do."""
    net = Net(2)
    net.start()
    net.radio.set_quality(poa_of(1), Quality.FAIR)
    net.run(1.0)
    assert net.mobile.engine.coa == coa_of(1), "no candidate is better yet"
    net.radio.qualities[poa_of(2)] = Quality.GOOD
    net.run(0.5)
    assert net.mobile.engine.coa == coa_of(2)


def test_cancelled_before_a_candidate_was_found() -> None:
    """A prediction that is withdrawn in time moves nothing, and nobody keeps looking."""
    net = Net(2)
    net.start()
    net.radio.qualities[poa_of(2)] = Quality.BAD
    net.radio.going_down()
    net.run(0.5)
    net.radio.cancel()
    net.radio.qualities[poa_of(2)] = Quality.EXCELLENT
    net.run(5.0)
    assert net.mobile.engine.coa == coa_of(1)
    assert net.mobile.engine.next_timeout() is None


def test_equal_poas_do_not_make_a_node_oscillate() -> None:
    """Two PoAs that stay equally poor: at most one move in ten seconds of standing predictions."""
    net = Net(2)
    net.start()
    for n in (1, 2):
        net.radio.set_quality(poa_of(n), Quality.BAD)
    for _ in range(10):
        net.radio.going_down()
        net.run(1.0)
    assert len(net.done()) <= 2
