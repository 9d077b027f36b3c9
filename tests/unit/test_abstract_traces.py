"""The abstract entity on recorded radio, in the folder that LIES_TRACES names (with dev/*.csv.gz).

`lies predict --out-dir DIR TRACE...` writes the alarms of the same entity for a judge of predictions.
"""

import itertools
import os
from pathlib import Path

import pytest
from abstract_kit import entity

from lies.abstract import AeParameters
from lies.events import (
    Indication,
    Link,
    LinkGoingDown,
    LinkStatusChanged,
    LinkUp,
    Technology,
)
from lies.trace import Trace, open_trace

pytestmark = pytest.mark.traces


def traces(pattern: str) -> list[Path]:
    """The traces of one source; skips where none are."""
    if "LIES_TRACES" not in os.environ:
        pytest.skip("LIES_TRACES names no folder with recorded traces")
    found = sorted(Path(os.environ["LIES_TRACES"], "dev").glob(pattern))
    if not found:
        pytest.skip(f"{os.environ['LIES_TRACES']} holds no {pattern}")
    return found


def said_on(trace: Trace, parameters: AeParameters | None = None) -> list[Indication]:
    """Everything the entity says about a trace."""
    ae = entity(Link("trace0", trace.technology), parameters)
    return [i for _, item in trace.items() for i in ae.feed(item)]


def test_recorded_wifi_breaks_are_announced_more_often_than_by_chance() -> None:
    """Of the claims on recorded laps past access points more than a quarter come true within 5 s."""
    true = total = 0
    for path in traces("feupwifi_*.csv.gz"):
        trace = open_trace(path)
        assert trace.technology is Technology.WIFI
        said = said_on(trace)
        # A row without a PoA that is followed by no row with one for 2 s is where the link broke.
        downs = [
            i.header.mono_ns / 1e9 for i in said if type(i).__name__ == "LinkDown"
        ]  # two seconds after the first silent row
        for claim in (i for i in said if isinstance(i, LinkGoingDown)):
            total += 1
            t_s = claim.header.mono_ns / 1e9
            true += any(0.0 <= t - 2.0 - t_s <= 5.0 for t in downs)
    assert total >= 30
    assert true / total > 0.25


@pytest.mark.parametrize("pattern", ["feupwifi_*.csv.gz", "ucc5g_car_ama_20191203_*.csv.gz"])
def test_every_level_and_every_attachment_shows_on_recorded_radio(pattern: str) -> None:
    """Drives show several levels, every change of PoA as LinkUp, and a new level at most every 2 s."""
    levels, ups, poas, changes, seconds = set(), 0, 0, 0, 0.0
    for path in traces(pattern):
        trace = open_trace(path)
        serving = [row.poa for row in trace.rows if row.poa is not None]
        poas += 1 + sum(a != b for a, b in itertools.pairwise(serving))
        said = said_on(trace)
        ups += sum(isinstance(i, LinkUp) for i in said)
        new = [i.condition.quality for i in said if isinstance(i, LinkStatusChanged)]
        levels.update(new)
        changes += len(new)
        seconds += trace.duration_s
    assert ups >= poas
    assert len(levels) >= 4
    assert changes / seconds < 0.5


def test_other_thresholds_give_other_indications() -> None:
    """The indications come from the entity's parameters, not from the trace."""
    path = traces("feupwifi_*.csv.gz")[0]
    usual = said_on(open_trace(path))
    parameters = AeParameters()
    wifi = type(parameters.wifi)(excellent_db=44.0, good_db=37.0, fair_db=32.0, bad_db=25.0)
    strict = said_on(open_trace(path), AeParameters(wifi=wifi))
    assert strict != usual
    assert said_on(open_trace(path)) == usual
