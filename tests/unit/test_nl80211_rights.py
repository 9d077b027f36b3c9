"""What the nl80211 driver needs, is given, sets and is refused: kernels, permissions, options."""

import asyncio
import errno
import logging
import socket
import struct
from pathlib import Path

import pytest
from radio_host import RecordingHost
from wifi_driver import join, of, run, until
from wifi_kernel import SimKernel, link_body
from wifi_kit import (
    INDEX,
    NAME,
    A,
    B,
    bss_body,
    interface_body,
    told,
)

from lies._decode import decode
from lies.capabilities import Capability
from lies.driver import Thresholds
from lies.errors import ConfigError, LiesError
from lies.events import Sample
from lies_nl80211 import Nl80211, channel, uapi
from lies_nl80211.attributes import Frame, attribute, generic_body, message
from lies_nl80211.channel import Channel, Refused
from lies_nl80211.config import Nl80211Config
from lies_nl80211.door import KernelDoor
from lies_nl80211.interfaces import get_links, read_link
from lies_nl80211.uapi import Attr, Cmd


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

    run(play, Nl80211Config(cqm_dbm=(-80, -73, -68)), kernel=kernel)
    assert levels_set(kernel) == [
        (INDEX, -80, -73, -68),
        (INDEX, -68),
        (8, -80, -73, -68),
        (8, 0),
    ]


def test_thresholds_follow_registrations() -> None:
    """The kernel is set to what registrations ask for, anew when that changes, and back to nothing."""

    async def play(kernel: SimKernel, driver: Nl80211, host: RecordingHost) -> None:
        await until(lambda: NAME in host.ports)
        for asked in (Thresholds((-73.0, -68.0)), Thresholds((), -80.0), Thresholds()):
            before = kernel.requests.count(Cmd.SET_CQM)
            driver.watch_levels(NAME, asked)
            await until(lambda: kernel.requests.count(Cmd.SET_CQM) > before)  # noqa: B023 - awaited here

    kernel = SimKernel()
    run(play, kernel=kernel)
    assert levels_set(kernel)[:3] == [(INDEX, -73, -68), (INDEX, -80, -70), (INDEX, 0)]


def levels_set(kernel: SimKernel) -> list[tuple[int, ...]]:
    """(interface, levels) of every setting."""
    levels = []
    for command, found in kernel.bodies:
        if command == Cmd.SET_CQM:
            value = found[Attr.CQM]
            count = (struct.unpack_from("=H", value)[0] - 4) // 4
            index = struct.unpack("=I", found[Attr.IFINDEX])[0]
            levels.append((index, *struct.unpack_from(f"={count}i", value, 4)))
    return levels


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
        run(play, Nl80211Config(cqm_dbm=(-80, -73, -68)), kernel=kernel)
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


def test_questions_to_this_kernel() -> None:
    """The machine's own kernel answers a dump whole, and a question it refuses with its errno."""

    async def main() -> tuple[list[str | None], int]:
        found: list[str | None] = []

        def take(frame: Frame) -> None:
            state = read_link(frame)
            found.append(state.name if state is not None else None)

        route = Channel(KernelDoor().route())
        generic = Channel(KernelDoor().generic())
        try:
            assert await route.ask(uapi.RTM_GETLINK, uapi.NLM_F_DUMP, get_links(), take)
            unknown = generic_body(
                uapi.CTRL_CMD_GETFAMILY, attribute(uapi.CTRL_ATTR_FAMILY_NAME, b"lies-none\0")
            )
            with pytest.raises(Refused) as refused:
                await generic.ask(uapi.GENL_ID_CTRL, 0, unknown, lambda _: None)
            number = refused.value.errno
        finally:
            route.close()
            generic.close()
        assert number is not None
        return found, number

    names, number = asyncio.run(main())
    assert "lo" in names
    assert None not in names
    assert number == errno.ENOENT


def test_refusals_have_the_kernels_words() -> None:
    """An error's own sentence is found behind what it quotes, whole or capped."""
    words = attribute(1, b"no such device\0")
    quoted = message(0x1C, 0, b"\x11\0\0\0" + bytes(8), sequence=1)
    for flags, body in (
        (uapi.NLM_F_ACK_TLVS | uapi.NLM_F_CAPPED, quoted[:16]),
        (uapi.NLM_F_ACK_TLVS, quoted),
    ):
        frame = Frame(uapi.NLMSG_ERROR, flags, 1, struct.pack("=i", -19) + body + words)
        assert channel._words(frame) == "no such device"
    assert channel._words(Frame(uapi.NLMSG_ERROR, 0, 1, struct.pack("=i", -19) + quoted + words)) == ""
    assert channel._words(Frame(uapi.NLMSG_ERROR, uapi.NLM_F_ACK_TLVS, 1, b"\0")) == ""


@pytest.mark.parametrize("most", range(5))
def test_sockets_that_cannot_be_opened(most: int) -> None:
    """A start that fails at any socket leaves none open, and the error is the kernel's."""

    class Poor(SimKernel):
        def generic(self) -> socket.socket:
            self._take()
            return super().generic()

        def route(self) -> socket.socket:
            self._take()
            return super().route()

        def _take(self) -> None:
            if self.opened == most:
                raise OSError(errno.EMFILE, "no more sockets")
            self.opened += 1

    async def play(_: SimKernel, driver: Nl80211, host: RecordingHost) -> None:
        raise AssertionError((driver, host))

    with pytest.raises(OSError, match="no more sockets"):
        run(play, kernel=Poor())
