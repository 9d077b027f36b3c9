"""Whole drives over real namespaces: what the table says, and what somebody else's capture says."""

import re
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from attrs import define
from capture import tshark_fields
from drives import Capture, Onlooker, drive, inside, state_of
from tools import need

from lies.events import HandoverDone, LinkGoingDown, LinkStatusChanged, RawSample
from lies.testbed import topology as t
from lies.testbed.drive import Drive
from lies.testbed.measure import Direction
from lies.testbed.result import DriveResult

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_ROUTERS = ("ar1", "ar2", "ar3")


@define
class Seen:
    """One captured drive: its result, and what was found in the testbed before it was torn down."""

    result: DriveResult
    onlooker: Onlooker
    states: dict[str, dict[str, list[str]]]
    mobile_addresses: str
    captures: dict[str, Path]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """A predictive drive past three routers, captured at four places."""
    folder = tmp_path_factory.mktemp("drive")
    places = {
        "radio": ("mn", "wlan0"),
        "backbone": ("core", "bb"),
        "cn": ("cn", "eth0"),
        "inner": ("mn", "lies-d1"),
    }
    captures = {name: Capture(*place, folder / f"{name}.pcap") for name, place in places.items()}
    states: dict[str, dict[str, list[str]]] = {}
    addresses: list[str] = []

    def built(drive_: Drive) -> None:
        for capture in captures.values():
            capture.start(drive_)

    def settled(drive_: Drive) -> None:
        for capture in captures.values():
            capture.stop()
        for name in (*_ROUTERS, "mn", "ha"):
            states[name] = state_of(drive_, name)
        addresses.append(inside(drive_, "mn", "ip", "-6", "-o", "addr", "show", "dev", t.MOBILE_LINK))

    onlooker = Onlooker()
    try:
        result = drive(on_built=built, on_settled=settled, onlooker=onlooker)
    finally:
        for capture in captures.values():
            capture.stop()
    paths = {name: capture.path for name, capture in captures.items()}
    return Seen(result, onlooker, states, addresses[0], paths)


def test_a_predictive_drive_loses_and_doubles_no_packet(seen: Seen) -> None:
    """Two moves, both predictive; every packet of both directions arrives once."""
    assert [r.mode for r in seen.result.reports if r is not None] == ["predictive", "predictive"]
    assert seen.result.packets_sent > 1000
    assert seen.result.packets_lost == 0
    assert sum(d.duplicated for d in seen.result.directions) == 0


def test_the_car_waits_for_the_traffic(seen: Seen) -> None:
    """It stands, with its link up, until packets are sent both ways, however long that takes."""
    samples = [e for e in seen.onlooker.events if isinstance(e, RawSample)]
    driven = next(e.header.wall_ns for e in samples if e.sample.speed_mps)
    assert driven > max(direction.sent_ns[0] for direction in seen.result.directions)


def test_the_l2_gap_is_at_least_what_was_asked_for(seen: Seen) -> None:
    """--l2-gap-ms is a minimum (2 ms by default), and the total gap holds it."""
    for verdict in seen.result.verdicts:
        assert verdict.l2_gap_ms >= 2.0
        assert verdict.total_gap_ms is not None
        assert verdict.l3_gap_ms == pytest.approx(verdict.total_gap_ms - verdict.l2_gap_ms)


def test_no_tunnel_or_proxy_entry_of_an_earlier_handover_is_left(seen: Seen) -> None:
    """After the grace the routers have neither tunnel nor proxy entry nor a rule that lets one in."""
    for name in _ROUTERS:
        state = seen.states[name]
        assert state["tunnels"] == []
        assert state["proxies"] == []
        assert not [r for r in state["rules"] if "lookup 51840" in r or " goto " in r]


def test_the_mobile_node_ends_with_one_care_of_address(seen: Seen) -> None:
    """At the end the last router's address is the only one left, and one tunnel to the home agent."""
    found = set(re.findall(r"inet6 (2001:[0-9a-f:]+)/", seen.mobile_addresses))
    assert len(found) == 1
    assert IPv6Address(found.pop()) in t.Router(3).prefix
    ways = seen.states["mn"]["tunnels"]  # straight, and out of the hold of a change
    assert {re.search(r"segs 1 \[ (\S+) \]", way)[1] for way in ways} == {str(t.HOME_AGENT)}  # type: ignore[index]  # it is a tunnel
    assert len([r for r in seen.states["mn"]["rules"] if "lookup 51840" in r]) == 1
    assert len(seen.states["ha"]["tunnels"]) == 1


def test_the_correspondent_still_talks_to_the_home_address_at_the_end(seen: Seen) -> None:
    """The last packet that was sent in each direction arrived."""
    for direction in seen.result.directions:
        assert len(direction.sent_ns) - 1 in {number for number, _, _ in direction.received}


@pytest.mark.tshark
def test_the_table_counts_what_a_capture_counts(seen: Seen) -> None:
    """An independent capture finds the same packets sent and received, by number, in both directions."""
    down, up = seen.result.directions
    cn = _numbers(seen.captures["cn"])
    inner = _numbers(seen.captures["inner"])
    assert {n for n, _ in cn[str(t.CORRESPONDENT)]} == set(range(len(down.sent_ns)))
    assert {n for n, _ in inner[str(t.CORRESPONDENT)]} == {n for n, _, _ in down.received}
    assert {n for n, _ in cn[str(t.HOME_ADDRESS)]} == {n for n, _, _ in up.received}


@pytest.mark.tshark
def test_the_table_measures_what_a_capture_measures(seen: Seen) -> None:
    """The downlink gap by the capture's own timestamps is that of the end point's, to a millisecond."""
    down = seen.result.directions[0]
    sent = dict(enumerate(down.sent_ns))
    captured = [
        (number, sent[number], stamp)
        for number, stamp in _numbers(seen.captures["inner"])[str(t.CORRESPONDENT)]
    ]
    judged = Direction("capture", down.sent_ns, captured, down.interval_ns, at_radio=True)
    for verdict in seen.result.verdicts:
        ours = down.gap_ns(verdict.move.out_ns, verdict.move.in_ns)
        theirs = judged.gap_ns(verdict.move.out_ns, verdict.move.in_ns)
        assert ours is not None
        assert theirs == pytest.approx(ours, abs=1e6)


@pytest.mark.tshark
@pytest.mark.parametrize("place", ["radio", "backbone"])
def test_tshark_decodes_every_control_packet(seen: Seen, place: str) -> None:
    """No control packet of the drive is malformed or carries an expert error."""
    wanted = "(mipv6 or icmpv6) and (_ws.malformed or _ws.expert.severity == error)"
    complaints = tshark_fields(
        need("tshark"), seen.captures[place], ["frame.number", "_ws.expert.message"], display_filter=wanted
    )
    assert complaints == []


@pytest.mark.tshark
def test_the_capture_holds_every_message_of_the_predictive_path(seen: Seen) -> None:
    """RtSolPr, PrRtAdv, FBU, FBack, BU, BA and UNA on the radio; HI and HAck on the backbone."""
    tshark = need("tshark")
    for place, kinds in (("radio", {5, 6, 8, 9}), ("backbone", {14, 15})):
        rows = tshark_fields(tshark, seen.captures[place], ["mip6.mhtype"], display_filter="mipv6")
        found = {int(kind) for row in rows for kind in row["mip6.mhtype"]}
        assert kinds <= found
    rows = tshark_fields(
        tshark,
        seen.captures["radio"],
        ["icmpv6.type"],
        display_filter="icmpv6.type == 154 or icmpv6.type == 136",
    )
    assert {"154", "136"} <= {kind for row in rows for kind in row["icmpv6.type"]}


def test_the_order_of_the_predictive_path(seen: Seen) -> None:
    """FBU, FBack, LinkConnect, LinkDown, LinkUp, UNA: each before the next (RFC 5184 appendix B.1)."""
    reports = [e for e in seen.onlooker.events if isinstance(e, HandoverDone) and e.from_poa is not None]
    assert len(reports) == 2
    for report in reports:
        steps = [
            report.fbu_ns,
            report.fback_ns,
            report.connect_ns,
            report.link_down_ns,
            report.link_up_ns,
            report.una_ns,
        ]
        assert None not in steps
        assert steps == sorted(steps, key=lambda ns: ns or 0)


_DULL = {  # an abstract entity for which every signal is excellent and no link ever goes down
    "wifi": {
        "excellent_db": -200.0,
        "good_db": -210.0,
        "fair_db": -220.0,
        "bad_db": -230.0,
        "break_db": -230.0,
    }
}


def test_without_predictions_no_handover_is_predictive() -> None:
    """With LinkGoingDown and LinkStatusChanged taken away the car still moves on, but only reactively."""
    onlooker = Onlooker()
    result = drive(abstract=_DULL, onlooker=onlooker)
    up = [e for e in onlooker.events if isinstance(e, LinkGoingDown)]
    worse = [
        e
        for e in onlooker.events
        if isinstance(e, LinkStatusChanged) and e.condition.quality < e.previous.quality
    ]
    assert up == []
    assert worse == []
    modes = [r.mode for r in result.reports if r is not None]
    assert "predictive" not in modes
    assert modes
    assert result.packets_lost > 0


@pytest.mark.parametrize(("grace_s", "loses"), [(0.0, True), (2.0, False)])
def test_without_a_grace_packets_die_between_bu_and_ba(grace_s: float, loses: bool) -> None:
    """20 ms of backbone: at grace 0 (strict RFC 6275 10.4.5) packets are lost, at 2 s none is."""
    result = drive(routers=2, backbone_ms=20.0, grace_s=grace_s)
    assert [r.mode for r in result.reports if r is not None] == ["predictive"]
    assert (result.packets_lost > 0) is loses


def test_a_reactive_drive_still_ends_connected() -> None:
    """In mode reactive the link breaks first; the node finds its way and the last packets arrive."""
    result = drive(mode="reactive")
    assert [r.mode for r in result.reports if r is not None] == ["reactive", "reactive"]
    assert result.packets_lost > 0
    for direction in result.directions:
        assert len(direction.sent_ns) - 1 in {number for number, _, _ in direction.received}


def _numbers(path: Path) -> dict[str, list[tuple[int, int]]]:
    """By inner source address: (number, time in ns) of every UDP packet of the flow in a capture."""
    rows = tshark_fields(
        need("tshark"),
        path,
        ["ipv6.src", "frame.time_epoch", "udp.payload"],
        display_filter="udp.port == 5001",
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        number = int(row["udp.payload"][0][:16], 16)
        if number >= 1 << 63:  # a probe
            continue
        seconds, _, rest = row["frame.time_epoch"][0].partition(".")
        stamp = int(seconds) * 1_000_000_000 + int(rest.ljust(9, "0")[:9])
        found.setdefault(row["ipv6.src"][-1], []).append((number, stamp))
    return found
