"""The floor of FBU to FBack: a bare message by two relays and back, and when it is sent."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from netns_kit import ip, namespace

from lies.runtime import now_s
from lies.testbed.floor import probe_at_s
from lies.testbed.handovers import shuttle_s
from lies.testbed.node import spawn, stop_all
from lies.testbed.relay import Prober, relay

NODE, PAR, NAR = (IPv6Address(f"2001:db8::{n}") for n in (9, 1, 2))


@pytest.mark.parametrize("gap_ms", [0, 1, 2, 50, 300, 2000])
def test_it_is_sent_when_nothing_waits(gap_ms: float) -> None:
    """Behind what waited for the last handover, which takes four times the gap, and well before the next."""
    every_s = shuttle_s(gap_ms)
    at_s = probe_at_s(every_s)
    assert 5 * gap_ms / 1000 < at_s < every_s - 0.15
    assert at_s >= every_s / 2


@pytest.fixture
def descriptor() -> Iterator[int]:
    """A namespace whose loopback has the addresses of a node and two routers."""
    with namespace() as found:
        for address in (NODE, PAR, NAR):
            ip("-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad")
        yield found


@pytest.mark.netns
def test_a_message_goes_by_both_relays_and_back(descriptor: int, tmp_path: Path) -> None:
    """It comes back while both relay, and not if one of them does not."""
    par = spawn("par", descriptor, partial(relay, PAR))
    nar = spawn("nar", descriptor, partial(relay, NAR))
    told = tmp_path / "told.json"

    def probe(ready: Callable[[], None]) -> int:
        ready()
        prober = Prober(timeout_s=5)
        took = [prober.round_trip_ns(NODE, PAR, NAR) for _ in range(3)]
        absent = IPv6Address("2001:db8::3")
        told.write_text(json.dumps([took, Prober(timeout_s=0.05).round_trip_ns(NODE, PAR, absent)]), "ascii")
        return 0

    try:
        for node in (par, nar):
            node.wait_ready(now_s() + 20)
        spawn("mn", descriptor, probe).finish(now_s() + 20)
    finally:
        stop_all([par, nar])
    took, lost = json.loads(told.read_text("ascii"))
    assert len(took) == 3
    assert all(ns > 0 for ns in took)
    assert lost is None
