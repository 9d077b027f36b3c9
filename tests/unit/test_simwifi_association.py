"""The association rules that the simulated and the recorded radio share."""

from hypothesis import given
from hypothesis import strategies as st

from lies.association import Association, AssociationRules, Go
from lies.events import DownReason

S = 1_000_000_000
RULES = AssociationRules(join_db=12.0, floor_db=9.0, lost_after_s=1.0, scan_delay_s=0.5)


def joined(poa: str = "a", rules: AssociationRules = RULES) -> Association:
    """An association that has just arrived at a PoA."""
    association = Association(rules)
    association.arrived(poa)
    return association


def test_first_association_is_to_the_strongest_that_is_strong_enough() -> None:
    """Nothing below join_db is joined; among the others the strongest is, by name where equal."""
    association = Association(RULES)
    assert association.measured(0, {}) is None
    assert association.measured(1, {"a": 11.9}) is None
    assert association.measured(2, {"a": 12.0, "b": 20.0, "c": 20.0}) == Go("c", DownReason.SIGNAL_LOST)


def test_only_candidates_are_joined() -> None:
    """A PoA that is not a candidate is heard, but neither joined nor connected to."""
    association = Association(RULES, frozenset({"a"}))
    assert association.measured(0, {"a": 15.0, "b": 40.0}) == Go("a", DownReason.SIGNAL_LOST)
    association.arrived("a")
    association.measured(1, {"a": 15.0, "b": 40.0})
    assert association.connect(2, "b") is None


def test_link_is_lost_after_its_time_below_the_floor() -> None:
    """Below the floor, or unheard, for lost_after_s loses the link; one sound sample starts anew."""
    association = joined()
    assert association.measured(0, {"a": 8.9}) is None
    assert association.measured(S - 1, {}) is None
    assert association.measured(S, {"a": 9.0}) is None
    assert association.measured(2 * S, {"a": 8.0}) is None
    assert association.measured(3 * S - 1, {"a": 8.0}) is None
    assert association.measured(3 * S, {}) == Go(None, DownReason.SIGNAL_LOST)


def test_link_comes_back_by_itself_after_the_scan_delay() -> None:
    """After a loss the strongest is joined, not before scan_delay_s has passed."""
    association = joined()
    association.left(10 * S)
    assert association.measured(10 * S + S // 2 - 1, {"b": 30.0}) is None
    assert association.measured(10 * S + S // 2, {"b": 30.0}) == Go("b", DownReason.SIGNAL_LOST)


def test_connect_goes_to_a_poa_that_is_heard() -> None:
    """LinkConnect is followed even below join_db, and does nothing where it is already."""
    association = joined()
    association.measured(0, {"a": 30.0, "b": 9.5})
    assert association.connect(1, "a") is None
    assert association.connect(1, "b") == Go("b", DownReason.REQUESTED)


def test_connect_to_a_silent_poa_leaves_a_working_link_alone() -> None:
    """A PoA that is not heard cannot be joined: the link stays; one that is down is scanned for."""
    association = joined()
    association.measured(0, {"a": 30.0, "b": 8.0})
    assert association.connect(1, "b") is None
    assert association.serving == "a"
    assert association.disconnect("a") == Go(None, DownReason.REQUESTED)
    association.left(1)
    assert association.connect(2, "c") is None
    assert association.measured(S // 2 + 1, {"a": 30.0}) is None
    assert association.measured(S // 2 + 2, {"a": 30.0}) == Go("a", DownReason.SIGNAL_LOST)


def test_disconnect_holds_until_the_next_connect() -> None:
    """After LinkDisconnect nothing is joined by itself; LinkConnect ends that."""
    association = joined()
    association.measured(0, {"a": 30.0})
    assert association.disconnect("b") is None
    assert association.disconnect("a") == Go(None, DownReason.REQUESTED)
    association.left(1)
    assert association.measured(100 * S, {"a": 30.0}) is None
    assert association.connect(101 * S, "a") == Go("a", DownReason.REQUESTED)
    association.arrived("a")
    association.left(102 * S)
    assert association.measured(110 * S, {"a": 30.0}) is not None


def test_disconnect_while_down_keeps_it_down() -> None:
    """LinkDisconnect on a link that is down turns the joining off."""
    association = Association(RULES)
    assert association.disconnect("a") is None
    assert association.measured(0, {"a": 30.0}) is None


def test_roaming_needs_the_rule_and_the_margin() -> None:
    """Without roam_db the station stays; with it, it goes to what is better by that much."""
    levels = {"a": 15.0, "b": 23.0}
    assert joined().measured(0, levels) is None
    roaming = AssociationRules(12.0, 9.0, 1.0, 0.5, roam_db=8.0)
    assert joined(rules=roaming).measured(0, levels) == Go("b", DownReason.REQUESTED)
    assert joined(rules=roaming).measured(0, {"a": 15.1, "b": 23.0}) is None


def test_a_refused_move_waits_for_the_next_scan() -> None:
    """What could not be joined is tried again, not at once."""
    association = Association(RULES)
    assert association.measured(0, {"a": 30.0}) is not None
    association.refused(0)
    assert association.measured(1, {"a": 30.0}) is None
    assert association.measured(S // 2, {"a": 30.0}) is not None


STEP = st.one_of(
    st.dictionaries(st.sampled_from("abc"), st.floats(-20.0, 60.0), max_size=3),
    st.tuples(st.sampled_from(("connect", "disconnect")), st.sampled_from("abc")),
)


@given(st.lists(STEP, max_size=60))
def test_every_move_is_to_a_poa_that_was_heard_last(steps: list[dict[str, float] | tuple[str, str]]) -> None:
    """Whatever happens, a Go leads to a heard PoA above the floor that is not the serving one, or to none."""
    association = Association(RULES)
    heard: dict[str, float] = {}
    for n, step in enumerate(steps):
        t_ns = n * S // 4
        if isinstance(step, dict):
            heard = step
            go = association.measured(t_ns, step)
        elif step[0] == "connect":
            go = association.connect(t_ns, step[1])
        else:
            go = association.disconnect(step[1])
        if go is None:
            continue
        assert go.poa is not None or association.serving is not None
        if go.poa is not None:
            assert go.poa != association.serving
            assert heard[go.poa] >= RULES.floor_db
        if association.serving is not None:
            association.left(t_ns)
        if go.poa is not None:
            association.arrived(go.poa)
