"""Handovers through ip6tnl devices, with everything signed: what went over the wire between the routers."""

from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv6Address

import pytest

from radio.access_network import CORRESPONDENT
from radio.experiments.protected import MOVES
from radio.figures import Figures
from radio.pcap import ESP, HACK, HI, Packet, packets
from radio.pings import Pings
from radio.results import Results

pytestmark = pytest.mark.radio
ROUTERS = (IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:2::1"))


@pytest.fixture
def protected(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.protected."""
    return found["protected"]


@pytest.fixture
def wire(protected: Results) -> list[Packet]:
    """What the first router's wire carried."""
    return list(packets(protected.folder / "ap1.pcap"))


def test_hi_and_hack_go_in_esp_only(protected: Results, wire: list[Packet], figures: Figures) -> None:
    """Without `insecure` a handover is predictive: HI and HAck went as ESP each way, never in the clear."""
    reports = [e for e in protected.events("heard") if e["type"] == "handover_done"]
    assert [r["mode"] for r in reports] == ["predictive"] * (MOVES - 1)  # the last one's tunnel still stands
    between = Counter((p.source, p.destination) for p in wire if p.protocol == ESP)
    assert set(between) == {ROUTERS, ROUTERS[::-1]}
    assert min(between.values()) >= MOVES
    assert not [p for p in wire if p.mobility in {HI, HACK}]
    assert all("insecure = false" in protected.lines(f"lies-{name}.toml") for name in ("ap1", "ap2", "sta"))
    told = ", ".join(f"{count} from {source}" for (source, _), count in sorted(between.items()))
    figures.add(
        f"{MOVES} handovers under ESP: packets with next header 50", told, "no HI or HAck in the clear"
    )


def test_ip6tnl_carries_the_packets(protected: Results, wire: list[Packet], figures: Figures) -> None:
    """While the station is at the other router, the device's tunnel to and from NCoA carries all echoes."""
    (to_ncoa,) = [e for e in protected.events("heard") if e["type"] == "care_of_address_changed"][1:2]
    pcoa, ncoa = IPv6Address(to_ncoa["previous"]), IPv6Address(to_ncoa["coa"])
    ways = Counter(
        (p.source, p.destination, i.source, i.destination) for p in wire if (i := p.inner) is not None
    )
    down = ways[ROUTERS[0], ncoa, CORRESPONDENT, pcoa]
    up = ways[ncoa, ROUTERS[0], pcoa, CORRESPONDENT]
    pings = Pings.read(protected.lines("pings"))
    left, back = (m["mono_ns"] for m in protected.marks("moved"))
    there = [n for n, t_ns in pings.sent_ns.items() if left <= t_ns < back - 1_000_000_000]
    figures.add(
        "one handover by ip6tnl: packets tunnelled down and up", f"{down} and {up}", f"{len(there)} or more"
    )
    assert min(down, up) >= len(there) > 50
    assert [line for line in protected.lines("links-ap1.txt") if "ip6tnl external" in line]


def test_at_most_one_echo_is_lost_by_a_protected_handover(protected: Results, figures: Figures) -> None:
    """An echo every 10 ms: a handover by ip6tnl and under ESP costs one at most, there and back."""
    pings = Pings.read(protected.lines("pings"))
    began = [m["mono_ns"] for m in protected.marks("fades")]
    ends = [*began[1:], protected.marks("moved")[-1]["mono_ns"] + 500_000_000]
    lost = [len(pings.lost(*span)) for span in zip(began, ends, strict=True)]
    figures.add(
        f"{MOVES} handovers by ip6tnl, under ESP: echoes lost", " ".join(map(str, lost)), "0 or 1 each"
    )
    assert len(lost) == MOVES
    assert max(lost) <= 1
