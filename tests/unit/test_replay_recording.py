"""Recordings replayed: the same primitives, links, parameters and time offsets."""

import asyncio
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields
from radio_host import RecordingHost, drive

from lies.abstract import AbstractEntity, AeParameters
from lies.driver import Driver
from lies.errors import ConfigError, TraceFormatError
from lies.events import (
    Attached,
    Detached,
    DownReason,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkUp,
    Neighbour,
    Raw,
    RawAttached,
    RawDetached,
    RawItem,
    RawSample,
    RawState,
    Sample,
    Technology,
)
from lies.trace import RecordingWriter, read_recording, rebase_state
from lies_replay import Replay
from lies_replay.config import ReplayConfig
from lies_simwifi import SimWifi
from lies_simwifi.scenario import End, SimWifiConfig

S = 1_000_000_000
LINK = Link("wlan0", Technology.WIFI)
SIM = SimWifiConfig(rate=0.0, end=End.FINISH, aps=4)


def story(indications: Iterable[Indication], begin_ns: int) -> list[tuple[Any, ...]]:
    """Primitive, link, time offset and parameters of indications."""
    return [
        (
            type(i).__name__,
            i.header.link,
            i.header.mono_ns - begin_ns,
            *(getattr(i, f.name) for f in fields(type(i)) if f.name != "header"),
        )
        for i in indications
    ]


def simulated(path: Path, *, begin_at: int = 0, config: SimWifiConfig = SIM) -> list[tuple[Any, ...]]:
    """Record a simulated drive from its n-th item on; the story of the indications since then."""
    found: list[Indication] = []
    begin_ns: list[int] = []
    with RecordingWriter(path, links=[LINK]) as writer:

        def on_item(driver: Driver, item: RawItem, indications: list[Indication]) -> None:
            host = driver.host
            assert isinstance(host, RecordingHost)
            port = host.ports["wlan0"]
            if len(port.items) > begin_at:
                begin_ns.append(item.t_ns)
                found.extend(indications)
                for event in host.events[-len(indications) - 1 :]:
                    writer.write(event)
            elif len(port.items) == begin_at:
                writer.write(port.state())
            going_down = any(isinstance(i, LinkGoingDown) for i in indications)
            if going_down and port.entity.status.poas[0].poa != port.entity.status.poa:
                driver.link_connect("wlan0", port.entity.status.poas[0].poa)

        drive(SimWifi, config, on_item=on_item)
    return story(found, begin_ns[0])


def replayed(path: Path, *, parameters: AeParameters | None = None, **options: Any) -> RecordingHost:
    """Replay a file as fast as possible."""
    return drive(Replay, ReplayConfig(file=path, **{"asap": True, **options}), parameters=parameters)


def of(host: RecordingHost) -> list[tuple[Any, ...]]:
    """The story of a replay."""
    return story(host.indications, host.items[0].t_ns)


@pytest.mark.parametrize("name", ["r.lies", "r.ndjson", "r.ndjson.gz"])
def test_a_recording_replays_into_the_same_indications(tmp_path: Path, name: str) -> None:
    """A whole drive gives the same sequence of primitive, link, parameters and time offset."""
    told = simulated(tmp_path / name)
    host = replayed(tmp_path / name)
    assert of(host) == told
    assert {s[0] for s in told} >= {"LinkUp", "LinkDown", "LinkStatusChanged", "LinkGoingDown", "PoAFound"}
    assert not host.ports["wlan0"].controllable


@pytest.mark.parametrize("begin_at", [1, 40, 61, 77, 150, 200])
def test_a_recording_begun_in_the_middle_does_too(tmp_path: Path, begin_at: int) -> None:
    """Begun anywhere, the recorded state makes the replay go on as the live entity did."""
    told = simulated(tmp_path / "r.ndjson", begin_at=begin_at)
    host = replayed(tmp_path / "r.ndjson")
    assert len(host.ports["wlan0"].restored) == 1
    assert of(host) == told
    assert len(told) > 5


def test_without_the_state_the_middle_would_differ(tmp_path: Path) -> None:
    """The state is what makes it so: without its line the replay begins with a link that comes up."""
    path = tmp_path / "r.ndjson"
    told = simulated(path, begin_at=61)
    lines = [n for n in path.read_text().splitlines(keepends=True) if '"raw_state"' not in n]
    path.write_text("".join(lines))
    assert of(replayed(path)) != told


def test_other_thresholds_give_other_indications(tmp_path: Path) -> None:
    """The recording feeds raw items: an entity with other levels says other things about them."""
    told = simulated(tmp_path / "r.ndjson")
    parameters = AeParameters()
    wifi = evolve(parameters.wifi, fair_db=12.0, bad_db=8.0)
    host = replayed(tmp_path / "r.ndjson", parameters=evolve(parameters, wifi=wifi))
    assert of(host) != told
    assert [s for s in of(host) if s[0] == "LinkUp"] == [s for s in told if s[0] == "LinkUp"]


def header(t_ns: int, link: Link = LINK) -> Header:
    """Some header."""
    return Header("sim", 1, 1, t_ns, t_ns, link)


def recording(path: Path, events: Iterable[Indication | Raw], links: Iterable[Link] = ()) -> Path:
    """A recording of these lines."""
    with RecordingWriter(path, links=links, overwrite=True) as writer:
        for event in events:
            writer.write(event)
    return path


def sample(t_s: float, poa: str | None = "a", link: Link = LINK, rssi_dbm: float = -50.0) -> RawSample:
    """A raw sample line."""
    t_ns = round(t_s * S)
    return RawSample(header(t_ns, link), Sample(t_ns, poa=poa, rssi_dbm=rssi_dbm if poa else None))


def attached(t_s: float, poa: str = "a", link: Link = LINK) -> RawAttached:
    """A raw attached line."""
    t_ns = round(t_s * S)
    return RawAttached(header(t_ns, link), Attached(t_ns, poa, t_ns - 3_000, t_ns - 1_000))


def detached(t_s: float, poa: str = "a", link: Link = LINK) -> RawDetached:
    """A raw detached line."""
    t_ns = round(t_s * S)
    return RawDetached(header(t_ns, link), Detached(t_ns, poa, DownReason.SIGNAL_LOST))


SHORT: list[Indication | Raw] = [
    attached(5),
    sample(5.1),
    sample(6.000000001),
    detached(7),
    sample(7.5, None),
]


def offsets(host: RecordingHost) -> list[int]:
    """Time offsets of all items."""
    return [i.t_ns - host.items[0].t_ns for i in host.items]


def test_recorded_indications_are_never_fed(tmp_path: Path) -> None:
    """What the recorded daemon concluded is left out: only its raw lines count."""
    lies = [LinkUp(header(4 * S), "z"), *SHORT[:2], LinkDown(header(6 * S), "a", DownReason.PEER), *SHORT[2:]]
    assert of(replayed(recording(tmp_path / "r.ndjson", lies))) == of(
        replayed(recording(tmp_path / "s.ndjson", SHORT))
    )


@pytest.mark.parametrize(
    "options", [{"asap": True}, {"asap": False, "rate": 1000.0}, {"asap": False, "rate": 33.3}]
)
def test_offsets_are_exact_at_every_rate(tmp_path: Path, options: dict[str, Any]) -> None:
    """t_ns is start plus recorded offset to the ns, port times too, however fast it is delivered."""
    host = replayed(recording(tmp_path / "r.ndjson", SHORT), **options)
    assert offsets(host) == [0, 100_000_000, 1_000_000_001, 2 * S, 2_500_000_000]
    first = host.items[0]
    assert isinstance(first, Attached)
    assert first.port_out_ns == first.t_ns - 3_000
    assert first.port_in_ns == first.t_ns - 1_000


def test_live_rate_delivers_nothing_early(tmp_path: Path) -> None:
    """At rate 1 no item is delivered before its time on the host's clock."""
    early: list[int] = []
    path = recording(tmp_path / "r.ndjson", [attached(0), *(sample(0.05 * n) for n in range(1, 6))])
    drive(
        Replay,
        ReplayConfig(file=path),
        on_item=lambda driver, item, _: early.append(item.t_ns - driver.host.now_ns()),
    )
    assert len(early) == 6
    assert max(early) <= 0


def test_poas_are_mapped_everywhere(tmp_path: Path) -> None:
    """Map renames PoAs in samples, neighbours, attachments and the recorded state."""
    t_ns = 8 * S
    heard = Sample(t_ns, poa="a", rssi_dbm=-50.0, neighbours=(Neighbour("b", rssi_dbm=-60.0),))
    entity = AbstractEntity(LINK, AeParameters(), header)
    entity.feed(Attached(4 * S, "a"))
    events = [RawState(header(4 * S), entity.export()), *SHORT, attached(7.6), RawSample(header(t_ns), heard)]
    host = replayed(recording(tmp_path / "r.ndjson", events), map={"a": "AP-1", "b": "AP-2"})
    text = repr(host.items) + repr(host.indications)
    assert "'a'" not in text
    assert "'b'" not in text
    assert isinstance(host.items[-1], Sample)
    assert host.items[-1].neighbours == (Neighbour("AP-2", rssi_dbm=-60.0),)
    assert [i.poa for i in host.indications if isinstance(i, LinkDown)] == ["AP-1"]


def test_a_part_begins_with_the_link_as_it_was(tmp_path: Path) -> None:
    """start_s skips what is before it; a link that was attached then is attached at the first item."""
    path = recording(
        tmp_path / "r.ndjson", [attached(5), *(sample(5 + n / 10) for n in range(1, 50)), *SHORT[3:]]
    )
    host = replayed(path, start_s=1.0, duration_s=0.55)
    assert isinstance(host.items[0], Attached)
    assert host.items[0].poa == "a"
    assert offsets(host) == [0, *(n * S // 10 for n in range(6))]
    assert [s[0] for s in of(host)].count("LinkUp") == 1


def test_a_part_that_begins_down_stays_down(tmp_path: Path) -> None:
    """A link that was detached before the part begins is not attached."""
    path = recording(tmp_path / "r.ndjson", [*SHORT, sample(8, None)])
    host = replayed(path, start_s=2.2)
    assert all(isinstance(i, Sample) for i in host.items)


def test_a_loop_begins_anew_a_second_later(tmp_path: Path) -> None:
    """Each pass plays the same; a link still attached at the end of one goes down between."""
    host = replayed(recording(tmp_path / "r.ndjson", SHORT[:3]), loop=3)
    assert [type(i).__name__ for i in host.items] == [
        *("Attached", "Sample", "Sample", "Detached") * 2,
        *("Attached", "Sample", "Sample"),
    ]
    assert offsets(host)[4] == 1_000_000_001 + S
    reasons = [i.reason for i in host.items if isinstance(i, Detached)]
    assert set(reasons) == {DownReason.DRIVER_LOST}
    assert all(a <= b for a, b in pairwise(offsets(host)))


def test_paused_holds_everything_until_resume(tmp_path: Path) -> None:
    """A replay begun paused delivers nothing until resume, and no more after pause."""
    path = recording(tmp_path / "r.ndjson", [attached(0), *(sample(n / 100) for n in range(1, 20))])
    counts: list[int] = []

    class Controlled(Replay):
        async def start(self) -> None:
            await super().start()
            assert self._task is not None
            for _ in range(5):
                await asyncio.sleep(0)  # lets the replay run, which must not
            assert isinstance(self.host, RecordingHost)
            counts.append(sum(len(p.items) for p in self.host.ports.values()))
            self.resume()

    host = drive(Controlled, ReplayConfig(file=path, paused=True, rate=10.0))
    assert counts == [0]
    assert len(host.items) == 20


def test_the_link_is_renamed_or_chosen(tmp_path: Path) -> None:
    """Link renames the only link, or picks one of several; another name is an error."""
    other = Link("wlan1", Technology.WIFI)
    one = recording(tmp_path / "one.ndjson", SHORT, [LINK])
    assert list(replayed(one, link="replay7").ports) == ["replay7"]
    events = [attached(1, "x", other), *SHORT]
    two = recording(tmp_path / "two.ndjson", events, [LINK, other])
    both = replayed(two)
    assert {name: len(p.items) for name, p in both.ports.items()} == {"wlan1": 1, "wlan0": 5}
    assert list(replayed(two, link="wlan0").ports) == ["wlan0"]
    with pytest.raises(TraceFormatError, match="has no link 'eth0', but wlan0, wlan1"):
        replayed(two, link="eth0")


def test_a_second_session_goes_on_after_the_first(tmp_path: Path) -> None:
    """A recording continued after a reboot, whose clock began anew, plays on without going back."""
    path = recording(tmp_path / "r.ndjson", SHORT)
    with RecordingWriter(path) as writer:
        for event in (attached(1, "b"), sample(2, "b")):
            writer.write(event)
    host = replayed(path)
    assert offsets(host)[-2:] == [2_500_000_000, 3_500_000_000]


def test_a_torn_recording_is_played_up_to_the_tear(tmp_path: Path) -> None:
    """The whole lines of a torn recording are played."""
    path = recording(tmp_path / "r.ndjson", SHORT)
    path.write_bytes(path.read_bytes()[:-5])
    assert len(replayed(path).items) == 4


def test_a_state_that_cannot_be_used_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A recorded state of garbage is logged; the raw items are played all the same."""
    for n, state in enumerate((b"\xc1", b"\x93\x01\x02\x03", b"\x80")):
        host = replayed(recording(tmp_path / f"{n}.ndjson", [RawState(header(1), state), *SHORT]))
        assert len(host.items) == 5
    assert caplog.text.count("the recorded state is left out") == 3


def test_a_state_counts_where_its_epoch_begins(tmp_path: Path) -> None:
    """A second state of one epoch is not restored, so that other thresholds stay in force."""
    entity = AbstractEntity(LINK, AeParameters(), header)
    states = [RawState(evolve(header(1), epoch=e), entity.export()) for e in (1, 1, 2)]
    events = [states[0], SHORT[0], states[1], SHORT[1], *SHORT[2:4], states[2], SHORT[4]]
    host = replayed(recording(tmp_path / "r.ndjson", events))
    assert len(host.ports["wlan0"].restored) == 2


def test_rebasing_a_state_moves_every_time_and_nothing_else() -> None:
    """A rebased memory gives, on moved items, the indications of the original on the unmoved ones."""
    events: list[RawItem] = [Attached(S, "a")]
    samples = [
        Sample(
            S + n * S // 10,
            poa="a",
            rssi_dbm=-50.0 - n,
            retries=n,
            neighbours=(Neighbour("b", rssi_dbm=-60.0),),
        )
        for n in range(1, 60)
    ]
    for split in (5, 20, 35, 45):
        one = AbstractEntity(LINK, AeParameters(), header)
        for item in (*events, *samples[:split]):
            one.feed(item)
        moved = AbstractEntity(LINK, AeParameters(), header)
        moved.restore(rebase_state(one.export(), 12_345, {"a": "c"}))
        for item in samples[split:]:
            there = moved.feed(evolve(item, t_ns=item.t_ns + 12_345, poa="c"))
            here = one.feed(item)
            assert [(s[0], s[2]) for s in story(there, 12_345)] == [(s[0], s[2]) for s in story(here, 0)]
        assert rebase_state(rebase_state(one.export(), 7), -7) == one.export()


def test_what_cannot_be_replayed_is_one_sentence(tmp_path: Path) -> None:
    """A recording without raw lines, an empty part, several files, a damaged line: each says so."""
    silent = recording(tmp_path / "silent.ndjson", [LinkUp(header(1), "a")])
    with pytest.raises(TraceFormatError, match=r"silent\.ndjson: has no raw line to play"):
        replayed(silent)
    short = recording(tmp_path / "short.ndjson", SHORT)
    with pytest.raises(TraceFormatError, match="has no raw line to play in that part"):
        replayed(short, start_s=60.0)
    with pytest.raises(ConfigError, match="a recording is played alone"):
        drive(Replay, ReplayConfig(files=(short, silent)))
    with pytest.raises(ConfigError, match="follow_requests"):
        replayed(short, follow_requests=True)
    broken = tmp_path / "broken.ndjson"
    broken.write_bytes(short.read_bytes() + b"{}\n" + short.read_bytes())
    with pytest.raises(TraceFormatError, match="record 7: not an event"):
        replayed(broken)
    with pytest.raises(TraceFormatError, match="cannot be read"):
        replayed(tmp_path / "absent")


def test_the_recording_is_what_it_claims(tmp_path: Path) -> None:
    """A recorded drive begins with a header, and holds raw lines and indications as JSON objects."""
    simulated(tmp_path / "r.ndjson")
    types = [json.loads(line)["type"] for line in (tmp_path / "r.ndjson").read_text().splitlines()]
    assert types[0] == "header"
    assert {"raw_sample", "raw_attached", "raw_detached", "link_up", "link_down"} <= set(types)
    assert [r.type for r in read_recording(tmp_path / "r.ndjson")] == types


def test_map_of_a_poa_that_is_not_in_the_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After the first pass it is said, once, which PoAs of `map` were in no raw line and no state."""
    simulated(tmp_path / "r.ndjson", begin_at=40)
    replayed(tmp_path / "r.ndjson", map={"NOSUCH": "y"}, loop=2)
    said = [r.getMessage() for r in caplog.records if "map" in r.getMessage()]
    assert len(said) == 1
    assert "map renames NOSUCH," in said[0]
    caplog.clear()
    recording(tmp_path / "s.ndjson", SHORT)
    replayed(tmp_path / "s.ndjson", map={"a": "y"})
    assert "map" not in caplog.text
