"""What is known of a PoA beside its name, and why a link went down: from the driver to the command line."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from abstract_kit import WIFI, down, entity, heard, ns, run, up
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from wifi_kit import NAME, A, B, World, bss_of, told

from lies.abstract import AbstractEntity, AeParameters
from lies.bus.messages import LinkState
from lies.cli._events import Lines, TimeStyle, shown
from lies.cli._links import print_links
from lies.errors import MalformedMessage
from lies.events import (
    Attached,
    Condition,
    Detached,
    DownReason,
    Header,
    LinkDown,
    LinkUp,
    Neighbour,
    PoACondition,
    PoAFound,
    PoALost,
    Quality,
    RawAttached,
    RawDetached,
    RawSample,
    RawState,
    Sample,
)
from lies.trace import read_recording
from lies_nl80211.attributes import u32
from lies_nl80211.elements import ssid_text
from lies_nl80211.uapi import Attr, Cmd

CAPTURES = Path(__file__).parent.parent / "captures"
HOME = Neighbour("ap1", snr_db=30.0, network="home", frequency_mhz=2412.0)
AT_HOME = Attached(ns(1.0), "ap1", network="home", frequency_mhz=2412.0)
SAME = Header("", 0, 0, 0, 0, WIFI)
GOOD = Condition(Quality.GOOD, 54.0)


def scan(t_s: float, *found: Neighbour) -> Sample:
    """A scan and nothing else."""
    return Sample(ns(t_s), neighbours=found)


def listed(ae: AbstractEntity) -> dict[str, tuple[str | None, float | None]]:
    """(network, frequency) of every PoA of the list."""
    return {p.poa: (p.network, p.frequency_mhz) for p in ae.status.poas}


def test_scan_tells_networks() -> None:
    """Network and frequency of a scan's PoAs are in PoAFound, PoALost and the list."""
    ae = entity()
    (found,) = run(
        ae,
        [
            scan(
                1.0,
                HOME,
                Neighbour("ap2", snr_db=30.0),
            )
        ],
    )
    assert isinstance(found, PoAFound)
    assert [(p.poa, p.network, p.frequency_mhz) for p in found.poas] == [
        ("ap1", "home", 2412.0),
        ("ap2", None, None),
    ]
    run(ae, [scan(2.0, Neighbour("ap1", snr_db=30.0), Neighbour("ap2", network="cafe"))])
    assert listed(ae) == {"ap1": ("home", 2412.0), "ap2": ("cafe", None)}
    (lost,) = run(ae, [scan(60.0)])
    assert isinstance(lost, PoALost)
    assert {p.poa: p.network for p in lost.poas} == {"ap1": "home", "ap2": "cafe"}


def test_link_up_tells_the_network() -> None:
    """LinkUp says what the driver said with it, or else what a scan had said before."""
    ae = entity()
    (first,) = [
        i
        for i in run(ae, [Attached(ns(1.0), "ap1", network="home", frequency_mhz=2412.0)])
        if isinstance(i, LinkUp)
    ]
    assert (first.network, first.frequency_mhz) == ("home", 2412.0)
    run(ae, [down(2.0), scan(3.0, Neighbour("ap2", snr_db=30.0, network="cafe", frequency_mhz=5180))])
    (second,) = [i for i in run(ae, [up(4.0, "ap2")]) if isinstance(i, LinkUp)]
    assert (second.network, second.frequency_mhz) == ("cafe", 5180)


def test_link_down_tells_the_code() -> None:
    """LinkDown has the driver's reason code and detail beside the reason."""
    ae = entity()
    run(ae, [up(1.0)])
    (said,) = run(ae, [Detached(ns(2.0), "ap1", DownReason.PEER, 15, "4-way handshake timeout")])
    assert isinstance(said, LinkDown)
    assert (said.reason, said.reason_code, said.detail) == (DownReason.PEER, 15, "4-way handshake timeout")


@pytest.mark.parametrize("text", ["", "x" * 256, "a\x1b[2Jb", "a\u202eb", "a\nb", 7, b"x"])
def test_text_that_cannot_be_shown_is_unknown(text: Any) -> None:
    """A network or detail that is too long or cannot be printed is left out, and no more."""
    ae = entity()
    attached = evolve(AT_HOME, network=text, frequency_mhz=-1)
    assert isinstance(run(ae, [attached])[0], LinkUp)
    assert listed(ae) == {"ap1": (None, None)}
    detached = evolve(Detached(ns(2.0), "ap1", DownReason.PEER), reason_code=-3, detail=text)
    (said,) = run(ae, [detached])
    assert isinstance(said, LinkDown)
    assert (said.reason_code, said.detail) == (None, None)


def test_memory_keeps_networks() -> None:
    """An exported memory brings networks and frequencies back; one that cannot be shown is refused."""
    ae = entity()
    run(ae, [AT_HOME, heard(2.0, 30.0)])
    other = entity()
    other.restore(ae.export())
    assert listed(other) == {"ap1": ("home", 2412.0)}
    with pytest.raises(MalformedMessage, match="network"):
        other.restore(ae.export().replace(b"home", b"h\x1bme"))


@pytest.mark.parametrize("name", ["before-network.lies", "before-network.ndjson"])
def test_older_recording_is_read(name: str) -> None:
    """A recording of before there were networks and reason codes is read; its samples say the same."""
    events = [r.event for r in read_recording(CAPTURES / name) if r.event is not None]
    assert len(events) == 15
    count = iter(range(1, 1000))
    ae = AbstractEntity(WIFI, AeParameters(), lambda t_ns: Header("again", 1, next(count), t_ns, t_ns, WIFI))
    again = []
    for event in events:
        match event:
            case RawState(state=state):
                ae.restore(state)
            case RawSample(sample=item) | RawAttached(attached=item) | RawDetached(detached=item):
                again += ae.feed(item)
            case _:
                pass
    recorded = [e for e in events if not isinstance(e, RawState | RawSample | RawAttached | RawDetached)]
    assert [evolve(e, header=SAME) for e in recorded] == [evolve(e, header=SAME) for e in again]
    (went_down,) = [e for e in recorded if isinstance(e, LinkDown)]
    assert (went_down.reason_code, went_down.detail) == (None, None)


# ---- nl80211


def test_driver_tells_network_and_code() -> None:
    """nl80211 says SSID and frequency of its PoA and the candidates, and 802.11's reason code."""
    world = World().begin()
    world.net()
    world.scan = [bss_of(A, b"caf\xc3\xa9"), bss_of(B, b"\xff net")]
    world.run(11.0)
    world.join(A)
    world.part(A, 15, by_peer=True)
    (said_up,) = [i for i in world.indications if isinstance(i, LinkUp)]
    assert (said_up.network, said_up.frequency_mhz) == ("café", 2437)
    assert listed(world.entities[NAME])[B] == ("\\xff net", 2437)
    (said_down,) = [i for i in world.indications if isinstance(i, LinkDown)]
    assert (said_down.reason, said_down.reason_code) == (DownReason.PEER, 15)
    assert said_down.detail == "reason 15 (4-way handshake timeout), told by the access point"


def test_driver_tells_what_it_learns_later() -> None:
    """The serving PoA's network is told when a scan finds it, and its frequency when the channel changes."""
    world = World().begin()
    world.net()
    world.join(A)
    assert listed(world.entities[NAME]) == {A: (None, None)}
    world.scan = [bss_of(A)]
    world.run(11.0)
    assert listed(world.entities[NAME]) == {A: ("net", 2437)}
    before = len(world.items[NAME])
    world.tell(told(Cmd.CH_SWITCH_NOTIFY, u32(Attr.WIPHY_FREQ, 5180)))
    assert listed(world.entities[NAME]) == {A: ("net", 5180)}
    world.scan = [evolve(bss_of(A), frequency_mhz=5180)]
    world.run(30.0)
    about = [
        i for i in world.items[NAME][before:] if isinstance(i, Sample) and i.neighbours and i.poa is None
    ]
    assert len(about) == 1


@given(st.lists(st.binary(max_size=32), min_size=2, max_size=2, unique=True))
def test_ssid_text_is_another_for_each(ssids: list[bytes]) -> None:
    """Two SSIDs never look the same, and each can be printed on one line."""
    first, second = map(ssid_text, ssids)
    assert first != second
    assert first.isprintable()
    assert len(first) <= 128


# ---- on the command line


def test_lines_quote_what_could_deceive() -> None:
    """A network's name with spaces or control characters stands in quotes, and forges no other parameter."""
    lines = Lines(TimeStyle.NONE)
    header = Header("n", 1, 1, 1, 1, WIFI)
    forged = "free reason=requested\x1b[2J\u202e"
    line = lines.of(LinkUp(header, "ap1", forged, 2412.0))
    assert line.endswith('poa=ap1 network="free reason=requested\\u001b[2J\\x202e" frequency_mhz=2412')
    assert line.isprintable()
    line = lines.of(LinkDown(header, "ap1", DownReason.PEER, 3, "the sender leaves"))
    assert line.endswith('poa=ap1 reason=peer reason_code=3 detail="the sender leaves"')
    couples = (PoACondition("ap1", GOOD, "home", 2412), PoACondition("ap2", GOOD))
    assert lines.of(PoAFound(header, couples)).endswith("poas=ap1(home 2412MHz good/54Mbps),ap2(good/54Mbps)")


@given(st.text())
def test_shown_text_is_one_word(text: str) -> None:
    """Without quotes stands only what can be taken for nothing else; quotes close."""
    said = shown(text)
    if said.startswith('"'):
        assert json.loads(said) == text
    else:
        assert said == text
        assert not set(said) & set(" \t\n\"'\\(){}=,")


def test_links_show_the_network() -> None:
    """`lies links` shows the serving PoA's network, as a table and as JSON."""
    couple = PoACondition("ap1", GOOD, "my home", 2412.0)
    state = LinkState(WIFI, "nl80211", True, "ap1", GOOD, (couple,), None, True)
    table, lines = io.StringIO(), io.StringIO()
    with redirect_stdout(table):
        print_links([state], [], json=False)
    heads, row = table.getvalue().splitlines()
    assert row[heads.index("network") :].startswith('"my home"')
    with redirect_stdout(lines):
        print_links([state], [], json=True)
    said = json.loads(lines.getvalue())
    assert (said["network"], said["frequency_mhz"]) == ("my home", 2412.0)
