"""The policy by configuration: its options, and policies of one's own."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from net import Net
from net_nodes import coa_of, poa_of

from lies.errors import ConfigError, PluginUnavailable, UnknownPlugin
from lies.events import Condition, PoACondition, Quality
from lies_fmipv6.policy import LevelPolicy, Policy, Situation
from lies_fmipv6.policy_shell import GROUP, make_policy


@frozen
class Alphabetical:
    """Always wants to go, to the PoA that comes first in the alphabet, but for one."""

    never: str = ""

    def wants_to_leave(self, _situation: Situation, /) -> bool:
        """Always."""
        return True

    def choose(self, situation: Situation, /) -> str | None:
        """The first one."""
        names = sorted(c.poa for c in situation.candidates if c.poa != self.never)
        return names[0] if names else None


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of examples/plugin can be imported."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "plugin"))


def installed(group: str) -> Iterable[EntryPoint]:
    """Entry points as a distribution of somebody else's would have them."""
    assert group == GROUP
    return [
        EntryPoint("last-moment", "my_plugin:LastMoment", group),
        EntryPoint("broken", "my_plugin:Nobody", group),
        EntryPoint("elsewhere", "no_such_package:Policy", group),
        EntryPoint("no-policy", "my_plugin:DiaryConfig", group),
    ]


def made(**table: Any) -> Policy:
    """The policy of a table of a consumer `mob`."""
    return make_policy(table, name="mob", find=installed)


def test_without_a_word_the_policy_is_the_levels() -> None:
    """An empty table, or none, is LevelPolicy with its defaults; `use` may say so."""
    assert made() == made(use="level") == LevelPolicy()


def test_options_are_the_policys_own() -> None:
    """Every key of the table but `use` is a field of the policy's class."""
    assert made(minimum_stay_s=2.5, leave_below="fair") == LevelPolicy(
        minimum_stay_s=2.5, leave_below=Quality.FAIR
    )


def situation(**bandwidths: float) -> Situation:
    """A link that breaks in two seconds, and good candidates with these bandwidths."""
    heard = tuple(PoACondition(poa, Condition(Quality.GOOD, mbps)) for poa, mbps in bandwidths.items())
    return Situation(
        now=10.0,
        poa="here",
        condition=None,
        going_down=True,
        confidence=0.9,
        candidates=heard,
        attached_at=0.0,
        previous_poa=None,
        left_previous_at=None,
        cancelled_at=None,
        down_at=12.0,
    )


def test_a_policy_of_ones_own_is_found_by_its_name() -> None:
    """`use` names an entry point; the class gets its own options, and decides."""
    late, early = made(use="last-moment", lead_s=1), made(use="last-moment", lead_s=3)
    for policy in (late, early):
        assert policy.wants_to_leave(situation(a=1.0))
    assert late.choose(situation(a=1.0, b=2.0)) is None
    assert early.choose(situation(a=1.0, b=2.0)) == "b"


@pytest.mark.parametrize(
    ("table", "error", "said"),
    [
        ({"margin": "x"}, ConfigError, "[consumers.mob.policy]: margin: expected an integer, got a string"),
        ({"margn": 1}, ConfigError, "[consumers.mob.policy]: margn: unknown key; did you mean 'margin'?"),
        ({"margin": 5}, ConfigError, "[consumers.mob.policy]: margin must lie between 0 and 4"),
        ({"return_margin": -1}, ConfigError, "return_margin must lie between 0 and 4"),
        ({"minimum_stay_s": -1}, ConfigError, "minimum_stay_s must lie between 0 and 3600"),
        ({"min_confidence": 1.5}, ConfigError, "min_confidence must lie between 0 and 1"),
        ({"leave_below": "great"}, ConfigError, "leave_below: 'great' is none of"),
        ({"use": 7}, ConfigError, "[consumers.mob.policy]: use: expected a string"),
        (
            {"use": "first"},
            UnknownPlugin,
            "unknown policy 'first': installed are broken, elsewhere, l",
        ),
        ({"use": "lebel"}, UnknownPlugin, "unknown policy 'lebel' (did you mean 'level'?)"),
        ({"use": "elsewhere"}, PluginUnavailable, "no_such_package"),
        ({"use": "broken"}, PluginUnavailable, "does not exist"),
        ({"use": "no-policy"}, ConfigError, "'no-policy' is no attrs class with the methods wants_to_leave"),
    ],
)
def test_what_is_no_policy_is_said(table: dict[str, Any], error: type[Exception], said: str) -> None:
    """A wrong option, an unknown name and a class that is no policy are each one sentence."""
    with pytest.raises(error) as caught:
        made(**table)
    assert said in str(caught.value)


def test_the_engine_follows_any_policy() -> None:
    """A policy of one's own moves the node where the levels would have left it."""
    net = Net(3, policy=Alphabetical(never=poa_of(2)))
    net.start()
    for n in (1, 2, 3):
        net.radio.set_quality(poa_of(n), Quality.EXCELLENT)
    net.run(3.0)
    assert coa_of(3) in {report.ncoa and net.mobile.engine.coa for report in net.done()}
