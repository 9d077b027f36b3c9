"""The nl80211 driver on sockets whose far ends stand for the kernel."""

import asyncio
import errno
import logging
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from radio_host import RecordingHost
from wifi_kernel import SimKernel, a_good_link, link_body
from wifi_kit import (
    INDEX,
    NAME,
    A,
    B,
    bss_body,
    connect_body,
    cqm_body,
    deauthenticate_body,
    disconnect_body,
    gone_body,
    interface_body,
    station_body,
    told,
)

from lies._decode import decode
from lies.capabilities import Capability
from lies.errors import ConfigError, LiesError
from lies.events import Attached, Detached, DownReason, RawItem, Sample
from lies.runtime import cpu_s
from lies_nl80211 import Nl80211, channel
from lies_nl80211.attributes import message
from lies_nl80211.config import Nl80211Config
from lies_nl80211.door import KernelDoor
from lies_nl80211.uapi import Attr, Cmd, Cqm

LIMIT_S = 30.0
Play = Callable[[SimKernel, Nl80211, RecordingHost], Awaitable[None]]


def run(play: Play, config: Nl80211Config | None = None, kernel: SimKernel | None = None) -> RecordingHost:
    """Start the driver on a kernel, play, stop; nothing stays open."""

    async def main() -> RecordingHost:
        there = kernel or SimKernel()
        host = RecordingHost()
        driver = Nl80211("radio", config or Nl80211Config(), host, door=there)
        try:
            async with asyncio.timeout(LIMIT_S):
                await driver.start()
                await play(there, driver, host)
        finally:
            await driver.stop()
            assert there.all_closed
            there.close()
        if host.error is not None:
            raise host.error
        return host

    return asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; the caller's limit ends it."""
    while not holds():  # noqa: ASYNC110 - what is waited for is in the driver, which signals nothing
        await asyncio.sleep(0.005)


def moves(items: list[RawItem]) -> list[tuple[str, str]]:
    """Attached and Detached in order."""
    return [(type(i).__name__, i.poa) for i in items if isinstance(i, Attached | Detached)]


def of(host: RecordingHost, link: str = NAME) -> list[RawItem]:
    """What a link was fed."""
    port = host.ports.get(link)
    return port.items if port is not None else []


async def join(kernel: SimKernel, host: RecordingHost, bssid: str) -> None:
    """Associate, and wait until the host knows."""
    a_good_link(kernel, bssid)
    kernel.tell(connect_body(bssid))
    await until(lambda: moves(of(host))[-1:] == [("Attached", bssid)])


def test_roam_goes_through_the_sockets() -> None:
    """Events of a roam become Attached, Detached with their reason, Attached; samples come between."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        await until(lambda: any(isinstance(i, Sample) and i.poa == A for i in of(host)))
        kernel.stations = []
        kernel.tell(gone_body(A), deauthenticate_body(A, 3, by_peer=False), disconnect_body(3))
        await join(kernel, host, B)
        assert kernel.joined == {0x20, 0x21, 0x22, 0x23}

    host = run(play)
    assert moves(of(host)) == [("Attached", A), ("Detached", A), ("Attached", B)]
    times = [i.t_ns for i in of(host)]
    assert times == sorted(times)


def test_overrun_is_made_good(caplog: pytest.LogCaptureFixture) -> None:
    """After ENOBUFS a dump tells where the link is, and people are told of the gap."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        a_good_link(kernel, B)
        kernel.overrun()
        await until(lambda: len(moves(of(host))) == 3)

    with caplog.at_level(logging.WARNING):
        host = run(play)
    assert moves(of(host)) == [("Attached", A), ("Detached", A), ("Attached", B)]
    assert any("dropped messages" in r.message for r in caplog.records)


def test_garbage_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Datagrams of any octets, and messages that lack something, are left out; the driver goes on."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        for data in (b"\x00", b"\xff" * 100, message(0x1C, 0, b"\x13"), message(0x1C, 0, b"\x13\0\0\0")):
            kernel.tell_octets(data)
        kernel.tell(told(Cmd.DEL_STATION), told(Cmd.DEL_STATION), told(Cmd.ROAM))
        kernel.scan = [told(Cmd.NEW_SCAN_RESULTS, b"\x04\x00\x2f\x00"), bss_body(B)]
        kernel.tell(told(Cmd.NEW_SCAN_RESULTS))
        await join(kernel, host, A)

    with caplog.at_level(logging.WARNING):
        run(play)
    left_out = [r.message for r in caplog.records if "left out" in r.message]
    assert len(left_out) == len(set(left_out)) <= 4


def test_interfaces_are_plugged_and_pulled() -> None:
    """An interface that comes is announced, one that goes is removed, the others go on."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        kernel.interfaces.append(interface_body("wlan1", index=8, wiphy=1))
        kernel.tell(interface_body("wlan1", index=8, wiphy=1))
        await until(lambda: "wlan1" in host.ports)
        kernel.interfaces.pop(0)
        kernel.tell(told(Cmd.DEL_INTERFACE))
        await until(lambda: host.ports[NAME].removed)
        assert not host.ports["wlan1"].removed

    run(play)


def test_radio_switch_takes_the_link_down() -> None:
    """A radio that is switched off is down at once, with the interface still there."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        kernel.tell_switch(struct.pack("=IBBBB", 0, 1, 2, 0, 1))
        await until(lambda: len(moves(of(host))) == 2)
        kernel.stations = []

    host = run(play)
    (detached,) = [i for i in of(host) if isinstance(i, Detached)]
    assert detached.reason is DownReason.CARRIER


def test_interface_switched_off() -> None:
    """An interface that the administrator switches off is down."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        kernel.stations = []
        kernel.tell_link(link_body(up=False, operstate=2))
        await until(lambda: len(moves(of(host))) == 2)

    run(play)


def test_thresholds_are_set_and_taken_back() -> None:
    """The kernel is asked to watch the levels; one level where it takes no more; none after the driver."""
    kernel = SimKernel()
    kernel.refuse[Cmd.SET_CQM] = errno.EOPNOTSUPP

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: kernel.requests.count(Cmd.SET_CQM) == 2)
        kernel.refuse.clear()
        kernel.interfaces.append(interface_body("wlan1", index=8))
        kernel.tell(interface_body("wlan1", index=8))
        await until(lambda: kernel.requests.count(Cmd.SET_CQM) == 3)
        await until(lambda: "wlan1" in host.ports)

    run(play, kernel=kernel)
    levels = []
    for command, found in kernel.bodies:
        if command == Cmd.SET_CQM:
            value = found[Attr.CQM]
            count = (struct.unpack_from("=H", value)[0] - 4) // 4
            levels.append(
                (struct.unpack("=I", found[Attr.IFINDEX])[0], *struct.unpack_from(f"={count}i", value, 4))
            )
    assert levels == [
        (INDEX, -80, -73, -68),
        (INDEX, -68),
        (8, -80, -73, -68),
        (8, 0),
    ]


def test_permission_that_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """Without CAP_NET_ADMIN the link is followed all the same, and one sentence says what is missing."""
    kernel = SimKernel()
    kernel.refuse = {Cmd.SET_CQM: errno.EPERM}

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        kernel.interfaces.append(interface_body("wlan1", index=8))
        kernel.tell(interface_body("wlan1", index=8))
        await until(lambda: kernel.requests.count(Cmd.SET_CQM) == 2)

    with caplog.at_level(logging.WARNING):
        run(play, kernel=kernel)
    (said,) = [r.message for r in caplog.records if "CAP_NET_ADMIN" in r.message]
    assert "set cqm_dbm = []" in said


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOENT, "this kernel has no nl80211: load it (modprobe cfg80211"),
        (errno.EPERM, "this process may not use nl80211: run the daemon as root or with CAP_NET_ADMIN"),
    ],
)
def test_kernel_without_nl80211(number: int, sentence: str) -> None:
    """A kernel without nl80211, and one that forbids it, keep the driver from starting, in one sentence."""
    kernel = SimKernel()
    kernel.missing = number

    async def play(_: SimKernel, driver: Nl80211, host: RecordingHost) -> None:
        raise AssertionError((driver, host))

    with pytest.raises(LiesError) as caught:
        run(play, kernel=kernel)
    assert str(caught.value).startswith(sentence)


def test_this_kernel() -> None:
    """On this machine's own kernel the driver starts, or says that there is no nl80211."""

    async def main() -> str:
        host = RecordingHost()
        driver = Nl80211(
            "radio", Nl80211Config(cqm_dbm=(), scan_s=0.0, control=False), host, door=KernelDoor()
        )
        try:
            await driver.start()
        except LiesError as error:
            return str(error)
        finally:
            await driver.stop()
        return ""

    said = asyncio.run(main())
    has = Path("/sys/class/ieee80211").is_dir()
    assert (said == "") if has else said.startswith("this kernel has no nl80211: ")


def test_kernel_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that is never answered has a limit; what comes after it is asked all the same."""
    monkeypatch.setattr(channel, "LIMIT_S", 0.05)
    kernel = SimKernel()
    kernel.silent = {Cmd.GET_STATION}

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: kernel.requests.count(Cmd.GET_STATION) >= 2)
        kernel.silent.clear()
        await join(kernel, host, A)

    run(play, kernel=kernel)


def test_connect_goes_to_the_kernel(caplog: pytest.LogCaptureFixture) -> None:
    """LinkConnect on an interface that nobody manages is CMD_CONNECT; a refusal of the kernel's is told."""

    async def play(kernel: SimKernel, driver: Nl80211, host: RecordingHost) -> None:
        kernel.scan = [bss_body(A), bss_body(B)]
        kernel.tell(told(Cmd.NEW_SCAN_RESULTS))
        await until(lambda: len([i for i in of(host) if isinstance(i, Sample) and i.neighbours]) > 0)
        driver.link_connect(NAME, B)
        await until(lambda: Cmd.CONNECT in kernel.requests)
        kernel.refuse[Cmd.DISCONNECT] = errno.ENOTCONN
        driver.link_disconnect(NAME, None)
        await until(lambda: any("LinkDisconnect" in r.message for r in caplog.records))
        driver.link_connect(NAME, "02:00:00:00:0d:01")

    kernel = SimKernel()
    with caplog.at_level(logging.WARNING):
        host = run(play, kernel=kernel)
    assert host.ports[NAME].controllable
    (found,) = [found for command, found in kernel.bodies if command == Cmd.CONNECT]
    assert (found[Attr.SSID], found[Attr.MAC].hex(":")) == (b"net", B)
    assert any("is not heard on wlan0" in r.message for r in caplog.records)


def test_managed_interface_is_not_controlled(caplog: pytest.LogCaptureFixture) -> None:
    """An interface that somebody manages is announced as not controllable, and requests are refused."""
    kernel = SimKernel()
    kernel.links = [link_body(linkmode=1)]

    async def play(kernel: SimKernel, driver: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        driver.link_connect(NAME, A)
        assert Cmd.CONNECT not in kernel.requests

    with caplog.at_level(logging.WARNING):
        host = run(play, kernel=kernel)
    assert not host.ports[NAME].controllable
    assert any("is managed by another program" in r.message for r in caplog.records)


def test_flood_of_access_points_is_bounded() -> None:
    """Ten thousand forged beacons leave a table of a thousand, and the link's own PoA in it."""

    async def play(kernel: SimKernel, driver: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        kernel.scan = [
            bss_body(f"06:00:00:00:{n >> 8:02x}:{n & 255:02x}", rssi_dbm=-30.0) for n in range(10000)
        ]
        kernel.scan.append(bss_body(A, associated=True))
        kernel.tell(told(Cmd.NEW_SCAN_RESULTS))
        client = driver._follower.client(NAME)
        assert client is not None
        heard = client.measuring.heard
        await until(lambda: len(heard) > 500)
        assert len(heard) <= 1024
        assert heard.get(A) is not None
        assert len(host.ports[NAME].entity.status.poas) <= 256
        assert host.ports[NAME].entity.status.poa == A
        assert host.ports[NAME].entity.refused == 0

    run(play)


def test_events_by_the_thousand_do_not_starve_the_loop() -> None:
    """While events pour in others on the loop have their turns, and not every scan is a question."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        before = kernel.requests.count(Cmd.GET_SCAN)
        for _turn in range(50):
            kernel.tell(*[told(Cmd.NEW_SCAN_RESULTS)] * 20)
            kernel.tell(*[cqm_body(Cqm.RSSI_THRESHOLD_EVENT, 0, level_dbm=-60)] * 20)
            await asyncio.sleep(0)
        kernel.stations = []
        kernel.tell(gone_body(A), disconnect_body(3))
        await until(lambda: len(moves(of(host))) == 2)
        assert kernel.requests.count(Cmd.GET_SCAN) - before < 500

    run(play)


def test_rest_costs_next_to_nothing() -> None:
    """On a good link the kernel is asked once a second, and all of it takes under a hundredth of a core.

    Run with -s for the figure: it includes what stands for the kernel.
    """
    counted: list[float] = []

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        a_good_link(kernel, A, others=30)
        kernel.tell(connect_body(A))
        await until(lambda: moves(of(host)) == [("Attached", A)])
        loop = asyncio.get_running_loop()
        await until(lambda: kernel.requests.count(Cmd.GET_STATION) >= 3)
        before, began, used = kernel.requests.count(Cmd.GET_STATION), loop.time(), cpu_s()
        ended = asyncio.Event()
        loop.call_later(4.0, ended.set)
        await ended.wait()
        lasted = loop.time() - began
        asked = kernel.requests.count(Cmd.GET_STATION) - before
        counted.extend([(cpu_s() - used) / lasted, asked / lasted])
        assert asked <= lasted + 1

    run(play)
    share, rate = counted
    sys.stdout.write(f"at rest: {100 * share:.3f} % of a core, {rate:.2f} questions a second\n")
    assert share < 0.05  # five times the promise, for machines that are busy with other things


def test_only_what_is_needed() -> None:
    """A driver that only listens needs no capability."""
    assert Nl80211.needs(Nl80211Config()) == {Capability.NET_ADMIN}
    assert Nl80211.needs(Nl80211Config(cqm_dbm=(), scan_s=0.0, control=False)) == frozenset()


def test_discovery_needs_a_wireless_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a configuration the driver is started where there is a wireless interface."""
    monkeypatch.setattr("lies_nl80211.driver._NET_CLASS", tmp_path)
    assert Nl80211.discover() == {}
    (tmp_path / "wlan0").mkdir()
    (tmp_path / "wlan0" / "phy80211").symlink_to(tmp_path)
    assert Nl80211.discover() == {"nl80211": {}}


@pytest.mark.parametrize(
    "options",
    [
        {"rest_ms": 500},
        {"near_ms": 5},
        {"near_dbm": 10.0},
        {"cqm_dbm": [-60, -70]},
        {"cqm_dbm": [-70] * 2},
        {"cqm_hysteresis_db": -1},
        {"scan_s": -1.0},
        {"ssid": "net"},
    ],
)
def test_options_that_are_refused(options: dict[str, object]) -> None:
    """Options of no use are refused with table and key or sentence."""
    with pytest.raises(ConfigError, match=r"drivers\.radio"):
        decode(Nl80211Config, options, table="drivers.radio")


def test_stations_of_an_access_point_are_links() -> None:
    """On an access point's interface each station is a link, announced and removed."""
    kernel = SimKernel()
    kernel.interfaces = [interface_body("ap0", 3)]

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: Cmd.GET_STATION in kernel.requests)
        kernel.stations = [station_body(A)]
        kernel.tell(station_body(A))
        await until(lambda: f"ap0/{A}" in host.ports)
        kernel.stations = []
        kernel.tell(gone_body(A))
        await until(lambda: host.ports[f"ap0/{A}"].removed)

    host = run(play, kernel=kernel)
    assert [kind for kind, _ in moves(of(host, f"ap0/{A}"))] == ["Attached", "Detached"]
