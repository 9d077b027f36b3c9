"""The policy between links: how it is named in a configuration, and what it prefers."""

import pytest
from attrs import evolve

from lies.errors import ConfigError, UnknownPlugin
from lies.events import Quality
from lies.link_policy import LinkView, PreferredLinks
from lies.policies import make_link_policy


def test_a_policy_is_named_by_its_table() -> None:
    """Ours has options; one that is not there is an error, and so is one that is none."""
    made = make_link_policy({"return_after_s": 5.0, "spare": "good"})
    assert made == PreferredLinks(Quality.GOOD, return_after_s=5.0)
    with pytest.raises(UnknownPlugin):
        make_link_policy({"use": "nobody"})
    for table in ({"use": 5}, {"spare": "splendid"}, {"return_after_s": -1.0}):
        with pytest.raises(ConfigError):
            make_link_policy(table)


def test_the_policy_prefers_in_order() -> None:
    """Of three sound links the first; of those that only just came up the one in use."""
    policy = PreferredLinks()
    views = [LinkView(n, up=True, ready=True, up_s=10.0) for n in ("a", "b", "c")]
    assert policy.choose(views) == "a"
    fresh = [LinkView("a", up=True, ready=True, up_s=0.5), LinkView("b", up=True, ready=True, in_use=True)]
    assert policy.choose(fresh) == "b"
    going = [evolve(views[0], going_down=True, down_in_s=9.0), evolve(views[1], in_use=True)]
    assert policy.choose(going) == "b", "a link is not returned to whose end is announced"
    assert policy.wanted([LinkView("a"), LinkView("b", up=True, ready=True), LinkView("c")]) == ["a"]
