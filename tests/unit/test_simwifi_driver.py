"""The simulated Wi-Fi driver through the abstract entity: drives, requests, time."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve
from radio_host import RecordingHost, drive

from lies.attachment import AirOnly
from lies.driver import Driver
from lies.errors import LinkError, LinkErrorReason
from lies.events import (
    Attached,
    Detached,
    DownReason,
    Indication,
    LinkActionFailed,
    LinkDown,
    LinkGoingDown,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    Quality,
    RawItem,
    Sample,
)
from lies_simwifi import SimWifi
from lies_simwifi.driver import ModelSource
from lies_simwifi.model import RadioModel
from lies_simwifi.scenario import AccessPoint, End, Fading, Propagation, Roaming, SimWifiConfig, bssid

DRIVE = SimWifiConfig(rate=0.0, end=End.FINISH)
STEADY = Propagation(shadowing_sigma_db=0.0, scan_sigma_db=0.0, fading=Fading.NONE)


def seconds(host: RecordingHost, item: RawItem) -> float:
    """Time of an item from the first one."""
    return (item.t_ns - host.items[0].t_ns) / 1e9


def moves(host: RecordingHost) -> list[Attached | Detached]:
    """The driver inputs of a drive."""
    return [i for i in host.items if isinstance(i, Attached | Detached)]


def to_the_best(driver: Driver, _: RawItem, found: list[Indication]) -> None:
    """A consumer in one line: when the link fades, go to the best PoA there is."""
    assert isinstance(driver.host, RecordingHost)
    status = driver.host.ports["wlan0"].entity.status
    fades = any(
        isinstance(f, LinkGoingDown)
        or (isinstance(f, LinkStatusChanged) and f.condition.quality < Quality.FAIR)
        for f in found
    )
    if fades and status.up and status.poas[0].poa != status.poa:
        driver.link_connect("wlan0", status.poas[0].poa)


def test_a_drive_alone_loses_and_finds_access_points() -> None:
    """Without a consumer the links are lost about one spacing past an access point, and found again."""
    host = drive(SimWifi, DRIVE)
    ups = [i for i in host.indications if isinstance(i, LinkUp)]
    downs = [i for i in host.indications if isinstance(i, LinkDown)]
    assert ups[0].poa == bssid(1)
    assert len(downs) >= 4
    assert {d.reason for d in downs} == {DownReason.SIGNAL_LOST}
    for down, up in zip(downs, ups[1:], strict=False):
        assert up.header.mono_ns - down.header.mono_ns >= 500_000_000
    assert any(isinstance(i, PoAFound) for i in host.indications)
    warned = [i.poa for i in host.indications if isinstance(i, LinkGoingDown)]
    assert {d.poa for d in downs} <= set(warned)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_drive_with_a_consumer_meets_every_access_point(seed: int) -> None:
    """Following the indications, the node goes from access point to access point to the last one."""
    host = drive(SimWifi, evolve(DRIVE, seed=seed), on_item=to_the_best)
    ups = [i.poa for i in host.indications if isinstance(i, LinkUp)]
    assert list(dict.fromkeys(ups)) == [bssid(n) for n in range(1, 9)]
    downs = [i for i in host.indications if isinstance(i, LinkDown)]
    assert [d.reason for d in downs].count(DownReason.REQUESTED) >= 6


def test_same_seed_same_drive_at_any_rate() -> None:
    """Two drives of one seed feed the same items at the same offsets; another seed feeds others."""

    def story(host: RecordingHost) -> list[RawItem]:
        first = host.items[0].t_ns
        return [evolve(i, t_ns=i.t_ns - first) for i in host.items if isinstance(i, Sample)]

    short = evolve(DRIVE, aps=2)
    one = story(drive(SimWifi, short))
    assert one == story(drive(SimWifi, short))
    assert one != story(drive(SimWifi, evolve(short, seed=2)))


@pytest.mark.parametrize("waits", [0, 3, 25])
def test_the_drive_is_the_same_however_long_its_start_takes(waits: int) -> None:
    """Before the start it stands and has no end; from then on it hears what it would have heard."""
    step_ns, serving = DRIVE.sample_ms * 1_000_000, bssid(1)
    model = RadioModel(evolve(DRIVE, aps=2))
    answers = iter([*[False] * waits, True])
    held, free = ModelSource(model, 0, lambda: next(answers)), ModelSource(model, 0)
    for n in range(waits):
        standing = held.measure(n * step_ns, serving)
        assert standing.sample.speed_mps == 0.0
        assert serving in standing.levels
        assert held.next_ns(n * step_ns) == (n + 1) * step_ns
    for n in range(model.steps):
        one = held.measure((waits + n) * step_ns, serving)
        other = free.measure(n * step_ns, serving)
        assert one.levels == other.levels
        assert evolve(one.sample, t_ns=0) == evolve(other.sample, t_ns=0)
    assert held.next_ns((waits + model.steps - 1) * step_ns) is None


def test_it_stands_until_the_start_file_is_there(tmp_path: Path) -> None:
    """It does not move before the file exists, and drives to the end after it was made."""
    start = tmp_path / "go"
    stood: list[Sample] = []

    def go(_driver: Driver, item: RawItem, _found: list[Indication]) -> None:
        if isinstance(item, Sample) and not start.exists():
            stood.append(item)
            if len(stood) == 20:
                start.touch()

    host = drive(SimWifi, evolve(DRIVE, aps=2, start_file=start), on_item=go)
    assert {sample.speed_mps for sample in stood} == {0.0}
    assert stood[-1].poa == bssid(1)
    driven = [i for i in host.items if isinstance(i, Sample) and i not in stood]
    assert [sample.speed_mps for sample in driven[:2]] == [9.722, 9.722]


def test_the_future_of_a_scenario_changes_nothing_before_it() -> None:
    """Another road, and access points that fail or appear after 20 s, leave all before as it was."""
    corner = (20.0 * 35 / 3.6, 0.0)
    row = tuple(AccessPoint(bssid(n), 90.0 * (n - 1), 10.0) for n in range(1, 6))
    new = AccessPoint(bssid(99), corner[0], 5.0, on_s=20.0)
    one = evolve(DRIVE, path=((0.0, 0.0), corner, (400.0, 0.0)), access_points=row)
    other = evolve(
        DRIVE,
        path=((0.0, 0.0), corner, (corner[0], 300.0)),
        access_points=(*row[:2], evolve(row[2], off_s=20.0), *row[3:], new),
    )

    def past(host: RecordingHost) -> tuple[list[object], list[object]]:
        first, end = host.items[0].t_ns, 20_000_000_000
        items = [_at(i, i.t_ns - first) for i in host.items if i.t_ns - first < end]
        found = [
            (type(i), i.header.mono_ns - first, *_parameters(i))
            for i in host.indications
            if i.header.mono_ns - first < end
        ]
        return list(items), list(found)

    runs = [drive(SimWifi, config) for config in (one, other)]
    assert past(runs[0]) == past(runs[1])
    assert len(past(runs[0])[1]) > 10
    assert len(runs[0].items) != len(runs[1].items)


def _at(item: RawItem, t_ns: int) -> RawItem:
    item = evolve(item, t_ns=t_ns)
    return evolve(item, port_out_ns=None, port_in_ns=None) if isinstance(item, Attached) else item


def _parameters(indication: Indication) -> list[object]:
    return [getattr(indication, a.name) for a in type(indication).__attrs_attrs__ if a.name != "header"]


def test_items_are_in_order_and_nothing_is_measured_between_two_access_points() -> None:
    """Times never go back; a move that was asked for is a Detached, the L2 gap, and its Attached."""
    host = drive(SimWifi, evolve(DRIVE, l2_gap_ms=30.0), on_item=to_the_best)
    assert all(a.t_ns <= b.t_ns for a, b in pairwise(host.items))
    requested = [
        (a, b)
        for a, b in pairwise(host.items)
        if isinstance(a, Detached) and a.reason is DownReason.REQUESTED
    ]
    assert requested
    for left, came in requested:
        assert isinstance(came, Attached)
        assert came.port_out_ns == left.t_ns
        assert came.port_in_ns is not None
        assert came.port_in_ns - left.t_ns >= 30_000_000
        assert came.t_ns >= came.port_in_ns


def test_samples_carry_what_a_card_reports() -> None:
    """Serving samples have whole dBm, SNR, rate, retries, speed; a scan a second tells the others."""
    host = drive(SimWifi, evolve(DRIVE, aps=2))
    samples = [i for i in host.items if isinstance(i, Sample)]
    serving = [s for s in samples if s.poa is not None]
    assert len(serving) > 50
    for s in serving:
        assert s.rssi_dbm is not None
        assert s.rssi_dbm == round(s.rssi_dbm)
        assert s.snr_db == s.rssi_dbm + 95
        assert s.bitrate_mbps in {6, 9, 12, 18, 24, 36, 48, 54}
        assert s.retries is not None
        assert 0 <= s.retries <= 100
        assert all(n.poa != s.poa for n in s.neighbours or ())
    assert samples[0].speed_mps == pytest.approx(35 / 3.6, abs=0.001)
    scans = [seconds(host, s) for s in samples if s.neighbours is not None]
    assert all(0.9 <= b - a <= 1.1 for a, b in pairwise(scans))


STANDING = evolve(
    DRIVE,
    end=End.STAY,
    path=((20.0, 0.0),),
    access_points=(AccessPoint("a", 0, 0), AccessPoint("b", 60, 0), AccessPoint("far", 5000, 0)),
    propagation=STEADY,
)


def after_samples(host: RecordingHost, count: int) -> bool:
    """Whether that many samples have come."""
    return sum(isinstance(i, Sample) for i in host.items) >= count


def test_connect_is_followed_between_two_samples() -> None:
    """LinkConnect to a heard access point moves at once; back to the serving one does nothing."""

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        if isinstance(item, Attached) and item.poa == "a":
            driver.link_connect("wlan0", "a")
            driver.link_connect("wlan0", "b")
            driver.link_connect("other", "a")

    host = drive(SimWifi, STANDING, on_item=on_item, until=lambda h: after_samples(h, 30))
    first, left, came = moves(host)
    assert (first.poa, left.poa, came.poa) == ("a", "a", "b")
    assert isinstance(left, Detached)
    assert left.reason is DownReason.REQUESTED
    assert left.t_ns - first.t_ns < 10_000_000


def test_connect_to_a_silent_access_point_leaves_the_link_alone(caplog: pytest.LogCaptureFixture) -> None:
    """An access point that is not heard is not followed, and the log says so: the link stays up."""

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        if isinstance(item, Attached):
            driver.link_connect("wlan0", "far")

    host = drive(SimWifi, STANDING, on_item=on_item, until=lambda h: after_samples(h, 30))
    assert [move.poa for move in moves(host)] == ["a"]
    assert {i.poa for i in host.items if isinstance(i, Sample)} >= {"a"}
    assert "LinkConnect to far is not followed" in caplog.text
    (failed,) = [i for i in host.indications if isinstance(i, LinkActionFailed)]
    assert (failed.action, failed.poa, failed.detail) == ("connect", "far", "it is not heard well enough")


def test_a_link_that_is_down_looks_for_what_it_shall_connect_to() -> None:
    """LinkDisconnect first forces it: down, and after the scan delay the strongest is joined."""

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        if isinstance(item, Attached) and seconds(driver.host, item) < 0.1:  # type: ignore[arg-type] # the test's own host
            driver.link_disconnect("wlan0", None)
            driver.link_connect("wlan0", "far")

    host = drive(SimWifi, STANDING, on_item=on_item, until=lambda h: len(moves(h)) >= 3)
    first, left, again = moves(host)
    assert (first.poa, left.poa, again.poa) == ("a", "a", "a")
    assert again.t_ns - left.t_ns >= 500_000_000
    between = [i for i in host.items if isinstance(i, Sample) and left.t_ns < i.t_ns < again.t_ns]
    assert between
    assert all(s.poa is None for s in between)


def test_disconnect_holds_until_connect() -> None:
    """After LinkDisconnect the link stays down, however strong the signal, until LinkConnect."""

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        host = driver.host
        assert isinstance(host, RecordingHost)
        if isinstance(item, Attached) and len(moves(host)) == 1:
            driver.link_disconnect("wlan0", None)
        if sum(isinstance(i, Sample) for i in host.items) == 60:
            driver.link_connect("wlan0", "a")

    host = drive(SimWifi, STANDING, on_item=on_item, until=lambda h: len(moves(h)) >= 3)
    _, left, again = moves(host)
    assert again.t_ns - left.t_ns > 5_000_000_000


def test_auto_roam_moves_without_a_consumer() -> None:
    """With auto_roam_db the station goes to the better access point by itself, before the link is lost."""
    host = drive(SimWifi, evolve(DRIVE, association=Roaming(auto_roam_db=8.0)))
    reasons = [i.reason for i in moves(host) if isinstance(i, Detached)]
    assert reasons.count(DownReason.REQUESTED) >= 6


def test_the_end_of_the_path_stays_or_finishes() -> None:
    """End = stay goes on measuring at the last waypoint; finish tells the host."""
    path = ((0.0, 0.0), (10.0, 0.0))
    host = drive(SimWifi, evolve(DRIVE, path=path))
    assert seconds(host, host.items[-1]) == pytest.approx(10 / (35 / 3.6), abs=0.2)
    host = drive(SimWifi, evolve(DRIVE, path=path, end=End.STAY), until=lambda h: after_samples(h, 100))
    assert host.items[-1].speed_mps == 0.0


def test_live_time_is_the_hosts_clock() -> None:
    """At rate 1 samples are 100 ms apart on the host's clock and never from its future."""
    late: list[int] = []

    def on_item(driver: Driver, item: RawItem, _: list[Indication]) -> None:
        late.append(driver.host.now_ns() - item.t_ns)

    host = drive(SimWifi, SimWifiConfig(), on_item=on_item, until=lambda h: after_samples(h, 5))
    samples = [i.t_ns for i in host.items if isinstance(i, Sample)]
    assert {b - a for a, b in pairwise(samples)} == {100_000_000}
    assert all(lag >= 0 for lag in late)


def test_a_faster_drive_keeps_its_own_time_line() -> None:
    """At rate 50 samples come every 100 ms of a faster clock; a busy machine only leaves steps out."""
    host = drive(SimWifi, SimWifiConfig(rate=50.0), until=lambda h: after_samples(h, 40))
    samples = [i.t_ns for i in host.items if isinstance(i, Sample)]
    steps = [b - a for a, b in pairwise(samples)]
    assert {step % 100_000_000 for step in steps} == {0}
    assert min(steps) == 100_000_000


def test_a_port_that_cannot_move_leaves_the_link_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """LinkError and OSError of the attachment end no driver: it scans and tries again."""
    tries: list[str] = []
    move = AirOnly.move

    async def failing(self: AirOnly, poa: str, on_out: object) -> object:
        tries.append(poa)
        if len(tries) == 1:
            raise OSError("no frame passed")
        if len(tries) == 2:
            raise LinkError(LinkErrorReason.UNKNOWN_POA, "no bridge")
        return await move(self, poa, on_out)  # type: ignore[arg-type] # passed on as it came

    monkeypatch.setattr(AirOnly, "move", failing)
    host = drive(SimWifi, STANDING, until=lambda h: bool(moves(h)))
    assert tries == ["a", "a", "a"]
    assert seconds(host, moves(host)[0]) >= 1.0


def test_a_bug_is_told_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else goes wrong reaches the supervisor."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(AirOnly, "move", broken)
    with pytest.raises(ZeroDivisionError):
        drive(SimWifi, STANDING)


def test_stop_is_safe_before_start_and_twice() -> None:
    """Stop after a failed or missing start, and again, does nothing."""

    async def run() -> None:
        driver = SimWifi("test", STANDING, RecordingHost())
        await driver.stop()
        driver.link_connect("wlan0", "a")
        driver.link_disconnect("wlan0", None)
        await driver.start()
        await driver.stop()
        await driver.stop()

    asyncio.run(run())
