"""Reports of upper layers: standing ones wait for late joiners, past ones do not."""

import pytest

from lies.bus import BusCore
from lies.bus.core import Event, Session
from lies.events import CareOfAddressChanged, HandoverDone, Header, Link, ReportRequest, Technology


class Ear:
    """A sink that keeps what is delivered."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def deliver(self, _registration: object, _sequence: int, event: Event) -> None:
        """Keep the message."""
        self.events.append(event.message)

    def confirm(self, _confirm: object) -> None:
        """Confirms are not looked at here."""

    def snapshot(self, _snapshot: object) -> None:
        """Snapshots are not looked at here."""

    def gap(self, _gap: object) -> None:
        """Gaps are not looked at here."""


def _header(publisher: str) -> Header:
    return Header(publisher, 1, 1, 10, 20, Link("wlan0", Technology.WIFI))


def _care_of(coa: str) -> CareOfAddressChanged:
    return CareOfAddressChanged(_header("fmipv6"), coa, None, "fe80::1", None)


@pytest.fixture
def core() -> BusCore:
    """A bus."""
    return BusCore(epoch=1)


def _session(core: BusCore, name: str) -> tuple[Session, Ear]:
    ear = Ear()
    return core.open_session(name, "ipv6", 0, ear), ear


def test_a_late_joiner_gets_the_last_standing_report(core: BusCore) -> None:
    """Who registers after a care-of address was reported gets that report, the newest only."""
    reporter, _ = _session(core, "fmipv6")
    core.report(reporter, _care_of("2001:db8::1"))
    core.report(reporter, _care_of("2001:db8::2"))
    late, ear = _session(core, "mipv6")
    core.request(late, ReportRequest(1, "*"))
    assert ear.events == [_care_of("2001:db8::2")]


def test_a_handover_that_is_over_is_not_told_again(core: BusCore) -> None:
    """HandoverDone says what was, so a late joiner does not get it."""
    reporter, _ = _session(core, "fmipv6")
    done = HandoverDone(_header("fmipv6"), "predictive", "a", "b", None, None, *[None] * 6)
    core.report(reporter, done)
    late, ear = _session(core, "mipv6")
    core.request(late, ReportRequest(1, "*"))
    assert ear.events == []


def test_reports_end_with_their_consumer(core: BusCore) -> None:
    """What a consumer reported does not stand once it has gone."""
    reporter, _ = _session(core, "fmipv6")
    core.report(reporter, _care_of("2001:db8::1"))
    core.close_session(reporter)
    late, ear = _session(core, "mipv6")
    core.request(late, ReportRequest(1, "*"))
    assert ear.events == []
