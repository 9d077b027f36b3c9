"""Handovers through ip6tnl devices, with everything signed: what went over the wire between the routers."""

from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv6Address

import pytest

from radio.access_network import CORRESPONDENT
from radio.experiments.protected import MOVES
from radio.figures import Figures
from radio.ike import Association, results
from radio.pcap import ESP, HACK, HI, Packet, packets
from radio.pings import Pings
from radio.results import Results

pytestmark = pytest.mark.radio
PROTECTED = [how for how in MOVES if how != "no IKE daemon"]
ROUTERS = (IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:2::1"))


@pytest.fixture
def protected(found: Mapping[str, Results]) -> Results:
    """The results of radio.experiments.protected."""
    return found["protected"]


@pytest.fixture
def wire(protected: Results) -> list[Packet]:
    """What the first router's wire carried."""
    return list(packets(protected.folder / "ap1.pcap"))


def told(protected: Results, name: str) -> dict[str, list[Association]]:
    """What `swanctl --list-sas` said of each router at a time."""
    return {router: results(protected.folder, f"{name}-{router}") for router in ("ap1", "ap2")}


def spis(listed: Mapping[str, list[Association]]) -> set[bytes]:
    """Those of both routers."""
    return {one.spi for there in listed.values() for one in there}


def test_hi_and_hack_go_in_esp_only(protected: Results, wire: list[Packet], figures: Figures) -> None:
    """Without `insecure` HI and HAck went as ESP each way, with a key and with IKE, never in the clear."""
    between = Counter((p.source, p.destination) for p in wire if p.protocol == ESP)
    assert set(between) == {ROUTERS, ROUTERS[::-1]}
    assert not [p for p in wire if p.mobility in {HI, HACK}]
    names = ("lies-ap1", "lies-ap2", "lies-ap1-ike", "lies-ap2-ike", "lies-sta")
    assert all("insecure = false" in protected.lines(f"{name}.toml") for name in names)
    of_ike = (
        spis(told(protected, "agreed"))
        | spis(told(protected, "rekeyed"))
        | spis(told(protected, "restarted"))
    )
    of_key = {(p.source, p.payload[:4]) for p in wire if p.protocol == ESP and p.payload[:4] not in of_ike}
    assert len(of_key) == 2
    assert {source for source, _ in of_key} == set(ROUTERS)
    counts = ", ".join(f"{count} from {source}" for (source, _), count in sorted(between.items()))
    figures.add("3 handovers under ESP: packets with next header 50", counts, "no HI or HAck in the clear")


@pytest.mark.parametrize("when", ["rekeyed", "restarted"])
def test_the_associations_are_the_ike_daemons(protected: Results, wire: list[Packet], when: str) -> None:
    """What went over the wire had the SPIs of strongSwan's list, and as many packets as are counted there."""
    listed = told(protected, when)
    seen = Counter((p.source, p.payload[:4]) for p in wire if p.protocol == ESP)
    carried = 0
    for router, peer, source in (("ap1", "ap2", ROUTERS[0]), ("ap2", "ap1", ROUTERS[1])):
        out = {one.spi: one.packets for one in listed[router] if one.way == "out"}
        assert set(out) <= {one.spi for one in listed[peer] if one.way == "in"}
        assert [seen[source, spi] for spi in out] == list(out.values())
        assert sum(out.values()) >= 1
        carried += sum(out.values())
    assert carried >= 2
    # the first ones were renewed before a handover, and those that the crash left behind were not used again
    older = {"rekeyed": "agreed", "restarted": "rekeyed"}[when]
    assert not spis(listed) & spis(told(protected, older))
    assert not [spi for spi in spis(told(protected, "agreed")) for source in ROUTERS if seen[source, spi]]


def test_the_ike_daemons_authenticate_each_other_by_the_shared_secret(protected: Results) -> None:
    """IKEv2 with a pre-shared key, each of the two addresses by its own identity (RFC 5568 section 10)."""
    for router, peer in (("ap1", ROUTERS[1]), ("ap2", ROUTERS[0])):
        said = "\n".join(protected.lines(f"charon-{router}.log"))
        assert f"authentication of '{peer}' with pre-shared key successful" in said
        listed = "\n".join(protected.lines(f"rekeyed-{router}.sas"))
        assert "ESTABLISHED, IKEv2" in listed
        assert "INSTALLED, TRANSPORT" in listed


def test_without_an_ike_daemon_there_is_no_fast_handover(protected: Results) -> None:
    """No HI leaves, the log says why, and the station is at the other router all the same."""
    lines = [line.partition("not sent to ")[2] for line in protected.lines("lies-ap2-ike.log")]
    (said,) = set(lines) - {""}
    assert said == f"{ROUTERS[0]}: no policy of an IKE daemon says how, or a packet filter forbids it"
    modes = [e["mode"] for e in protected.events("heard") if e["type"] == "handover_done"]
    assert modes == []


def test_the_barrier_outlives_the_ike_daemon(protected: Results) -> None:
    """The IKE daemon has policies beside ours while it runs, and takes only its own along when it ends."""
    for router in ("ap1", "ap2"):
        during = "\n".join(protected.lines(f"rekeyed-{router}.xfrm"))
        after = "\n".join(protected.lines(f"ended-{router}.xfrm"))
        assert during.count("proto mobility-header") > after.count("proto mobility-header") == 2
        assert during.count("action block") == after.count("action block") == 2
        assert "proto esp" not in after


def test_ip6tnl_carries_the_packets(protected: Results, wire: list[Packet], figures: Figures) -> None:
    """While the station is at the other router, the device's tunnel to and from NCoA carries all echoes."""
    (to_ncoa,) = [e for e in protected.events("heard") if e["type"] == "care_of_address_changed"][3:4]
    pcoa, ncoa = IPv6Address(to_ncoa["previous"]), IPv6Address(to_ncoa["coa"])
    ways = Counter(
        (p.source, p.destination, i.source, i.destination) for p in wire if (i := p.inner) is not None
    )
    down = ways[ROUTERS[0], ncoa, CORRESPONDENT, pcoa]
    up = ways[ncoa, ROUTERS[0], pcoa, CORRESPONDENT]
    pings = Pings.read(protected.lines("pings"))
    left, back = (m["mono_ns"] for m in protected.marks("moved")[2:])
    there = [n for n, t_ns in pings.sent_ns.items() if left <= t_ns < back - 1_000_000_000]
    figures.add(
        "one handover by ip6tnl: packets tunnelled down and up", f"{down} and {up}", f"{len(there)} or more"
    )
    assert min(down, up) >= len(there) > 50
    assert [line for line in protected.lines("links-ap1.txt") if "ip6tnl external" in line]


def test_at_most_one_echo_is_lost_by_a_protected_handover(protected: Results, figures: Figures) -> None:
    """An echo every 10 ms: a handover by ip6tnl and under ESP costs one at most, there and back."""
    pings = Pings.read(protected.lines("pings"))
    spans = [
        (fade["mono_ns"], moved["mono_ns"] + 500_000_000)
        for fade, moved in zip(protected.marks("fades"), protected.marks("moved"), strict=True)
    ]
    lost = {how: len(pings.lost(*span)) for how, span in zip(MOVES, spans, strict=True)}
    for how in PROTECTED:
        figures.add(f"a handover by ip6tnl, under ESP ({how}): echoes lost", str(lost[how]), "0 or 1")
    assert max(lost[how] for how in PROTECTED) <= 1
