"""Handovers through ip6tnl devices, everything signed, by IKE's associations: what went over the wire."""

import re
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv6Address

import pytest

from radio.access_network import CORRESPONDENT
from radio.experiments.handovers import MOVES as WIFI_MOVES
from radio.experiments.protected import MOVES
from radio.figures import Figures
from radio.ike import results
from radio.pcap import ESP, HACK, HI, Packet, packets
from radio.pings import Pings
from radio.results import Results

pytestmark = pytest.mark.radio
ROUTERS = (IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:2::1"))
NAMES = {"ap1": ROUTERS[0], "ap2": ROUTERS[1]}


@pytest.fixture
def protected(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.protected."""
    return found["protected"]


@pytest.fixture
def wire(protected: Results) -> list[Packet]:
    """What the first router's wire carried."""
    return list(packets(protected.folder / "ap1.pcap"))


def listed(protected: Results, when: str, router: str) -> dict[str, dict[bytes, int]]:
    """What `swanctl --list-sas` said of a router: of each way the SPIs, and the packets of each."""
    return {
        way: {one.spi: one.packets for one in results(protected.folder, f"{when}-{router}") if one.way == way}
        for way in ("in", "out")
    }


def entries(found: Results, name: str) -> list[str]:
    """Each association or policy that iproute2 has printed."""
    return "\n".join(["", *found.lines(name)]).split("\nsrc ")[1:]


def test_hi_and_hack_go_in_esp_only(protected: Results, wire: list[Packet], figures: Figures) -> None:
    """Without `insecure` handovers are predictive: HI and HAck went as ESP each way, never in the clear."""
    (began, *_) = protected.marks("fades")
    reports = [e for e in protected.events("heard") if e["type"] == "handover_done"]
    modes = [r["mode"] for r in reports if r["mono_ns"] > began["mono_ns"]]
    assert modes == ["predictive"] * (MOVES - 1)  # the last one's tunnel still stands
    between = Counter((p.source, p.destination) for p in wire if p.protocol == ESP)
    assert set(between) == {ROUTERS, ROUTERS[::-1]}
    assert min(between.values()) >= MOVES
    assert not [p for p in wire if p.mobility in {HI, HACK}]
    assert all("insecure = false" in protected.lines(f"lies-{name}.toml") for name in ("ap1", "ap2", "sta"))
    counts = ", ".join(f"{count} from {source}" for (source, _), count in sorted(between.items()))
    figures.add(
        f"{MOVES} handovers by IKE's ESP: packets with next header 50", counts, "no HI or HAck in the clear"
    )


def test_the_associations_are_the_ike_daemons(protected: Results, wire: list[Packet]) -> None:
    """What went over the wire had SPIs of strongSwan's list, and as many packets as are counted there."""
    seen = {
        name: Counter(p.payload[:4] for p in wire if p.protocol == ESP and p.source == source)
        for name, source in NAMES.items()
    }
    for router, peer in (("ap1", "ap2"), ("ap2", "ap1")):
        out = {spi: count for spi, count in listed(protected, "used", router)["out"].items() if count}
        assert seen[router] == out
        assert {spi: listed(protected, "used", peer)["in"][spi] for spi in out} == out
        assert set(out) <= set(listed(protected, "rekeyed", router)["out"])
        # those of before the crash, and of before they were renewed, were not used
        older = (listed(protected, when, router)["out"] for when in ("agreed", "restarted"))
        assert not set(out) & {spi for found in older for spi in found}


def test_the_ike_daemons_authenticate_each_other_by_the_shared_secret(protected: Results) -> None:
    """IKEv2 with a pre-shared key, each router by its address (RFC 5568 section 10)."""
    for router, peer in (("ap1", ROUTERS[1]), ("ap2", ROUTERS[0])):
        said = "\n".join(protected.lines(f"charon-{router}.log"))
        assert f"authentication of '{peer}' with pre-shared key successful" in said
        shown = "\n".join(protected.lines(f"used-{router}.sas"))
        assert "ESTABLISHED, IKEv2" in shown
        assert "INSTALLED, TRANSPORT" in shown


def test_without_an_ike_daemon_there_is_no_fast_handover(protected: Results) -> None:
    """No HI leaves, the log says why, and the station moves all the same, without."""
    why = f"not sent to {ROUTERS[1]}: no policy of an IKE daemon says how, or a packet filter forbids it"
    assert [line for line in protected.lines("lies-ap1.log") if why in line]
    (moved,) = protected.marks("moved in vain")
    (later, *_) = protected.marks("fades")
    heard = [e for e in protected.events("heard") if e["mono_ns"] < later["mono_ns"]]
    assert [e["poa"] for e in heard if e["type"] == "link_up"] == [moved["to"]]
    assert [e["mode"] for e in heard if e["type"] == "handover_done"] == ["none"]


def test_the_barrier_outlives_the_ike_daemon(protected: Results) -> None:
    """The IKE daemon has policies beside ours while it runs, and takes only its own along when it ends."""
    for router in NAMES:
        during, after = (entries(protected, f"{when}-{router}.xfrm") for when in ("used", "ended"))
        assert len([p for p in during if "dir " in p and "proto esp" in p]) == 2
        for found in (during, after):
            assert len([p for p in found if "dir " in p and "action block" in p]) == 2
        assert not [p for p in after if "dir " in p and "action block" not in p]


def test_a_shared_key_makes_associations_too(found: Mapping[str, Results]) -> None:
    """With `esp_key` instead of IKE: the kernel has counted an HI or a HAck each way in every handover."""
    for name in ("ap1", "ap2"):
        states = entries(found["handovers"], f"esp-{name}.txt")
        assert len(states) == 2
        assert all("auth-trunc hmac(sha256)" in one for one in states)
        for one in states:
            counted = re.search(r"current:\n\s+\d+\(bytes\), (\d+)\(packets\)", one)
            assert counted is not None
            assert int(counted[1]) >= WIFI_MOVES


def test_ip6tnl_carries_the_packets(protected: Results, wire: list[Packet], figures: Figures) -> None:
    """While the station is at the other router, the device's tunnel to and from NCoA carries all echoes."""
    (to_ncoa,) = [e for e in protected.events("heard") if e["type"] == "care_of_address_changed"][2:3]
    pcoa, ncoa = IPv6Address(to_ncoa["previous"]), IPv6Address(to_ncoa["coa"])
    ways = Counter(
        (p.source, p.destination, i.source, i.destination) for p in wire if (i := p.inner) is not None
    )
    down = ways[ROUTERS[1], ncoa, CORRESPONDENT, pcoa]
    up = ways[ncoa, ROUTERS[1], pcoa, CORRESPONDENT]
    pings = Pings.read(protected.lines("pings"))
    left, back = (m["mono_ns"] for m in protected.marks("moved"))
    there = [n for n, t_ns in pings.sent_ns.items() if left <= t_ns < back - 1_000_000_000]
    figures.add(
        "one handover by ip6tnl: packets tunnelled down and up", f"{down} and {up}", f"{len(there)} or more"
    )
    assert min(down, up) >= len(there) > 50
    assert [line for line in protected.lines("links-ap2.txt") if "ip6tnl external" in line]


def test_at_most_one_echo_is_lost_by_a_protected_handover(protected: Results, figures: Figures) -> None:
    """An echo every 10 ms: a handover by ip6tnl and under ESP costs one at most, there and back."""
    pings = Pings.read(protected.lines("pings"))
    began = [m["mono_ns"] for m in protected.marks("fades")]
    ends = [*began[1:], protected.marks("moved")[-1]["mono_ns"] + 500_000_000]
    lost = [len(pings.lost(*span)) for span in zip(began, ends, strict=True)]
    figures.add(
        f"{MOVES} handovers by ip6tnl, by IKE's ESP: echoes lost", " ".join(map(str, lost)), "0 or 1 each"
    )
    assert len(lost) == MOVES
    assert max(lost) <= 1
