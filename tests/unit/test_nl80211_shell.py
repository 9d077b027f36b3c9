"""The nl80211 driver on sockets whose far ends stand for the kernel."""

import asyncio
import logging
import struct
import sys

import pytest
from radio_host import RecordingHost
from wifi_driver import join, moves, of, run, until
from wifi_kernel import SimKernel, a_good_link, link_body
from wifi_kit import (
    NAME,
    A,
    B,
    bss_body,
    connect_body,
    cqm_body,
    dashed,
    deauthenticate_body,
    disconnect_body,
    gone_body,
    interface_body,
    station_body,
    told,
)

from lies.events import Detached, DownReason, Sample
from lies.runtime import cpu_s
from lies_nl80211 import Nl80211, channel
from lies_nl80211.attributes import message
from lies_nl80211.uapi import Cmd, Cqm


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
    assert detached.reason is DownReason.ADMIN_DOWN
    assert detached.detail == "the radio was switched off by a switch of the machine"


def test_interface_switched_off() -> None:
    """An interface that the administrator switches off is down."""

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        await join(kernel, host, A)
        kernel.stations = []
        kernel.tell_link(link_body(up=False, operstate=2))
        await until(lambda: len(moves(of(host))) == 2)

    run(play)


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


def test_stations_of_an_access_point_are_links() -> None:
    """On an access point's interface each station is a link, announced and removed."""
    kernel = SimKernel()
    kernel.interfaces = [interface_body("ap0", 3)]

    async def play(kernel: SimKernel, _: Nl80211, host: RecordingHost) -> None:
        await until(lambda: Cmd.GET_STATION in kernel.requests)
        kernel.stations = [station_body(A)]
        kernel.tell(station_body(A))
        await until(lambda: f"ap0/{dashed(A)}" in host.ports)
        kernel.stations = []
        kernel.tell(gone_body(A))
        await until(lambda: host.ports[f"ap0/{dashed(A)}"].removed)

    host = run(play, kernel=kernel)
    assert [kind for kind, _ in moves(of(host, f"ap0/{dashed(A)}"))] == ["Attached", "Detached"]
